//! The types every room shares. Synchronous, no input or output.

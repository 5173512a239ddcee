//! The real parts that the end-to-end tests start, each in a directory of its own, on loopback.

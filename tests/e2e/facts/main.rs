//! What homeostat says of faults that were put on a real control plane: the object and the cause.

mod files;

//! What several test programs share; each uses a part of it.

#![allow(dead_code, reason = "a test program uses a part")]

pub(crate) mod prometheus;

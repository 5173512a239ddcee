//! The process dies and the API server lies: the real driver in a process of its own acts on a real control plane through every fault, and the
//! API server's audit log says what came of it.
#![allow(clippy::print_stdout, reason = "figures and the story of each process are printed")]

mod authority;
mod case;
mod child;
mod k9;
mod life;
mod proxy;
mod rights;
mod sieve;
mod tally;
mod tally_tests;

//! What the journal promises, whatever it is kept in.

mod archive;
mod contract;
mod faults;
mod history;
mod labels;
mod pages;
mod versions;

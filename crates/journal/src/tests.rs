//! What the journal promises, whatever it is kept in.

mod approvals;
mod archive;
mod contract;
mod faults;
mod history;
mod labels;
mod pages;
mod versions;

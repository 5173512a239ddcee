//! The commands, each with its own flags: reads its arguments, puts the parts together, and ends.

pub(crate) mod audit;
pub(crate) mod calibrate;
pub(crate) mod check;
pub(crate) mod demo;
pub(crate) mod evaluate;
pub(crate) mod export;
pub(crate) mod incident;
pub(crate) mod policy;
pub(crate) mod rbac;
pub(crate) mod replay;
pub(crate) mod score;
pub(crate) mod serve;
pub(crate) mod simulate;
pub(crate) mod switch;
pub(crate) mod train;
pub(crate) mod tune;

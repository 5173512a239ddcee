//! Facts from objects as real clusters write them: each kind, no kind of normal life, any order, any mutilation.

mod build;
mod kinds;
mod life;
mod properties;
mod recorded;

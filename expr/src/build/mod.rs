//! The acts of building expressions, by theme. Each finds its user's mistakes.
mod closures;
mod elementwise;
mod join;
mod reduce;
mod shape;
mod sources;
mod views;

pub use views::SliceArg;

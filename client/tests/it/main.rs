//! Arrays end to end on the session that starts by itself, with ndarray as the oracle.

mod any_input;
mod closures;
mod construct;
mod elementwise;
mod explain;
mod files;
mod futures;
mod generic;
mod joins;
mod kinds;
mod memory;
mod mistakes;
mod misuse;
mod names;
mod options;
mod printing;
mod properties;
mod random;
mod reductions;
mod sessions;
mod solvers;
mod spill;
mod support;
mod values;
mod views;
mod within;

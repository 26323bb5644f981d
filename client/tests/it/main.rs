//! Arrays end to end on the session that starts by itself, with ndarray as the oracle.

mod any_input;
mod blockwise;
mod closures;
mod construct;
#[path = "../../src/library/draws.rs"]
mod draws;
mod elementwise;
mod exchange;
mod explain;
mod fft;
mod files;
mod functions;
mod futures;
mod generic;
mod joins;
mod kinds;
mod library;
mod library_large;
#[cfg(feature = "linalg")]
mod linalg;
mod memory;
mod mistakes;
mod misuse;
mod names;
mod neighbours;
#[cfg(feature = "netcdf")]
mod netcdf;
mod options;
mod own_functions;
mod picks;
mod places;
mod printing;
mod properties;
mod random;
mod reductions;
mod sessions;
mod sets;
mod shuffle;
mod signal;
mod solvers;
mod spill;
mod support;
mod values;
mod views;
mod within;
mod zarr;

//! The user's own functions over arrays: plain Rust closures that workers of the same executable call, and closures
//! that are traced into expressions, which any worker computes.
//!
//! A function that captures nothing is a constant of the executable, and is named by its place there
//! ([`tilework_kernels::native`]). Everything here takes expressions and gives expressions: it must not know how
//! arrays are stored or when they are computed.

mod blocks;
mod blockwise;
mod elements;
mod gufunc;
mod here;
mod many;
mod methods;
mod params;
mod reduce;
mod scan;
mod ship;
mod states;
mod traced;
pub(crate) mod zip;

pub(crate) use blocks::fold;
pub use blocks::{Boundaries, Depths};
pub use blockwise::{BlockPlace, Blockwise, blockwise};
pub(crate) use elements::{from_index, on_each};
pub use gufunc::apply_gufunc;
pub(crate) use here::{warn, warn_of_index, warn_of_method};
pub use many::Results;
pub use params::Params;
#[cfg(feature = "dataframe")]
pub(crate) use params::params_of;
pub use ship::FunctionError;
pub(crate) use ship::{conjure, ship};
pub use traced::Traced;
pub use zip::{ZipArrays, map_collect, try_map_collect};

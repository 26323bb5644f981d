//! Arrays larger than one machine, with ndarray's API.
//!
//! An [`Array`] is an expression: operations build it, and [`Array::compute`] runs it on a [`Session`]: inside
//! this process (the default, which starts by itself), on processes of this machine, or on a cluster.

mod array;
mod closures;
mod error;
pub mod io;
mod literal;
pub mod prelude;
pub mod random;
mod role;
mod session;

pub use array::{
    Array, Array0, Array1, Array2, Array3, Array4, Array5, Array6, ArrayD, ComplexMath, ComputeAll, Dot,
    Operand, Real, SignedMath, arr0, arr1, arr2, compute_all, concatenate, stack, try_compute_all, try_where,
    where_,
};
pub use closures::{
    Boundaries, Depths, FunctionError, Params, Traced, ZipArrays, map_collect, try_map_collect,
};
pub use error::{Error, Result};
/// The ndarray whose types this crate takes and returns.
pub use ndarray;
pub use session::{EmbeddedOptions, GATHER_BYTES_MAX, Session};
pub use tilework_expr::{AxisChunks, Boundary, Chunks, Complex, DType, Element, ExprError, JobError};

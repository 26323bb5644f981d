//! Arrays larger than one machine, with ndarray's API.
//!
//! `use tilework::prelude::*;` in place of `use ndarray::prelude::*;`, and `use tilework::{..}` in place of
//! `use ndarray::{..}`. An [`Array`] is ndarray's array in this process, or an expression: operations on large arrays
//! build expressions, which run on a [`Session`] when their values are needed: inside this process (the default, which
//! starts by itself), on processes of this machine, or on a cluster.
//!
//! # Features
//! | feature | on | what it is for |
//! |---|---|---|
//! | `cluster` | yes | sessions beyond this process: [`Session::processes`], [`Session::connect`]; brings gRPC and TLS |
//! | `linalg` | yes | QR, Cholesky, LU, singular values, eigenvalues, and what is solved by them; brings `faer` |
//! | `zarr` | yes | reading and writing Zarr stores; brings `zarrs` |
//! | `fft` | yes | Fourier transforms: [`fft`], [`signal::fftconvolve`]; brings `rustfft` |
//! | `netcdf` | no | reading NetCDF and HDF5 files; brings `hdf5-reader` |
//! | `approx` | yes | approximate equality, for the macros of the crate `approx` |
//! | `serde` | yes | arrays in serde's formats |
//! | `dataframe` | no | tables: dataframes and SQL; brings DataFusion |
//! | `rand` | no | constructors from distributions of the crate `rand` |
//!
//! Without `cluster`, `zarr` or `fft`, the same programs compile, in half the time, and what was left out is an error that
//! names the feature ([`Error::LeftOut`]).

#![cfg_attr(docsrs, feature(doc_cfg))]

mod array;
mod closures;
#[cfg(feature = "dataframe")]
pub mod dataframe;
mod error;
mod explain;
pub mod fft;
mod futures;
pub mod io;
mod library;
mod literal;
mod names;
pub mod prelude;
pub mod random;
#[cfg(feature = "cluster")]
mod role;
#[cfg(not(feature = "cluster"))]
#[path = "role_left_out.rs"]
mod role;
mod session;
pub mod signal;

pub use array::{
    ArcArray, ArcArray0, ArcArray1, ArcArray2, ArcArray3, ArcArray4, ArcArray5, ArcArray6, ArcArrayD, Array,
    Array0, Array1, Array2, Array3, Array4, Array5, Array6, ArrayBase, ArrayD, ArrayRef, ArrayRef0,
    ArrayRef1, ArrayRef2, ArrayRef3, ArrayRef4, ArrayRef5, ArrayRef6, ArrayRefD, ArrayView, ArrayView0,
    ArrayView1, ArrayView2, ArrayView3, ArrayView4, ArrayView5, ArrayView6, ArrayViewD, ArrayViewMut,
    ArrayViewMut0, ArrayViewMut1, ArrayViewMut2, ArrayViewMut3, ArrayViewMut4, ArrayViewMut5, ArrayViewMut6,
    ArrayViewMutD, AsArray, ComplexMath, ComputeAll, CowArray, CowRepr, Data, DataMut, DataOwned, DataShared,
    EAGER_BYTES_MAX, InChunks, Meshgrid, NdProducer, Operand, Ours, OwnedArcRepr, OwnedRepr, Producer,
    RawData, RawDataClone, RawDataMut, RawDataSubst, Real, ScalarOperand, SignedMath, Source, ViewRepr,
    Widen, Zip, arr0, arr1, arr2, arr3, aview_mut1, aview_mut2, aview0, aview1, aview2, compute_all,
    concatenate, eager_bytes_max, indices_of, iter, meshgrid, persist_all, rcarr1, rcarr2, rcarr3,
    set_default_chunk_len, set_eager_bytes_max, stack, try_compute_all, try_concatenate, try_persist_all,
    try_stack, try_where, where_,
};
pub use closures::{
    BlockPlace, Blockwise, Boundaries, Depths, FunctionError, Params, Results, Traced, ZipArrays,
    apply_gufunc, blockwise, map_collect, try_map_collect,
};
pub use error::{ClusterError, Error, Result};
pub use explain::{Explain, StageExplain, explain_all, try_explain_all};
pub use futures::{
    Argument, Arguments, AsCompleted, Awaited, Future, FutureError, IntoElements, TaskFn, Tasks, Waited,
    When, as_completed, gather, map, map_shuffle, map_with, part_of, scatter, scatter_all, submit, tasks,
    try_map, try_map_shuffle, try_submit, wait,
};
pub use library::{
    Bins, Coarsen, GroupBy, Interpolation, Pad, Positions, Quantiles, Rolling, Sections, block, choose,
    histogramdd, histogramdd_weighted, ravel_multi_index, select, tril_indices, triu_indices, try_block,
    try_choose, try_histogramdd, try_histogramdd_weighted, try_ravel_multi_index, try_select,
    try_tril_indices, try_triu_indices,
};
pub use names::{NameError, Named, NamedKind, Publish, Published};
/// The ndarray whose types this crate takes and returns.
pub use ndarray;
#[doc(no_inline)]
pub use ndarray::{
    AssignElem, Axis, AxisDescription, Dim, DimAdd, DimMax, Dimension, ErrorKind, FoldWhile, IndexLonger,
    IntoDimension, IntoNdProducer, Ix, Ix0, Ix1, Ix2, Ix3, Ix4, Ix5, Ix6, IxDyn, IxDynImpl, Ixs, Layout,
    LayoutRef, LayoutRef0, LayoutRef1, LayoutRef2, LayoutRef3, LayoutRef4, LayoutRef5, LayoutRef6,
    LayoutRefD, LinalgScalar, Linspace, Logspace, MathCell, MeshIndex, MultiSliceArg, NdFloat, NdIndex,
    NewAxis, Order, RawArrayView, RawArrayViewMut, RawRef, RawViewRepr, RemoveAxis, Shape, ShapeArg,
    ShapeBuilder, ShapeError, Slice, SliceArg, SliceInfo, SliceInfoElem, SliceNextDim, StrideShape, azip,
    indices, linspace, logspace, par_azip, parallel, range, s,
};
pub use role::init;
pub use session::{EmbeddedOptions, GATHER_BYTES_MAX, Session};
pub use tilework_expr::{AxisChunks, Boundary, Chunks, Complex, DType, Element, ExprError};
pub use tilework_plan::{Figures, JobError};

/// Products of arrays, as ndarray's module of this name; norms, sums over letters, and what factorisations give.
pub mod linalg {
    pub use crate::array::{Dot, general_mat_mul, general_mat_vec_mul, kron};
    pub use crate::library::linalg::{Field, MatrixNorm, Norm, Operands, einsum, try_einsum};
    #[cfg(feature = "linalg")]
    pub use crate::library::linalg::{LeastSquares, SvdOf, Triangle};
}

/// The README's programs compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// Those of the page on tasks compile.
#[cfg(all(doctest, feature = "cluster"))]
#[doc = include_str!("../docs/tasks.md")]
struct TasksPage;

/// Those of the page on object stores compile.
#[cfg(all(doctest, feature = "zarr", feature = "object-store"))]
#[doc = include_str!("../docs/object-stores.md")]
struct ObjectStoresPage;

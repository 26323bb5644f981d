//! Arrays with ndarray's names and type parameters: what they are (`kind/`), and their operations by theme.
//!
//! Knows expressions and sessions. Must not know how a session runs a program.

#[cfg(feature = "approx")]
mod approx;
mod compare;
mod compute;
mod construct;
mod convert;
mod display;
mod here;
mod in_chunks;
mod index;
mod iterate;
mod join;
pub(crate) mod kind;
pub(crate) mod kinds;
mod lazily;
mod linalg;
mod local;
mod map;
mod maths;
mod matrices;
mod meshgrid;
mod moves;
mod operand;
mod operators;
mod own;
#[cfg(feature = "rand")]
mod rand;
mod reduce;
#[cfg(feature = "serde")]
mod serde;
mod shape;
mod slice;
mod statistics;
pub(crate) mod twins;
mod views;
mod widened;
mod write;
mod zip;

use crate::error::{Result, or_panic};
use ndarray::{Dimension, ShapeBuilder};
use tilework_expr::{AxisChunks, Chunks, Element, Expr};
use tilework_plan::{AxisGrid, Grid};

pub use compare::{try_where, where_};
pub use compute::{ComputeAll, compute_all, persist_all, try_compute_all, try_persist_all};
pub use convert::AsArray;
pub use in_chunks::InChunks;
pub use iterate::{Ours, Producer, indices_of, iter};
pub use join::{concatenate, stack, try_concatenate, try_stack};
pub use kind::choice::{EAGER_BYTES_MAX, eager_bytes_max, set_default_chunk_len, set_eager_bytes_max};
pub(crate) use kind::choice::{dtype_of, same};
pub use kind::reference::{
    ArrayRef0, ArrayRef1, ArrayRef2, ArrayRef3, ArrayRef4, ArrayRef5, ArrayRef6, ArrayRefD,
};
pub use kind::{
    ArcArray, Array, ArrayBase, ArrayRef, ArrayView, ArrayViewMut, CowArray, CowRepr, Data, DataMut,
    DataOwned, DataShared, OwnedArcRepr, OwnedRepr, RawData, RawDataClone, RawDataMut, RawDataSubst, Source,
    ViewRepr,
};
pub use linalg::{Dot, general_mat_mul, general_mat_vec_mul, kron};
pub(crate) use local::plane_of_array;
pub use local::{
    arr0, arr1, arr2, arr3, aview_mut1, aview_mut2, aview0, aview1, aview2, rcarr1, rcarr2, rcarr3,
};
pub use maths::{ComplexMath, Real, SignedMath};
pub use meshgrid::{Meshgrid, meshgrid};
pub use operand::Operand;
pub use operators::ScalarOperand;
pub(crate) use slice::{parts as parts_of, select as select_positions};
pub use widened::Widen;
pub use zip::{NdProducer, Zip};

macro_rules! aliases {
    ($($dim:ident $text:literal $array:ident $view:ident $view_mut:ident $shared:ident;)*) => { $(
        #[doc = concat!("An array of ", $text, ".")]
        pub type $array<A> = Array<A, ndarray::$dim>;
        #[doc = concat!("A view of ", $text, ".")]
        pub type $view<'a, A> = ArrayView<'a, A, ndarray::$dim>;
        #[doc = concat!("A writable view of ", $text, ".")]
        pub type $view_mut<'a, A> = ArrayViewMut<'a, A, ndarray::$dim>;
        #[doc = concat!("A shared array of ", $text, ".")]
        pub type $shared<A> = ArcArray<A, ndarray::$dim>;
    )* };
}
aliases! {
    Ix0 "no dimensions" Array0 ArrayView0 ArrayViewMut0 ArcArray0;
    Ix1 "one dimension" Array1 ArrayView1 ArrayViewMut1 ArcArray1;
    Ix2 "two dimensions" Array2 ArrayView2 ArrayViewMut2 ArcArray2;
    Ix3 "three dimensions" Array3 ArrayView3 ArrayViewMut3 ArcArray3;
    Ix4 "four dimensions" Array4 ArrayView4 ArrayViewMut4 ArcArray4;
    Ix5 "five dimensions" Array5 ArrayView5 ArrayViewMut5 ArcArray5;
    Ix6 "six dimensions" Array6 ArrayView6 ArrayViewMut6 ArcArray6;
    IxDyn "as many dimensions as are known at run time" ArrayD ArrayViewD ArrayViewMutD ArcArrayD;
}

impl<A: Element, D: Dimension> Array<A, D> {
    /// Wraps the result of building an expression.
    pub(crate) fn wrapped(expr: std::result::Result<Expr, tilework_expr::ExprError>) -> Result<Self> {
        Ok(Self::of_expr(expr?))
    }

    /// The expression that reads the array: its own, or one that shares its memory.
    pub(crate) fn expr(&self) -> Expr {
        or_panic(self.leaf())
    }
}

/// A shape as ndarray's dimension.
pub(crate) fn dim_of<D: Dimension>(shape: &[usize]) -> D {
    let mut dim = D::zeros(shape.len());
    for (d, &l) in dim.slice_mut().iter_mut().zip(shape) {
        *d = l;
    }
    dim
}

/// What ndarray takes for a shape, as lengths. The order of elements in memory is ours to choose.
pub(crate) fn shape_of<Sh: ShapeBuilder>(shape: Sh) -> Vec<usize> {
    shape.into_shape_with_order().raw_dim().slice().to_vec()
}

/// A grid as chunks to ask for.
pub(crate) fn chunks_of(grid: &Grid) -> Chunks {
    let axes = grid.axes().iter().map(|axis| match axis {
        AxisGrid::Regular { chunk, .. } => AxisChunks::Len(*chunk as isize),
        AxisGrid::Explicit { .. } => AxisChunks::Lens(axis.chunk_lens()),
    });
    Chunks::Axes(axes.collect())
}

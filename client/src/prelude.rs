//! What programs over arrays import: `use tilework::prelude::*` in place of `ndarray::prelude::*`.
//!
//! ndarray's own names, and of ours what most programs need. [`Error`](crate::Error) and [`Result`](crate::Result) stay
//! out, which would stand for the standard library's, and so does what has a common name (`io`, `range`, `linspace`).

pub use crate::io::{IfExists, ZarrCodec, ZarrOptions, ZarrVersion};
pub use crate::{
    ArcArray, Array, Array0, Array1, Array2, Array3, Array4, Array5, Array6, ArrayBase, ArrayD, ArrayRef,
    ArrayRef0, ArrayRef1, ArrayRef2, ArrayRef3, ArrayRef4, ArrayRef5, ArrayRef6, ArrayRefD, ArrayView,
    ArrayView0, ArrayView1, ArrayView2, ArrayView3, ArrayView4, ArrayView5, ArrayView6, ArrayViewD,
    ArrayViewMut, ArrayViewMut0, ArrayViewMut1, ArrayViewMut2, ArrayViewMut3, ArrayViewMut4, ArrayViewMut5,
    ArrayViewMut6, ArrayViewMutD, AsArray, AxisChunks, Boundary, Chunks, Complex, ComplexMath, CowArray,
    DType, Element, EmbeddedOptions, Session, SignedMath, arr0, arr1, arr2, array, aview_mut1, aview0,
    aview1, aview2, compute_all, concatenate, explain_all, map_collect, persist_all, random, stack,
    try_compute_all, try_persist_all, where_,
};
pub use ndarray::{
    Axis, Dim, Dimension, Ix0, Ix1, Ix2, Ix3, Ix4, Ix5, Ix6, IxDyn, LayoutRef, NdFloat, NewAxis,
    RawArrayView, RawArrayViewMut, RawRef, ShapeBuilder, azip, s,
};

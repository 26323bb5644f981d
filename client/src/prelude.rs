//! What programs over arrays import: `use tilework::prelude::*` in place of `ndarray::prelude::*`.

pub use crate::{
    Array, Array0, Array1, Array2, Array3, Array4, Array5, Array6, ArrayD, Chunks, ComplexMath, Session,
    SignedMath, arr0, arr1, arr2, array,
};
pub use ndarray::{
    Axis, Dim, Dimension, Ix0, Ix1, Ix2, Ix3, Ix4, Ix5, Ix6, IxDyn, NdFloat, NewAxis, ShapeBuilder, s,
};

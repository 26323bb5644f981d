//! Operations on arrays that are made of the library's own functions of blocks: an operation is a file here, which says
//! which stages it takes, and a file of functions in `tilework_kernels::library`.
//!
//! Owns how such stages are put together. Must not know how the functions compute, nor when arrays are computed.

mod count;
#[cfg(test)]
mod draws;
pub(crate) mod filter;
pub(crate) mod fourier;
mod functions;
mod group;
mod histogram;
pub(crate) mod linalg;
mod matrix;
mod moments;
mod nan;
mod order;
mod pad;
mod pick;
mod put;
pub(crate) mod scan;
mod select;
mod sets;
mod shape;
mod split;
mod windows;

pub(crate) use order::whole;
pub(crate) use select::topped;
pub(crate) use shape::{moved, shifted};

pub(crate) use functions::extreme;
pub use group::GroupBy;
pub use histogram::{Bins, histogramdd, histogramdd_weighted, try_histogramdd, try_histogramdd_weighted};
pub use matrix::{tril_indices, triu_indices, try_tril_indices, try_triu_indices};
pub use pad::Pad;
pub use pick::{Positions, choose, ravel_multi_index, select, try_choose, try_ravel_multi_index, try_select};
pub use select::{Interpolation, Quantiles};
pub use split::{Sections, block, try_block};
pub use windows::{Coarsen, Rolling};

use crate::array::twins::twins;
use crate::error::Result;
use ndarray::Axis;
use std::sync::Arc;
use tilework_expr::{
    Along, BinaryOp, BlockFunction, Blocks, Chunks, DType, Expr, ExprError, Fold, Gives, OwnFunction, Read,
    Scalar, SliceArg, UnaryOp,
};
use tilework_plan::{AxisGrid, Grid};

/// Writes methods that ask what elements come to, of what has a method `reduced` for it, each with its twin that returns what
/// goes wrong.
macro_rules! reductions {
    ($errors:literal; $($(#[$doc:meta])* $name:ident $try_name:ident ($($p:ident: $t:ty)?) -> $out:ty: $what:expr;)*) => { $(
        $(#[$doc])*
        ///
        /// # Panics
        #[doc = concat!("Where [`", stringify!($try_name), "`](Self::", stringify!($try_name), ") returns an error.")]
        #[must_use]
        #[track_caller]
        pub fn $name(&self $(, $p: $t)?) -> Array<$out, D> {
            $crate::error::or_panic(self.$try_name($($p)?))
        }

        #[doc = concat!("[`", stringify!($name), "`](Self::", stringify!($name), ") that returns what goes wrong.")]
        ///
        /// # Errors
        #[doc = $errors]
        pub fn $try_name(&self $(, $p: $t)?) -> Result<Array<$out, D>> {
            self.reduced($what)
        }
    )* };
}

use reductions;

/// What each chunk of the first input comes to in so many numbers, added up over all chunks.
fn added_up(own: OwnFunction, inputs: &[(&Expr, Read)], n: usize) -> Result<Expr> {
    let (first, ndim) = (inputs[0].0, inputs[0].0.ndim());
    let mut space = first.grid().axes().to_vec();
    let mut each: Vec<AxisGrid> = space.iter().map(|axis| AxisGrid::regular(axis.n_chunks(), 1)).collect();
    space.push(AxisGrid::whole(1));
    each.push(AxisGrid::whole(n));
    let parts = stage(own, inputs, &Grid::new(space), &Grid::new(each))?;
    Ok(parts.reduce(Fold::Sum, &(0..ndim).collect::<Vec<_>>())?)
}

/// All of an array's axes as the task's own chunk lies along them.
pub(crate) fn same(ndim: usize) -> Read {
    Read::Box((0..ndim).map(Along::same).collect())
}

/// The same, but for one axis.
fn same_but(ndim: usize, axis: usize, along: Along) -> Read {
    Read::Box((0..ndim).map(|a| if a == axis { along } else { Along::same(a) }).collect())
}

/// A grid with one axis cut otherwise.
fn with_axis(grid: &Grid, axis: usize, cut: AxisGrid) -> Grid {
    let mut axes = grid.axes().to_vec();
    axes[axis] = cut;
    Grid::new(axes)
}

/// A stage that gives the chunks of an array of this grid.
pub(crate) fn stage(own: OwnFunction, inputs: &[(&Expr, Read)], space: &Grid, out: &Grid) -> Result<Expr> {
    blocks(own, inputs, (space, out), None)
}

/// A stage of one axis that gives values for an exchange.
pub(crate) fn exchange(
    own: OwnFunction,
    inputs: &[(&Expr, Read)],
    space: &Grid,
    gives: Gives,
) -> Result<Expr> {
    blocks(own, inputs, (space, space), Some(gives))
}

fn blocks(
    own: OwnFunction,
    inputs: &[(&Expr, Read)],
    (space, out): (&Grid, &Grid),
    gives: Option<Gives>,
) -> Result<Expr> {
    let reads = inputs.iter().map(|(_, read)| read.clone()).collect();
    let read: Vec<Expr> = inputs.iter().map(|(expr, _)| (*expr).clone()).collect();
    let function = BlockFunction::Own(Arc::new(own));
    Ok(Expr::of_blocks(Blocks { function, reads, space: space.clone(), gives }, &read, out)?)
}

/// An axis of an array, if it has it.
pub(crate) fn axis_of(expr: &Expr, axis: Axis) -> Result<usize> {
    let (axis, ndim) = (axis.index(), expr.ndim());
    if axis < ndim { Ok(axis) } else { Err(ExprError::AxisOutOfRange { axis, ndim }.into()) }
}

/// The positions of an axis that an argument of a slice says, and all of the others.
pub(crate) fn cut(expr: &Expr, axis: usize, of: SliceArg) -> Result<Expr> {
    let mut parts = vec![SliceArg::Range { start: 0, end: None, step: 1 }; expr.ndim()];
    parts[axis] = of;
    Ok(expr.slice(&parts)?)
}

/// A constant of a float's dtype, which goes with every element.
pub(crate) fn number(dtype: DType, value: f64) -> Result<Expr> {
    let scalar = if dtype == DType::F32 { Scalar::new(value as f32) } else { Scalar::new(value) };
    Ok(Expr::full(&[], &Chunks::Auto, scalar)?)
}

/// Floats rounded to the nearest integer, of two that are as near the even one.
fn even(expr: &Expr) -> Result<Expr> {
    let (round, half) = (expr.unary(UnaryOp::Round)?, number(expr.dtype(), 0.5)?);
    // Halves are where the fraction is one; twice the nearest integer of the half is even then.
    let is_half = expr.unary(UnaryOp::Fract)?.unary(UnaryOp::Abs)?.binary(BinaryOp::Eq, &half)?;
    let halved = expr.binary(BinaryOp::Mul, &half)?.unary(UnaryOp::Round)?;
    let even = halved.binary(BinaryOp::Div, &half)?.binary(BinaryOp::Copysign, expr)?;
    Ok(is_half.select(&even, &round)?)
}

/// Whether there is one of something for each position of an axis.
fn one_each(what: &'static str, of: &Expr, (expr, axis): (&Expr, usize)) -> Result<()> {
    let len = expr.shape()[axis];
    if of.len() == len {
        return Ok(());
    }
    let got = format!("{} for {len} positions", of.len());
    Err(ExprError::Parameter { what, got, expected: "one for each position of the axis" }.into())
}

/// The elements in row-major order, as one axis.
fn flat(expr: &Expr) -> Result<Expr> {
    if expr.ndim() == 1 { Ok(expr.clone()) } else { Ok(expr.reshape(&[expr.len()])?) }
}

/// The error of an argument.
pub(crate) fn wrong(what: &'static str, got: String, expected: &'static str) -> crate::Error {
    ExprError::Parameter { what, got, expected }.into()
}

/// The error of an operation that a dtype does not have.
pub(crate) fn undefined(op: &str, dtype: DType) -> crate::Error {
    ExprError::Undefined { op: op.to_owned(), dtype }.into()
}

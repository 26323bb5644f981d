//! Parts of an array as arrays of their own: slices, single positions of an axis, chosen positions.
//!
//! Must not know chunks.

use super::kinds::{on_all, on_arrays};
use super::views::each_axis;
use super::{Array, ArrayBase, Data, lazily};
use crate::error::{Error, Result};
use ndarray::{Axis, AxisDescription, Dimension, Ix1, Ix2, RemoveAxis, Slice, SliceArg, SliceInfoElem};
use tilework_expr::{Element, Expr, ExprError, SliceArg as Part};

/// Arrays that one axis is taken apart into at most: each is some hundred bytes here.
const AXIS_ITER_MAX: usize = 1 << 20;
/// Slices that selected positions are put together from, at most: of a file, nothing else is read then.
const SLICES_MAX: usize = 64;

on_arrays!({ A: Element } {
    /// The slice that ndarray's `s![..]` describes, as an array of its own.
    ///
    /// # Errors
    /// Positions beyond an axis, a step of 0, another number of slices than the array has axes.
    pub fn try_slice<I: SliceArg<D>>(&self, info: I) -> Result<Array<A, I::OutDim>> {
        Array::wrapped(self.leaf()?.slice(&parts(&info)))
    }

    /// The array with one axis sliced, as an array of its own.
    ///
    /// # Errors
    /// An axis out of range, positions beyond it, a step of 0.
    pub fn try_slice_axis(&self, axis: Axis, indices: Slice) -> Result<Array<A, D>> {
        Array::wrapped(on_axis(&self.leaf()?, axis, part(&indices.into())))
    }

    /// The array with every axis sliced as `f` says, as an array of its own.
    ///
    /// # Errors
    /// Positions beyond an axis, a step of 0.
    pub fn try_slice_each_axis<F: FnMut(AxisDescription) -> Slice>(&self, f: F) -> Result<Array<A, D>> {
        Ok(Array::of_expr(each_axis(&self.leaf()?, f)?))
    }

    /// The array at one position of an axis, which the result does not have, as an array of its own.
    ///
    /// # Errors
    /// An axis out of range, a position beyond it.
    pub fn try_index_axis(&self, axis: Axis, index: usize) -> Result<Array<A, D::Smaller>>
    where
        D: RemoveAxis,
    {
        Array::wrapped(at(&self.leaf()?, axis, index))
    }

    /// [`Array::select`] that returns what goes wrong.
    ///
    /// # Errors
    /// An axis out of range, a position beyond it.
    pub fn try_select(&self, axis: Axis, indices: &[usize]) -> Result<Array<A, D>>
    where
        D: RemoveAxis,
    {
        Array::wrapped(select(&self.leaf()?, axis.index(), indices))
    }

    /// The array before a position of an axis, and the rest, as arrays of their own.
    ///
    /// # Errors
    /// An axis out of range, a position beyond its end.
    pub fn try_split_at(&self, axis: Axis, index: usize) -> Result<(Array<A, D>, Array<A, D>)> {
        let len = axis_len(self.shape(), axis)?;
        if index > len {
            let (given, axis, expected) = (index.to_string(), axis.index(), "a position of at most the length");
            return Err(ExprError::Slice { given, axis, len, expected }.into());
        }
        let at = index as isize;
        let before = self.try_slice_axis(axis, Slice::new(0, Some(at), 1))?;
        Ok((before, self.try_slice_axis(axis, Slice::new(at, None, 1))?))
    }

    /// The arrays at each position of an axis, in order, as arrays of their own: nothing is computed.
    ///
    /// # Errors
    /// An axis out of range, or longer than 2^20.
    pub fn try_axis_iter(&self, axis: Axis) -> Result<std::vec::IntoIter<Array<A, D::Smaller>>>
    where
        D: RemoveAxis,
    {
        let len = axis_len(self.shape(), axis)?;
        if len > AXIS_ITER_MAX {
            let (what, got) = ("positions of an axis as arrays of their own", len.to_string());
            let expected = "at most 2^20: take slices of several positions";
            return Err(ExprError::Parameter { what, got, expected }.into());
        }
        let all = (0..len).map(|i| self.try_index_axis(axis, i));
        Ok(all.collect::<Result<Vec<_>>>()?.into_iter())
    }

    /// [`Array::diff`] that returns what goes wrong.
    ///
    /// # Errors
    /// An axis out of range, or not longer than `n`.
    pub fn try_diff(&self, n: usize, axis: Axis) -> Result<Array<A, D>>
    where
        A: std::ops::Sub<Output = A>,
    {
        Ok(Array::of_expr(differences(&self.leaf()?, n, axis)?))
    }
});

on_all!({ A } {
    /// The array at the given positions of an axis, in their order; positions may be repeated.
    ///
    ///
    /// # Panics
    /// At an axis out of range, a position beyond it.
    #[must_use]
    #[track_caller]
    pub fn select(&self, axis: Axis, indices: &[usize]) -> Array<A, D>
    where
        A: Clone,
        D: RemoveAxis,
    {
        lazily::array(self, |expr| Ok(select(expr, axis.index(), indices)?), |a| a.select(axis, indices))
    }

    /// The differences of neighbours along an axis, taken `n` times: `n` elements fewer.
    ///
    /// # Panics
    /// At an axis out of range, or not longer than `n`.
    #[must_use]
    #[track_caller]
    pub fn diff(&self, n: usize, axis: Axis) -> Array<A, D>
    where
        A: std::ops::Sub<A, Output = A> + num_traits::Zero + Clone,
    {
        lazily::array(self, |expr| differences(expr, n, axis), |a| a.diff(n, axis))
    }
});

fn differences(expr: &Expr, n: usize, axis: Axis) -> Result<Expr> {
    let len = axis_len(&expr.shape(), axis)?;
    if n > 0 && n >= len {
        let got = format!("{n} for an axis of length {len}");
        let expected = "fewer than the length";
        return Err(ExprError::Parameter { what: "number of differences", got, expected }.into());
    }
    let mut result = expr.clone();
    let range = |start, end| Part::Range { start, end, step: 1 };
    for _ in 0..n {
        let (later, earlier) =
            (on_axis(&result, axis, range(1, None))?, on_axis(&result, axis, range(0, Some(-1)))?);
        result = later.binary(tilework_expr::BinaryOp::Sub, &earlier)?;
    }
    Ok(result)
}

impl<A: Element, S: Data<Elem = A>> ArrayBase<S, Ix2, A> {
    /// One row, as an array of its own.
    ///
    /// # Errors
    /// A position beyond the last row.
    pub fn try_row(&self, index: usize) -> Result<Array<A, Ix1>> {
        self.try_index_axis(Axis(0), index)
    }

    /// One column, as an array of its own.
    ///
    /// # Errors
    /// A position beyond the last column.
    pub fn try_column(&self, index: usize) -> Result<Array<A, Ix1>> {
        self.try_index_axis(Axis(1), index)
    }
}

/// The slices that ndarray's `s![..]` describes, in our words.
pub(crate) fn parts<D: Dimension, I: SliceArg<D>>(info: &I) -> Vec<Part> {
    info.as_ref().iter().map(part).collect()
}

pub(super) fn part(elem: &SliceInfoElem) -> Part {
    match *elem {
        SliceInfoElem::Slice { start, end, step } => Part::Range { start, end, step },
        SliceInfoElem::Index(i) => Part::At(i),
        SliceInfoElem::NewAxis => Part::NewAxis,
    }
}

pub(super) fn axis_len(shape: &[usize], axis: Axis) -> Result<usize> {
    let (axis, ndim) = (axis.index(), shape.len());
    shape.get(axis).copied().ok_or(Error::Expr(ExprError::AxisOutOfRange { axis, ndim }))
}

/// A slice of one axis.
pub(super) fn on_axis(expr: &Expr, axis: Axis, part: Part) -> std::result::Result<Expr, ExprError> {
    let (axis, ndim) = (axis.index(), expr.ndim());
    let mut parts = vec![Part::Range { start: 0, end: None, step: 1 }; ndim];
    *parts.get_mut(axis).ok_or(ExprError::AxisOutOfRange { axis, ndim })? = part;
    expr.slice(&parts)
}

pub(super) fn at(expr: &Expr, axis: Axis, index: usize) -> std::result::Result<Expr, ExprError> {
    // A position beyond the largest length of an axis is none from its end.
    on_axis(expr, axis, Part::At(isize::try_from(index).unwrap_or(isize::MAX)))
}

/// The array at these positions of an axis: a few slices put after one another, or a list of positions.
pub(crate) fn select(expr: &Expr, axis: usize, indices: &[usize]) -> std::result::Result<Expr, ExprError> {
    let ndim = expr.ndim();
    let &len = expr.shape().get(axis).ok_or(ExprError::AxisOutOfRange { axis, ndim })?;
    let runs = even_runs(indices);
    if runs.len() > SLICES_MAX || indices.iter().any(|&i| i >= len) {
        return expr.take(axis, indices);
    }
    if indices.is_empty() {
        return on_axis(expr, Axis(axis), Part::Range { start: 0, end: Some(0), step: 1 });
    }
    let parts = runs.into_iter().map(|run| on_axis(expr, Axis(axis), run));
    Expr::concatenate(axis, &parts.collect::<std::result::Result<Vec<_>, _>>()?)
}

/// Cuts a list of positions into runs of evenly spaced ones.
fn even_runs(indices: &[usize]) -> Vec<Part> {
    let mut runs = Vec::new();
    let mut left = indices;
    while let [first, ..] = *left {
        let step = left.get(1).map_or(1, |&second| second as isize - first as isize);
        let even = |pair: &[usize]| step != 0 && pair[1] as isize - pair[0] as isize == step;
        let n = 1 + left.windows(2).take_while(|pair| even(pair)).count();
        let last = left[n - 1];
        let (low, high) = (first.min(last) as isize, first.max(last) as isize);
        let step = if n == 1 { 1 } else { step };
        runs.push(Part::Range { start: low, end: Some(high + 1), step });
        left = &left[n..];
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evenly_spaced_positions_are_one_slice() {
        let run = |start, end, step| Part::Range { start, end: Some(end), step };
        assert_eq!(even_runs(&[2, 3, 4]), [run(2, 5, 1)]);
        assert_eq!(even_runs(&[9, 6, 3]), [run(3, 10, -3)]);
        assert_eq!(even_runs(&[4, 4, 5]), [run(4, 5, 1), run(4, 6, 1)]);
        assert_eq!(even_runs(&[0, 2, 4, 5, 6]), [run(0, 5, 2), run(5, 7, 1)]);
        assert_eq!(even_runs(&[]), []);
    }
}

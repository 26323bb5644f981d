//! Parts of an array: slices, single positions of an axis, chosen positions.
//!
//! Must not know chunks.

use super::Array;
use super::twins::twins;
use crate::error::{Error, Result};
use ndarray::{Axis, Dimension, Ix1, Ix2, RemoveAxis, Slice, SliceArg, SliceInfoElem};
use tilework_expr::{Element, Expr, ExprError, SliceArg as Part};

/// # Parts
impl<A: Element, D: Dimension> Array<A, D> {
    twins! {
        /// The slice that ndarray's `s![..]` describes, lazily.
        ///
        /// ```
        /// use tilework::prelude::*;
        ///
        /// let a = Array2::<i64>::from_shape_fn((4, 6), |(i, j)| (10 * i + j) as i64);
        /// let b = a.slice(s![1..3, ..;2]);
        /// assert_eq!(b.compute(), ndarray::array![[10, 12, 14], [20, 22, 24]]);
        /// assert_eq!(a.slice(s![-1, 1..]).sum(), 31 + 32 + 33 + 34 + 35);
        /// ```
        slice, try_slice [I: SliceArg<D>] (&self, info: I) -> Array<A, I::OutDim>,
        errors "Positions beyond an axis, a step of 0, another number of slices than the array has axes.",
        { Array::wrapped(self.expr.slice(&info.as_ref().iter().map(part).collect::<Vec<_>>())) }

        /// The array with one axis sliced.
        slice_axis, try_slice_axis [] (&self, axis: Axis, indices: Slice) -> Self,
        errors "An axis out of range, positions beyond it, a step of 0.",
        { Self::wrapped(on_axis(&self.expr, axis, part(&indices.into()))) }

        /// The array with every axis sliced as `f` says.
        slice_each_axis, try_slice_each_axis [F: FnMut(Axis, usize) -> Slice] (&self, f: F) -> Self,
        errors "Positions beyond an axis, a step of 0.",
        {
            let mut f = f;
            let parts = self.shape().into_iter().enumerate().map(|(a, len)| part(&f(Axis(a), len).into()));
            Self::wrapped(self.expr.slice(&parts.collect::<Vec<_>>()))
        }

        /// The array at one position of an axis, which the result does not have.
        index_axis, try_index_axis [] (&self, axis: Axis, index: usize) -> Array<A, D::Smaller> where { D: RemoveAxis },
        errors "An axis out of range, a position beyond it.",
        { Array::wrapped(at(&self.expr, axis, index)) }

        /// The array at the given positions of an axis, in their order; positions may be repeated.
        ///
        /// Evenly spaced positions that follow one another are one slice; as many slices as there are
        /// otherwise are put together, so that thousands of scattered positions are slow.
        select, try_select [] (&self, axis: Axis, indices: &[usize]) -> Self where { D: RemoveAxis },
        errors "An axis out of range, a position beyond it.",
        { Self::wrapped(select(&self.expr, axis.index(), indices)) }

        /// The array before a position of an axis, and the rest.
        split_at, try_split_at [] (&self, axis: Axis, index: usize) -> (Self, Self),
        errors "An axis out of range, a position beyond its end.",
        {
            let len = axis_len(&self.expr, axis)?;
            if index > len {
                let (given, axis, expected) = (index.to_string(), axis.index(), "a position of at most the length");
                return Err(ExprError::Slice { given, axis, len, expected }.into());
            }
            let at = index as isize;
            let before = self.try_slice_axis(axis, Slice::new(0, Some(at), 1))?;
            Ok((before, self.try_slice_axis(axis, Slice::new(at, None, 1))?))
        }

        /// The arrays at each position of an axis, in order.
        axis_iter, try_axis_iter [] (&self, axis: Axis) -> std::vec::IntoIter<Array<A, D::Smaller>> where { D: RemoveAxis },
        errors "An axis out of range.",
        {
            let all = (0..axis_len(&self.expr, axis)?).map(|i| self.try_index_axis(axis, i));
            Ok(all.collect::<Result<Vec<_>>>()?.into_iter())
        }

        /// The differences of neighbours along an axis, taken `n` times: `n` elements fewer.
        diff, try_diff [] (&self, n: usize, axis: Axis) -> Self where { A: std::ops::Sub<Output = A> },
        errors "An axis out of range, or not longer than `n`.",
        {
            let len = axis_len(&self.expr, axis)?;
            if n > 0 && n >= len {
                let got = format!("{n} for an axis of length {len}");
                let expected = "fewer than the length";
                return Err(ExprError::Parameter { what: "number of differences", got, expected }.into());
            }
            let mut result = self.clone();
            for _ in 0..n {
                let (later, earlier) = (Slice::new(1, None, 1), Slice::new(0, Some(-1), 1));
                let (later, earlier) = (result.try_slice_axis(axis, later)?, result.try_slice_axis(axis, earlier)?);
                result = Self::wrapped(later.expr.binary(tilework_expr::BinaryOp::Sub, &earlier.expr))?;
            }
            Ok(result)
        }
    }

    /// The slice that ndarray's `s![..]` describes.
    ///
    /// # Panics
    /// Where [`Array::try_slice`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn slice_move<I: SliceArg<D>>(self, info: I) -> Array<A, I::OutDim> {
        self.slice(info)
    }

    /// The array at one position of an axis, which the result does not have.
    ///
    /// # Panics
    /// Where [`Array::try_index_axis`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn index_axis_move(self, axis: Axis, index: usize) -> Array<A, D::Smaller>
    where
        D: RemoveAxis,
    {
        self.index_axis(axis, index)
    }

    /// The arrays at each position of the first axis, in order.
    ///
    /// # Panics
    /// If the array has no axes.
    #[must_use]
    #[track_caller]
    pub fn outer_iter(&self) -> std::vec::IntoIter<Array<A, D::Smaller>>
    where
        D: RemoveAxis,
    {
        self.axis_iter(Axis(0))
    }
}

/// # Rows and columns
impl<A: Element> Array<A, Ix2> {
    /// Number of rows.
    #[must_use]
    pub fn nrows(&self) -> usize {
        self.len_of(Axis(0))
    }

    /// Number of columns.
    #[must_use]
    pub fn ncols(&self) -> usize {
        self.len_of(Axis(1))
    }

    /// Whether there are as many rows as columns.
    #[must_use]
    pub fn is_square(&self) -> bool {
        self.nrows() == self.ncols()
    }

    twins! {
        /// One row.
        row, try_row [] (&self, index: usize) -> Array<A, Ix1>,
        errors "A position beyond the last row.", { self.try_index_axis(Axis(0), index) }

        /// One column.
        column, try_column [] (&self, index: usize) -> Array<A, Ix1>,
        errors "A position beyond the last column.", { self.try_index_axis(Axis(1), index) }
    }
}

fn part(elem: &SliceInfoElem) -> Part {
    match *elem {
        SliceInfoElem::Slice { start, end, step } => Part::Range { start, end, step },
        SliceInfoElem::Index(i) => Part::At(i),
        SliceInfoElem::NewAxis => Part::NewAxis,
    }
}

pub(super) fn axis_len(expr: &Expr, axis: Axis) -> Result<usize> {
    let (axis, ndim) = (axis.index(), expr.ndim());
    expr.shape().get(axis).copied().ok_or(Error::Expr(ExprError::AxisOutOfRange { axis, ndim }))
}

/// A slice of one axis.
pub(super) fn on_axis(expr: &Expr, axis: Axis, part: Part) -> std::result::Result<Expr, ExprError> {
    let (axis, ndim) = (axis.index(), expr.ndim());
    let mut parts = vec![Part::Range { start: 0, end: None, step: 1 }; ndim];
    *parts.get_mut(axis).ok_or(ExprError::AxisOutOfRange { axis, ndim })? = part;
    expr.slice(&parts)
}

fn at(expr: &Expr, axis: Axis, index: usize) -> std::result::Result<Expr, ExprError> {
    // A position beyond the largest length of an axis is none from its end.
    on_axis(expr, axis, Part::At(isize::try_from(index).unwrap_or(isize::MAX)))
}

/// The array at these positions of an axis, as slices put after one another.
fn select(expr: &Expr, axis: usize, indices: &[usize]) -> std::result::Result<Expr, ExprError> {
    let ndim = expr.ndim();
    let &len = expr.shape().get(axis).ok_or(ExprError::AxisOutOfRange { axis, ndim })?;
    if let Some(beyond) = indices.iter().find(|&&i| i >= len) {
        let (given, expected) = (beyond.to_string(), "positions within the axis");
        return Err(ExprError::Slice { given, axis, len, expected });
    }
    if indices.is_empty() {
        return on_axis(expr, Axis(axis), Part::Range { start: 0, end: Some(0), step: 1 });
    }
    let parts = even_runs(indices).into_iter().map(|run| on_axis(expr, Axis(axis), run));
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

//! Arrays with other elements at some places: assignment to slices, masks and positions, as new arrays; positions put in and
//! left out.
//!
//! Knows of which parts they are put together. Must not know how elements find their chunks.

use super::pick::{Positions, checked, listed, resolved, row_major, scattered};
use super::{axis_of, cut, flat};
use crate::array::kinds::on_arrays;
use crate::array::twins::twins;
use crate::array::{Array, Array1, Operand, parts_of, select_positions};
use crate::error::Result;
use ndarray::{Axis, Dimension, SliceArg as Slices};
use num_traits::PrimInt;
use tilework_expr::{BinaryOp, Chunks, Element, Expr, ExprError, Scalar, SliceArg};

/// Slices that positions are put together from at most; of more, positions are listed.
const SLICES_MAX: usize = 64;

fn range(start: usize, end: usize) -> SliceArg {
    SliceArg::Range { start: start as isize, end: Some(end as isize), step: 1 }
}

fn flipped(expr: &Expr, axis: usize) -> Result<Expr> {
    cut(expr, axis, SliceArg::Range { start: 0, end: None, step: -1 })
}

/// Each position of an axis so many times, one after another.
fn repeated(expr: &Expr, axis: usize, times: usize) -> Result<Expr> {
    let (mut many, mut shape) = (expr.shape(), expr.shape());
    shape[axis] *= times;
    many.insert(axis + 1, times);
    Ok(expr.insert_axis(axis + 1)?.broadcast_to(&many)?.reshape(&shape)?)
}

/// The positions of an axis that a slice says: the lowest, how many, the distance of neighbours, whether from the highest down.
fn steps(part: &SliceArg, len: usize) -> Option<(usize, usize, usize, bool)> {
    let from_start = |at: isize| if at < 0 { (at + len as isize).max(0) as usize } else { at as usize };
    match *part {
        SliceArg::At(at) => Some((from_start(at), 1, 1, false)),
        SliceArg::Range { start, end, step } => {
            let (start, end) = (from_start(start), end.map_or(len, from_start));
            let by = step.unsigned_abs();
            let n = end.saturating_sub(start).div_ceil(by.max(1));
            let low = if step < 0 { end.saturating_sub(1 + n.saturating_sub(1) * by) } else { start };
            Some((low, n, by, step < 0))
        }
        SliceArg::NewAxis => None,
    }
}

/// An array with a slice of it replaced by values that broadcast to it.
fn with_slice(expr: &Expr, parts: &[SliceArg], values: &Expr) -> Result<Expr> {
    let slice = expr.slice(parts)?;
    let mut values = values.broadcast_to(&slice.shape())?;
    let mut boxed = Vec::new();
    let mut on: Option<Expr> = None;
    for (axis, part) in parts.iter().enumerate() {
        let Some((low, n, by, down)) = steps(part, expr.shape()[axis.min(expr.ndim().saturating_sub(1))])
        else {
            let expected = "slices and positions: the values may have fewer axes";
            return Err(ExprError::Parameter {
                what: "slice to assign to",
                got: "a new axis".into(),
                expected,
            }
            .into());
        };
        if n == 0 {
            return Ok(expr.clone());
        }
        if matches!(part, SliceArg::At(_)) {
            values = values.insert_axis(axis)?;
        }
        if down {
            values = flipped(&values, axis)?;
        }
        let span = (n - 1) * by + 1;
        if by > 1 && n > 1 {
            values = cut(&repeated(&values, axis, by)?, axis, range(0, span))?;
            let mut lens = vec![1; expr.ndim()];
            lens[axis] = span;
            let number = |n: i64| Expr::full(&[], &Chunks::Auto, Scalar::new(n));
            let at = Expr::index(&lens, &Chunks::Auto, axis)?;
            let hit = at.binary(BinaryOp::Rem, &number(by as i64)?)?.binary(BinaryOp::Eq, &number(0)?)?;
            on = Some(match on {
                None => hit,
                Some(on) => on.binary(BinaryOp::And, &hit)?,
            });
        }
        boxed.push((low, low + span));
    }
    let inner: Vec<SliceArg> = boxed.iter().map(|(low, high)| range(*low, *high)).collect();
    if let Some(on) = on {
        values = on.select(&values, &expr.slice(&inner)?)?;
    }
    surrounded(expr, &inner, &boxed, values)
}

/// A box of an array replaced: along the last axis first what is before and behind it, then along the one before.
fn surrounded(expr: &Expr, inner: &[SliceArg], boxed: &[(usize, usize)], values: Expr) -> Result<Expr> {
    let mut all = values;
    for axis in (0..expr.ndim()).rev() {
        let beside = |from: usize, to: usize| -> Result<Expr> {
            let full = SliceArg::Range { start: 0, end: None, step: 1 };
            let parts: Vec<SliceArg> = (0..expr.ndim())
                .map(|a| match a.cmp(&axis) {
                    std::cmp::Ordering::Less => inner[a],
                    std::cmp::Ordering::Equal => range(from, to),
                    std::cmp::Ordering::Greater => full,
                })
                .collect();
            Ok(expr.slice(&parts)?)
        };
        let mut parts = vec![beside(0, boxed[axis].0)?, all, beside(boxed[axis].1, expr.shape()[axis])?];
        parts.retain(|part| part.shape()[axis] > 0);
        all = Expr::concatenate(axis, &parts)?;
    }
    Ok(all.on_grid(expr.grid().clone())?)
}

/// An array with positions of an axis replaced: of several values for one position the last.
fn with_positions(expr: &Expr, axis: Axis, positions: Positions, values: &Expr) -> Result<Expr> {
    let at = listed(expr, axis, positions)?;
    let axis = axis_of(expr, axis)?;
    let mut shape = expr.shape();
    shape[axis] = at.len();
    let values = values.broadcast_to(&shape)?;
    if at.is_empty() {
        return Ok(expr.clone());
    }
    let len = expr.shape()[axis];
    let (mut from, mut hit) = (vec![0; len], vec![false; len]);
    for (i, at) in at.into_iter().enumerate() {
        (from[at], hit[at]) = (i, true);
    }
    let hit =
        (axis + 1..expr.ndim()).try_fold(Array1::from(hit).leaf()?, |hit, _| hit.insert_axis(hit.ndim()))?;
    Ok(hit.select(&values.take(axis, &from)?, expr)?.on_grid(expr.grid().clone())?)
}

/// A value for each of so many places: of one axis.
fn one_for_each(values: &Expr, n: usize, expected: &'static str) -> Result<Expr> {
    if values.len() == n || values.len() == 1 {
        return Ok(flat(values)?.broadcast_to(&[n])?);
    }
    let got = format!("{} for {n}", values.len());
    Err(ExprError::Parameter { what: "values to put", got, expected }.into())
}

/// Values put at row-major positions.
fn put(expr: &Expr, at: &Expr, values: &Expr) -> Result<Expr> {
    let at = flat(&checked(at, expr.len())?)?;
    let values = one_for_each(values, at.len(), "one for each position, or one for all")?;
    let put = scattered(&flat(expr)?, &at, &values)?;
    Ok(put.reshape(&expr.shape())?.on_grid(expr.grid().clone())?)
}

fn at_points(expr: &Expr, points: &[Expr], values: &Expr) -> Result<Expr> {
    let at = row_major(points, &expr.shape())?;
    put(expr, &at, &values.broadcast_to(&at.shape())?)
}

fn placed(expr: &Expr, mask: &Array<bool, ndarray::IxDyn>, values: &Expr) -> Result<Expr> {
    if mask.shape() != expr.shape() {
        return Err(ExprError::Broadcast { left: expr.shape(), right: mask.shape().to_vec() }.into());
    }
    let at = mask.try_flatnonzero()?.leaf()?;
    let values = one_for_each(values, at.len(), "one for each place where the mask is true, or one for all")?;
    put(expr, &at, &values)
}

/// Without some positions of an axis.
fn deleted(expr: &Expr, axis: Axis, positions: Positions) -> Result<Expr> {
    let mut at = listed(expr, axis, positions)?;
    let axis = axis_of(expr, axis)?;
    at.sort_unstable();
    at.dedup();
    let len = expr.shape()[axis];
    let mut kept: Vec<(usize, usize)> = Vec::new();
    let mut next = 0;
    for at in at {
        kept.push((next, at));
        next = at + 1;
    }
    kept.push((next, len));
    kept.retain(|(start, end)| start < end);
    if kept.is_empty() {
        return cut(expr, axis, range(0, 0));
    }
    if kept.len() > SLICES_MAX {
        let all: Vec<usize> = kept.into_iter().flat_map(|(start, end)| start..end).collect();
        return Ok(select_positions(expr, axis, &all)?);
    }
    let parts = kept.into_iter().map(|(start, end)| cut(expr, axis, range(start, end)));
    Ok(Expr::concatenate(axis, &parts.collect::<Result<Vec<_>>>()?)?)
}

/// With values before some positions of an axis: all before the only one, else one before each.
fn inserted(expr: &Expr, axis: Axis, positions: &[isize], values: &Expr) -> Result<Expr> {
    let axis = axis_of(expr, axis)?;
    let len = expr.shape()[axis];
    let before = |at: isize| if at == len as isize { Ok(len) } else { resolved(at, axis, len) };
    let at = positions.iter().map(|at| before(*at)).collect::<Result<Vec<_>>>()?;
    let mut shape = expr.shape();
    shape[axis] = match at.len() {
        1 if values.ndim() == expr.ndim() => values.shape()[axis],
        n => n,
    };
    let values = values.broadcast_to(&shape)?;
    let mut order: Vec<usize> = if at.len() == 1 { vec![0] } else { (0..at.len()).collect() };
    order.sort_by_key(|&i| at[i]);
    if order.len() > SLICES_MAX {
        // All of it one after another, and then in order.
        let (mut all, mut next) = (Vec::with_capacity(len + order.len()), 0);
        for i in order {
            all.extend(next..at[i]);
            all.push(len + i);
            next = at[i];
        }
        all.extend(next..len);
        return Ok(Expr::concatenate(axis, &[expr.clone(), values])?.take(axis, &all)?);
    }
    let (mut parts, mut next) = (Vec::new(), 0);
    for i in order {
        parts.push(cut(expr, axis, range(next, at[i]))?);
        parts.push(if at.len() == 1 { values.clone() } else { cut(&values, axis, range(i, i + 1))? });
        next = at[i];
    }
    parts.push(cut(expr, axis, range(next, len))?);
    parts.retain(|part| part.shape()[axis] > 0);
    if parts.is_empty() { Ok(expr.clone()) } else { Ok(Expr::concatenate(axis, &parts)?) }
}

/// # Other elements at some places
///
/// These give a new lazy array of the same shape, dtype and chunks; the array itself stays as it is.
impl<A: Element, S: crate::array::Data<Elem = A>, D: Dimension> crate::array::ArrayBase<S, D, A> {
    twins! {
        /// With a slice replaced by an array that broadcasts to it, or a value: NumPy's `x[1:3, ::2] = values`.
        ///
        /// ```
        /// use tilework::prelude::*;
        ///
        /// let x = Array2::<i32>::zeros((2, 4));
        /// let y = x.with_slice(s![1, ..;2], &arr1(&[7, 8]));
        /// assert_eq!(y.compute(), ndarray::arr2(&[[0, 0, 0, 0], [7, 0, 8, 0]]));
        /// ```
        with_slice, try_with_slice [I: Slices<D>, T: Operand<A, D>] (&self, slice: I, values: T) -> Array<A, D>,
        errors "Positions beyond an axis, a step of 0, a new axis; values that do not broadcast to the slice.",
        { Ok(Array::of_expr(with_slice(&self.leaf()?, &parts_of(&slice), &values.operand()?)?)) }

        /// With the elements where `mask` is true replaced by those of an array that broadcasts, or by a value: a masked
        /// fill, NumPy's `x[mask] = value` and `putmask`.
        ///
        /// ```
        /// use tilework::prelude::*;
        ///
        /// let x = arr1(&[1, -2, 3]);
        /// assert_eq!(x.with_mask(&x.less(0), 0).compute(), ndarray::arr1(&[1, 0, 3]));
        /// ```
        with_mask, try_with_mask [T: Operand<A, D>] (&self, mask: &Array<bool, D>, values: T) -> Array<A, D>,
        errors "A mask or values that do not broadcast to the array.",
        {
            let (expr, shape) = (self.leaf()?, self.shape());
            let (mask, values) = (mask.leaf()?.broadcast_to(shape)?, values.operand()?.broadcast_to(shape)?);
            Array::wrapped(mask.select(&values, &expr)?.on_grid(expr.grid().clone()))
        }

        /// With positions of an axis replaced by an array that broadcasts to as many of them, or by a value: NumPy's
        /// `x[:, [3, 1]] = values`. Of several values for one position it is the last. Positions are those of
        /// [`take`](Self::take).
        ///
        /// ```
        /// use tilework::prelude::*;
        ///
        /// let x = Array2::<i32>::zeros((2, 3));
        /// let y = x.with_positions(Axis(1), [2, 0], &arr1(&[7, 8]));
        /// assert_eq!(y.compute(), ndarray::arr2(&[[8, 0, 7], [8, 0, 7]]));
        /// ```
        with_positions, try_with_positions [T: Operand<A, D>] (&self, axis: Axis, positions: impl Into<Positions>, values: T) -> Array<A, D>,
        errors "An axis out of range, or of more than 2^24 positions; positions beyond it; a mask of another length; values that do not broadcast; a failed run.",
        { Ok(Array::of_expr(with_positions(&self.leaf()?, axis, positions.into(), &values.operand()?)?)) }

        /// With the elements at points replaced, for which see [`vindex`](Self::vindex), by those of an array of the points'
        /// shape or that broadcasts to it: NumPy's `x[i, j] = values`. Of several values for one point it is the last. No
        /// run is needed, however lazy the points are.
        with_points, try_with_points [I: Element + PrimInt, E: Dimension, T: Operand<A, E>] (&self, points: &[&Array<I, E>], values: T) -> Array<A, D>,
        errors "Another number of arrays than of axes; shapes that do not broadcast. The computation fails at positions beyond an axis.",
        {
            let points = points.iter().map(|at| at.leaf()).collect::<Result<Vec<_>>>()?;
            Ok(Array::of_expr(at_points(&self.leaf()?, &points, &values.operand()?)?))
        }

        /// With values put at row-major positions, negative ones from the end: NumPy's `put`, as a new array. There is a
        /// value for each position, or one for all; of several for one position it is the last.
        ///
        /// ```
        /// use tilework::prelude::*;
        ///
        /// let x = Array2::<i32>::zeros((2, 2));
        /// let y = x.put(&arr1(&[1, -1]), &arr1(&[5, 6]));
        /// assert_eq!(y.compute(), ndarray::arr2(&[[0, 5], [0, 6]]));
        /// ```
        put, try_put [I: Element + PrimInt] (&self, positions: &Array1<I>, values: &Array1<A>) -> Array<A, D>,
        errors "Another number of values. The computation fails at positions beyond the array.",
        { Ok(Array::of_expr(put(&self.leaf()?, &positions.leaf()?, &values.leaf()?)?)) }

        /// With values put where `mask` is true, one after another in row-major order: NumPy's `x[mask] = values` and
        /// `place`. One run finds out how many there are.
        ///
        /// ```
        /// use tilework::prelude::*;
        ///
        /// let x = arr1(&[1, 2, 3, 4]);
        /// let even = arr1(&[false, true, false, true]);
        /// assert_eq!(x.with_masked(&even, &arr1(&[20, 40])).compute(), ndarray::arr1(&[1, 20, 3, 40]));
        /// ```
        with_masked, try_with_masked [] (&self, mask: &Array<bool, D>, values: &Array1<A>) -> Array<A, D>,
        errors "A mask of another shape; another number of values than of places; a failed run.",
        { Ok(Array::of_expr(placed(&self.leaf()?, &Array::of_expr(mask.leaf()?), &values.leaf()?)?)) }
    }
}

on_arrays!({ A: Element } {
    twins! {
        /// Without some positions of an axis, which are those of [`take`](Self::take): NumPy's `delete`. A lazy array.
        ///
        /// ```
        /// use tilework::prelude::*;
        ///
        /// let x = arr1(&[1, 2, 3, 4]);
        /// assert_eq!(x.delete(Axis(0), [0, -1]).compute(), ndarray::arr1(&[2, 3]));
        /// ```
        delete, try_delete [] (&self, axis: Axis, positions: impl Into<Positions>) -> Array<A, D>,
        errors "An axis out of range; positions beyond it; more than 64 gaps in an axis of more than 2^24; a failed run.",
        { Ok(Array::of_expr(deleted(&self.leaf()?, axis, positions.into())?)) }

        /// With values before positions of an axis, negative ones from the end, its length for the end: NumPy's `insert`.
        /// Before a single position all values are put that there are along the axis, before several one each. A lazy array.
        ///
        /// ```
        /// use tilework::prelude::*;
        ///
        /// let x = arr1(&[1, 2, 3]);
        /// assert_eq!(x.insert(Axis(0), &[1], &arr1(&[8, 9])).compute(), ndarray::arr1(&[1, 8, 9, 2, 3]));
        /// assert_eq!(x.insert(Axis(0), &[0, 3], &arr1(&[8, 9])).compute(), ndarray::arr1(&[8, 1, 2, 3, 9]));
        /// ```
        insert, try_insert [T: Operand<A, D>] (&self, axis: Axis, positions: &[isize], values: T) -> Array<A, D>,
        errors "An axis out of range; positions beyond its end; values that do not broadcast; more than 64 positions in an axis of more than 2^24.",
        { Ok(Array::of_expr(inserted(&self.leaf()?, axis, positions, &values.operand()?)?)) }
    }
});

//! Chosen elements: at positions along axes, at points, where masks are true.
//!
//! Knows of which stages they are made. What depends on values, as how many elements a mask chooses, one run finds out. Must
//! not know how positions are looked up.

use super::count::counts;
use super::{axis_of, exchange, flat, one_each, same, same_but, stage, with_axis};
use crate::array::kinds::on_arrays;
use crate::array::twins::twins;
use crate::array::{Array, Array1, Array2, select_positions, try_compute_all};
use crate::error::{Error, Result, or_panic};
use ndarray::{Axis, Dimension};
use num_traits::PrimInt;
use tilework_expr::{Along, BinaryOp, Chunks, DType, Element, Expr, ExprError, Gives, Read, Scalar};
use tilework_kernels::library::pick;
use tilework_plan::{AxisGrid, Grid};

/// Positions of an axis: a list, an array of integers, lazy or not, or a mask with one element for each position. Negative ones
/// count from the end, as NumPy's do.
///
/// ```
/// use tilework::prelude::*;
/// use tilework::Positions;
///
/// let x = arr1(&[10, 20, 30, 40]);
/// assert_eq!(x.take(Axis(0), [0, -1]).compute(), ndarray::arr1(&[10, 40]));
/// assert_eq!(x.take(Axis(0), &arr1(&[2u64, 2])).compute(), ndarray::arr1(&[30, 30]));
/// let odd: Positions = (&arr1(&[false, true, false, true])).into();
/// assert_eq!(x.take(Axis(0), odd).compute(), ndarray::arr1(&[20, 40]));
/// ```
#[derive(Debug)]
pub struct Positions(Kind);

#[derive(Debug)]
enum Kind {
    Listed(Vec<isize>),
    /// Of one axis, `i64`.
    Of(Result<Expr>),
    Mask(Result<Expr>),
}

impl From<Vec<isize>> for Positions {
    fn from(at: Vec<isize>) -> Positions {
        Positions(Kind::Listed(at))
    }
}

impl From<&[isize]> for Positions {
    fn from(at: &[isize]) -> Positions {
        Positions(Kind::Listed(at.to_vec()))
    }
}

impl<const N: usize> From<[isize; N]> for Positions {
    fn from(at: [isize; N]) -> Positions {
        Positions(Kind::Listed(at.to_vec()))
    }
}

macro_rules! of_arrays {
    ($($t:ty)*) => { $(
        impl From<&Array1<$t>> for Positions {
            fn from(at: &Array1<$t>) -> Positions {
                Positions(Kind::Of(at.leaf().and_then(|expr| signed(&expr))))
            }
        }
    )* };
}
of_arrays! { i8 i16 i32 i64 u8 u16 u32 u64 }

impl From<&Array1<bool>> for Positions {
    fn from(mask: &Array1<bool>) -> Positions {
        Positions(Kind::Mask(mask.leaf()))
    }
}

/// Positions as numbers with a sign. Those that are too large for that are beyond any axis too.
fn signed(at: &Expr) -> Result<Expr> {
    if at.dtype() != DType::U64 {
        return Ok(at.cast(DType::I64)?);
    }
    let most = Expr::full(&[], &Chunks::Auto, Scalar::new(i64::MAX as u64))?;
    Ok(at.binary(BinaryOp::Min, &most)?.cast(DType::I64)?)
}

/// What is known of positions after a run.
enum Found {
    At(Vec<usize>),
    /// A mask on the axis' own chunks, and how many it chooses of each.
    Mask(Expr, Vec<usize>),
}

/// A position of an axis, from its end where it is negative.
pub(super) fn resolved(at: isize, axis: usize, len: usize) -> Result<usize> {
    let from_start = if at < 0 { at.checked_add_unsigned(len) } else { Some(at) };
    let inside = from_start.and_then(|at| usize::try_from(at).ok()).filter(|at| *at < len);
    let (given, expected) = (at.to_string(), "positions within the axis");
    inside.ok_or_else(|| ExprError::Slice { given, axis, len, expected }.into())
}

/// Finds out all positions in one run, where one is needed.
fn found(expr: &Expr, of: Vec<(Axis, Positions)>) -> Result<Vec<(usize, Found)>> {
    let (mut known, mut asked) = (Vec::new(), Vec::new());
    for (axis, positions) in of {
        let axis = axis_of(expr, axis)?;
        if known.iter().any(|(other, _, _)| *other == axis) {
            let expected = "different ones";
            return Err(ExprError::Axes { axes: vec![axis, axis], ndim: expr.ndim(), expected }.into());
        }
        let mut mask = None;
        let listed = match positions.0 {
            Kind::Listed(at) => Some(at),
            Kind::Of(at) => {
                asked.push(Array1::<i64>::of_expr(at?));
                None
            }
            Kind::Mask(given) => {
                let given = given?;
                one_each("elements of a mask", &given, (expr, axis))?;
                let given = given.on_grid(Grid::new(vec![expr.grid().axes()[axis].clone()]))?;
                asked.push(Array::of_expr(counts(&given)?.cast(DType::I64)?));
                mask = Some(given);
                None
            }
        };
        known.push((axis, listed, mask));
    }
    let mut computed = if asked.is_empty() { Vec::new() } else { try_compute_all(&asked)? }.into_iter();
    let mut next =
        || computed.next().map(|found| found.into_iter().map(|at| at as isize).collect::<Vec<_>>());
    let each = |(axis, listed, mask): (usize, Option<Vec<isize>>, Option<Expr>)| {
        let at = listed.or_else(&mut next).unwrap_or_default();
        let found = match mask {
            Some(mask) => Found::Mask(mask, at.into_iter().map(isize::unsigned_abs).collect()),
            None => {
                let len = expr.shape()[axis];
                Found::At(at.into_iter().map(|at| resolved(at, axis, len)).collect::<Result<_>>()?)
            }
        };
        Ok((axis, found))
    };
    known.into_iter().map(each).collect()
}

/// The positions of one axis as a list.
pub(super) fn listed(expr: &Expr, axis: Axis, positions: Positions) -> Result<Vec<usize>> {
    let kind = match positions.0 {
        Kind::Mask(mask) => {
            let mask = mask?;
            one_each("elements of a mask", &mask, (expr, axis_of(expr, axis)?))?;
            let mask = Array1::<bool>::of_expr(mask).try_compute()?;
            return Ok((0..).zip(mask).filter(|(_, chosen)| *chosen).map(|(at, _)| at).collect());
        }
        kind => kind,
    };
    let at = |(_, found)| match found {
        Found::At(at) => at,
        Found::Mask(..) => Vec::new(),
    };
    Ok(found(expr, vec![(axis, Positions(kind))])?.into_iter().flat_map(at).collect())
}

/// So many positions of an array of one axis are data of tasks; fewer are part of the plan, which then reads no more than it
/// must.
const GATHERED_MIN: usize = 1 << 12;

fn chosen(expr: &Expr, axis: usize, found: Found) -> Result<Expr> {
    match found {
        Found::At(at) if expr.ndim() == 1 && at.len() >= GATHERED_MIN => {
            let at: Vec<u64> = at.into_iter().map(|at| at as u64).collect();
            gathered(expr, &Array1::from(ndarray::Array1::from(at)).leaf()?)
        }
        Found::At(at) => Ok(select_positions(expr, axis, &at)?),
        Found::Mask(mask, lens) => compressed(expr, axis, &mask, &lens),
    }
}

fn outer(expr: &Expr, of: Vec<(Axis, Positions)>) -> Result<Expr> {
    found(expr, of)?.into_iter().try_fold(expr.clone(), |expr, (axis, found)| chosen(&expr, axis, found))
}

/// The positions that a mask on the axis' own chunks chooses, so many of each.
pub(super) fn compressed(expr: &Expr, axis: usize, mask: &Expr, lens: &[usize]) -> Result<Expr> {
    if lens.iter().all(|&n| n == 0) {
        let mut shape = expr.shape();
        shape[axis] = 0;
        return Ok(Expr::full(&shape, &Chunks::Auto, Scalar::from_bits(expr.dtype(), 0))?);
    }
    let out = with_axis(expr.grid(), axis, AxisGrid::explicit(lens));
    let inputs = [(expr, same(expr.ndim())), (mask, Read::Box(vec![Along::same(axis)]))];
    let kept = stage(pick::compress(axis, expr.dtype()), &inputs, expr.grid(), &out)?;
    let filled: Vec<usize> = lens.iter().copied().filter(|&n| n > 0).collect();
    if filled.len() == lens.len() {
        return Ok(kept);
    }
    Ok(kept.on_grid(with_axis(expr.grid(), axis, AxisGrid::explicit(&filled)))?)
}

/// Positions of an axis of `len` from its start, which are looked at when they are computed.
pub(super) fn checked(at: &Expr, len: usize) -> Result<Expr> {
    let at = signed(at)?;
    stage(pick::within(len), &[(&at, same(at.ndim()))], at.grid(), at.grid())
}

/// An array of one axis without chunks that are empty, and how its axis is cut.
fn filled(expr: &Expr) -> Result<(Expr, AxisGrid)> {
    let lens: Vec<usize> = expr.grid().axes()[0].chunk_lens();
    if !lens.contains(&0) {
        return Ok((expr.clone(), expr.grid().axes()[0].clone()));
    }
    let axis = AxisGrid::explicit(&lens.into_iter().filter(|&n| n > 0).collect::<Vec<_>>());
    Ok((expr.on_grid(Grid::new(vec![axis.clone()]))?, axis))
}

fn numbers_of(axis: &AxisGrid, size: usize, n: usize) -> Gives {
    Gives { n: n as u32, bytes_guess: (axis.chunk_max() * size + 8 * (n + 1)) as u64 }
}

fn along(axis: &AxisGrid) -> Grid {
    Grid::new(vec![axis.clone()])
}

/// The elements of an array of one axis at positions that are within it, of one axis too.
pub(super) fn gathered(expr: &Expr, at: &Expr) -> Result<Expr> {
    let dtype = expr.dtype();
    if at.is_empty() {
        return Ok(Expr::full(&[0], &Chunks::Auto, Scalar::from_bits(dtype, 0))?);
    }
    if expr.is_empty() {
        let (given, expected) = (format!("{} positions", at.len()), "positions within the axis");
        return Err(ExprError::Slice { given, axis: 0, len: 0, expected }.into());
    }
    let ((expr, own), (at, theirs)) = (filled(expr)?, filled(at)?);
    if own.n_chunks() == 1 {
        let inputs = [(&expr, Read::Box(vec![Along::All])), (&at, same(1))];
        return stage(pick::gather(dtype), &inputs, at.grid(), at.grid());
    }
    let gives = numbers_of(&theirs, size_of::<u64>(), own.n_chunks());
    let asks = exchange(pick::asks(&own), &[(&at, same(1))], &along(&theirs), gives)?;
    let gives = numbers_of(&own, dtype.size(), theirs.n_chunks());
    let inputs = [(&expr, same(1)), (&asks, Read::Block)];
    let answers = exchange(pick::answers(dtype), &inputs, &along(&own), gives)?;
    let inputs = [(&at, same(1)), (&answers, Read::Block)];
    stage(pick::placed(&own, dtype), &inputs, at.grid(), at.grid())
}

/// An array of one axis with other elements at some of its positions, which are within it.
pub(super) fn scattered(expr: &Expr, at: &Expr, values: &Expr) -> Result<Expr> {
    let dtype = expr.dtype();
    if at.is_empty() {
        return Ok(expr.clone());
    }
    if expr.is_empty() {
        let (given, expected) = (format!("{} positions", at.len()), "positions within the axis");
        return Err(ExprError::Slice { given, axis: 0, len: 0, expected }.into());
    }
    let ((expr, own), (at, theirs)) = (filled(expr)?, filled(at)?);
    let values = values.on_grid(along(&theirs))?;
    let gives = numbers_of(&theirs, size_of::<u64>() + dtype.size(), own.n_chunks());
    let inputs = [(&at, same(1)), (&values, same(1))];
    let sends = exchange(pick::sends(&own, dtype), &inputs, &along(&theirs), gives)?;
    let inputs = [(&expr, same(1)), (&sends, Read::Block)];
    stage(pick::takes(dtype), &inputs, &along(&own), &along(&own))
}

/// Row-major positions of points, each axis of which has an array of positions.
pub(super) fn row_major(points: &[Expr], shape: &[usize]) -> Result<Expr> {
    if points.len() != shape.len() {
        let got = format!("{} for {} axes", points.len(), shape.len());
        let expected = "one for each axis";
        return Err(ExprError::Parameter { what: "arrays of positions", got, expected }.into());
    }
    let number = |n: usize| Expr::full(&[], &Chunks::Auto, Scalar::new(n as u64));
    let mut all: Option<Expr> = None;
    for (at, &len) in points.iter().zip(shape) {
        let at = checked(at, len)?;
        all = Some(match all {
            None => at,
            Some(before) => before.binary(BinaryOp::Mul, &number(len)?)?.binary(BinaryOp::Add, &at)?,
        });
    }
    Ok(match all {
        Some(all) => all,
        None => number(0)?,
    })
}

/// The positions along each axis of row-major positions within a shape.
pub(super) fn along_axes(at: &Expr, shape: &[usize]) -> Result<Vec<Expr>> {
    let number = |n: usize| Expr::full(&[], &Chunks::Auto, Scalar::new(n as u64));
    let of = |axis: usize| -> Result<Expr> {
        let behind: usize = shape[axis + 1..].iter().product();
        let at = if behind == 1 { at.clone() } else { at.binary(BinaryOp::Div, &number(behind.max(1))?)? };
        Ok(if axis == 0 { at } else { at.binary(BinaryOp::Rem, &number(shape[axis].max(1))?)? })
    };
    (0..shape.len()).map(of).collect()
}

fn leaves<A: Element, E: Dimension>(arrays: &[&Array<A, E>]) -> Result<Vec<Expr>> {
    arrays.iter().map(|array| array.leaf()).collect()
}

/// The elements at points, of whose arrays of positions the result has the shape.
fn at_points(expr: &Expr, points: &[Expr]) -> Result<Expr> {
    let at = row_major(points, &expr.shape())?;
    Ok(gathered(&flat(expr)?, &flat(&at)?)?.reshape(&at.shape())?)
}

fn lanes(expr: &Expr, axis: Axis, at: &Expr) -> Result<Expr> {
    let axis = axis_of(expr, axis)?;
    let fits =
        expr.ndim() == at.ndim() && (0..expr.ndim()).all(|a| a == axis || expr.shape()[a] == at.shape()[a]);
    if !fits {
        return Err(ExprError::Broadcast { left: expr.shape(), right: at.shape() }.into());
    }
    let checked = checked(at, expr.shape()[axis])?;
    if expr.ndim() == 1 {
        return gathered(expr, &checked);
    }
    let inputs = [(expr, same_but(expr.ndim(), axis, Along::All)), (&checked, same(expr.ndim()))];
    stage(pick::take_along(axis, expr.dtype()), &inputs, checked.grid(), checked.grid())
}

/// Where elements are not 0.
fn nonzero(expr: &Expr) -> Result<Expr> {
    let zero = Expr::full(&[], &Chunks::Auto, Scalar::from_bits(expr.dtype(), 0))?;
    Ok(if expr.dtype() == DType::Bool { expr.clone() } else { expr.binary(BinaryOp::Ne, &zero)? })
}

fn nonzero_along(expr: &Expr) -> Result<Vec<Expr>> {
    let at = Array::<bool, ndarray::IxDyn>::of_expr(nonzero(expr)?).try_flatnonzero()?.leaf()?;
    along_axes(&at, &expr.shape())
}

on_arrays!({ A: Element } {
    twins! {
        /// The positions of an axis that are given, in their order, as NumPy's `take`: a list, an array of integers, or a
        /// mask (see [`Positions`]); negative ones count from the end, and they may be repeated. A lazy array; where the
        /// positions are lazy one run finds them out, of a mask how many there are of each chunk.
        /// [`select`](Self::select), which is ndarray's, takes a list.
        take, try_take [] (&self, axis: Axis, positions: impl Into<Positions>) -> Array<A, D>,
        errors "An axis out of range; positions beyond it, or more than 2^24 of an array of several axes; a mask of another length; a failed run.",
        { Ok(Array::of_expr(outer(&self.leaf()?, vec![(axis, positions.into())])?)) }

        /// The positions of several axes that are given, each axis for itself, so that the result is a box of chosen rows,
        /// columns and so on: NumPy's `x[np.ix_(..)]`, also called outer indexing. A lazy array; one run finds out
        /// whatever of all positions is lazy.
        ///
        /// ```
        /// use tilework::prelude::*;
        ///
        /// let x = arr2(&[[1, 2, 3], [4, 5, 6], [7, 8, 9]]);
        /// let rows = arr1(&[true, false, true]);
        /// let corners = x.select_axes(vec![(Axis(0), (&rows).into()), (Axis(1), [-1, 0].into())]);
        /// assert_eq!(corners.compute(), ndarray::arr2(&[[3, 1], [9, 7]]));
        /// ```
        select_axes, try_select_axes [] (&self, positions: Vec<(Axis, Positions)>) -> Array<A, D>,
        errors "An axis out of range, or given twice; positions beyond it, or more than 2^24 of an array of several axes; a mask of another length; a failed run.",
        { Ok(Array::of_expr(outer(&self.leaf()?, positions)?)) }

        /// The positions of an axis at which a mask is true: [`take`](Self::take) of a mask, under NumPy's name.
        compress, try_compress [] (&self, axis: Axis, mask: &Array1<bool>) -> Array<A, D>,
        errors "An axis out of range; a mask of another length; a failed run.",
        { self.try_take(axis, mask) }

        /// The elements at points: of an array of positions for each axis, which broadcast together and whose shape the
        /// result has, element by element, as NumPy's `x[i, j]` of arrays; also called pointwise indexing. Negative
        /// positions count from the end. A lazy array: no run is needed, however lazy the positions are.
        ///
        /// ```
        /// use tilework::prelude::*;
        ///
        /// let x = arr2(&[[1, 2, 3], [4, 5, 6]]);
        /// let (rows, columns) = (arr1(&[0, 1, -1]), arr1(&[2, 0, -1]));
        /// assert_eq!(x.vindex(&[&rows, &columns]).compute(), ndarray::arr1(&[3, 4, 6]));
        /// ```
        vindex, try_vindex [I: Element + PrimInt, E: Dimension] (&self, points: &[&Array<I, E>]) -> Array<A, E>,
        errors "Another number of arrays than of axes; shapes that do not broadcast together. The computation fails at positions beyond an axis.",
        { Ok(Array::of_expr(at_points(&self.leaf()?, &leaves(points)?)?)) }

        /// Of each lane along an axis the elements at positions of its own: an array of as many axes, as long along the
        /// others, as [`argsort`](Self::argsort) gives it. Negative positions count from the end. A lazy array of the
        /// positions' shape. Of arrays of several axes a task has whole lanes.
        ///
        /// ```
        /// use tilework::prelude::*;
        ///
        /// let x = arr2(&[[3, 1, 2], [4, 6, 5]]);
        /// let order = x.argsort(Axis(1));
        /// assert_eq!(x.take_along_axis(Axis(1), &order).compute(), ndarray::arr2(&[[1, 2, 3], [4, 5, 6]]));
        /// ```
        take_along_axis, try_take_along_axis [I: Element + PrimInt] (&self, axis: Axis, positions: &Array<I, D>) -> Array<A, D>,
        errors "An axis out of range; positions of another shape along other axes. The computation fails at positions beyond the axis.",
        { Ok(Array::of_expr(lanes(&self.leaf()?, axis, &positions.leaf()?)?)) }

        /// Where elements are not 0, or true: of each axis an array of positions, all in row-major order of the elements.
        /// One run finds out how many there are of each chunk; the results are lazy.
        ///
        /// ```
        /// use tilework::prelude::*;
        ///
        /// let x = arr2(&[[0, 5], [7, 0]]);
        /// let at = x.nonzero();
        /// assert_eq!(at[0].compute(), ndarray::arr1(&[0, 1]));
        /// assert_eq!(at[1].compute(), ndarray::arr1(&[1, 0]));
        /// assert_eq!(x.argwhere().compute(), ndarray::arr2(&[[0, 1], [1, 0]]));
        /// ```
        nonzero, try_nonzero [] (&self) -> Vec<Array1<u64>>,
        errors "A failed run.",
        { Ok(nonzero_along(&self.leaf()?)?.into_iter().map(Array::of_expr).collect()) }

        /// As [`nonzero`](Self::nonzero), with a row for each element and a column for each axis.
        argwhere, try_argwhere [] (&self) -> Array2<u64>,
        errors "A failed run; an array without axes.",
        { Ok(Array::of_expr(Expr::stack(1, &nonzero_along(&self.leaf()?)?)?)) }
    }
});

on_arrays!({ A: Element + PrimInt } {
    twins! {
        /// The positions along each axis of elements of a shape whose row-major positions these are: NumPy's
        /// `unravel_index`. Lazy arrays of the same shape.
        ///
        /// ```
        /// use tilework::prelude::*;
        ///
        /// let at = arr1(&[0, 5]).unravel_index(&[2, 3]);
        /// assert_eq!(at[1].compute(), ndarray::arr1(&[0, 2]));
        /// let (rows, columns) = (&at[0], &at[1]);
        /// assert_eq!(tilework::ravel_multi_index(&[rows, columns], &[2, 3]).compute(), ndarray::arr1(&[0, 5]));
        /// ```
        unravel_index, try_unravel_index [] (&self, shape: &[usize]) -> Vec<Array<u64, D>>,
        errors "A shape with more elements than can be counted. The computation fails at positions beyond it.",
        {
            let n = shape.iter().try_fold(1usize, |n, &len| n.checked_mul(len));
            let n = n.ok_or_else(|| Error::from(ExprError::TooLarge { shape: shape.to_vec(), itemsize: 1 }))?;
            let at = checked(&self.leaf()?, n)?;
            Ok(along_axes(&at, shape)?.into_iter().map(Array::of_expr).collect())
        }
    }
});

/// The row-major positions in a shape of elements whose positions along each axis are given: NumPy's `ravel_multi_index`. A
/// lazy array of their common shape.
///
/// # Panics
/// Where [`try_ravel_multi_index`] returns an error.
#[must_use]
#[track_caller]
pub fn ravel_multi_index<I: Element + PrimInt, D: Dimension>(
    points: &[&Array<I, D>],
    shape: &[usize],
) -> Array<u64, D> {
    or_panic(try_ravel_multi_index(points, shape))
}

/// [`ravel_multi_index`] that returns what goes wrong.
///
/// # Errors
/// No arrays, or another number than of axes; shapes that do not broadcast together; a shape with more elements than can be
/// counted. The computation fails at positions beyond an axis.
pub fn try_ravel_multi_index<I: Element + PrimInt, D: Dimension>(
    points: &[&Array<I, D>],
    shape: &[usize],
) -> Result<Array<u64, D>> {
    if points.is_empty() {
        return Err(ExprError::NoArrays { op: "ravel_multi_index" }.into());
    }
    let counted = shape.iter().try_fold(1usize, |n, &len| n.checked_mul(len));
    counted.ok_or_else(|| Error::from(ExprError::TooLarge { shape: shape.to_vec(), itemsize: 1 }))?;
    Ok(Array::of_expr(row_major(&leaves(points)?, shape)?))
}

/// For each element of `index` the element of the array of that number: NumPy's `choose`. All broadcast together; a lazy array.
///
/// ```
/// use tilework::prelude::*;
///
/// let index = arr1(&[1, 0, 1]);
/// let (a, b) = (arr1(&[1.0, 2.0, 3.0]), arr1(&[10.0, 20.0, 30.0]));
/// assert_eq!(tilework::choose(&index, &[&a, &b]).compute(), ndarray::arr1(&[10.0, 2.0, 30.0]));
/// ```
///
/// # Panics
/// Where [`try_choose`] returns an error.
#[must_use]
#[track_caller]
pub fn choose<A: Element, I: Element + PrimInt, D: Dimension>(
    index: &Array<I, D>,
    arrays: &[&Array<A, D>],
) -> Array<A, D> {
    or_panic(try_choose(index, arrays))
}

/// [`choose`] that returns what goes wrong.
///
/// # Errors
/// No arrays; shapes that do not broadcast together. The computation fails at numbers that no array has.
pub fn try_choose<A: Element, I: Element + PrimInt, D: Dimension>(
    index: &Array<I, D>,
    arrays: &[&Array<A, D>],
) -> Result<Array<A, D>> {
    let arrays = leaves(arrays)?;
    let Some((last, others)) = arrays.split_last() else {
        return Err(ExprError::NoArrays { op: "choose" }.into());
    };
    let index = checked(&index.leaf()?, arrays.len())?;
    let mut chosen = last.clone();
    for (i, array) in others.iter().enumerate() {
        let number = Expr::full(&[], &Chunks::Auto, Scalar::new(i as u64))?;
        chosen = index.binary(BinaryOp::Eq, &number)?.select(array, &chosen)?;
    }
    // Of a single array too the numbers are looked at, and its shape is the common one.
    let any = index.binary(BinaryOp::Ge, &Expr::full(&[], &Chunks::Auto, Scalar::new(0u64))?)?;
    Ok(Array::of_expr(any.select(&chosen, last)?))
}

/// The elements of the first array whose condition is true, and `otherwise` where none is: NumPy's `select`, and its
/// `piecewise` with the functions applied. All broadcast together; a lazy array.
///
/// ```
/// use tilework::prelude::*;
///
/// let x = arr1(&[-2.0, 0.5, 3.0]);
/// let clipped = tilework::select(&[&x.less(0.0), &x.greater(1.0)], &[&x.mapv(|_| 0.0), &(&x * 10.0)], 0.5);
/// assert_eq!(clipped.compute(), ndarray::arr1(&[0.0, 0.5, 30.0]));
/// ```
///
/// # Panics
/// Where [`try_select`] returns an error.
#[must_use]
#[track_caller]
pub fn select<A: Element, D: Dimension>(
    conditions: &[&Array<bool, D>],
    arrays: &[&Array<A, D>],
    otherwise: A,
) -> Array<A, D> {
    or_panic(try_select(conditions, arrays, otherwise))
}

/// [`select`] that returns what goes wrong.
///
/// # Errors
/// No conditions, or another number than of arrays; shapes that do not broadcast together.
pub fn try_select<A: Element, D: Dimension>(
    conditions: &[&Array<bool, D>],
    arrays: &[&Array<A, D>],
    otherwise: A,
) -> Result<Array<A, D>> {
    if conditions.is_empty() || conditions.len() != arrays.len() {
        let got = format!("{} for {} arrays", conditions.len(), arrays.len());
        return Err(ExprError::Parameter { what: "conditions", got, expected: "one for each array" }.into());
    }
    let mut chosen = Expr::full(&[], &Chunks::Auto, Scalar::new(otherwise))?;
    for (condition, array) in conditions.iter().zip(arrays).rev() {
        chosen = condition.leaf()?.select(&array.leaf()?, &chosen)?;
    }
    Ok(Array::of_expr(chosen))
}

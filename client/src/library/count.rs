//! Counting and finding: histograms, counts of small numbers, what a mask chooses, distinct elements, places in sorted ones.
//!
//! Where the size of a result depends on values, one run finds it out, and the result is lazy again. Knows of which stages
//! these are made.

use super::order::whole;
use super::pick::compressed;
use super::{added_up, exchange, flat, same, stage};
use crate::array::kinds::on_arrays;
use crate::array::{Array, Array1, ArrayBase, Data};
use crate::error::{Result, or_panic};
use ndarray::{Dimension, Ix1};
use tilework_expr::{
    Along, BinaryOp, Chunks, DType, Element, Expr, ExprError, Gives, OwnFunction, Read, Scalar, SliceArg,
    UnaryOp,
};
use tilework_kernels::library::count::{self, Search};
use tilework_kernels::library::ranges;
use tilework_plan::{AxisGrid, Grid};

/// What each chunk comes to in so many numbers, added up over all chunks.
pub(super) fn summed(own: OwnFunction, inputs: &[&Expr], n: usize) -> Result<Expr> {
    let read = |expr: &&Expr| same(expr.ndim());
    added_up(own, &inputs.iter().map(|expr| (*expr, read(expr))).collect::<Vec<_>>(), n)
}

/// How many elements, or what weights, lie in each bin. Edges are an array that all tasks read, so that there may be any
/// number of them.
fn histogram(expr: &Expr, edges: &[f64], weights: Option<&Expr>) -> Result<Expr> {
    let line = Array1::from(ndarray::Array1::from(edges.to_vec())).leaf()?;
    let line = line.rechunk(&Chunks::from(-1))?;
    let mut inputs = vec![(expr, same(expr.ndim())), (&line, Read::Box(vec![Along::All]))];
    inputs.extend(weights.map(|weights| (weights, same(expr.ndim()))));
    added_up(count::histogram(expr.dtype(), weights.is_some()), &inputs, edges.len() - 1)
}

pub(super) fn check_edges(edges: &[f64]) -> Result<()> {
    if edges.len() >= 2 && edges.windows(2).all(|w| w[0] < w[1]) && edges.iter().all(|e| e.is_finite()) {
        return Ok(());
    }
    let got = format!("{edges:?}").chars().take(80).collect();
    Err(ExprError::Parameter {
        what: "edges of a histogram",
        got,
        expected: "two or more, rising and finite",
    }
    .into())
}

/// Weights on an array's own chunks.
pub(super) fn like(weights: &Expr, expr: &Expr) -> Result<Expr> {
    if weights.shape() != expr.shape() {
        return Err(ExprError::Broadcast { left: expr.shape(), right: weights.shape() }.into());
    }
    Ok(weights.on_grid(expr.grid().clone())?)
}

/// The elements that a mask chooses, of one axis each: how many there are in each chunk is found out in one run.
pub(super) fn extracted(expr: &Expr, mask: &Expr) -> Result<Expr> {
    let expr = flat(expr)?;
    let mask = like(&flat(mask)?, &expr)?;
    compressed(&expr, 0, &mask, &counted(&mask)?)
}

/// How many elements of a mask of one axis are true in each chunk.
pub(super) fn counts(mask: &Expr) -> Result<Expr> {
    let counts = Grid::new(vec![AxisGrid::regular(mask.grid().n_chunks() as usize, 1)]);
    stage(count::count_true(), &[(mask, same(1))], mask.grid(), &counts)
}

/// How many elements of a mask of one axis are true in each chunk, which one run finds out.
pub(super) fn counted(mask: &Expr) -> Result<Vec<usize>> {
    let lens = Array1::<u64>::of_expr(counts(mask)?).try_compute()?;
    Ok(lens.iter().map(|&n| n as usize).collect())
}

/// Of sorted elements of one axis, whether each is another than the one before it.
pub(super) fn is_first(sorted: &Expr) -> Result<Expr> {
    let part = |start, end| sorted.slice(&[SliceArg::Range { start, end, step: 1 }]);
    let (before, after) = (part(0, Some(-1))?, part(1, None)?);
    let mut differ = after.binary(BinaryOp::Ne, &before)?;
    if sorted.dtype().is_float() || sorted.dtype().is_complex() {
        let both = before.unary(UnaryOp::IsNan)?.binary(BinaryOp::And, &after.unary(UnaryOp::IsNan)?)?;
        differ = differ.binary(BinaryOp::And, &both.unary(UnaryOp::Not)?)?;
    }
    let first = Expr::full(&[1], &Chunks::Auto, Scalar::new(true))?;
    Ok(Expr::concatenate(0, &[first, differ])?.on_grid(sorted.grid().clone())?)
}

fn positions(len: usize, grid: &Grid) -> Result<Expr> {
    Ok(Expr::index(&[len], &Chunks::Auto, 0)?.on_grid(grid.clone())?.cast(DType::U64)?)
}

/// Bytes of sorted elements that each task gets whole; of more it gets those of a range.
const SORTED_BYTES_WHOLE: usize = 1 << 20;

/// What is asked of elements and sorted ones.
fn searched(sorted: &Expr, values: &Expr, search: Search) -> Result<Expr> {
    if sorted.dtype() != values.dtype() {
        let (left, right) = (sorted.dtype(), values.dtype());
        return Err(ExprError::MixedDTypes { op: "searchsorted".into(), left, right }.into());
    }
    let size = sorted.dtype().size();
    let whole = SORTED_BYTES_WHOLE.max(values.grid().chunk_len_max() * size);
    if sorted.grid().n_chunks() > 1 && sorted.len() * size > whole && !values.is_empty() {
        return searched_by_ranges(sorted, values, search);
    }
    let inputs = [(values, same(values.ndim())), (sorted, Read::Box(vec![Along::All]))];
    stage(count::searchsorted(values.dtype(), search), &inputs, values.grid(), values.grid())
}

/// The same, where each element is sent to the chunk of the sorted ones in whose range it is.
fn searched_by_ranges(sorted: &Expr, values: &Expr, search: Search) -> Result<Expr> {
    let dtype = sorted.dtype();
    let sorted = filled(sorted)?;
    let line = filled(&flat(values)?)?;
    let (ranges, chunks) = (sorted.grid().clone(), line.grid().clone());
    let (n_ranges, n_chunks) = (ranges.n_chunks() as usize, chunks.n_chunks() as usize);
    let each = Grid::new(vec![AxisGrid::regular(n_ranges, 1)]);
    let firsts = stage(ranges::first(dtype), &[(&sorted, same(1))], &ranges, &each)?;
    let all = || Read::Box(vec![Along::All]);
    let gives = |n: usize, bytes: usize| Gives { n: n as u32, bytes_guess: (bytes + 8 * (n + 1)) as u64 };
    let inputs = [(&line, same(1)), (&firsts, all())];
    let bytes = chunks.chunk_len_max() * dtype.size();
    let sent = exchange(ranges::send(dtype, search), &inputs, &chunks, gives(n_ranges, bytes))?;
    let inputs = [(&sorted, same(1)), (&firsts, all()), (&sent, Read::Block)];
    let bytes = line.len().div_ceil(n_ranges) * size_of::<u64>();
    let found = exchange(ranges::look_up(dtype, search), &inputs, &ranges, gives(n_chunks, bytes))?;
    let inputs = [(&line, same(1)), (&firsts, all()), (&found, Read::Block)];
    let found = stage(ranges::returned(dtype, search), &inputs, &chunks, &chunks)?;
    match values.ndim() {
        1 => Ok(found),
        _ => Ok(found.reshape(&values.shape())?.on_grid(values.grid().clone())?),
    }
}

/// An array of one axis whose chunks all have elements, of which there are some.
fn filled(expr: &Expr) -> Result<Expr> {
    let lens: Vec<usize> = expr.grid().axes()[0].chunk_lens().into_iter().filter(|&n| n > 0).collect();
    Ok(expr.on_grid(Grid::new(vec![AxisGrid::explicit(&lens)]))?)
}

/// Whether elements are among sorted ones; NaN never is.
fn contained(sorted: &Expr, values: &Expr) -> Result<Expr> {
    let found = searched(sorted, values, Search::Among)?.cast(DType::Bool)?;
    if values.dtype().is_float() || values.dtype().is_complex() {
        return Ok(found.binary(BinaryOp::And, &values.unary(UnaryOp::IsNan)?.unary(UnaryOp::Not)?)?);
    }
    Ok(found)
}

on_arrays!({ A: Element + num_traits::Num } {
    /// How many elements lie in each bin between these edges, which rise, as a lazy array of one axis: each bin has its lower
    /// edge, the last one its upper edge too. What lies beyond them, and NaN, is in none.
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// let x = arr1(&[0.5, 1.0, 1.5, 3.0, 9.0]);
    /// assert_eq!(x.histogram(&[0.0, 1.0, 2.0, 3.0]).compute(), ndarray::arr1(&[1, 2, 1]));
    /// ```
    ///
    /// # Panics
    /// Where [`Array::try_histogram`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn histogram(&self, edges: &[f64]) -> Array1<u64> {
        or_panic(self.try_histogram(edges))
    }

    /// [`Array::histogram`] that returns what goes wrong.
    ///
    /// # Errors
    /// Fewer than two edges, or edges that do not rise; complex elements.
    pub fn try_histogram(&self, edges: &[f64]) -> Result<Array1<u64>> {
        check_edges(edges)?;
        let expr = real(self.leaf()?)?;
        Ok(Array::of_expr(histogram(&expr, edges, None)?))
    }

    /// As [`Array::histogram`], with the sum of the weights in each bin in place of the number of elements.
    ///
    /// # Panics
    /// Where [`Array::try_histogram_weighted`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn histogram_weighted(&self, edges: &[f64], weights: &Array<f64, D>) -> Array1<f64> {
        or_panic(self.try_histogram_weighted(edges, weights))
    }

    /// [`Array::histogram_weighted`] that returns what goes wrong.
    ///
    /// # Errors
    /// Fewer than two edges, or edges that do not rise; weights of another shape; complex elements.
    pub fn try_histogram_weighted(&self, edges: &[f64], weights: &Array<f64, D>) -> Result<Array1<f64>> {
        check_edges(edges)?;
        let expr = real(self.leaf()?)?;
        let weights = like(&weights.leaf()?, &expr)?;
        Ok(Array::of_expr(histogram(&expr, edges, Some(&weights))?))
    }
});

fn real(expr: Expr) -> Result<Expr> {
    match expr.dtype() {
        dtype if dtype.is_complex() => Err(super::undefined("a histogram", dtype)),
        _ => Ok(expr),
    }
}

on_arrays!({ A: Element + num_traits::PrimInt } {
    /// How often each of the numbers `0..n` occurs, as a lazy array of one axis.
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// assert_eq!(arr1(&[1, 3, 1, 0]).bincount(5).compute(), ndarray::arr1(&[1, 2, 0, 1, 0]));
    /// ```
    ///
    /// # Panics
    /// Where [`Array::try_bincount`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn bincount(&self, n: usize) -> Array1<u64> {
        or_panic(self.try_bincount(n))
    }

    /// [`Array::bincount`] that returns what goes wrong.
    ///
    /// # Errors
    /// None in practice. The computation fails at a negative number, or one that is not below `n`.
    pub fn try_bincount(&self, n: usize) -> Result<Array1<u64>> {
        let expr = self.leaf()?;
        Ok(Array::of_expr(summed(count::bincount(expr.dtype(), n, false), &[&expr], n)?))
    }

    /// As [`Array::bincount`], with the sum of the weights of each number in place of how often it occurs.
    ///
    /// # Panics
    /// Where [`Array::try_bincount_weighted`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn bincount_weighted(&self, n: usize, weights: &Array<f64, D>) -> Array1<f64> {
        or_panic(self.try_bincount_weighted(n, weights))
    }

    /// [`Array::bincount_weighted`] that returns what goes wrong.
    ///
    /// # Errors
    /// Weights of another shape. The computation fails at a negative number, or one that is not below `n`.
    pub fn try_bincount_weighted(&self, n: usize, weights: &Array<f64, D>) -> Result<Array1<f64>> {
        let expr = self.leaf()?;
        let weights = like(&weights.leaf()?, &expr)?;
        Ok(Array::of_expr(summed(count::bincount(expr.dtype(), n, true), &[&expr, &weights], n)?))
    }
});

on_arrays!({ A: Element } {
    /// The elements at which `mask` is true, in row-major order, as an array of one axis. One run finds out how many there
    /// are of each chunk; the result is lazy.
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// let x = Array::from_vec_chunked(vec![3, 9, 2, 7, 5], 2);
    /// let mask = arr1(&[true, false, false, true, true]);
    /// assert_eq!(x.extract(&mask).compute(), ndarray::arr1(&[3, 7, 5]));
    /// ```
    ///
    /// # Panics
    /// Where [`Array::try_extract`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn extract(&self, mask: &Array<bool, D>) -> Array1<A> {
        or_panic(self.try_extract(mask))
    }

    /// [`Array::extract`] that returns what goes wrong.
    ///
    /// # Errors
    /// A mask of another shape; a failed run.
    pub fn try_extract(&self, mask: &Array<bool, D>) -> Result<Array1<A>> {
        Ok(Array::of_expr(extracted(&self.leaf()?, &mask.leaf()?)?))
    }

    /// The distinct elements in order, NaN once and last, as an array of one axis. One run finds out how many there are of
    /// each chunk, and keeps the sorted elements for the result, which is lazy.
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// let x = Array::from_vec_chunked(vec![3, 1, 3, 2, 1], 2);
    /// let (values, counts) = x.unique_counts();
    /// assert_eq!(values.compute(), ndarray::arr1(&[1, 2, 3]));
    /// assert_eq!(counts.compute(), ndarray::arr1(&[2, 1, 2]));
    /// ```
    ///
    /// # Panics
    /// Where [`Array::try_unique`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn unique(&self) -> Array1<A> {
        or_panic(self.try_unique())
    }

    /// [`Array::unique`] that returns what goes wrong.
    ///
    /// # Errors
    /// A failed run.
    pub fn try_unique(&self) -> Result<Array1<A>> {
        let sorted = Array1::<A>::of_expr(whole(&flat(&self.leaf()?)?, false)?);
        if sorted.is_empty() {
            return Ok(sorted);
        }
        let sorted = sorted.try_persist()?.leaf()?;
        Ok(Array::of_expr(extracted(&sorted, &is_first(&sorted)?)?))
    }

    /// The distinct elements as [`Array::unique`] gives them, and how often each occurs.
    ///
    /// # Panics
    /// Where [`Array::try_unique_counts`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn unique_counts(&self) -> (Array1<A>, Array1<u64>) {
        or_panic(self.try_unique_counts())
    }

    /// [`Array::unique_counts`] that returns what goes wrong.
    ///
    /// # Errors
    /// A failed run.
    pub fn try_unique_counts(&self) -> Result<(Array1<A>, Array1<u64>)> {
        let sorted = Array1::<A>::of_expr(whole(&flat(&self.leaf()?)?, false)?);
        if sorted.is_empty() {
            return Ok((sorted, Array1::of_expr(Expr::full(&[0], &Chunks::Auto, Scalar::new(0u64))?)));
        }
        let sorted = sorted.try_persist()?.leaf()?;
        let first = is_first(&sorted)?;
        let lens = counted(&first)?;
        let starts = compressed(&positions(sorted.len(), sorted.grid())?, 0, &first, &lens)?;
        let end = Expr::full(&[1], &Chunks::Auto, Scalar::new(sorted.len() as u64))?;
        let next = starts.slice(&[SliceArg::Range { start: 1, end: None, step: 1 }])?;
        let next = if next.is_empty() { end } else { Expr::concatenate(0, &[next, end])? };
        let counts = next.binary(BinaryOp::Sub, &starts)?;
        Ok((Array::of_expr(compressed(&sorted, 0, &first, &lens)?), Array::of_expr(counts)))
    }

    /// For each element where it stands among the distinct ones: `unique()[unique_inverse()]` is the array itself.
    ///
    /// # Panics
    /// Where [`Array::try_unique_inverse`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn unique_inverse(&self) -> Array<u64, D> {
        or_panic(self.try_unique_inverse())
    }

    /// [`Array::unique_inverse`] that returns what goes wrong.
    ///
    /// # Errors
    /// A failed run.
    pub fn try_unique_inverse(&self) -> Result<Array<u64, D>> {
        Ok(Array::of_expr(searched(&self.try_unique()?.leaf()?, &self.leaf()?, Search::Below)?))
    }

    /// Whether each element is among `values`, as a lazy array of the same shape. NaN is not.
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// let x = arr1(&[3, 1, 4, 1]);
    /// assert_eq!(x.isin(&arr1(&[1, 2])).compute(), ndarray::arr1(&[false, true, false, true]));
    /// ```
    ///
    /// # Panics
    /// Where [`Array::try_isin`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn isin<E: Dimension>(&self, values: &Array<A, E>) -> Array<bool, D> {
        or_panic(self.try_isin(values))
    }

    /// [`Array::isin`] that returns what goes wrong.
    ///
    /// # Errors
    /// None in practice.
    pub fn try_isin<E: Dimension>(&self, values: &Array<A, E>) -> Result<Array<bool, D>> {
        let sorted = whole(&flat(&values.leaf()?)?, false)?;
        Ok(Array::of_expr(contained(&sorted, &self.leaf()?)?))
    }

    /// For each element the number of the bin between `edges` that it falls into, as NumPy's `digitize`: how many edges are
    /// not above it, or with `right` how many are below it. The edges are in order.
    ///
    /// # Panics
    /// Where [`Array::try_digitize`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn digitize(&self, edges: &Array1<A>, right: bool) -> Array<u64, D> {
        or_panic(self.try_digitize(edges, right))
    }

    /// [`Array::digitize`] that returns what goes wrong.
    ///
    /// # Errors
    /// None in practice. The computation fails where the edges are not in order.
    pub fn try_digitize(&self, edges: &Array1<A>, right: bool) -> Result<Array<u64, D>> {
        let search = if right { Search::Below } else { Search::NotAbove };
        Ok(Array::of_expr(searched(&edges.leaf()?, &self.leaf()?, search)?))
    }
});

impl<A: Element, S: Data<Elem = A>> ArrayBase<S, Ix1, A> {
    /// Where each of `values` would stand among the elements of this array, which are in order: how many are below it, or
    /// with `right` not above it. A lazy array of the values' shape.
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// let sorted = arr1(&[1.0, 2.0, 2.0, 5.0]);
    /// assert_eq!(sorted.searchsorted(&arr1(&[2.0, 6.0]), false).compute(), ndarray::arr1(&[1, 4]));
    /// ```
    ///
    /// # Panics
    /// Where [`Array::try_searchsorted`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn searchsorted<E: Dimension>(&self, values: &Array<A, E>, right: bool) -> Array<u64, E> {
        or_panic(self.try_searchsorted(values, right))
    }

    /// [`Array::searchsorted`] that returns what goes wrong.
    ///
    /// # Errors
    /// None in practice. The computation fails where the array is not in order.
    pub fn try_searchsorted<E: Dimension>(&self, values: &Array<A, E>, right: bool) -> Result<Array<u64, E>> {
        let search = if right { Search::NotAbove } else { Search::Below };
        Ok(Array::of_expr(searched(&self.leaf()?, &values.leaf()?, search)?))
    }
}

impl<S: Data<Elem = bool>, D: Dimension> ArrayBase<S, D, bool> {
    /// The row-major positions at which the array is true, as an array of one axis. One run finds out how many there are of
    /// each chunk; the result is lazy.
    ///
    /// # Panics
    /// Where [`Array::try_flatnonzero`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn flatnonzero(&self) -> Array1<u64> {
        or_panic(self.try_flatnonzero())
    }

    /// [`Array::flatnonzero`] that returns what goes wrong.
    ///
    /// # Errors
    /// A failed run.
    pub fn try_flatnonzero(&self) -> Result<Array1<u64>> {
        let mask = flat(&self.leaf()?)?;
        Ok(Array::of_expr(extracted(&positions(mask.len(), mask.grid())?, &mask)?))
    }
}

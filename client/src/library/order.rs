//! Sorting: along an axis, and all elements of an array whatever its chunks, into chunks that are known beforehand.
//!
//! Knows the stages of a sort across chunks: see `tilework_kernels::library::sort` for why they are right.

use super::{axis_of, exchange, flat, same, stage};
use crate::array::kinds::on_arrays;
use crate::array::{Array, Array1};
use crate::error::{Result, or_panic};
use ndarray::Axis;
use tilework_expr::{Along, Chunks, Element, Expr, Gives, OwnFunction, Read};
use tilework_kernels::library::{pick, sort};
use tilework_plan::{AxisGrid, Grid};

/// Samples that each chunk gives of a segment for each boundary in it, within the limits of the next three: more make the
/// task that looks at all of them larger, and what is exchanged to find boundaries smaller.
const SAMPLES_PER_BOUNDARY: usize = 32;
const SAMPLES_MIN: usize = 256;
const SAMPLES_MAX: usize = 8192;
/// Samples of all chunks that one task looks at: as many as a chunk has elements, within these limits. Of each chunk there are
/// some all the same, however many chunks there are.
const SAMPLES_OF_ALL: [usize; 2] = [1 << 16, 4 << 20];
const SAMPLES_LEAST: usize = 64;
/// Samples for each boundary without which boundaries are found level by level: what is exchanged for all of a level is one
/// part in half as many of all elements.
const SAMPLES_PER_BOUNDARY_LEAST: usize = 16;

/// Lanes sorted by themselves; an axis of several chunks is put into one, but of an array of one axis.
fn along(expr: &Expr, axis: Axis, positions: bool) -> Result<Expr> {
    let axis = axis_of(expr, axis)?;
    if expr.ndim() == 1 {
        return whole(expr, positions);
    }
    let input = expr.whole_along(axis)?;
    lanes(&input, axis, positions)
}

fn lanes(input: &Expr, axis: usize, positions: bool) -> Result<Expr> {
    let (dtype, grid) = (input.dtype(), input.grid());
    let own = if positions { sort::argsort_lanes(axis, dtype) } else { sort::sort_lanes(axis, dtype) };
    stage(own, &[(input, same(input.ndim()))], grid, grid)
}

/// All elements of an array of one axis, or their positions in order.
pub(crate) fn whole(expr: &Expr, positions: bool) -> Result<Expr> {
    let filled: Vec<usize> = expr.grid().axes()[0].chunk_lens().into_iter().filter(|&l| l > 0).collect();
    if filled.len() < 2 {
        return lanes(&expr.rechunk(&Chunks::from(-1))?, 0, positions);
    }
    let grid = Grid::new(vec![AxisGrid::explicit(&filled)]);
    let input = expr.on_grid(grid.clone())?;
    let out = Grid::new(vec![AxisGrid::regular(expr.len(), grid.chunk_len_max())]);
    let [least, most] = SAMPLES_OF_ALL;
    let samples_of_all = grid.chunk_len_max().clamp(least, most);
    Sort { input, grid, out, samples_of_all }.result(positions)
}

/// A sort across chunks.
struct Sort {
    input: Expr,
    grid: Grid,
    /// Of the result.
    out: Grid,
    /// That one task looks at.
    samples_of_all: usize,
}

impl Sort {
    fn result(&self, positions: bool) -> Result<Expr> {
        let dtype = self.input.dtype();
        let of_chunk = lanes(&self.input, 0, positions)?;
        let (sorted, order) = match positions {
            false => (of_chunk, None),
            true => {
                let inputs = [(&self.input, same(1)), (&of_chunk, same(1))];
                (stage(pick::gather(dtype), &inputs, &self.grid, &self.grid)?, Some(of_chunk))
            }
        };
        let mut inputs = vec![(&sorted, same(1))];
        inputs.extend(order.as_ref().map(|order| (order, same(1))));
        let n_parts = self.out.n_chunks() as usize;
        let cuts = if n_parts > 1 { Some(self.cuts(&sorted)?) } else { None };
        inputs.extend(cuts.as_ref().map(|cuts| (cuts, Read::Block)));
        let size = dtype.size() + if positions { size_of::<u64>() } else { 0 };
        let parts =
            self.exchange(sort::parts(dtype, positions, n_parts), &inputs, &self.grid, (n_parts, size))?;
        stage(sort::merge(dtype, positions), &[(&parts, Read::Block)], &self.out, &self.out)
    }

    /// A stage whose tasks give so many blocks, all together as large as a chunk with so many bytes for each element.
    fn exchange(
        &self,
        own: OwnFunction,
        inputs: &[(&Expr, Read)],
        space: &Grid,
        (n, size): (usize, usize),
    ) -> Result<Expr> {
        let bytes_guess = (self.grid.chunk_len_max() * size + 8 * (n + 1)) as u64;
        exchange(own, inputs, space, Gives { n: n as u32, bytes_guess })
    }

    /// How many elements of each chunk come before each boundary: of each boundary a value with a block for each chunk. The
    /// first is the beginning, and there may be some more that are the end.
    fn cuts(&self, sorted: &Expr) -> Result<Expr> {
        let (n_chunks, n_parts) = (self.grid.n_chunks() as usize, self.out.n_chunks() as usize);
        let mut above: Option<Expr> = None;
        for level in levels(self.samples_of_all, n_chunks, n_parts) {
            above = Some(self.level(sorted, above.as_ref(), &level)?);
        }
        Ok(above.expect("a sort has a level of boundaries"))
    }

    /// The same for the boundaries of one level, within the segments of the one above.
    fn level(&self, sorted: &Expr, above: Option<&Expr>, level: &LevelOf) -> Result<Expr> {
        let (dtype, grid) = (sorted.dtype(), &self.grid);
        let (n_chunks, n_segments) = (grid.n_chunks() as usize, level.n_segments);
        let n_samples = level.n_samples.min(grid.chunk_len_max());
        let rows = sort::Level { out: &self.out.axes()[0], step: level.step, fanout: level.fanout };
        let mut inputs = vec![(sorted, same(1))];
        inputs.extend(above.map(|above| (above, Read::Block)));
        let bytes_guess = (n_segments * (24 + n_samples * dtype.size())) as u64;
        let gives = Gives { n: n_segments as u32, bytes_guess };
        let samples = exchange(sort::samples(dtype, n_samples, n_segments), &inputs, grid, gives)?;
        let n_rows = n_segments * level.fanout;
        let bounds =
            Grid::new(vec![AxisGrid::regular(n_rows, level.fanout), AxisGrid::whole(sort::BOUND_NUMBERS)]);
        let own = sort::bounds(dtype, &rows, n_chunks * n_samples);
        let bounds = stage(own, &[(&samples, Read::Block)], &bounds, &bounds)?;
        let mut inputs = vec![(sorted, same(1)), (&bounds, Read::Box(vec![Along::All; 2]))];
        inputs.extend(above.map(|above| (above, Read::Block)));
        // At most: they are a part of each chunk.
        let own = sort::windows(dtype, level.fanout, n_segments);
        let windows = self.exchange(own, &inputs, grid, (n_rows, dtype.size()))?;
        let gives = Gives { n: n_chunks as u32, bytes_guess: 16 * n_chunks as u64 + 8 };
        let each = Grid::new(vec![AxisGrid::regular(n_rows, 1)]);
        exchange(sort::cuts(dtype, &rows), &[(&windows, Read::Block)], &each, gives)
    }
}

/// A level of boundaries: see `tilework_kernels::library::sort`.
#[derive(Clone, PartialEq, Eq, Debug)]
struct LevelOf {
    step: usize,
    fanout: usize,
    n_segments: usize,
    /// Of each segment of each chunk.
    n_samples: usize,
}

/// The levels in which the boundaries between `n_parts` are found, so that no task looks at many more than `of_all` samples.
fn levels(of_all: usize, n_chunks: usize, n_parts: usize) -> Vec<LevelOf> {
    let most = (of_all / n_chunks.max(1)).clamp(SAMPLES_LEAST, SAMPLES_MAX);
    let fanout_max = most / SAMPLES_PER_BOUNDARY_LEAST;
    let mut n_levels = 1u32;
    while fanout_max.saturating_pow(n_levels) < n_parts {
        n_levels += 1;
    }
    // As many for each level, and so many as are enough.
    let fanout = (2..=n_parts.max(2)).find(|f: &usize| f.saturating_pow(n_levels) >= n_parts).unwrap_or(2);
    let n_samples = (fanout * SAMPLES_PER_BOUNDARY).clamp(SAMPLES_MIN.min(most), most);
    let of = |level: u32| {
        let step = fanout.pow(n_levels - 1 - level);
        LevelOf { step, fanout, n_segments: n_parts.div_ceil(step.saturating_mul(fanout)), n_samples }
    };
    (0..n_levels).map(of).collect()
}

on_arrays!({ A: Element } {
    /// The elements in order along an axis, as a lazy array of the same shape and dtype: stable, NaN last; the zeros are
    /// equal, and complex numbers go by their real parts first. An array of one axis is sorted across its chunks, whatever
    /// they are, into chunks as long as the longest; of others an axis in several chunks is put into one.
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// let x = Array::from_vec_chunked(vec![3.0, f64::NAN, 1.0, 2.0, -1.0], 2);
    /// let y = x.sort(Axis(0)).compute();
    /// assert_eq!(y.slice(s![..4]), ndarray::arr1(&[-1.0, 1.0, 2.0, 3.0]));
    /// assert!(y[4].is_nan());
    /// ```
    ///
    /// # Panics
    /// Where [`Array::try_sort`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn sort(&self, axis: Axis) -> Array<A, D> {
        or_panic(self.try_sort(axis))
    }

    /// [`Array::sort`] that returns what goes wrong.
    ///
    /// # Errors
    /// An axis out of range.
    pub fn try_sort(&self, axis: Axis) -> Result<Array<A, D>> {
        Ok(Array::of_expr(along(&self.leaf()?, axis, false)?))
    }

    /// All elements in order, as a lazy array of one axis, whatever the array's chunks: see [`Array::sort`].
    ///
    /// # Panics
    /// Where [`Array::try_sort_flat`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn sort_flat(&self) -> Array1<A> {
        or_panic(self.try_sort_flat())
    }

    /// [`Array::sort_flat`] that returns what goes wrong.
    ///
    /// # Errors
    /// None in practice.
    pub fn try_sort_flat(&self) -> Result<Array1<A>> {
        Ok(Array::of_expr(whole(&flat(&self.leaf()?)?, false)?))
    }

    /// The positions along an axis at which the elements in order are, as a lazy array of the same shape: see
    /// [`Array::sort`]. Of equal elements the first comes first.
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// let x = Array::from_vec_chunked(vec![3, 1, 2, 1], 2);
    /// assert_eq!(x.argsort(Axis(0)).compute(), ndarray::arr1(&[1, 3, 2, 0]));
    /// ```
    ///
    /// # Panics
    /// Where [`Array::try_argsort`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn argsort(&self, axis: Axis) -> Array<u64, D> {
        or_panic(self.try_argsort(axis))
    }

    /// [`Array::argsort`] that returns what goes wrong.
    ///
    /// # Errors
    /// An axis out of range.
    pub fn try_argsort(&self, axis: Axis) -> Result<Array<u64, D>> {
        Ok(Array::of_expr(along(&self.leaf()?, axis, true)?))
    }

    /// The row-major positions of all elements in order, as a lazy array of one axis: see [`Array::argsort`].
    ///
    /// # Panics
    /// Where [`Array::try_argsort_flat`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn argsort_flat(&self) -> Array1<u64> {
        or_panic(self.try_argsort_flat())
    }

    /// [`Array::argsort_flat`] that returns what goes wrong.
    ///
    /// # Errors
    /// None in practice.
    pub fn try_argsort_flat(&self) -> Result<Array1<u64>> {
        Ok(Array::of_expr(whole(&flat(&self.leaf()?)?, true)?))
    }
});

#[cfg(test)]
mod tests {
    use super::super::draws::words;
    use super::*;

    /// However many chunks there are, a task looks at a bounded number of samples, and each boundary has a row.
    #[test]
    fn levels_bound_the_samples_that_a_task_looks_at() {
        for (n_chunks, n_parts) in
            [(2, 2), (3, 7), (100, 100), (1000, 1000), (10_000, 10_000), (30_000, 20_000)]
        {
            let of_all = SAMPLES_OF_ALL[1];
            let levels = levels(of_all, n_chunks, n_parts);
            let mut rows_above = 1;
            for level in &levels {
                assert!(level.n_samples * n_chunks <= of_all.max(SAMPLES_LEAST * n_chunks), "{level:?}");
                assert!(level.n_samples >= SAMPLES_PER_BOUNDARY_LEAST * level.fanout, "{level:?}");
                assert!(level.n_segments <= rows_above, "{levels:?}");
                assert!(level.n_segments * level.fanout * level.step >= n_parts, "{levels:?}");
                rows_above = level.n_segments * level.fanout;
            }
            assert_eq!(levels.last().map(|l| l.step), Some(1));
            assert!(levels.len() == 1 || n_parts > 200, "{levels:?}");
        }
    }

    /// In several levels, among them such as no boundary needs to the end, the same comes out as in one.
    #[test]
    fn boundaries_are_found_level_by_level() {
        let mut words = words(5);
        for (n, chunk, kinds) in [(3000, 20, 1 << 30), (1000, 7, 5), (400, 1, 100), (2100, 30, 1)] {
            let x: Vec<i64> = words.by_ref().take(n).map(|word| ((word >> 33) % kinds) as i64).collect();
            let mut order: Vec<u64> = (0..n as u64).collect();
            order.sort_by_key(|i| x[*i as usize]);
            let input = Array1::from_vec_chunked(x.clone(), chunk).leaf().unwrap();
            let grid = input.grid().clone();
            let n_chunks = grid.n_chunks() as usize;
            let sort = Sort { input, out: grid.clone(), grid, samples_of_all: 1 };
            assert!(levels(1, n_chunks, n_chunks).len() >= 3, "{n_chunks}");
            let at = Array1::<u64>::of_expr(sort.result(true).unwrap()).compute();
            assert_eq!(at.to_vec(), order, "{n} {chunk} {kinds}");
            let sorted = Array1::<i64>::of_expr(sort.result(false).unwrap()).compute();
            assert_eq!(sorted.to_vec(), order.iter().map(|i| x[*i as usize]).collect::<Vec<_>>());
        }
    }
}

//! Reductions of groups: what the elements along an axis come to that have the same label.
//!
//! Knows of which stages they are made. Must not know how labels are gone through.

use super::select::Quantiles;
use super::{axis_of, cut, exchange, one_each, reductions, same, stage, with_axis};
use crate::array::kinds::on_arrays;
use crate::array::{Array, Array1};
use crate::error::{Result, or_panic};
use ndarray::{Axis, Dimension};
use std::marker::PhantomData;
use tilework_expr::{Along, DType, Element, Expr, ExprError, Gives, Read, SliceArg};
use tilework_kernels::library::group::Grouped;
use tilework_plan::{AxisGrid, Grid};

/// Elements by groups: [`Array::group_by`] makes it.
#[derive(Clone, Debug)]
#[must_use = "it does nothing until a reduction is asked for"]
pub struct GroupBy<A, D> {
    expr: Expr,
    labels: Expr,
    axis: usize,
    n: usize,
    states_bytes_max: usize,
    of: PhantomData<(A, D)>,
}

/// Bytes of the states of all groups that one task makes: of more, labels are cut into ranges.
const STATES_BYTES_MAX: usize = 64 << 20;
/// States that one task folds together, as many as there are bytes for; and arrays of them, of which a function takes no
/// more.
const STATES_MAX: usize = 32;
const ARRAYS_MAX: usize = 4;

impl<A: Element, D: Dimension> GroupBy<A, D> {
    fn reduced<B: Element>(&self, grouped: Grouped) -> Result<Array<B, D>> {
        let row = grouped.width() * grouped.state(self.expr.dtype()).size();
        // An array without elements has states all the same, and nothing to send.
        let each = (self.states_bytes_max / row).max(1);
        let found = match self.n > each && !self.expr.is_empty() {
            true => self.by_ranges(grouped, each)?,
            false => self.by_chunks(grouped, row * self.n)?,
        };
        Ok(Array::of_expr(found.cast(grouped.output(self.expr.dtype()))?))
    }

    fn labels_read(&self) -> Read {
        Read::Box(vec![Along::same(self.axis)])
    }

    /// States of all groups of each chunk, and a tree over those. `bytes` has a state for one position of the other axes.
    fn by_chunks(&self, grouped: Grouped, bytes: usize) -> Result<Expr> {
        let (dtype, axis, n) = (self.expr.dtype(), self.axis, self.n);
        let expr = self.expr.on_grid(with_room(
            self.expr.grid(),
            (axis, n),
            self.states_bytes_max / bytes.max(1),
        ))?;
        let (grid, ndim, rows) = (expr.grid(), expr.ndim(), n * grouped.width());
        let each = with_axis(grid, axis, AxisGrid::regular(grid.axes()[axis].n_chunks() * rows, rows));
        let inputs = [(&expr, same(ndim)), (&self.labels, self.labels_read())];
        let own = grouped.states((axis, n), dtype, self.labels.dtype());
        let mut states = stage(own, &inputs, grid, &each)?;
        let others = grid.chunk_len_max() / grid.axes()[axis].chunk_max().max(1);
        let fanin = (self.states_bytes_max / (bytes * others).max(1)).clamp(2, STATES_MAX);
        loop {
            let m = states.grid().axes()[axis].n_chunks();
            let (next, finish) = (m.div_ceil(fanin), m <= fanin);
            let space = with_axis(grid, axis, AxisGrid::regular(m * rows, fanin * rows));
            let cut = if finish { AxisGrid::whole(n) } else { AxisGrid::regular(next * rows, rows) };
            let own = grouped.together((axis, n), dtype, (1, finish));
            states = stage(own, &[(&states, same(ndim))], &space, &with_axis(grid, axis, cut))?;
            if finish {
                return Ok(states);
            }
        }
    }

    /// The elements of some chunks at a time are sent to the ranges of `each` label that theirs are in; and what ranges come
    /// to in all such runs of chunks is added up, as a tree.
    fn by_ranges(&self, grouped: Grouped, each: usize) -> Result<Expr> {
        let (dtype, axis, n) = (self.expr.dtype(), self.axis, self.n);
        let expr = others_whole(&self.expr, axis)?;
        let each = (each / (expr.len() / expr.shape()[axis]).max(1)).max(1);
        let (n_ranges, rows) = (n.div_ceil(each), each * grouped.width());
        let cut_by = |rows: usize| AxisGrid::regular(n_ranges * rows, rows);
        let along = expr.grid().axes()[axis].clone();
        // As many elements as there are groups, so that states are no more than those.
        let chunks = (2 * n).div_ceil(along.chunk_max()).max(1);
        let mut runs = Vec::new();
        for first in (0..along.n_chunks()).step_by(chunks) {
            let last = (first + chunks).min(along.n_chunks()) - 1;
            let (start, end) = (along.range(first).start as isize, along.range(last).end as isize);
            let of = |expr: &Expr, axis| cut(expr, axis, SliceArg::Range { start, end: Some(end), step: 1 });
            let (x, labels) = (of(&expr, axis)?, of(&self.labels, 0)?);
            let space = Grid::new(vec![x.grid().axes()[axis].clone()]);
            let read = (0..x.ndim()).map(|a| if a == axis { Along::same(0) } else { Along::All });
            let inputs = [(&x, Read::Box(read.collect())), (&labels, Read::Box(vec![Along::same(0)]))];
            let bytes = x.grid().chunk_len_max() * dtype.size() + 16 * space.axes()[0].chunk_max();
            let gives = Gives { n: n_ranges as u32, bytes_guess: (bytes + 32 * n_ranges) as u64 };
            let own = grouped.parts((axis, n), each, (dtype, labels.dtype()));
            let parts = exchange(own, &inputs, &space, gives)?;
            let out = with_axis(x.grid(), axis, cut_by(rows));
            runs.push(stage(grouped.of_parts(axis, each, dtype), &[(&parts, Read::Block)], &out, &out)?);
        }
        loop {
            let finish = runs.len() <= ARRAYS_MAX;
            let space = runs[0].grid().clone();
            let out = if finish { with_axis(&space, axis, cut_by(each)) } else { space.clone() };
            let together = |some: &[Expr]| {
                let inputs: Vec<(&Expr, Read)> = some.iter().map(|e| (e, same(e.ndim()))).collect();
                stage(grouped.together((axis, each), dtype, (some.len(), finish)), &inputs, &space, &out)
            };
            runs = runs.chunks(ARRAYS_MAX).map(together).collect::<Result<_>>()?;
            if finish {
                return cut(&runs[0], axis, SliceArg::Range { start: 0, end: Some(n as isize), step: 1 });
            }
        }
    }
}

/// A grid whose chunks are no shorter along an axis than there are groups, so that states are no more than elements, and
/// have no more positions of the other axes than there is room for.
fn with_room(grid: &Grid, (axis, n): (usize, usize), room: usize) -> Grid {
    let mut axes = grid.axes().to_vec();
    let mut too_many = (grid.chunk_len_max() / axes[axis].chunk_max().max(1)).div_ceil(room.max(1));
    for (_, other) in axes.iter_mut().enumerate().filter(|(a, _)| *a != axis) {
        let (len, chunk) = (other.len(), other.chunk_max());
        let by = too_many.clamp(1, chunk.max(1));
        if by > 1 {
            *other = AxisGrid::regular(len, chunk.div_ceil(by));
            too_many = too_many.div_ceil(by);
        }
    }
    let along = &mut axes[axis];
    if along.n_chunks() > 1 && along.chunk_max() < n {
        *along = AxisGrid::regular(along.len(), n);
    }
    Grid::new(axes)
}

/// An array with the other axes in one chunk each, and chunks about as large as before.
fn others_whole(expr: &Expr, axis: usize) -> Result<Expr> {
    let (grid, len) = (expr.grid(), expr.shape()[axis]);
    if grid.axes().iter().enumerate().all(|(a, g)| a == axis || g.n_chunks() == 1) {
        return Ok(expr.clone());
    }
    let row = expr.len() / len.max(1);
    let mut axes: Vec<AxisGrid> = expr.shape().into_iter().map(AxisGrid::whole).collect();
    axes[axis] = AxisGrid::regular(len, (grid.chunk_len_max() / row.max(1)).max(1));
    Ok(expr.on_grid(Grid::new(axes))?)
}

/// Lazy arrays with one element for each group along the axis.
impl<A: Quantiles, D: Dimension> GroupBy<A, D> {
    reductions! { "None in practice. The computation fails at a label that is not below the number of groups.";
        /// The sums, 0 of no elements. Floats of 32 bits are added up in 64; integers wrap.
        sum try_sum() -> A: Grouped::Sum;
        /// The least elements; NaN if any is; of no elements the greatest value of the type, infinity of floats.
        min try_min() -> A: Grouped::Min;
        /// The greatest elements; NaN if any is; of no elements the least value of the type, negative infinity of floats.
        max try_max() -> A: Grouped::Max;
        /// How many elements there are.
        count try_count() -> u64: Grouped::Count;
        /// The means, NaN of no elements.
        mean try_mean() -> A::Output: Grouped::Mean;
        /// The variances, about the mean, divided by the number of elements less `ddof`.
        var try_var(ddof: f64) -> A::Output: Grouped::Var(ddof);
        /// The standard deviations: the square roots of the variances.
        std try_std(ddof: f64) -> A::Output: Grouped::Std(ddof);
    }
}

on_arrays!({ A: Quantiles } {
    /// The elements along an axis by groups: position `i` belongs to the group `labels[i]` of `0..n`, and to none where that
    /// is negative. What it is reduced by then takes one pass over the chunks, for labels in memory or lazy, and a tree over
    /// what they come to. There may be more groups than one worker has memory for: of millions, the elements are sent to
    /// where the range of their label is.
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// // Daily values, and the month of each day.
    /// let x = Array::from_vec_chunked(vec![1.0, 3.0, 10.0, 20.0, 30.0], 2);
    /// let month = arr1(&[0, 0, 1, 1, 1]);
    /// let monthly = x.group_by(Axis(0), &month, 3);
    /// assert_eq!(monthly.sum().compute(), ndarray::arr1(&[4.0, 60.0, 0.0]));
    /// assert_eq!(monthly.mean().compute().slice(s![..2]), ndarray::arr1(&[2.0, 20.0]));
    /// ```
    ///
    /// # Panics
    /// Where [`Array::try_group_by`] returns an error.
    #[track_caller]
    pub fn group_by<L: Element + num_traits::PrimInt>(
        &self,
        axis: Axis,
        labels: &Array1<L>,
        n: usize,
    ) -> GroupBy<A, D> {
        or_panic(self.try_group_by(axis, labels, n))
    }

    /// [`Array::group_by`] that returns what goes wrong.
    ///
    /// # Errors
    /// An axis out of range; another number of labels than of positions; no groups.
    pub fn try_group_by<L: Element + num_traits::PrimInt>(
        &self,
        axis: Axis,
        labels: &Array1<L>,
        n: usize,
    ) -> Result<GroupBy<A, D>> {
        let (expr, labels) = (self.leaf()?, labels.leaf()?);
        // Numbers of 64 bits without a sign are looked at as they are: the largest would be negative ones.
        let labels = if labels.dtype() == DType::U64 { labels } else { labels.cast(DType::I64)? };
        let axis = axis_of(&expr, axis)?;
        one_each("labels of groups", &labels, (&expr, axis))?;
        if n == 0 {
            let expected = "at least one";
            return Err(ExprError::Parameter { what: "number of groups", got: "0".into(), expected }.into());
        }
        Ok(GroupBy { expr, labels, axis, n, states_bytes_max: STATES_BYTES_MAX, of: PhantomData })
    }
});

#[cfg(test)]
mod tests {
    use super::super::draws::draws;
    use super::*;
    use ndarray::Array2 as Local2;
    use tilework_expr::{Chunks, Lowered, Program, Scalar};
    use tilework_plan::{ChunkIdx, StageIdx};

    /// Whatever room there is for states, in one piece, by smaller chunks of the other axes or by ranges of labels, the same
    /// comes out.
    #[test]
    fn groups_are_the_same_whatever_room_their_states_have() {
        let x = Local2::from_shape_vec((120, 6), draws(720, 64, 1)).unwrap().mapv(|d| d as f64);
        let labels: Vec<i64> = draws(120, 41, 2).iter().map(|&d| d as i64 - 1).collect();
        for (axis, chunks) in [(0, [7, 2]), (1, [3, 50])] {
            let local = if axis == 0 { x.clone() } else { x.t().to_owned() };
            let a = Array::from(local).rechunk(&chunks.map(|c: isize| c)[..]);
            let labels = Array1::from_vec_chunked(labels.clone(), 9);
            let of = |states_bytes_max: usize| {
                let groups = GroupBy { states_bytes_max, ..a.group_by(Axis(axis), &labels, 40) };
                let whole = |x: Array<f64, ndarray::Ix2>| x.compute();
                (
                    [groups.sum(), groups.min(), groups.max()].map(whole),
                    [groups.mean(), groups.var(1.0), groups.std(0.0)].map(whole),
                    groups.count().compute(),
                )
            };
            let want = of(STATES_BYTES_MAX);
            for room in [1500, 100, 1] {
                let got = of(room);
                assert_eq!((&got.0, &got.2), (&want.0, &want.2), "{room} {axis} {chunks:?}");
                for (got, want) in got.1.iter().flatten().zip(want.1.iter().flatten()) {
                    assert!(
                        got.is_nan() && want.is_nan() || (got - want).abs() < 1e-9,
                        "{got} {want} {room}"
                    );
                }
            }
        }
    }

    /// Many chunks of many groups: a tree over states, none of which is of all chunks.
    #[test]
    fn many_chunks_of_many_groups_are_a_tree() {
        let (n, chunks) = (1_000_000, 1000);
        let labels = Array1::<u64>::of_expr(
            Expr::index(&[n * chunks], &Chunks::from(n as isize), 0).unwrap().cast(DType::U64).unwrap(),
        );
        let x = Array1::<f64>::of_expr(
            Expr::full(&[n * chunks], &Chunks::from(n as isize), Scalar::new(1.0f64)).unwrap(),
        );
        for groups in [n, 40 * n] {
            let sums = x.group_by(Axis(0), &labels, groups).mean().leaf().unwrap();
            let lowered = Lowered::of(&Program::new(&[sums])).unwrap();
            let plan = &lowered.plan;
            let (mut most, mut tasks) = (0, 0);
            for stage in (0..plan.stages.len() as u32).map(StageIdx) {
                // What stands for all values of an exchange is no task.
                if plan.stage(stage).stands_for_others() {
                    continue;
                }
                tasks += plan.n_tasks(stage);
                most = most.max(plan.task_bytes(stage, ChunkIdx(0)));
            }
            assert!(most < 600 << 20, "{groups}: a task of {most} bytes");
            assert!(tasks < 40_000, "{groups}: {tasks} tasks");
        }
    }

    #[test]
    fn labels_without_a_sign_are_looked_at_as_they_are() {
        let x = Array1::from_vec_chunked(vec![1, 2, 3], 2);
        let sum = |labels: Vec<u64>| {
            x.group_by(Axis(0), &Array1::from_vec_chunked(labels, 2), 3).sum().try_compute()
        };
        assert_eq!(sum(vec![2, 0, 2]).unwrap().to_vec(), [2, 0, 4]);
        let text = sum(vec![0, u64::MAX - 1, 0]).unwrap_err().to_string();
        assert!(text.contains("label 18446744073709551614") && text.contains("below 3"), "{text}");
    }
}

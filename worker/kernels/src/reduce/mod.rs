//! Reductions: a fused program folded along axes while it is evaluated, partial states folded together, and the
//! results made of them.
//!
//! The order in which elements are folded is a function of the box's shape and of the folded axes alone: neither the
//! number of threads nor where the inputs lie nor the width of vector registers shows in the result.
//!
//! Owns that order and the layout of states. Must not know how a block of the program is computed.

mod combine;
mod fold;
pub mod here;
mod kinds;
mod present;
mod states;
mod sums;
mod tree;

pub(crate) use combine::combine;

use crate::chunk::Chunk;
use crate::feed::KernelError;
use crate::gather::Task;
use crate::program::{BLOCK, Bound};
use fold::{FoldFns, fold_fns};
use states::{Outcome, States};
use tilework_expr::{DType, Fold, Fused};
use tilework_plan::{ChunkIdx, Region, region_len, region_shape};
use tree::Tree;

/// Work per kept position below which positions of separate kept axes are folded side by side.
const SMALL: usize = 4096;

/// The axes of a box in the order in which it is folded: kept axes outside, folded ones, kept ones again, and folded
/// ones inside. Within each group the order is the box's.
#[derive(Debug, Default, PartialEq)]
struct Order {
    kept_outer: Vec<usize>,
    folded_outer: Vec<usize>,
    kept_inner: Vec<usize>,
    folded_inner: Vec<usize>,
}

impl Order {
    /// The order for a box of these lengths; axes of length 1 have no say.
    fn of(lens: &[usize], folded: &[usize]) -> Order {
        let is_folded = |a: &usize| folded.contains(a);
        let mut rest: Vec<usize> = (0..lens.len()).filter(|&a| lens[a] != 1).collect();
        let mut order = Order::default();
        let mut inner = 1;
        while let Some(a) = rest.pop_if(|a| is_folded(a) && inner < BLOCK) {
            order.folded_inner.insert(0, a);
            inner *= lens[a];
        }
        while let Some(a) = rest.pop_if(|a| !is_folded(a)) {
            order.kept_inner.insert(0, a);
        }
        (order.folded_outer, order.kept_outer) = rest.into_iter().partition(is_folded);
        let len = |axes: &[usize]| axes.iter().map(|&a| lens[a]).product::<usize>();
        let work = len(&order.folded_outer) * len(&order.kept_inner) * len(&order.folded_inner);
        if work < SMALL {
            order.kept_outer.append(&mut order.kept_inner);
            order.kept_inner = std::mem::take(&mut order.kept_outer);
        }
        order
    }

    /// The axes that are rows and those that are columns. Rows are folded as wholes where their axis is folded,
    /// else elementwise.
    fn rows_and_cols(&self) -> (Vec<usize>, &[usize]) {
        let mut rows = [self.kept_outer.as_slice(), &self.folded_outer].concat();
        if self.folded_inner.is_empty() {
            return (rows, &self.kept_inner);
        }
        rows.extend(&self.kept_inner);
        (rows, &self.folded_inner)
    }
}

/// Computes a reduction task.
pub(crate) fn reduce(
    task: &Task<'_>,
    fused: &Fused,
    fold: Fold,
    axes: &[usize],
    (chunk, finish): (ChunkIdx, bool),
) -> Result<Chunk, KernelError> {
    let grid = &task.shape().grid;
    let region = grid.region(chunk);
    let dtype = fused.dtype();
    let fns = find(fold, dtype)?;
    let kept = (0..region.len()).filter(|a| !axes.contains(a));
    let shape: Vec<usize> = kept.map(|a| region[a].len()).collect();
    let count = axes.iter().map(|&a| region[a].len() as u64).product();
    let states = if region_len(&region) == 0 {
        States::identity(&fns, shape.iter().product())
    } else {
        let lens = region_shape(&region);
        let order = Order::of(&lens, axes);
        let (rows, cols) = order.rows_and_cols();
        let program = Bound::new(task, fused, &region)?.arrange(&rows, cols)?;
        let mut states = Tree::new(&program, &fns, (&order, &lens), task.stop).fold()?;
        if fns.shift.is_some() {
            globalise(&fns, &mut states, &region, (axes, &grid.shape()));
        }
        states
    };
    Outcome { fold, dtype, shape, finish }.chunk(&fns, &states, count)
}

fn find(fold: Fold, dtype: DType) -> Result<FoldFns, KernelError> {
    fold_fns(fold, dtype)
        .ok_or_else(|| KernelError::Operation(format!("{fold:?} does not take elements of {dtype}")))
}

/// Turns positions within a box into positions within the whole array, both row-major among the folded axes.
fn globalise(fns: &FoldFns, states: &mut States, region: &Region, (axes, shape): (&[usize], &[usize])) {
    for i in 0..states.len() {
        let place = states.at(fns, i).wrapping_add(fns.offsets[1]).cast::<u64>();
        // SAFETY: the second value of a state with positions is a u64.
        let (mut rest, mut step, mut global) = (unsafe { place.read() }, 1u64, 0u64);
        for &a in axes.iter().rev() {
            let len = region[a].len() as u64;
            global += (rest % len + region[a].start as u64) * step;
            rest /= len;
            step *= shape[a] as u64;
        }
        // SAFETY: as above.
        unsafe { place.write(global) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_ordered_by_shape_alone() {
        let order = |lens: &[usize], folded: &[usize]| {
            let o = Order::of(lens, folded);
            (o.kept_outer, o.folded_outer, o.kept_inner, o.folded_inner)
        };
        assert_eq!(order(&[2000, 2000], &[0]), (vec![], vec![0], vec![1], vec![]));
        assert_eq!(order(&[2000, 2000], &[1]), (vec![], vec![], vec![0], vec![1]));
        assert_eq!(order(&[2000, 2000], &[0, 1]), (vec![], vec![0], vec![], vec![1]));
        assert_eq!(order(&[9000, 100, 3], &[0, 1, 2]), (vec![], vec![], vec![], vec![0, 1, 2]));
        assert_eq!(order(&[5, 100, 1, 90], &[1, 2]), (vec![0], vec![1], vec![3], vec![]));
        assert_eq!(order(&[500, 9, 90], &[1]), (vec![], vec![1], vec![0, 2], vec![]));
        assert_eq!(order(&[1, 1], &[0]), (vec![], vec![], vec![], vec![]));
    }
}

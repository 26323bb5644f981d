//! In which order the chunks of a source are made: where some of what reads them waits for a fold over the same chunks
//! (`x - x.mean_axis(..)`), those that go into one value of the fold come one after another, so that few are held at a
//! time. Otherwise in the order of their numbers.
//!
//! Knows plans. Must not know which tasks were handed out.

use tilework_plan::{AxisMap, Grid, InputMap, Plan, StageIdx};

/// An order other than that of the chunks' numbers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Order {
    /// Chunks along each axis.
    lens: Vec<u64>,
    /// The axes, the one along which the order goes slowest first.
    axes: Vec<usize>,
}

impl Order {
    /// The order on a grid in which these axes vary fastest; none where that is the order of the numbers.
    pub fn new(grid: &Grid, fast: &[bool]) -> Option<Order> {
        let lens: Vec<u64> = grid.axes().iter().map(|a| a.n_chunks() as u64).collect();
        let (fastest, slowest): (Vec<usize>, Vec<usize>) = (0..lens.len()).partition(|&a| fast[a]);
        let axes: Vec<usize> = slowest.into_iter().chain(fastest).collect();
        // Axes of one chunk may stand anywhere.
        let cut = |axes: &[usize]| axes.iter().copied().filter(|&a| lens[a] > 1).collect::<Vec<_>>();
        let is_plain = cut(&axes).is_sorted();
        (!is_plain).then_some(Order { lens, axes })
    }

    /// The number of the chunk at a position of the order.
    pub fn chunk(&self, mut position: u64) -> u64 {
        let mut coords = vec![0; self.lens.len()];
        for &axis in self.axes.iter().rev() {
            coords[axis] = position % self.lens[axis];
            position /= self.lens[axis];
        }
        coords.iter().zip(&self.lens).fold(0, |at, (c, len)| at * len + c)
    }

    /// The position of a chunk.
    pub fn position(&self, mut chunk: u64) -> u64 {
        let mut coords = vec![0; self.lens.len()];
        for (c, len) in coords.iter_mut().zip(&self.lens).rev() {
            *c = chunk % len;
            chunk /= len;
        }
        self.axes.iter().fold(0, |at, &axis| at * self.lens[axis] + coords[axis])
    }
}

/// For each stage, how many folds must end before its tasks can run.
pub(crate) fn waves(plan: &Plan) -> Vec<u32> {
    let mut waves = vec![0u32; plan.stages.len()];
    for (i, stage) in plan.stages.iter().enumerate() {
        let of = |input: &tilework_plan::Input| {
            let from = input.stage.0 as usize;
            waves[from] + u32::from(matches!(input.map, InputMap::Group { .. }))
        };
        waves[i] = stage.inputs.iter().map(of).max().unwrap_or(0);
    }
    waves
}

/// For each stage, which axes of its chunks are to vary fastest, where that matters.
pub(crate) fn fast_axes(plan: &Plan, waves: &[u32]) -> Vec<Option<Vec<bool>>> {
    let mut fast: Vec<Option<Vec<bool>>> = vec![None; plan.stages.len()];
    for i in 0..plan.stages.len() {
        let readers = &plan.consumers[i];
        let later = |s: StageIdx| waves[s.0 as usize] > waves[i];
        let waiting: Vec<_> =
            readers.iter().filter(|(s, slot)| later(*s) && !is_group(plan, *s, *slot)).collect();
        if waiting.is_empty() {
            continue;
        }
        // What is folded at once, of the same chunks.
        let folds = readers.iter().filter(|(s, _)| !later(*s));
        let folded = folds.filter_map(|&(s, slot)| {
            let axes = Some(&plan.stage(s).folded).filter(|axes| !axes.is_empty())?;
            let is_folded = |a: usize| axes.contains(&a);
            through(plan, (s, slot), is_folded)
        });
        let Some(axes) = folded.into_iter().find(|axes| is_mixed(axes)) else { continue };
        // Who waits reads other chunks too, which are to come in step.
        for &&(s, slot) in &waiting {
            let InputMap::View { view, .. } = &plan.stage(s).inputs[slot].map else { continue };
            let mut own = vec![false; plan.stage(s).grid.axes().len()];
            for (map, &is_fast) in view.axes.iter().zip(&axes) {
                if let AxisMap::Along { axis, .. } = map {
                    own[*axis] |= is_fast;
                }
            }
            fast[s.0 as usize].get_or_insert(own);
        }
        fast[i] = Some(axes);
    }
    for i in (0..plan.stages.len()).rev() {
        if fast[i].is_none() {
            let mut of_readers = plan.consumers[i].iter().filter_map(|&(s, slot)| {
                let axes = fast[s.0 as usize].as_ref()?;
                through(plan, (s, slot), |a| axes.get(a).copied().unwrap_or(false))
            });
            let found = of_readers.find(|axes| is_mixed(axes));
            fast[i] = found;
        }
    }
    fast
}

fn is_group(plan: &Plan, reader: StageIdx, slot: usize) -> bool {
    matches!(plan.stage(reader).inputs[slot].map, InputMap::Group { .. })
}

fn is_mixed(axes: &[bool]) -> bool {
    axes.contains(&true) && axes.contains(&false)
}

/// The axes of an input of so many that belong to axes of its reader that are `chosen`.
fn through(
    plan: &Plan,
    (reader, slot): (StageIdx, usize),
    chosen: impl Fn(usize) -> bool,
) -> Option<Vec<bool>> {
    match &plan.stage(reader).inputs[slot].map {
        InputMap::View { view, .. } => {
            let along = |map: &AxisMap| matches!(map, AxisMap::Along { axis, .. } if chosen(*axis));
            Some(view.axes.iter().map(along).collect())
        }
        InputMap::Boxes(read) => Some(read.iter().map(|p| p.axis().is_some_and(&chosen)).collect()),
        InputMap::Group { .. }
        | InputMap::Flat
        | InputMap::Take(_)
        | InputMap::Listed(_)
        | InputMap::Blocks => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tilework_plan::AxisGrid;

    #[test]
    fn positions_and_chunks_are_each_others_inverse() {
        let grid = Grid::new([3, 1, 4].map(|n| AxisGrid::regular(n * 10, 10)).to_vec());
        assert_eq!(Order::new(&grid, &[false, true, true]), None);
        assert_eq!(Order::new(&grid, &[false, true, false]), None);
        let order = Order::new(&grid, &[true, false, false]).unwrap();
        let chunks: Vec<u64> = (0..12).map(|p| order.chunk(p)).collect();
        assert_eq!(chunks, [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]);
        assert!((0..12).all(|p| order.position(order.chunk(p)) == p));
    }
}

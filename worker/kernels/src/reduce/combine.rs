//! Partial states of neighbouring chunks folded together, in row-major order of the chunks.
//!
//! Owns the counts of elements behind each state, which follow from the grid. Must not know elements.

use super::find;
use super::states::{Counter, Outcome, States, load};
use crate::chunk::{Chunk, Plane};
use crate::feed::KernelError;
use crate::gather::Task;
use crate::pool::{SendPtr, check, for_each};
use tilework_expr::StageKind;
use tilework_plan::{ChunkIdx, Grid, InputMap, region_shape};

/// States that one thread folds at a time.
const PIECE: usize = 8 << 10;

/// One input: the elements behind each of its states, and its planes in row-major order.
struct Group {
    count: u64,
    planes: Vec<Plane>,
}

/// Computes a task that combines partial states.
pub(crate) fn combine(task: &Task<'_>, chunk: ChunkIdx) -> Result<Chunk, KernelError> {
    let StageKind::Combine { fold, dtype, axes, span, of, finish } = &task.work().kind else {
        return Err(KernelError::NoKernel(task.name()));
    };
    let (fns, dtypes) = (find(*fold, *dtype)?, fold.state(*dtype));
    let shape = region_shape(&task.lowered.plan.out_region(task.stage, chunk));
    let groups = groups(task, chunk, (axes, span, of), &shape)?;
    let count = groups.iter().map(|g| g.count).sum();
    let len: usize = shape.iter().product();
    let mut result = States::identity(&fns, len);
    let target = SendPtr::new(result.at(&fns, 0));
    for_each(len.div_ceil(PIECE), len * groups.len(), |i| {
        check(task.stop)?;
        let range = i * PIECE..((i + 1) * PIECE).min(len);
        let mut counter = Counter::new(&fns);
        for group in groups.iter().filter(|g| g.count > 0) {
            let mut states = counter.fresh(range.len());
            load(&fns, (&group.planes, &dtypes), range.clone(), &mut states);
            states.count = group.count;
            counter.push(states);
        }
        if let Some(states) = counter.finish() {
            let place = target.add(range.start * fns.state_size);
            // SAFETY: each piece has its own place in the result.
            unsafe { std::ptr::copy_nonoverlapping(states.ptr(), place, range.len() * fns.state_size) };
        }
        Ok(())
    })?;
    Outcome { fold: *fold, dtype: *dtype, shape, finish: *finish }.chunk(&fns, &result, count)
}

/// The inputs in row-major order of their chunks.
fn groups(
    task: &Task<'_>,
    chunk: ChunkIdx,
    (axes, span, of): (&[usize], &[usize], &Grid),
    shape: &[usize],
) -> Result<Vec<Group>, KernelError> {
    let stage = task.shape();
    let Some(input) = stage.inputs.first() else {
        return Err(task.bad(0, "the stage has no input".into()));
    };
    let from = task.lowered.plan.stage(input.stage);
    let InputMap::Group { fanin } = &input.map else {
        return Err(task.bad(0, format!("got {:?}, expected a group", input.map)));
    };
    let coords = stage.grid.coords(chunk);
    let members = coords.iter().zip(fanin).zip(from.grid.axes());
    let expected: usize =
        members.map(|((&c, &f), a)| ((c + 1) * f).min(a.n_chunks()).saturating_sub(c * f)).product();
    let mut feeds: Vec<_> = task.feeds.iter().filter(|f| f.slot == 0).collect();
    feeds.sort_by_key(|f| f.chunk_idx);
    feeds.dedup_by_key(|f| f.chunk_idx);
    if feeds.len() != expected {
        return Err(KernelError::MissingInput { stage: task.name(), slot: 0, got: feeds.len(), expected });
    }
    let dtypes = &task.lowered.work(input.stage).planes;
    let group = |feed: &&crate::Feed| {
        if region_shape(&feed.region) != shape || feed.chunk.planes.len() != dtypes.len() {
            let got = format!("{} planes of shape {:?}", feed.chunk.planes.len(), region_shape(&feed.region));
            return Err(task.bad(0, format!("got {got}, expected {} of shape {shape:?}", dtypes.len())));
        }
        for (plane, &d) in feed.chunk.planes.iter().zip(dtypes) {
            task.check_plane(feed, plane, d)?;
        }
        let at = from.grid.coords(feed.chunk_idx);
        let along = |&a: &usize| {
            let axis = &of.axes()[a];
            let (first, end) = (at[a] * span[a], ((at[a] + 1) * span[a]).min(axis.n_chunks()));
            (first..end).map(|c| axis.range(c).len() as u64).sum::<u64>()
        };
        let count = axes.iter().map(along).product();
        Ok(Group { count, planes: feed.chunk.planes.iter().map(Plane::to_contiguous).collect() })
    };
    feeds.iter().map(group).collect()
}

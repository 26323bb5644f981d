//! Tasks that call a function of blocks, the user's or the library's own.
//!
//! Owns what such a function is called with, and the check of what it gives. Must not know what it does.

use crate::blocks::n_blocks;
use crate::calls::value_in;
use crate::chunk::{Buffer, Chunk, Plane};
use crate::feed::KernelError;
use crate::gather::{Task, seen};
use crate::halo;
use crate::library;
use crate::native::{Argument, BlockCall, Place, call_block};
use std::sync::Arc;
use tilework_expr::{Along, BlockFunction, Blocks, DType, Read};
use tilework_plan::{ChunkIdx, InputMap, Region, region_shape};

/// Computes a task that calls a function of blocks.
pub(crate) fn blocks(task: &Task<'_>, blocks: &Blocks, chunk: ChunkIdx) -> Result<Chunk, KernelError> {
    let region = task.lowered.plan.out_region(task.stage, chunk);
    if region.iter().any(std::ops::Range::is_empty) {
        return Ok(Chunk { planes: vec![empty(blocks.function.output(), region_shape(&region))] });
    }
    let coords = blocks.space.coords(chunk);
    let inputs = (0..blocks.reads.len()).map(|slot| argument(task, blocks, (slot, chunk, &coords)));
    let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
    let place = Place {
        counts: blocks.space.counts(),
        space: blocks.space.region(chunk),
        shape: task.shape().out_grid.shape(),
        chunk: coords,
        region,
    };
    let made = match &blocks.function {
        BlockFunction::User(kernel, _) => {
            call_block(kernel, &BlockCall { inputs: &inputs, params: &kernel.params, place: &place })?
        }
        BlockFunction::Own(own) => {
            library::call(own, &BlockCall { inputs: &inputs, params: &own.params, place: &place })?
        }
    };
    match blocks.gives {
        Some(gives) => of_blocks(blocks, u64::from(gives.n), made),
        None => of_array(blocks, made, (&inputs, &place)),
    }
}

fn empty(dtype: DType, shape: Vec<usize>) -> Plane {
    Plane::row_major_at(dtype, shape, Arc::new(Buffer::zeroed(0).freeze()), 0)
}

/// What the function reads of an input.
fn argument<'a>(
    task: &Task<'a>,
    blocks: &Blocks,
    (slot, chunk, coords): (usize, ChunkIdx, &[usize]),
) -> Result<Argument<'a>, KernelError> {
    let input = &task.shape().inputs[slot];
    match (&blocks.reads[slot], &input.map) {
        (Read::Block, _) => {
            let plan = &task.lowered.plan;
            let expected = plan.n_tasks(plan.behind(input.stage)) as usize;
            let of_slot = task.feeds.iter().filter(|feed| feed.slot == slot);
            let parts =
                of_slot.zip(0..).take_while(|(f, c)| f.chunk_idx.0 == *c).map(|(f, _)| value_in(task, f));
            let parts = parts.collect::<Result<Vec<_>, _>>()?;
            match parts.len() {
                got if got == expected => Ok(Argument::Parts(parts)),
                got => Err(KernelError::MissingInput { stage: task.name(), slot, got, expected }),
            }
        }
        (Read::Box(along), InputMap::View { .. }) => {
            let region: Region = blocks.space.region(chunk);
            let axes: Vec<usize> = along.iter().filter_map(Along::axis).collect();
            let shape: Vec<usize> = axes.iter().map(|&a| region[a].len()).collect();
            if shape.contains(&0) {
                return Ok(Argument::Block(empty(task.lowered.dtype(input.stage), shape)));
            }
            Ok(Argument::Block(seen(task, slot, (&axes, &region))?))
        }
        (Read::Box(along), _) => {
            Ok(Argument::Block(halo::block(task, slot, along, (&blocks.space, coords))?))
        }
    }
}

/// A value, if it is of so many blocks.
fn of_blocks(blocks: &Blocks, expected: u64, made: Plane) -> Result<Chunk, KernelError> {
    match n_blocks(&made) {
        Ok(n) if n == expected => Ok(Chunk { planes: vec![made] }),
        got => {
            let text = format!("{} gave {got:?} blocks, expected {expected}", blocks.function.name());
            Err(KernelError::Operation(text))
        }
    }
}

/// What a function made, if it is of the chunk's shape; or of the shape of its first block with what was around it, which
/// is left out then.
fn of_array(
    blocks: &Blocks,
    made: Plane,
    (inputs, place): (&[Argument<'_>], &Place),
) -> Result<Chunk, KernelError> {
    let (dtype, shape) = (blocks.function.output(), region_shape(&place.region));
    if made.dtype() == dtype && made.shape() == shape {
        return Ok(Chunk { planes: vec![made] });
    }
    let mut shapes = vec![format!("{shape:?}")];
    if let (Some(Read::Box(along)), Some(Argument::Block(block))) = (blocks.reads.first(), inputs.first())
        && along.iter().any(|a: &Along| a.halo().is_some())
        // In the order of the result's axes: else the same shape may be another box.
        && along.iter().enumerate().all(|(at, a)| a.axis() == Some(at))
        && let Some(own) = halo::inner(along, (&blocks.space, &place.chunk))
        && region_shape(&own) == shape
    {
        if made.dtype() == dtype && made.shape() == block.shape() {
            // A copy, so that the halo's memory does not live as long as the chunk.
            return Ok(Chunk { planes: vec![made.slice(&own).to_contiguous()] });
        }
        shapes.push(format!("{:?}", block.shape()));
    }
    Err(KernelError::Operation(format!(
        "{} gave a block of {} of shape {:?}, expected {dtype} of shape {}",
        blocks.function.name(),
        made.dtype(),
        made.shape(),
        shapes.join(" or ")
    )))
}

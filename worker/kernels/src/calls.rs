//! Own tasks of the user's: a function is called with bytes and with values that others have made, and gives a value.
//!
//! Owns which values a call gets, and in what order. Must not know what values mean.

use crate::chunk::{Chunk, Plane};
use crate::gather::Task;
use crate::native::{ValuesCall, call_values};
use crate::task::{Feed, KernelError};
use tilework_expr::Calls;
use tilework_plan::ChunkIdx;

/// Computes the value of one call.
pub(crate) fn call(task: &Task<'_>, calls: &Calls, chunk: ChunkIdx) -> Result<Chunk, KernelError> {
    let at = chunk.0 as usize;
    let args = calls.args_of(at);
    let mut values = Vec::with_capacity(args.len());
    for &(slot, value) in args {
        values.push(value_of(task, (slot as usize, ChunkIdx(value)))?);
    }
    let plane = call_values(&calls.kernel, &ValuesCall { params: calls.params_of(at), values: &values })?;
    Ok(Chunk { planes: vec![plane] })
}

/// A value that the task was fed with.
fn value_of<'a>(task: &Task<'a>, (slot, value): (usize, ChunkIdx)) -> Result<&'a Plane, KernelError> {
    // They come as the plan lists them: rising.
    let found = task.feeds.binary_search_by_key(&(slot, value), |feed: &Feed| (feed.slot, feed.chunk_idx));
    let Ok(at) = found else {
        return Err(KernelError::MissingInput { stage: task.name(), slot, got: 0, expected: 1 });
    };
    match task.feeds[at].chunk.planes.as_slice() {
        [plane] if plane.shape().len() == 1 && plane.is_contiguous() => Ok(plane),
        [plane] if plane.shape().len() == 1 => {
            Err(task.bad(slot, "the bytes of a value do not lie side by side".into()))
        }
        planes => Err(task.bad(slot, format!("got {} planes, expected the bytes of a value", planes.len()))),
    }
}

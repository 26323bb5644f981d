//! Own tasks of the user's: a function is called with bytes, with values that others have made and with whole arrays, and
//! gives a value.
//!
//! Owns which values a call gets, and in what order. Must not know what values mean.

use crate::chunk::{Chunk, Plane};
use crate::gather::Task;
use crate::native::{ValuesCall, call_array, call_values};
use crate::task::{Feed, KernelError};
use tilework_expr::Calls;
use tilework_plan::ChunkIdx;

/// Computes the value of one call.
pub(crate) fn call(task: &Task<'_>, calls: &Calls, chunk: ChunkIdx) -> Result<Chunk, KernelError> {
    let at = chunk.0 as usize;
    let values = values_of(task, calls, at)?;
    let plane = call_values(&calls.kernel, &ValuesCall { params: calls.params_of(at), values: &values })?;
    Ok(Chunk { planes: vec![plane] })
}

/// Computes the only chunk of an array that is made of a value.
pub(crate) fn array_of(task: &Task<'_>, calls: &Calls, chunk: ChunkIdx) -> Result<Chunk, KernelError> {
    let values = values_of(task, calls, 0)?;
    let call = ValuesCall { params: calls.params_of(0), values: &values };
    let shape: Vec<usize> = task.shape().grid.region(chunk).iter().map(ExactSizeIterator::len).collect();
    let made = call_array(&calls.kernel, &call, &shape).map_err(|error| match (error, &calls.line) {
        (KernelError::Operation(why), Some(line)) => {
            KernelError::Operation(format!("{why} (`from_future` at {line})"))
        }
        (error, _) => error,
    });
    Ok(Chunk { planes: vec![made?] })
}

/// The values that a call is called with.
fn values_of<'a>(task: &Task<'a>, calls: &Calls, call: usize) -> Result<Vec<&'a Plane>, KernelError> {
    let args = calls.args_of(call).iter();
    args.map(|&(slot, value)| value_of(task, (slot as usize, ChunkIdx(value)))).collect()
}

/// A value that the task was fed with.
fn value_of<'a>(task: &Task<'a>, (slot, value): (usize, ChunkIdx)) -> Result<&'a Plane, KernelError> {
    // They come as the plan lists them: rising.
    let found = task.feeds.binary_search_by_key(&(slot, value), |feed: &Feed| (feed.slot, feed.chunk_idx));
    let Ok(at) = found else {
        return Err(KernelError::MissingInput { stage: task.name(), slot, got: 0, expected: 1 });
    };
    let is_value = task.lowered.plan.stage(task.shape().inputs[slot].stage).is_measured();
    match task.feeds[at].chunk.planes.as_slice() {
        [plane] if !is_value => Ok(plane),
        [plane] if plane.shape().len() == 1 && plane.is_contiguous() => Ok(plane),
        [plane] if plane.shape().len() == 1 => {
            Err(task.bad(slot, "the bytes of a value do not lie side by side".into()))
        }
        planes => Err(task.bad(slot, format!("got {} planes, expected the bytes of a value", planes.len()))),
    }
}

//! Own tasks of the user's: a function is called with bytes, with values that others have made and with whole arrays, and
//! gives a value.
//!
//! Owns which values a call gets, and in what order. Must not know what values mean.

use crate::blocks::n_blocks;
use crate::chunk::{Chunk, Plane};
use crate::feed::{Feed, KernelError};
use crate::gather::Task;
use crate::native::{ValuesCall, call_array, call_values};
use tilework_expr::Calls;
use tilework_plan::ChunkIdx;

/// Computes the value of one call.
pub(crate) fn call(task: &Task<'_>, calls: &Calls, chunk: ChunkIdx) -> Result<Chunk, KernelError> {
    let at = chunk.0 as usize;
    let values = if calls.takes { blocks(task)? } else { values_of(task, calls, at)? };
    let plane = call_values(&calls.kernel, &ValuesCall { params: calls.params_of(at), values: &values })?;
    if calls.gives > 0 {
        check_blocks(task, calls, &plane)?;
    }
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

/// The blocks that a call takes, input by input, in the order of the values that they are of: so they come.
fn blocks<'a>(task: &Task<'a>) -> Result<Vec<&'a Plane>, KernelError> {
    let (plan, inputs) = (&task.lowered.plan, &task.shape().inputs);
    let mut feeds = task.feeds;
    let mut blocks = Vec::with_capacity(feeds.len());
    for (slot, input) in inputs.iter().enumerate() {
        let expected = plan.n_tasks(plan.behind(input.stage)) as usize;
        let got = feeds.iter().zip(0..).take_while(|(f, c)| (f.slot, f.chunk_idx.0) == (slot, *c)).count();
        if got != expected {
            return Err(KernelError::MissingInput { stage: task.name(), slot, got, expected });
        }
        let (mine, rest) = feeds.split_at(got);
        for feed in mine {
            blocks.push(value_in(task, feed)?);
        }
        feeds = rest;
    }
    Ok(blocks)
}

/// Whether a value is made of as many blocks as there are calls that take them.
fn check_blocks(task: &Task<'_>, calls: &Calls, value: &Plane) -> Result<(), KernelError> {
    let function = || match &task.shape().calls {
        Some(function) => function.in_words(),
        None => calls.kernel.name.clone(),
    };
    match n_blocks(value) {
        Ok(n) if n == u64::from(calls.gives) => Ok(()),
        Ok(n) => {
            let text = format!("{}: it gave {n} parts, expected {}", function(), calls.gives);
            Err(KernelError::Operation(text))
        }
        Err(why) => Err(KernelError::Operation(format!("{}: it gave {why}", function()))),
    }
}

/// A value that the task was fed with.
fn value_of<'a>(task: &Task<'a>, (slot, value): (usize, ChunkIdx)) -> Result<&'a Plane, KernelError> {
    // They come as the plan lists them: rising.
    let found = task.feeds.binary_search_by_key(&(slot, value), |feed: &Feed| (feed.slot, feed.chunk_idx));
    let Ok(at) = found else {
        return Err(KernelError::MissingInput { stage: task.name(), slot, got: 0, expected: 1 });
    };
    let feed = &task.feeds[at];
    let is_value = task.lowered.plan.stage(task.shape().inputs[slot].stage).is_measured();
    match feed.chunk.planes.as_slice() {
        [plane] if !is_value => Ok(plane),
        _ => value_in(task, feed),
    }
}

/// The bytes of a value, or of a block of one.
pub(crate) fn value_in<'a>(task: &Task<'a>, feed: &'a Feed) -> Result<&'a Plane, KernelError> {
    match feed.chunk.planes.as_slice() {
        [plane] if plane.shape().len() == 1 && plane.is_contiguous() => Ok(plane),
        [plane] if plane.shape().len() == 1 => {
            Err(task.bad(feed.slot, "the bytes of a value do not lie side by side".into()))
        }
        planes => {
            Err(task.bad(feed.slot, format!("got {} planes, expected the bytes of a value", planes.len())))
        }
    }
}

//! The threads that compute: one task's kernel at a time, never I/O, never tokio's threads.
//!
//! Owns the rayon pool, the clock around a kernel and the net under its panics. Must not know where results go.

use crate::spill::SpillSpace;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;
use tilework_expr::Lowered;
use tilework_kernels::{Chunk, Feed, KernelError, execute, panic_text};
use tilework_plan::{TaskError, TaskKey};

thread_local! {
    static RUNS_TASKS: Cell<bool> = const { Cell::new(false) };
    static SPILL_SPACE: RefCell<Option<Arc<SpillSpace>>> = const { RefCell::new(None) };
}

/// Whether the calling thread is one that runs tasks, or whatever else tasks wait for. It must not wait for a task in
/// its turn: all such threads might, and none be left to run any.
#[must_use]
pub fn runs_tasks() -> bool {
    RUNS_TASKS.get()
}

/// Makes the calling thread one of those, for good.
pub fn mark_task_thread() {
    RUNS_TASKS.set(true);
}

/// The disk of the worker whose task the calling thread runs; none where it runs none, or the worker has no disk.
#[must_use]
pub fn spill_space() -> Option<Arc<SpillSpace>> {
    SPILL_SPACE.with_borrow(Clone::clone)
}

/// The threads.
#[derive(Debug)]
pub(crate) struct Pool {
    threads: rayon::ThreadPool,
}

impl Pool {
    /// A pool of `n` threads, whose tasks may use a disk where there is one.
    ///
    /// # Errors
    /// If the system has no threads to give.
    pub(crate) fn new(n: usize, spill: Option<Arc<SpillSpace>>) -> Result<Pool, rayon::ThreadPoolBuildError> {
        let builder = rayon::ThreadPoolBuilder::new().num_threads(n.max(1));
        let builder = builder.start_handler(move |_| {
            mark_task_thread();
            SPILL_SPACE.set(spill.clone());
        });
        let threads = builder.thread_name(|i| format!("tilework-{i}")).build()?;
        Ok(Pool { threads })
    }

    /// Number of threads.
    pub(crate) fn n_threads(&self) -> usize {
        self.threads.current_num_threads()
    }

    /// Runs `job` on a thread of the pool, later; rayon's parallel calls within it use the pool's other threads.
    pub(crate) fn spawn(&self, job: impl FnOnce() + Send + 'static) {
        self.threads.spawn_fifo(job);
    }
}

/// Computes one task and says how long it took, microseconds. A panic is an error of the operation.
pub(crate) fn compute(
    lowered: &Lowered,
    task: TaskKey,
    feeds: &[Feed],
    stop: &AtomicBool,
) -> (Result<Chunk, TaskError>, u64) {
    let name = lowered.plan.stage(task.stage).name;
    let started = Instant::now();
    let result = guarded(name, || execute(lowered, task.stage, task.chunk, feeds, stop).map_err(of_kernel));
    (result, started.elapsed().as_micros() as u64)
}

/// Runs `f`; a panic in it is an error of the operation called `name`.
pub(crate) fn guarded<T>(name: &str, f: impl FnOnce() -> Result<T, TaskError>) -> Result<T, TaskError> {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|panic| {
        Err(TaskError::Operation(format!("panic in {name}: {}", panic_text(&*panic))))
    })
}

fn of_kernel(error: KernelError) -> TaskError {
    match error {
        KernelError::Stopped => TaskError::Worker("stopped".into()),
        other => TaskError::Operation(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_that_says_its_message() {
        for (result, expected) in [
            (guarded("reduce", || -> Result<(), TaskError> { panic!("no {}", 7) }), "panic in reduce: no 7"),
            (guarded("reduce", || -> Result<(), TaskError> { panic!("plain") }), "panic in reduce: plain"),
        ] {
            assert_eq!(result, Err(TaskError::Operation(expected.into())));
        }
    }
}

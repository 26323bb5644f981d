//! Tasks on their way to what does them: kernels on the pool, files on blocking threads, tables on those of an engine. How many there are at a time the
//! state machine decides, over all of them.
//!
//! Owns which of them does what. Must not know how.

use super::Driver;
use crate::crew::{Job, Running, finished};
use crate::engine;
use crate::peers::block;
use crate::source::Sources;
use crate::store::Stored;
use std::sync::Arc;
use tilework_expr::Lowered;
use tilework_kernels::{Chunk, Feed};
use tilework_plan::{LeaseId, Part, TaskError, TaskKey};
use tilework_worker_core::Source;

impl Driver {
    pub(super) fn run(&mut self, lease: LeaseId, task: TaskKey, feeds: &[tilework_worker_core::Feed]) {
        let running = Arc::new(Running::default());
        self.running.insert(task, (lease, running.clone()));
        let (lowered, feeds) = match self.prepare(task, feeds) {
            Ok(prepared) => prepared,
            Err(error) => return self.post(async move { finished(lease, task, Err(error), 0) }),
        };
        let epoch = self.epoch;
        let kind = &lowered.work(task.stage).kind;
        if Sources::serves(kind) {
            let performed = self.sources.clone().perform((lowered, task), feeds, running);
            self.post_end((lease, task), performed);
        } else if engine::serves(kind) {
            let spill = self.disk.as_ref().map(|disk| disk.room());
            let performed = engine::perform((lowered, task), feeds, (spill, running));
            self.post_end((lease, task), performed);
        } else {
            self.jobs.push(Job { lease, task, lowered, feeds, running, epoch });
        }
    }

    /// Keeps what a task makes that runs elsewhere than on the pool, and posts its end.
    fn post_end(
        &self,
        (lease, task): (LeaseId, TaskKey),
        performed: impl Future<Output = (Result<Option<Chunk>, TaskError>, u64)> + Send + 'static,
    ) {
        let (store, epoch) = (self.shared.store.clone(), self.epoch);
        self.post(async move {
            let (result, busy_us) = performed.await;
            let kept = result.map(|chunk| {
                let bytes = chunk.as_ref().map_or(0, |chunk| chunk.bytes() as u64);
                if let Some(chunk) = chunk {
                    store.insert(epoch, Source::Held(task), Stored { chunk, part: None });
                }
                bytes
            });
            finished(lease, task, kept, busy_us)
        });
    }

    /// What a task is one of, and its inputs' elements.
    fn prepare(
        &self,
        task: TaskKey,
        feeds: &[tilework_worker_core::Feed],
    ) -> Result<(Arc<Lowered>, Vec<Feed>), TaskError> {
        let missing = |what: String| TaskError::Worker(format!("{what} is not on this worker"));
        let lowered = self.shared.plans.of(task.job).ok_or_else(|| missing(format!("job {}", task.job.0)))?;
        let (plan, stage) = (&lowered.plan, lowered.plan.stage(task.stage));
        let feed = |f: &tilework_worker_core::Feed| {
            let stored =
                self.shared.store.get(&f.source).ok_or_else(|| missing(format!("chunk {:?}", f.key)))?;
            let of = plan.behind(stage.inputs[f.slot].stage);
            let (region, chunk) = match stored.part {
                Some(Part::Box(region)) => (region, stored.chunk),
                // Of what is here whole, its block.
                None if plan.reads_blocks(task.stage, f.slot) => {
                    let block = block(&stored.chunk, task.chunk.0).map_err(TaskError::Worker)?;
                    (plan.out_region(of, f.key.chunk), block)
                }
                Some(Part::Block(_)) | None => (plan.out_region(of, f.key.chunk), stored.chunk),
            };
            Ok(Feed { slot: f.slot, chunk_idx: f.key.chunk, region, chunk })
        };
        let feeds = feeds.iter().map(feed).collect::<Result<_, _>>()?;
        Ok((lowered, feeds))
    }
}

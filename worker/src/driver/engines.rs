//! Tasks on their way to what does them: kernels on the pool, files on blocking threads, tables on those of an engine. How many there are at a time the
//! state machine decides, over all of them.
//!
//! Owns which of them does what. Must not know how.

use super::{Driver, Post};
use crate::crew::{Job, Running, finished};
use crate::engine::{self, Fed, Read, Room};
use crate::source::Sources;
use crate::store::{Content, Stored};
use std::sync::Arc;
use tilework_expr::Lowered;
use tilework_kernels::Feed;
use tilework_plan::{LeaseId, Part, TaskError, TaskKey};
use tilework_worker_core::{Event, Source};

/// The part of a worker's memory that the results of all tasks at once may take before they go on on the disk.
const RESULT_PART: u64 = 4;

impl Driver {
    pub(super) fn run(&mut self, lease: LeaseId, task: TaskKey, feeds: &[tilework_worker_core::Feed]) {
        let running = Arc::new(Running::default());
        self.running.insert(task, (lease, running.clone()));
        if let Err(error) = self.start((lease, task), feeds, running) {
            self.post(async move { finished(lease, task, Err(error), 0) });
        }
    }

    fn start(
        &mut self,
        (lease, task): (LeaseId, TaskKey),
        feeds: &[tilework_worker_core::Feed],
        running: Arc<Running>,
    ) -> Result<(), TaskError> {
        let lowered = self.shared.plans.of(task.job);
        let lowered = lowered.ok_or_else(|| missing(&format!("job {}", task.job.0)))?;
        let (epoch, kind) = (self.epoch, &lowered.work(task.stage).kind);
        if engine::serves(kind) {
            let fed = self.fed(&lowered, task, feeds)?;
            let room = Room {
                spill: self.disk.as_ref().map(|disk| Arc::clone(disk.space())),
                result_bytes: self.memory_bytes as u64 / (RESULT_PART * self.threads),
                grew: self.grew(lease, task),
                running,
            };
            self.post_end((lease, task), engine::perform((lowered, task), fed, room));
            return Ok(());
        }
        let feeds = self.prepare(&lowered, task, feeds)?;
        if Sources::serves(kind) {
            let performed = self.sources.clone().perform((lowered, task), feeds, running);
            self.post_end((lease, task), performed);
        } else {
            self.jobs.push(Job { lease, task, lowered, feeds, running, epoch });
        }
        Ok(())
    }

    /// Tells the state machine what a task's result takes so far. What is not heard is not waited for: the next word has it.
    fn grew(&self, lease: LeaseId, task: TaskKey) -> engine::Grew {
        let inbox = self.inbox.clone();
        Box::new(move |bytes| {
            if let Some(inbox) = inbox.upgrade() {
                let _ = inbox.try_send(Post::Events(vec![Event::Grew { lease, task, bytes }]));
            }
        })
    }

    /// Keeps what a task makes that runs elsewhere than on the pool, and posts its end.
    fn post_end<C: Into<Content>>(
        &self,
        (lease, task): (LeaseId, TaskKey),
        performed: impl Future<Output = (Result<Option<C>, TaskError>, u64)> + Send + 'static,
    ) {
        let (store, epoch) = (self.shared.store.clone(), self.epoch);
        self.post(async move {
            let (result, busy_us) = performed.await;
            let kept = result.map(|made| {
                let Some(content) = made.map(Into::into) else { return 0 };
                let bytes = content.bytes();
                store.insert(epoch, Source::Held(task), Stored { content, part: None });
                bytes
            });
            finished(lease, task, kept, busy_us)
        });
    }

    /// Its inputs' elements.
    fn prepare(
        &self,
        lowered: &Lowered,
        task: TaskKey,
        feeds: &[tilework_worker_core::Feed],
    ) -> Result<Vec<Feed>, TaskError> {
        let (plan, stage) = (&lowered.plan, lowered.plan.stage(task.stage));
        let feed = |f: &tilework_worker_core::Feed| {
            let stored = self.stored(f)?;
            let Content::Chunk(chunk) = stored.content else {
                return Err(TaskError::Worker(format!("chunk {:?} is a value of tables", f.key)));
            };
            let of = plan.behind(stage.inputs[f.slot].stage);
            let (region, chunk) = match stored.part {
                Some(Part::Box(region)) => (region, chunk),
                // Of what is here whole, its block.
                None if plan.reads_blocks(task.stage, f.slot) => {
                    let block = chunk.block(task.chunk.0).map_err(|e| TaskError::Worker(e.to_string()))?;
                    (plan.out_region(of, f.key.chunk), block)
                }
                Some(Part::Block(_)) | None => (plan.out_region(of, f.key.chunk), chunk),
            };
            Ok(Feed { slot: f.slot, chunk_idx: f.key.chunk, region, chunk })
        };
        feeds.iter().map(feed).collect()
    }

    /// What a task of an engine reads.
    fn fed(
        &self,
        lowered: &Lowered,
        task: TaskKey,
        feeds: &[tilework_worker_core::Feed],
    ) -> Result<Vec<Fed>, TaskError> {
        let fed = |f: &tilework_worker_core::Feed| {
            let Stored { content, part } = self.stored(f)?;
            let wrong = |why| TaskError::Worker(format!("input {}: {why}", f.slot));
            let reads_block = lowered.plan.reads_blocks(task.stage, f.slot);
            let of = lowered.plan.stage(task.stage).inputs[f.slot].stage;
            let read = match (part, content) {
                (_, content) if !reads_block && !lowered.work(of).kind.gives_values() => {
                    Read::of_array(content)
                }
                (None, content) => Read::of(content, reads_block.then_some(task.chunk.0)),
                (Some(_), Content::Chunk(chunk)) => Read::of_part(chunk),
                (Some(_), Content::Kept(_)) => Err("a part that an engine keeps".to_owned()),
            };
            Ok(Fed { slot: f.slot, chunk_idx: f.key.chunk, read: read.map_err(wrong)? })
        };
        feeds.iter().map(fed).collect()
    }

    fn stored(&self, f: &tilework_worker_core::Feed) -> Result<Stored, TaskError> {
        self.shared.store.get(&f.source).ok_or_else(|| missing(&format!("chunk {:?}", f.key)))
    }
}

fn missing(what: &str) -> TaskError {
    TaskError::Worker(format!("{what} is not on this worker"))
}

//! Chunks that very many tasks read, as a mean that is taken from each chunk of an array: their readers are told bit by
//! bit, a number with each event, for nobody else is served meanwhile.
//!
//! A chunk that is being published exists, and its readers wait for it until they are reached. Until then it is one of
//! those that they miss, and is not counted as read by them.
//!
//! Knows which readers were reached. Must not know where tasks run.

use crate::limits::Bug;
use crate::scheduler::Scheduler;
use crate::table::TaskState;
use tilework_plan::{ChunkIdx, Need, Plan, StageIdx, TaskKey};

/// How far the publication of a chunk is.
pub(crate) struct Publication {
    /// Which of the inputs is next that [`Plan::consumers`] lists for the chunk's stage.
    input: usize,
    /// The tasks that read the chunk through that one; absent before it was looked at.
    readers: Option<Need>,
    /// Those of them that were reached.
    n_reached: u64,
}

/// What is next in a publication.
pub(crate) enum Step {
    /// A reader is to be told.
    Reader(StageIdx, ChunkIdx),
    /// Nobody was: an input was looked at.
    Looked,
    /// All readers were reached.
    Over,
}

impl Publication {
    pub fn new() -> Publication {
        Publication { input: 0, readers: None, n_reached: 0 }
    }

    /// What is next. A reader stays so until [`Publication::advance`].
    pub fn next(&mut self, plan: &Plan, (of, chunk): (StageIdx, ChunkIdx)) -> Step {
        let Some(&(to, _)) = plan.consumers[of.0 as usize].get(self.input) else { return Step::Over };
        let Some(readers) = &self.readers else {
            self.readers = Some(plan.readers((of, chunk), self.input));
            return Step::Looked;
        };
        if self.n_reached == readers.n_tasks() {
            *self = Publication { input: self.input + 1, ..Publication::new() };
            return Step::Looked;
        }
        Step::Reader(to, readers.nth(self.n_reached))
    }

    /// The next reader was told.
    pub fn advance(&mut self) {
        self.n_reached += 1;
    }

    /// Whether a task that reads the chunk through an input of its stage was reached.
    pub fn has_reached(
        &self,
        plan: &Plan,
        of: StageIdx,
        (reader, slot, chunk): (StageIdx, usize, ChunkIdx),
    ) -> bool {
        let input = plan.consumers[of.0 as usize].partition_point(|at| *at < (reader, slot));
        let here = |readers: &Need| readers.n_before(chunk) < self.n_reached;
        input < self.input || input == self.input && self.readers.as_ref().is_some_and(here)
    }
}

impl Scheduler {
    /// Whether a chunk is there for a task that reads it through an input of its stage.
    pub(crate) fn sees(&self, input: TaskKey, reader: (StageIdx, usize, ChunkIdx)) -> bool {
        let job = &self.jobs[&input.job];
        job.state(input.stage, input.chunk).is_held()
            && (self.publishing.is_empty()
                || self.publishing.get(&input).is_none_or(|p| p.has_reached(&job.plan, input.stage, reader)))
    }

    /// Begins to tell the readers of a chunk one by one where it may have very many; whether it did.
    pub(crate) fn begin_publishing(&mut self, key: TaskKey) -> bool {
        if !self.has_many_readers(key) {
            return false;
        }
        self.publishing.insert(key, Publication::new());
        true
    }

    /// A chunk whose readers are yet to be told, and how many of these may become ready now.
    fn next_to_publish(&self) -> Option<(TaskKey, usize)> {
        self.publishing.keys().find_map(|key| {
            // Tasks of other jobs that fit nowhere are no reason to wait.
            let unplaced = self.unplaced.iter().filter(|ready| ready.job == key.job).count();
            let room = self.limits.ready_max.saturating_sub(self.n_ready.max(unplaced));
            (room > 0).then_some((*key, room))
        })
    }

    /// Whether readers of chunks are yet to be told, and now is the time.
    pub(crate) fn wants_to_publish(&self) -> bool {
        self.next_to_publish().is_some()
    }

    /// Tells some readers of chunks that these exist, while not too many tasks are ready.
    pub(crate) fn publish_some(&mut self) {
        let mut left = self.limits.publish_max;
        while left > 0
            && let Some((key, room)) = self.next_to_publish()
        {
            self.publish_some_of(key, room, &mut left);
        }
    }

    fn publish_some_of(&mut self, key: TaskKey, mut room: usize, left: &mut u64) {
        let plan = self.jobs[&key.job].plan.clone();
        let mut told = 0;
        while *left > 0 && room > 0 {
            *left -= 1;
            let step =
                self.publishing.get_mut(&key).map_or(Step::Over, |p| p.next(&plan, (key.stage, key.chunk)));
            let (stage, chunk) = match step {
                Step::Reader(stage, chunk) => (stage, chunk),
                Step::Looked => continue,
                Step::Over => {
                    self.publishing.remove(&key);
                    break;
                }
            };
            let reader = TaskKey { stage, chunk, ..key };
            let state = self.task(reader);
            let needed =
                self.jobs[&key.job].needed(stage, chunk) || self.limits.plays(Bug::UnneededReadersRun);
            let missing = match state {
                _ if !needed => 0,
                TaskState::Untouched => self.missing_inputs(reader, None),
                TaskState::Waiting { missing } => missing,
                _ => 0,
            };
            told += u32::from(needed && !self.has_read(reader, state));
            if let Some(p) = self.publishing.get_mut(&key) {
                p.advance();
            }
            match missing {
                0 => {}
                // It may not have heard that the chunk had been gone.
                _ if self.withdrawing.contains_key(&key) => self.requeue(reader),
                _ => self.misses_one_less(reader, missing),
            }
            room -= usize::from(missing > 0 && matches!(self.task(reader), TaskState::Ready { .. }));
        }
        if let TaskState::Held { holder, pending } = self.task(key) {
            let pending = pending + told;
            self.set(key, TaskState::Held { holder, pending });
            if pending == 0 && !self.publishing.contains_key(&key) {
                self.release_unless_kept(key);
            }
        }
    }

    /// The readers of a chunk that were not told of it are to read nothing any more.
    pub(crate) fn end_publishing(&mut self, key: TaskKey) {
        let Some(mut publication) = self.publishing.remove(&key) else { return };
        let plan = self.jobs[&key.job].plan.clone();
        loop {
            match publication.next(&plan, (key.stage, key.chunk)) {
                Step::Reader(stage, chunk) => {
                    publication.advance();
                    let reader = TaskKey { stage, chunk, ..key };
                    let needed = self.jobs[&key.job].needed(stage, chunk);
                    if needed && self.task(reader) == TaskState::Untouched {
                        self.set(reader, TaskState::Released);
                    }
                }
                Step::Looked => {}
                Step::Over => return,
            }
        }
    }

    /// Whether a chunk that nobody reads any more must be kept for readers that were not told of it.
    pub(crate) fn is_publishing(&self, key: TaskKey) -> bool {
        self.publishing.contains_key(&key) && !self.limits.plays(Bug::PublicationForgotten)
    }
}

//! Tasks that were leased and not looked at yet: ranges, later stages first, else in the order in which they came.
//!
//! Knows ranges and their order. Must not know inputs or memory.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use tilework_plan::{ChunkIdx, Holding, JobId, LeaseId, StageIdx, TaskKey, TaskRange, WorkerId};

/// Earlier jobs first, then later stages, then earlier arrivals.
type Place = (JobId, Reverse<StageIdx>, u64);

/// Where inputs are, by their makers' names; sorted.
#[derive(Clone, Debug)]
pub(crate) struct Elsewhere(Arc<[Holding]>);

impl Elsewhere {
    pub fn new(mut holdings: Vec<Holding>) -> Elsewhere {
        holdings.sort_unstable_by_key(|h| (h.chunks.job, h.chunks.stage, h.chunks.chunks.start));
        Elsewhere(holdings.into())
    }

    /// Who has a chunk.
    pub fn find(&self, key: TaskKey) -> Option<WorkerId> {
        let upto = self.0.partition_point(|h| {
            (h.chunks.job, h.chunks.stage, h.chunks.chunks.start) <= (key.job, key.stage, key.chunk.0)
        });
        let h = self.0[..upto].last()?;
        let r = &h.chunks;
        ((r.job, r.stage) == (key.job, key.stage) && r.chunks.contains(&key.chunk.0)).then_some(h.worker)
    }
}

/// Neighbouring tasks of one lease.
#[derive(Debug)]
struct Entry {
    lease: LeaseId,
    chunks: Range<u64>,
    elsewhere: Elsewhere,
}

/// The next task, with what its lease said.
pub(crate) struct Next {
    pub lease: LeaseId,
    pub key: TaskKey,
    pub elsewhere: Elsewhere,
}

/// All tasks that were not looked at.
#[derive(Default, Debug)]
pub(crate) struct Queue {
    entries: BTreeMap<Place, Entry>,
    arrivals: u64,
    n_tasks: u64,
}

impl Queue {
    pub fn n_tasks(&self) -> u64 {
        self.n_tasks
    }

    pub fn push(&mut self, lease: LeaseId, tasks: &TaskRange, elsewhere: Elsewhere) {
        self.insert(
            (tasks.job, Reverse(tasks.stage)),
            Entry { lease, chunks: tasks.chunks.clone(), elsewhere },
        );
    }

    fn insert(&mut self, (job, stage): (JobId, Reverse<StageIdx>), entry: Entry) {
        if !entry.chunks.is_empty() {
            self.n_tasks += entry.chunks.end - entry.chunks.start;
            self.arrivals += 1;
            self.entries.insert((job, stage, self.arrivals), entry);
        }
    }

    /// The next task; it stays.
    pub fn first(&self) -> Option<Next> {
        let (&(job, Reverse(stage), _), e) = self.entries.first_key_value()?;
        let key = TaskKey { job, stage, chunk: ChunkIdx(e.chunks.start) };
        Some(Next { lease: e.lease, key, elsewhere: e.elsewhere.clone() })
    }

    /// Takes the next task out.
    pub fn pop(&mut self) {
        if let Some(mut e) = self.entries.first_entry() {
            self.n_tasks -= 1;
            e.get_mut().chunks.start += 1;
            if e.get().chunks.is_empty() {
                e.remove();
            }
        }
    }

    /// Takes the tasks of a lease that lie in a range out, and returns their chunk numbers.
    pub fn revoke(&mut self, lease: LeaseId, tasks: &TaskRange) -> Vec<Range<u64>> {
        let stage = (tasks.job, Reverse(tasks.stage));
        let in_stage = self.entries.range((stage.0, stage.1, 0)..=(stage.0, stage.1, u64::MAX));
        let places: Vec<Place> = in_stage.filter(|(_, e)| e.lease == lease).map(|(p, _)| *p).collect();
        let mut taken = Vec::new();
        for place in places {
            let Entry { chunks, elsewhere, .. } =
                self.entries.remove(&place).expect("the entry was just listed");
            self.n_tasks -= chunks.end - chunks.start;
            let cut = |at: u64| at.clamp(chunks.start, chunks.end);
            let (from, to) = (cut(tasks.chunks.start), cut(tasks.chunks.end));
            if from >= to {
                self.insert(stage, Entry { lease, chunks, elsewhere });
                continue;
            }
            self.insert(stage, Entry { lease, chunks: chunks.start..from, elsewhere: elsewhere.clone() });
            self.insert(stage, Entry { lease, chunks: to..chunks.end, elsewhere });
            taken.push(from..to);
        }
        taken
    }

    /// Forgets the tasks of a job.
    pub fn forget(&mut self, job: JobId) {
        let first = |job: JobId| (job, Reverse(StageIdx(u32::MAX)), 0);
        let mut gone = self.entries.split_off(&first(job));
        self.entries.append(&mut gone.split_off(&first(JobId(job.0.saturating_add(1)))));
        self.n_tasks -= gone.values().map(|e| e.chunks.end - e.chunks.start).sum::<u64>();
    }

    pub fn check(&self) {
        let n: u64 = self.entries.values().map(|e| e.chunks.end - e.chunks.start).sum();
        assert_eq!(self.n_tasks, n, "tasks queued");
        assert!(self.entries.values().all(|e| !e.chunks.is_empty()), "an empty range is queued");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(stage: u32, chunks: Range<u64>) -> TaskRange {
        TaskRange { job: JobId(1), stage: StageIdx(stage), chunks }
    }

    #[test]
    fn later_stages_come_first_and_ranges_are_given_back() {
        let mut q = Queue::default();
        let none = || Elsewhere::new(Vec::new());
        q.push(LeaseId(1), &range(0, 0..10), none());
        q.push(LeaseId(2), &range(3, 5..6), none());
        assert_eq!(q.first().unwrap().key.stage, StageIdx(3));
        q.pop();
        q.pop();
        assert_eq!(q.revoke(LeaseId(1), &range(0, 4..7)).pop(), Some(4..7));
        assert_eq!(q.revoke(LeaseId(1), &range(0, 0..2)).pop(), Some(1..2));
        assert_eq!(q.revoke(LeaseId(9), &range(0, 0..9)), Vec::<Range<u64>>::new());
        assert_eq!((q.n_tasks(), q.first().unwrap().key.chunk), (5, ChunkIdx(2)));
        q.check();
    }

    #[test]
    fn holders_are_found_by_range() {
        let at = |stage, chunks, w| Holding { chunks: range(stage, chunks), worker: WorkerId(w) };
        let e = Elsewhere::new(vec![at(1, 4..6, 7), at(0, 0..4, 8), at(1, 0..2, 9)]);
        let find = |stage, chunk| {
            e.find(TaskKey { job: JobId(1), stage: StageIdx(stage), chunk: ChunkIdx(chunk) }).map(|w| w.0)
        };
        assert_eq!(
            [find(1, 5), find(1, 3), find(0, 3), find(2, 0), find(1, 6)],
            [Some(7), None, Some(8), None, None]
        );
    }
}

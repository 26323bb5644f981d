//! Tasks that were leased and not looked at yet: ranges, those of a higher priority first, then earlier jobs, then later
//! stages, else in the order in which they came.
//!
//! Knows ranges and their order. Must not know inputs or memory.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use tilework_plan::{ChunkIdx, Holding, JobId, LeaseId, StageIdx, TaskKey, TaskRange, WorkerId};

/// Higher priorities first, then earlier jobs, then later stages, then earlier arrivals.
type Place = (Reverse<i32>, JobId, Reverse<StageIdx>, u64);

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
    pub priority: i32,
    pub key: TaskKey,
    pub elsewhere: Elsewhere,
}

/// All tasks that were not looked at.
#[derive(Default, Debug)]
pub(crate) struct Queue {
    entries: BTreeMap<Place, Entry>,
    /// How many of them have each priority.
    priorities: BTreeMap<i32, usize>,
    arrivals: u64,
    n_tasks: u64,
}

impl Queue {
    pub fn n_tasks(&self) -> u64 {
        self.n_tasks
    }

    pub fn push(&mut self, (lease, priority): (LeaseId, i32), tasks: &TaskRange, elsewhere: Elsewhere) {
        self.insert(
            (Reverse(priority), tasks.job, Reverse(tasks.stage)),
            Entry { lease, chunks: tasks.chunks.clone(), elsewhere },
        );
    }

    fn insert(&mut self, (priority, job, stage): (Reverse<i32>, JobId, Reverse<StageIdx>), entry: Entry) {
        if !entry.chunks.is_empty() {
            self.n_tasks += entry.chunks.end - entry.chunks.start;
            self.arrivals += 1;
            *self.priorities.entry(priority.0).or_default() += 1;
            self.entries.insert((priority, job, stage, self.arrivals), entry);
        }
    }

    fn remove(&mut self, place: Place) -> Option<Entry> {
        let entry = self.entries.remove(&place)?;
        self.n_tasks -= entry.chunks.end - entry.chunks.start;
        let Reverse(priority) = place.0;
        if let Some(n) = self.priorities.get_mut(&priority) {
            *n -= 1;
            if *n == 0 {
                self.priorities.remove(&priority);
            }
        }
        Some(entry)
    }

    /// The priority of the next task.
    pub fn priority(&self) -> Option<i32> {
        self.entries.first_key_value().map(|(place, _)| place.0.0)
    }

    /// The next task; it stays.
    pub fn first(&self) -> Option<Next> {
        let (&(Reverse(priority), job, Reverse(stage), _), e) = self.entries.first_key_value()?;
        let key = TaskKey { job, stage, chunk: ChunkIdx(e.chunks.start) };
        Some(Next { lease: e.lease, priority, key, elsewhere: e.elsewhere.clone() })
    }

    /// Takes the next task out.
    pub fn pop(&mut self) {
        let Some(mut e) = self.entries.first_entry() else { return };
        self.n_tasks -= 1;
        e.get_mut().chunks.start += 1;
        if e.get().chunks.is_empty() {
            let place = *e.key();
            self.remove(place);
        }
    }

    /// Takes the tasks of a lease that lie in a range out, and returns their chunk numbers.
    pub fn revoke(&mut self, lease: LeaseId, tasks: &TaskRange) -> Vec<Range<u64>> {
        let (job, of) = (tasks.job, Reverse(tasks.stage));
        let in_stage = self.priorities.keys().flat_map(|&priority| {
            let priority = Reverse(priority);
            self.entries.range((priority, job, of, 0)..=(priority, job, of, u64::MAX))
        });
        let places: Vec<Place> = in_stage.filter(|(_, e)| e.lease == lease).map(|(p, _)| *p).collect();
        let mut taken = Vec::new();
        for place in places {
            let stage = (place.0, job, of);
            let Entry { chunks, elsewhere, .. } = self.remove(place).expect("the entry was just listed");
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
        let first = |priority, stage| (priority, job, Reverse(StageIdx(stage)), 0);
        let of_job = self.priorities.keys().flat_map(|&priority| {
            let priority = Reverse(priority);
            let last = (priority, job, Reverse(StageIdx(0)), u64::MAX);
            self.entries.range(first(priority, u32::MAX)..=last)
        });
        let gone: Vec<Place> = of_job.map(|(place, _)| *place).collect();
        gone.into_iter().for_each(|place| drop(self.remove(place)));
    }

    pub fn check(&self) {
        let n: u64 = self.entries.values().map(|e| e.chunks.end - e.chunks.start).sum();
        assert_eq!(self.n_tasks, n, "tasks queued");
        assert!(self.entries.values().all(|e| !e.chunks.is_empty()), "an empty range is queued");
        let mut priorities = BTreeMap::new();
        self.entries.keys().for_each(|place| *priorities.entry(place.0.0).or_default() += 1);
        assert_eq!(self.priorities, priorities, "ranges of each priority");
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
        q.push((LeaseId(1), 0), &range(0, 0..10), none());
        q.push((LeaseId(2), 0), &range(3, 5..6), none());
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
    fn what_is_urgent_comes_before_earlier_jobs_and_later_stages() {
        let mut q = Queue::default();
        let none = || Elsewhere::new(Vec::new());
        let later = TaskRange { job: JobId(2), ..range(0, 0..2) };
        q.push((LeaseId(1), 0), &range(3, 0..2), none());
        q.push((LeaseId(2), -1), &range(5, 0..1), none());
        q.push((LeaseId(3), 7), &later, none());
        q.push((LeaseId(4), 7), &range(0, 4..6), none());
        q.check();
        // Of one stage, each lease has its own priority.
        q.push((LeaseId(5), 0), &range(0, 8..9), none());
        assert_eq!(q.revoke(LeaseId(5), &range(0, 0..9)).pop(), Some(8..9));
        let mut order = Vec::new();
        while let Some(next) = q.first() {
            order.push((next.priority, next.lease.0));
            q.pop();
            q.check();
        }
        assert_eq!(order, [(7, 4), (7, 4), (7, 3), (7, 3), (0, 1), (0, 1), (-1, 2)]);
        q.push((LeaseId(6), 1), &later, none());
        q.push((LeaseId(7), 0), &later, none());
        q.push((LeaseId(8), 0), &range(0, 0..1), none());
        q.forget(JobId(2));
        q.check();
        assert_eq!((q.n_tasks(), q.first().unwrap().lease), (1, LeaseId(8)));
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

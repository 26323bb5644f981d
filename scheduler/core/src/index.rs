//! Who may have to be looked at, so that an event costs the same among many jobs and many workers: nothing loops over all
//! of them.
//!
//! Knows which lists a change of a worker or a job moves it in. Must not know what is done with who stands in them.

use crate::scheduler::Scheduler;
use crate::worker::{Lease, WorkerState};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use tilework_plan::{JobId, LeaseId, WorkerId};

/// The lists.
#[derive(Default)]
pub(crate) struct Index {
    /// Jobs that have roots left, those of a higher priority first; some that have none any more stand there until somebody
    /// looks.
    pub rooted: BTreeSet<(Reverse<i32>, JobId)>,
    /// Jobs some of whose tasks not all workers may have.
    pub choosy: BTreeSet<JobId>,
    /// Workers with tasks in their queues.
    pub queued: BTreeSet<WorkerId>,
    /// Workers with more tasks than threads, none of which is asked back.
    pub laden: BTreeSet<WorkerId>,
    /// Workers that run nothing.
    pub unoccupied: BTreeSet<WorkerId>,
    /// Workers that said goodbye.
    pub leaving: BTreeSet<WorkerId>,
    /// The leases of each job that are not answered for.
    pub leases: BTreeSet<(JobId, LeaseId)>,
    /// The workers with tasks in their queues, by the priority of the first; higher ones first.
    pub urgent: BTreeSet<(Reverse<i32>, WorkerId)>,
    /// How many leases of each priority are not answered for.
    pub leases_of_priority: BTreeMap<i32, usize>,
}

impl Scheduler {
    /// Whether any worker is there that does not leave.
    pub(crate) fn somebody_stays(&self) -> bool {
        self.workers.len() > self.index.leaving.len()
    }

    /// The jobs that have roots left, those of a higher priority first, else in the order in which they were submitted.
    pub(crate) fn rooted(&mut self) -> Vec<JobId> {
        let jobs = &self.jobs;
        self.index.rooted.retain(|(_, id)| jobs.get(id).is_some_and(|j| j.roots.n_left() > 0));
        self.index.rooted.iter().map(|(_, id)| *id).collect()
    }

    /// Whether any job has roots left.
    pub(crate) fn any_roots(&mut self) -> bool {
        while let Some((_, id)) = self.index.rooted.first() {
            if self.jobs.get(id).is_some_and(|j| j.roots.n_left() > 0) {
                return true;
            }
            self.index.rooted.pop_first();
        }
        false
    }

    /// A worker's tasks have changed.
    pub(crate) fn note_load(&mut self, worker: WorkerId) {
        let w = self.workers.get(&worker);
        let queued = w.is_some_and(|w| !w.ready.is_empty());
        let laden = w.is_some_and(|w| w.revoking.is_none() && w.leased > w.hello.threads);
        let unoccupied = w.is_some_and(|w| w.leased == 0);
        put(&mut self.index.queued, worker, queued);
        put(&mut self.index.unoccupied, worker, unoccupied);
        put(&mut self.index.laden, worker, laden);
        if let Some(w) = self.workers.get_mut(&worker) {
            let top = w.top();
            let noted = std::mem::replace(&mut w.noted_top, top);
            if noted != top {
                noted.map(|before| self.index.urgent.remove(&(Reverse(before), worker)));
                self.index.urgent.extend(top.map(|top| (Reverse(top), worker)));
            }
        }
    }

    /// A worker is gone.
    pub(crate) fn forget_load(&mut self, worker: WorkerId, gone: &WorkerState) {
        if let Some(top) = gone.noted_top {
            self.index.urgent.remove(&(Reverse(top), worker));
        }
        self.note_load(worker);
    }

    /// A lease is made.
    pub(crate) fn open_lease(&mut self, id: LeaseId, lease: Lease) {
        self.index.leases.insert((lease.job, id));
        *self.index.leases_of_priority.entry(lease.each.priority).or_default() += 1;
        let w = self.workers.get_mut(&lease.worker).expect("a living worker");
        w.leases.insert(id);
        self.leases.insert(id, lease);
    }

    /// A lease is answered for, or nobody waits for the answer any more.
    pub(crate) fn close_lease(&mut self, id: LeaseId) -> Option<Lease> {
        let lease = self.leases.remove(&id)?;
        self.index.leases.remove(&(lease.job, id));
        if let Some(n) = self.index.leases_of_priority.get_mut(&lease.each.priority) {
            *n -= 1;
            if *n == 0 {
                self.index.leases_of_priority.remove(&lease.each.priority);
            }
        }
        if let Some(w) = self.workers.get_mut(&lease.worker) {
            w.leases.remove(&id);
        }
        Some(lease)
    }

    /// The leases of a job that are not answered for.
    pub(crate) fn leases_of(&self, job: JobId) -> Vec<LeaseId> {
        let all = (job, LeaseId(0))..=(job, LeaseId(u64::MAX));
        self.index.leases.range(all).map(|(_, lease)| *lease).collect()
    }

    /// Whether everybody stands where they belong.
    pub(crate) fn check_index(&self) {
        let index = &self.index;
        for (id, w) in &self.workers {
            assert_eq!(index.queued.contains(id), !w.ready.is_empty(), "{id:?}: whether it has a queue");
            let laden = w.revoking.is_none() && w.leased > w.hello.threads;
            assert_eq!(index.laden.contains(id), laden, "{id:?}: whether it has more than it runs");
            assert_eq!(index.unoccupied.contains(id), w.leased == 0, "{id:?}: whether it runs nothing");
            assert_eq!(index.leaving.contains(id), w.leaving, "{id:?}: whether it leaves");
            let leases = self.leases.iter().filter(|(_, l)| l.worker == *id).map(|(l, _)| *l);
            assert!(w.leases.iter().copied().eq(leases), "{id:?}: its leases");
        }
        let lists = [&index.queued, &index.laden, &index.unoccupied, &index.leaving];
        assert!(
            lists.iter().all(|l| l.iter().all(|w| self.workers.contains_key(w))),
            "a worker that is gone"
        );
        for (id, job) in &self.jobs {
            assert!(
                job.roots.n_left() == 0 || index.rooted.contains(&(Reverse(job.roots_priority()), *id)),
                "{id:?} has roots, and nobody looks"
            );
            assert_eq!(index.choosy.contains(id), job.is_choosy(), "{id:?}: is not for all workers");
        }
        assert!(index.choosy.iter().all(|id| self.jobs.contains_key(id)), "a job that is gone");
        let leases: BTreeSet<_> = self.leases.iter().map(|(id, l)| (l.job, *id)).collect();
        assert_eq!(index.leases, leases, "leases by job");
        let mut granted = BTreeMap::new();
        self.leases.values().for_each(|l| *granted.entry(l.each.priority).or_default() += 1);
        assert_eq!(index.leases_of_priority, granted, "leases of each priority");
        let tops = self.workers.iter().filter_map(|(id, w)| Some((Reverse(w.top()?), *id)));
        assert_eq!(index.urgent, tops.collect(), "queues by their first tasks");
    }
}

fn put(list: &mut BTreeSet<WorkerId>, worker: WorkerId, is_in: bool) {
    if is_in {
        list.insert(worker);
    } else {
        list.remove(&worker);
    }
}

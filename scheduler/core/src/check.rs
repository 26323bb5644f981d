//! Everything that must hold between two events. Used by tests and by the simulator after each event.
//!
//! Knows all parts. Must not change any.

use crate::job::Job;
use crate::limits::Bug;
use crate::scheduler::Scheduler;
use crate::table::TaskState;
use crate::worker::WorkerState;
use std::collections::BTreeMap;
use tilework_plan::{ChunkIdx, JobId, LeaseId, StageIdx, TaskKey, WorkerId};

/// What the tables say of workers and leases.
#[derive(Default)]
struct Tally {
    open: BTreeMap<LeaseId, u32>,
    committed: BTreeMap<WorkerId, u64>,
    ready: BTreeMap<WorkerId, usize>,
}

impl Scheduler {
    /// Checks all invariants. The cost grows with the tasks that are under way.
    ///
    /// # Panics
    /// If one does not hold.
    pub fn check(&self) {
        let mut tally = Tally::default();
        for (id, job) in &self.jobs {
            for stage in 0..job.stages.len() {
                self.check_stage(*id, job, StageIdx(stage as u32), &mut tally);
            }
            self.check_job(*id, job);
            self.check_priorities(*id);
        }
        self.check_workers(&tally);
        self.check_index();
        self.check_progress();
        self.suspects.check(|key| {
            let open = |job: &Job| {
                let state = job.stage(key.stage).table.get(key.chunk.0);
                matches!(
                    state,
                    TaskState::Waiting { .. } | TaskState::Ready { .. } | TaskState::Leased { .. }
                )
            };
            self.jobs.get(&key.job).is_some_and(open)
        });
    }

    fn check_stage(&self, id: JobId, job: &Job, stage: StageIdx, tally: &mut Tally) {
        let table = &job.stage(stage).table;
        table.check();
        for (chunk, state) in table.live() {
            let key = TaskKey { job: id, stage, chunk: ChunkIdx(chunk) };
            let needed = job.needed(stage, key.chunk);
            let at_rest = matches!(state, TaskState::Untouched | TaskState::Released);
            assert!(needed || at_rest, "{key:?} is {state:?} and nobody needs it");
            if needed && job.is_root_left(stage, key.chunk) {
                let mixed = !job.plan.stage(stage).inputs.is_empty();
                assert!(
                    mixed || state == TaskState::Untouched,
                    "{key:?} is {state:?} and still a root to hand out"
                );
            }
            self.check_task(job, key, state, tally);
        }
    }

    fn check_task(&self, job: &Job, key: TaskKey, state: TaskState, tally: &mut Tally) {
        match state {
            TaskState::Untouched | TaskState::Released => return,
            TaskState::Failed => {
                let why = job.singles.why(key.stage, key.chunk);
                assert!(why.is_some(), "{key:?} has failed for no reason");
                return;
            }
            TaskState::Waiting { missing } => self.check_waiting(job, key, missing),
            TaskState::Ready { worker: None } => {
                assert!(self.unplaced.contains(&key), "{key:?} is ready nowhere");
                assert!(!self.is_barrier(key), "{key:?} is not opened");
            }
            TaskState::Ready { worker: Some(worker) } => {
                let w = self.workers.get(&worker).expect("a task is ready for a worker that is gone");
                assert!(w.ready.contains(&self.ready_key(key)), "{key:?} is in no queue");
                *tally.ready.entry(worker).or_default() += 1;
            }
            TaskState::Leased { lease } => {
                let l = self.leases.get(&lease).expect("a task has a lease that ended");
                assert!((l.job, l.stage) == (key.job, key.stage) && l.chunks.contains(&key.chunk.0));
                *tally.open.entry(lease).or_default() += 1;
                *tally.committed.entry(l.worker).or_default() += job.bytes(key.stage, key.chunk);
            }
            TaskState::Held { holder, pending } => self.check_held(job, key, (holder, pending), tally),
        }
        if matches!(state, TaskState::Ready { .. }) {
            assert_eq!(self.count_missing(job, key), 0, "{key:?} is ready");
        }
    }

    fn check_waiting(&self, job: &Job, key: TaskKey, missing: u32) {
        if job.is_alias(key.stage) {
            let made = self.task(self.canonical(key));
            assert!(!made.is_done(), "{key:?} waits for a chunk that is {made:?}");
            return;
        }
        let (all, untold) = (self.count_missing(job, key), self.count_untold(job, key));
        assert!(missing <= all && all <= missing + untold, "{key:?}: misses {all} inputs, not {missing}");
        assert!(missing > 0, "{key:?} waits for nothing");
    }

    fn count_missing(&self, job: &Job, key: TaskKey) -> u32 {
        let mut inputs = Vec::new();
        job.plan.inputs_of(key.stage, key.chunk, &mut inputs);
        for &(_, s, c) in &inputs {
            let gone = matches!(job.state(s, c), TaskState::Released | TaskState::Failed);
            assert!(!gone, "{key:?} reads {s:?} {c:?}, which is {:?}", job.state(s, c));
        }
        let missing = |&&(slot, stage, chunk): &&(usize, StageIdx, ChunkIdx)| {
            !self.sees(TaskKey { stage, chunk, ..key }, (key.stage, slot, key.chunk))
        };
        inputs.iter().filter(missing).count() as u32
    }

    /// The inputs of a task that are gone, of which it may not have heard.
    fn count_untold(&self, job: &Job, key: TaskKey) -> u32 {
        if self.withdrawing.is_empty() {
            return 0;
        }
        let mut inputs = Vec::new();
        job.plan.inputs_of(key.stage, key.chunk, &mut inputs);
        let untold = |&&(slot, stage, chunk): &&(usize, StageIdx, ChunkIdx)| {
            let withdrawal = self.withdrawing.get(&TaskKey { stage, chunk, ..key });
            withdrawal.is_some_and(|w| !w.has_reached(&job.plan, stage, (key.stage, slot, key.chunk)))
        };
        inputs.iter().filter(untold).count() as u32
    }

    fn check_held(
        &self,
        job: &Job,
        key: TaskKey,
        (holder, pending): (Option<WorkerId>, u32),
        tally: &mut Tally,
    ) {
        let readers = self.told_readers(job, key);
        let open = |&&(stage, chunk): &&(StageIdx, ChunkIdx)| {
            let reader = TaskKey { stage, chunk, ..key };
            !self.has_read(reader, job.state(stage, chunk)) && job.needed(stage, chunk)
        };
        let want = readers.iter().filter(open).count() as u32;
        assert_eq!(pending, want, "{key:?}: pending readers");
        let kept = pending > 0 || self.is_kept(key) || self.publishing.contains_key(&key);
        assert!(kept, "{key:?} is kept for nobody");
        if job.is_alias(key.stage) {
            assert_eq!(holder, None);
            assert!(self.holder(key).is_some(), "{key:?} stands for a chunk that does not exist");
        } else if self.is_barrier(key) {
            assert_eq!(holder, None);
            assert_eq!(self.count_missing(job, key), 0, "{key:?} is open, and not all of it exists");
        } else {
            let Some(holder) = holder.filter(|holder| self.workers.contains_key(holder)) else {
                panic!("{key:?} is held by a worker that is gone")
            };
            *tally.committed.entry(holder).or_default() += job.bytes(key.stage, key.chunk);
        }
    }

    /// The readers of a chunk that were told of it.
    fn told_readers(&self, job: &Job, key: TaskKey) -> Vec<(StageIdx, ChunkIdx)> {
        let mut readers = Vec::new();
        for (nth, &(stage, slot)) in job.plan.consumers[key.stage.0 as usize].iter().enumerate() {
            let all = job.plan.readers((key.stage, key.chunk), nth);
            let chunks = (0..all.n_tasks()).map(|n| all.nth(n));
            readers.extend(chunks.filter(|&c| self.sees(key, (stage, slot, c))).map(|c| (stage, c)));
        }
        readers
    }

    fn check_job(&self, id: JobId, job: &Job) {
        let outputs = job.stages.iter().filter(|s| s.is_output);
        let left: u64 = outputs.map(|s| s.table.n_tasks() - s.table.n_done()).sum();
        assert_eq!(job.outputs_left(), left, "{id:?}: outputs left");
        job.check_phases(self.announcing.contains_key(&id));
        let own = job.stages.iter().enumerate();
        let own = own.filter(|(i, _)| !job.stands_for_others(StageIdx(*i as u32)));
        let done =
            own.flat_map(|(_, s)| (0..s.need.n_tasks()).filter(|n| s.table.get(s.need.nth(*n).0).is_done()));
        assert_eq!(job.progress().0, done.count() as u64, "{id:?}: tasks done");
        let leased = job.stages.iter().map(|s| s.table.counts().leased);
        assert_eq!(job.n_leased(), leased.sum::<u64>(), "{id:?}: tasks leased");
        job.roots.check(|w| self.workers.get(&w).is_some_and(|w| !w.leaving));
        let referrers = self.jobs.values().filter(|j| j.refs.contains(&id));
        assert_eq!(job.n_referrers as usize, referrers.clone().count(), "{id:?}: jobs that refer to it");
        assert_eq!(
            job.n_readers as usize,
            referrers.filter(|j| j.reads).count(),
            "{id:?}: jobs that read it"
        );
        assert_eq!(job.reads, job.should_read(), "{id:?}: whether it reads");
        let stages = job.stages.iter().enumerate().map(|(i, s)| (StageIdx(i as u32), s));
        let held = stages.flat_map(|(at, s)| {
            let here = |(_, state): &(u64, TaskState)| state.holder().is_some();
            s.table.live().filter(here).map(move |(chunk, _)| job.bytes(at, ChunkIdx(chunk)))
        });
        assert_eq!(job.bytes_held, held.sum::<u64>(), "{id:?}: bytes held");
        for (i, s) in job.stages.iter().enumerate() {
            let held = |(chunk, state): (u64, TaskState)| {
                Some((state.holder()?, job.bytes(StageIdx(i as u32), ChunkIdx(chunk))))
            };
            s.exchange.iter().for_each(|exchange| exchange.check(s.table.live().filter_map(held)));
        }
        assert!(job.wanted() || job.n_referrers > 0, "{id:?} is kept for nobody");
        assert!(job.refs.iter().all(|r| self.jobs.contains_key(r)), "{id:?} reads a job that is gone");
    }

    fn check_workers(&self, tally: &Tally) {
        for (id, w) in &self.workers {
            let mine = || self.leases.iter().filter(|(_, l)| l.worker == *id);
            let mut counted = WorkerState::new(w.hello.clone(), 0);
            mine().for_each(|(_, l)| counted.take(l.each, l.open));
            assert_eq!((w.leased, w.leased_us), (counted.leased, counted.leased_us), "{id:?}: tasks leased");
            assert_eq!(w.by_priority, counted.by_priority, "{id:?}: tasks leased of each priority");
            assert_eq!(w.puts, counted.puts, "{id:?}: chunks to be put");
            let committed = tally.committed.get(id).copied().unwrap_or(0);
            assert_eq!(w.bytes_committed, committed, "{id:?}: bytes of results");
            let of_jobs = self.jobs.values().filter_map(|j| j.committed.get(id));
            assert_eq!(of_jobs.sum::<u64>(), committed, "{id:?}: bytes of results, job by job");
            assert_eq!(w.ready.len(), tally.ready.get(id).copied().unwrap_or(0), "{id:?}: queue");
            assert!(!w.leaving || w.ready.is_empty(), "{id:?} is leaving and has a queue");
            assert!(
                w.leased <= self.limits.outstanding_max.max(4 * w.hello.threads),
                "{id:?} has too much to do"
            );
            assert!(
                w.defined.iter().all(|j| self.jobs.contains_key(j)),
                "{id:?} was not told that a job is over"
            );
        }
        assert_eq!(
            self.n_ready,
            self.workers.values().map(|w| w.ready.len()).sum::<usize>(),
            "tasks in queues"
        );
        for (id, l) in &self.leases {
            assert!(self.workers.contains_key(&l.worker), "{id:?} is a lease of a worker that is gone");
            assert_eq!(l.open, tally.open.get(id).copied().unwrap_or(0), "{id:?}: open tasks");
            assert!(l.open > 0, "{id:?} is answered for and kept");
        }
        assert!(self.drops.is_empty() && self.outbox.is_empty());
        assert!(self.failing.is_empty() && self.unsettled.is_empty(), "a job's end is not seen to");
        assert!(self.opening.is_empty(), "a barrier is not opened");
        assert!(self.to_fill.is_empty() && self.filling.is_none(), "a worker is not looked at");
        assert!(self.untold.is_empty(), "a client is not told");
        let told = |id: &JobId| self.jobs.get(id).is_some_and(|j| !j.is_running() && j.client_phase.holds());
        assert!(
            self.announcing.keys().all(told) || self.limits.plays(Bug::AnnouncementGoesOn),
            "outputs are looked for that do not exist"
        );
        assert!(
            self.withdrawing.keys().all(|k| self.jobs.contains_key(&k.job)),
            "a job that is gone lost a chunk"
        );
        let lacking = |(id, j): (&JobId, &Job)| {
            assert_eq!(self.lacking.contains(id), self.lacks(j), "{id:?} lacks workers");
        };
        self.jobs.iter().for_each(lacking);
        assert!(self.lacking.iter().all(|id| self.jobs.contains_key(id)), "a job that is gone lacks workers");
        let held = |key: &TaskKey| self.task(*key).is_held();
        assert!(self.publishing.keys().all(held), "a chunk that does not exist is being published");
    }

    /// Where work is left and somebody could do it, somebody is doing something.
    fn check_progress(&self) {
        let there = self.workers.values().filter(|w| !w.leaving).map(|w| w.hello.memory_bytes).max();
        let runs = self.workers.values().any(|w| w.leased > 0);
        if there < Some(self.memory_seen) || runs || self.has_more_to_tell() {
            // Nobody is there, or the largest worker that there was is not, and tasks may wait for it.
            return;
        }
        let caller = |build: &str| {
            let callers = self.workers.values().filter(|w| !w.leaving && w.hello.calls(Some(build)));
            callers.map(|w| w.hello.memory_bytes).max().unwrap_or(0)
        };
        let waits =
            |j: &Job| j.functions_build.as_deref().is_some_and(|build| caller(build) < j.memory_callable);
        if self.jobs.values().any(|j| j.wanted() && j.is_running() && waits(j)) {
            // Nor is the largest that could call a job's functions.
            return;
        }
        let small = |memory: Option<u64>| memory < Some(self.memory_seen);
        let stages = |j: &Job| (0..j.stages.len() as u32).map(StageIdx);
        let waits = |j: &Job| {
            small(self.most_memory_for_roots(j)) || stages(j).any(|s| small(self.most_memory_for(j, s)))
        };
        if self.jobs.values().any(|j| j.wanted() && j.is_running() && j.is_tagged && waits(j)) {
            // Nor is the largest with what its tasks need.
            return;
        }
        let stands = |(id, j): &(&JobId, &Job)| j.wanted() && j.is_running() && !self.may_wait_for_puts(**id);
        if let Some((id, job)) = self.jobs.iter().find(stands) {
            let counts: Vec<_> = job.stages.iter().map(|s| s.table.counts()).collect();
            let (left, roots) = (job.outputs_left(), job.roots.n_left());
            panic!(
                "nothing is being done for {id:?}: {left} outputs and {roots} roots are left, {} ready tasks, idle \
                 {:?}; {counts:?}",
                self.n_ready, self.idle
            );
        }
        assert!(self.n_ready == 0 && self.unplaced.is_empty(), "tasks are ready and nobody does them");
    }

    /// Whether clients are to put what a job reads, or there is no room beside what hangs on what they are to put, for it
    /// or for what it reads.
    fn may_wait_for_puts(&self, id: JobId) -> bool {
        let has_no_room = |id: &JobId, job: &Job| {
            let largest =
                job.stages.iter().map(|s| s.bytes_each.unwrap_or(u64::MAX)).max().unwrap_or(0).max(1);
            let declared = |s: StageIdx| job.plan.stage(s).terms().memory_bytes;
            let most = largest.saturating_add(job.roots.stages().map(declared).max().unwrap_or(0));
            let is_full = |w: &WorkerId| self.free_when_stuck(*w) < largest;
            let may = |w: &WorkerState| !w.leaving && job.roots_for(&w.hello) && w.hello.memory_bytes >= most;
            self.workers.iter().all(|(id, w)| is_full(id) || !may(w))
                && self.puts_may_free(*id, job.roots_memory)
        };
        let read = self.with_all_it_reads(id);
        self.hangs_on_puts(id) || read.iter().any(|of| self.jobs.get(of).is_some_and(|j| has_no_room(of, j)))
    }
}

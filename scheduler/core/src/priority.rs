//! How urgent work is: the priorities of stages, what those that an urgent stage waits for take over from it, and what goes
//! to a worker before what stands in its own queue.
//!
//! Knows priorities. Must not know leases, nor how much room a worker has.

use crate::limits::Bug;
use crate::scheduler::Scheduler;
use crate::worker::ReadyKey;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use tilework_plan::{ChunkIdx, JobId, Plan, StageIdx, TaskKey, WorkerId};

/// For each stage the highest of what was said of it and of all that read it; of those of which nothing was said and that
/// nobody reads, 0. Root stages go in step, so all of them have the highest of any.
pub(crate) fn priorities(plan: &Plan, roots: &[StageIdx]) -> Vec<i32> {
    let said = plan.stages.iter().map(|s| s.terms.as_deref().map(|terms| terms.priority));
    let mut priorities: Vec<Option<i32>> = said.collect();
    for output in &plan.outputs {
        priorities[output.0 as usize].get_or_insert(0);
    }
    pass_on(plan, &mut priorities);
    let highest = roots.iter().filter_map(|root| priorities[root.0 as usize]).max();
    for root in roots {
        priorities[root.0 as usize] = highest;
    }
    // Of some root stages, some tasks have inputs.
    pass_on(plan, &mut priorities);
    priorities.into_iter().map(Option::unwrap_or_default).collect()
}

/// What is read is at least as urgent as who reads it.
fn pass_on(plan: &Plan, priorities: &mut [Option<i32>]) {
    // Inputs come first.
    for (i, stage) in plan.stages.iter().enumerate().rev() {
        for input in &stage.inputs {
            let of = input.stage.0 as usize;
            priorities[of] = priorities[of].max(priorities[i]);
        }
    }
}

/// What came of looking for something for a worker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Took {
    /// It was given some.
    Some,
    /// There is something, and it has enough to do.
    Full,
    /// There is nothing that it could have.
    Nothing,
}

impl Scheduler {
    /// How urgent the tasks of a stage are.
    pub(crate) fn priority(&self, job: JobId, stage: StageIdx) -> i32 {
        self.jobs[&job].stage(stage).priority
    }

    /// A job is there, or its outputs are missing again: what it waits for of other jobs is at least as urgent as it is.
    pub(crate) fn raise_what_it_reads(&mut self, id: JobId) {
        if self.limits.plays(Bug::PriorityStaysInJob) {
            return;
        }
        let job = &self.jobs[&id];
        let read = job.aliases.iter().map(|&stage| (job.stage(stage).canonical, job.stage(stage).priority));
        for (of, priority) in read.collect::<Vec<_>>() {
            self.raise(of, priority);
        }
    }

    /// The outputs of a job are missing again: they are at least as urgent as the jobs that read them.
    pub(crate) fn raise_as_its_readers(&mut self, id: JobId) {
        if self.limits.plays(Bug::PriorityStaysInJob) {
            return;
        }
        let job = &self.jobs[&id];
        let mut wanted = Vec::new();
        for &stage in &job.plan.outputs {
            let readers = job.stage(stage).aliases.iter();
            let of_readers =
                readers.filter_map(|&(of, alias)| Some(self.jobs.get(&of)?.stage(alias).priority));
            wanted.extend(of_readers.max().map(|most| ((id, stage), most)));
        }
        wanted.into_iter().for_each(|(of, priority)| self.raise(of, priority));
    }

    /// A stage, and all that its tasks wait for, are at least as urgent as this. Each is raised as a whole; what workers have
    /// already stays as it is. What is finished has nothing that could be done earlier.
    fn raise(&mut self, stage: (JobId, StageIdx), priority: i32) {
        let mut open = vec![stage];
        while let Some((id, stage)) = open.pop() {
            let Some(job) = self.jobs.get(&id).filter(|j| j.is_running()) else {
                continue;
            };
            if job.stage(stage).priority >= priority {
                continue;
            }
            let is_root = job.plan.stage(stage).inputs.is_empty() || job.plan.stage(stage).is_mixed();
            let raised: Vec<StageIdx> = if is_root { job.roots.stages().collect() } else { vec![stage] };
            let before = job.roots_priority();
            for stage in raised {
                self.set_priority((id, stage), priority);
                let job = &self.jobs[&id];
                open.extend(job.plan.stage(stage).inputs.iter().map(|input| (id, input.stage)));
                open.extend(Some(job.stage(stage).canonical).filter(|of| *of != (id, stage)));
            }
            if is_root && self.index.rooted.remove(&(Reverse(before), id)) {
                self.note_rooted(id);
                self.wake_for(id);
            }
        }
    }

    /// Gives a stage another priority, and its ready tasks other places in their queues.
    fn set_priority(&mut self, (id, stage): (JobId, StageIdx), priority: i32) {
        let job = self.jobs.get_mut(&id).expect("the job of a stage");
        let state = &mut job.stages[stage.0 as usize];
        let before = std::mem::replace(&mut state.priority, priority);
        if state.table.counts().ready == 0 {
            return;
        }
        let place = |priority, chunk| ReadyKey {
            priority: Reverse(priority),
            job: id,
            stage: Reverse(stage),
            chunk: ChunkIdx(chunk),
        };
        let queued: Vec<WorkerId> = self.index.queued.iter().copied().collect();
        for worker in queued {
            let w = self.workers.get_mut(&worker).expect("a worker with a queue");
            let mine = w.ready.range(place(before, 0)..=place(before, u64::MAX));
            let mine: Vec<ReadyKey> = mine.copied().collect();
            for key in &mine {
                w.ready.remove(key);
                w.ready.insert(ReadyKey { priority: Reverse(priority), ..*key });
            }
            if !mine.is_empty() {
                self.to_fill.insert(worker);
                self.note_load(worker);
            }
        }
    }

    /// A job has roots left.
    pub(crate) fn note_rooted(&mut self, id: JobId) {
        self.index.rooted.insert((Reverse(self.jobs[&id].roots_priority()), id));
    }

    /// Looks at the workers that have enough to do, where roots of a job are more urgent than some of that.
    pub(crate) fn wake_for(&mut self, id: JobId) {
        let least = self.index.leases_of_priority.first_key_value().map(|(priority, _)| *priority);
        if least.is_some_and(|least| least < self.jobs[&id].roots_priority()) {
            self.to_fill.extend(self.workers.keys());
        }
    }

    /// Gives a worker what is more urgent than what stands in its own queue: tasks of others' queues, or roots.
    pub(crate) fn take_more_urgent(&mut self, worker: WorkerId) -> Took {
        if self.limits.plays(Bug::PriorityIgnored) {
            return Took::Nothing;
        }
        let own = self.workers[&worker].top();
        let rooted = self.any_roots().then(|| self.index.rooted.first()).flatten();
        let rooted = rooted.map(|&(Reverse(priority), _)| priority);
        let next = own.max(rooted);
        if next.is_some_and(|next| self.steal_urgent(worker, next)) {
            return Took::Some;
        }
        match own < rooted && own.is_some() {
            true if self.is_full_beside_roots(worker) => Took::Full,
            true => self.lease_roots(worker, (false, own)),
            false => Took::Nothing,
        }
    }

    /// Whether a worker has enough to do that is as urgent as the most urgent roots, as far as is known before these are
    /// looked at.
    pub(crate) fn is_full_beside_roots(&self, worker: WorkerId) -> bool {
        let most = self.index.rooted.first().map_or(i32::MIN, |&(Reverse(priority), _)| priority);
        self.room(worker, (self.limits.task_us_guess, most)) == 0
    }

    /// Whether the next root of a job waits for nothing but for a worker to have less to do.
    pub(crate) fn has_no_room_for_roots(&self, worker: WorkerId, id: JobId) -> bool {
        let Some(key) = self.next_root(worker, id) else { return false };
        let takes = (self.est_us(id, key.stage), self.priority(id, key.stage));
        self.room(worker, takes) == 0 && self.credit(worker, key) > 0
    }

    /// The next root of a job in a worker's block: nothing where it may be none, or is bounded in another way.
    fn next_root(&self, worker: WorkerId, id: JobId) -> Option<TaskKey> {
        let job = self.jobs.get(&id)?;
        let run = job.roots.next(worker, u64::MAX)?;
        let (stage, mixed) = (job.roots.root(run.root).stage, job.roots.root(run.root).mixed);
        let is_computed = !mixed && !job.is_alias(stage) && !job.is_upload(stage);
        let chunk = is_computed.then(|| ChunkIdx(job.root_chunks(&run).start))?;
        Some(TaskKey { job: id, stage, chunk })
    }

    /// Moves tasks of the most urgent queue of all that is another's, where they are more urgent than `next`.
    fn steal_urgent(&mut self, thief: WorkerId, next: i32) -> bool {
        let others = self.index.urgent.iter().find(|(_, w)| *w != thief);
        let Some(&(Reverse(priority), victim)) = others.filter(|(Reverse(p), _)| *p > next) else {
            return false;
        };
        let v = &self.workers[&victim];
        let Some(&first) = v.ready.first() else { return false };
        // It waits for what its worker runs, and for what is as urgent.
        let (_, leased_us) = v.leased_of(priority);
        let wait_us = (leased_us + v.longest_us) / v.threads();
        let est_us = self.est_us(first.job, first.stage.0);
        if wait_us < self.limits.steal_us_min || self.room(thief, (est_us, priority)) == 0 {
            return false;
        }
        self.move_ready((victim, wait_us), thief)
    }

    /// Whether a job's roots that are in others' blocks go to a worker before what it would be given else.
    pub(crate) fn goes_before(&self, priority: i32, above: Option<i32>) -> bool {
        let last = self.index.rooted.last().map(|&(Reverse(priority), _)| priority);
        above.is_some() || last.is_some_and(|last| last < priority)
    }

    /// Checks that a worker is given nothing while something more urgent is there that it could have: in its own queue, or
    /// roots.
    ///
    /// # Panics
    /// If it is.
    #[cfg(any(test, feature = "planted-bugs"))]
    pub(crate) fn check_urgency(&self, worker: WorkerId, (job, stage): (JobId, StageIdx)) {
        let priority = self.priority(job, stage);
        let w = &self.workers[&worker];
        assert!(w.top() <= Some(priority), "{worker:?} gets {job:?} {stage:?} before {:?}", w.ready.first());
        // What is as urgent as this comes behind all that is more urgent.
        for &(_, id) in self.index.rooted.range(..(Reverse(priority), JobId(0))) {
            assert!(
                !self.could_have_root(worker, id) || self.suspects.has(id),
                "{worker:?} gets {job:?} {stage:?} before a root of {id:?}"
            );
        }
    }

    /// Not in a build that ships.
    #[cfg(not(any(test, feature = "planted-bugs")))]
    pub(crate) fn check_urgency(&self, _: WorkerId, _: (JobId, StageIdx)) {}

    /// Whether there is a root for a worker that has memory for it.
    #[cfg(any(test, feature = "planted-bugs"))]
    fn could_have_root(&self, worker: WorkerId, id: JobId) -> bool {
        let (job, w) = (&self.jobs[&id], &self.workers[&worker]);
        if job.roots.n_left() == 0 || !job.roots_for(&w.hello) {
            return false;
        }
        if job.roots.next(worker, u64::MAX).is_none() {
            return job.roots.could_steal(worker);
        }
        let Some(key) = self.next_root(worker, id) else { return false };
        let (plan, stage) = (&job.plan, key.stage);
        let needed = plan.out_bytes(stage, key.chunk).saturating_add(plan.stage(stage).terms().memory_bytes);
        self.credit(worker, key) > 0 && w.hello.memory_bytes >= needed
    }

    /// Checks that nothing waits for what is less urgent, but for jobs that are over.
    ///
    /// # Panics
    /// If something does.
    pub(crate) fn check_priorities(&self, id: JobId) {
        let job = &self.jobs[&id];
        for (i, stage) in job.plan.stages.iter().enumerate() {
            let own = job.stages[i].priority;
            let reads = stage.inputs.iter().map(|input| input.stage);
            let least = reads.map(|of| job.stage(of).priority).min();
            assert!(
                least.is_none_or(|least| least >= own),
                "{id:?}: stage {i} waits for what is less urgent"
            );
        }
        for &alias in &job.aliases {
            let ((of, stage), own) = (job.stage(alias).canonical, job.stage(alias).priority);
            let open = self.jobs.get(&of).filter(|j| j.is_running());
            let is_less = open.is_some_and(|j| j.stage(stage).priority < own);
            assert!(!is_less, "{id:?} waits for {of:?}, which is less urgent");
        }
        let roots: BTreeSet<i32> = job.roots.stages().map(|s| job.stage(s).priority).collect();
        assert!(roots.len() <= 1, "{id:?}: roots that go in step are not as urgent");
    }
}

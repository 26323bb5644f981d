//! Workers that come and go, and the chunks that are made again after a loss: those that are still needed, and of
//! what was dropped since, only what these need.
//!
//! Knows which task reads which. Must not know where tasks will run.

use crate::event::Action;
use crate::limits::Bug;
use crate::scheduler::Scheduler;
use crate::table::TaskState;
use crate::worker::{ReadyKey, WorkerState};
use tilework_plan::{ChunkIdx, Hello, Instruction, JobId, StageIdx, TaskKey, TaskRange, Update, WorkerId};

/// Why a worker is one of the workers no more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Loss {
    /// Its connection closed: as far as is known, it died.
    Died,
    /// Nothing was heard of it: it is dead, or it was stopped.
    Silent,
    /// It lives: it left, or has another connection.
    Alive,
}

impl Scheduler {
    pub(crate) fn join(&mut self, worker: WorkerId, hello: Hello) {
        if self.workers.contains_key(&worker) {
            return;
        }
        let namesake = self.workers.iter().find(|(_, w)| w.hello.name == hello.name);
        if let Some((old, w)) = namesake.map(|(old, w)| (*old, w)) {
            if w.hello.incarnation != hello.incarnation {
                let why = format!("another worker is called '{}'; give this one another name", hello.name);
                return self.actions.push(Action::Refuse { worker, why });
            }
            let why = "it came back on another connection".to_owned();
            self.lose(old, &why, Loss::Alive);
            self.actions.push(Action::Disconnect { worker: old, why });
        }
        self.forgive(hello.incarnation);
        let others: Vec<WorkerId> = self.workers.keys().copied().collect();
        for other in others {
            let addresses = self.workers[&other].hello.addresses.clone();
            self.tell(worker, Instruction::Peer { worker: other, addresses });
            self.tell(other, Instruction::Peer { worker, addresses: hello.addresses.clone() });
        }
        let first = self.memory_seen == 0;
        self.memory_seen = self.memory_seen.max(hello.memory_bytes);
        self.memory_least = self.memory_least.min(hello.memory_bytes);
        self.workers.insert(worker, WorkerState::new(hello, self.now_us));
        self.to_fill.insert(worker);
        self.note_all_lacking();
        self.note_load(worker);
        let jobs: Vec<JobId> = self.jobs.keys().copied().collect();
        for id in jobs {
            self.note_callers(id);
            if first {
                self.refuse_oversized(id);
            }
        }
    }

    /// Fails a job at once where some stage's tasks fit into no worker.
    pub(crate) fn refuse_oversized(&mut self, id: JobId) {
        if self.memory_seen == 0 {
            return;
        }
        let job = &self.jobs[&id];
        if let Some((stage, needed)) = job.largest.first_over(|stage| self.memory_seen_for(id, stage)) {
            let chunk = job.stage(stage).need.nth(0);
            self.fail_for_memory(TaskKey { job: id, stage, chunk }, needed);
        }
    }

    /// A worker is gone, and with it its chunks and what it was running.
    pub(crate) fn lose(&mut self, worker: WorkerId, why: &str, loss: Loss) {
        let Some(gone) = self.workers.remove(&worker) else { return };
        self.note_worker_end(gone.hello.name.clone(), why);
        self.memory_least = self.workers.values().map(|w| w.hello.memory_bytes).min().unwrap_or(u64::MAX);
        self.to_fill.remove(&worker);
        self.idle.remove(&worker);
        self.index.leaving.remove(&worker);
        self.forget_load(worker, &gone);
        self.outbox.remove(&worker);
        self.note_all_lacking();
        let others: Vec<WorkerId> = self.workers.keys().copied().collect();
        others.into_iter().for_each(|w| self.tell(w, Instruction::PeerGone(worker)));
        self.workers.values_mut().for_each(|w| drop(w.cut_off.remove(&worker)));
        for job in self.jobs.values_mut() {
            job.roots.orphan(worker);
            job.committed.remove(&worker);
        }
        // Before anything that may follow from it: clients stop waiting for what this worker was to give or take.
        let held: Vec<JobId> =
            self.jobs.iter().filter(|(_, j)| j.client_phase.holds()).map(|(id, _)| *id).collect();
        held.into_iter().for_each(|id| self.update(id, Update::Lost { worker }));
        let mut undone = self.take_leased(&gone);
        let threads = gone.hello.threads as usize;
        // One that is leaving may have given up a task that does not end.
        let suspects = match loss {
            Loss::Died | Loss::Silent if !gone.leaving => {
                self.suspects(&undone, threads, gone.hello.incarnation)
            }
            _ => Vec::new(),
        };
        self.n_ready -= gone.ready.len();
        if !self.limits.plays(Bug::ReadyTasksStranded) {
            undone.extend(gone.ready.iter().map(|place| place.task()));
        }
        undone.iter().for_each(|key| self.set(*key, TaskState::Waiting { missing: 0 }));
        let lost = self.held_by(worker);
        self.lose_chunks(lost);
        undone.into_iter().for_each(|key| self.requeue(key));
        match loss {
            Loss::Died if !gone.leaving => self.note_deaths(&suspects, gone.hello.incarnation, why),
            Loss::Silent if self.limits.plays(Bug::SilenceIsDeath) => {
                self.note_deaths(&suspects, gone.hello.incarnation, why);
            }
            Loss::Silent => self.note_silence(&suspects, why),
            Loss::Died | Loss::Alive => {}
        }
        let idle = std::mem::take(&mut self.idle);
        self.to_fill.extend(idle);
    }

    /// Ends a worker's leases; returns their open tasks in the order in which they were granted.
    fn take_leased(&mut self, gone: &WorkerState) -> Vec<TaskKey> {
        let mut tasks = Vec::new();
        for &id in &gone.leases {
            let l = self.close_lease(id).expect("a worker's leases exist");
            let range = TaskRange { job: l.job, stage: l.stage, chunks: l.chunks };
            tasks.extend(range.keys().filter(|k| self.task(*k) == TaskState::Leased { lease: id }));
        }
        tasks
    }

    fn held_by(&self, worker: WorkerId) -> Vec<TaskKey> {
        let mut lost = Vec::new();
        for (job, j) in &self.jobs {
            for (i, stage) in j.stages.iter().enumerate().filter(|(_, s)| s.table.counts().held > 0) {
                let mine = |s: &TaskState| s.holder() == Some(worker);
                lost.extend(stage.table.live().filter(|(_, s)| mine(s)).map(|(chunk, _)| TaskKey {
                    job: *job,
                    stage: StageIdx(i as u32),
                    chunk: ChunkIdx(chunk),
                }));
            }
        }
        lost
    }

    /// These chunks do not exist any more; all of them were needed.
    pub(crate) fn lose_chunks(&mut self, mut lost: Vec<TaskKey>) {
        if self.limits.plays(Bug::LostOutputForgotten) {
            let forgotten = |k: &TaskKey| !self.jobs[&k.job].is_running();
            let (gone, rest) = lost.into_iter().partition::<Vec<_>, _>(forgotten);
            gone.iter().for_each(|k| self.set(*k, TaskState::Released));
            lost = rest;
        }
        for key in &lost {
            if let Some(holder) = self.task(*key).holder().filter(|w| self.workers.contains_key(w)) {
                self.uncharge(holder, key.job, key.stage, key.chunk);
                self.drops.push((holder, *key));
            }
            self.set(*key, TaskState::Waiting { missing: 0 });
        }
        let mut gone = lost.clone();
        for key in &lost {
            let stage = self.jobs[&key.job].stage(key.stage);
            for (job, stage) in stage.aliases.clone() {
                let alias = TaskKey { job, stage, chunk: key.chunk };
                if self.task(alias).is_held() {
                    self.set(alias, TaskState::Waiting { missing: 1 });
                    gone.push(alias);
                }
            }
        }
        let closed = self.close_barriers(&gone);
        gone.extend(&closed);
        // What the readers of a chunk of many miss is counted afresh, when those of the others have heard.
        let (many, few): (Vec<_>, Vec<_>) = gone.into_iter().partition(|key| self.has_many_readers(*key));
        few.into_iter().chain(many).for_each(|key| self.unpublish(key));
        closed.into_iter().for_each(|key| self.requeue(key));
        self.revive(lost);
    }

    /// A chunk exists no more: its readers that did not start wait for it again.
    pub(crate) fn unpublish(&mut self, key: TaskKey) {
        if self.jobs[&key.job].stage(key.stage).is_output {
            self.unfinish(key.job);
        }
        if self.has_many_readers(key) {
            return self.begin_withdrawing(key);
        }
        self.with_consumers(key, |me, consumers| {
            for &(stage, chunk) in consumers {
                let reader = TaskKey { stage, chunk, ..key };
                match me.task(reader) {
                    TaskState::Waiting { missing } if !me.limits.plays(Bug::MissingNotRestored) => {
                        me.set(reader, TaskState::Waiting { missing: missing + 1 });
                    }
                    TaskState::Ready { worker } => {
                        me.dequeue(reader, worker);
                        me.set(reader, TaskState::Waiting { missing: 1 });
                    }
                    _ => {}
                }
            }
        });
    }

    /// Makes these tasks, which were done and now stand as waiting, run again; and before them what they read and
    /// was dropped.
    fn revive(&mut self, mut tasks: Vec<TaskKey>) {
        self.reviving.clear();
        self.note_reviving(&tasks);
        while let Some(key) = tasks.pop() {
            if self.jobs[&key.job].is_upload(key.stage) && !self.jobs[&key.job].client_phase.holds() {
                let why = "its chunk was lost after the client had released it";
                self.fail_operation(key, why.to_owned(), &[]);
            }
            if self.task(key) == TaskState::Failed || self.fail_with_inputs(key) {
                self.reviving.remove(&key);
                continue;
            }
            self.reviving.remove(&key);
            let before = tasks.len();
            let missing = self.with_inputs(key, |me, inputs| {
                let mut missing = 0;
                for &(slot, stage, chunk) in inputs {
                    let input = TaskKey { stage, chunk, ..key };
                    missing += u32::from(!me.demand(input, (key.stage, slot, key.chunk), &mut tasks));
                }
                missing
            });
            self.note_reviving(&tasks[before..]);
            match missing {
                0 => self.ready(key),
                _ => self.set(key, TaskState::Waiting { missing }),
            }
        }
    }

    /// These are to be revived: of what fails alone is noted that it counts as no reader until then.
    fn note_reviving(&mut self, tasks: &[TaskKey]) {
        let alone = |k: &&TaskKey| self.jobs[&k.job].plan.stage(k.stage).fails_alone;
        let alone: Vec<TaskKey> = tasks.iter().filter(alone).copied().collect();
        self.reviving.extend(alone);
    }

    /// One more reader for a chunk; whether the chunk exists. A dropped one is put on the list of tasks to revive.
    fn demand(
        &mut self,
        input: TaskKey,
        reader: (StageIdx, usize, ChunkIdx),
        tasks: &mut Vec<TaskKey>,
    ) -> bool {
        match self.task(input) {
            // It will be told of it.
            TaskState::Held { .. } if !self.sees(input, reader) => false,
            TaskState::Held { holder, pending } => {
                self.set(input, TaskState::Held { holder, pending: pending + 1 });
                true
            }
            TaskState::Released if self.limits.plays(Bug::InputsNotResurrected) => true,
            TaskState::Released if self.jobs[&input.job].is_alias(input.stage) => {
                self.demand_alias(input, tasks)
            }
            TaskState::Released => {
                self.set(input, TaskState::Waiting { missing: 0 });
                if self.jobs[&input.job].stage(input.stage).is_output {
                    self.unfinish(input.job);
                }
                tasks.push(input);
                false
            }
            _ => false,
        }
    }

    /// The same for a chunk that another job made.
    fn demand_alias(&mut self, alias: TaskKey, tasks: &mut Vec<TaskKey>) -> bool {
        let made = self.canonical(alias);
        if self.task(made).is_held() {
            self.set(alias, TaskState::Held { holder: None, pending: 1 });
            return true;
        }
        self.set(alias, TaskState::Waiting { missing: 1 });
        self.demand_made(alias.job, made, tasks);
        false
    }

    /// Makes sure that a chunk that another job reads will exist.
    fn demand_made(&mut self, reader: JobId, made: TaskKey, tasks: &mut Vec<TaskKey>) {
        if let Some(error) = self.jobs[&made.job].failed().cloned() {
            self.failing.push((reader, error));
        } else if self.task(made) == TaskState::Released {
            self.set(made, TaskState::Waiting { missing: 0 });
            self.unfinish(made.job);
            tasks.push(made);
        }
    }

    /// A chunk of another job is put to use: its readers become ready, now or when it exists.
    pub(crate) fn read_alias(&mut self, alias: TaskKey) {
        let made = self.canonical(alias);
        if self.task(made).is_held() {
            return self.promote(alias);
        }
        self.set(alias, TaskState::Waiting { missing: 1 });
        if self.fail_with_inputs(alias) {
            return;
        }
        let mut tasks = Vec::new();
        self.demand_made(alias.job, made, &mut tasks);
        self.revive(tasks);
    }

    /// Gives up the workers that were silent for too long, where all that had come until then is handled.
    pub(crate) fn find_silent(&mut self, heard_until_us: u64) {
        let Some(max_us) = self.limits.silence_max_us else { return };
        if self.limits.plays(Bug::SilenceIgnored) {
            return;
        }
        for worker in self.silent(max_us, heard_until_us) {
            let why = format!("nothing was heard of it for {:.1} s", max_us as f64 / 1e6);
            self.lose(worker, &why, Loss::Silent);
            self.actions.push(Action::Disconnect { worker, why });
        }
    }

    /// A worker says goodbye: it gets nothing new and gives back what it did not start.
    pub(crate) fn leave(&mut self, worker: WorkerId) {
        let Some(w) = self.workers.get_mut(&worker) else { return };
        w.leaving = true;
        self.index.leaving.insert(worker);
        let w = &self.workers[&worker];
        let queue: Vec<_> = w.ready.iter().copied().collect();
        self.note_all_lacking();
        for key in queue.into_iter().map(ReadyKey::task) {
            self.dequeue(key, Some(worker));
            self.ready(key);
        }
        self.idle.remove(&worker);
        self.jobs.values_mut().for_each(|j| j.roots.orphan(worker));
        let leases = self.workers[&worker].leases.iter().map(|id| (id, &self.leases[id]));
        let revokes: Vec<Instruction> = leases
            .map(|(id, l)| {
                let tasks = TaskRange { job: l.job, stage: l.stage, chunks: l.chunks.clone() };
                Instruction::Revoke { lease: *id, tasks }
            })
            .collect();
        revokes.into_iter().for_each(|r| self.tell(worker, r));
        let idle = std::mem::take(&mut self.idle);
        self.to_fill.extend(idle);
    }

    /// Lets workers go that said goodbye and have nothing left to do; whether there was one.
    pub(crate) fn finish_leaving(&mut self) -> bool {
        let done = self.index.leaving.iter().copied().find(|w| self.workers[w].n_leased() == 0);
        let Some(worker) = done else { return false };
        self.lose(worker, "it left", Loss::Alive);
        self.actions.push(Action::Disconnect { worker, why: "it has left".to_owned() });
        true
    }
}

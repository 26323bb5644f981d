//! The life of a job: submitted, finished, perhaps unfinished again after a loss, released, failed.
//!
//! A job keeps the *records* of the jobs that it reads for as long as it exists, so that their chunks can be made
//! again; it keeps their *chunks* only until it is finished.
//!
//! Knows jobs as wholes. Must not know how tasks become ready or where they run.

use crate::event::{Action, JobEnd};
use crate::job::{self, Canonical, StageState};
use crate::limits::Bug;
use crate::phase::ClientPhase;
use crate::prepared::Prepared;
use crate::scheduler::{Scheduler, range_of};
use crate::table::TaskState;
use crate::worker::ReadyKey;
use std::cmp::Reverse;
use tilework_plan::{
    ChunkIdx, ClientId, Figures, Instruction, JobError, JobId, JobNumber, LeaseId, StageIdx, TaskKey,
    TaskRange, Update, WorkerId,
};

impl Scheduler {
    pub(crate) fn submit(&mut self, id: JobId, client: ClientId, prepared: Prepared) {
        if self.jobs.contains_key(&id) {
            return;
        }
        self.last_number += 1;
        let number = JobNumber(self.last_number);
        let mut job = match job::submit(client, prepared, (self.now_us, &self.jobs)) {
            Ok(job) => job,
            Err(why) => {
                let error = JobError::Program(why);
                let end = JobEnd::Failed(error.clone());
                self.actions.push(Action::Ended { number, client, end, figures: Figures::default() });
                self.update(id, Update::Failed(error));
                return self.forgotten.push(id);
            }
        };
        job.number = number;
        self.actions.push(Action::Began { job: id, number, client, n_tasks: job.progress().1 });
        for &stage in &job.aliases {
            self.aliases_mut(job.stage(stage).canonical).push((id, stage));
        }
        for of in &job.refs {
            self.jobs.get_mut(of).expect("what a job reads exists").n_referrers += 1;
        }
        let has_roots = job.roots.n_left() > 0;
        if job.is_choosy() {
            self.index.choosy.insert(id);
        }
        self.jobs.insert(id, job);
        if has_roots {
            self.note_rooted(id);
            self.wake_for(id);
        }
        self.raise_what_it_reads(id);
        self.unsettled.insert(id);
        self.note_callers(id);
        self.note_lacking(id);
        self.refuse_oversized(id);
        let idle = std::mem::take(&mut self.idle);
        self.to_fill.extend(idle);
    }

    fn aliases_mut(&mut self, (job, stage): Canonical) -> &mut Vec<Canonical> {
        let job = self.jobs.get_mut(&job).expect("a chunk's maker exists while it is read");
        &mut job.stages[stage.0 as usize].aliases
    }

    pub(crate) fn release_job(&mut self, id: JobId) {
        let Some(job) = self.jobs.get(&id).filter(|j| j.client_phase.holds()) else { return };
        let is_known = !job.is_running() && !self.announcing.contains_key(&id);
        self.end_announcing(id);
        self.note_end(id, JobEnd::Released);
        if !is_known {
            self.update(id, Update::Failed(JobError::Cancelled { by: "its client".to_owned() }));
        }
        self.let_go(id);
    }

    /// Ends a job by the wish of somebody who is not its client, whether it runs or its outputs are kept.
    pub(crate) fn cancel(&mut self, id: JobId, by: String) {
        if self.jobs.contains_key(&id) {
            self.failing.push((id, JobError::Cancelled { by }));
        }
    }

    /// A job ends for its client: says so in the log, unless that was said.
    pub(crate) fn note_end(&mut self, id: JobId, end: JobEnd) {
        let job = self.jobs.get_mut(&id).expect("the job that ends");
        if job.end_for_client(&end, self.now_us) {
            let (number, client) = (job.number, job.client);
            let figures = Figures { elapsed_us: self.now_us - job.submitted_us, ..job.figures };
            self.actions.push(Action::Ended { number, client, end, figures });
        }
    }

    pub(crate) fn client_lost(&mut self, client: ClientId) {
        self.clients.remove(&client);
        let held = self.jobs.iter().filter(|(_, j)| j.client == client && j.client_phase.holds());
        let held: Vec<JobId> = held.map(|(id, _)| *id).collect();
        for id in held {
            self.end_announcing(id);
            self.note_end(id, JobEnd::ClientLost);
            self.let_go(id);
        }
    }

    /// The client puts no more chunks of a job. Where jobs that read it need some, none of them can end; nor is all of it
    /// there for those that ask for it by its name.
    fn let_go(&mut self, id: JobId) {
        self.unsettled.insert(id);
        let job = &self.jobs[&id];
        if !job.is_running() || !job.wanted() {
            return;
        }
        let unput = |(i, s): &(usize, &StageState)| {
            job.is_upload(StageIdx(*i as u32)) && s.table.n_done() < s.need.n_tasks()
        };
        if let Some((i, _)) = job.stages.iter().enumerate().find(unput) {
            let key = TaskKey { job: id, stage: StageIdx(i as u32), chunk: ChunkIdx(0) };
            let (operation, message) =
                (self.operation(key), "the client released it before all chunks were put");
            let error = JobError::Operation { operation, chunk: key.chunk.0, message: message.to_owned() };
            self.failing.push((id, error));
        }
    }

    /// Looks at the jobs whose end may have come: announces outputs, counts readers, drops what nobody wants. Whether there
    /// were any.
    pub(crate) fn settle_jobs(&mut self) -> bool {
        let any = !self.unsettled.is_empty();
        self.may_place |= any;
        while let Some(id) = self.unsettled.pop_first() {
            let Some(job) = self.jobs.get_mut(&id) else { continue };
            if job.look_whether_finished() {
                let client = job.client_phase;
                self.lacking.remove(&id);
                self.trim(id);
                let is_told = matches!(client, ClientPhase::Told { .. });
                if client.holds() && !(is_told && self.limits.plays(Bug::RemadeOutputUnannounced)) {
                    self.begin_announcing(id);
                }
            }
            let job = &self.jobs[&id];
            self.set_reads(id, job.should_read());
            if !self.limits.plays(Bug::LetGoForgotten) {
                self.let_go_of_kept(id);
            }
            let job = &self.jobs[&id];
            if !job.wanted() {
                let done_for = job.n_referrers == 0;
                if !job.is_dropped() {
                    self.drop_chunks(id);
                }
                if done_for {
                    self.remove(id);
                }
            }
        }
        any
    }

    /// Notes that an output of a job has to be made (again), and so the outputs that it reads kept.
    pub(crate) fn unfinish(&mut self, id: JobId) {
        let job = self.jobs.get_mut(&id).expect("the job of a task");
        let rested = job.resume();
        let reads = job.should_read();
        if rested {
            self.raise_as_its_readers(id);
        }
        self.unannounce(id);
        self.note_lacking(id);
        self.set_reads(id, reads);
        self.unsettled.insert(id);
    }

    fn set_reads(&mut self, id: JobId, reads: bool) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if std::mem::replace(&mut job.reads, reads) == reads {
            return;
        }
        for of in job.refs.clone() {
            let read = self.jobs.get_mut(&of).expect("what a job reads exists");
            if reads {
                read.n_readers += 1;
            } else {
                read.n_readers -= 1;
            }
            self.unsettled.insert(of);
        }
    }

    /// Drops every chunk and task of a job; what is known of its tasks is that all of them were finished with.
    fn drop_chunks(&mut self, id: JobId) {
        self.lacking.remove(&id);
        let lease_ids = self.leases_of(id);
        let job = self.jobs.get_mut(&id).expect("the job whose chunks are dropped");
        let priorities = job.priorities();
        self.leftovers.retired.push(job.retire());
        for (worker, bytes) in std::mem::take(&mut job.committed) {
            if let Some(w) = self.workers.get_mut(&worker) {
                w.bytes_committed -= bytes;
                self.to_fill.insert(worker);
            }
        }
        for lease in lease_ids {
            let l = self.close_lease(lease).expect("the lease was just listed");
            self.worker_answered(l.worker, l.each, l.open);
            self.end_revoke(l.worker, lease);
        }
        let queued: Vec<WorkerId> = self.index.queued.iter().copied().collect();
        for w in queued {
            let worker = self.workers.get_mut(&w).expect("a worker with a queue");
            for &priority in &priorities {
                let bounds = ReadyKey::bounds(id, priority);
                let mut mine = worker.ready.split_off(bounds.start());
                worker.ready.append(&mut mine.split_off(bounds.end()));
                self.n_ready -= mine.len();
                self.leftovers.ready.extend(Some(mine).filter(|mine| !mine.is_empty()));
            }
            worker.ready_us = if worker.ready.is_empty() { 0 } else { worker.ready_us };
            self.to_fill.insert(w);
            self.note_load(w);
        }
        self.end_announcing(id);
        self.publishing.retain(|k, _| k.job != id);
        self.withdrawing.retain(|k, _| k.job != id);
        self.unplaced.retain(|k| k.job != id);
        self.opening.retain(|k| k.job != id);
        self.retry_records.retain(|k, _| k.job != id);
        self.suspects.clear_job(id);
        self.forget(id);
    }

    fn remove(&mut self, id: JobId) {
        self.set_reads(id, false);
        self.forget(id);
        let Some(job) = self.jobs.remove(&id) else { return };
        self.unsettled.remove(&id);
        self.lacking.remove(&id);
        self.index.rooted.remove(&(Reverse(job.roots_priority()), id));
        self.index.choosy.remove(&id);
        for &stage in &job.aliases {
            let canonical = job.stage(stage).canonical;
            if self.jobs.contains_key(&canonical.0) {
                self.aliases_mut(canonical).retain(|a| *a != (id, stage));
            }
        }
        for of in &job.refs {
            if let Some(read) = self.jobs.get_mut(of) {
                read.n_referrers -= 1;
                self.unsettled.insert(*of);
            }
        }
        self.leftovers.jobs.push(job);
        self.forgotten.push(id);
    }

    /// Ends the jobs that cannot go on, and with them those that read their outputs; whether there were any.
    pub(crate) fn fail_jobs(&mut self) -> bool {
        let any = !self.failing.is_empty();
        self.may_place |= any;
        while let Some((id, error)) = self.failing.pop() {
            let Some(job) = self.jobs.get_mut(&id).filter(|j| j.failed().is_none()) else { continue };
            job.fail(error.clone());
            if job.client_phase.holds() {
                self.note_end(id, JobEnd::Failed(error.clone()));
                self.update(id, Update::Failed(error.clone()));
            }
            let job = self.jobs.get_mut(&id).expect("the job that fails");
            if std::mem::take(&mut job.is_published) {
                self.actions.push(Action::Unpublished { job: id, why: error.clone() });
            }
            if matches!(error, JobError::Cancelled { .. }) && self.limits.plays(Bug::CancelledReadersLeft) {
                self.drop_chunks(id);
                self.unsettled.insert(id);
                continue;
            }
            if self.jobs[&id].n_readers > 0 {
                let readers = self.jobs.iter().filter(|(_, j)| j.reads && j.refs.contains(&id));
                self.failing.extend(readers.map(|(r, _)| (*r, error.clone())));
            }
            self.drop_chunks(id);
            self.unsettled.insert(id);
        }
        any
    }

    /// Ends the work that is still under way for a job whose outputs all exist: after a loss, some of what is made
    /// again turns out not to be needed.
    fn trim(&mut self, id: JobId) {
        let job = self.jobs.get_mut(&id).expect("the job that is finished");
        if job.roots.n_left() > 0 {
            // All that would have read what they make has failed.
            job.roots.clear();
        }
        let job = &self.jobs[&id];
        let mut undone = Vec::new();
        for (i, s) in job.stages.iter().enumerate() {
            let counts = s.table.counts();
            if counts.waiting + counts.ready + counts.leased > 0 {
                let tasks = s.table.live().filter(|(_, t)| !t.is_done() && *t != TaskState::Untouched);
                undone.extend(
                    tasks.map(|(c, t)| {
                        (TaskKey { job: id, stage: StageIdx(i as u32), chunk: ChunkIdx(c) }, t)
                    }),
                );
            }
        }
        let mut revoked: Vec<(WorkerId, LeaseId, TaskRange)> = Vec::new();
        for (key, state) in undone {
            match state {
                TaskState::Ready { worker } => self.dequeue(key, worker),
                TaskState::Leased { lease } => {
                    let worker = self.leases[&lease].worker;
                    match revoked.last_mut() {
                        Some((_, l, tasks)) if *l == lease && tasks.chunks.end == key.chunk.0 => {
                            tasks.chunks.end += 1;
                        }
                        _ => revoked.push((worker, lease, range_of(key))),
                    }
                    self.close_one(lease, key);
                }
                _ => {}
            }
            self.set(key, TaskState::Released);
            self.read_inputs(key);
        }
        // What they would read may go now: who has not begun with them is not to look for it.
        for (worker, lease, tasks) in revoked {
            self.tell(worker, Instruction::Revoke { lease, tasks });
        }
        // Nobody is left to be told of a chunk: what waited for it has failed, or is nothing to those that have.
        let told: Vec<TaskKey> = self.publishing.keys().filter(|key| key.job == id).copied().collect();
        for key in told {
            self.end_publishing(key);
            if matches!(self.task(key), TaskState::Held { pending: 0, .. }) {
                self.release_unless_kept(key);
            }
        }
    }

    /// Tells clients how far their jobs are, now and then.
    pub(crate) fn report_progress(&mut self, id: JobId) {
        let (now_us, interval_us) = (self.now_us, self.limits.progress_interval_us);
        let Some(job) =
            self.jobs.get_mut(&id).filter(|j| j.client_phase.holds() && j.progress_at_us <= now_us)
        else {
            return;
        };
        let (done, total) = job.progress();
        job.pace.note(now_us, done);
        if std::mem::replace(&mut job.progress_done, done) != done {
            job.progress_at_us = now_us + interval_us;
            self.update(id, Update::Progress { done, total });
        }
    }
}

//! What must be true when nothing moves: workers hold what the scheduler thinks they hold; in the end, every job ended
//! as it should have and nothing is left anywhere.
//!
//! Knows everything. Must not change anything but counts.

use crate::client::ClientJob;
use crate::faults::Fault;
use crate::node::Node;
use crate::world::{OPERATOR, World};
use std::collections::{BTreeMap, BTreeSet};
use tilework_plan::{
    ChunkIdx, Holding, Instruction, JobError, JobId, Plan, StageIdx, TaskKey, Update, WorkerId,
};
use tilework_worker_core::Source;

impl World {
    /// A worker is told who has a result, that blocks are read of, once and when it was made again: that is no more than
    /// such results were made. What is so told is not told with leases.
    pub(crate) fn check_told(&mut self, conn: WorkerId, instruction: &Instruction) {
        match instruction {
            Instruction::Holders { job, stage, holders, .. } => {
                let plan = self.reference.plan(*job);
                let told = self.n_told.entry((conn, *job, *stage)).or_default();
                if *told > 0 {
                    self.counts.add(Fault::ToldAnew);
                }
                let n = |h: &Holding| h.chunks.chunks.end - h.chunks.chunks.start;
                *told += holders.iter().map(n).sum::<u64>();
                let made = self.n_runs.get(&(*job, *stage)).copied().unwrap_or(0);
                assert!(*told <= made, "{conn:?} is told of {told} results of {stage:?}, of {made}");
                assert!(*told >= plan.n_tasks(*stage), "{conn:?} is not told who has all of {stage:?}");
            }
            Instruction::Lease { elsewhere, .. } => {
                for Holding { chunks, .. } in elsewhere {
                    let barrier = self.reference.plan(chunks.job).barrier_of(chunks.stage);
                    assert!(barrier.is_none(), "a lease says who has {chunks:?}");
                }
            }
            _ => {}
        }
    }

    /// Where nothing moves, workers have exactly the chunks that the scheduler thinks they have.
    pub(crate) fn check_holdings(&mut self) {
        if self.n_moving > 0 {
            return;
        }
        self.n_compared += 1;
        let mut want: BTreeMap<WorkerId, Vec<TaskKey>> = BTreeMap::new();
        self.scheduler.holdings().into_iter().for_each(|(w, k)| want.entry(w).or_default().push(k));
        for (i, n) in self.nodes.iter().enumerate().filter(|(_, n)| n.alive && !self.deaf(n)) {
            let Some(conn) = n.conn else { continue };
            let used = n.core.usage();
            if used.staged > 0 || used.running > 0 {
                // It waits for a transfer from a dead worker, and what that task uses stays until it is told.
                continue;
            }
            let held = n.store.keys().filter_map(|s| match s {
                Source::Held(key) => Some(*key),
                Source::Fetched(_) => None,
            });
            let held: BTreeSet<TaskKey> = held.chain(n.disk.keys().copied()).collect();
            let held: Vec<TaskKey> = held.into_iter().collect();
            assert_eq!(held, want.remove(&conn).unwrap_or_default(), "chunks that worker {i} holds");
        }
    }

    /// Every job ended as it should have, and nothing is left anywhere.
    pub(crate) fn finish(&mut self) {
        for i in 0..self.jobs.len() {
            self.check_end(i);
        }
        let state = self.scheduler.state(self.now_us);
        assert!(state.jobs.is_empty(), "jobs are left: {:?}", state.jobs);
        for (i, n) in
            self.nodes.iter().enumerate().filter(|(_, n)| n.alive && n.conn.is_some() && !self.deaf(n))
        {
            assert!(n.store.is_empty(), "worker {i} keeps {:?}", n.store.keys().collect::<Vec<_>>());
            assert!(
                n.disk.is_empty(),
                "worker {i} keeps {:?} on its disk",
                n.disk.keys().collect::<Vec<_>>()
            );
            assert!(n.runs.is_empty(), "worker {i} still runs tasks");
            let used = n.core.usage();
            assert_eq!(used.bytes_on_disk, 0, "worker {i}");
            assert_eq!((used.bytes_held, used.bytes_reserved, used.bytes_fetched), (0, 0, 0), "worker {i}");
        }
    }

    /// A job is taken for deadly: workers must have died, not fallen silent, nor come back.
    pub(crate) fn check_deaths(&self, update: &Update) {
        let Update::Failed(JobError::Deadly { chunk, .. }) = update else { return };
        let calls = |s: StageIdx, plan: &Plan| plan.stage(s).calls.is_some();
        let deadly = self.jobs.iter().filter_map(|j| Some((j.setup.deadly?, &j.setup.plan)));
        let called: Vec<bool> =
            deadly.clone().map(|((s, c), plan)| calls(s, plan) && c.0 == *chunk).collect();
        // Nobody else killed, and functions alone can be told apart: it must be one that did.
        let alone =
            self.n_losses == self.n_killed_by_task && deadly.clone().all(|((s, _), plan)| calls(s, plan));
        // At the first death nobody knows which of several tasks it was: of those that run, or of a job's that was cancelled or
        // has failed, of which its worker has not heard.
        let ends_early = |j: &crate::client::ClientJob| {
            j.setup.cancel_us.is_some() || j.setup.operator_us.is_some() || j.setup.bad.is_some()
        };
        let alone_at_once = self.nodes.iter().all(|n| n.threads == 1) && !self.jobs.iter().any(ends_early);
        let one_by_one = self.setup.limits.deaths_max > 1 || alone_at_once;
        assert!(
            !alone || !one_by_one || called.contains(&true),
            "task {chunk} is taken for one that kills: {update:?}"
        );
        let deadly = self.jobs.iter().any(|j| j.setup.deadly.is_some());
        let most = u64::from(self.setup.limits.deaths_max);
        let dead = self.dead_most;
        assert!(deadly || dead >= most, "a job was ended by {dead} deaths, of {most} that it may have");
    }

    /// The scheduler was told that a worker is lost. A call may fail for those that are dead now, and the jobs that read
    /// it later, when some have come back.
    pub(crate) fn note_deaths(&mut self) {
        // Those that have come back are forgiven when the scheduler knows.
        let known: BTreeSet<WorkerId> =
            self.scheduler.state(self.now_us).workers.iter().map(|w| w.worker).collect();
        // One that was cut off may have been killed since.
        let is_away = |n: &&Node| (n.alive || n.was_cut) && n.conn.is_none_or(|conn| !known.contains(&conn));
        let away = self.nodes.iter().filter(is_away).count() as u64;
        self.dead_most = self.dead_most.max(self.counts.of(Fault::Killed) + away);
    }

    /// A job that did not fail has all that was wanted, or was let go of.
    fn check_success(&self, i: usize) {
        let job = &self.jobs[i];
        assert!(job.gather.is_none() || job.released, "job {i} is still being read");
        // Of tasks that fail alone, the client was told.
        let is_needed = |at: Option<(StageIdx, ChunkIdx)>| {
            at.is_some_and(|(stage, chunk)| {
                let alone = job.setup.plan.stage(stage).fails_alone;
                let key = TaskKey { job: JobId(i as u64), stage, chunk };
                // Nor does what only those would have read that failed with another need to be made.
                let only = BTreeSet::from([key]);
                let unread = || job.failed_values.iter().any(|v| self.reference.depends_on(*v, &only));
                !alone && self.reference.is_needed(key) && !unread()
            })
        };
        assert!(!is_needed(job.setup.bad) || !job.read, "job {i} has a bad task and a result");
        assert!(!is_needed(job.setup.endless) || !job.read, "job {i} has a task without end and a result");
    }

    pub(crate) fn check_end(&mut self, i: usize) {
        match self.jobs[i].failed.clone() {
            Some(error) => self.check_error(i, error),
            None => self.check_success(i),
        }
    }

    /// A task has failed alone: it is one of those that fail, or reads what one should have made.
    pub(crate) fn check_lone_failure(&mut self, key: TaskKey, error: &JobError) {
        if let JobError::Operation { message, .. } = error {
            self.check_attempts(key, message);
        }
        self.check_error(key.job.0 as usize, error.clone());
    }

    /// Of tasks that fail as often as they are run, or so often, it was run as often as it may be.
    fn check_attempts(&mut self, key: TaskKey, message: &str) {
        let which = match message.rsplit_once(": ").map_or(message, |(_, last)| last) {
            "it is bad" => self.bad_tasks(),
            "it is flaky" => {
                let mut both = self.too_flaky_tasks();
                both.append(&mut self.bad_tasks());
                both
            }
            _ => return,
        };
        assert!(
            self.reference.depends_on(key, &which),
            "{key:?} has failed with what it does not read: {message}"
        );
        let reads = |input: &(usize, TaskKey)| self.reference.depends_on(input.1, &which);
        let canonical = self.reference.canonical(key);
        let itself = which.contains(&canonical) && !self.reference.inputs(canonical).iter().any(reads);
        self.counts.add(if itself { Fault::FailedAlone } else { Fault::FailedWithInput });
        let key = canonical;
        let Some(job) = self.jobs.get(key.job.0 as usize).filter(|_| itself) else { return };
        let may = job.setup.plan.stage(key.stage).terms().retries;
        let n = job.failures.get(&(key.stage, key.chunk)).copied().unwrap_or(0);
        assert!(n > may, "{key:?} may be tried again {may} times, and was given up after {n} attempts");
        assert!(message.contains(" attempts") || may == 0, "{key:?}: {message}");
    }

    fn check_error(&mut self, i: usize, error: JobError) {
        let any_deadly = self.jobs.iter().any(|j| j.setup.deadly.is_some());
        match error {
            JobError::Operation { message, .. } => self.check_operation(i, &message),
            JobError::Deadly { .. } => {
                let most = u64::from(self.setup.limits.deaths_max);
                assert!(any_deadly || self.n_losses >= most, "job {i}: {} losses", self.n_losses);
                self.counts.add(Fault::DeadlyTask);
            }
            JobError::Memory { needed, limit, .. } => {
                // What is measured may turn out to be larger than any worker.
                let plan = &self.jobs[i].setup.plan;
                let measured = plan.stages.iter().any(tilework_plan::Stage::is_measured);
                assert!(
                    (self.setup.uneven || measured) && needed > limit,
                    "job {i}: {needed} of {limit} bytes"
                );
                self.counts.add(Fault::TooLarge);
            }
            JobError::Cancelled { by } => {
                assert_eq!(by, OPERATOR, "job {i}");
                assert!(self.jobs[..=i].iter().any(|j| j.setup.operator_us.is_some()), "job {i}");
                self.counts.add(Fault::Cancelled);
            }
            JobError::Full { needed, held, limit, .. } => {
                // A worker that is too small for the task may have room on its disk.
                let room = held + needed <= limit / 4 && !self.setup.uneven;
                assert!(!room, "job {i} has room: {held} and {needed} of {limit} bytes");
                self.counts.add(Fault::MemoryFull);
            }
            JobError::NoWorker { ref waiting, .. } => {
                // Somebody who is stopped once is back in time; somebody large enough may be lost.
                let stopped_again = self.counts.of(Fault::WorkerStopped) > 1;
                let deserted = self.setup.deserted;
                let too_large = self.setup.uneven && self.n_losses > 0 && waiting.contains(" needs ");
                let may = deserted || stopped_again || too_large;
                assert!(may, "job {i} was ended though somebody came: {error}");
                if deserted {
                    self.counts.add(Fault::Deserted);
                }
            }
            JobError::Foreign { .. } => {
                let has_functions =
                    |j: u64| self.reference.plan(JobId(j)).stages.iter().any(|s| s.calls.is_some());
                assert!(self.setup.mixed && (0..=i as u64).any(has_functions), "job {i} was refused");
                self.counts.add(Fault::Foreign);
            }
            JobError::Program(_) if self.jobs[..i].iter().any(|j| j.failed_there) => {}
            other => panic!("job {i} failed: {other}"),
        }
    }

    /// A job was ended because of one of its tasks.
    fn check_operation(&mut self, i: usize, message: &str) {
        let any_bad = self.jobs.iter().any(|j| j.setup.bad.is_some());
        if message.ends_with("it is bad") {
            assert!(any_bad);
            self.counts.add(Fault::BadOperation);
        } else if message.ends_with("it is flaky") {
            assert!(self.jobs.iter().any(|j| j.setup.flaky.is_some()), "job {i}: {message}");
        } else if message.contains("its time limit is") {
            assert!(self.jobs[..=i].iter().any(|j| j.setup.endless.is_some()), "job {i}: {message}");
            self.counts.add(Fault::OverranAlone);
        } else if message.contains("it has been running for") {
            let has_none = |j: &ClientJob| {
                j.setup.endless.is_some_and(|(s, _)| j.setup.plan.stage(s).terms().limit_us.is_none())
            };
            assert!(self.jobs[..=i].iter().any(has_none), "job {i}: {message}");
            assert!(self.jobs[..=i].iter().any(|j| j.setup.endless.is_some()), "job {i}: {message}");
            self.counts.add(Fault::Overran);
        } else if message.contains("its inputs could not be had") {
            // One way that is missing is got around; where more goes wrong it need not be, and it is said who and where.
            let faults = [Fault::NoWay, Fault::TaskFailedOnWorker, Fault::FetchFailed, Fault::SpillFailed];
            let [ways, others @ ..] = faults.map(|fault| self.counts.of(fault));
            let more = ways > 1 || (ways > 0 && others.iter().any(|n| *n > 0));
            assert!(more && message.contains(" at host"), "job {i}: {message}");
        } else if message.contains("had released it") {
            let lossy = [
                Fault::Left,
                Fault::FetchFailed,
                Fault::NoWay,
                Fault::WorkerStopped,
                Fault::Broken,
                Fault::Replaced,
                Fault::LoadFailed,
                Fault::Damaged,
                // Clients here let go of what jobs are yet to read, too: it is made again, out of what they put.
                Fault::LetGo,
            ];
            assert!(self.n_losses > 0 || lossy.into_iter().any(|f| self.counts.of(f) > 0));
        } else if message.contains("client released it before") {
            assert!(self.jobs.iter().any(|j| j.released));
        } else if message.contains("it cannot be put") {
            assert!(self.counts.of(Fault::PutElsewhere) > 0, "job {i}: {message}");
        } else if message.contains("workers failed to do it") {
            // Two that the simulator plays, and one for want of room on the disk.
            assert!(self.setup.spilling, "job {i}: {message}");
        } else {
            panic!("job {i} failed: {message}");
        }
    }
}

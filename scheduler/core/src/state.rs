//! A plain picture of the cluster for people and dashboards.
//!
//! Knows what to show. Must not know how it is shown.

use crate::event::{ClientHello, ClientId, JobNumber};
use crate::job::{Canonical, Job};
use crate::scheduler::Scheduler;
use crate::table::{NOBODY, TaskState};
use std::cmp::Reverse;
use std::collections::BTreeSet;
use tilework_expr::{ChunkIdx, JobId, StageIdx, TaskKey, WorkerId};

/// Jobs that a picture shows at most: those that are not finished first, then the latest.
const JOBS_SHOWN_MAX: usize = 1000;
/// Stages of all jobs together that a picture shows at most.
const STAGES_SHOWN_MAX: usize = 256;

/// A living worker.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WorkerSummary {
    /// Its number.
    pub worker: WorkerId,
    /// Its name.
    pub name: String,
    /// Where its chunk service listens.
    pub addresses: Vec<String>,
    /// Threads that run tasks.
    pub threads: u32,
    /// Bytes that its chunks and tasks may take.
    pub memory_bytes: u64,
    /// Bytes of chunks that it may write to its disk.
    pub spill_bytes: u64,
    /// Bytes that it last said it has in memory.
    pub bytes_held: u64,
    /// Bytes that it last said it has on its disk.
    pub bytes_on_disk: u64,
    /// Tasks leased to it.
    pub leased: u32,
    /// Of those, how many run at most.
    pub running: u32,
    /// Ready tasks that wait for it.
    pub ready: usize,
    /// How long ago it joined, microseconds.
    pub up_us: u64,
    /// How long ago it was last heard of, microseconds.
    pub silent_us: u64,
    /// Whether it said goodbye.
    pub leaving: bool,
    /// Threads that go on with tasks that they were told to stop.
    pub stuck: u32,
    /// How long the task that runs longest has been running, microseconds; 0 where none has been for a while.
    pub longest_us: u64,
    /// The build whose functions it can call; absent where it can call any.
    pub build: Option<String>,
}

/// A client that is connected.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientSummary {
    /// Its number.
    pub client: ClientId,
    /// What it says of itself.
    pub hello: ClientHello,
    /// How long ago it connected, microseconds.
    pub up_us: u64,
}

/// Tasks of one stage.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StageCounts {
    /// Its place in the plan.
    pub stage: StageIdx,
    /// What it does, as a formula in which `#3` is stage 3.
    pub operation: String,
    /// Tasks that some output depends on.
    pub total: u64,
    /// Tasks done, whatever became of their chunks.
    pub done: u64,
    /// Tasks that workers have.
    pub leased: u64,
    /// Chunks that exist.
    pub held: u64,
}

/// A job.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JobState {
    /// Its number for people.
    pub number: JobNumber,
    /// Who submitted it.
    pub client: ClientId,
    /// What it computes, in a line.
    pub title: String,
    /// Whether all its outputs exist.
    pub finished: bool,
    /// Whether its client let go of it, and it is kept for jobs that read it.
    pub dormant: bool,
    /// Tasks in all.
    pub total: u64,
    /// Tasks done.
    pub done: u64,
    /// Tasks that workers have.
    pub leased: u64,
    /// Bytes that its chunks take on workers.
    pub bytes_held: u64,
    /// Time from its submission until now, or until it ended, microseconds.
    pub elapsed_us: u64,
    /// Time that is left by what was measured, microseconds, where anything was.
    pub left_us: Option<u64>,
    /// Tasks done of late,
    pub late_done: u64,
    /// and in how many microseconds.
    pub late_us: u64,
    /// Stages of its plan.
    pub n_stages: u64,
    /// Its stages, but for those of a finished job, and for a large plan only those under way.
    pub stages: Vec<StageCounts>,
}

/// The cluster at one moment.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ClusterState {
    /// How long the scheduler has been there, microseconds.
    pub up_us: u64,
    /// The living workers.
    pub workers: Vec<WorkerSummary>,
    /// The clients that are connected.
    pub clients: Vec<ClientSummary>,
    /// Jobs in all.
    pub n_jobs: u64,
    /// The jobs, by their numbers; of very many, those that are not finished, and the latest.
    pub jobs: Vec<JobState>,
}

impl Scheduler {
    /// Every chunk that is taken to exist, and where; for tests that compare it with what workers really have.
    #[doc(hidden)]
    #[must_use]
    pub fn holdings(&self) -> Vec<(WorkerId, TaskKey)> {
        let mut all = Vec::new();
        for (job, j) in &self.jobs {
            for (i, s) in j.stages.iter().enumerate() {
                all.extend(s.table.live().filter_map(|(chunk, state)| match state {
                    TaskState::Held { holder, .. } if holder != NOBODY => Some((
                        holder,
                        TaskKey { job: *job, stage: StageIdx(i as u32), chunk: ChunkIdx(chunk) },
                    )),
                    _ => None,
                }));
            }
        }
        all
    }

    /// Jobs that nobody wants and that are kept for those that read them; for tests.
    #[doc(hidden)]
    #[must_use]
    pub fn n_dormant(&self) -> usize {
        self.jobs.values().filter(|j| !j.wanted()).count()
    }

    /// The job that people call by this number.
    #[must_use]
    pub fn job_numbered(&self, number: JobNumber) -> Option<JobId> {
        self.jobs.iter().find(|(_, j)| j.number == number).map(|(id, _)| *id)
    }

    /// What a job computes, in a line.
    #[must_use]
    pub fn title(&self, job: JobId) -> Option<String> {
        self.jobs.get(&job).map(|j| j.plan.title())
    }

    /// A picture of all workers, clients and jobs.
    #[must_use]
    pub fn state(&self, now_us: u64) -> ClusterState {
        let now_us = self.now_us.max(now_us);
        let workers = self.workers.iter().map(|(id, w)| WorkerSummary {
            worker: *id,
            name: w.hello.name.clone(),
            addresses: w.hello.addresses.clone(),
            build: w.hello.build.clone(),
            threads: w.hello.threads,
            memory_bytes: w.hello.memory_bytes,
            spill_bytes: w.hello.spill_bytes,
            bytes_held: w.bytes_reported.0,
            bytes_on_disk: w.bytes_reported.1,
            leased: w.leased,
            running: w.leased.min(w.hello.threads),
            ready: w.ready.len(),
            up_us: now_us - w.joined_us,
            silent_us: now_us - w.last_heard_us,
            leaving: w.leaving,
            stuck: w.stuck,
            longest_us: w.longest_us,
        });
        let clients = self.clients.iter().map(|(id, (hello, since_us))| ClientSummary {
            client: *id,
            hello: hello.clone(),
            up_us: now_us - since_us,
        });
        let mut jobs: Vec<(JobId, &Job)> = self.jobs.iter().map(|(id, j)| (*id, j)).collect();
        jobs.sort_unstable_by_key(|(_, j)| (j.finished, Reverse(j.number)));
        jobs.truncate(JOBS_SHOWN_MAX);
        jobs.sort_unstable_by_key(|(_, j)| j.number);
        let mut room = STAGES_SHOWN_MAX;
        let under_way: BTreeSet<Canonical> = self.leases.values().map(|l| (l.job, l.stage)).collect();
        ClusterState {
            up_us: now_us,
            workers: workers.collect(),
            clients: clients.collect(),
            n_jobs: self.jobs.len() as u64,
            jobs: jobs.into_iter().map(|(id, j)| j.picture(now_us, &mut room, (id, &under_way))).collect(),
        }
    }
}

impl Job {
    /// A picture of it, with at most `room` stages, which is how many more may be shown. Of some stages, workers have tasks.
    fn picture(&self, now_us: u64, room: &mut usize, under_way: (JobId, &BTreeSet<Canonical>)) -> JobState {
        let (done, total) = self.progress();
        let (late_done, late_us) = self.pace.of_late(now_us, done);
        let stages = if self.finished { Vec::new() } else { self.stages_shown(*room, under_way) };
        *room -= stages.len();
        JobState {
            number: self.number,
            client: self.client,
            title: self.plan.title(),
            finished: self.finished,
            dormant: !self.wanted(),
            total,
            done,
            leased: self.n_leased(),
            bytes_held: self.bytes_held,
            elapsed_us: self.ended_us.unwrap_or(now_us) - self.submitted_us,
            left_us: if self.finished { None } else { self.left_us(now_us) },
            late_done,
            late_us,
            n_stages: self.stages.len() as u64,
            stages,
        }
    }

    fn stages_shown(&self, room: usize, (id, under_way): (JobId, &BTreeSet<Canonical>)) -> Vec<StageCounts> {
        let all = self.stages.len() <= room;
        let shown = |i: &StageIdx| {
            let c = self.stage(*i).table.counts();
            all || c.leased + c.ready + c.waiting > 0
        };
        let counts = |i: StageIdx| {
            let s = self.stage(i);
            let (total, done, c) = (s.need.n_tasks(), s.table.n_done(), s.table.counts());
            let operation = self.plan.describe(i);
            StageCounts { stage: i, operation, total, done, leased: c.leased, held: c.held }
        };
        if self.stages.len() <= Job::STAGES_LOOKED_AT_MAX {
            let stages = (0..self.stages.len() as u32).map(StageIdx);
            return stages.filter(shown).take(room).map(counts).collect();
        }
        let (first, last) = ((id, StageIdx(0)), (id, StageIdx(u32::MAX)));
        under_way.range(first..=last).take(room).map(|(_, stage)| counts(*stage)).collect()
    }
}

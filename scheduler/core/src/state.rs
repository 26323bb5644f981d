//! A plain picture of the cluster for people and dashboards.
//!
//! Knows what to show. Must not know how it is shown.

use crate::job::{Canonical, Job};
use crate::scheduler::Scheduler;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use tilework_plan::{
    ChunkIdx, ClientSummary, ClusterState, JobId, JobState, StageCounts, StageIdx, TaskKey, WorkerId,
    WorkerSummary,
};

/// Jobs that a picture shows at most: those that are not finished first, then the latest.
const JOBS_SHOWN_MAX: usize = 1000;
/// Stages of all jobs together that a picture shows at most.
const STAGES_SHOWN_MAX: usize = 256;

impl Scheduler {
    /// Every chunk that is taken to exist, and where; for tests that compare it with what workers really have.
    #[doc(hidden)]
    #[must_use]
    pub fn holdings(&self) -> Vec<(WorkerId, TaskKey)> {
        let mut all = Vec::new();
        for (job, j) in &self.jobs {
            for (i, s) in j.stages.iter().enumerate() {
                let key = |chunk| TaskKey { job: *job, stage: StageIdx(i as u32), chunk: ChunkIdx(chunk) };
                all.extend(s.table.live().filter_map(|(chunk, state)| Some((state.holder()?, key(chunk)))));
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

    /// A picture of all workers, clients and jobs. Operations have their stages' names, and jobs those of what makes their
    /// first output: whoever knows what jobs are made of can say more.
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
            leased: w.n_leased(),
            running: w.leased.min(w.hello.threads),
            ready: w.ready.len(),
            up_us: now_us - w.joined_us,
            silent_us: now_us - w.last_heard_us,
            leaving: w.leaving,
            stuck: w.stuck,
            longest_us: w.longest_us,
            tags: w.hello.tags.clone(),
        });
        let clients = self.clients.iter().map(|(id, (hello, since_us))| ClientSummary {
            client: *id,
            hello: hello.clone(),
            up_us: now_us - since_us,
        });
        let mut jobs: Vec<(JobId, &Job)> = self.jobs.iter().map(|(id, j)| (*id, j)).collect();
        jobs.sort_unstable_by_key(|(_, j)| (!j.is_running(), Reverse(j.number)));
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
        let stages = if self.is_running() { self.stages_shown(*room, under_way) } else { Vec::new() };
        *room -= stages.len();
        JobState {
            number: self.number,
            client: self.client,
            title: self.plan.outputs.first().map_or("nothing", |o| self.plan.stage(*o).name).to_owned(),
            finished: !self.is_running(),
            dormant: !self.wanted(),
            total,
            done,
            leased: self.n_leased(),
            bytes_held: self.bytes_held,
            elapsed_us: self.client_phase.ended_us().unwrap_or(now_us) - self.submitted_us,
            left_us: if self.is_running() { self.left_us(now_us) } else { None },
            late_done,
            late_us,
            n_stages: self.stages.len() as u64 - self.n_barriers(),
            stages,
        }
    }

    /// Stages that stand for others' chunks together, and are nothing to look at; none where there are very many stages.
    fn n_barriers(&self) -> u64 {
        let stages = self.plan.stages.iter().take_while(|_| self.stages.len() <= Job::STAGES_LOOKED_AT_MAX);
        stages.filter(|s| s.is_barrier()).count() as u64
    }

    fn stages_shown(&self, room: usize, (id, under_way): (JobId, &BTreeSet<Canonical>)) -> Vec<StageCounts> {
        let all = self.stages.len() <= room;
        let shown = |i: &StageIdx| {
            let c = self.stage(*i).table.counts();
            !self.plan.stage(*i).is_barrier() && (all || c.leased + c.ready + c.waiting > 0)
        };
        let counts = |i: StageIdx| {
            let s = self.stage(i);
            let (total, done, c) = (s.need.n_tasks(), s.table.n_done(), s.table.counts());
            let operation = self.plan.stage(i).name.to_owned();
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

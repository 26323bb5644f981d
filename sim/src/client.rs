//! Clients: they submit jobs, put literal chunks, read outputs and release them, and compare what they read with
//! the reference.
//!
//! Knows updates. Must not know the cores' states.

use crate::faults::Fault;
use crate::setup::JobSetup;
use crate::world::{Ev, World};
use std::collections::BTreeMap;
use tilework_expr::{Holding, JobError, JobId, StageKind, TaskKey, Update, WorkerId};
use tilework_scheduler_core::{ClientId, Event};

/// What a client knows of its job.
pub(crate) struct ClientJob {
    pub setup: JobSetup,
    pub submitted: bool,
    /// What the scheduler last said where the outputs are.
    pub outputs: Option<Vec<Vec<Holding>>>,
    /// How often it said so.
    pub n_done: u64,
    /// Whether all outputs of the last announcement were read.
    pub read: bool,
    pub released: bool,
    pub failed: Option<JobError>,
    /// Literal chunks that were put, and how often.
    pub puts: BTreeMap<TaskKey, u64>,
}

impl ClientJob {
    pub fn new(setup: JobSetup) -> ClientJob {
        ClientJob {
            setup,
            submitted: false,
            outputs: None,
            n_done: 0,
            read: false,
            released: false,
            failed: None,
            puts: BTreeMap::new(),
        }
    }

    /// Whether the client has nothing more to do with it.
    pub fn is_over(&self) -> bool {
        self.released || self.failed.is_some()
    }
}

impl World {
    pub(crate) fn client_submits(&mut self, id: JobId) {
        let job = &mut self.jobs[id.0 as usize];
        job.submitted = true;
        if job.released {
            return;
        }
        let (client, program) = (ClientId(job.setup.client), job.setup.program.clone());
        self.reference.insert(id, job.setup.plan.clone());
        self.client_sends(Event::JobSubmitted { job: id, client, program });
    }

    pub(crate) fn client_hears(&mut self, id: JobId, update: Update) {
        if self.jobs[id.0 as usize].is_over() {
            return;
        }
        match update {
            Update::Progress { done, total } => assert!(done <= total, "{done} of {total} tasks are done"),
            Update::Upload { lease, tasks, literal, worker, .. } => {
                let kind = &self.reference.plan(id).stage(tasks.stage).kind.clone();
                assert_eq!(*kind, StageKind::Literal { id: literal }, "an upload of the wrong literal");
                for key in tasks.keys() {
                    let n = self.jobs[id.0 as usize].puts.entry(key).or_default();
                    *n += 1;
                    if *n > 1 {
                        self.counts.add(Fault::LiteralAgain);
                    }
                    let at = self.now_us + self.rng.delay_us(self.setup.latency_us * 3);
                    self.at(at, Ev::Put { lease, key, worker });
                }
            }
            Update::Done { outputs, .. } => {
                let job = &mut self.jobs[id.0 as usize];
                job.n_done += 1;
                if job.n_done > 1 {
                    self.counts.add(Fault::OutputsAgain);
                }
                job.outputs = Some(outputs);
                job.read = false;
                let n = job.n_done;
                self.check_coverage(id);
                let at = self.now_us + self.rng.delay_us(self.setup.latency_us);
                self.at(at, Ev::ClientReads { job: id, n_done: n });
            }
            Update::Failed(error) => {
                self.jobs[id.0 as usize].failed = Some(error);
            }
        }
    }

    /// Every chunk of every output must have been named once, by its maker's name.
    fn check_coverage(&mut self, id: JobId) {
        let plan = self.reference.plan(id);
        let outputs = self.jobs[id.0 as usize].outputs.clone().expect("outputs were announced");
        assert_eq!(outputs.len(), plan.outputs.len(), "{id:?}: outputs announced");
        for (list, &stage) in outputs.iter().zip(&plan.outputs) {
            let got: Vec<TaskKey> = list.iter().flat_map(|h| h.chunks.keys()).collect();
            let all = (0..plan.n_tasks(stage)).map(|c| TaskKey {
                job: id,
                stage,
                chunk: tilework_expr::ChunkIdx(c),
            });
            let want: Vec<TaskKey> = all.map(|k| self.reference.canonical(k)).collect();
            assert_eq!(got, want, "{id:?}: chunks announced");
        }
    }

    /// The client fetches its outputs. Where a holder is gone it waits to hear of another.
    pub(crate) fn client_reads(&mut self, id: JobId, n_done: u64) {
        let job = &self.jobs[id.0 as usize];
        if job.is_over() || job.n_done != n_done {
            return;
        }
        let outputs = job.outputs.clone().expect("outputs were announced");
        let mut complete = true;
        for h in outputs.iter().flatten() {
            for key in h.chunks.keys() {
                match self.read(h.worker, key) {
                    Some(v) => assert_eq!(v, self.reference.value(key), "{key:?}: a wrong result"),
                    None => complete = false,
                }
            }
        }
        if !complete {
            // Fetches from a living holder may be tried again; those from a dead one wait for news.
            let at = self.now_us + 200_000;
            return self.at(at, Ev::ClientReads { job: id, n_done });
        }
        let job = &mut self.jobs[id.0 as usize];
        job.read = true;
        let at = self.now_us + job.setup.hold_us;
        self.at(at, Ev::ClientReleases { job: id, n_done: Some(n_done) });
    }

    fn read(&self, worker: WorkerId, key: TaskKey) -> Option<u64> {
        let conn = self.conns.get(&worker)?;
        let node = &self.nodes[conn.node];
        let here = node.alive && node.conn == Some(worker);
        here.then(|| node.store.get(&tilework_worker_core::Source::Held(key)).copied()).flatten()
    }

    /// The client lets go: after having read (`n_done`), or at once.
    pub(crate) fn client_releases(&mut self, id: JobId, n_done: Option<u64>) {
        self.check_holdings();
        let unread = self.jobs.iter().enumerate().any(|(i, j)| {
            // Results are not let go before those were submitted that read them.
            i > id.0 as usize && !j.submitted && !j.is_over()
        });
        if n_done.is_some() && unread {
            let at = self.now_us + 10_000;
            return self.at(at, Ev::ClientReleases { job: id, n_done });
        }
        let job = &mut self.jobs[id.0 as usize];
        if job.is_over() || n_done.is_some_and(|n| job.n_done != n) {
            return;
        }
        if n_done.is_none() && (unread || !job.submitted) {
            return;
        }
        if !job.read {
            self.counts.add(Fault::Released);
        }
        job.released = true;
        if n_done.is_none() && self.rng.one_in(3) {
            let client = ClientId(job.setup.client);
            let mine = self.jobs.iter().filter(|j| ClientId(j.setup.client) == client);
            if mine.clone().all(|j| j.submitted) {
                self.counts.add(Fault::ClientLost);
                self.jobs
                    .iter_mut()
                    .filter(|j| ClientId(j.setup.client) == client)
                    .for_each(|j| j.released = true);
                return self.client_sends(Event::ClientLost { client });
            }
        }
        self.client_sends(Event::JobReleased { job: id });
    }
}

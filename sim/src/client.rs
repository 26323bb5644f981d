//! Clients: they submit jobs, put literal chunks, read outputs and release them, and compare what they read with
//! the reference.
//!
//! Knows updates. Must not know the cores' states.

use crate::faults::Fault;
use crate::setup::JobSetup;
use crate::world::{Ev, World};
use std::collections::{BTreeMap, BTreeSet};
use tilework_client_core::{Action, Event as Gathered, Gather, GetId};
use tilework_plan::{
    ChunkIdx, ClientId, Holding, JobError, JobId, Origin, StageIdx, TaskKey, TaskRange, Update, WorkerId,
};
use tilework_scheduler_core::{Event, Prepared};

/// The longest that reading outputs may take from when they were announced last, microseconds.
const READ_US_MAX: u64 = 3_000_000;
/// The same for making outputs again that were lost meanwhile.
const REMADE_US_MAX: u64 = 10_000_000;

/// What a client knows of its job.
pub(crate) struct ClientJob {
    pub setup: JobSetup,
    pub submitted: bool,
    /// What the scheduler last said where the outputs are.
    pub outputs: Option<Vec<Vec<Holding>>>,
    /// How often it said so.
    pub n_done: u64,
    /// When it last said so.
    pub located_us: u64,
    /// Reads the outputs, from the first announcement until all are there.
    pub gather: Option<Gather>,
    /// Requests that are under way.
    pub asked: BTreeMap<GetId, TaskKey>,
    /// The next tick that is planned.
    pub tick_at_us: u64,
    /// What was read.
    pub found: BTreeMap<TaskKey, u64>,
    /// Whether all outputs were read.
    pub read: bool,
    pub released: bool,
    pub failed: Option<JobError>,
    /// Whether it has failed for the scheduler; its client may be about to hear of it.
    pub failed_there: bool,
    /// Literal chunks that were put, and how often.
    pub puts: BTreeMap<TaskKey, u64>,
    /// Values of outputs that it was told will not come.
    pub failed_values: BTreeSet<TaskKey>,
    /// Values that it was told came to exist, before all had.
    pub made_values: BTreeSet<TaskKey>,
    /// How often each of its tasks failed where it ran.
    pub failures: BTreeMap<(StageIdx, ChunkIdx), u32>,
    /// Values that it has let go of, of outputs.
    pub let_go: BTreeSet<(usize, TaskKey)>,
}

impl ClientJob {
    pub fn new(setup: JobSetup) -> ClientJob {
        ClientJob {
            setup,
            submitted: false,
            outputs: None,
            n_done: 0,
            located_us: 0,
            gather: None,
            asked: BTreeMap::new(),
            tick_at_us: u64::MAX,
            found: BTreeMap::new(),
            read: false,
            released: false,
            failed: None,
            failed_there: false,
            puts: BTreeMap::new(),
            failed_values: BTreeSet::new(),
            made_values: BTreeSet::new(),
            failures: BTreeMap::new(),
            let_go: BTreeSet::new(),
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
        let (client, plan) = (ClientId(job.setup.client), job.setup.plan.clone());
        self.reference.insert(id, plan.clone());
        let prepared = Prepared::of(id, plan);
        self.client_sends(Event::JobSubmitted { job: id, client, prepared });
    }

    /// News of a job, and results that came beside them.
    pub(crate) fn client_hears(&mut self, id: JobId, update: Update, inlined: &BTreeMap<TaskKey, u64>) {
        if self.jobs[id.0 as usize].is_over() {
            return;
        }
        for (key, value) in inlined {
            assert_eq!(*value, self.reference.value(*key), "{key:?}: a wrong result beside the news");
        }
        match update {
            Update::Progress { done, total } => assert!(done <= total, "{done} of {total} tasks are done"),
            Update::Upload { lease, tasks, literal, worker, .. } => {
                let origin = self.reference.plan(id).stage(tasks.stage).origin.clone();
                assert_eq!(origin, Origin::Client { id: literal }, "an upload of the wrong literal");
                for key in tasks.keys() {
                    let n = self.jobs[id.0 as usize].puts.entry(key).or_default();
                    *n += 1;
                    if *n > 1 {
                        self.counts.add(Fault::LiteralAgain);
                    }
                    let at = self.now_us + self.rng.delay_us(self.setup.latency_us * 3);
                    self.at(at, Ev::Put { lease, key, worker, attempt: 0 });
                }
            }
            Update::Done { outputs, .. } => {
                let job = &mut self.jobs[id.0 as usize];
                job.n_done += 1;
                if job.n_done > 1 {
                    self.counts.add(Fault::OutputsAgain);
                }
                job.outputs = Some(outputs.clone());
                job.located_us = self.now_us;
                self.check_coverage(id);
                self.client_may_let_go(id);
                if self.jobs[id.0 as usize].failed_values.is_empty() {
                    self.gather_begins(id);
                    self.client_has(id, &outputs, inlined);
                    self.client_gathers(id, Gathered::Located(outputs));
                } else {
                    self.client_has_some(id);
                }
            }
            Update::Made { outputs, .. } => {
                self.client_hears_of_made(id, &outputs);
                self.client_may_let_go(id);
            }
            Update::TasksFailed { output, values, error } => {
                let stage = self.reference.plan(id).outputs[output as usize];
                let failed = TaskRange { job: id, stage, chunks: values };
                failed.keys().for_each(|key| self.check_lone_failure(key, &error));
                self.jobs[id.0 as usize].failed_values.extend(failed.keys());
            }
            Update::Lost { worker } => self.client_gathers(id, Gathered::Lost(worker)),
            Update::ChunksLost { tasks } => self.client_gathers(id, Gathered::ChunksLost(tasks)),
            Update::Failed(error) => {
                self.jobs[id.0 as usize].failed = Some(error);
            }
        }
    }

    /// Chunks that came beside the news need not be asked for.
    fn client_has(&mut self, id: JobId, outputs: &[Vec<Holding>], inlined: &BTreeMap<TaskKey, u64>) {
        for (output, holdings) in outputs.iter().enumerate() {
            for key in holdings.iter().flat_map(|h| h.chunks.keys()) {
                if let Some(value) = inlined.get(&key) {
                    self.counts.add(Fault::Inlined);
                    self.jobs[id.0 as usize].found.insert(key, *value);
                    self.client_gathers(id, Gathered::Unwanted { output, chunk: key.chunk.0 });
                }
            }
        }
    }

    /// Every chunk of every output must have been named once, by its maker's name.
    fn check_coverage(&mut self, id: JobId) {
        let plan = self.reference.plan(id);
        let outputs = self.jobs[id.0 as usize].outputs.clone().expect("outputs were announced");
        assert_eq!(outputs.len(), plan.outputs.len(), "{id:?}: outputs announced");
        for (output, (list, &stage)) in outputs.iter().zip(&plan.outputs).enumerate() {
            let got: Vec<TaskKey> = list.iter().flat_map(|h| h.chunks.keys()).collect();
            let all = (0..plan.n_tasks(stage)).map(|c| TaskKey {
                job: id,
                stage,
                chunk: tilework_plan::ChunkIdx(c),
            });
            let failed = &self.jobs[id.0 as usize].failed_values;
            let there = all.filter(|key| !failed.contains(key));
            let mut want: Vec<TaskKey> = there.map(|k| self.reference.canonical(k)).collect();
            // Of what was let go of, there may be some still.
            let let_go = &self.jobs[id.0 as usize].let_go;
            want.retain(|key| got.contains(key) || !let_go.contains(&(output, *key)));
            assert_eq!(got, want, "{id:?}: chunks announced");
            got.iter().for_each(|key| self.check_may_exist(*key));
        }
    }

    fn client_hears_of_made(&mut self, id: JobId, outputs: &[Vec<Holding>]) {
        let plan = self.reference.plan(id);
        assert_eq!(outputs.len(), plan.outputs.len(), "{id:?}: outputs with news");
        for (list, &stage) in outputs.iter().zip(&plan.outputs) {
            for key in list.iter().flat_map(|h| h.chunks.keys()) {
                assert_eq!((key.job, key.stage), (id, stage), "a value that is not the job's");
                self.check_may_exist(key);
                let job = &mut self.jobs[id.0 as usize];
                assert!(!job.failed_values.contains(&key), "{key:?} was said to have failed");
                job.made_values.insert(key);
            }
        }
        // What was lost and made again was said to be there now.
        self.jobs[id.0 as usize].located_us = self.now_us;
    }

    /// What depends on a task that always fails does not exist.
    fn check_may_exist(&self, key: TaskKey) {
        assert!(
            !self.reference.depends_on(key, &self.bad_tasks()),
            "{key:?} depends on a bad task, and exists"
        );
    }

    /// All tasks that always fail.
    pub(crate) fn bad_tasks(&self) -> BTreeSet<TaskKey> {
        let bad = (0..).zip(&self.jobs).filter_map(|(job, j)| {
            j.setup.bad.map(|(stage, chunk)| TaskKey { job: JobId(job), stage, chunk })
        });
        bad.collect()
    }

    /// All tasks that fail more often than they may.
    pub(crate) fn too_flaky_tasks(&self) -> BTreeSet<TaskKey> {
        let flaky = (0..).zip(&self.jobs).filter_map(|(job, j)| {
            let (stage, chunk, times) = j.setup.flaky?;
            let may = j.setup.plan.stage(stage).terms().retries;
            (times > may).then_some(TaskKey { job: JobId(job), stage, chunk })
        });
        flaky.collect()
    }

    /// Some values of a job have failed, and the others are there: its client has nothing more to wait for.
    fn client_has_some(&mut self, id: JobId) {
        let job = &mut self.jobs[id.0 as usize];
        if std::mem::replace(&mut job.read, true) {
            return;
        }
        job.gather = None;
        let (at, n_done) = (self.now_us + job.setup.hold_us, job.n_done);
        self.at(at, Ev::ClientReleases { job: id, n_done: Some(n_done) });
    }

    fn gather_begins(&mut self, id: JobId) {
        let job = &mut self.jobs[id.0 as usize];
        if job.gather.is_none() && !job.read {
            let plan = &job.setup.plan;
            let n_chunks: Vec<usize> = plan.outputs.iter().map(|s| plan.n_tasks(*s) as usize).collect();
            job.gather = Some(Gather::new(self.setup.client_limits.clone(), &n_chunks));
            for (output, key) in job.let_go.clone() {
                self.client_gathers(id, Gathered::Unwanted { output, chunk: key.chunk.0 });
            }
        }
    }

    /// There may be values of which the client is told one by one and that it wants no more.
    fn client_may_let_go(&mut self, id: JobId) {
        if self.setup.letting_go && self.rng.one_in(3) {
            let at = self.now_us + self.rng.below(self.setup.task_us * 20);
            self.at(at, Ev::ClientLetsGo { job: id });
        }
    }

    /// The client lets go of neighbouring values of an output, those that it has read or not, whether they exist or not.
    pub(crate) fn client_lets_go(&mut self, id: JobId) {
        let plan = self.reference.plan(id);
        let alone =
            |s: StageIdx| plan.stage(s).fails_alone && !plan.stage(s).is_alias() && plan.n_tasks(s) > 0;
        let outputs: Vec<(usize, StageIdx)> =
            plan.outputs.iter().copied().enumerate().filter(|(_, s)| alone(*s)).collect();
        if outputs.is_empty() || self.jobs[id.0 as usize].is_over() {
            return;
        }
        let (output, stage) = *self.rng.pick(&outputs);
        let start = self.rng.below(plan.n_tasks(stage));
        let chunks = start..self.rng.within(start + 1, plan.n_tasks(stage));
        self.counts.add(Fault::LetGo);
        for key in (TaskRange { job: id, stage, chunks: chunks.clone() }).keys() {
            self.jobs[id.0 as usize].let_go.insert((output, key));
            self.client_gathers(id, Gathered::Unwanted { output, chunk: key.chunk.0 });
        }
        self.client_sends(Event::ResultsLetGo { job: id, results: vec![(output as u32, chunks)] });
    }

    /// Lets the client's state machine handle an event, and does what it asks for.
    pub(crate) fn client_gathers(&mut self, id: JobId, event: Gathered) {
        let job = &mut self.jobs[id.0 as usize];
        if job.is_over() {
            job.gather = None;
        }
        let Some(gather) = &mut job.gather else { return };
        self.events += 1;
        let mut actions = Vec::new();
        gather.handle(self.now_us, event, &mut actions);
        gather.check();
        let wake = gather.next_wake_us();
        for action in actions {
            if self.trace {
                eprintln!("           client {}: {action:?}", id.0);
            }
            self.client_acts(id, action);
        }
        let job = &mut self.jobs[id.0 as usize];
        if let Some(at) = wake.filter(|at| *at != job.tick_at_us) {
            job.tick_at_us = at;
            self.at(at, Ev::TickClient { job: id });
        }
    }

    fn client_acts(&mut self, id: JobId, action: Action) {
        match action {
            Action::Get { get, key, from, .. } => {
                self.jobs[id.0 as usize].asked.insert(get, key);
                let at = self.now_us + 2 * self.rng.delay_us(self.setup.latency_us);
                self.at(at, Ev::ReadEnds { job: id, get, from, key });
            }
            Action::Stop(get) => {
                let stopped = self.jobs[id.0 as usize].asked.remove(&get);
                assert!(stopped.is_some(), "{get} is not under way");
            }
            Action::Complete => self.client_has_read(id),
            Action::GiveUp { from, key, why, .. } => {
                panic!("{id:?}: the client gives up {key:?} of {from:?}: {why}")
            }
        }
    }

    /// A request of the client's ends, if it does: one to a dead worker may go on without a sign.
    pub(crate) fn read_ends(&mut self, id: JobId, get: GetId, from: WorkerId, key: TaskKey) {
        let is_open = self.jobs[id.0 as usize].asked.contains_key(&get);
        if !is_open || self.jobs[id.0 as usize].is_over() {
            return;
        }
        let alive = self.conns.get(&from).is_some_and(|c| self.nodes[c.node].alive);
        if !alive && self.rng.one_in(2) {
            return self.counts.add(Fault::ReadHung);
        }
        let mut value = self.read(from, key);
        // So few that one read that meets them all is in time nevertheless.
        let fails = self.setup.faults.contains(&Fault::ReadFailed) && self.counts.of(Fault::ReadFailed) < 5;
        if fails && self.rng.one_in(6) {
            self.counts.add(Fault::ReadFailed);
            value = None;
        }
        let holder = self.conns.get(&from).map(|c| c.node);
        if value.is_some() && holder.is_some_and(|n| self.is_damaged(n, key)) {
            value = None;
        }
        let job = &mut self.jobs[id.0 as usize];
        job.asked.remove(&get);
        let event = match value {
            Some(v) => {
                job.found.insert(key, v);
                Gathered::Got(get)
            }
            None => Gathered::Failed { get, why: "not there".to_owned() },
        };
        self.client_gathers(id, event);
    }

    /// All is there: is it right, and did it not take too long?
    fn client_has_read(&mut self, id: JobId) {
        let job = &mut self.jobs[id.0 as usize];
        let (found, outputs) = (std::mem::take(&mut job.found), job.outputs.clone());
        job.gather = None;
        job.read = true;
        let took_us = self.now_us - job.located_us;
        // What a disk has lost is made again, which may take the silence of a worker.
        let remade_us = if self.counts.of(Fault::Damaged) > 0 { REMADE_US_MAX } else { 0 };
        let most_us = READ_US_MAX + remade_us + self.stopped_us;
        assert!(took_us <= most_us, "{id:?}: outputs were there, and were read after {took_us} us");
        let (at, n_done) = (self.now_us + job.setup.hold_us, job.n_done);
        let let_go = job.let_go.clone();
        for (output, h) in
            outputs.iter().flatten().enumerate().flat_map(|(o, all)| all.iter().map(move |h| (o, h)))
        {
            for key in h.chunks.keys().filter(|key| !let_go.contains(&(output, *key))) {
                let got = found.get(&key).copied();
                assert_eq!(got, Some(self.reference.value(key)), "{key:?}: a wrong result");
            }
        }
        self.at(at, Ev::ClientReleases { job: id, n_done: Some(n_done) });
    }

    fn read(&self, worker: WorkerId, key: TaskKey) -> Option<u64> {
        let conn = self.conns.get(&worker)?;
        let node = &self.nodes[conn.node];
        let here = node.alive && node.conn == Some(worker);
        here.then(|| node.held(key)).flatten()
    }

    /// Whether jobs are yet to be submitted that may read a job's outputs.
    fn is_unread(&self, id: JobId) -> bool {
        let mut later = self.jobs.iter().skip(id.0 as usize + 1);
        later.any(|j| !j.submitted && !j.is_over())
    }

    /// The client lets go of what others are still to read: it is kept under a name.
    fn publish(&mut self, id: JobId) {
        self.counts.add(Fault::Published);
        self.client_sends(Event::JobPublished { job: id });
        self.jobs[id.0 as usize].released = true;
        self.client_sends(Event::JobReleased { job: id });
        self.unpublish(id);
    }

    /// What is published is so no more, unless some are yet to read it.
    pub(crate) fn unpublish(&mut self, id: JobId) {
        if self.is_unread(id) {
            let at = self.now_us + 10_000;
            return self.at(at, Ev::Unpublish(id));
        }
        self.client_sends(Event::JobUnpublished { job: id });
    }

    /// The client lets go: after having read (`n_done`), or at once.
    pub(crate) fn client_releases(&mut self, id: JobId, n_done: Option<u64>) {
        self.check_holdings();
        let unread = self.is_unread(id);
        if n_done.is_some() && unread {
            let whole = self.jobs[id.0 as usize].let_go.is_empty();
            if whole && self.rng.one_in(8) && self.scheduler.can_be_published(id) {
                return self.publish(id);
            }
            let at = self.now_us + 10_000;
            return self.at(at, Ev::ClientReleases { job: id, n_done });
        }
        let job = &mut self.jobs[id.0 as usize];
        if job.is_over() {
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

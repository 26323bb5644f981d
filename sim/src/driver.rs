//! What a worker's driver does: carries out its core's actions, runs its tasks, fetches from other workers' stores.
//!
//! Knows stores and threads. Must not know the scheduler.

use crate::faults::Fault;
use crate::node::{Node, Run};
use crate::reference::{block, made};
use crate::world::{Ev, World};
use std::collections::BTreeMap;
use tilework_plan::{ChunkIdx, LeaseId, Part, Report, StageIdx, TaskError, TaskKey, WorkerId};
use tilework_scheduler_core as scheduler;
use tilework_worker_core as worker;
use tilework_worker_core::{FetchId, Source, SpillId, Whence};

/// Times that a chunk is put again after a failure before the scheduler is told.
const PUT_ATTEMPTS: u32 = 1;

impl World {
    pub(crate) fn worker_handles(&mut self, node: usize, event: worker::Event) {
        self.events += 1;
        let mut actions = Vec::new();
        let n = &mut self.nodes[node];
        n.core.handle(self.now_us, event, &mut actions);
        n.core.check();
        for action in actions {
            if self.trace {
                eprintln!("           {node}: {action:?}");
            }
            self.worker_acts(node, action);
        }
        self.begin_runs(node);
        let n = &mut self.nodes[node];
        if let Some(at) = n.core.next_wake_us().filter(|at| *at < n.tick_at_us) {
            n.tick_at_us = at;
            self.at(at, Ev::TickWorker { node });
        }
    }

    pub(crate) fn worker_acts(&mut self, node: usize, action: worker::Action) {
        let incarnation = self.nodes[node].incarnation;
        match action {
            worker::Action::Fetch { fetch, from, key, part } => {
                let at = self.now_us + 2 * self.rng.delay_us(self.setup.latency_us);
                self.at(at, Ev::FetchEnds { node, incarnation, fetch, from, key, part });
            }
            worker::Action::Run { lease, task, feeds } => {
                assert!(self.reference.is_needed(task), "{task:?} is run, and no output depends on it");
                let n = &self.nodes[node];
                let may = !n.is_overweight || n.runs.is_empty();
                assert!(may, "{task:?} begins though the process of worker {node} has too much memory");
                let id = self.id();
                let run = Run { id, lease, task, feeds, stopped: false, started_us: None };
                self.nodes[node].runs.push_back(run);
            }
            worker::Action::Stop(task) => {
                self.nodes[node].runs.iter_mut().filter(|r| r.task == task).for_each(|r| r.stopped = true);
            }
            worker::Action::Spill { spill, key } => {
                let n = &mut self.nodes[node];
                assert!(n.store.contains_key(&Source::Held(key)), "worker {node} writes {key:?}: not there");
                n.writing.insert(key, spill);
                let slow = *self.rng.pick(&[1, 1, 30]);
                let at = self.now_us + self.rng.delay_us(self.setup.task_us * slow);
                self.at(at, Ev::SpillEnds { node, incarnation, spill, key });
            }
            worker::Action::Unload(key) => {
                self.counts.add(Fault::Spilled);
                let n = &mut self.nodes[node];
                let left = n.store.remove(&Source::Held(key));
                assert!(left.is_some() && n.disk.get(&key) == left.as_ref(), "worker {node} loses {key:?}");
            }
            worker::Action::Free(source) => {
                let n = &mut self.nodes[node];
                let mut freed = n.store.remove(&source).is_some();
                match source {
                    Source::Held(key) => freed |= n.leave_disk(key),
                    Source::Fetched(fetch) => drop(n.parts.remove(&fetch)),
                }
                assert!(freed, "worker {node} frees {source:?}, which it does not have");
            }
            worker::Action::Report(reports) => self.report(node, reports),
            worker::Action::Replace(_) => self.replace(node),
        }
    }

    /// Tells a worker's core of the tasks that take long.
    pub(crate) fn worker_ages(&mut self, node: usize) {
        let (now_us, n) = (self.now_us, &mut self.nodes[node]);
        let long_us = n.core.long_us();
        let age = |r: &Run| r.started_us.map(|at| now_us - at).filter(|age| *age >= long_us);
        let ages: Vec<_> = n.runs.iter().filter_map(|r| Some((r.lease, r.task, age(r)?))).collect();
        let some = !ages.is_empty();
        if some || std::mem::replace(&mut n.some_take_long, some) {
            n.some_take_long = some;
            self.worker_handles(node, worker::Event::Ages(ages));
        }
    }

    pub(crate) fn report(&mut self, node: usize, reports: Vec<Report>) {
        let Some(conn) = self.nodes[node].conn else { return };
        let inlined = self.inlined(node, &reports);
        let Some(c) = self.conns.get_mut(&conn).filter(|c| c.open || c.line.is_broken) else { return };
        let Some(stamp) = c.line.send_up((reports.clone(), inlined.clone())) else { return };
        let at = c.to_scheduler_us.max(self.now_us);
        if self.setup.faults.contains(&Fault::Duplicated) && self.rng.one_in(10) {
            self.counts.add(Fault::Duplicated);
            let later = at + self.rng.delay_us(self.setup.latency_us * 4);
            let (reports, inlined) = (reports.clone(), inlined.clone());
            self.at(later, Ev::FromWorker { conn, stamp: None, reports, inlined });
        }
        self.worker_way(conn, Ev::FromWorker { conn, stamp, reports, inlined });
    }

    /// Some of the results of outputs that a report says are done, which are small.
    fn inlined(&mut self, node: usize, reports: &[Report]) -> BTreeMap<TaskKey, u64> {
        let mut inlined = BTreeMap::new();
        for report in reports {
            let Report::Done { tasks, .. } = report else { continue };
            if !self.reference.plan(tasks.job).outputs.contains(&tasks.stage) {
                continue;
            }
            for key in tasks.keys() {
                let value = self.nodes[node].store.get(&Source::Held(key)).copied();
                inlined.extend(value.filter(|_| self.rng.one_in(2)).map(|value| (key, value)));
            }
        }
        inlined
    }

    /// Gives threads to the tasks that are first.
    pub(crate) fn begin_runs(&mut self, node: usize) {
        let (base, now_us) = (self.setup.task_us, self.now_us);
        while let Some(run) = self.nodes[node].begin_next() {
            run.started_us = Some(now_us);
            let (id, task, feeds) = (run.id, run.task, run.feeds.clone());
            let incarnation = self.nodes[node].incarnation;
            let stop = run_is_stopped(&self.nodes[node], id);
            let called = self.reference.plan(task.job).stage(task.stage).calls.clone();
            let foreign = self.nodes[node].build.is_some() && called.is_some();
            assert!(!foreign, "worker {node} of another program starts {task:?}");
            let has = self.nodes[node]
                .tags
                .is_superset(&self.reference.plan(task.job).stage(task.stage).terms().tags);
            assert!(has, "worker {node} starts {task:?}, and has not what it needs");
            let declared = |r: &Run| self.reference.plan(r.task.job).stage(r.task.stage).terms().memory_bytes;
            let (all, may) =
                (self.nodes[node].runs.iter().map(declared).sum::<u64>(), self.nodes[node].memory_bytes);
            assert!(all <= may, "what worker {node} runs takes {all} bytes of {may}");
            let missing = feeds.iter().find(|f| !self.nodes[node].store.contains_key(&f.source));
            assert!(missing.is_none(), "worker {node} starts {task:?} without {missing:?}");
            let endless = self.jobs.get(task.job.0 as usize).and_then(|j| j.setup.endless);
            if endless == Some((task.stage, task.chunk)) && !stop {
                continue;
            }
            let at = self.now_us + if stop { 1 } else { self.rng.delay_us(base) };
            self.at(at, Ev::TaskEnds { node, incarnation, run: id });
            let deadly = self.jobs.get(task.job.0 as usize).and_then(|j| j.setup.deadly);
            if deadly == Some((task.stage, task.chunk)) && !stop {
                self.n_killed_by_task += 1;
                self.kill(node, Fault::Killed);
                return;
            }
        }
    }

    pub(crate) fn task_ends(&mut self, node: usize, incarnation: u64, run: u64) {
        let n = &mut self.nodes[node];
        if !n.alive || n.incarnation != incarnation {
            return;
        }
        let at = n.runs.iter().position(|r| r.id == run).expect("a task that runs is known");
        let run = n.runs.remove(at).expect("it was just found");
        let busy_us = self.rng.within(1, self.setup.task_us);
        let (place, job) = ((run.task.stage, run.task.chunk), &self.jobs[run.task.job.0 as usize]);
        let n_failures = job.failures.get(&place).copied().unwrap_or(0);
        let bad = job.setup.bad == Some(place);
        let flaky = job.setup.flaky.is_some_and(|(s, c, times)| (s, c) == place && n_failures < times);
        let may_fail = self.setup.faults.contains(&Fault::TaskFailedOnWorker);
        let gives_up = run.stopped && self.rng.one_in(2);
        if (bad || flaky) && !gives_up {
            self.jobs[run.task.job.0 as usize].failures.insert(place, n_failures + 1);
        }
        let result = if gives_up {
            Err(TaskError::Worker("stopped".to_owned()))
        } else if bad {
            Err(TaskError::Operation("it is bad".to_owned()))
        } else if flaky {
            self.counts.add(Fault::Flaky);
            Err(TaskError::Operation("it is flaky".to_owned()))
        } else if may_fail && self.counts.of(Fault::TaskFailedOnWorker) < 2 && self.rng.one_in(12) {
            self.counts.add(Fault::TaskFailedOnWorker);
            Err(TaskError::Worker("a disk is full".to_owned()))
        } else {
            self.compute(node, &run);
            Ok(self.reference.bytes(run.task))
        };
        self.tasks += 1;
        let (lease, task) = (run.lease, run.task);
        self.worker_handles(node, worker::Event::Finished { lease, task, result, busy_us });
    }

    pub(crate) fn compute(&mut self, node: usize, run: &Run) {
        let want = self.reference.inputs(run.task);
        let got: Vec<(usize, TaskKey)> = run.feeds.iter().map(|f| (f.slot, f.key)).collect();
        assert_eq!(got, want, "{:?}: inputs", run.task);
        *self.n_runs.entry((run.task.job, run.task.stage)).or_default() += 1;
        let plan = self.reference.plan(run.task.job);
        let read = self.reference.feeds(run.task);
        let n = &mut self.nodes[node];
        let content = |(f, &(slot, stage, chunk)): (&worker::Feed, &(usize, StageIdx, ChunkIdx))| {
            let v = n.store.get(&f.source);
            let v =
                *v.unwrap_or_else(|| panic!("worker {node}: {f:?} of {:?} was freed while it ran", run.task));
            let part = match f.source {
                Source::Held(_) => None,
                Source::Fetched(fetch) => n.parts.get(&fetch),
            };
            let v = match part {
                // It is a block itself.
                Some(Part::Block(_)) => v,
                Some(Part::Box(got)) => {
                    let reads = plan.read_box((run.task.stage, run.task.chunk), slot, (stage, chunk));
                    let reads = reads.unwrap_or_else(|| panic!("{:?} reads all of {f:?}", run.task));
                    let within =
                        got.iter().zip(&reads).all(|(got, r)| got.start <= r.start && r.end <= got.end);
                    assert!(within, "{:?} reads {reads:?} of {f:?}, of which it has {got:?}", run.task);
                    v
                }
                None if plan.reads_blocks(run.task.stage, slot) => block(v, run.task.chunk.0),
                None => v,
            };
            (f.slot, v)
        };
        let value = made(run.task, run.feeds.iter().zip(&read).map(content));
        n.keep(run.task, value);
    }

    pub(crate) fn fetch_ends(
        &mut self,
        (node, incarnation): (usize, u64),
        (fetch, from): (FetchId, Whence),
        key: TaskKey,
        part: Option<Part>,
    ) {
        if !self.nodes[node].alive || self.nodes[node].incarnation != incarnation {
            return;
        }
        let from = match from {
            Whence::Peer(from) => from,
            Whence::Disk => return self.load_ends(node, fetch, key, part),
        };
        let peer = self.conns.get(&from).map(|c| &self.nodes[c.node]).filter(|p| p.alive);
        if peer.is_none() && self.rng.one_in(2) {
            // Nobody answers, and nothing says so; that the worker is gone will be heard of another way.
            return self.counts.add(Fault::FetchHung);
        }
        let from_node = self.conns.get(&from).map(|c| c.node);
        if from_node.is_some_and(|from| self.no_way.contains(&(node, from))) {
            let (away, why) = (true, "no way".to_owned());
            return self.worker_handles(node, worker::Event::FetchFailed { fetch, away, why });
        }
        let mut value = peer.and_then(|p| p.held(key));
        if value.is_some() && from_node.is_some_and(|p| self.is_damaged(p, key)) {
            value = None;
        }
        if self.setup.faults.contains(&Fault::FetchFailed)
            && self.counts.of(Fault::FetchFailed) < 12
            && self.rng.one_in(8)
        {
            self.counts.add(Fault::FetchFailed);
            value = None;
        }
        match value {
            Some(v) => self.brought((node, fetch), key, v, part),
            None => {
                let (away, why) = (false, "not there".to_owned());
                self.worker_handles(node, worker::Event::FetchFailed { fetch, away, why });
            }
        }
    }

    /// A transfer is complete, of a chunk or a part of it.
    fn brought(&mut self, (node, fetch): (usize, FetchId), key: TaskKey, whole: u64, part: Option<Part>) {
        let is_measured = self.reference.plan(key.job).stage(key.stage).is_measured();
        let (value, bytes) = match part {
            Some(Part::Block(number)) => {
                self.counts.add(Fault::BlockFetched);
                (block(whole, number), self.reference.block_bytes(key, number))
            }
            // Of others the bytes were known before.
            _ => (whole, if is_measured { self.reference.bytes(key) } else { 0 }),
        };
        let n = &mut self.nodes[node];
        n.store.insert(Source::Fetched(fetch), value);
        n.parts.extend(part.map(|part| (fetch, part)));
        self.worker_handles(node, worker::Event::Fetched { fetch, bytes });
    }

    fn load_ends(&mut self, node: usize, fetch: FetchId, key: TaskKey, part: Option<Part>) {
        let fails = self.setup.faults.contains(&Fault::LoadFailed)
            && self.counts.of(Fault::LoadFailed) < 12
            && self.rng.one_in(6);
        // None: it was dropped meanwhile, and nobody waits.
        let n = &self.nodes[node];
        let readable = n.store.contains_key(&Source::Held(key)) || !n.damaged.contains(&key);
        let value = n.held(key).filter(|_| !fails && readable);
        if let Some(value) = value {
            return self.brought((node, fetch), key, value, part);
        }
        if fails {
            self.counts.add(Fault::LoadFailed);
        }
        let why = "a bad checksum".to_owned();
        self.worker_handles(node, worker::Event::FetchFailed { fetch, away: false, why });
    }

    /// Whether somebody who reads a chunk from a worker's disk finds that it cannot be read.
    pub(crate) fn is_damaged(&mut self, node: usize, key: TaskKey) -> bool {
        let n = &self.nodes[node];
        let on_disk = !n.store.contains_key(&Source::Held(key)) && n.disk.contains_key(&key);
        let may = self.setup.faults.contains(&Fault::Damaged) && self.counts.of(Fault::Damaged) < 12;
        let known = n.damaged.contains(&key);
        if !on_disk || (!known && (!may || !self.rng.one_in(6))) {
            return false;
        }
        if !known {
            self.counts.add(Fault::Damaged);
            self.nodes[node].damaged.insert(key);
        }
        self.worker_handles(node, worker::Event::Damaged { key });
        true
    }

    pub(crate) fn spill_ends(&mut self, (node, incarnation): (usize, u64), spill: SpillId, key: TaskKey) {
        if !self.nodes[node].alive || self.nodes[node].incarnation != incarnation {
            return;
        }
        let fails = self.setup.faults.contains(&Fault::SpillFailed)
            && self.counts.of(Fault::SpillFailed) < 20
            && self.rng.one_in(4);
        let n = &mut self.nodes[node];
        let is_this = n.writing.get(&key) == Some(&spill);
        if is_this {
            n.writing.remove(&key);
        }
        let result = if fails {
            self.counts.add(Fault::SpillFailed);
            Err("the disk is full".to_owned())
        } else {
            if is_this {
                let value = n.store[&Source::Held(key)];
                n.disk.insert(key, value);
                n.damaged.remove(&key);
            }
            Ok(())
        };
        self.worker_handles(node, worker::Event::Spilled { spill, key, result });
    }

    pub(crate) fn put(&mut self, lease: LeaseId, key: TaskKey, worker: WorkerId, attempt: u32) {
        let Some(node) = self.conns.get(&worker).map(|c| c.node) else { return };
        if !self.nodes[node].alive || self.nodes[node].conn != Some(worker) {
            return;
        }
        let fails = self.setup.faults.contains(&Fault::PutFailed) && self.counts.of(Fault::PutFailed) < 12;
        if fails && self.rng.one_in(3) {
            self.counts.add(Fault::PutFailed);
            // It may have arrived all the same, and only the answer did not.
            if self.rng.one_in(2) {
                return self.put_again(lease, key, worker, attempt);
            }
            self.put_again(lease, key, worker, attempt);
        }
        let value = self.reference.value(key);
        let bytes = self.reference.bytes(key);
        // What is in memory stays; what is on the disk may be what was lost.
        self.nodes[node].store.entry(Source::Held(key)).or_insert(value);
        let borrowed = self.setup.borrowing;
        self.worker_handles(node, worker::Event::Put { lease, key, bytes, borrowed });
    }

    /// What a client does where a put has failed: it tries again, then tells the scheduler.
    fn put_again(&mut self, lease: LeaseId, key: TaskKey, worker: WorkerId, attempt: u32) {
        if self.jobs[key.job.0 as usize].is_over() {
            return;
        }
        if attempt < PUT_ATTEMPTS {
            let at = self.now_us + self.rng.delay_us(self.setup.latency_us * 3);
            return self.at(at, Ev::Put { lease, key, worker, attempt: attempt + 1 });
        }
        self.counts.add(Fault::PutElsewhere);
        let why = "the connection broke".to_owned();
        self.client_sends(scheduler::Event::PutFailed { lease, task: key, why });
    }
}

fn run_is_stopped(node: &Node, id: u64) -> bool {
    node.runs.iter().any(|r| r.id == id && r.stopped)
}

//! What the scheduler says, and the literal chunks that clients put.
//!
//! Knows what each instruction changes. Must not know admission or memory.

use crate::event::{Action, FetchId, Whence};
use crate::limits::Bug;
use crate::planned::Planned;
use crate::queue::Elsewhere;
use crate::reports::Done;
use crate::tasks::{Active, Stopping};
use crate::worker::{Job, Worker};
use std::collections::{BTreeMap, BTreeSet};
use tilework_plan::{Instruction, JobId, LeaseId, Origin, Report, StageIdx, TaskKey, TaskRange, WorkerId};

impl Worker {
    pub(crate) fn told(&mut self, instruction: Instruction, out: &mut Vec<Action>) {
        match instruction {
            Instruction::Define(job) => self.define(job),
            Instruction::Lease { lease, tasks, elsewhere, priority } => {
                self.lease((lease, priority), &tasks, Elsewhere::new(elsewhere), out);
            }
            Instruction::Holders { job, stage, bytes, holders } => {
                self.told_holders((job, stage), bytes, holders);
            }
            Instruction::Revoke { lease, tasks } => self.revoke(lease, &tasks),
            Instruction::Drop(tasks) => self.store.drop_range(&tasks, &self.limits, out),
            Instruction::Forget(job) => self.forget(job, out),
            Instruction::Peer { worker, .. } => {
                self.peers.insert(worker);
            }
            Instruction::PeerGone(worker) => self.peer_gone(worker, out),
        }
    }

    fn define(&mut self, id: JobId) {
        let planned = self.planned.remove(&id);
        if self.jobs.contains_key(&id) {
            return;
        }
        let planned = planned.unwrap_or_else(|| Planned::failed("it came without a plan".to_owned()));
        let Planned { plan, bytes_each, reads_blocks } = planned;
        let stages = plan.as_ref().map_or(&[][..], |p| &p.stages);
        let canonical = stages.iter().enumerate().map(|(i, stage)| match stage.origin {
            Origin::Earlier { job, output } => {
                let named = self.jobs.get(&job)?;
                let out = *named.plan.as_ref().ok()?.outputs.get(output as usize)?;
                named.canonical[out.0 as usize]
            }
            _ => Some((id, StageIdx(i as u32))),
        });
        let canonical = canonical.collect();
        let mean_us = vec![0; stages.len()];
        let holders = BTreeMap::new();
        self.jobs.insert(id, Job { plan, canonical, mean_us, bytes_each, reads_blocks, holders });
    }

    fn is_literal(&self, job: JobId, stage: StageIdx) -> bool {
        let plan = self.jobs.get(&job).and_then(|j| j.plan.as_ref().ok());
        plan.is_some_and(|p| p.stage(stage).is_upload())
    }

    fn lease(
        &mut self,
        (lease, priority): (LeaseId, i32),
        tasks: &TaskRange,
        elsewhere: Elsewhere,
        out: &mut Vec<Action>,
    ) {
        self.lease_last = self.lease_last.max(Some(lease));
        if self.is_literal(tasks.job, tasks.stage) {
            for key in tasks.keys() {
                if self.store.holds(key) {
                    self.outgoing.done(Done::at_once(lease, key, self.measured_bytes(key)), self.now_us);
                } else {
                    self.puts.insert(key, lease);
                }
            }
            while let Some(early) = self.store.early.first_entry().filter(|e| *e.key() <= lease) {
                let (of, chunks) = early.remove_entry();
                chunks.into_iter().for_each(|(key, bytes)| self.put(of, key, bytes, out));
            }
        } else {
            self.queue.push((lease, priority), tasks, elsewhere);
        }
    }

    pub(crate) fn put(&mut self, lease: LeaseId, key: TaskKey, bytes: u64, out: &mut Vec<Action>) {
        if self.puts.get(&key) == Some(&lease) {
            self.puts.remove(&key);
            self.store.insert(key, bytes, &self.limits);
            self.outgoing.done(Done::at_once(lease, key, self.measured_bytes(key)), self.now_us);
        } else if self.lease_last < Some(lease) && !self.limits.plays(Bug::EarlyPutLost) {
            self.store.early.entry(lease).or_default().push((key, bytes));
        } else {
            self.store.free_held(key, out);
        }
    }

    fn revoke(&mut self, lease: LeaseId, tasks: &TaskRange) {
        let mut ranges = self.queue.revoke(lease, tasks);
        let (job, stage) = (tasks.job, tasks.stage);
        if self.is_literal(job, stage) {
            let due: Vec<TaskKey> = tasks.keys().filter(|k| self.puts.get(k) == Some(&lease)).collect();
            for key in due {
                self.puts.remove(&key);
                ranges.push(key.chunk.0..key.chunk.0 + 1);
            }
        }
        if self.limits.plays(Bug::RevokeLosesTasks) {
            ranges.clear();
        }
        if ranges.is_empty() {
            // An answer all the same: the scheduler waits for one.
            ranges.push(tasks.chunks.start..tasks.chunks.start);
        }
        for chunks in ranges {
            self.outgoing.other(Report::Returned { lease, tasks: TaskRange { job, stage, chunks } });
        }
    }

    /// A job is over: everything of it goes, what runs is stopped.
    fn forget(&mut self, id: JobId, out: &mut Vec<Action>) {
        self.queue.forget(id);
        self.blocked = None;
        self.puts.retain(|k, _| k.job != id);
        self.outgoing.forget(id);
        for key in self.active.keys_of(id) {
            if !self.stop(key, out) {
                self.give_up(key, out);
            }
        }
        self.store.forget(id, &self.limits, out);
        self.jobs.remove(&id);
    }

    /// Stops a task that the driver has, and wants nothing of it any more; whether it has it.
    pub(crate) fn stop(&mut self, key: TaskKey, out: &mut Vec<Action>) -> bool {
        if !self.active.get(key).is_some_and(|a| a.running) {
            return false;
        }
        let t = self.active.remove(key).expect("it was just there");
        self.threads.forget(t.limit_us);
        self.n_active_running -= 1;
        out.push(Action::Stop(key));
        // What it has made goes when it stops.
        self.store.bytes_grown -= t.grown;
        let Active { feeds, reserved, est_us, slept_us: slept_before_us, .. } = t;
        let (since_us, slept_us) = (self.now_us, self.threads.slept_us);
        let stopping = Stopping { since_us, slept_us, slept_before_us, feeds, reserved, est_us };
        self.stopping.insert((t.lease, key), stopping);
        true
    }

    fn peer_gone(&mut self, peer: WorkerId, out: &mut Vec<Action>) {
        self.peers.remove(&peer);
        if self.limits.plays(Bug::PeerGoneIgnored) {
            return;
        }
        let from = Whence::Peer(peer);
        let coming = |f: &crate::store::Fetch| f.from == from && f.stage != crate::store::Stage::Here;
        let failed: Vec<FetchId> =
            self.store.fetches.iter().filter(|(_, f)| coming(f)).map(|(id, _)| *id).collect();
        failed.into_iter().for_each(|id| self.fetch_failed(id, false, "it is gone", out));
    }

    /// The scheduler is gone, or takes this worker for gone: nothing that was said counts any more.
    pub(crate) fn disconnected(&mut self, out: &mut Vec<Action>) {
        self.planned.clear();
        let jobs: Vec<JobId> = self.jobs.keys().copied().collect();
        jobs.into_iter().for_each(|id| self.forget(id, out));
        let early: BTreeSet<TaskKey> =
            std::mem::take(&mut self.store.early).into_values().flatten().map(|(k, _)| k).collect();
        early.into_iter().for_each(|key| self.store.free_held(key, out));
        let peers: Vec<WorkerId> = self.peers.iter().copied().collect();
        peers.into_iter().for_each(|p| self.peer_gone(p, out));
        self.lease_last = None;
        self.outgoing.clear();
        self.threads.untold();
    }
}

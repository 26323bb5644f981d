//! Workers that have no connection to one another: another network, a firewall, an address that is not theirs. Tasks go
//! where all of their inputs can be had. Where no worker is in reach of them all, those that are out of reach are made
//! again nearer to the one that is chosen: one near which that can be done, and always the same one. Where two sides must
//! read the same chunks all the same, they do so one after the other: what is about to be read where it is stays there
//! until then.
//!
//! Knows who said that it cannot reach whom. Must not know what a task costs where.

use crate::scheduler::Scheduler;
use crate::table::TaskState;
use crate::worker::WorkerState;
use std::collections::BTreeSet;
use tilework_plan::{ChunkIdx, StageIdx, TaskKey, TaskRange, WorkerId};

/// How long a failure to connect is believed, microseconds; then it is tried again.
const CUT_OFF_US: u64 = 30_000_000;

impl Scheduler {
    /// A worker has no connection to another.
    pub(crate) fn cut_off(&mut self, worker: WorkerId, peer: WorkerId, why: &str) {
        let now_us = self.now_us;
        if let Some(w) = self.workers.get_mut(&worker) {
            w.cut_off.insert(peer, (now_us, why.to_owned()));
        }
    }

    /// Whether a worker is known to have no connection to another.
    pub(crate) fn is_cut_off(&self, worker: &WorkerState, peer: WorkerId) -> bool {
        // Empty but for rare cases, and asked for every task.
        !worker.cut_off.is_empty()
            && worker.cut_off.get(&peer).is_some_and(|(at, _)| self.now_us - at < CUT_OFF_US)
    }

    /// The workers to which one is known to have no connection.
    pub(crate) fn cut_off_peers<'a>(
        &'a self,
        worker: &'a WorkerState,
    ) -> impl Iterator<Item = WorkerId> + 'a {
        worker.cut_off.keys().copied().filter(|peer| self.is_cut_off(worker, *peer))
    }

    /// The chunks that tasks in workers' queues, and those that workers have, are about to read.
    pub(crate) fn chunks_in_use(&mut self) -> BTreeSet<TaskKey> {
        let queues = self.workers.values().flat_map(|w| w.ready.iter());
        let mut tasks: Vec<TaskKey> = queues.map(|place| place.task()).collect();
        for (lease, l) in &self.leases {
            let range = TaskRange { job: l.job, stage: l.stage, chunks: l.chunks.clone() };
            tasks.extend(range.keys().filter(|k| self.task(*k) == TaskState::Leased { lease: *lease }));
        }
        let mut in_use = BTreeSet::new();
        for key in tasks {
            self.with_inputs(key, |me, inputs| {
                let made =
                    inputs.iter().map(|&(_, stage, chunk)| me.canonical(TaskKey { stage, chunk, ..key }));
                in_use.extend(made);
            });
        }
        let barriers: Vec<TaskKey> = in_use.iter().copied().filter(|key| self.is_barrier(*key)).collect();
        for key in barriers {
            self.with_inputs(key, |_, inputs| {
                in_use.extend(inputs.iter().map(|&(_, stage, chunk)| TaskKey { stage, chunk, ..key }));
            });
        }
        in_use
    }

    /// Makes the inputs of a ready task again that `worker`, which is to have it, cannot reach, unless somebody is about to
    /// read one of them where it is.
    pub(crate) fn bring_nearer(&mut self, key: TaskKey, worker: WorkerId, in_use: &BTreeSet<TaskKey>) {
        let far: Vec<WorkerId> = self.cut_off_peers(&self.workers[&worker]).collect();
        // What a barrier stands for is in use with it, and need not be looked at one by one.
        let waits = self.with_inputs(key, |me, inputs| {
            let read = |&(_, stage, chunk): &(usize, StageIdx, ChunkIdx)| TaskKey { stage, chunk, ..key };
            let is_far = |barrier: TaskKey| {
                let job = &me.jobs[&key.job];
                let exchange = job.stage(job.plan.behind(barrier.stage)).exchange.as_ref();
                exchange.is_some_and(|exchange| far.iter().any(|peer| exchange.is_at(*peer)))
            };
            inputs.iter().map(read).any(|i| in_use.contains(&i) && me.is_barrier(i) && is_far(i))
        });
        if waits {
            return;
        }
        let mut inputs = Vec::new();
        self.jobs[&key.job].plan.feeds_of(key.stage, key.chunk, &mut inputs);
        let made = inputs.iter().map(|&(_, stage, chunk)| self.canonical(TaskKey { stage, chunk, ..key }));
        let is_far = |made: &TaskKey| self.holder(*made).is_some_and(|holder| far.contains(&holder));
        let mut out_of_reach: Vec<TaskKey> = made.filter(is_far).collect();
        out_of_reach.sort_unstable();
        out_of_reach.dedup();
        if out_of_reach.iter().any(|made| in_use.contains(made)) {
            return;
        }
        let first = out_of_reach.first().and_then(|made| self.holder(*made));
        let cut_off =
            first.and_then(|peer| Some((peer, self.workers[&worker].cut_off.get(&peer)?.1.clone())));
        if let Some((peer, why)) = cut_off {
            self.note_missed(key, worker, (peer, &why));
        }
        for made in &out_of_reach {
            // Whoever wanted it somewhere else has had it, or will ask again.
            let record = self.retry_records.entry(*made).or_default();
            record.avoid.retain(|w| *w != worker);
            far.iter().for_each(|peer| record.avoid(*peer));
        }
        self.lose_chunks(out_of_reach);
    }
}

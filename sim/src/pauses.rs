//! Processes that stand still and go on: the scheduler, workers, all of them at once; and a scheduler that is slow. What
//! comes meanwhile waits, in order.
//!
//! Knows who is stopped until when. Must not know what the cores make of it.

use crate::faults::Fault;
use crate::world::{Ev, World};
use std::collections::VecDeque;
use tilework_plan::WorkerId;
use tilework_worker_core::{self as worker, Whence};

/// What a slow scheduler does not take longer for than a stopped one would be noticed, microseconds.
const SLOW_EVENT_US: (u64, u64) = (100_000, 400_000);
/// How long it stays slow, microseconds.
const SLOW_US: u64 = 4_000_000;
/// How much later what it has to do may end, microseconds.
const SLOW_LAG_US: u64 = 120_000_000;

/// Time after which what was heard of a worker before counts no more, microseconds.
const SILENCE_US: u64 = 4_000_000;

/// The scheduler's process.
#[derive(Default)]
pub(crate) struct Process {
    /// It does nothing until then.
    until_us: u64,
    /// Until then each event takes so long.
    slow: Option<(u64, u64)>,
    /// What waits, and when it came.
    inbox: VecDeque<(u64, Ev)>,
    /// Since when it was stopped, and does not know yet.
    stopped_us: Option<u64>,
    /// When it goes on with what waits.
    wakes: bool,
}

impl World {
    /// Something comes to the scheduler.
    pub(crate) fn comes_to_scheduler(&mut self, ev: Ev) {
        if self.process.inbox.is_empty() && self.process.until_us <= self.now_us {
            return self.scheduler_takes(self.now_us, ev);
        }
        self.count(&ev, 1);
        self.process.inbox.push_back((self.now_us, ev));
        self.plan_waking();
    }

    fn plan_waking(&mut self) {
        if !std::mem::replace(&mut self.process.wakes, true) {
            let at = self.process.until_us;
            self.at(at, Ev::SchedulerWakes);
        }
    }

    /// The scheduler goes on with what waits for it.
    pub(crate) fn scheduler_wakes(&mut self) {
        self.process.wakes = false;
        if self.process.until_us > self.now_us {
            return self.plan_waking();
        }
        if let Some(since_us) = self.process.stopped_us.take()
            && self.rng.one_in(2)
        {
            self.look_at_timer_first(since_us);
        }
        if let Some((came_us, ev)) = self.process.inbox.pop_front() {
            self.count(&ev, -1);
            self.scheduler_takes(came_us, ev);
        }
        if !self.process.inbox.is_empty() {
            self.plan_waking();
        }
    }

    /// The scheduler looks at its timer before its connections: what it had read before it was stopped comes first all the
    /// same.
    fn look_at_timer_first(&mut self, stopped_us: u64) {
        let inbox = &mut self.process.inbox;
        let tick = inbox.iter().position(|(_, ev)| matches!(ev, Ev::TickScheduler));
        let unread = inbox.iter().position(|(came_us, _)| *came_us >= stopped_us);
        if let (Some(at), Some(unread)) = (tick, unread)
            && unread < at
            && let Some((_, tick)) = inbox.remove(at)
        {
            inbox.insert(unread, (self.now_us, tick));
        }
    }

    fn scheduler_takes(&mut self, came_us: u64, ev: Ev) {
        self.handle_for_scheduler(came_us, ev);
        if let Some((until_us, each_us)) = self.process.slow {
            if self.now_us < until_us {
                // It may have been stopped meanwhile.
                self.process.until_us = self.process.until_us.max(self.now_us + each_us);
            } else {
                self.process.slow = None;
            }
        }
    }

    /// Until when something has to wait, because whom it concerns is stopped.
    pub(crate) fn stopped_until(&self, ev: &Ev) -> Option<u64> {
        let client = matches!(
            ev,
            Ev::ClientHears { .. } | Ev::ReadEnds { .. } | Ev::TickClient { .. } | Ev::Resumed { line: None }
        );
        let of_client = client.then_some(self.clients_until_us);
        let of = |conn: &WorkerId| self.conns.get(conn).map(|c| c.node);
        let nodes = match ev {
            Ev::ToWorker { conn, .. } | Ev::CloseWorker { conn } => [of(conn), None],
            Ev::Resumed { line } => [line.as_ref().and_then(of), None],
            Ev::Put { worker, .. } => [of(worker), None],
            Ev::ReadEnds { from, .. } => [of(from), None],
            Ev::FetchEnds { node, from: Whence::Peer(from), .. } => [Some(*node), of(from)],
            Ev::FetchEnds { node, .. } | Ev::SpillEnds { node, .. } => [Some(*node), None],
            Ev::Connect { node, .. } | Ev::TaskEnds { node, .. } | Ev::TickWorker { node } => {
                [Some(*node), None]
            }
            _ => [None, None],
        };
        let until =
            nodes.into_iter().flatten().map(|n| &self.nodes[n]).filter(|n| n.alive).map(|n| n.until_us);
        until.chain(of_client).max().filter(|until| *until > self.now_us)
    }

    pub(crate) fn stop_scheduler(&mut self) {
        if self.process.until_us <= self.now_us {
            self.counts.add(Fault::SchedulerStopped);
            let us = *self.rng.pick(&[50_000, 900_000, 1_500_000, 3_500_000, 8_000_000]);
            self.scheduler_stops(us);
        }
    }

    fn scheduler_stops(&mut self, us: u64) {
        self.stopped_us += us;
        self.process.until_us = self.process.until_us.max(self.now_us + us);
        self.process.stopped_us.get_or_insert(self.now_us);
    }

    pub(crate) fn slow_scheduler(&mut self) {
        self.counts.add(Fault::SchedulerSlow);
        self.stopped_us += SLOW_LAG_US;
        let each_us = self.rng.within(SLOW_EVENT_US.0, SLOW_EVENT_US.1);
        self.process.slow = Some((self.now_us + SLOW_US, each_us));
    }

    pub(crate) fn stop_worker(&mut self, node: usize) {
        if self.nodes[node].until_us <= self.now_us {
            self.counts.add(Fault::WorkerStopped);
            let us = *self.rng.pick(&[50_000, 1_000_000, 2_900_000, 4_000_000, 20_000_000]);
            self.stopped_us += us;
            self.nodes[node].until_us = self.now_us + us;
            self.nodes[node].was_stopped = true;
        }
    }

    /// Something in the worker's process takes memory that nobody has counted.
    pub(crate) fn grow_heavy(&mut self, node: usize) {
        let n = &self.nodes[node];
        if n.until_us <= self.now_us && !n.is_overweight {
            self.counts.add(Fault::Overweight);
            let (incarnation, most) = (n.incarnation, 2 * n.memory_bytes);
            let (bytes, us) = (self.rng.within(1, most), *self.rng.pick(&[1000, 100_000, 3_000_000]));
            self.nodes[node].is_overweight = true;
            self.worker_handles(node, worker::Event::Overweight(bytes));
            self.at(self.now_us + us, Ev::Lighter { node, incarnation });
        }
    }

    /// What took it has given it back.
    pub(crate) fn lighter(&mut self, node: usize, incarnation: u64) {
        let n = &mut self.nodes[node];
        if n.alive && n.incarnation == incarnation {
            n.is_overweight = false;
            self.worker_handles(node, worker::Event::Overweight(0));
        }
    }

    /// As a batch system suspends a job, or a container is frozen.
    pub(crate) fn stop_all(&mut self) {
        if self.process.until_us <= self.now_us {
            self.counts.add(Fault::AllStopped);
            let us = *self.rng.pick(&[900_000, 1_500_000, 5_000_000, 8_000_000]);
            self.scheduler_stops(us);
            // One that is stopped already goes on when it would: what waits for it keeps its order.
            let (now_us, until_us) = (self.now_us, self.now_us + us);
            self.nodes.iter_mut().filter(|n| n.until_us <= now_us).for_each(|n| n.until_us = until_us);
        }
    }

    /// The clients stand still.
    pub(crate) fn stop_clients(&mut self) {
        if self.clients_until_us <= self.now_us {
            self.counts.add(Fault::ClientsStopped);
            let us = *self.rng.pick(&[100_000, 5_000_000, 50_000_000]);
            self.stopped_us += us;
            self.clients_until_us = self.now_us + us;
        }
    }

    /// The scheduler takes a worker for silent, by what had come until a time: it must have been.
    pub(crate) fn check_silence(&mut self, worker: WorkerId, at_us: u64) {
        let Some(conn) = self.conns.get(&worker) else { return };
        let node = &self.nodes[conn.node];
        let line = &conn.line;
        let was_away = line.is_broken || line.resumed_us > 0 && at_us < line.resumed_us + SILENCE_US;
        let lives = node.alive && node.conn == Some(worker) && !conn.blackhole;
        let heard = lives && !node.was_stopped && !was_away;
        assert!(!heard, "worker {} was taken for silent, and was not", conn.node);
    }
}

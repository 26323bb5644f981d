//! Connections that break although both ends live: what is under way is lost, and comes again when the session goes on.
//!
//! Owns what either end remembers of a session, and what each connection carries. Must not know what messages say.

use crate::faults::Fault;
use crate::world::{Ev, World};
use std::collections::BTreeMap;
use tilework_plan::{JobId, Report, TaskKey, Update, WorkerId};
use tilework_proto::replay::{ACKNOWLEDGE_BYTES, Bug, Received, Sent};
use tilework_scheduler_core as scheduler;

/// A message's connection, and its number in the session; none for one that came twice.
pub(crate) type Stamp = Option<(u64, u64)>;

/// Whose connection: a worker's, or the clients', who all have one.
pub(crate) type LineId = Option<WorkerId>;

pub(crate) type FromWorker = (Vec<Report>, BTreeMap<TaskKey, u64>);
pub(crate) type ToClient = (JobId, Update, BTreeMap<TaskKey, u64>);

/// What goes one way.
pub(crate) struct Direction<T> {
    sent: Sent<(u64, T)>,
    received: Received,
    n_sent: u64,
    n_came: u64,
    /// When the last acknowledgement arrives.
    acknowledged_us: u64,
}

/// A session.
pub(crate) struct Line<U, D> {
    pub up: Direction<U>,
    pub down: Direction<D>,
    /// Which of its connections carries it.
    way: u64,
    pub is_broken: bool,
    /// When it was resumed last.
    pub resumed_us: u64,
}

/// What comes again: messages with their numbers.
type Again<T> = Vec<(u64, T)>;

impl<T> Default for Direction<T> {
    fn default() -> Direction<T> {
        Direction {
            sent: Sent::default(),
            received: Received::default(),
            n_sent: 0,
            n_came: 0,
            acknowledged_us: 0,
        }
    }
}

impl<T> Direction<T> {
    fn push(&mut self, message: T) -> u64 {
        self.n_sent += 1;
        self.sent.push((self.n_sent, message));
        self.n_sent
    }

    /// A message came; the count that is acknowledged, if any, and when that arrives: they do in order.
    fn comes(&mut self, n: u64, (bytes, at_us): (u64, u64)) -> Option<(u64, u64)> {
        self.n_came += 1;
        assert_eq!(n, self.n_came, "messages of a session come once, and in order");
        let count = self.received.one_more(bytes)?;
        self.acknowledged_us = self.acknowledged_us.max(at_us);
        Some((count, self.acknowledged_us))
    }
}

impl<U, D> Default for Line<U, D> {
    fn default() -> Line<U, D> {
        let (up, down) = (Direction::default(), Direction::default());
        Line { up, down, way: 0, is_broken: false, resumed_us: 0 }
    }
}

impl<U, D> Line<U, D> {
    /// A new session, with a fault to play.
    pub fn planted(bug: Option<Bug>) -> Line<U, D> {
        let mut line = Line::default();
        (line.up.sent.planted, line.down.sent.planted) = (bug, bug);
        line
    }

    /// Keeps a message to the scheduler; how it goes, unless it waits for the next connection.
    pub fn send_up(&mut self, message: U) -> Option<Stamp> {
        let n = self.up.push(message);
        (!self.is_broken).then_some(Some((self.way, n)))
    }

    /// Keeps a message from the scheduler; how it goes, unless it waits for the next connection.
    pub fn send_down(&mut self, message: D) -> Option<Stamp> {
        let n = self.down.push(message);
        (!self.is_broken).then_some(Some((self.way, n)))
    }
}

impl World {
    /// Whether a message arrives over the connection that it was sent on.
    pub(crate) fn arrives(&mut self, line: LineId, is_up: bool, stamp: Stamp) -> bool {
        let Some((way, n)) = stamp else { return true };
        let bytes = if self.rng.one_in(3) { ACKNOWLEDGE_BYTES } else { 0 };
        let at_us = self.now_us + self.rng.delay_us(self.setup.latency_us);
        let came = match line {
            Some(worker) => {
                self.conns.get_mut(&worker).and_then(|c| c.line.comes((way, n), is_up, (bytes, at_us)))
            }
            None => self.clients.comes((way, n), is_up, (bytes, at_us)),
        };
        let Some(due) = came else { return false };
        if let Some((count, at_us)) = due {
            self.at(at_us, Ev::Acknowledged { line, way, is_up, count });
        }
        true
    }

    /// What came is known of at the end that sent it.
    pub(crate) fn acknowledged(&mut self, line: LineId, way: u64, is_up: bool, count: u64) {
        match line {
            Some(worker) => {
                if let Some(conn) = self.conns.get_mut(&worker) {
                    conn.line.acknowledged(way, is_up, count);
                }
            }
            None => self.clients.acknowledged(way, is_up, count),
        }
    }

    /// A connection breaks, and both ends find out.
    pub(crate) fn break_line(&mut self, line: LineId) {
        let broken = match line {
            Some(worker) => self.conns.get_mut(&worker).is_some_and(|c| c.open && c.line.breaks()),
            None => self.clients.breaks(),
        };
        if broken {
            self.counts.add(Fault::Broken);
            let us = *self.rng.pick(&[100, 20_000, 500_000, 2_000_000, 4_000_000]);
            // Who has nobody waiting for him is gone for good.
            let us = if line.is_none() { us.min(2_000_000) } else { us };
            self.stopped_us += us;
            let at = self.now_us + us;
            self.at(at, Ev::Resumed { line });
        }
    }

    /// There is another connection: each end says how many messages it has, and gets those that it has not.
    pub(crate) fn resumed(&mut self, line: LineId) {
        let now_us = self.now_us;
        match line {
            None => {
                let (way, up, down) = self.clients.resumes(now_us);
                for (n, event) in up {
                    self.client_way(Ev::FromClient { stamp: Some((way, n)), event });
                }
                for (n, (job, update, inlined)) in down {
                    self.client_way(Ev::ClientHears { stamp: Some((way, n)), job, update, inlined });
                }
            }
            Some(conn) => {
                let Some(c) = self.conns.get_mut(&conn) else { return };
                let (way, up, down) = c.line.resumes(now_us);
                if !c.open {
                    // The scheduler does not know the session any more.
                    return self.close_worker(conn);
                }
                self.counts.add(Fault::Resumed);
                for (n, (reports, inlined)) in up {
                    self.worker_way(conn, Ev::FromWorker { conn, stamp: Some((way, n)), reports, inlined });
                }
                for (n, instructions) in down {
                    self.worker_way(conn, Ev::ToWorker { conn, stamp: Some((way, n)), instructions });
                }
            }
        }
    }

    /// A message between the clients and the scheduler sets out: all of them arrive in order.
    pub(crate) fn client_way(&mut self, ev: Ev) {
        self.client_us = self.client_us.max(self.now_us + self.setup.latency_us);
        let at = self.client_us;
        self.at(at, ev);
    }

    /// A message between a worker and the scheduler sets out: those of one direction arrive in order.
    pub(crate) fn worker_way(&mut self, conn: WorkerId, ev: Ev) {
        let delay = self.rng.delay_us(self.setup.latency_us);
        if delay > 16 * self.setup.latency_us {
            self.counts.add(Fault::Delayed);
        }
        let now_us = self.now_us;
        let Some(c) = self.conns.get_mut(&conn) else { return };
        let last_us =
            if matches!(ev, Ev::ToWorker { .. }) { &mut c.to_worker_us } else { &mut c.to_scheduler_us };
        *last_us = (*last_us).max(now_us + delay);
        let at = *last_us;
        self.at(at, ev);
    }

    /// A client says something to the scheduler.
    pub(crate) fn client_sends(&mut self, event: scheduler::Event) {
        if let Some(stamp) = self.clients.send_up(event.clone()) {
            self.client_way(Ev::FromClient { stamp, event });
        }
    }
}

impl<U: Clone, D: Clone> Line<U, D> {
    /// Whether a message comes over the present connection, and the count that is then acknowledged.
    fn comes(&mut self, (way, n): (u64, u64), is_up: bool, size: (u64, u64)) -> Option<Option<(u64, u64)>> {
        if way != self.way || self.is_broken {
            return None;
        }
        Some(if is_up { self.up.comes(n, size) } else { self.down.comes(n, size) })
    }

    fn acknowledged(&mut self, way: u64, is_up: bool, count: u64) {
        if way != self.way || self.is_broken {
            return;
        }
        let known = if is_up { self.up.sent.acknowledged(count) } else { self.down.sent.acknowledged(count) };
        known.expect("what is acknowledged was sent, and not acknowledged before");
    }

    /// Whether it was whole.
    fn breaks(&mut self) -> bool {
        !std::mem::replace(&mut self.is_broken, true)
    }

    /// The next connection, and what goes over it first, both ways.
    fn resumes(&mut self, now_us: u64) -> (u64, Again<U>, Again<D>) {
        self.way += 1;
        (self.is_broken, self.resumed_us) = (false, now_us);
        (self.way, self.up.replayed(), self.down.replayed())
    }
}

impl<T: Clone> Direction<T> {
    fn replayed(&mut self) -> Again<T> {
        let count = self.received.said();
        self.sent.after(count).expect("what was received was sent").cloned().collect()
    }
}

//! The faults: how each is played, and that somebody is left to do the work.
//!
//! Knows nodes and connections. Must not know the cores.

use crate::faults::Fault;
use crate::node::Node;
use crate::programs::TAG;
use crate::world::{Ev, World};
use tilework_scheduler_core as scheduler;
use tilework_worker_core as worker;

/// How long a worker that is to be replaced waits to be let go, microseconds.
const REPLACE_US: u64 = 10_000_000;

impl World {
    pub(crate) fn rejoin(&mut self, node: usize) {
        self.counts.add(Fault::Rejoined);
        let (incarnation, at) = (self.nodes[node].incarnation, self.now_us + self.rng.delay_us(5000));
        self.at(at, Ev::Connect { node, incarnation });
    }

    /// Somebody large enough must be there in the end.
    pub(crate) fn keep_one_worker(&mut self) {
        let large = self.setup.task_bytes_max;
        if self.setup.deserted {
            return;
        }
        let can = |n: &Node| n.memory_bytes >= large && n.build.is_none() && n.tags.contains(TAG);
        let there = |n: &Node| n.alive && !n.leaving && can(n) && !self.deaf(n);
        if !self.nodes.iter().any(there) {
            let at = self.now_us + self.rng.delay_us(20_000);
            self.add_worker(at, true);
        }
    }

    pub(crate) fn deaf(&self, node: &Node) -> bool {
        node.conn.is_some_and(|c| self.conns[&c].blackhole)
    }

    pub(crate) fn kill(&mut self, node: usize, how: Fault) {
        self.counts.add(how);
        self.n_losses += 1;
        let n = &mut self.nodes[node];
        n.alive = false;
        n.runs.clear();
        let Some(conn) = n.conn.take() else { return };
        if let Some(c) = self.conns.get_mut(&conn) {
            c.open = false;
        }
        if how == Fault::Killed {
            let at = self.now_us + self.rng.delay_us(self.setup.latency_us);
            let why = "the connection closed".to_owned();
            self.at(at, Ev::Scheduler(scheduler::Event::WorkerLost { worker: conn, why }));
        }
    }

    /// A worker's core wants another process in its place: it leaves, and ends whatever comes of that.
    pub(crate) fn replace(&mut self, node: usize) {
        let n = &mut self.nodes[node];
        n.replaced = true;
        if !std::mem::replace(&mut n.leaving, true)
            && let Some(worker) = n.conn
        {
            let at = self.now_us + self.setup.latency_us;
            self.at(at, Ev::Scheduler(scheduler::Event::WorkerLeaving { worker }));
        }
        let (incarnation, at) = (self.nodes[node].incarnation, self.now_us + REPLACE_US);
        self.at(at, Ev::Replaced { node, incarnation });
    }

    /// It has not been let go: it ends all the same.
    pub(crate) fn replaced(&mut self, node: usize, incarnation: u64) {
        if !self.nodes[node].alive || self.nodes[node].incarnation != incarnation {
            return;
        }
        let conn = self.nodes[node].conn;
        self.process_ends(node);
        if let Some(conn) = conn {
            self.conns.get_mut(&conn).expect("a connection is known").open = false;
            let at = self.now_us + self.rng.delay_us(self.setup.latency_us);
            let why = "threads did not come back".to_owned();
            self.at(at, Ev::Scheduler(scheduler::Event::WorkerLost { worker: conn, why }));
        }
    }

    /// A process ends by itself; another takes its place where that is wanted.
    pub(crate) fn process_ends(&mut self, node: usize) {
        let n = &mut self.nodes[node];
        n.alive = false;
        n.conn = None;
        n.runs.clear();
        if n.replaced {
            self.counts.add(Fault::Replaced);
            let (name, at) = (self.nodes[node].name.clone(), self.now_us + 1000);
            let new = self.add_worker(at, false);
            self.nodes[new].name = name;
        }
    }

    /// Plays one of the faults that were chosen.
    pub(crate) fn fault(&mut self) {
        let fault = *self.rng.pick(&self.setup.faults.clone());
        let living: Vec<usize> =
            (0..self.nodes.len()).filter(|n| self.nodes[*n].alive && self.nodes[*n].conn.is_some()).collect();
        self.n_faults += 1;
        if fault == Fault::Joined {
            self.counts.add(fault);
            let now_us = self.now_us;
            self.add_worker(now_us, false);
            return;
        }
        if living.is_empty() {
            return;
        }
        let node = *self.rng.pick(&living);
        if self.trace {
            eprintln!("           !! {fault:?} {node}");
        }
        match fault {
            Fault::SchedulerStopped => self.stop_scheduler(),
            Fault::SchedulerSlow => self.slow_scheduler(),
            Fault::WorkerStopped => self.stop_worker(node),
            Fault::Overweight => self.grow_heavy(node),
            Fault::AllStopped => self.stop_all(),
            Fault::ClientsStopped => self.stop_clients(),
            Fault::NoWay => {
                let other = *self.rng.pick(&living);
                if other != node {
                    self.counts.add(fault);
                    self.no_way.insert((node, other));
                    if self.rng.one_in(2) {
                        self.no_way.insert((other, node));
                    }
                }
            }
            Fault::Killed | Fault::KilledSilently => self.kill(node, fault),
            Fault::Cut => self.cut(node),
            Fault::Broken => {
                let line = if self.rng.one_in(3) { None } else { self.nodes[node].conn };
                self.break_line(line);
            }
            Fault::Partitioned => {
                self.counts.add(fault);
                self.n_losses += 1;
                let conn = self.nodes[node].conn.expect("a living worker is connected");
                self.conns.get_mut(&conn).expect("a connection is known").blackhole = true;
            }
            Fault::NameTaken => {
                self.counts.add(fault);
                let now_us = self.now_us;
                let new = self.add_worker(now_us, false);
                self.nodes[new].name = self.nodes[node].name.clone();
            }
            Fault::Left if !self.nodes[node].leaving => {
                self.counts.add(fault);
                self.nodes[node].leaving = true;
                let worker = self.nodes[node].conn.expect("a living worker is connected");
                let at = self.now_us + self.setup.latency_us;
                self.at(at, Ev::Scheduler(scheduler::Event::WorkerLeaving { worker }));
            }
            _ => {}
        }
    }

    /// The connection breaks; what was under way to the worker is lost, and what was under way from it perhaps.
    pub(crate) fn cut(&mut self, node: usize) {
        self.counts.add(Fault::Cut);
        self.n_losses += 1;
        let conn = self.nodes[node].conn.take().expect("a living worker is connected");
        self.nodes[node].was_cut = true;
        let late = self.rng.one_in(2);
        let c = self.conns.get_mut(&conn).expect("a connection is known");
        c.open = false;
        c.blackhole |= !late;
        let at = self.now_us + self.rng.delay_us(self.setup.latency_us * 2);
        let why = "the connection broke".to_owned();
        self.at(at, Ev::Scheduler(scheduler::Event::WorkerLost { worker: conn, why }));
        self.worker_handles(node, worker::Event::Disconnected);
        if self.nodes[node].leaving {
            self.nodes[node].alive = false;
        } else {
            self.rejoin(node);
        }
    }
}

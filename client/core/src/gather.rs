//! Gathering: chunks are asked of their holders, several at a time and each holder apart, so that one that gives nothing
//! delays nobody else's. Whatever the scheduler says of holders counts before what was tried with them: a chunk that was
//! lost is asked of its new holder at once. A holder that fails is asked for one chunk at a time, with pauses, until it
//! gives one, the scheduler names another, or patience ends.
//!
//! Knows holders and requests. Must not know what carries them.

use crate::event::{Action, Event, GetId};
use crate::limits::{Bug, Limits};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use tilework_plan::{Holding, TaskKey, TaskRange, WorkerId};

/// While a holder fails, the time from one look at the clock to the next, microseconds.
const BEAT_US: u64 = 1_000_000;
/// Whoever is woken later than planned by more than this was stopped meanwhile, microseconds.
const LATE_US: u64 = 2_000_000;

/// A chunk of an output.
type Place = (usize, u64);

/// What is known of a worker that holds chunks.
#[derive(Default)]
struct Holder {
    /// Chunks to ask for.
    waiting: VecDeque<(Place, TaskKey)>,
    /// Requests under way.
    open: usize,
    /// Failures since it last gave a chunk.
    failures: u32,
    /// When the first of those was.
    failing_since_us: u64,
    /// When the last of those was that counts.
    failed_at_us: u64,
    /// When it may be asked again.
    retry_at_us: u64,
    /// Why it failed last.
    why: String,
}

struct Request {
    place: Place,
    key: TaskKey,
    from: WorkerId,
    asked_us: u64,
}

/// The state machine that gathers one job's outputs.
///
/// [`Gather::handle`] takes one event and appends what is to be done; [`Gather::next_wake_us`] says when it wants
/// [`Event::Tick`] at the latest.
pub struct Gather {
    limits: Limits,
    now_us: u64,
    /// What is to be had.
    missing: BTreeSet<Place>,
    /// Whether more may be wanted when all is here.
    lasts: bool,
    holders: BTreeMap<WorkerId, Holder>,
    lost: BTreeSet<WorkerId>,
    open: BTreeMap<GetId, Request>,
    next_get: u64,
    /// When it was to be woken at the latest.
    planned_us: Option<u64>,
    over: bool,
}

impl Gather {
    /// A machine for outputs of so many chunks, of which it has none and knows no holder.
    #[must_use]
    pub fn new(limits: Limits, n_chunks: &[usize]) -> Gather {
        let chunks = n_chunks.iter().enumerate().flat_map(|(o, &n)| (0..n as u64).map(move |c| (o, c)));
        Gather::of(limits, chunks.collect(), false)
    }

    /// A machine for one chunk of one output; the others count as here.
    #[must_use]
    pub fn of_one(limits: Limits, place: (usize, u64)) -> Gather {
        Gather::of(limits, BTreeSet::from([place]), false)
    }

    /// A machine for chunks that are wanted one by one ([`Event::Wanted`]), without an end.
    #[must_use]
    pub fn of_wanted(limits: Limits) -> Gather {
        Gather::of(limits, BTreeSet::new(), true)
    }

    fn of(limits: Limits, missing: BTreeSet<Place>, lasts: bool) -> Gather {
        Gather {
            limits,
            now_us: 0,
            missing,
            lasts,
            holders: BTreeMap::new(),
            lost: BTreeSet::new(),
            open: BTreeMap::new(),
            next_get: 0,
            planned_us: None,
            over: false,
        }
    }

    /// Takes one event and appends what is to be done, in order. Events of requests that are over change nothing, and
    /// nothing does once [`Action::Complete`] or [`Action::GiveUp`] was asked for.
    pub fn handle(&mut self, now_us: u64, event: Event, out: &mut Vec<Action>) {
        if self.over {
            return;
        }
        self.move_clock(now_us);
        match event {
            Event::Located(outputs) => self.located(&outputs, out),
            Event::Wanted { output, key, from } => self.want((output, key.chunk.0), (key, from), out),
            Event::Unwanted { output, chunk } => self.forget((output, chunk), out),
            Event::Lost(worker) => self.lose(worker, out),
            Event::ChunksLost(tasks) => self.lose_chunks(&tasks, out),
            Event::Got(get) => self.got(get),
            Event::Failed { get, why } => self.failed(get, why),
            Event::Tick => {}
        }
        self.advance(out);
        self.planned_us = self.next_wake_us();
    }

    /// Time in which the client itself was stopped, as a suspended job is, is none in which a holder failed.
    fn move_clock(&mut self, now_us: u64) {
        self.now_us = self.now_us.max(now_us);
        let late_us = self.planned_us.map_or(0, |at| self.now_us.saturating_sub(at));
        if late_us > LATE_US && !self.limits.plays(Bug::PauseTakenForFailure) {
            self.holders.values_mut().filter(|h| h.failures > 0).for_each(|h| h.failing_since_us += late_us);
        }
    }

    /// When [`Event::Tick`] should come at the latest, if nothing else comes before.
    #[must_use]
    pub fn next_wake_us(&self) -> Option<u64> {
        let failing =
            self.holders.values().filter(|h| h.failures > 0 && (h.open > 0 || !h.waiting.is_empty()));
        // Where no more may be asked for, the end of a request comes first.
        let full = self.open.len() >= self.limits.gets_max;
        if self.over || self.limits.plays(Bug::FailureAwaitsNews) {
            return None;
        }
        let may_retry = |h: &Holder| h.open == 0 && !full;
        failing.map(|h| if may_retry(h) { h.retry_at_us } else { self.now_us + BEAT_US }).min()
    }

    /// Every chunk that is missing is asked of who has it now.
    fn located(&mut self, outputs: &[Vec<Holding>], out: &mut Vec<Action>) {
        let mut at: BTreeMap<Place, (TaskKey, WorkerId)> = BTreeMap::new();
        for (output, holdings) in outputs.iter().enumerate() {
            for Holding { chunks, worker } in holdings {
                let missing = chunks.keys().filter(|k| self.is_missing((output, k.chunk.0)));
                at.extend(missing.map(|key| ((output, key.chunk.0), (key, *worker))));
            }
        }
        self.holders.values_mut().for_each(|h| h.waiting.clear());
        let awaited = self.limits.plays(Bug::DeadAwaited);
        let stays = |r: &Request| awaited || at.get(&r.place) == Some(&(r.key, r.from));
        self.stop(|r| !stays(r), out);
        for request in self.open.values() {
            at.remove(&request.place);
        }
        for (place, (key, worker)) in at {
            self.holders.entry(worker).or_default().waiting.push_back((place, key));
        }
        self.holders.retain(|_, h| h.open > 0 || !h.waiting.is_empty());
    }

    /// One more chunk is asked of who has it now, or one that is missing of another.
    fn want(&mut self, place: Place, at: (TaskKey, WorkerId), out: &mut Vec<Action>) {
        if !self.missing.insert(place) {
            let here = |r: &Request| r.place == place && (r.key, r.from) == at;
            let waits = |h: &Holder| h.waiting.iter().any(|(p, key)| *p == place && *key == at.0);
            if self.open.values().any(here) || self.holders.get(&at.1).is_some_and(waits) {
                return;
            }
            self.leave(place, out);
        }
        self.holders.entry(at.1).or_default().waiting.push_back((place, at.0));
    }

    /// A chunk is not to be had any more.
    fn forget(&mut self, place: Place, out: &mut Vec<Action>) {
        if self.missing.remove(&place) {
            self.leave(place, out);
        }
    }

    /// A chunk is asked of nobody.
    fn leave(&mut self, place: Place, out: &mut Vec<Action>) {
        self.stop(|r| r.place == place, out);
        self.holders.values_mut().for_each(|h| h.waiting.retain(|(p, _)| *p != place));
        self.holders.retain(|_, h| h.open > 0 || !h.waiting.is_empty());
    }

    fn is_missing(&self, place: Place) -> bool {
        self.missing.contains(&place)
    }

    /// Stops the requests of a kind.
    fn stop(&mut self, is_over: impl Fn(&Request) -> bool, out: &mut Vec<Action>) {
        let over: Vec<GetId> = self.open.iter().filter(|(_, r)| is_over(r)).map(|(id, _)| *id).collect();
        for get in over {
            self.close(get);
            out.push(Action::Stop(get));
        }
    }

    fn close(&mut self, get: GetId) -> Option<Request> {
        let request = self.open.remove(&get)?;
        if let Some(holder) = self.holders.get_mut(&request.from) {
            holder.open -= 1;
        }
        Some(request)
    }

    /// What a worker that is gone held is waited for: it is made again, however long that takes.
    fn lose(&mut self, worker: WorkerId, out: &mut Vec<Action>) {
        if self.limits.plays(Bug::DeadAwaited) {
            return;
        }
        self.stop(|r| r.from == worker, out);
        self.holders.remove(&worker);
        self.lost.insert(worker);
    }

    /// The same of some chunks: their holders have nothing to do with it.
    fn lose_chunks(&mut self, tasks: &TaskRange, out: &mut Vec<Action>) {
        let of = |key: &TaskKey| {
            (key.job, key.stage) == (tasks.job, tasks.stage) && tasks.chunks.contains(&key.chunk.0)
        };
        self.stop(|r| of(&r.key), out);
        for holder in self.holders.values_mut() {
            holder.waiting.retain(|(_, key)| !of(key));
            holder.failures = 0;
        }
        self.holders.retain(|_, h| h.open > 0 || !h.waiting.is_empty());
    }

    fn got(&mut self, get: GetId) {
        let Some(Request { place, from, .. }) = self.close(get) else { return };
        self.missing.remove(&place);
        if let Some(holder) = self.holders.get_mut(&from) {
            holder.failures = 0;
        }
    }

    fn failed(&mut self, get: GetId, why: String) {
        let Some(Request { place, key, from, asked_us }) = self.close(get) else { return };
        let Some(holder) = self.holders.get_mut(&from) else { return };
        holder.waiting.push_front((place, key));
        holder.why = why;
        if holder.failures > 0 && asked_us <= holder.failed_at_us {
            // It was under way when another one failed, which has told it.
            return;
        }
        if holder.failures == 0 {
            holder.failing_since_us = self.now_us;
        }
        holder.failed_at_us = self.now_us;
        let pause = self.limits.pause_us_min.saturating_mul(1 << holder.failures.min(20));
        holder.retry_at_us = self.now_us + pause.min(self.limits.pause_us_max);
        holder.failures += 1;
    }

    /// Asks for what can be asked for now.
    fn advance(&mut self, out: &mut Vec<Action>) {
        if self.missing.is_empty() && !self.lasts {
            self.over = true;
            return out.push(Action::Complete);
        }
        self.holders
            .retain(|w, h| !self.lost.contains(w) && (!self.lasts || h.open > 0 || !h.waiting.is_empty()));
        let (now_us, limits) = (self.now_us, &self.limits);
        let impatient = self.holders.iter().find(|(_, h)| {
            h.failures > 0 && h.open == 0 && now_us - h.failing_since_us >= limits.patience_us
        });
        if let Some((&from, holder)) = impatient
            && let Some(&(_, key)) = holder.waiting.front()
        {
            let tried_us = now_us - holder.failing_since_us;
            let why = holder.why.clone();
            if self.lasts {
                let given_up = self.holders.remove(&from).map(|h| h.waiting).unwrap_or_default();
                for (place, _) in given_up {
                    self.missing.remove(&place);
                }
            } else {
                self.over = true;
                self.stop(|_| true, out);
            }
            return out.push(Action::GiveUp { from, key, tried_us, why });
        }
        let mut n_open = self.open.len();
        for (&from, holder) in &mut self.holders {
            let most = match holder.failures {
                0 => limits.gets_per_worker_max,
                _ if limits.plays(Bug::FailureAwaitsNews) => 0,
                _ if holder.retry_at_us > now_us => 0,
                // One attempt tells of all.
                _ => 1,
            };
            while holder.open < most && n_open < limits.gets_max {
                let Some((place, key)) = holder.waiting.pop_front() else { break };
                let get = GetId(self.next_get);
                self.next_get += 1;
                holder.open += 1;
                n_open += 1;
                self.open.insert(get, Request { place, key, from, asked_us: now_us });
                out.push(Action::Get { get, output: place.0, key, from });
            }
        }
    }

    /// Checks all invariants.
    ///
    /// # Panics
    /// If one does not hold.
    pub fn check(&self) {
        let mut open: BTreeMap<WorkerId, usize> = BTreeMap::new();
        self.open.values().for_each(|r| *open.entry(r.from).or_default() += 1);
        for (worker, holder) in &self.holders {
            assert_eq!(holder.open, open.remove(worker).unwrap_or(0), "{worker:?}: requests under way");
            let wanted = holder.waiting.iter().all(|(place, _)| self.is_missing(*place));
            assert!(wanted, "{worker:?} is to be asked for what is here");
        }
        assert!(open.is_empty(), "requests to nobody: {open:?}");
        let asked = self.open.values().all(|r| self.is_missing(r.place));
        assert!(asked, "what is here is asked for");
        assert!(self.open.len() <= self.limits.gets_max, "too many requests");
    }
}

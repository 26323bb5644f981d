//! What is, or will be, in the driver's store: chunks made or put here, and chunks fetched from others; who uses
//! them, and the bytes that they take.
//!
//! Knows keys, sizes and users. Must not know tasks' order, leases or kernels.

use crate::event::{Action, FetchId, Source};
use crate::limits::{Bug, Limits};
use crate::pages::Pages;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use tilework_expr::{JobId, LeaseId, Region, TaskKey, TaskRange, WorkerId};

/// A chunk made or put here.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub bytes: u64,
    /// Feeds of admitted tasks that name it.
    pub users: u32,
    /// Whether it goes as soon as nobody uses it.
    pub doomed: bool,
}

/// How far a transfer is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stage {
    /// Too many others are under way.
    Queued,
    /// Under way.
    InFlight,
    /// In the store.
    Here,
}

/// A chunk, or a box of it, from another worker.
#[derive(Debug)]
pub(crate) struct Fetch {
    pub key: TaskKey,
    pub from: WorkerId,
    pub region: Option<Region>,
    pub bytes: u64,
    pub stage: Stage,
    pub users: u32,
    /// Tasks that wait for it, once for each feed.
    pub waiting: Vec<TaskKey>,
    /// Whether it goes as soon as nobody uses it.
    pub doomed: bool,
    /// When it was used last, in uses.
    used: u64,
}

/// Everything in the store.
#[derive(Default, Debug)]
pub(crate) struct Store {
    pub chunks: Pages<Chunk>,
    /// Literal chunks that were put before their lease arrived, with their bytes.
    pub early: BTreeMap<LeaseId, Vec<(TaskKey, u64)>>,
    pub fetches: BTreeMap<FetchId, Fetch>,
    /// Whole chunks among the fetches, which tasks share.
    pub whole: BTreeMap<TaskKey, FetchId>,
    /// Whole chunks here that nobody uses, least recently used first.
    idle: BTreeSet<(u64, FetchId)>,
    queued: VecDeque<FetchId>,
    pub in_flight: usize,
    next_fetch: u64,
    uses: u64,
    pub bytes_held: u64,
    pub bytes_reserved: u64,
    pub bytes_fetched: u64,
    bytes_idle: u64,
}

impl Store {
    pub fn bytes_used(&self) -> u64 {
        self.bytes_held + self.bytes_reserved + self.bytes_fetched
    }

    /// Whether a chunk is here to be used.
    pub fn holds(&self, key: TaskKey) -> bool {
        self.chunks.get(key).is_some_and(|c| !c.doomed)
    }

    /// A chunk came to be here.
    pub fn insert(&mut self, key: TaskKey, bytes: u64) {
        if let Some(c) = self.chunks.get_mut(key) {
            c.doomed = false;
            return;
        }
        self.bytes_held += bytes;
        self.chunks.insert(key, Chunk { bytes, users: 0, doomed: false });
    }

    /// Frees a chunk, now or when its last user ends.
    pub fn drop_chunk(&mut self, key: TaskKey, limits: &Limits, out: &mut Vec<Action>) {
        let Some(c) = self.chunks.get_mut(key) else { return };
        c.doomed = true;
        if c.users == 0 || limits.plays(Bug::DropFreesInUse) {
            self.bytes_held -= c.bytes;
            self.chunks.remove(key);
            self.free_held(key, out);
        }
    }

    /// Frees a chunk without a record, but for one that was put early: its lease is on its way.
    pub fn free_held(&mut self, key: TaskKey, out: &mut Vec<Action>) {
        let early = |(_, chunks): (&LeaseId, &Vec<(TaskKey, u64)>)| chunks.iter().any(|(k, _)| *k == key);
        if !self.chunks.contains(key) && !self.early.iter().any(early) {
            out.push(Action::Free(Source::Held(key)));
        }
    }

    /// Frees the chunks of a stage's range that are here.
    pub fn drop_range(&mut self, tasks: &TaskRange, limits: &Limits, out: &mut Vec<Action>) {
        if tasks.chunks.end - tasks.chunks.start == 1 {
            return tasks.keys().for_each(|k| self.drop_chunk(k, limits, out));
        }
        let keys = self.chunks.keys_within(tasks.job, tasks.stage, tasks.chunks.clone());
        keys.into_iter().for_each(|k| self.drop_chunk(k, limits, out));
    }

    /// Frees everything of a job that nobody uses, and the rest when its last user ends.
    pub fn forget(&mut self, job: JobId, limits: &Limits, out: &mut Vec<Action>) {
        self.chunks.keys_of(job).into_iter().for_each(|k| self.drop_chunk(k, limits, out));
        let ids: Vec<FetchId> =
            self.fetches.iter().filter(|(_, f)| f.key.job == job).map(|(id, _)| *id).collect();
        for id in ids {
            let f = self.fetches.get_mut(&id).expect("the fetch was just listed");
            f.doomed = true;
            if self.whole.get(&f.key) == Some(&id) {
                self.whole.remove(&f.key);
            }
            if f.users == 0 {
                self.remove_fetch(id, out);
            }
        }
    }

    /// Begins a transfer for one task, or queues it. Whole chunks are shared.
    pub fn fetch(&mut self, key: TaskKey, from: WorkerId, (region, bytes): (Option<Region>, u64)) -> FetchId {
        let id = FetchId(self.next_fetch);
        self.next_fetch += 1;
        if region.is_none() {
            self.whole.insert(key, id);
        }
        let stage = Stage::Queued;
        self.bytes_fetched += bytes;
        self.queued.push_back(id);
        let used = self.uses;
        let waiting = Vec::new();
        self.fetches
            .insert(id, Fetch { key, from, region, bytes, stage, users: 0, waiting, doomed: false, used });
        id
    }

    /// Starts queued transfers while fewer than `fetches_max` are under way.
    pub fn start_fetches(&mut self, fetches_max: usize, out: &mut Vec<Action>) {
        while self.in_flight < fetches_max {
            let Some(id) = self.queued.pop_front() else { return };
            if let Some(f) = self.fetches.get_mut(&id) {
                f.stage = Stage::InFlight;
                self.in_flight += 1;
                out.push(Action::Fetch { fetch: id, from: f.from, key: f.key, region: f.region.clone() });
            }
        }
    }

    /// One more feed names this.
    pub fn acquire(&mut self, source: Source) {
        match source {
            Source::Held(key) => {
                self.chunks.get_mut(key).expect("a feed names a chunk that is here").users += 1
            }
            Source::Fetched(id) => {
                let f = self.fetches.get_mut(&id).expect("a feed names a transfer that exists");
                f.users += 1;
                if self.idle.remove(&(f.used, id)) {
                    self.bytes_idle -= f.bytes;
                }
            }
        }
    }

    /// One feed less names this; it is freed, or becomes idle cache, with the last one.
    pub fn release(&mut self, source: Source, limits: &Limits, out: &mut Vec<Action>) {
        match source {
            Source::Held(key) => {
                let Some(c) = self.chunks.get_mut(key) else { return };
                c.users -= 1;
                if c.users == 0 && c.doomed {
                    self.drop_chunk(key, limits, out);
                }
            }
            Source::Fetched(id) => {
                let Some(f) = self.fetches.get_mut(&id) else { return };
                f.users -= 1;
                if f.users == 0 {
                    self.rest(id, out);
                }
            }
        }
    }

    /// Nobody uses a transfer (any more).
    fn rest(&mut self, id: FetchId, out: &mut Vec<Action>) {
        let Some(f) = self.fetches.get_mut(&id) else { return };
        let keep = !f.doomed && f.region.is_none();
        match f.stage {
            Stage::Here if keep => {
                self.uses += 1;
                f.used = self.uses;
                self.idle.insert((f.used, id));
                self.bytes_idle += f.bytes;
            }
            // A whole chunk that is on its way may be of use yet.
            Stage::InFlight if keep => {}
            _ => {
                self.remove_fetch(id, out);
            }
        }
    }

    /// A transfer is complete; returns the tasks that waited for it. One that nobody knows is freed.
    pub fn arrived(&mut self, id: FetchId, out: &mut Vec<Action>) -> Vec<TaskKey> {
        let Some(f) = self.fetches.get_mut(&id).filter(|f| f.stage == Stage::InFlight) else {
            if !self.fetches.contains_key(&id) {
                out.push(Action::Free(Source::Fetched(id)));
            }
            return Vec::new();
        };
        f.stage = Stage::Here;
        self.in_flight -= 1;
        let waiting = std::mem::take(&mut f.waiting);
        if f.users == 0 {
            self.rest(id, out);
        }
        waiting
    }

    /// A transfer is over without having brought anything, or what it brought is needed no more.
    pub fn remove_fetch(&mut self, id: FetchId, out: &mut Vec<Action>) -> Option<Fetch> {
        let f = self.fetches.remove(&id)?;
        self.bytes_fetched -= f.bytes;
        if self.idle.remove(&(f.used, id)) {
            self.bytes_idle -= f.bytes;
        }
        if self.whole.get(&f.key) == Some(&id) {
            self.whole.remove(&f.key);
        }
        match f.stage {
            Stage::Queued => {}
            Stage::InFlight => self.in_flight -= 1,
            Stage::Here => out.push(Action::Free(Source::Fetched(id))),
        }
        Some(f)
    }

    /// Frees idle cache until `bytes` more fit under the limit; whether they do.
    pub fn make_room(&mut self, bytes: u64, limits: &Limits, out: &mut Vec<Action>) -> bool {
        if limits.plays(Bug::CacheFreedInUse) && self.bytes_used() + bytes > limits.memory_bytes {
            let here = self.fetches.iter().find(|(_, f)| f.stage == Stage::Here).map(|(id, _)| *id);
            here.map(|id| self.remove_fetch(id, out));
        }
        if limits.plays(Bug::MemoryIgnored) {
            return true;
        }
        while self.bytes_used() + bytes > limits.memory_bytes {
            let Some((_, id)) = self.idle.pop_first() else { return false };
            self.bytes_idle -= self.fetches.get(&id).map_or(0, |f| f.bytes);
            self.remove_fetch(id, out);
        }
        true
    }

    /// Frees all of the idle cache.
    pub fn free_idle(&mut self, out: &mut Vec<Action>) {
        while let Some((_, id)) = self.idle.first().copied() {
            self.remove_fetch(id, out);
        }
    }

    /// Whether `bytes` more could be made to fit under the limit.
    pub fn could_fit(&self, bytes: u64, limits: &Limits) -> bool {
        self.bytes_used() - self.bytes_idle + bytes <= limits.memory_bytes
    }

    pub fn check(&self, limits: &Limits) {
        assert_eq!(self.bytes_held, self.chunks.values().map(|c| c.bytes).sum::<u64>(), "bytes of chunks");
        assert_eq!(self.bytes_fetched, self.fetches.values().map(|f| f.bytes).sum::<u64>(), "bytes fetched");
        let in_flight = self.fetches.values().filter(|f| f.stage == Stage::InFlight).count();
        assert_eq!(self.in_flight, in_flight, "transfers under way");
        assert!(in_flight <= limits.fetches_max, "too many transfers are under way");
        assert!(in_flight == limits.fetches_max || self.fetches.values().all(|f| f.stage != Stage::Queued));
        let idle = |f: &&Fetch| f.users == 0 && f.stage == Stage::Here;
        assert_eq!(self.idle.len(), self.fetches.values().filter(idle).count(), "idle cache");
        assert_eq!(
            self.bytes_idle,
            self.fetches.values().filter(idle).map(|f| f.bytes).sum::<u64>(),
            "idle bytes"
        );
        assert!(self.chunks.values().all(|c| c.users > 0 || !c.doomed), "a dropped chunk is kept");
        let whole = |(k, id): (&TaskKey, &FetchId)| self.fetches.get(id).is_some_and(|f| f.key == *k);
        assert!(self.whole.iter().all(whole), "the cache names a transfer that is over");
        let running = self.bytes_reserved + self.bytes_fetched;
        assert!(running <= limits.memory_bytes, "tasks take {running} bytes of {}", limits.memory_bytes);
    }
}

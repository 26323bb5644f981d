//! What is, or will be, in the driver's store: chunks made or put here, and chunks fetched from others or from the
//! disk; where they are, who uses them, and the bytes that they take.
//!
//! Knows keys, sizes and users. Must not know tasks' order, leases or kernels.

use crate::event::{Action, FetchId, Source, SpillId, Whence};
use crate::limits::{Bug, Limits};
use crate::pages::Pages;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use tilework_plan::{JobId, LeaseId, Part, TaskKey, TaskRange};

/// Where a chunk made or put here is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// In memory alone.
    Here,
    /// In memory, and being written to the disk.
    Leaving(SpillId),
    /// On the disk, and in memory for those who use it.
    Both,
    /// On the disk alone: whoever reads it has it fetched.
    Disk,
}

/// A chunk made or put here.
#[derive(Debug)]
pub(crate) struct Chunk {
    /// Bytes that it takes, in memory or on the disk; 0 where they are the client's.
    pub bytes: u64,
    pub place: Place,
    /// Feeds of admitted tasks that name it.
    pub users: u32,
    /// Whether it goes as soon as nobody uses it.
    pub doomed: bool,
    /// When it was used last, in uses.
    pub used: u64,
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

/// A chunk, or a part of it, from another worker or the disk.
#[derive(Debug)]
pub(crate) struct Fetch {
    pub key: TaskKey,
    pub from: Whence,
    pub part: Option<Part>,
    pub bytes: u64,
    /// Of those, the ones that were not foreseen when it began.
    pub unforeseen: u64,
    pub stage: Stage,
    pub users: u32,
    /// Tasks that wait for it, once for each feed.
    pub waiting: Vec<TaskKey>,
    /// Whether it goes as soon as nobody uses it.
    pub doomed: bool,
    /// When it was used last, in uses.
    used: u64,
}

/// What a transfer brought.
#[derive(Default, Debug)]
pub(crate) struct Arrived {
    /// Tasks that waited for it, once for each feed.
    pub waiting: Vec<TaskKey>,
    /// Bytes that it was charged with when it began,
    pub foreseen: u64,
    /// and from now on.
    pub bytes: u64,
    /// Whether it came from another worker.
    pub is_moved: bool,
}

/// Everything in the store.
#[derive(Default, Debug)]
pub(crate) struct Store {
    pub chunks: Pages<Chunk>,
    /// Literal chunks that were put before their lease arrived, with their bytes.
    pub early: BTreeMap<LeaseId, Vec<(TaskKey, u64)>>,
    /// Chunks in memory alone that nobody uses and that may be written to the disk, least recently used first.
    pub(crate) resting: BTreeSet<(u64, TaskKey)>,
    /// Writes to the disk that are under way.
    pub writes: BTreeMap<SpillId, TaskKey>,
    /// Bytes that will leave memory when those have ended.
    pub bytes_leaving: u64,
    /// Bytes on the disk.
    pub bytes_on_disk: u64,
    /// When a write has failed last, and why.
    pub write_failed: Option<(u64, String)>,
    pub(crate) next_spill: u64,
    pub fetches: BTreeMap<FetchId, Fetch>,
    /// Whole chunks among the fetches, which tasks share.
    pub whole: BTreeMap<TaskKey, FetchId>,
    /// Whole chunks here that nobody uses, least recently used first.
    idle: BTreeSet<(u64, FetchId)>,
    queued: VecDeque<FetchId>,
    pub in_flight: usize,
    next_fetch: u64,
    pub(crate) uses: u64,
    /// Bytes of chunks made or put here that are in memory.
    pub bytes_held: u64,
    pub bytes_reserved: u64,
    /// What results of tasks that run take beyond what was reserved for them.
    pub bytes_grown: u64,
    pub bytes_fetched: u64,
    pub(crate) bytes_idle: u64,
}

impl Store {
    pub fn bytes_used(&self) -> u64 {
        self.bytes_held + self.bytes_reserved + self.bytes_grown + self.bytes_fetched
    }

    /// Whether a chunk is here to be used, in memory or on the disk.
    pub fn holds(&self, key: TaskKey) -> bool {
        self.chunks.get(key).is_some_and(|c| !c.doomed)
    }

    /// Bytes of a chunk that is here.
    pub fn bytes_of(&self, key: TaskKey) -> Option<u64> {
        self.chunks.get(key).map(|c| c.bytes)
    }

    /// Whether a chunk is here to be used, and has to be fetched from the disk before.
    pub fn is_on_disk(&self, key: TaskKey) -> bool {
        self.chunks.get(key).is_some_and(|c| !c.doomed && c.place == Place::Disk)
    }

    /// A chunk came to be here, in memory.
    pub fn insert(&mut self, key: TaskKey, bytes: u64, limits: &Limits) {
        let mut users = 0;
        if let Some(c) = self.chunks.get(key) {
            // The driver has it anew: what was written, or is being written, is no longer of this chunk.
            users = c.users;
            self.forget_place(key);
        }
        self.bytes_held += bytes;
        self.uses += 1;
        let chunk = Chunk { bytes, place: Place::Here, users, doomed: false, used: self.uses };
        self.chunks.insert(key, chunk);
        self.rest_held(key, limits);
    }

    /// Frees a chunk, now or when its last user ends.
    pub fn drop_chunk(&mut self, key: TaskKey, limits: &Limits, out: &mut Vec<Action>) {
        let Some(c) = self.chunks.get_mut(key) else { return };
        c.doomed = true;
        let unused = c.users == 0;
        // What was read back of it is of no more use either.
        if let Some(id) = self.whole.get(&key).copied() {
            self.doom_fetch(id, out);
        }
        if unused || limits.plays(Bug::DropFreesInUse) {
            self.forget_place(key);
            self.chunks.remove(key);
            self.free_held(key, out);
        }
    }

    fn doom_fetch(&mut self, id: FetchId, out: &mut Vec<Action>) {
        let Some(f) = self.fetches.get_mut(&id) else { return };
        f.doomed = true;
        if self.whole.get(&f.key) == Some(&id) {
            self.whole.remove(&f.key);
        }
        if f.users == 0 {
            self.remove_fetch(id, out);
        }
    }

    /// Frees a chunk without a record, but for one that was put early: its lease is on its way.
    pub fn free_held(&mut self, key: TaskKey, out: &mut Vec<Action>) {
        if !self.chunks.contains(key) && !self.is_early(key) {
            out.push(Action::Free(Source::Held(key)));
        }
    }

    /// Whether a chunk was put, and its lease is on its way. What was here of it before is the driver's no more.
    pub(crate) fn is_early(&self, key: TaskKey) -> bool {
        self.early.values().flatten().any(|(early, _)| *early == key)
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
        ids.into_iter().for_each(|id| self.doom_fetch(id, out));
    }

    /// Begins a transfer for one task, or queues it. Whole chunks are shared.
    pub fn fetch(&mut self, key: TaskKey, from: Whence, (part, bytes): (Option<Part>, u64)) -> FetchId {
        let id = FetchId(self.next_fetch);
        self.next_fetch += 1;
        if part.is_none() {
            self.whole.insert(key, id);
        }
        let stage = Stage::Queued;
        self.bytes_fetched += bytes;
        self.queued.push_back(id);
        let used = self.uses;
        let waiting = Vec::new();
        self.fetches.insert(
            id,
            Fetch { key, from, part, bytes, unforeseen: 0, stage, users: 0, waiting, doomed: false, used },
        );
        id
    }

    /// Starts queued transfers while fewer than `fetches_max` are under way.
    pub fn start_fetches(&mut self, fetches_max: usize, out: &mut Vec<Action>) {
        while self.in_flight < fetches_max {
            let Some(id) = self.queued.pop_front() else { return };
            if let Some(f) = self.fetches.get_mut(&id) {
                f.stage = Stage::InFlight;
                self.in_flight += 1;
                out.push(Action::Fetch { fetch: id, from: f.from, key: f.key, part: f.part.clone() });
            }
        }
    }

    /// One more feed names this.
    pub fn acquire(&mut self, source: Source) {
        match source {
            Source::Held(key) => {
                let c = self.chunks.get_mut(key).expect("a feed names a chunk that is here");
                c.users += 1;
                self.resting.remove(&(c.used, key));
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
                if c.users > 0 {
                    return;
                }
                self.uses += 1;
                c.used = self.uses;
                if c.doomed {
                    self.drop_chunk(key, limits, out);
                } else if c.place == Place::Both {
                    self.unload(key, out);
                } else {
                    self.rest_held(key, limits);
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
        let keep = !f.doomed && f.part.is_none();
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

    /// A transfer is complete and brought so many bytes. One that nobody knows is freed.
    pub fn arrived(&mut self, (id, bytes): (FetchId, u64), out: &mut Vec<Action>) -> Arrived {
        let Some(f) = self.fetches.get_mut(&id).filter(|f| f.stage == Stage::InFlight) else {
            if !self.fetches.contains_key(&id) {
                out.push(Action::Free(Source::Fetched(id)));
            }
            return Arrived::default();
        };
        f.stage = Stage::Here;
        let foreseen = f.bytes;
        if matches!(f.part, Some(Part::Block(_))) && bytes < f.bytes {
            // It was charged what blocks have on the average.
            self.bytes_fetched -= f.bytes - bytes;
            f.bytes = bytes;
        }
        f.unforeseen = bytes.saturating_sub(f.bytes);
        f.bytes += f.unforeseen;
        self.bytes_fetched += f.unforeseen;
        self.in_flight -= 1;
        let is_moved = matches!(f.from, Whence::Peer(_));
        let arrived = Arrived { waiting: std::mem::take(&mut f.waiting), foreseen, bytes: f.bytes, is_moved };
        if f.users == 0 {
            self.rest(id, out);
        }
        arrived
    }

    /// Whether more transfers wait for their turn than may be under way.
    pub fn has_enough_to_fetch(&mut self, fetches_max: usize, out: &mut Vec<Action>) -> bool {
        if self.queued.len() > fetches_max {
            // Some of them may not be wanted any more.
            self.start_fetches(fetches_max, out);
        }
        self.queued.len() > fetches_max
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

    /// Frees idle cache until `bytes` more fit under the limit; whether they do. Where they do not, chunks begin to be
    /// written to the disk.
    pub fn make_room(&mut self, bytes: u64, limits: &Limits, out: &mut Vec<Action>) -> bool {
        if limits.plays(Bug::CacheFreedInUse) && self.bytes_used() + bytes > limits.memory_bytes {
            let here = self.fetches.iter().find(|(_, f)| f.stage == Stage::Here).map(|(id, _)| *id);
            here.map(|id| self.remove_fetch(id, out));
        }
        if limits.plays(Bug::MemoryIgnored) {
            return true;
        }
        while self.bytes_used() + bytes > limits.memory_bytes {
            let Some((_, id)) = self.idle.pop_first() else {
                self.spill_for(bytes, limits, out);
                return false;
            };
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
        self.check_places(limits);
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
        let unforeseen = self.fetches.values().map(|f| f.unforeseen).sum::<u64>();
        let running = self.bytes_reserved + self.bytes_fetched - unforeseen;
        assert!(running <= limits.memory_bytes, "tasks take {running} bytes of {}", limits.memory_bytes);
    }
}

//! Chunks that leave memory for the disk: which, when, and what is known of the writes. Only what is held goes there; what
//! was fetched is dropped instead, and a chunk on the disk is read as one of another worker is, whole or a box of it.
//!
//! Knows sizes, users and places. Must not know files, nor which task reads what.

use crate::event::{Action, SpillId};
use crate::limits::{Bug, Limits};
use crate::store::{Chunk, Place, Store};
use crate::worker::Worker;
use std::collections::BTreeSet;
use tilework_plan::{Report, TaskKey};

/// Of the memory, what is made free beyond what is needed when chunks are written, so that they go in batches.
const HEADROOM_PART: u64 = 16;

impl Chunk {
    /// Whether it may be written to the disk.
    fn may_leave(&self, limits: &Limits) -> bool {
        let is_large = self.bytes >= limits.spill_bytes_min.max(1);
        limits.spill_bytes > 0 && is_large && self.place == Place::Here && self.users == 0 && !self.doomed
    }
}

impl Store {
    /// Notes that a chunk may be written to the disk, if it may.
    pub(crate) fn rest_held(&mut self, key: TaskKey, limits: &Limits) {
        let Some(c) = self.chunks.get(key) else { return };
        if c.may_leave(limits) {
            self.resting.insert((c.used, key));
        }
    }

    /// A chunk is no longer where it was.
    pub(crate) fn forget_place(&mut self, key: TaskKey) {
        let Some(c) = self.chunks.get_mut(key) else { return };
        let (bytes, place) = (c.bytes, std::mem::replace(&mut c.place, Place::Here));
        self.resting.remove(&(c.used, key));
        match place {
            Place::Here => self.bytes_held -= bytes,
            Place::Leaving(_) => {
                self.bytes_held -= bytes;
                self.bytes_leaving -= bytes;
            }
            Place::Both => {
                self.bytes_held -= bytes;
                self.bytes_on_disk -= bytes;
            }
            Place::Disk => self.bytes_on_disk -= bytes,
        }
    }

    /// Begins to write chunks to the disk until `bytes` more will fit into memory, and some beyond.
    pub(crate) fn spill_for(&mut self, bytes: u64, limits: &Limits, out: &mut Vec<Action>) {
        let above = |me: &Store| (me.bytes_used() - me.bytes_leaving).saturating_add(bytes);
        if above(self) <= limits.memory_bytes {
            return;
        }
        let most = limits.memory_bytes - limits.memory_bytes / HEADROOM_PART;
        while above(self) > most && self.spill_next(limits, out) {}
    }

    /// Begins to write chunks to the disk until `bytes` fewer will be in memory than there are.
    pub(crate) fn spill_over(&mut self, bytes: u64, limits: &Limits, out: &mut Vec<Action>) {
        let stay = self.bytes_used() - self.bytes_leaving;
        self.spill_for(limits.memory_bytes.saturating_sub(stay).saturating_add(bytes), limits, out);
    }

    /// Whether more chunks could be written to make room for `bytes`.
    pub(crate) fn could_spill_for(&self, bytes: u64, limits: &Limits) -> bool {
        let used = self.bytes_used() - self.bytes_idle - self.bytes_leaving;
        used + bytes > limits.memory_bytes && self.next_to_spill(limits).is_some()
    }

    /// The chunk that was not used for longest, if there is one and room for it on the disk.
    fn next_to_spill(&self, limits: &Limits) -> Option<(TaskKey, u64)> {
        let (_, key) = *self.resting.first().filter(|_| self.write_failed.is_none())?;
        let bytes = self.chunks.get(key)?.bytes;
        let fits = self.bytes_on_disk + self.bytes_leaving + bytes <= limits.spill_bytes;
        fits.then_some((key, bytes))
    }

    fn spill_next(&mut self, limits: &Limits, out: &mut Vec<Action>) -> bool {
        let Some((key, bytes)) = self.next_to_spill(limits) else { return false };
        self.resting.pop_first();
        let spill = SpillId(self.next_spill);
        self.next_spill += 1;
        self.writes.insert(spill, key);
        self.bytes_leaving += bytes;
        self.chunks.get_mut(key).expect("a chunk that rests is here").place = Place::Leaving(spill);
        out.push(Action::Spill { spill, key });
        true
    }

    /// A write has ended.
    pub(crate) fn spilled(
        &mut self,
        (spill, key): (SpillId, TaskKey),
        result: Result<(), String>,
        (now_us, limits): (u64, &Limits),
        out: &mut Vec<Action>,
    ) {
        if self.writes.remove(&spill).is_none() {
            return;
        }
        let believed = limits.plays(Bug::LateSpillBelieved);
        let is_this = |c: &&mut Chunk| match c.place {
            Place::Leaving(s) => s == spill,
            Place::Here => believed && c.users == 0,
            _ => false,
        };
        let c = self.chunks.get_mut(key).filter(is_this);
        match (result, c) {
            (Ok(()), Some(c)) => {
                let (bytes, users) = (c.bytes, c.users);
                self.bytes_leaving -= if c.place == Place::Here { 0 } else { bytes };
                c.place = Place::Both;
                self.resting.remove(&(c.used, key));
                self.bytes_on_disk += bytes;
                if users == 0 || limits.plays(Bug::UnloadedInUse) {
                    self.unload(key, out);
                }
            }
            (Ok(()), None) => {}
            (Err(why), c) => {
                if limits.plays(Bug::SpillFailureForgotten) {
                    return;
                }
                self.write_failed = Some((now_us, why));
                if let Some(c) = c {
                    self.bytes_leaving -= c.bytes;
                    c.place = Place::Here;
                    self.rest_held(key, limits);
                }
            }
        }
    }

    /// Drops from memory a chunk that is on the disk too.
    pub(crate) fn unload(&mut self, key: TaskKey, out: &mut Vec<Action>) {
        let c = self.chunks.get_mut(key).expect("a chunk that leaves memory is here");
        c.place = Place::Disk;
        self.bytes_held -= c.bytes;
        if !self.is_early(key) {
            out.push(Action::Unload(key));
        }
    }

    /// Whether the places of chunks and the sums over them agree.
    pub(crate) fn check_places(&self, limits: &Limits) {
        let bytes = |at: &dyn Fn(Place) -> bool| {
            self.chunks.values().filter(|c| at(c.place)).map(|c| c.bytes).sum::<u64>()
        };
        assert_eq!(self.bytes_held, bytes(&|p| p != Place::Disk), "bytes of chunks in memory");
        assert_eq!(
            self.bytes_on_disk,
            bytes(&|p| matches!(p, Place::Both | Place::Disk)),
            "bytes on the disk"
        );
        assert_eq!(self.bytes_leaving, bytes(&|p| matches!(p, Place::Leaving(_))), "bytes that leave memory");
        assert!(
            self.bytes_on_disk + self.bytes_leaving <= limits.spill_bytes,
            "more on the disk than may be"
        );
        let resting = self.chunks.iter().filter(|(_, c)| c.may_leave(limits));
        let resting: BTreeSet<(u64, TaskKey)> = resting.map(|(k, c)| (c.used, k)).collect();
        assert_eq!(self.resting, resting, "chunks that rest in memory");
        for (key, c) in self.chunks.iter() {
            assert!(c.place != Place::Disk || c.users == 0, "{key:?} is used, and not in memory");
            assert!(c.place != Place::Both || c.users > 0, "{key:?} is in memory for nobody");
            if let Place::Leaving(spill) = c.place {
                assert_eq!(self.writes.get(&spill), Some(&key), "a chunk that leaves is being written");
            }
        }
    }
}

impl Worker {
    /// A write has ended.
    pub(crate) fn spilled(
        &mut self,
        spill: (SpillId, TaskKey),
        result: Result<(), String>,
        out: &mut Vec<Action>,
    ) {
        let bytes = self.store.chunks.get(spill.1).map_or(0, |c| c.bytes);
        if result.is_ok() {
            self.outgoing.spilled(spill.1.job, bytes);
        }
        self.store.spilled(spill, result, (self.now_us, &self.limits), out);
    }

    /// Takes up writing again a while after a write has failed, and brings memory back under its limit where chunks came
    /// that no task had asked for.
    pub(crate) fn relieve(&mut self, out: &mut Vec<Action>) {
        if self.limits.spill_bytes == 0 {
            return;
        }
        let paused = |(at, _): &(u64, String)| self.now_us < at + self.limits.spill_pause_us;
        if !self.store.write_failed.as_ref().is_some_and(paused) {
            self.store.write_failed = None;
        }
        self.store.spill_for(0, &self.limits, out);
    }

    /// When writing may be taken up again.
    pub(crate) fn relief_us(&self) -> Option<u64> {
        self.store.write_failed.as_ref().map(|(at, _)| at + self.limits.spill_pause_us)
    }

    /// Why there is no room for a task although nothing else is under way, where it is the disk's fault.
    pub(crate) fn why_no_room(&self, bytes: u64) -> Option<String> {
        let (store, limits) = (&self.store, &self.limits);
        if limits.spill_bytes == 0 || store.resting.is_empty() {
            return None;
        }
        let why = match &store.write_failed {
            Some((_, why)) => why.clone(),
            None => format!("{} bytes are there, of at most {}", store.bytes_on_disk, limits.spill_bytes),
        };
        Some(format!(
            "{bytes} bytes of memory are needed, {} of {} are held by results, and these cannot be written to the disk: \
             {why}",
            store.bytes_held, limits.memory_bytes
        ))
    }

    /// What the disk has of a chunk is of no use: the chunk is lost.
    pub(crate) fn damaged(&mut self, key: TaskKey) {
        if self.store.is_on_disk(key) && !self.limits.plays(Bug::DamageSwallowed) {
            self.outgoing.other(Report::Lost { task: key });
        }
    }
}

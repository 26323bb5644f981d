//! Chunks on their way: from other workers, from the disk, and to it.
//!
//! Owns what is done for each. Must not know why one is wanted.

use super::{Driver, Post};
use crate::peers::{Lent, Missed, Wanted, written};
use crate::spill::{Order, Writer};
use crate::store::Stored;
use tilework_plan::{Part, TaskKey, WorkerId};
use tilework_worker_core::{Event, FetchId, Source, SpillId};
use tracing::{debug, warn};

impl Driver {
    pub(super) fn fetch(&mut self, fetch: FetchId, from: WorkerId, key: TaskKey, part: Option<Part>) {
        let addresses = self.addresses.get(&from).cloned().unwrap_or_default();
        let wanted = Wanted { from, addresses, key, part: part.clone(), bytes_max: self.memory_bytes };
        let (store, epoch) = (self.shared.store.clone(), self.epoch);
        let get = self.peers.get(wanted);
        self.transfers.spawn(async move {
            match get.await {
                Ok(chunk) => {
                    let bytes = chunk.bytes() as u64;
                    store.insert(epoch, Source::Fetched(fetch), Stored { content: chunk.into(), part });
                    Event::Fetched { fetch, bytes }
                }
                Err(Missed { away, why }) => {
                    debug!(?key, from = from.0, why, "a transfer failed");
                    Event::FetchFailed { fetch, away, why }
                }
            }
        });
    }

    /// Reads a chunk, or a part of it, from the disk.
    pub(super) fn load(&mut self, fetch: FetchId, key: TaskKey, part: Option<Part>) {
        let (store, epoch) = (self.shared.store.clone(), self.epoch);
        let shelf = self.shared.shelf();
        self.transfers.spawn_blocking(move || {
            let failed = |why: String| {
                warn!(?key, why, "a chunk on the disk cannot be read: it will be made again");
                Event::FetchFailed { fetch, away: false, why }
            };
            let chunk = match shelf.find(key, part.as_ref()) {
                Ok(Lent::Shared(chunk)) => chunk,
                Ok(Lent::Kept { kept, block }) => match written(&*kept, block) {
                    Ok(chunk) => chunk,
                    Err(why) => return Event::FetchFailed { fetch, away: false, why },
                },
                Ok(Lent::OnDisk { spilled, part, .. }) => match spilled.read_part(part.as_ref()) {
                    Ok(chunk) => chunk,
                    Err(error) => return failed(error.to_string()),
                },
                // It was dropped meanwhile.
                Err(why) => return Event::FetchFailed { fetch, away: false, why },
            };
            let bytes = chunk.bytes() as u64;
            store.insert(epoch, Source::Fetched(fetch), Stored { content: chunk.into(), part });
            Event::Fetched { fetch, bytes }
        });
    }

    /// Writes a chunk to the disk.
    pub(super) fn spill(&mut self, spill: SpillId, key: TaskKey) {
        let ended = move |result| Event::Spilled { spill, key, result };
        let Some(content) = self.shared.store.begin_write(key, spill) else {
            return self.post(async move { ended(Err("it is not there".to_owned())) });
        };
        if self.writer.is_none() {
            let disk = self.disk.clone().expect("chunks are written only where there is a disk");
            let (store, inbox) = (self.shared.store.clone(), self.inbox.clone());
            let done = move |spill, key, written: Result<_, String>| {
                if let Err(why) = &written {
                    warn!(why, "a chunk cannot be written to the disk");
                }
                let result = written.map(|spilled| store.end_write(key, spill, spilled));
                if let Some(inbox) = inbox.upgrade() {
                    // Err: the worker has ended.
                    let _ = inbox.blocking_send(Post::Events(vec![Event::Spilled { spill, key, result }]));
                }
            };
            match Writer::start(disk, done) {
                Ok(writer) => self.writer = Some(writer),
                Err(e) => return self.post(async move { ended(Err(e.to_string())) }),
            }
        }
        let writer = self.writer.as_ref().expect("it was just started");
        writer.write(Order { spill, key, content });
    }
}

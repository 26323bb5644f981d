//! The other workers as a worker sees them: one trait, in process and over the network.
//!
//! Owns where a chunk of another worker comes from. Must not know why it is wanted.

use crate::driver::Post;
use crate::engine::Kept;
use crate::spill::Spilled;
use crate::store::{Content, Found, Store};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tilework_kernels::Chunk;
use tilework_plan::{ChunkIdx, Part, Region, TaskKey, WorkerId};
use tilework_proto::session::BoxFuture;
use tilework_worker_core::{Event, Source};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// See [`Uncounted`].
const READ_UNIT: usize = 64 << 10;
/// The most and the part of a worker's memory that there may be of it, or one chunk where that is larger.
const READ_BYTES_MAX: u64 = 32 << 20;
const READ_PART: u64 = 16;

/// Memory of chunks that are read from the disk for others, which nobody has counted: there is not much of it at once.
#[derive(Clone, Debug)]
pub(crate) struct Uncounted {
    /// In units of [`READ_UNIT`].
    left: Arc<Semaphore>,
    units: usize,
}

/// A part of it, as long as the chunk is there or until somebody else counts it.
pub(crate) type Room = OwnedSemaphorePermit;

impl Uncounted {
    pub(crate) fn of(memory_bytes: u64) -> Uncounted {
        let bytes = (memory_bytes / READ_PART).min(READ_BYTES_MAX);
        let units = usize::try_from(bytes).unwrap_or(usize::MAX).div_ceil(READ_UNIT).max(1);
        Uncounted { left: Arc::new(Semaphore::new(units)), units }
    }

    async fn take(&self, bytes: usize) -> Room {
        let units = bytes.div_ceil(READ_UNIT).clamp(1, self.units);
        let taken = Arc::clone(&self.left).acquire_many_owned(units as u32).await;
        taken.expect("the semaphore is never closed")
    }
}

/// What is asked of another worker.
#[derive(Clone, PartialEq, Debug)]
pub struct Wanted {
    /// Who has it.
    pub from: WorkerId,
    /// Where that worker's chunk service listens.
    pub addresses: Vec<String>,
    /// The chunk.
    pub key: TaskKey,
    /// The part of it; all of it where absent.
    pub part: Option<Part>,
    /// The most bytes that may come.
    pub bytes_max: usize,
}

/// The chunks of one worker of this process, for the others in it.
#[derive(Clone, Debug)]
pub struct Shelf {
    pub(crate) store: Arc<Store>,
    pub(crate) plans: Arc<crate::plans::Plans>,
    pub(crate) inbox: mpsc::WeakSender<Post>,
    pub(crate) uncounted: Uncounted,
}

/// A chunk that somebody else wants.
pub(crate) enum Lent {
    /// From memory, shared.
    Shared(Chunk),
    /// To be written from how an engine keeps it: all of it, or a block.
    Kept { kept: Arc<dyn Kept>, block: Option<u64> },
    /// To be read from the disk, as [`Shelf::get`] does.
    OnDisk { spilled: Arc<Spilled>, part: Option<Part>, key: TaskKey },
}

impl Shelf {
    /// The chunk, or the part of it, if it is here; a box on the disk in the chunk's own coordinates.
    ///
    /// # Errors
    /// In words, where it is not, or has no such part.
    pub(crate) fn find(&self, key: TaskKey, part: Option<&Part>) -> Result<Lent, String> {
        let found = self.store.find(&Source::Held(key)).ok_or_else(|| absent(key))?;
        let part = match part {
            Some(Part::Box(region)) => Some(Part::Box(self.relative(key, region)?)),
            Some(Part::Block(number)) => Some(Part::Block(*number)),
            None => None,
        };
        let content = match found {
            Found::OnDisk(spilled) => return Ok(Lent::OnDisk { spilled, part, key }),
            Found::Here(stored) => stored.content,
        };
        Ok(match (content, part) {
            (Content::Chunk(chunk), None) => Lent::Shared(chunk),
            (Content::Chunk(chunk), Some(Part::Box(region))) => Lent::Shared(chunk.slice(&region)),
            (Content::Chunk(chunk), Some(Part::Block(number))) => {
                Lent::Shared(chunk.block(number).map_err(|e| e.to_string())?)
            }
            (Content::Kept(kept), None) => Lent::Kept { kept, block: None },
            (Content::Kept(kept), Some(Part::Block(number))) => Lent::Kept { kept, block: Some(number) },
            (Content::Kept(_), Some(Part::Box(_))) => return Err("a value of tables has no boxes".to_owned()),
        })
    }

    /// The same with its elements, which are read from the disk on a blocking thread if need be: then the memory that
    /// nobody has counted comes with them.
    ///
    /// # Errors
    /// In words. A chunk that cannot be read is lost, which the worker is told.
    pub(crate) async fn get(
        &self,
        key: TaskKey,
        part: Option<&Part>,
    ) -> Result<(Chunk, Option<Room>), String> {
        let (spilled, part, key) = match self.find(key, part)? {
            Lent::Shared(chunk) => return Ok((chunk, None)),
            Lent::Kept { kept, block } => return self.write(kept, block).await,
            Lent::OnDisk { spilled, part, key } => (spilled, part, key),
        };
        let region = match part {
            Some(Part::Block(number)) => {
                let spilled = Arc::clone(&spilled);
                let found = tokio::task::spawn_blocking(move || spilled.block(number));
                let found = found.await.map_err(|e| e.to_string())?;
                if let Err(error) = &found {
                    self.damaged(key, error).await;
                }
                Some(found.map_err(|e| format!("cannot read it from the disk: {e}"))?)
            }
            Some(Part::Box(region)) => Some(region),
            None => None,
        };
        let room = self.uncounted.take(spilled.bytes_of(region.as_ref())).await;
        // Whoever gives up waiting for it does not give the memory back: the read goes on.
        let read = tokio::task::spawn_blocking(move || (spilled.read(region.as_ref()), room));
        let (read, room) = read.await.map_err(|e| e.to_string())?;
        if let Err(error) = &read {
            self.damaged(key, error).await;
        }
        let chunk = read.map_err(|e| format!("cannot read it from the disk: {e}"))?;
        Ok((chunk, Some(room)))
    }

    /// Writes what an engine keeps, on a blocking thread.
    async fn write(&self, kept: Arc<dyn Kept>, block: Option<u64>) -> Result<(Chunk, Option<Room>), String> {
        let part = if block.is_some() { kept.n_blocks().max(1) } else { 1 };
        let bytes = usize::try_from(kept.written_bytes() / part).unwrap_or(usize::MAX);
        let room = self.uncounted.take(bytes).await;
        let write = tokio::task::spawn_blocking(move || (written(&*kept, block), room));
        let (chunk, room) = write.await.map_err(|e| e.to_string())?;
        Ok((chunk?, Some(room)))
    }

    /// The same on this thread, which may block.
    ///
    /// # Errors
    /// As [`Shelf::get`].
    pub(crate) fn get_blocking(&self, key: TaskKey) -> Result<Chunk, String> {
        match self.find(key, None)? {
            Lent::Shared(chunk) => Ok(chunk),
            Lent::Kept { kept, block } => written(&*kept, block),
            Lent::OnDisk { spilled, part, key } => spilled.read_part(part.as_ref()).map_err(|e| {
                if let Some(inbox) = self.inbox.upgrade() {
                    // Err: the worker has ended, or has much to do: whoever wants the chunk asks again.
                    let _ = inbox.try_send(Post::Events(vec![Event::Damaged { key }]));
                }
                format!("cannot read it from the disk: {e}")
            }),
        }
    }

    async fn damaged(&self, key: TaskKey, error: &std::io::Error) {
        if error.kind() == std::io::ErrorKind::InvalidInput {
            // It is what was written: somebody asks for what it does not have.
            return;
        }
        tracing::warn!(?key, %error, "a chunk on the disk cannot be read");
        if let Some(inbox) = self.inbox.upgrade() {
            // Err: the worker has ended.
            let _ = inbox.send(Post::Events(vec![Event::Damaged { key }])).await;
        }
    }

    /// A box in the coordinates of its chunk.
    fn relative(&self, key: TaskKey, region: &Region) -> Result<Region, String> {
        let of = self.plans.out_region(key).ok_or_else(|| absent(key))?;
        let inside = region.len() == of.len()
            && region
                .iter()
                .zip(&of)
                .all(|(r, of)| of.start <= r.start && r.start <= r.end && r.end <= of.end);
        if !inside {
            return Err(format!("box {region:?} leaves the chunk's, {of:?}"));
        }
        Ok(region.iter().zip(&of).map(|(r, of)| r.start - of.start..r.end - of.start).collect())
    }
}

/// What an engine keeps as others read it: all of it, or a block.
pub(crate) fn written(kept: &dyn Kept, block: Option<u64>) -> Result<Chunk, String> {
    block.map_or_else(|| kept.written(), |number| kept.block(number))
}

fn absent(TaskKey { job, stage, chunk: ChunkIdx(chunk) }: TaskKey) -> String {
    format!("no chunk {chunk} of stage {} of job {} here", stage.0, job.0)
}

/// Why a chunk did not come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Missed {
    /// Whether there is no connection to that worker; else it answered.
    pub away: bool,
    /// The reason in words, with the worker's addresses.
    pub why: String,
}

/// A way to the chunks of other workers.
pub trait Peers: Send + Sync + 'static {
    /// Gets a chunk.
    ///
    /// # Errors
    /// [`Missed`].
    fn get(&self, wanted: Wanted) -> BoxFuture<'static, Result<Chunk, Missed>>;

    /// This worker got that number from the scheduler, and these are its chunks.
    fn joined(&self, worker: WorkerId, shelf: Shelf) {
        let _ = (worker, shelf);
    }

    /// That worker, this one or another, is gone, and was at these addresses.
    fn left(&self, worker: WorkerId, addresses: &[String]) {
        let _ = worker;
        self.let_go(addresses);
    }

    /// This worker has nothing to do with those at these addresses any more, who may be there for others.
    fn let_go(&self, addresses: &[String]) {
        let _ = addresses;
    }
}

/// The workers of one process, which read each other's memory.
#[derive(Debug, Default)]
pub struct LocalPeers {
    shelves: Mutex<HashMap<WorkerId, Shelf>>,
}

impl LocalPeers {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<WorkerId, Shelf>> {
        self.shelves.lock().expect("nothing panics while shelves are looked up")
    }
}

impl Peers for LocalPeers {
    fn get(&self, wanted: Wanted) -> BoxFuture<'static, Result<Chunk, Missed>> {
        let shelf = self.lock().get(&wanted.from).cloned();
        Box::pin(async move {
            let got = match shelf {
                Some(shelf) => shelf.get(wanted.key, wanted.part.as_ref()).await,
                None => Err(format!("no worker {} in this process", wanted.from.0)),
            };
            // Its memory is this worker's from here on, which has counted it.
            let (mut chunk, _) = got.map_err(|why| Missed { away: false, why })?;
            if matches!(wanted.part, Some(Part::Block(_))) {
                // A part of a value that keeps the whole of it in memory would not be what it is charged with.
                chunk.planes.iter_mut().for_each(|plane| *plane = plane.detached());
            }
            Ok(chunk)
        })
    }

    fn joined(&self, worker: WorkerId, shelf: Shelf) {
        self.lock().insert(worker, shelf);
    }

    fn left(&self, worker: WorkerId, _: &[String]) {
        self.lock().remove(&worker);
    }
}

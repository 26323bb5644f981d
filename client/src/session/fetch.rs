//! Getting the chunks of a finished job from who holds them: does what the state machine of gathering asks for.
//!
//! Owns the clock, the requests under way and the chunks that came. Must not decide whom to ask, nor when again.

use super::board::{Board, Located, Seen};
use super::data::{Answer, Asked, DataPlane};
use crate::error::{ClusterError, Error, Result};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tilework_client_core::{Action, Event, Gather, GetId, Limits};
use tilework_kernels::Chunk;
use tilework_plan::{ChunkIdx, TaskKey, WorkerId};

/// A request under way.
struct Request {
    output: usize,
    chunk: ChunkIdx,
    _asked: Asked,
}

struct Fetch<'a> {
    core: Gather,
    board: &'a Arc<Board>,
    data: &'a dyn DataPlane,
    seen: Seen,
    started: Instant,
    located: Option<Arc<Located>>,
    open: BTreeMap<GetId, Request>,
    /// Outputs, their chunks, and those that are here.
    found: BTreeMap<(usize, u64), Chunk>,
    /// Their bytes, and how many may come.
    bytes: u64,
    bytes_max: u64,
    complete: bool,
}

/// All chunks of all outputs, which have so many, up to some bytes: of values those are known only when they come. Chunks
/// that are lost meanwhile are made again by the scheduler.
///
/// # Errors
/// Where the job fails, the session ends, a worker that is there for the scheduler cannot be reached from here, or there are
/// more bytes.
pub(super) fn all(
    board: &Arc<Board>,
    data: &dyn DataPlane,
    (n_chunks, bytes_max): (&[usize], u64),
) -> Result<Vec<Vec<Chunk>>> {
    let mut fetch = Fetch::new(Gather::new(Limits::default(), n_chunks), board, data);
    fetch.bytes_max = bytes_max;
    let found = fetch.run()?;
    let mut outputs: Vec<Vec<Chunk>> = n_chunks.iter().map(|&n| Vec::with_capacity(n)).collect();
    for ((output, _), chunk) in found {
        outputs[output].push(chunk);
    }
    Ok(outputs)
}

/// One chunk of one output.
///
/// # Errors
/// As [`all`].
pub(super) fn one(board: &Arc<Board>, data: &dyn DataPlane, output: usize, chunk: ChunkIdx) -> Result<Chunk> {
    let core = Gather::of_one(Limits::default(), (output, chunk.0));
    let mut found = Fetch::new(core, board, data).run()?;
    Ok(found.remove(&(output, chunk.0)).expect("gathering is complete when the chunk is here"))
}

impl<'a> Fetch<'a> {
    fn new(core: Gather, board: &'a Arc<Board>, data: &'a dyn DataPlane) -> Fetch<'a> {
        let (seen, started) = (board.enter(), Instant::now());
        let (open, found) = (BTreeMap::new(), BTreeMap::new());
        let (bytes, bytes_max) = (0, u64::MAX);
        Fetch {
            core,
            board,
            data,
            seen,
            started,
            located: None,
            open,
            found,
            bytes,
            bytes_max,
            complete: false,
        }
    }

    fn run(mut self) -> Result<BTreeMap<(usize, u64), Chunk>> {
        self.handle(Event::Tick)?;
        while !self.complete {
            let now = self.started.elapsed();
            let wake = self.core.next_wake_us().map(Duration::from_micros);
            let news = self.board.news(&mut self.seen, wake.map(|at| at.saturating_sub(now)))?;
            if let Some(located) = news.located {
                let (here, outputs) = (located.here.clone(), located.outputs.clone());
                self.located = Some(located);
                for ((output, chunk), came) in here {
                    self.keep((output, chunk), came)?;
                    self.handle(Event::Unwanted { output, chunk })?;
                }
                self.handle(Event::Located(outputs))?;
            }
            for worker in news.lost {
                self.handle(Event::Lost(worker))?;
            }
            for tasks in news.chunks_lost {
                self.handle(Event::ChunksLost(tasks))?;
            }
            for (get, answer) in news.answers {
                self.answered(get, answer)?;
            }
            self.handle(Event::Tick)?;
        }
        Ok(std::mem::take(&mut self.found))
    }

    fn answered(&mut self, get: GetId, answer: Answer) -> Result<()> {
        let Some(request) = self.open.remove(&get) else { return Ok(()) };
        match answer {
            Answer::Chunk(chunk) => {
                self.keep((request.output, request.chunk.0), chunk)?;
                self.handle(Event::Got(get))
            }
            Answer::Nothing(why) => self.handle(Event::Failed { get, why }),
            Answer::Wrong(error) => Err(error.into()),
        }
    }

    fn keep(&mut self, at: (usize, u64), chunk: Chunk) -> Result<()> {
        self.bytes += chunk.bytes() as u64;
        let replaced = self.found.insert(at, chunk);
        self.bytes -= replaced.map_or(0, |chunk| chunk.bytes() as u64);
        match self.bytes_max {
            limit if self.bytes > limit => Err(Error::TooLargeToGather { bytes: self.bytes, limit }),
            _ => Ok(()),
        }
    }

    fn handle(&mut self, event: Event) -> Result<()> {
        let mut actions = Vec::new();
        self.core.handle(self.started.elapsed().as_micros() as u64, event, &mut actions);
        actions.into_iter().try_for_each(|action| self.act(action))
    }

    fn act(&mut self, action: Action) -> Result<()> {
        match action {
            Action::Get { get, output, key, from } => self.ask(get, output, key, from),
            Action::Stop(get) => drop(self.open.remove(&get)),
            Action::Complete => self.complete = true,
            Action::GiveUp { from, key, tried_us, why } => {
                let at = self.located.as_ref().map(|l| l.holder(from).addresses.join(" "));
                let what = format!("chunk {} of the result", key.chunk.0);
                return Err(out_of_reach(&what, (from, at), tried_us, &why).into());
            }
        }
        Ok(())
    }

    fn ask(&mut self, get: GetId, output: usize, key: TaskKey, from: WorkerId) {
        let located = self.located.as_ref().expect("who is asked was named by the scheduler");
        let (holder, board, fetcher) = (located.holder(from), Arc::clone(self.board), self.seen.fetcher());
        let taker = move |answer| board.answer(fetcher, get, answer);
        let asked = self.data.get(&holder, key, Box::new(taker));
        self.open.insert(get, Request { output, chunk: key.chunk, _asked: asked });
    }
}

/// What is on a worker that the scheduler reaches, at these addresses, and this process does not.
pub(super) fn out_of_reach(
    what: &str,
    (from, at): (WorkerId, Option<String>),
    tried_us: u64,
    why: &str,
) -> ClusterError {
    ClusterError::OutOfReach(format!(
        "{what} cannot be fetched from worker {} at {}, which the scheduler can reach; tried for {:.0} s: {why}",
        from.0,
        at.filter(|at| !at.is_empty()).unwrap_or_else(|| "no address".into()),
        tried_us as f64 / 1e6
    ))
}

impl Drop for Fetch<'_> {
    fn drop(&mut self) {
        self.board.leave(self.seen.fetcher());
    }
}

//! What the scheduler last said of a job, for whoever waits for news of it: the latest of each kind counts, so nothing
//! piles up where nobody looks.
//!
//! Owns the waiting. Must not know what is done about the news.

use super::data::{Answer, Holder};
use super::progress::Progress;
use crate::error::{ClusterError, Error, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tilework_client_core::GetId;
use tilework_kernels::Chunk;
use tilework_plan::{Figures, Holding, JobError, TaskKey, TaskRange, Update, WorkerId};
use tilework_proto::Inlined;

/// What the outputs of a finished job are made of.
pub(super) struct Located {
    pub(super) outputs: Vec<Vec<Holding>>,
    /// Those chunks that came with the news, by their outputs and numbers.
    pub(super) here: BTreeMap<(usize, u64), Chunk>,
    addresses: BTreeMap<WorkerId, Vec<String>>,
    /// What the job took until then.
    pub(super) figures: Figures,
}

impl Located {
    /// A worker and where it is.
    pub(super) fn holder(&self, worker: WorkerId) -> Holder {
        Holder { worker, addresses: self.addresses.get(&worker).cloned().unwrap_or_default() }
    }
}

/// One who fetches chunks, to whom answers are addressed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Fetcher(u64);

#[derive(Default)]
struct State {
    progress: Option<(u64, u64)>,
    located: Option<Arc<Located>>,
    /// How often that was said.
    n_located: u64,
    /// Workers that are gone since it was last said.
    lost: BTreeSet<WorkerId>,
    /// Chunks that are lost since then.
    chunks_lost: Vec<TaskRange>,
    /// Why there will be no more news.
    ended: Option<End>,
    n_fetchers: u64,
    answers: BTreeMap<Fetcher, Vec<(GetId, Answer)>>,
}

#[derive(Clone)]
enum End {
    Failed(JobError),
    Closed(ClusterError),
}

impl End {
    fn error(&self) -> Error {
        match self {
            End::Failed(error) => error.clone().into(),
            End::Closed(why) => why.clone().into(),
        }
    }
}

/// Chunks that came with the news of them.
fn chunks_of(inlined: &[Inlined], outputs: &[Vec<Holding>]) -> BTreeMap<(usize, u64), Chunk> {
    let mut here = BTreeMap::new();
    for key in inlined.iter().flat_map(|i| i.tasks.keys().map(move |key| (i, key))) {
        let (inlined, TaskKey { job, stage, chunk }) = key;
        let names = |h: &Holding| {
            (h.chunks.job, h.chunks.stage) == (job, stage) && h.chunks.chunks.contains(&chunk.0)
        };
        let made = inlined.of(chunk.0).unwrap_or(&[]);
        // Err: it is none. It will be asked for.
        let Ok(made) = Chunk::from_bytes(&inlined.dtypes, &inlined.shape, made) else { continue };
        for (output, _) in outputs.iter().enumerate().filter(|(_, all)| all.iter().any(names)) {
            here.insert((output, chunk.0), made.clone());
        }
    }
    here
}

/// News of one job.
#[derive(Default)]
pub(super) struct Board {
    state: Mutex<State>,
    changed: Condvar,
}

/// What is new to a fetcher.
pub(super) struct News {
    pub(super) located: Option<Arc<Located>>,
    pub(super) lost: Vec<WorkerId>,
    pub(super) chunks_lost: Vec<TaskRange>,
    pub(super) answers: Vec<(GetId, Answer)>,
}

/// Which news a fetcher has seen.
pub(super) struct Seen {
    fetcher: Fetcher,
    n_located: u64,
    lost: BTreeSet<WorkerId>,
    n_chunks_lost: usize,
}

impl Seen {
    pub(super) fn fetcher(&self) -> Fetcher {
        self.fetcher
    }
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what the scheduler says, and small results among those that it names.
    pub(super) fn tell(&self, update: Update, inlined: &[Inlined]) {
        let mut state = self.lock();
        match update {
            Update::Progress { done, total } => state.progress = Some((done, total)),
            Update::Done { outputs, addresses, figures } => {
                let addresses = addresses.into_iter().collect();
                let here = chunks_of(inlined, &outputs);
                state.located = Some(Arc::new(Located { outputs, here, addresses, figures }));
                state.n_located += 1;
                state.lost.clear();
                state.chunks_lost.clear();
            }
            Update::ChunksLost { tasks } => state.chunks_lost.push(tasks),
            Update::Lost { worker } => drop(state.lost.insert(worker)),
            Update::Failed(error) => drop(state.ended.get_or_insert(End::Failed(error))),
            Update::Upload { .. } | Update::Made { .. } | Update::TasksFailed { .. } => return,
        }
        drop(state);
        self.changed.notify_all();
    }

    /// No more news will come.
    pub(super) fn close(&self, why: &ClusterError) {
        self.lock().ended.get_or_insert_with(|| End::Closed(why.clone()));
        self.changed.notify_all();
    }

    /// Why no more news will come, where that is not the job's own failure.
    pub(super) fn closed(&self) -> Option<ClusterError> {
        match &self.lock().ended {
            Some(End::Closed(why)) => Some(why.clone()),
            _ => None,
        }
    }

    /// Waits until all outputs exist.
    pub(super) fn done(&self, progress: &mut Progress) -> Result<Arc<Located>> {
        let mut state = self.lock();
        loop {
            if let Some((done, total)) = state.progress.take() {
                drop(state);
                progress.show(done, total);
                state = self.lock();
            }
            // What failed since need not concern whoever waits for what is there.
            if let Some(located) = &state.located {
                let located = Arc::clone(located);
                drop(state);
                progress.finish();
                return Ok(located);
            }
            if let Some(end) = &state.ended {
                return Err(end.error());
            }
            if state.progress.is_none() {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// One more who fetches chunks.
    pub(super) fn enter(&self) -> Seen {
        let mut state = self.lock();
        state.n_fetchers += 1;
        let fetcher = Fetcher(state.n_fetchers);
        state.answers.insert(fetcher, Vec::new());
        Seen { fetcher, n_located: 0, lost: BTreeSet::new(), n_chunks_lost: 0 }
    }

    /// Nobody waits for answers to this one any more.
    pub(super) fn leave(&self, fetcher: Fetcher) {
        let answers = self.lock().answers.remove(&fetcher);
        drop(answers);
    }

    /// An answer to a request.
    pub(super) fn answer(&self, fetcher: Fetcher, get: GetId, answer: Answer) {
        let mut state = self.lock();
        if let Some(answers) = state.answers.get_mut(&fetcher) {
            answers.push((get, answer));
            drop(state);
            self.changed.notify_all();
        }
    }

    /// Waits for something new, at most so long.
    ///
    /// # Errors
    /// Where the job has failed, or no more news will come.
    pub(super) fn news(&self, seen: &mut Seen, at_most: Option<Duration>) -> Result<News> {
        let mut state = self.lock();
        let mut waited = false;
        loop {
            if let Some(end) = &state.ended {
                return Err(end.error());
            }
            let answers = state.answers.get_mut(&seen.fetcher).map(std::mem::take).unwrap_or_default();
            let located = state.located.clone().filter(|_| state.n_located != seen.n_located);
            if located.is_some() {
                seen.n_located = state.n_located;
                seen.lost.clear();
                seen.n_chunks_lost = 0;
            }
            let lost: Vec<WorkerId> = state.lost.difference(&seen.lost).copied().collect();
            seen.lost.extend(&lost);
            let chunks_lost = state.chunks_lost[seen.n_chunks_lost..].to_vec();
            seen.n_chunks_lost = state.chunks_lost.len();
            let of_others = !lost.is_empty() || !chunks_lost.is_empty();
            if waited || located.is_some() || of_others || !answers.is_empty() {
                return Ok(News { located, lost, chunks_lost, answers });
            }
            state = match at_most {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(most) => {
                    let timed =
                        self.changed.wait_timeout(state, most).unwrap_or_else(PoisonError::into_inner);
                    waited = timed.1.timed_out();
                    timed.0
                }
            };
        }
    }
}

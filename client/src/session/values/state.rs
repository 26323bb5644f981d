//! What is known of each value of a job, who waits for which, and what follows from news: a list of what is to be done.
//!
//! Must not do any of it, nor know the session.

use super::let_go::LetGo;
use super::{Failure, Interest, Place, Reads, Sink, What};
use crate::error::ClusterError;
use crate::session::data::{Asked, Holder};
use crate::session::fetch::out_of_reach;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tilework_client_core::{Action, Event, Gather, GetId, Limits};
use tilework_expr::DType;
use tilework_kernels::{Chunk, Plane};
use tilework_plan::{Holding, JobError, TaskKey, Update, WorkerId};
use tilework_proto::Inlined;

/// Bytes of values that a session keeps that came with the news of them: more are asked for when they are wanted.
pub(super) const KEPT_BYTES_MAX: usize = 64 << 20;

/// What is known of a value.
pub(super) enum Slot {
    Pending,
    At(TaskKey, WorkerId),
    /// It came with the news that it exists; whatever becomes of it elsewhere, it is here.
    Here(Box<[u8]>),
    /// It was made, and is made again.
    Lost,
    /// Nobody has a handle on it any more; whether it was made.
    Gone(bool),
    Failed(Arc<JobError>),
}

/// Bytes of values that came with the news of them and are kept for whoever asks, of all jobs of a session.
#[derive(Default)]
pub(in super::super) struct Kept(pub(super) AtomicUsize);

impl Kept {
    /// What one takes besides its bytes.
    pub(super) const EACH: usize = 32;

    /// Whether one more may be kept; if so, it counts.
    fn take(&self, len: usize) -> bool {
        let taken = self.0.fetch_add(len + Self::EACH, Ordering::Relaxed) + len + Self::EACH;
        if taken > KEPT_BYTES_MAX {
            self.0.fetch_sub(len + Self::EACH, Ordering::Relaxed);
        }
        taken <= KEPT_BYTES_MAX
    }

    fn give(&self, len: usize) {
        self.0.fetch_sub(len + Self::EACH, Ordering::Relaxed);
    }
}

/// What is to be done without the lock.
pub(super) enum Todo {
    Ask { get: GetId, from: Holder, key: TaskKey },
    Stop(Asked),
    Tell(Box<dyn FnOnce() + Send>),
    Deliver(Sink, std::result::Result<Plane, Failure>),
}

/// All values of a job.
pub(super) struct State {
    pub(super) core: Gather,
    pub(super) outputs: Vec<Vec<Slot>>,
    kept: Arc<Kept>,
    addresses: BTreeMap<WorkerId, Vec<String>>,
    pub(super) open: BTreeMap<GetId, (Place, Option<Asked>)>,
    interests: BTreeMap<Place, Vec<Interest>>,
    /// Values on which nobody has a handle any more, of which the scheduler was not told.
    pub(super) let_go: LetGo,
    /// What it reads of what this process puts, until all values exist or no more news will come.
    pub(super) read: Reads,
    /// Why no more news will come.
    pub(super) ended: Option<Failure>,
    pub(super) todo: VecDeque<Todo>,
    /// Whether somebody does what is to be done.
    pub(super) driven: bool,
    /// When the clock is to say that time has passed, as it was told.
    pub(super) wake_us: Option<u64>,
}

impl Drop for State {
    fn drop(&mut self) {
        for slot in self.outputs.iter().flatten() {
            if let Slot::Here(bytes) = slot {
                self.kept.give(bytes.len());
            }
        }
    }
}

/// A value as what asks for it gets it.
fn plane(bytes: &[u8]) -> std::result::Result<Plane, Failure> {
    let made = Chunk::from_bytes(&[DType::U8], &[bytes.len()], bytes).map(|mut chunk| chunk.planes.pop());
    made.ok().flatten().ok_or_else(not_a_value)
}

/// Of what came in the place of a value.
pub(super) fn not_a_value() -> Failure {
    Failure::Cluster(ClusterError::Malformed("what came is not the bytes of a value".into()))
}

impl State {
    /// Of so many values each output.
    pub(super) fn new(lens: &[usize], limits: Limits, kept: Arc<Kept>) -> State {
        let pending = |&n: &usize| (0..n).map(|_| Slot::Pending).collect();
        State {
            core: Gather::of_wanted(limits),
            outputs: lens.iter().map(pending).collect(),
            kept,
            addresses: BTreeMap::new(),
            open: BTreeMap::new(),
            interests: BTreeMap::new(),
            let_go: LetGo::new(),
            read: Reads::default(),
            ended: None,
            todo: VecDeque::new(),
            driven: false,
            wake_us: None,
        }
    }

    /// Takes in what the scheduler says, and small results among those that it names.
    pub(super) fn tell(&mut self, update: Update, inlined: &[Inlined], now_us: u64) {
        match update {
            Update::Made { outputs, addresses } => {
                self.addresses.extend(addresses);
                self.made(&outputs, inlined, now_us);
            }
            Update::Done { outputs, addresses, .. } => {
                self.addresses.extend(addresses);
                self.made(&outputs, inlined, now_us);
                self.has_read();
            }
            Update::TasksFailed { output, values, error } => {
                let error = Arc::new(error);
                for value in values {
                    let place = (output as usize, value);
                    self.set(place, Slot::Failed(Arc::clone(&error)));
                    self.give_up(place, &Failure::Job((*error).clone()));
                    self.handle(now_us, Event::Unwanted { output: place.0, chunk: value });
                }
            }
            Update::Lost { worker } => {
                let at = |slot: &&mut Slot| matches!(slot, Slot::At(_, w) if *w == worker);
                self.outputs.iter_mut().flatten().filter(at).for_each(|slot| *slot = Slot::Lost);
                self.handle(now_us, Event::Lost(worker));
            }
            Update::ChunksLost { tasks } => {
                let of = |key: &TaskKey| (key.job, key.stage) == (tasks.job, tasks.stage);
                for slots in &mut self.outputs {
                    let len = slots.len() as u64;
                    let lost = tasks.chunks.start.min(len) as usize..tasks.chunks.end.min(len) as usize;
                    let there = |slot: &&mut Slot| matches!(slot, Slot::At(key, _) if of(key));
                    slots[lost].iter_mut().filter(there).for_each(|slot| *slot = Slot::Lost);
                }
                self.handle(now_us, Event::ChunksLost(tasks));
            }
            Update::Failed(error) => self.end(&Failure::AllOfJob(error)),
            Update::Progress { .. } | Update::Upload { .. } => {}
        }
    }

    pub(super) fn set(&mut self, (output, value): Place, slot: Slot) {
        if let Some(there) = self.outputs.get_mut(output).and_then(|o| o.get_mut(value as usize))
            && let Slot::Here(bytes) = std::mem::replace(there, slot)
        {
            self.kept.give(bytes.len());
        }
    }

    pub(super) fn wait(&mut self, place: Place, interest: Interest, now_us: u64) {
        if let Some(why) = &self.ended {
            let why = why.clone();
            return self.answer(interest, Err(why));
        }
        match (&self.outputs[place.0][place.1 as usize], &interest.what) {
            (Slot::Failed(error), _) => {
                let why = Failure::Job((**error).clone());
                self.answer(interest, Err(why));
            }
            (Slot::At(..) | Slot::Here(_) | Slot::Lost | Slot::Gone(true), What::Settled(_)) => {
                self.answer(interest, Err(Failure::Cancelled));
            }
            (Slot::Here(bytes), What::Bytes(_)) => {
                let bytes = plane(bytes);
                self.answer(interest, bytes);
            }
            (&Slot::At(key, from), What::Bytes(_)) => {
                self.keep(place, interest);
                self.handle(now_us, Event::Wanted { output: place.0, key, from });
            }
            (Slot::Gone(_), What::Bytes(_)) => self.answer(interest, Err(Failure::Cancelled)),
            (Slot::Pending | Slot::Lost | Slot::Gone(false), _) => self.keep(place, interest),
        }
    }

    /// Keeps an interest, and forgets those whose owners wait no longer as often as there are twice as many.
    fn keep(&mut self, place: Place, interest: Interest) {
        let kept = self.interests.entry(place).or_default();
        if kept.len().is_power_of_two() {
            kept.retain(|interest| interest.alive.strong_count() > 0);
        }
        kept.push(interest);
    }

    /// Tells who waits; bytes are nothing to those who want to know that there are some.
    fn answer(&mut self, interest: Interest, bytes: std::result::Result<Plane, Failure>) {
        self.todo.push_back(match interest.what {
            What::Settled(told) => Todo::Tell(told),
            What::Bytes(sink) => Todo::Deliver(sink, bytes),
        });
    }

    pub(super) fn deliver(&mut self, place: Place, bytes: &std::result::Result<Plane, Failure>) {
        let interests = self.interests.remove(&place).unwrap_or_default();
        interests.into_iter().for_each(|interest| self.answer(interest, bytes.clone()));
    }

    pub(super) fn give_up(&mut self, place: Place, why: &Failure) {
        self.deliver(place, &Err(why.clone()));
    }

    pub(super) fn end(&mut self, why: &Failure) {
        if self.ended.is_none() {
            self.ended = Some(why.clone());
            self.has_read();
            let places: Vec<Place> = self.interests.keys().copied().collect();
            places.into_iter().for_each(|place| self.give_up(place, why));
            let stopped = std::mem::take(&mut self.open).into_values().filter_map(|(_, asked)| asked);
            self.todo.extend(stopped.map(Todo::Stop));
        }
    }

    /// The jobs that it reads are read.
    fn has_read(&mut self) {
        let read = std::mem::take(&mut self.read);
        if !read.is_empty() {
            // They are released without the lock.
            self.todo.push_back(Todo::Tell(Box::new(move || drop(read))));
        }
    }

    /// Values have come to exist, or do so again; the bytes of some came with the news.
    fn made(&mut self, outputs: &[Vec<Holding>], inlined: &[Inlined], now_us: u64) {
        for (output, holdings) in outputs.iter().enumerate() {
            for Holding { chunks, worker } in holdings {
                for key in chunks.keys() {
                    let before = |i: &Inlined| {
                        let t = &i.tasks;
                        (t.job, t.stage, t.chunks.end) <= (key.job, key.stage, key.chunk.0)
                    };
                    // They rise.
                    let came = inlined.get(inlined.partition_point(before));
                    let same = |i: &&Inlined| (i.tasks.job, i.tasks.stage) == (key.job, key.stage);
                    let bytes = came.filter(same).and_then(|i| i.of(key.chunk.0));
                    self.made_one((output, key.chunk.0), (key, *worker, bytes), now_us);
                }
            }
        }
    }

    fn made_one(
        &mut self,
        place: Place,
        (key, from, bytes): (TaskKey, WorkerId, Option<&[u8]>),
        now_us: u64,
    ) {
        let Some(slot) = self.outputs.get(place.0).and_then(|o| o.get(place.1 as usize)) else { return };
        match slot {
            Slot::Here(_) => {}
            Slot::Gone(_) => self.set(place, Slot::Gone(true)),
            _ => {
                let kept = bytes.filter(|bytes| self.kept.take(bytes.len()));
                self.set(place, kept.map_or(Slot::At(key, from), |bytes| Slot::Here(bytes.into())));
            }
        }
        let Some(interests) = self.interests.remove(&place) else { return };
        let (told, waiting): (Vec<_>, Vec<_>) =
            interests.into_iter().partition(|i| matches!(i.what, What::Settled(_)));
        told.into_iter().for_each(|interest| self.answer(interest, Err(Failure::Cancelled)));
        if waiting.is_empty() {
            return;
        }
        let (output, chunk) = place;
        match bytes.map(plane) {
            Some(bytes) => {
                waiting.into_iter().for_each(|interest| self.answer(interest, bytes.clone()));
                self.handle(now_us, Event::Unwanted { output, chunk });
            }
            None => {
                self.interests.insert(place, waiting);
                self.handle(now_us, Event::Wanted { output, key, from });
            }
        }
    }

    pub(super) fn handle(&mut self, now_us: u64, event: Event) {
        if self.ended.is_some() {
            return;
        }
        let mut actions = Vec::new();
        self.core.handle(now_us, event, &mut actions);
        actions.into_iter().for_each(|action| self.act(action));
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Get { get, output, key, from } => {
                self.open.insert(get, ((output, key.chunk.0), None));
                let addresses = self.addresses.get(&from).cloned().unwrap_or_default();
                self.todo.push_back(Todo::Ask { get, from: Holder { worker: from, addresses }, key });
            }
            Action::Stop(get) => {
                let asked = self.open.remove(&get).and_then(|(_, asked)| asked);
                self.todo.extend(asked.map(Todo::Stop));
            }
            Action::Complete => {}
            Action::GiveUp { from, tried_us, why, .. } => {
                let at = self.addresses.get(&from).map(|at| at.join(" "));
                let why = out_of_reach("a value", (from, at), tried_us, &why);
                let there = |place: &Place| {
                    let slot = &self.outputs[place.0][place.1 as usize];
                    matches!(slot, Slot::At(_, worker) if *worker == from)
                };
                let places: Vec<Place> = self.interests.keys().copied().filter(there).collect();
                places.into_iter().for_each(|place| self.give_up(place, &Failure::Cluster(why.clone())));
            }
        }
    }
}

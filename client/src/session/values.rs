//! The values of one job, as they come to exist: which there are, where they are, and who waits for which. Nobody's thread
//! is needed for it: whoever brings news does what follows from them.
//!
//! Owns the requests under way. Must not know what values mean, nor decide whom to ask and when again.

use super::Session;
use super::data::{Answer, Asked, DataPlane, Holder};
use super::jobs::{Audience, Literals, Submitted};
use crate::error::{Error, Result};
use crate::futures::{Clock, FutureError};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};
use tilework_client_core::{Action, Event, Gather, GetId, Limits};
use tilework_expr::Program;
use tilework_kernels::Plane;
use tilework_plan::{Holding, JobError, JobId, TaskKey, Update, WorkerId};

/// Requests at a time: values are small.
const GETS_MAX: usize = 128;
/// Requests to one worker at a time.
const GETS_PER_WORKER_MAX: usize = 32;

/// Why there is no value.
#[derive(Clone)]
pub(crate) enum Failure {
    /// Its task or its job failed.
    Job(JobError),
    /// The cluster was lost, or a worker cannot be reached.
    Cluster(String),
    /// It never got to the scheduler.
    NotSent(String),
    /// Nobody wants it any more.
    Cancelled,
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Error {
        match failure {
            Failure::Job(JobError::Operation { chunk, message, .. }) => {
                FutureError::Failed { call: chunk, message }.into()
            }
            Failure::Job(error) => error.into(),
            Failure::Cluster(why) => Error::Cluster(why),
            Failure::NotSent(why) => FutureError::NotSent(why).into(),
            Failure::Cancelled => FutureError::Cancelled.into(),
        }
    }
}

/// Takes a value's bytes; it may be called on any thread, and must not wait.
pub(crate) type Sink = Box<dyn FnOnce(std::result::Result<Plane, Failure>) + Send>;

/// What somebody waits for, and whether they still do.
pub(crate) struct Interest {
    what: What,
    alive: Weak<()>,
}

impl Interest {
    /// In something as long as `alive` lives.
    pub(crate) fn new(what: What, alive: &Arc<()>) -> Interest {
        Interest { what, alive: Arc::downgrade(alive) }
    }
}

/// What is waited for.
pub(crate) enum What {
    /// That it is made, or fails.
    Settled(Box<dyn FnOnce() + Send>),
    /// Its bytes, or why there are none.
    Bytes(Sink),
}

/// An output and which of its values.
type Place = (usize, u64);

enum Slot {
    Pending,
    At(TaskKey, WorkerId),
    /// It was made, and is made again.
    Lost,
    Failed(Arc<JobError>),
}

/// What is to be done without the lock.
enum Todo {
    Ask { get: GetId, from: Holder, key: TaskKey },
    Stop(Asked),
    Tell(Box<dyn FnOnce() + Send>),
    Deliver(Sink, std::result::Result<Plane, Failure>),
}

struct State {
    core: Gather,
    outputs: Vec<Vec<Slot>>,
    addresses: BTreeMap<WorkerId, Vec<String>>,
    open: BTreeMap<GetId, (Place, Option<Asked>)>,
    interests: BTreeMap<Place, Vec<Interest>>,
    /// Why no more news will come.
    ended: Option<Failure>,
    todo: VecDeque<Todo>,
    /// Whether somebody does what is to be done.
    driven: bool,
    /// When the clock is to say that time has passed, as it was told.
    wake_us: Option<u64>,
}

/// The news of one job of values, and those who wait for them.
pub(crate) struct Values {
    me: Weak<Values>,
    started: Instant,
    state: Mutex<State>,
    data: Arc<dyn DataPlane>,
    clock: Arc<Clock>,
}

/// A job of values, which is released with this.
pub(crate) struct ValuesJob {
    pub(crate) values: Arc<Values>,
    /// Values of each output.
    pub(crate) lens: Vec<usize>,
    /// Whether this process puts some of what it is made of.
    puts: bool,
    submitted: Submitted,
}

impl ValuesJob {
    pub(crate) fn id(&self) -> JobId {
        self.submitted.id()
    }

    /// A job that was sent reads a value of this one, which stays until the value is made: where this process lets go of a
    /// job before it has put everything, what others read of it fails.
    pub(crate) fn is_read(self: &Arc<Self>, place: (usize, u64)) {
        if self.puts {
            let (alive, kept) = (Arc::new(()), Arc::clone(self));
            let token = Arc::clone(&alive);
            let told = move || drop((kept, token));
            self.values.when(place, Interest::new(What::Settled(Box::new(told)), &alive));
        }
    }
}

impl Session {
    /// Submits a program whose outputs are so many values each.
    pub(crate) fn start_values(
        &self,
        program: Program,
        literals: Literals,
        lens: Vec<usize>,
        clock: &Arc<Clock>,
    ) -> Result<ValuesJob> {
        let values = Values::new(&lens, Arc::clone(&self.0.data), Arc::clone(clock));
        let puts = !literals.is_empty();
        let submitted = self.0.jobs.submit_to(Arc::clone(&values) as _, Arc::new(program), literals)?;
        Ok(ValuesJob { values, lens, puts, submitted })
    }
}

impl Values {
    fn new(lens: &[usize], data: Arc<dyn DataPlane>, clock: Arc<Clock>) -> Arc<Values> {
        let limits =
            Limits { gets_max: GETS_MAX, gets_per_worker_max: GETS_PER_WORKER_MAX, ..Limits::default() };
        let pending = |&n: &usize| (0..n).map(|_| Slot::Pending).collect();
        let state = State {
            core: Gather::of_wanted(limits),
            outputs: lens.iter().map(pending).collect(),
            addresses: BTreeMap::new(),
            open: BTreeMap::new(),
            interests: BTreeMap::new(),
            ended: None,
            todo: VecDeque::new(),
            driven: false,
            wake_us: None,
        };
        let (started, state) = (Instant::now(), Mutex::new(state));
        Arc::new_cyclic(|me| Values { me: me.clone(), started, state, data, clock })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_us(&self) -> u64 {
        self.started.elapsed().as_micros() as u64
    }

    /// Whether a value is made, or will not be.
    pub(crate) fn is_settled(&self, output: usize, value: u64) -> bool {
        let state = self.lock();
        state.ended.is_some() || !matches!(state.outputs[output][value as usize], Slot::Pending)
    }

    /// Why nothing of this job is to be had any more.
    pub(crate) fn ended(&self) -> Option<Failure> {
        self.lock().ended.clone()
    }

    /// Somebody waits for something of a value; it may be there already.
    pub(crate) fn when(&self, (output, value): Place, interest: Interest) {
        let mut state = self.lock();
        state.wait((output, value), interest, self.now_us());
        self.drive(state);
    }

    /// Whoever waits for a value waits no longer.
    pub(crate) fn cancel(&self, (output, value): Place) {
        let mut state = self.lock();
        state.give_up((output, value), &Failure::Cancelled);
        state.handle(self.now_us(), Event::Unwanted { output, chunk: value });
        self.drive(state);
    }

    /// Time has passed.
    pub(crate) fn tick(&self) {
        let mut state = self.lock();
        state.wake_us = None;
        state.handle(self.now_us(), Event::Tick);
        self.drive(state);
    }

    fn answered(&self, get: GetId, answer: Answer) {
        let mut state = self.lock();
        let now_us = self.now_us();
        let Some((place, _)) = state.open.remove(&get) else { return };
        match answer {
            Answer::Chunk(mut chunk) => {
                let plane = chunk.planes.pop().filter(|p| chunk.planes.is_empty() && p.is_contiguous());
                let bytes =
                    plane.ok_or_else(|| Failure::Cluster("what came is not the bytes of a value".into()));
                state.deliver(place, &bytes);
                state.handle(now_us, Event::Got(get));
            }
            Answer::Nothing(why) => state.handle(now_us, Event::Failed { get, why }),
            Answer::Wrong(error) => {
                state.deliver(place, &Err(Failure::Cluster(error.to_string())));
                state.handle(now_us, Event::Got(get));
            }
        }
        self.drive(state);
    }

    /// Does what is to be done, if nobody else does; one after another, so that an answer that comes at once does not call
    /// for the next within itself.
    fn drive<'a>(&'a self, mut state: MutexGuard<'a, State>) {
        if state.driven {
            return;
        }
        state.driven = true;
        while let Some(todo) = state.todo.pop_front() {
            drop(state);
            let asked = match todo {
                Todo::Ask { get, from, key } => Some((get, self.ask(get, &from, key))),
                Todo::Stop(asked) => {
                    drop(asked);
                    None
                }
                Todo::Tell(told) => {
                    told();
                    None
                }
                Todo::Deliver(sink, bytes) => {
                    sink(bytes);
                    None
                }
            };
            state = self.lock();
            if let Some((get, asked)) = asked
                && let Some((_, kept)) = state.open.get_mut(&get)
            {
                *kept = Some(asked);
            }
        }
        state.driven = false;
        let wake_us = state.core.next_wake_us().filter(|_| state.ended.is_none());
        let sooner = wake_us.filter(|at| state.wake_us.is_none_or(|told| *at < told));
        state.wake_us = sooner.or(state.wake_us);
        drop(state);
        if let Some(at) = sooner {
            self.clock.tick(self.started + Duration::from_micros(at), self.me.clone());
        }
    }

    fn ask(&self, get: GetId, from: &Holder, key: TaskKey) -> Asked {
        let me = self.me.clone();
        let taker = move |answer| {
            if let Some(values) = me.upgrade() {
                values.answered(get, answer);
            }
        };
        self.data.get(from, key, Box::new(taker))
    }
}

impl Audience for Values {
    fn tell(&self, update: Update) {
        let mut state = self.lock();
        let now_us = self.now_us();
        match update {
            Update::Made { outputs, addresses } | Update::Done { outputs, addresses, .. } => {
                state.addresses.extend(addresses);
                state.made(&outputs, now_us);
            }
            Update::TasksFailed { output, values, error } => {
                let error = Arc::new(error);
                for value in values {
                    let place = (output as usize, value);
                    state.set(place, Slot::Failed(Arc::clone(&error)));
                    state.give_up(place, &Failure::Job((*error).clone()));
                    state.handle(now_us, Event::Unwanted { output: place.0, chunk: value });
                }
            }
            Update::Lost { worker } => {
                let at = |slot: &&mut Slot| matches!(slot, Slot::At(_, w) if *w == worker);
                state.outputs.iter_mut().flatten().filter(at).for_each(|slot| *slot = Slot::Lost);
                state.handle(now_us, Event::Lost(worker));
            }
            Update::ChunksLost { tasks } => {
                let of = |key: &TaskKey| (key.job, key.stage) == (tasks.job, tasks.stage);
                for slots in &mut state.outputs {
                    let len = slots.len() as u64;
                    let lost = tasks.chunks.start.min(len) as usize..tasks.chunks.end.min(len) as usize;
                    let there = |slot: &&mut Slot| matches!(slot, Slot::At(key, _) if of(key));
                    slots[lost].iter_mut().filter(there).for_each(|slot| *slot = Slot::Lost);
                }
                state.handle(now_us, Event::ChunksLost(tasks));
            }
            Update::Failed(error) => state.end(&Failure::Job(error)),
            Update::Progress { .. } | Update::Upload { .. } => {}
        }
        self.drive(state);
    }

    fn close(&self, why: &str) {
        let mut state = self.lock();
        state.end(&Failure::Cluster(why.to_owned()));
        self.drive(state);
    }

    fn is_waited_for(&self) -> bool {
        false
    }
}

impl State {
    fn set(&mut self, (output, value): Place, slot: Slot) {
        if let Some(kept) = self.outputs.get_mut(output).and_then(|o| o.get_mut(value as usize)) {
            *kept = slot;
        }
    }

    fn wait(&mut self, place: Place, interest: Interest, now_us: u64) {
        if let Some(why) = &self.ended {
            let why = why.clone();
            return self.answer(interest, Err(why));
        }
        match (&self.outputs[place.0][place.1 as usize], &interest.what) {
            (Slot::Failed(error), _) => {
                let why = Failure::Job((**error).clone());
                self.answer(interest, Err(why));
            }
            (Slot::At(..) | Slot::Lost, What::Settled(_)) => self.answer(interest, Err(Failure::Cancelled)),
            (&Slot::At(key, from), What::Bytes(_)) => {
                self.keep(place, interest);
                self.handle(now_us, Event::Wanted { output: place.0, key, from });
            }
            (Slot::Pending | Slot::Lost, _) => self.keep(place, interest),
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

    fn deliver(&mut self, place: Place, bytes: &std::result::Result<Plane, Failure>) {
        let interests = self.interests.remove(&place).unwrap_or_default();
        interests.into_iter().for_each(|interest| self.answer(interest, bytes.clone()));
    }

    fn give_up(&mut self, place: Place, why: &Failure) {
        self.deliver(place, &Err(why.clone()));
    }

    fn end(&mut self, why: &Failure) {
        if self.ended.is_none() {
            self.ended = Some(why.clone());
            let places: Vec<Place> = self.interests.keys().copied().collect();
            places.into_iter().for_each(|place| self.give_up(place, why));
            let stopped = std::mem::take(&mut self.open).into_values().filter_map(|(_, asked)| asked);
            self.todo.extend(stopped.map(Todo::Stop));
        }
    }

    /// Values have come to exist, or do so again.
    fn made(&mut self, outputs: &[Vec<Holding>], now_us: u64) {
        for (output, holdings) in outputs.iter().enumerate() {
            for Holding { chunks, worker } in holdings {
                for key in chunks.keys() {
                    self.made_one((output, key.chunk.0), (key, *worker), now_us);
                }
            }
        }
    }

    fn made_one(&mut self, place: Place, (key, worker): (TaskKey, WorkerId), now_us: u64) {
        self.set(place, Slot::At(key, worker));
        let Some(interests) = self.interests.remove(&place) else { return };
        let (told, waiting): (Vec<_>, Vec<_>) =
            interests.into_iter().partition(|i| matches!(i.what, What::Settled(_)));
        told.into_iter().for_each(|interest| self.answer(interest, Err(Failure::Cancelled)));
        if !waiting.is_empty() {
            self.interests.insert(place, waiting);
            self.handle(now_us, Event::Wanted { output: place.0, key, from: worker });
        }
    }

    fn handle(&mut self, now_us: u64, event: Event) {
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
                let at = self.addresses.get(&from).map(|at| at.join(" ")).filter(|at| !at.is_empty());
                let text = format!(
                    "a value cannot be fetched from worker {} at {}, which the scheduler can reach; tried for {:.0} s: {why}",
                    from.0,
                    at.unwrap_or_else(|| "no address".into()),
                    tried_us as f64 / 1e6
                );
                let there = |place: &Place| {
                    let slot = &self.outputs[place.0][place.1 as usize];
                    matches!(slot, Slot::At(_, worker) if *worker == from)
                };
                let places: Vec<Place> = self.interests.keys().copied().filter(there).collect();
                places.into_iter().for_each(|place| self.give_up(place, &Failure::Cluster(text.clone())));
            }
        }
    }
}

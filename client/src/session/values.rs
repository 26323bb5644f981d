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
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};
use tilework_client_core::{Action, Event, Gather, GetId, Limits};
use tilework_expr::{DType, Expr, Program};
use tilework_kernels::{Chunk, Plane};
use tilework_plan::{Holding, JobError, JobId, TaskKey, Update, WorkerId};
use tilework_proto::{ClientLink, Inlined, limits};

/// Requests at a time: values are small.
const GETS_MAX: usize = 128;
/// Bytes of values that a session keeps that came with the news of them: more are asked for when they are wanted.
const KEPT_BYTES_MAX: usize = 64 << 20;
/// How long those that nobody has a handle on any more wait for more of their kind before the scheduler is told, and how
/// long in all while more come: where all handles of a job go, the job does, at once.
const LET_GO_LINGER: Duration = Duration::from_millis(1);
const LET_GO_LINGER_MAX: Duration = Duration::from_millis(50);
/// Ranges of them that wait at most.
const LET_GO_MAX: usize = 1024;
/// Requests to one worker at a time.
const GETS_PER_WORKER_MAX: usize = 32;

/// Why there is no value.
#[derive(Clone)]
pub(crate) enum Failure {
    /// Its task failed, or the task of something that it reads.
    Job(JobError),
    /// All of its job failed.
    AllOfJob(JobError),
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
            Failure::Job(JobError::Deadly { chunk, deaths, last_words, .. }) => {
                let message = format!("{deaths} workers died while they ran it; the last one: {last_words}");
                FutureError::Failed { call: chunk, message }.into()
            }
            Failure::Job(error) | Failure::AllOfJob(error) => error.into(),
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
pub(super) struct Kept(AtomicUsize);

impl Kept {
    /// What one takes besides its bytes.
    const EACH: usize = 32;

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
enum Todo {
    Ask { get: GetId, from: Holder, key: TaskKey },
    Stop(Asked),
    Tell(Box<dyn FnOnce() + Send>),
    Deliver(Sink, std::result::Result<Plane, Failure>),
}

struct State {
    core: Gather,
    outputs: Vec<Vec<Slot>>,
    kept: Arc<Kept>,
    addresses: BTreeMap<WorkerId, Vec<String>>,
    open: BTreeMap<GetId, (Place, Option<Asked>)>,
    interests: BTreeMap<Place, Vec<Interest>>,
    /// Values on which nobody has a handle any more, of which the scheduler was not told.
    let_go: Vec<(u32, Range<u64>)>,
    /// When the first of those was let go of, and how many there were when that was last looked at.
    let_go_since: (Instant, u64),
    /// Whether the clock is to say when to tell it, and whether the scheduler took no message when it was to be told.
    let_go_ticks: bool,
    let_go_waits: bool,
    /// What it reads of what this process puts, until all values exist or no more news will come.
    read: Reads,
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
    /// The job, and over which connection it was submitted; absent until then.
    sent: OnceLock<(JobId, ClientLink)>,
}

/// What a job of values reads: it must be there until the job has ended.
#[derive(Default)]
pub(crate) struct Reads {
    /// Other jobs of values.
    pub(crate) jobs: Vec<Arc<ValuesJob>>,
    /// Arrays, with all that is attached to what they are made of.
    pub(crate) arrays: Vec<Expr>,
}

impl Reads {
    fn is_empty(&self) -> bool {
        self.jobs.is_empty() && self.arrays.is_empty()
    }
}

/// A job of values, which is released with this.
pub(crate) struct ValuesJob {
    pub(crate) values: Arc<Values>,
    /// Values of each output.
    pub(crate) lens: Vec<usize>,
    /// Whether this process puts some of what it is made of, or of what that is made of.
    puts: bool,
    submitted: Submitted,
}

impl ValuesJob {
    pub(crate) fn id(&self) -> JobId {
        self.submitted.id()
    }
}

impl Session {
    /// Submits a program whose outputs are so many values each, and that reads some jobs. Those of them that this process
    /// puts something to stay until the new one has ended: what a worker loses of them is put again.
    pub(crate) fn start_values(
        &self,
        (program, literals): (Program, Literals),
        lens: Vec<usize>,
        mut read: Reads,
        clock: &Arc<Clock>,
    ) -> Result<ValuesJob> {
        let values = Values::new(&lens, Arc::clone(&self.0.data), (Arc::clone(clock), self.0.kept.clone()));
        read.jobs.retain(|job| job.puts);
        let puts = !literals.is_empty() || !read.is_empty();
        values.lock().read = read;
        let submitted = self.0.jobs.submit_to(Arc::clone(&values) as _, Arc::new(program), literals)?;
        // Err: it is submitted once.
        let _ = values.sent.set((submitted.id(), submitted.link().clone()));
        Ok(ValuesJob { values, lens, puts, submitted })
    }
}

impl Values {
    fn new(lens: &[usize], data: Arc<dyn DataPlane>, (clock, kept): (Arc<Clock>, Arc<Kept>)) -> Arc<Values> {
        let limits =
            Limits { gets_max: GETS_MAX, gets_per_worker_max: GETS_PER_WORKER_MAX, ..Limits::default() };
        let pending = |&n: &usize| (0..n).map(|_| Slot::Pending).collect();
        let state = State {
            core: Gather::of_wanted(limits),
            outputs: lens.iter().map(pending).collect(),
            kept,
            addresses: BTreeMap::new(),
            open: BTreeMap::new(),
            interests: BTreeMap::new(),
            let_go: Vec::new(),
            let_go_since: (Instant::now(), 0),
            let_go_ticks: false,
            let_go_waits: false,
            read: Reads::default(),
            ended: None,
            todo: VecDeque::new(),
            driven: false,
            wake_us: None,
        };
        let (started, state) = (Instant::now(), Mutex::new(state));
        let sent = OnceLock::new();
        Arc::new_cyclic(|me| Values { me: me.clone(), started, state, data, clock, sent })
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

    /// Why a value will not be made, where that is known.
    pub(crate) fn failure(&self, (output, value): Place) -> Option<Failure> {
        let state = self.lock();
        match &state.outputs[output][value as usize] {
            Slot::Failed(error) => Some(Failure::Job((**error).clone())),
            _ => state.ended.clone(),
        }
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

    /// Nobody has a handle on a value any more, while there are some on others of the job: it goes where it is, unless it is
    /// read there.
    pub(crate) fn let_go(&self, (output, value): Place) {
        let mut state = self.lock();
        let Some(slot) = state.outputs.get(output).and_then(|o| o.get(value as usize)) else { return };
        if state.ended.is_some() || matches!(slot, Slot::Failed(_) | Slot::Gone(_)) {
            return;
        }
        let was_made = !matches!(slot, Slot::Pending);
        state.set((output, value), Slot::Gone(was_made));
        let first = state.let_go.is_empty();
        match state.let_go.last_mut() {
            Some((o, range)) if *o == output as u32 && range.end == value => range.end += 1,
            Some((o, range)) if *o == output as u32 && range.start == value + 1 => range.start -= 1,
            _ => state.let_go.push((output as u32, value..value + 1)),
        }
        if first {
            state.let_go_since = (Instant::now(), 0);
        }
        if state.let_go.len() >= LET_GO_MAX && !state.let_go_waits {
            self.tell_let_go(&mut state);
        } else {
            self.tick_for_let_go(&mut state);
        }
    }

    /// Has the clock say that time has passed, once.
    fn tick_for_let_go(&self, state: &mut State) {
        if !std::mem::replace(&mut state.let_go_ticks, true) {
            self.clock.tick(Instant::now() + LET_GO_LINGER, self.me.clone());
        }
    }

    /// Tells the scheduler of the values on which nobody has a handle any more; later, where it takes no messages now.
    fn tell_let_go(&self, state: &mut State) {
        if state.let_go.is_empty() || state.ended.is_some() {
            return;
        }
        let mut waiting = std::mem::take(&mut state.let_go);
        state.let_go = waiting.split_off(waiting.len().min(limits::LET_GO_MAX));
        let left = match self.sent.get() {
            Some((job, link)) => link.try_let_go(*job, waiting).err(),
            None => Some(waiting),
        };
        state.let_go_waits = left.is_some();
        state.let_go.extend(left.into_iter().flatten());
        if !state.let_go.is_empty() {
            self.tick_for_let_go(state);
        }
    }

    /// Time has passed.
    pub(crate) fn tick(&self) {
        let mut state = self.lock();
        state.let_go_ticks = false;
        if state.may_tell_let_go() {
            self.tell_let_go(&mut state);
        } else {
            self.tick_for_let_go(&mut state);
        }
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
    fn tell(&self, update: Update, inlined: &[Inlined]) {
        let mut state = self.lock();
        let now_us = self.now_us();
        match update {
            Update::Made { outputs, addresses } => {
                state.addresses.extend(addresses);
                state.made(&outputs, inlined, now_us);
            }
            Update::Done { outputs, addresses, .. } => {
                state.addresses.extend(addresses);
                state.made(&outputs, inlined, now_us);
                state.has_read();
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
            Update::Failed(error) => state.end(&Failure::AllOfJob(error)),
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
    made.ok().flatten().ok_or_else(|| Failure::Cluster("what came is not the bytes of a value".into()))
}

impl State {
    /// Whether no more values are being let go of, or they have been for long.
    fn may_tell_let_go(&mut self) -> bool {
        let (since, n_before) = self.let_go_since;
        let n = self.let_go.iter().map(|(_, values)| values.end - values.start).sum();
        self.let_go_since.1 = n;
        n == n_before || since.elapsed() >= LET_GO_LINGER_MAX
    }

    fn set(&mut self, (output, value): Place, slot: Slot) {
        if let Some(there) = self.outputs.get_mut(output).and_then(|o| o.get_mut(value as usize))
            && let Slot::Here(bytes) = std::mem::replace(there, slot)
        {
            self.kept.give(bytes.len());
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::data::{Taker, Upload};
    use tilework_plan::{StageIdx, TaskRange};

    const JOB: JobId = JobId(1);
    const STAGE: StageIdx = StageIdx(3);
    const WORKER: WorkerId = WorkerId(2);

    /// Counts requests, and answers none.
    #[derive(Default)]
    struct Silent(AtomicUsize);

    impl DataPlane for Silent {
        fn put(&self, _: &Holder, _: Upload) -> Result<()> {
            unreachable!("nothing is put")
        }

        fn get(&self, _: &Holder, _: TaskKey, _: Taker) -> Asked {
            self.0.fetch_add(1, Ordering::Relaxed);
            Asked::answered()
        }

        fn lost(&self, _: WorkerId) {}

        fn is_lost(&self, _: WorkerId) -> bool {
            false
        }
    }

    struct Rig {
        values: Arc<Values>,
        data: Arc<Silent>,
        kept: Arc<Kept>,
        got: Arc<Mutex<Vec<Vec<u8>>>>,
        alive: Arc<()>,
    }

    impl Rig {
        fn new(n: usize) -> Rig {
            let (data, kept) = (Arc::<Silent>::default(), Arc::<Kept>::default());
            let values = Values::new(&[n], Arc::clone(&data) as _, (Arc::default(), Arc::clone(&kept)));
            Rig { values, data, kept, got: Arc::default(), alive: Arc::new(()) }
        }

        fn ask(&self, value: u64) {
            let got = Arc::clone(&self.got);
            let sink = move |bytes: std::result::Result<Plane, Failure>| {
                let plane = bytes.ok().expect("there is a value");
                got.lock().unwrap().push(plane.contiguous_bytes().unwrap().to_vec());
            };
            self.values.when((0, value), Interest::new(What::Bytes(Box::new(sink)), &self.alive));
        }

        /// Values have come to exist, of which each has its number as bytes.
        fn made(&self, chunks: Range<u64>, inlined: Range<u64>) {
            self.made_on(WORKER, chunks, inlined);
        }

        fn made_on(&self, worker: WorkerId, chunks: Range<u64>, inlined: Range<u64>) {
            let tasks = |chunks| TaskRange { job: JOB, stage: STAGE, chunks };
            let (mut ends, mut bytes) = (Vec::new(), Vec::new());
            for value in inlined.clone() {
                bytes.extend(value.to_le_bytes());
                ends.push(bytes.len() as u32);
            }
            let came = Inlined { tasks: tasks(inlined), dtypes: vec![DType::U8], shape: vec![], ends, bytes };
            let outputs = vec![vec![Holding { chunks: tasks(chunks), worker }]];
            self.values.tell(Update::Made { outputs, addresses: Vec::new() }, &[came]);
        }

        fn n_asked(&self) -> usize {
            self.data.0.load(Ordering::Relaxed)
        }

        fn got(&self) -> Vec<u64> {
            let got = self.got.lock().unwrap();
            got.iter().map(|bytes| u64::from_le_bytes(bytes.as_slice().try_into().unwrap())).collect()
        }
    }

    #[test]
    fn what_comes_with_the_news_is_not_asked_for() {
        let rig = Rig::new(9);
        rig.ask(4);
        rig.made(2..7, 3..6);
        assert_eq!((rig.got(), rig.n_asked()), (vec![4], 0), "who waited has it");
        rig.ask(5);
        // Whoever held it: it is here.
        rig.values.tell(Update::Lost { worker: WORKER }, &[]);
        rig.ask(3);
        rig.ask(4);
        assert_eq!((rig.got(), rig.n_asked()), (vec![4, 5, 3, 4], 0));
        // Of the others some are asked for, once they are there again.
        rig.ask(6);
        assert_eq!(rig.n_asked(), 0, "nobody has it");
        let other = WorkerId(WORKER.0 + 1);
        rig.made_on(other, 6..7, 6..6);
        assert_eq!(rig.n_asked(), 1);
        // And if it comes in the meantime, it is not waited for.
        rig.made_on(other, 6..7, 6..7);
        assert_eq!(rig.got(), [4, 5, 3, 4, 6]);
        assert!(rig.values.lock().open.is_empty());
    }

    #[test]
    fn what_was_let_go_of_is_waited_for_until_it_is_made_and_is_not_to_be_had() {
        let rig = Rig::new(2);
        let told = Arc::new(AtomicUsize::new(0));
        let settled = |value| {
            let told = Arc::clone(&told);
            let count = move || {
                told.fetch_add(1, Ordering::Relaxed);
            };
            let what = What::Settled(Box::new(count));
            rig.values.when((0, value), Interest::new(what, &rig.alive));
        };
        rig.made(1..2, 1..2);
        assert_eq!(rig.kept.0.load(Ordering::Relaxed), 8 + Kept::EACH);
        rig.values.let_go((0, 0));
        rig.values.let_go((0, 1));
        assert_eq!(rig.kept.0.load(Ordering::Relaxed), 0);
        assert_eq!(rig.values.lock().let_go, [(0, 0..2)]);
        settled(1);
        settled(0);
        assert_eq!(told.load(Ordering::Relaxed), 1);
        rig.made(0..1, 0..1);
        assert_eq!((told.load(Ordering::Relaxed), rig.kept.0.load(Ordering::Relaxed)), (2, 0));
        let refused = Arc::new(AtomicUsize::new(0));
        let sink = {
            let refused = Arc::clone(&refused);
            move |bytes: std::result::Result<Plane, Failure>| {
                refused.fetch_add(usize::from(bytes.is_err()), Ordering::Relaxed);
            }
        };
        rig.values.when((0, 0), Interest::new(What::Bytes(Box::new(sink)), &rig.alive));
        assert_eq!((refused.load(Ordering::Relaxed), rig.n_asked()), (1, 0));
    }

    #[test]
    fn what_is_kept_is_bounded_and_given_back() {
        let rig = Rig::new(4);
        rig.kept.0.store(KEPT_BYTES_MAX - 2 * (8 + Kept::EACH), Ordering::Relaxed);
        rig.made(0..4, 0..4);
        (0..4).for_each(|value| rig.ask(value));
        assert_eq!((rig.got(), rig.n_asked()), (vec![0, 1], 2), "there is room for two");
        let kept = Arc::clone(&rig.kept);
        drop(rig);
        assert_eq!(kept.0.load(Ordering::Relaxed), KEPT_BYTES_MAX - 2 * (8 + Kept::EACH));
    }
}

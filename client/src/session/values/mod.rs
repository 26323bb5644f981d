//! The values of one job, as they come to exist: which there are, where they are, and who waits for which. Nobody's thread
//! is needed for it: whoever brings news does what follows from them.
//!
//! Owns the requests under way. Must not know what values mean, nor decide whom to ask and when again.

mod failure;
mod let_go;
mod state;

use super::Session;
use super::data::{Answer, Asked, DataPlane, Holder};
use super::jobs::{Audience, Submitted};
use super::planned::Planned;
use crate::error::{ClusterError, Result};
use crate::futures::Clock;
pub(crate) use failure::Failure;
pub(super) use state::Kept;
use state::{Slot, State, Todo};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};
use tilework_client_core::{Event, GetId, Limits};
use tilework_expr::Expr;
use tilework_kernels::Plane;
use tilework_plan::{JobId, TaskKey, Update};
use tilework_proto::{ClientLink, Inlined};

/// Requests at a time: values are small.
const GETS_MAX: usize = 128;
/// Requests to one worker at a time.
const GETS_PER_WORKER_MAX: usize = 32;

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
        planned: Planned,
        lens: Vec<usize>,
        mut read: Reads,
    ) -> Result<ValuesJob> {
        let clock = Arc::clone(self.desk().clock(self)?);
        let values = Values::new(&lens, Arc::clone(&self.0.data), (clock, self.0.kept.clone()));
        read.jobs.retain(|job| job.puts);
        let puts = planned.puts() || !read.is_empty();
        values.lock().read = read;
        let submitted = self.0.jobs.submit_to(Arc::clone(&values) as _, planned)?;
        // Err: it is submitted once.
        let _ = values.sent.set((submitted.id(), submitted.link().clone()));
        Ok(ValuesJob { values, lens, puts, submitted })
    }
}

impl Values {
    fn new(lens: &[usize], data: Arc<dyn DataPlane>, (clock, kept): (Arc<Clock>, Arc<Kept>)) -> Arc<Values> {
        let limits =
            Limits { gets_max: GETS_MAX, gets_per_worker_max: GETS_PER_WORKER_MAX, ..Limits::default() };
        let state = State::new(lens, limits, kept);
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
        state.let_go.add(output as u32, value);
        if state.let_go.is_enough() {
            self.tell_let_go(&mut state);
        } else {
            self.tick_for_let_go(&mut state);
        }
    }

    /// Has the clock say that time has passed, once.
    fn tick_for_let_go(&self, state: &mut State) {
        if let Some(at) = state.let_go.tick() {
            self.clock.tick(at, self.me.clone());
        }
    }

    /// Tells the scheduler of the values on which nobody has a handle any more; later, where it takes no messages now.
    fn tell_let_go(&self, state: &mut State) {
        if state.let_go.is_empty() || state.ended.is_some() {
            return;
        }
        state.let_go.tell(|ranges| match self.sent.get() {
            Some((job, link)) => link.try_let_go(*job, ranges),
            None => Err(ranges),
        });
        if !state.let_go.is_empty() {
            self.tick_for_let_go(state);
        }
    }

    /// Time has passed.
    pub(crate) fn tick(&self) {
        let mut state = self.lock();
        if state.let_go.is_due() {
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
                let bytes = plane.ok_or_else(state::not_a_value);
                state.deliver(place, &bytes);
                state.handle(now_us, Event::Got(get));
            }
            Answer::Nothing(why) => state.handle(now_us, Event::Failed { get, why }),
            Answer::Wrong(error) => {
                state.deliver(place, &Err(Failure::Cluster(error)));
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
        state.tell(update, inlined, self.now_us());
        self.drive(state);
    }

    fn close(&self, why: &ClusterError) {
        let mut state = self.lock();
        state.end(&Failure::Cluster(why.clone()));
        self.drive(state);
    }

    fn is_waited_for(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests;

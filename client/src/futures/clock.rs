//! The one thread of a session's futures: sends what was submitted and nobody asked for yet, and says when time has passed
//! to jobs whose workers are asked again. It sleeps while there is neither.
//!
//! Must not know what is sent, nor who is asked.

use crate::error::{Error, Result};
use crate::session::Values;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// How long what was submitted waits for more of its kind at most.
const LINGER: Duration = Duration::from_millis(1);

#[derive(Default)]
struct State {
    started: bool,
    ended: bool,
    flush_at: Option<Instant>,
    ticks: Vec<(Instant, Weak<Values>)>,
}

/// What the thread waits for.
#[derive(Default)]
pub(crate) struct Clock {
    state: Mutex<State>,
    changed: Condvar,
}

impl Clock {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the thread, once. `flush` is called on it.
    pub(super) fn start(self: &Arc<Self>, flush: impl Fn() + Send + 'static) -> Result<()> {
        let mut state = self.lock();
        if state.started {
            return Ok(());
        }
        let me = Arc::clone(self);
        let thread = std::thread::Builder::new().name("tilework-futures".into());
        let thread = thread.spawn(move || me.run(flush));
        thread.map_err(|e| Error::system("start a thread", e))?;
        state.started = true;
        Ok(())
    }

    /// Something was submitted that is to be sent soon.
    pub(super) fn submitted(&self) {
        let mut state = self.lock();
        if state.flush_at.is_none() {
            state.flush_at = Some(Instant::now() + LINGER);
            drop(state);
            self.changed.notify_one();
        }
    }

    /// Tells a job at that time.
    pub(crate) fn tick(&self, at: Instant, values: Weak<Values>) {
        self.lock().ticks.push((at, values));
        self.changed.notify_one();
    }

    /// The thread ends.
    pub(super) fn end(&self) {
        self.lock().ended = true;
        self.changed.notify_one();
    }

    fn run(&self, flush: impl Fn()) {
        let mut state = self.lock();
        while !state.ended {
            let now = Instant::now();
            let due = state.ticks.extract_if(.., |(at, _)| *at <= now).map(|(_, values)| values);
            let due: Vec<Weak<Values>> = due.collect();
            let flushes = state.flush_at.take_if(|at| *at <= now).is_some();
            if flushes || !due.is_empty() {
                drop(state);
                if flushes {
                    flush();
                }
                due.iter().filter_map(Weak::upgrade).for_each(|values| values.tick());
                state = self.lock();
                continue;
            }
            let next = state.ticks.iter().map(|(at, _)| *at).chain(state.flush_at).min();
            state = match next {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(at) => {
                    let left = at.saturating_duration_since(now);
                    self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

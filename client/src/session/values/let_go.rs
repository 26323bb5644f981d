//! Values on which nobody has a handle any more, while there are some on others of their job, until the scheduler is told.
//!
//! Owns for how long they wait for more of their kind. Must not know what becomes of them.

use std::ops::Range;
use std::time::{Duration, Instant};
use tilework_proto::limits;

/// How long they wait for more before the scheduler is told, and how long in all while more come: where all handles of a
/// job go, the job does, at once.
const LINGER: Duration = Duration::from_millis(1);
const LINGER_MAX: Duration = Duration::from_millis(50);
/// Ranges of them that wait at most.
const RANGES_MAX: usize = 1024;

/// Outputs and which of their values.
type Ranges = Vec<(u32, Range<u64>)>;

/// Those of which the scheduler was not told.
pub(super) struct LetGo {
    pub(super) waiting: Ranges,
    /// When the first of them was let go of, and how many there were when that was last looked at.
    since: (Instant, u64),
    /// Whether the clock is to say when to tell it.
    ticks: bool,
    /// Whether the scheduler took no message when it was to be told.
    is_held_up: bool,
}

impl LetGo {
    pub(super) fn new() -> LetGo {
        LetGo { waiting: Vec::new(), since: (Instant::now(), 0), ticks: false, is_held_up: false }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// One more.
    pub(super) fn add(&mut self, output: u32, value: u64) {
        if self.waiting.is_empty() {
            self.since = (Instant::now(), 0);
        }
        match self.waiting.last_mut() {
            Some((o, range)) if *o == output && range.end == value => range.end += 1,
            Some((o, range)) if *o == output && range.start == value + 1 => range.start -= 1,
            _ => self.waiting.push((output, value..value + 1)),
        }
    }

    /// Whether there are so many that the scheduler is to be told at once.
    pub(super) fn is_enough(&self) -> bool {
        self.waiting.len() >= RANGES_MAX && !self.is_held_up
    }

    /// When to look again; nothing where the clock has been told already.
    pub(super) fn tick(&mut self) -> Option<Instant> {
        (!std::mem::replace(&mut self.ticks, true)).then(|| Instant::now() + LINGER)
    }

    /// Time has passed: whether no more come, or some have for long.
    pub(super) fn is_due(&mut self) -> bool {
        self.ticks = false;
        let (since, n_before) = self.since;
        let n = self.waiting.iter().map(|(_, values)| values.end - values.start).sum();
        self.since.1 = n;
        n == n_before || since.elapsed() >= LINGER_MAX
    }

    /// Tells the scheduler of as many as a message holds; what it does not take waits on.
    pub(super) fn tell(&mut self, send: impl FnOnce(Ranges) -> Result<(), Ranges>) {
        let mut told = std::mem::take(&mut self.waiting);
        self.waiting = told.split_off(told.len().min(limits::LET_GO_MAX));
        let left = send(told).err();
        self.is_held_up = left.is_some();
        self.waiting.extend(left.into_iter().flatten());
    }
}

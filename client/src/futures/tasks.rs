//! What can be asked for when tasks are submitted: how often they are tried, for how long they may run, and where.
//!
//! Owns what is right to ask for. Must not know how it is done.

use super::call::On;
use super::doors::submits;
use super::error::FutureError;
use crate::error::Result;
use crate::session::{Session, session_for};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tilework_plan::{TAG_IN_WORDS, TAGS_MAX, Terms, is_tag, tags_in_words};

/// Tasks that are to be run in a special way: what is asked for, and then the tasks, one by one or many at once. Of
/// [`Session::tasks`] or [`tasks`](crate::tasks()); it can be cloned, and used again and again. What is submitted without it
/// is submitted on the same way, with nothing asked for.
///
/// ```
/// use std::time::Duration;
///
/// /// A measurement that sometimes goes wrong.
/// fn measure(probe: u32) -> Result<f64, String> {
///     Ok(f64::from(probe) / 8.0)
/// }
///
/// # fn main() -> tilework::Result<()> {
/// let session = tilework::Session::embedded()?;
/// let careful = session.tasks().retries(3).time_limit(Duration::from_secs(60));
/// let all = careful.try_map(measure, 0..100)?;
/// let one = careful.try_submit(measure, (4,))?;
/// assert_eq!(one.result()?, 0.5);
/// assert_eq!(tilework::gather(all)?.len(), 100);
/// # Ok(())
/// # }
/// ```
///
/// Within a task, which runs what it submits itself and at once, a task is tried again as it is asked for, and nothing else
/// has any meaning.
#[derive(Clone, Debug)]
#[must_use = "nothing is submitted yet"]
pub struct Tasks {
    /// None within a task.
    session: Option<Session>,
    /// Absent where nothing is asked for.
    terms: Option<Arc<Terms>>,
    /// What cannot be asked for.
    wrong: Option<FutureError>,
}

impl Tasks {
    pub(super) fn of(session: Option<Session>) -> Tasks {
        Tasks { session, terms: None, wrong: None }
    }

    fn asking(mut self, change: impl FnOnce(&mut Terms)) -> Tasks {
        let mut terms = self.terms.take().unwrap_or_default();
        change(Arc::make_mut(&mut terms));
        self.terms = Some(terms).filter(|terms| **terms != *Terms::NONE);
        self
    }

    fn refusing(mut self, what: &'static str, got: String, expected: &'static str) -> Tasks {
        self.wrong.get_or_insert(FutureError::Asked { what, got, expected });
        self
    }

    /// Where and how.
    #[track_caller]
    pub(super) fn on(&self) -> Result<On> {
        // Those of a task stay its own.
        let session = self.session.as_ref().map(|own| session_for(Some(own))).transpose()?.flatten();
        if let Some(wrong) = self.wrong.clone().or_else(|| self.lack(session.as_ref()?)) {
            return Err(wrong.into());
        }
        Ok(On::of(session).with(self.terms.clone()))
    }

    /// A tag that no worker of the session has and none will have.
    fn lack(&self, session: &Session) -> Option<FutureError> {
        let needed = self.terms.as_ref().map(|terms| &terms.tags).filter(|tags| !tags.is_empty())?;
        let there = session.tags()?;
        if there.iter().any(|tags| needed.is_subset(tags)) {
            return None;
        }
        let lists: BTreeSet<String> = there.iter().filter(|t| !t.is_empty()).map(tags_in_words).collect();
        let lists: Vec<String> = lists.into_iter().collect();
        let there = match lists.len() {
            0 => "its workers have no tags (`TILEWORK_TAGS` gives them some)".to_owned(),
            _ => format!("there are workers with {}", lists.join(", with ")),
        };
        Some(FutureError::NoTag { needed: tags_in_words(needed), there })
    }

    /// A task whose function panics, gives an error, or runs for longer than it may, is tried again so many times (0 where
    /// nothing is said), on another worker where there is one. Where all attempts fail, the error says how many there were
    /// and what became of the first ones and the last. Attempts that a worker's death ends do not count: the task runs
    /// again without that.
    ///
    /// ```
    /// let session = tilework::Session::embedded()?;
    /// let half = |x: i64| if x % 2 == 0 { Ok(x / 2) } else { Err(format!("{x} is odd")) };
    /// let failed = session.tasks().retries(2).try_submit(half, (7,))?;
    /// let error = failed.result().unwrap_err().to_string();
    /// assert!(error.contains("it failed in each of 3 attempts") && error.ends_with("7 is odd"), "{error}");
    /// # Ok::<(), tilework::Error>(())
    /// ```
    pub fn retries(self, n: u32) -> Tasks {
        self.asking(|terms| terms.retries = n)
    }

    /// A task that runs for longer fails, with an error that names its function, the line that submitted it and the limit;
    /// [`retries`](Tasks::retries) says whether it is tried again. Time in which it waits for its turn does not count. Where
    /// workers have a limit of their own (`tilework worker --task-limit`), the shorter one holds.
    ///
    /// Nothing can end a function that goes on: its thread is lost until it returns, and what it gives then is dropped. A
    /// worker process whose thread does not come back is replaced after a time (`--stop-limit`); a session in this process
    /// has a thread less.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let session = tilework::Session::embedded()?;
    /// let sleep = |ms: u64| std::thread::sleep(Duration::from_millis(ms));
    /// let late = session.tasks().time_limit(Duration::from_millis(20)).submit(sleep, (500,))?;
    /// let error = late.result().unwrap_err().to_string();
    /// assert!(error.contains("its time limit is 20.0 ms"), "{error}");
    /// # Ok::<(), tilework::Error>(())
    /// ```
    pub fn time_limit(self, limit: Duration) -> Tasks {
        let us = u64::try_from(limit.as_micros()).unwrap_or(u64::MAX);
        if us == 0 {
            return self.refusing("time limit", format!("{limit:?}"), "a microsecond or more");
        }
        self.asking(|terms| terms.limit_us = Some(us))
    }

    /// The task goes to workers that have this tag alone; said several times, to those that have them all. Workers are given
    /// tags by `tilework worker --tags gpu,big`, by [`Session::processes_with_tags`], or by `TILEWORK_TAGS` where a program
    /// starts them by itself. A tag says where tasks may go, not how many run at once: a worker runs as many as it has
    /// threads.
    ///
    /// On a cluster, tasks whose tag no worker has wait half a minute for one that joins, and then fail with an error that
    /// says which tags there are; where no worker can join, the submission is that error, [`FutureError::NoTag`].
    ///
    /// Tasks with other tags are another batch: of what is submitted one by one, by turns with one tag and another, each
    /// task is one.
    ///
    /// ```no_run
    /// let session = tilework::Session::processes_with_tags(&["gpu,big", "big", ""])?;
    /// let trained = session.tasks().tag("gpu").tag("big").submit(|rows: u64| rows * 2, (1000,))?;
    /// # Ok::<(), tilework::Error>(())
    /// ```
    pub fn tag(self, tag: &str) -> Tasks {
        if !is_tag(tag) {
            return self.refusing("tag", format!("{tag:?}"), TAG_IN_WORDS);
        }
        let full = self.terms.as_ref().is_some_and(|terms| terms.tags.len() == TAGS_MAX);
        if full {
            return self.refusing("tags", "more than 32".to_owned(), "32 at most");
        }
        self.asking(|terms| terms.tags.extend([tag.into()]))
    }

    /// What a task takes of its worker's memory beside its arguments and its result, bytes; nothing where that is not said.
    /// A worker runs no more tasks at once than there is memory for, writes what it holds to its disk to make room for them,
    /// and is not given any that it has not the memory for at all. Where no worker has it, the error says how much there is.
    ///
    /// It is what is set aside, and not a bound that anybody enforces.
    ///
    /// ```
    /// let session = tilework::Session::embedded()?;
    /// let sort = |n: u64| {
    ///     let mut all: Vec<u64> = (0..n).rev().collect();
    ///     all.sort_unstable();
    ///     all[0]
    /// };
    /// let least = session.tasks().memory(8_000_000).submit(sort, (1_000_000,))?;
    /// assert_eq!(least.result()?, 0);
    /// # Ok::<(), tilework::Error>(())
    /// ```
    pub fn memory(self, bytes: u64) -> Tasks {
        self.asking(|terms| terms.memory_bytes = bytes)
    }

    /// Tasks of a higher priority go first, 0 where nothing is said: before all of lower ones that wait, whoever submitted those
    /// and when. What runs is not interrupted, and what a worker has begun to prepare may still go before. Of one priority,
    /// what was submitted earlier goes first.
    ///
    /// What a task waits for is at least as urgent as it is: the batches and arrays whose results it reads, each as a whole,
    /// and what those wait for. What workers were given already stays as it is.
    ///
    /// Nothing else is promised: as long as tasks of a higher priority come, those of a lower one may wait for ever.
    ///
    /// Tasks of another priority are another batch: of what is submitted one by one, by turns with one priority and another,
    /// each task is one.
    ///
    /// ```
    /// let session = tilework::Session::embedded()?;
    /// let simulate = |seed: u64| (0..100_000).fold(seed, |x, _| x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    /// let many = session.tasks().priority(-1).map(simulate, 0..100)?;
    /// let soon = session.tasks().priority(10).submit(simulate, (7,))?;
    /// assert_eq!(soon.result()?, many[7].result()?);
    /// # Ok::<(), tilework::Error>(())
    /// ```
    pub fn priority(self, priority: i32) -> Tasks {
        self.asking(|terms| terms.priority = priority)
    }

    submits! {
        /// [`Session::submit`] in this way.
        ///
        /// # Errors
        /// As there, and [`FutureError::Asked`] for what cannot be asked for.
        submit(&self,) on self.on()?
    }

    submits! {
        /// [`Session::try_submit`] in this way.
        ///
        /// # Errors
        /// As [`submit`](Tasks::submit).
        try_submit(&self,) on self.on()?
    }

    submits! {
        /// [`Session::map`] in this way.
        ///
        /// # Errors
        /// As there, and [`FutureError::Asked`] for what cannot be asked for.
        map(&self,) on self.on()?
    }

    submits! {
        /// [`Session::try_map`] in this way.
        ///
        /// # Errors
        /// As [`map`](Tasks::map).
        try_map(&self,) on self.on()?
    }

    submits! {
        /// [`Session::map_with`] in this way.
        ///
        /// # Errors
        /// As [`map`](Tasks::map).
        map_with(&self,) on self.on()?
    }
}

//! Waiting for many futures: for all values, for each as it is made, for the first or the last.
//!
//! Must not know where values are.

use super::future::{Bytes, Future, decoded};
use crate::error::{ClusterError, Result};
use serde::de::DeserializeOwned;
use std::borrow::Borrow;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// The values of futures, in their order: waits until all are there. They are fetched at once, many at a time.
///
/// ```
/// let session = tilework::Session::embedded()?;
/// let halves = session.map(|x: f64| x / 2.0, [1.0, 2.0])?;
/// assert_eq!(tilework::gather(&halves)?, [0.5, 1.0]);
/// # Ok::<(), tilework::Error>(())
/// ```
///
/// # Errors
/// As [`Future::result`], as soon as one is known; of several, the one that was known first.
pub fn gather<T, I>(futures: I) -> Result<Vec<T>>
where
    T: DeserializeOwned,
    I: IntoIterator<Item: Borrow<Future<T>>>,
{
    // They are held until their values are here.
    let futures: Vec<I::Item> = futures.into_iter().collect();
    let (sender, arrivals) = channel::<(usize, Bytes)>();
    let alive = Arc::new(());
    for (i, future) in futures.iter().enumerate() {
        let sender = sender.clone();
        future.borrow().shared().when_here(&alive, move |bytes| {
            // Err: who waits has had an error.
            let _ = sender.send((i, bytes));
        })?;
    }
    drop(sender);
    let mut values: Vec<Option<T>> = futures.iter().map(|_| None).collect();
    for (i, bytes) in arrivals {
        values[i] = Some(decoded(bytes)?);
    }
    let missing = || ClusterError::Ended("the session ended before all values were here".into());
    values.into_iter().map(|value| Ok(value.ok_or_else(missing)?)).collect()
}

/// How many futures are waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum When {
    /// All of them.
    All,
    /// One of them.
    Any,
}

/// What came of [`wait`].
#[derive(Debug)]
pub struct Waited<T> {
    /// Futures whose values are made, or will not be.
    pub done: Vec<Future<T>>,
    /// The others.
    pub not_done: Vec<Future<T>>,
}

/// Waits until all futures are done, or one of them, or the time is over. Their values stay where they are.
///
/// ```
/// use std::time::Duration;
/// use tilework::When;
///
/// let session = tilework::Session::embedded()?;
/// let futures = session.map(|x: f64| x / 2.0, [1.0, 2.0])?;
/// assert!(!tilework::wait(&futures, When::Any, None)?.done.is_empty());
/// assert_eq!(tilework::wait(&futures, When::All, Some(Duration::from_secs(60)))?.done.len(), 2);
/// # Ok::<(), tilework::Error>(())
/// ```
///
/// # Errors
/// [`FutureError::WithinTask`](crate::FutureError::WithinTask) within a task, for futures that were made outside of it.
pub fn wait<T, I>(futures: I, when: When, at_most: Option<Duration>) -> Result<Waited<T>>
where
    I: IntoIterator<Item: Borrow<Future<T>>>,
{
    let started = Instant::now();
    let mut completed = as_completed(futures)?;
    let n = completed.futures.len();
    let mut enough = if when == When::All { n } else { n.min(1) };
    let mut is_done = vec![false; n];
    while enough > 0 {
        let left = at_most.map(|most| most.saturating_sub(started.elapsed()));
        let Some(i) = completed.next_within(left) else { break };
        is_done[i] = true;
        enough -= 1;
    }
    // What is done counts, however short the time and whether or not it was told.
    for (is_done, future) in is_done.iter_mut().zip(&completed.futures) {
        *is_done |= future.is_done();
    }
    let futures = completed.futures.into_iter().zip(is_done);
    let (done, not_done): (Vec<_>, Vec<_>) = futures.partition(|(_, is_done)| *is_done);
    let plain = |of: Vec<(Future<T>, bool)>| of.into_iter().map(|(future, _)| future).collect();
    Ok(Waited { done: plain(done), not_done: plain(not_done) })
}

/// The futures in the order in which they are done, each with its number among those that were given.
///
/// ```
/// let session = tilework::Session::embedded()?;
/// let futures = session.map(|x: f64| x / 2.0, [1.0, 2.0])?;
/// for (i, future) in tilework::as_completed(&futures)? {
///     assert_eq!(future.result()?, (i + 1) as f64 / 2.0);
/// }
/// # Ok::<(), tilework::Error>(())
/// ```
///
/// # Errors
/// [`FutureError::WithinTask`](crate::FutureError::WithinTask) within a task, for futures that were made outside of it.
pub fn as_completed<T, I>(futures: I) -> Result<AsCompleted<T>>
where
    I: IntoIterator<Item: Borrow<Future<T>>>,
{
    let futures: Vec<Future<T>> = futures.into_iter().map(|future| future.borrow().clone()).collect();
    let (sender, done) = channel();
    let alive = Arc::new(());
    for (i, future) in futures.iter().enumerate() {
        let sender = sender.clone();
        future.shared().when_settled(&alive, move || {
            // Err: nobody asks any more.
            let _ = sender.send(i);
        })?;
    }
    Ok(AsCompleted { futures, done, _alive: alive })
}

/// Futures in the order in which they are done: see [`as_completed`].
#[derive(Debug)]
pub struct AsCompleted<T> {
    futures: Vec<Future<T>>,
    done: Receiver<usize>,
    /// What is not done is told as long as this lives.
    _alive: Arc<()>,
}

impl<T> AsCompleted<T> {
    fn next_within(&mut self, at_most: Option<Duration>) -> Option<usize> {
        match at_most {
            None => self.done.recv().ok(),
            Some(most) => self.done.recv_timeout(most).ok(),
        }
    }
}

impl<T> Iterator for AsCompleted<T> {
    type Item = (usize, Future<T>);

    fn next(&mut self) -> Option<(usize, Future<T>)> {
        let i = self.next_within(None)?;
        Some((i, self.futures[i].clone()))
    }
}

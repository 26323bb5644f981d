//! Own tasks: functions of the user's that workers call, and the values that they give, as futures.
//!
//! A batch of calls of one function is one node of an expression and one stage of a plan, with a task and a value for each
//! call; whatever is true of arrays there (spilling, recovery, release) is true of values. Owns the types of arguments and
//! results, and how they are written. Must not know how values travel.

mod argument;
mod array;
mod bytes;
mod call;
mod clock;
mod error;
mod from_future;
mod future;
mod gather;
mod named;
mod queue;
mod shuffle;
mod submit;
mod task;
mod tasks;

pub use argument::{Argument, Arguments};
pub(crate) use clock::Clock;
pub use error::FutureError;
pub(crate) use from_future::HeldValue;
pub use from_future::IntoElements;
pub use future::{Awaited, Future};
pub use gather::{AsCompleted, Waited, When, as_completed, gather, wait};
pub(crate) use queue::Desk;
pub use shuffle::{map_shuffle, part_of, try_map_shuffle};
pub use task::TaskFn;
pub use tasks::Tasks;

use crate::error::Result;
use call::{On, here, many, one, scatter_on, with_shared};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Display;
use task::{Direct, Fallible, Value};

/// [`Session::tasks`](crate::Session::tasks) of the current session.
///
/// ```
/// let lens = tilework::tasks()?.retries(1).map(|text: String| text.len(), ["a".to_owned()])?;
/// assert_eq!(tilework::gather(lens)?, [1]);
/// # Ok::<(), tilework::Error>(())
/// ```
///
/// # Errors
/// Where the session cannot be started.
pub fn tasks() -> Result<Tasks> {
    here().map(Tasks::of)
}

/// [`Session::submit`](crate::Session::submit) on the current session.
///
/// ```
/// let sum = tilework::submit(|a: i64, b: i64| a + b, (1, 2))?;
/// assert_eq!(sum.result()?, 3);
/// # Ok::<(), tilework::Error>(())
/// ```
///
/// # Errors
/// As there, and where the session cannot be started.
#[track_caller]
pub fn submit<F, Ts, As, R>(f: F, args: As) -> Result<Future<R>>
where
    F: TaskFn<Ts, Output = R>,
    As: Arguments<Ts>,
    R: Serialize + DeserializeOwned,
{
    one::<Direct, Value, F, Ts>(&On::plain(here()?.as_ref()), &f, args).map(Future::of)
}

/// [`Session::try_submit`](crate::Session::try_submit) on the current session.
///
/// # Errors
/// As there, and where the session cannot be started.
#[track_caller]
pub fn try_submit<F, Ts, As, R, E>(f: F, args: As) -> Result<Future<R>>
where
    F: TaskFn<Ts, Output = std::result::Result<R, E>>,
    As: Arguments<Ts>,
    R: Serialize + DeserializeOwned,
    E: Display,
{
    one::<Direct, Fallible, F, Ts>(&On::plain(here()?.as_ref()), &f, args).map(Future::of)
}

/// [`Session::map`](crate::Session::map) on the current session.
///
/// ```
/// let lens = tilework::map(|text: String| text.len(), ["a".to_owned(), "bcd".to_owned()])?;
/// assert_eq!(tilework::gather(lens)?, [1, 3]);
/// # Ok::<(), tilework::Error>(())
/// ```
///
/// # Errors
/// As there, and where the session cannot be started.
#[track_caller]
pub fn map<F, T, R, I>(f: F, items: I) -> Result<Vec<Future<R>>>
where
    F: Fn(T) -> R,
    T: DeserializeOwned,
    I: IntoIterator<Item: Argument<T>>,
    R: Serialize + DeserializeOwned,
{
    many::<Direct, Value, F, (T,), _>(&On::plain(here()?.as_ref()), &f, (items, None))
}

/// [`Session::try_map`](crate::Session::try_map) on the current session.
///
/// # Errors
/// As there, and where the session cannot be started.
#[track_caller]
pub fn try_map<F, T, R, E, I>(f: F, items: I) -> Result<Vec<Future<R>>>
where
    F: Fn(T) -> std::result::Result<R, E>,
    T: DeserializeOwned,
    I: IntoIterator<Item: Argument<T>>,
    R: Serialize + DeserializeOwned,
    E: Display,
{
    many::<Direct, Fallible, F, (T,), _>(&On::plain(here()?.as_ref()), &f, (items, None))
}

/// [`Session::map_with`](crate::Session::map_with) on the current session.
///
/// # Errors
/// As there, and where the session cannot be started.
#[track_caller]
pub fn map_with<F, T, P, R, I>(f: F, shared: impl Argument<P>, items: I) -> Result<Vec<Future<R>>>
where
    F: Fn(T, &P) -> R,
    T: DeserializeOwned,
    P: DeserializeOwned + Send + Sync + 'static,
    I: IntoIterator<Item: Argument<T>>,
    R: Serialize + DeserializeOwned,
{
    with_shared(&On::plain(here()?.as_ref()), &f, shared, items)
}

/// [`Session::scatter`](crate::Session::scatter) on the current session.
///
/// # Errors
/// As there, and where the session cannot be started.
pub fn scatter<T: Serialize + DeserializeOwned>(value: T) -> Result<Future<T>> {
    Ok(scatter_on(here()?.as_ref(), [value])?.remove(0))
}

/// [`Session::scatter_all`](crate::Session::scatter_all) on the current session.
///
/// # Errors
/// As there, and where the session cannot be started.
pub fn scatter_all<T, I>(values: I) -> Result<Vec<Future<T>>>
where
    T: Serialize + DeserializeOwned,
    I: IntoIterator<Item = T>,
{
    scatter_on(here()?.as_ref(), values)
}

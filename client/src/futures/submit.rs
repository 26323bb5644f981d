//! Submitting tasks: one by one, or one for each item of a list.
//!
//! Owns what becomes of a submission within a task, which runs at once. Must not know how calls become programs.

use super::argument::{Argument, Arguments, Given, Written};
use super::bytes;
use super::error::FutureError;
use super::future::{Bytes, Future, Place, Shared};
use super::queue::{put, send_batch};
use super::task::{Calling, Direct, Fallible, Giving, TaskFn, Value, WithShared, kernel};
use crate::error::{Error, Result};
use crate::session::{Failure, Session};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::any::type_name;
use std::fmt::Display;
use std::sync::Arc;
use tilework_expr::Kernel;
use tilework_kernels::Plane;
use tilework_kernels::native::{ValuesCall, call_values};
use tilework_plan::JobError;
use tilework_worker::runs_tasks;

/// Bytes of parameters that are sent as one batch of a `map`: more are several.
const BATCH_BYTES_MAX: usize = 32 << 20;

/// The session to submit to: none within a task, which runs what it submits itself.
pub(super) fn here() -> Result<Option<Session>> {
    if runs_tasks() { Ok(None) } else { Session::current().map(Some) }
}

impl Session {
    /// Submits a call of a function: some worker calls it with these arguments, a tuple of one to six, of which each is a
    /// value that serde can write or the [`Future`] of one. Does not wait.
    ///
    /// The function is a `fn` or a closure that captures nothing, whose arguments' types are said. Calls that are submitted
    /// one after another go out together, at the latest after a millisecond. Within a task, the call is made at once.
    ///
    /// ```
    /// let session = tilework::Session::embedded()?;
    /// let three = session.submit(|a: i64, b: i64| a + b, (1, 2))?;
    /// let text = session.submit(|n: i64, unit: String| format!("{n} {unit}"), (&three, "m".to_owned()))?;
    /// assert_eq!(text.result()?, "3 m");
    /// # Ok::<(), tilework::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Function`] where the function does not travel; [`FutureError`] for an argument that cannot be written, or a
    /// future that was cancelled or is of another session.
    pub fn submit<F, Ts, As, R>(&self, f: F, args: As) -> Result<Future<R>>
    where
        F: TaskFn<Ts, Output = R>,
        As: Arguments<Ts>,
        R: Serialize + DeserializeOwned,
    {
        one::<Direct, Value, F, Ts>(Some(self), &f, args).map(Future::of)
    }

    /// As [`submit`](Session::submit), of a function that gives a value or an error: the future is of the value, and an error
    /// is the task's.
    ///
    /// ```
    /// let session = tilework::Session::embedded()?;
    /// let parse = |text: String| text.parse::<f64>();
    /// assert_eq!(session.try_submit(parse, ("0.5".to_owned(),))?.result()?, 0.5);
    /// let error = session.try_submit(parse, ("half".to_owned(),))?.result().unwrap_err();
    /// assert!(error.to_string().ends_with("invalid float literal"), "{error}");
    /// # Ok::<(), tilework::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`submit`](Session::submit).
    pub fn try_submit<F, Ts, As, R, E>(&self, f: F, args: As) -> Result<Future<R>>
    where
        F: TaskFn<Ts, Output = std::result::Result<R, E>>,
        As: Arguments<Ts>,
        R: Serialize + DeserializeOwned,
        E: Display,
    {
        one::<Direct, Fallible, F, Ts>(Some(self), &f, args).map(Future::of)
    }

    /// Submits a call of a function for each item, as one batch. An item is a value that serde can write, or the [`Future`]
    /// of one.
    ///
    /// ```
    /// let session = tilework::Session::embedded()?;
    /// let squares = session.map(|n: u64| n * n, 1..=1000)?;
    /// assert_eq!(tilework::gather(&squares)?.iter().sum::<u64>(), 333_833_500);
    /// # Ok::<(), tilework::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`submit`](Session::submit), and [`Error::Cluster`] where the cluster is lost.
    pub fn map<F, T, R, I>(&self, f: F, items: I) -> Result<Vec<Future<R>>>
    where
        F: Fn(T) -> R,
        T: DeserializeOwned,
        I: IntoIterator<Item: Argument<T>>,
        R: Serialize + DeserializeOwned,
    {
        many::<Direct, Value, F, (T,), _>(Some(self), &f, (items, None))
    }

    /// As [`map`](Session::map), of a function that gives a value or an error, which is the task's.
    ///
    /// ```
    /// let session = tilework::Session::embedded()?;
    /// let texts = ["1", "two", "3"].map(str::to_owned);
    /// let numbers = session.try_map(|text: String| text.parse::<i64>(), texts)?;
    /// assert_eq!(numbers[2].result()?, 3);
    /// assert!(numbers[1].result().unwrap_err().to_string().contains("call 1 of its batch"));
    /// # Ok::<(), tilework::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`map`](Session::map).
    pub fn try_map<F, T, R, E, I>(&self, f: F, items: I) -> Result<Vec<Future<R>>>
    where
        F: Fn(T) -> std::result::Result<R, E>,
        T: DeserializeOwned,
        I: IntoIterator<Item: Argument<T>>,
        R: Serialize + DeserializeOwned,
        E: Display,
    {
        many::<Direct, Fallible, F, (T,), _>(Some(self), &f, (items, None))
    }

    /// As [`map`](Session::map), with one value more that all calls are given: it goes to each worker once, and is read there
    /// once for all calls of the batch (by several threads, where they begin before one has read it), who all see the same. It
    /// is a value that serde can write, or the [`Future`] of one.
    ///
    /// ```
    /// let session = tilework::Session::embedded()?;
    /// let table = vec![10.0, 20.0, 40.0];
    /// let found = session.map_with(|i: usize, table: &Vec<f64>| table[i], table, [2, 0])?;
    /// assert_eq!(tilework::gather(&found)?, [40.0, 10.0]);
    /// # Ok::<(), tilework::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`map`](Session::map).
    pub fn map_with<F, T, P, R, I>(&self, f: F, shared: impl Argument<P>, items: I) -> Result<Vec<Future<R>>>
    where
        F: Fn(T, &P) -> R,
        T: DeserializeOwned,
        P: DeserializeOwned + Send + Sync + 'static,
        I: IntoIterator<Item: Argument<T>>,
        R: Serialize + DeserializeOwned,
    {
        let shared = shared_by_all(Some(self), shared)?;
        many::<WithShared, Value, F, (T, P), _>(Some(self), &f, (items, Some(shared)))
    }

    /// Puts a value to a worker, where tasks read it.
    ///
    /// ```
    /// let session = tilework::Session::embedded()?;
    /// let table = session.scatter(vec![1.5; 1000])?;
    /// let sum = session.submit(|table: Vec<f64>| table.iter().sum::<f64>(), (&table,))?;
    /// assert_eq!(sum.result()?, 1500.0);
    /// # Ok::<(), tilework::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`FutureError::Serialise`] where serde cannot write it; [`Error::Cluster`] where the cluster is lost.
    pub fn scatter<T: Serialize + DeserializeOwned>(&self, value: T) -> Result<Future<T>> {
        Ok(self.scatter_all([value])?.remove(0))
    }

    /// Puts values to the workers.
    ///
    /// ```
    /// let session = tilework::Session::embedded()?;
    /// let parts = session.scatter_all([vec![1, 2], vec![3]])?;
    /// let lens = session.map(|part: Vec<i32>| part.len(), &parts)?;
    /// assert_eq!(tilework::gather(&lens)?, [2, 1]);
    /// # Ok::<(), tilework::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`scatter`](Session::scatter).
    pub fn scatter_all<T, I>(&self, values: I) -> Result<Vec<Future<T>>>
    where
        T: Serialize + DeserializeOwned,
        I: IntoIterator<Item = T>,
    {
        scatter_on(Some(self), values)
    }
}

/// Puts values to a session's workers, or keeps them within a task.
pub(super) fn scatter_on<T: Serialize>(
    on: Option<&Session>,
    values: impl IntoIterator<Item = T>,
) -> Result<Vec<Future<T>>> {
    let mut planes = Vec::new();
    for (i, value) in values.into_iter().enumerate() {
        let mut written = Vec::new();
        let plane = bytes::write(&value, &mut written).and_then(|()| bytes::plane(&written));
        let what = || format!("value {i}, {},", type_name::<T>());
        planes.push(plane.map_err(|why| FutureError::Serialise { what: what(), why })?);
    }
    let shared = match on.filter(|_| !runs_tasks()) {
        Some(session) => put(session, planes)?,
        None => planes.into_iter().map(|p| Shared::new(None, Place::Here(Box::new(Ok(p))))).collect(),
    };
    Ok(shared.into_iter().map(Future::of).collect())
}

/// Submits one call.
pub(super) fn one<C, G, F, Ts>(on: Option<&Session>, f: &F, args: impl Arguments<Ts>) -> Result<Arc<Shared>>
where
    C: Calling<F, Ts>,
    G: Giving<C::Output>,
{
    let kernel = kernel::<C, G, F, Ts>(f)?;
    let mut call = Written::default();
    args.write(&mut call)?;
    let Some(session) = on.filter(|_| !runs_tasks()) else {
        return at_once(&kernel, 0, (&call.params, &call.given));
    };
    let future = session.desk().submit(session, kernel, call)?;
    if session.desk().is_full() {
        session.flush();
    }
    Ok(future)
}

/// The argument that all calls of a batch are given: where it is no small one, of a value that is put to a worker once.
pub(super) fn shared_by_all<P>(on: Option<&Session>, shared: impl Argument<P>) -> Result<Written> {
    let mut written = Written::default();
    shared.write(&mut written)?;
    written.put_apart()?;
    for given in &mut written.given {
        if let (Given::Put(plane), Some(session)) = (&*given, on.filter(|_| !runs_tasks())) {
            *given = Given::Future(put(session, vec![plane.clone()])?.remove(0));
        }
    }
    Ok(written)
}

/// Submits a call for each item.
pub(super) fn many<C, G, F, Ts, R>(
    on: Option<&Session>,
    f: &F,
    (items, shared): (impl IntoIterator<Item: ItemOf<Ts>>, Option<Written>),
) -> Result<Vec<Future<R>>>
where
    C: Calling<F, Ts>,
    G: Giving<C::Output>,
{
    let kernel = kernel::<C, G, F, Ts>(f)?;
    let on = on.filter(|_| !runs_tasks());
    let (mut calls, mut ends, mut futures) = (Written::default(), Vec::new(), Vec::new());
    for item in items {
        let from = (calls.params.len(), calls.given.len());
        item.write_item(&mut calls)?;
        if let Some(shared) = &shared {
            calls.append(shared);
        }
        calls.end_call();
        ends.push((calls.params.len(), calls.given.len()));
        if on.is_none() {
            let call = (&calls.params[from.0..], &calls.given[from.1..]);
            futures.push(at_once(&kernel, futures.len() as u64, call)?);
        }
        if let Some(session) = on.filter(|_| calls.params.len() > BATCH_BYTES_MAX) {
            let full = std::mem::take(&mut calls);
            futures.extend(send_batch(session, Arc::clone(&kernel), full, &std::mem::take(&mut ends))?);
        }
    }
    if let Some(session) = on {
        futures.extend(send_batch(session, kernel, calls, &ends)?);
    }
    Ok(futures.into_iter().map(Future::of).collect())
}

/// Calls a function on this thread.
fn at_once(kernel: &Arc<Kernel>, number: u64, (params, given): (&[u8], &[Given])) -> Result<Arc<Shared>> {
    let mut planes = Vec::with_capacity(given.len());
    for given in given {
        planes.push(match given {
            Given::Put(plane) => plane.clone(),
            Given::Future(future) => match &*future.place() {
                Place::Here(bytes) => (**bytes).clone().map_err(Error::from)?,
                _ => return Err(FutureError::WithinTask.into()),
            },
        });
    }
    let values: Vec<&Plane> = planes.iter().collect();
    let made: Bytes = call_values(kernel, &ValuesCall { params, values: &values }).map_err(|error| {
        let (operation, message) = ("call".into(), error.to_string());
        Failure::Job(JobError::Operation { operation, chunk: number, message })
    });
    Ok(Shared::new(None, Place::Here(Box::new(made))))
}

/// An item that becomes the first of the arguments `Ts`.
pub(super) trait ItemOf<Ts> {
    fn write_item(self, to: &mut Written) -> Result<()>;
}

impl<A: Argument<T>, T> ItemOf<(T,)> for A {
    fn write_item(self, to: &mut Written) -> Result<()> {
        self.write(to)
    }
}

impl<A: Argument<T>, T, P> ItemOf<(T, P)> for A {
    fn write_item(self, to: &mut Written) -> Result<()> {
        self.write(to)
    }
}

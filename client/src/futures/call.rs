//! What becomes of a submission: it goes to its session's desk, or is a batch of its own; within a task it runs at once.
//!
//! Must not know how calls become programs, nor what can be asked for.

use super::argument::{Argument, Arguments, Given, Written};
use super::bytes;
use super::error::FutureError;
use super::future::{Bytes, Future, Place, Shared};
use super::queue::{How, put, send_batch};
use super::task::{Calling, Giving, Value, WithShared, kernel};
use crate::error::{Error, Result};
use crate::session::{Failure, Session, run};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::any::type_name;
use std::panic::Location;
use std::sync::Arc;
use tilework_expr::{Expr, Kernel};
use tilework_kernels::Plane;
use tilework_kernels::native::{ValuesCall, call_values};
use tilework_plan::{JobError, Terms};

/// Bytes of parameters that are sent as one batch of a `map`: more are several.
const BATCH_BYTES_MAX: usize = 32 << 20;

/// Where a task is submitted to, from which line, and how it is to be run.
pub(super) struct On {
    /// None within a task, which runs what it submits itself.
    session: Option<Session>,
    line: &'static Location<'static>,
    terms: Option<Arc<Terms>>,
}

impl On {
    /// In no special way, from the line that calls whoever calls this.
    #[track_caller]
    pub(super) fn of(session: Option<Session>) -> On {
        On { session, line: Location::caller(), terms: None }
    }

    /// On these terms.
    pub(super) fn with(self, terms: Option<Arc<Terms>>) -> On {
        On { terms, ..self }
    }

    /// None within a task.
    pub(super) fn session(&self) -> Option<&Session> {
        self.session.as_ref()
    }

    /// What is called in this way.
    pub(super) fn how(&self, kernel: Arc<Kernel>) -> How {
        How { kernel, line: self.line, terms: self.terms.clone() }
    }
}

/// Puts values to a session's workers, or keeps them within a task.
pub(super) fn scattered<T: Serialize>(
    on: &On,
    values: impl IntoIterator<Item = T>,
) -> Result<Vec<Future<T>>> {
    let mut planes = Vec::new();
    for (i, value) in values.into_iter().enumerate() {
        let mut written = Vec::new();
        let plane = bytes::write(&value, &mut written).and_then(|()| bytes::plane(&written));
        let what = || format!("value {i}, {},", type_name::<T>());
        planes.push(plane.map_err(|why| FutureError::Serialise { what: what(), why })?);
    }
    let shared = match on.session() {
        Some(session) => put(session, planes)?,
        None => planes.into_iter().map(|p| Shared::new(None, Place::Here(Box::new(Ok(p))))).collect(),
    };
    Ok(shared.into_iter().map(Future::of).collect())
}

/// Submits one call.
pub(super) fn one<C, G, F, Ts>(on: &On, f: &F, args: impl Arguments<Ts>) -> Result<Arc<Shared>>
where
    C: Calling<F, Ts>,
    G: Giving<C::Output>,
{
    let kernel = kernel::<C, G, F, Ts>(f)?;
    let mut call = Written::default();
    args.write(&mut call)?;
    let how = on.how(kernel);
    let Some(session) = on.session() else {
        return at_once(&how, 0, (&call.params, &call.given));
    };
    if call.has_arrays() {
        // What makes them may fail, and would fail what else is of the same job.
        let end = (call.params.len(), call.given.len());
        return Ok(send_batch(session, how, call, &[end])?.remove(0));
    }
    let future = session.desk().submit(session, how, call)?;
    if session.desk().is_full() {
        session.flush();
    }
    Ok(future)
}

/// Submits a call for each item, with one argument more that all calls are given.
pub(super) fn with_shared<F, T, P, R>(
    on: &On,
    f: &F,
    shared: impl Argument<P>,
    items: impl IntoIterator<Item: Argument<T>>,
) -> Result<Vec<Future<R>>>
where
    F: Fn(T, &P) -> R,
    T: DeserializeOwned,
    P: DeserializeOwned + Send + Sync + 'static,
    R: Serialize + DeserializeOwned,
{
    let shared = shared_by_all(on.session(), shared)?;
    many::<WithShared, Value, F, (T, P), _>(on, f, (items, Some(shared)))
}

/// The argument that all calls of a batch are given: where it is no small one, of a value that is put to a worker once.
fn shared_by_all<P>(on: Option<&Session>, shared: impl Argument<P>) -> Result<Written> {
    let mut written = Written::default();
    shared.write(&mut written)?;
    written.put_apart()?;
    for given in &mut written.given {
        match (&*given, on) {
            (Given::Put(plane), Some(session)) => {
                *given = Given::Future(put(session, vec![plane.clone()])?.remove(0));
            }
            (Given::Array(expr), None) => *given = Given::Put(computed(expr)?),
            _ => {}
        }
    }
    Ok(written)
}

/// Submits a call for each item.
pub(super) fn many<C, G, F, Ts, R>(
    on: &On,
    f: &F,
    (items, shared): (impl IntoIterator<Item: ItemOf<Ts>>, Option<Written>),
) -> Result<Vec<Future<R>>>
where
    C: Calling<F, Ts>,
    G: Giving<C::Output>,
{
    let how = on.how(kernel::<C, G, F, Ts>(f)?);
    let on = on.session();
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
            futures.push(at_once(&how, futures.len() as u64, call)?);
        }
        if let Some(session) = on.filter(|_| calls.params.len() > BATCH_BYTES_MAX) {
            let full = std::mem::take(&mut calls);
            futures.extend(send_batch(session, how.clone(), full, &std::mem::take(&mut ends))?);
        }
    }
    if let Some(session) = on {
        futures.extend(send_batch(session, how, calls, &ends)?);
    }
    Ok(futures.into_iter().map(Future::of).collect())
}

/// An array in one chunk, computed by this thread.
fn computed(expr: &Expr) -> Result<Plane> {
    let mut chunks = run(std::slice::from_ref(expr))?;
    Ok(chunks.remove(0).remove(0).planes.remove(0))
}

/// Calls a function on this thread, again where it fails and that is asked for.
pub(super) fn at_once(how: &How, number: u64, (params, given): (&[u8], &[Given])) -> Result<Arc<Shared>> {
    let mut planes = Vec::with_capacity(given.len());
    for given in given {
        planes.push(match given {
            Given::Put(plane) => plane.clone(),
            Given::Array(expr) => computed(expr)?,
            Given::Future(future) => match &*future.place() {
                Place::Here(bytes) => (**bytes).clone().map_err(Error::from)?,
                _ => return Err(FutureError::WithinTask.into()),
            },
        });
    }
    let values: Vec<&Plane> = planes.iter().collect();
    let call = || call_values(&how.kernel, &ValuesCall { params, values: &values });
    let mut made = call();
    for _ in 0..how.terms.as_deref().map_or(0, |terms| terms.retries) {
        if made.is_ok() {
            break;
        }
        made = call();
    }
    let made: Bytes = made.map_err(|error| {
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

//! A value that a task makes, or will make: the handle on it.
//!
//! Owns where the value is to be had from. Must not know how tasks are submitted.

use super::bytes;
use super::error::FutureError;
use crate::error::{Error, Result};
use crate::session::{Failure, Interest, Session, ValuesJob, What};
use serde::de::DeserializeOwned;
use std::any::type_name;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use tilework_kernels::Plane;
use tilework_worker::runs_tasks;

/// The bytes of a value, or why there are none.
pub(super) type Bytes = std::result::Result<Plane, Failure>;

/// One value of a job.
#[derive(Clone)]
pub(super) struct At {
    pub(super) job: Arc<ValuesJob>,
    pub(super) output: usize,
    pub(super) value: u64,
}

impl At {
    fn when(&self, what: What, alive: &Arc<()>) {
        self.job.values.when((self.output, self.value), Interest::new(what, alive));
    }

    /// There is no handle on it any more.
    pub(super) fn let_go(&self) {
        // With the last of a job's all of it goes.
        if Arc::strong_count(&self.job) > 1 {
            self.job.values.let_go((self.output, self.value));
        }
    }

    fn is_settled(&self) -> bool {
        self.job.values.is_settled(self.output, self.value)
    }
}

/// Where a value is to be had from.
pub(super) enum Place {
    /// It was submitted and not sent: which batch of the queue, and which of its calls.
    Queued { round: u64, batch: usize, value: u64 },
    /// From a job.
    At(At),
    /// From here.
    Here(Box<Bytes>),
}

/// What the clones of a future share.
pub(crate) struct Shared {
    /// Where it is made; absent where a task made it by itself.
    session: Option<Session>,
    place: Mutex<Place>,
}

impl Shared {
    pub(super) fn new(session: Option<Session>, place: Place) -> Arc<Shared> {
        Arc::new(Shared { session, place: Mutex::new(place) })
    }

    pub(super) fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn session(&self) -> Option<&Session> {
        self.session.as_ref()
    }

    /// Where it is, after it was sent if it was not.
    pub(super) fn sent(&self) -> std::result::Result<At, Bytes> {
        let queued = matches!(*self.place(), Place::Queued { .. });
        if let (true, Some(session)) = (queued, &self.session) {
            session.flush();
        }
        match &*self.place() {
            Place::At(at) => Ok(at.clone()),
            Place::Here(bytes) => Err((**bytes).clone()),
            Place::Queued { .. } => Err(Err(Failure::NotSent("nothing sends it".into(), None))),
        }
    }

    /// Where it is, for the calling thread to wait for it.
    ///
    /// # Errors
    /// Where that thread must not, for it runs a task. Of a future made within a task, the value is here.
    fn awaited(&self) -> Result<std::result::Result<At, Bytes>> {
        match self.sent() {
            Ok(_) if runs_tasks() => Err(FutureError::WithinTask.into()),
            sent => Ok(sent),
        }
    }

    fn is_settled(&self) -> bool {
        self.sent().map_or(true, |at| at.is_settled())
    }

    /// Waits for the bytes.
    ///
    /// # Errors
    /// Where the calling thread must not wait for them.
    pub(super) fn bytes(&self) -> Result<Bytes> {
        let (answer, alive) = (Answer::new(), Arc::new(()));
        let put = Arc::clone(&answer);
        self.when_here(&alive, move |bytes| put.put(bytes))?;
        Ok(answer.wait())
    }

    /// Calls when the value is made, or will not be, as long as `alive` lives; perhaps at once.
    ///
    /// # Errors
    /// Where the calling thread must not wait for it.
    pub(super) fn when_settled(&self, alive: &Arc<()>, told: impl FnOnce() + Send + 'static) -> Result<()> {
        match self.awaited()? {
            Ok(at) => at.when(What::Settled(Box::new(told)), alive),
            Err(_) => told(),
        }
        Ok(())
    }

    /// Hands the bytes on when they are here, or why there are none; perhaps at once. They come as long as there are
    /// handles on the value and `alive` lives.
    ///
    /// # Errors
    /// Where the calling thread must not wait for it.
    pub(super) fn when_here(&self, alive: &Arc<()>, sink: impl FnOnce(Bytes) + Send + 'static) -> Result<()> {
        match self.awaited()? {
            Ok(at) => at.when(What::Bytes(Box::new(sink)), alive),
            Err(bytes) => sink(bytes),
        }
        Ok(())
    }

    fn cancel(&self) {
        let mut place = self.place();
        if let Place::Here(bytes) = &*place
            && bytes.is_ok()
        {
            *place = Place::Here(Box::new(Err(Failure::Cancelled)));
            return;
        }
        if matches!(*place, Place::Here(_)) {
            return;
        }
        let before = std::mem::replace(&mut *place, Place::Here(Box::new(Err(Failure::Cancelled))));
        drop(place);
        if let Place::At(at) = before {
            at.job.values.cancel((at.output, at.value));
            at.let_go();
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Place::At(at) = self.place.get_mut().unwrap_or_else(PoisonError::into_inner) {
            at.let_go();
        }
    }
}

/// A slot for one answer, which a thread or a waker waits for.
struct Answer {
    state: Mutex<(Option<Bytes>, Option<Waker>)>,
    changed: Condvar,
}

impl Answer {
    fn new() -> Arc<Answer> {
        Arc::new(Answer { state: Mutex::default(), changed: Condvar::new() })
    }

    fn lock(&self) -> MutexGuard<'_, (Option<Bytes>, Option<Waker>)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, bytes: Bytes) {
        let mut state = self.lock();
        state.0 = Some(bytes);
        let waker = state.1.take();
        drop(state);
        self.changed.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn wait(&self) -> Bytes {
        let mut state = self.lock();
        loop {
            match state.0.take() {
                Some(bytes) => return bytes,
                None => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

/// The value that bytes are.
pub(super) fn decoded<T: DeserializeOwned>(bytes: Bytes) -> Result<T> {
    let plane = bytes.map_err(Error::from)?;
    let read = bytes::read(plane.contiguous_bytes().unwrap_or(&[]));
    read.map_err(|why| FutureError::Deserialise { expected: type_name::<T>(), why }.into())
}

/// The value that a task makes, on whichever worker: a handle that is there at once. A clone is another handle on the same
/// value. The value stays on the worker as long as there are handles on it, or tasks that read it; it can be an argument of
/// further tasks, which then run where it is or fetch it from there.
///
/// [`result`](Future::result) waits for the value and gets it, and so does `.await`, on any executor.
///
/// ```
/// use tilework::Session;
///
/// fn halves(x: f64) -> f64 {
///     x / 2.0
/// }
///
/// # fn main() -> tilework::Result<()> {
/// let session = Session::embedded()?;
/// let one = session.submit(halves, (2.0,))?;
/// let half = session.submit(halves, (&one,))?;
/// assert_eq!(half.result()?, 0.5);
/// # Ok(())
/// # }
/// ```
#[must_use = "where no future is left, nobody waits for the task, and it need not run"]
pub struct Future<T> {
    shared: Arc<Shared>,
    of: PhantomData<fn() -> T>,
}

impl<T> Clone for Future<T> {
    fn clone(&self) -> Future<T> {
        Future::of(Arc::clone(&self.shared))
    }
}

impl<T> std::fmt::Debug for Future<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = match &*self.shared.place() {
            Place::Queued { .. } => "submitted",
            Place::At(at) if at.is_settled() => "done",
            Place::At(_) => "sent",
            Place::Here(bytes) if bytes.is_ok() => "done",
            Place::Here(_) => "failed",
        };
        write!(f, "Future<{}>({state})", type_name::<T>())
    }
}

impl<T> Future<T> {
    pub(super) fn of(shared: Arc<Shared>) -> Future<T> {
        Future { shared, of: PhantomData }
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Whether the value is made, or it is known that it will not be. Does not wait.
    ///
    /// ```
    /// let session = tilework::Session::embedded()?;
    /// let future = session.submit(|x: i64| x + 1, (1,))?;
    /// future.result()?;
    /// assert!(future.is_done());
    /// # Ok::<(), tilework::Error>(())
    /// ```
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.shared.is_settled()
    }

    /// Gives the value up: whoever asks for it is told [`FutureError::Cancelled`]. The task does not run where it, and all
    /// that were submitted with it, are given up before they run; what it has made is freed, unless tasks read it: those are
    /// not concerned.
    ///
    /// ```
    /// let session = tilework::Session::embedded()?;
    /// let future = session.submit(|x: i64| x + 1, (1,))?;
    /// future.cancel();
    /// assert_eq!(future.result().unwrap_err().to_string(), "the future was cancelled");
    /// # Ok::<(), tilework::Error>(())
    /// ```
    pub fn cancel(&self) {
        self.shared.cancel();
    }
}

impl<T: DeserializeOwned> Future<T> {
    /// Waits for the value and gets it.
    ///
    /// # Errors
    /// [`FutureError`] in [`Error::Future`]: the task failed, the future was cancelled, the value is not a `T`.
    /// [`Error::Job`] where the job cannot go on, [`Error::Cluster`] where the cluster is lost.
    pub fn result(&self) -> Result<T> {
        decoded(self.shared.bytes()?)
    }

    /// The value, where the task is done; gets it, but does not wait for the task.
    ///
    /// ```
    /// let session = tilework::Session::embedded()?;
    /// let future = session.submit(|x: i64| x + 1, (1,))?;
    /// let value = loop {
    ///     if let Some(value) = future.try_result() {
    ///         break value?;
    ///     }
    /// };
    /// assert_eq!(value, 2);
    /// # Ok::<(), tilework::Error>(())
    /// ```
    #[must_use]
    pub fn try_result(&self) -> Option<Result<T>> {
        self.is_done().then(|| self.result())
    }
}

/// A future's value on its way, for `.await`.
pub struct Awaited<T> {
    shared: Arc<Shared>,
    asked: Option<(Arc<Answer>, Arc<()>)>,
    of: PhantomData<fn() -> T>,
}

impl<T> std::fmt::Debug for Awaited<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Awaited<{}>", type_name::<T>())
    }
}

impl<T: DeserializeOwned> std::future::Future for Awaited<T> {
    type Output = Result<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T>> {
        let me = self.get_mut();
        if me.asked.is_none() {
            let (answer, alive) = (Answer::new(), Arc::new(()));
            let put = Arc::clone(&answer);
            if let Err(error) = me.shared.when_here(&alive, move |bytes| put.put(bytes)) {
                return Poll::Ready(Err(error));
            }
            me.asked = Some((answer, alive));
        }
        let (answer, _) = me.asked.as_ref().expect("it was asked for");
        let mut state = answer.lock();
        match state.0.take() {
            Some(bytes) => {
                drop(state);
                // Polled again, it asks again.
                me.asked = None;
                Poll::Ready(decoded(bytes))
            }
            None => {
                state.1 = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl<T: DeserializeOwned> IntoFuture for Future<T> {
    type Output = Result<T>;
    type IntoFuture = Awaited<T>;

    fn into_future(self) -> Awaited<T> {
        Awaited { shared: self.shared, asked: None, of: PhantomData }
    }
}

impl<T: DeserializeOwned> IntoFuture for &Future<T> {
    type Output = Result<T>;
    type IntoFuture = Awaited<T>;

    fn into_future(self) -> Awaited<T> {
        self.clone().into_future()
    }
}

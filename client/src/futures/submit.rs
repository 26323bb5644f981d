//! Submitting tasks to a session in no special way: one by one, or one for each item of a list.
//!
//! Must not know how calls become programs.

use super::call::On;
use super::doors::submits;
use super::tasks::Tasks;
use crate::session::{Session, session_for};

impl Session {
    /// Tasks that are to be run in a special way, which is said before they are submitted: see [`Tasks`].
    ///
    /// ```
    /// let session = tilework::Session::embedded()?;
    /// let parsed = session.tasks().retries(2).try_submit(|text: String| text.parse::<f64>(), ("0.5".to_owned(),))?;
    /// assert_eq!(parsed.result()?, 0.5);
    /// # Ok::<(), tilework::Error>(())
    /// ```
    pub fn tasks(&self) -> Tasks {
        Tasks::of(Some(self.clone()))
    }

    submits! {
        /// Submits a call of a function: some worker calls it with these arguments, a tuple of one to six, of which each is a
        /// value that serde can write, the [`Future`] of one, or an array of this crate's. Does not wait.
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
        /// For an array, the function gets ndarray's with all elements (or this crate's, or of one axis a vector). It is computed on
        /// the workers, and does not pass through this process; a worker must have memory for it, twice.
        ///
        /// ```
        /// use tilework::Array2;
        ///
        /// let session = tilework::Session::embedded()?;
        /// let table = Array2::<f64>::in_chunks([100, -1]).ones((1000, 20)) * 0.5;
        /// let sum = session.submit(|table: ndarray::Array2<f64>| table.sum(), (&table,))?;
        /// assert_eq!(sum.result()?, 10_000.0);
        /// # Ok::<(), tilework::Error>(())
        /// ```
        ///
        /// # Errors
        /// [`Error::Function`](crate::Error::Function) where the function does not travel; [`FutureError`](crate::FutureError) for
        /// an argument that cannot be written, or a future that was cancelled or is of another session.
        submit(&self,) on On::of(session_for(Some(self))?)
    }

    submits! {
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
        try_submit(&self,) on On::of(session_for(Some(self))?)
    }

    submits! {
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
        /// As [`submit`](Session::submit), and [`Error::Cluster`](crate::Error::Cluster) where the cluster is lost.
        map(&self,) on On::of(session_for(Some(self))?)
    }

    submits! {
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
        try_map(&self,) on On::of(session_for(Some(self))?)
    }

    submits! {
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
        map_with(&self,) on On::of(session_for(Some(self))?)
    }

    submits! {
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
        /// [`FutureError::Serialise`](crate::FutureError::Serialise) where serde cannot write it;
        /// [`Error::Cluster`](crate::Error::Cluster) where the cluster is lost.
        scatter(&self,) on On::of(session_for(Some(self))?)
    }

    submits! {
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
        scatter_all(&self,) on On::of(session_for(Some(self))?)
    }
}

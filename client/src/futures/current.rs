//! Submitting tasks to the current session.
//!
//! Must not know how calls become programs.

use super::call::On;
use super::doors::submits;
use super::tasks::Tasks;
use crate::error::Result;
use crate::session::session_for;

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
    session_for(None).map(Tasks::of)
}

submits! {
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
    submit() on On::of(session_for(None)?)
}

submits! {
    /// [`Session::try_submit`](crate::Session::try_submit) on the current session.
    ///
    /// # Errors
    /// As there, and where the session cannot be started.
    try_submit() on On::of(session_for(None)?)
}

submits! {
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
    map() on On::of(session_for(None)?)
}

submits! {
    /// [`Session::try_map`](crate::Session::try_map) on the current session.
    ///
    /// # Errors
    /// As there, and where the session cannot be started.
    try_map() on On::of(session_for(None)?)
}

submits! {
    /// [`Session::map_with`](crate::Session::map_with) on the current session.
    ///
    /// # Errors
    /// As there, and where the session cannot be started.
    map_with() on On::of(session_for(None)?)
}

submits! {
    /// [`Session::scatter`](crate::Session::scatter) on the current session.
    ///
    /// # Errors
    /// As there, and where the session cannot be started.
    scatter() on On::of(session_for(None)?)
}

submits! {
    /// [`Session::scatter_all`](crate::Session::scatter_all) on the current session.
    ///
    /// # Errors
    /// As there, and where the session cannot be started.
    scatter_all() on On::of(session_for(None)?)
}

submits! {
    /// [`Session::map_shuffle`](crate::Session::map_shuffle) on the current session.
    ///
    /// # Errors
    /// As there, and where the session cannot be started.
    map_shuffle() on On::of(session_for(None)?)
}

submits! {
    /// [`Session::try_map_shuffle`](crate::Session::try_map_shuffle) on the current session.
    ///
    /// # Errors
    /// As there, and where the session cannot be started.
    try_map_shuffle() on On::of(session_for(None)?)
}

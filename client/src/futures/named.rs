//! Values under names: a future is published, and had by its name.
//!
//! Must not know how names are kept.

use super::future::{At, Future, Place, Shared};
use super::{When, wait};
use crate::error::{ClusterError, Error, Result};
use crate::names::{Publish, Published};
use crate::session::{Planned, Reads, Session};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use tilework_expr::{Attachment, Expr, Op, Program};

/// A value is published by itself, once it is made: what was made with it, and its arguments, may go.
impl<T: Serialize + DeserializeOwned> Publish for Future<T> {
    fn kept(&self, session: &Session) -> Result<Expr> {
        let copies = session.map(|value: T| value, [self])?;
        wait(&copies, When::All, None)?;
        let copy = Arc::clone(copies[0].shared());
        let at = match &*copy.place() {
            Place::At(at) => at.clone(),
            Place::Here(bytes) => return Err((**bytes).clone().map_or_else(Error::from, |_| unsent())),
            Place::Queued { .. } => return Err(unsent()),
        };
        if let Some(why) = at.job.values.failure((at.output, at.value)) {
            return Err(why.into());
        }
        // The handle on it goes with the expression, and all of its job with that.
        let (job, output, n) = (at.job.id().0, at.output as u32, at.job.lens[at.output]);
        drop(at);
        let guard: Attachment = copy;
        Ok(Expr::held_values(job, output, n, guard)?)
    }
}

fn unsent() -> Error {
    ClusterError::Gone("a value that was not sent to the workers cannot be kept by them".to_owned()).into()
}

/// The type is that which the value was published as: what it holds is read when it is asked for.
impl<T> Published for Future<T> {
    fn of(session: &Session, name: &str, kept: &Expr) -> Result<Self> {
        if !matches!(kept.op(), Op::Values(_)) {
            return Err(Error::Kind { what: name.to_owned(), got: "an array", expected: "a value" });
        }
        let planned = Planned::of(Program::new(std::slice::from_ref(kept)), Vec::new())?;
        let job = Arc::new(session.start_values(planned, vec![kept.len()], Reads::default())?);
        let place = Place::At(At { job, output: 0, value: 0 });
        Ok(Future::of(Shared::new(Some(session.clone()), place)))
    }
}

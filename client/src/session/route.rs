//! Where a computation runs. There are three places: the thread that asks, because it runs a task; the thread that asks, because
//! the computation is worth no worker; and the workers of a session. Whatever computes goes through [`route`], which makes
//! the plan, once, and hands it on to the place.
//!
//! Owns that decision. Must not know how any of the places computes.

use super::own::FIRST_WORKER_WAIT;
use super::planned::Planned;
use super::{Place, Session, WorkerSize, at_once};
use crate::error::{Error, Result};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tilework_expr::Expr;
use tilework_worker::runs_tasks;

/// Where a computation runs, with what is run there.
pub(super) enum Route {
    /// Here, for a task that asks: without any session.
    Here(Planned),
    /// Here, for a session that notes it: to hand it to a worker would take far longer than to compute it.
    AtOnce(Session, Planned),
    /// By the workers of a session.
    Submit(Session, Planned),
}

/// What is to become of what is computed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Want {
    /// It is gathered into this process.
    Values,
    /// It stays where it is made.
    Kept,
    /// Nothing: it is computed for its effect, files that are written.
    Effect,
}

/// The session that works for this thread: the one that is asked for, else the current one, which starts by itself; none
/// where the thread runs a task. A task computes and calls by itself what it asks for: a worker whose threads waited for
/// results would have none left to make them.
///
/// # Errors
/// Where the current session cannot be started.
pub(crate) fn session_for(asked: Option<&Session>) -> Result<Option<Session>> {
    if runs_tasks() {
        return Ok(None);
    }
    asked.map_or_else(Session::current, |session| Ok(session.clone())).map(Some)
}

/// Where the expressions are computed, on the session that is asked for or on the current one.
///
/// # Errors
/// A session that cannot be started, results that are not to be gathered, an array that is lost, expressions that have no
/// plan.
pub(super) fn route(asked: Option<&Session>, outputs: &[Expr], want: Want) -> Result<Route> {
    let Some(session) = session_for(asked)? else {
        return Planned::on(None, outputs, Duration::ZERO).map(Route::Here);
    };
    if want == Want::Values {
        session.may_gather(outputs)?;
    }
    let planned = Planned::on(Some(&session), outputs, FIRST_WORKER_WAIT)?;
    Ok(match want {
        Want::Values if session.is_roomy() && at_once::is_small(&planned) => Route::AtOnce(session, planned),
        Want::Values | Want::Kept | Want::Effect => Route::Submit(session, planned),
    })
}

impl Session {
    /// Whether what is small may be computed by a thread of this process in the workers' place: they are in it, and it is
    /// nothing beside what they may use.
    fn is_roomy(&self) -> bool {
        let roomy = |w: &WorkerSize| w.memory_bytes > 4 * at_once::BYTES_MAX;
        self.0.place == Place::Here && self.0.workers.at_start.iter().all(roomy)
    }

    /// Bytes that may be gathered into this process by one run.
    pub(super) fn gather_limit(&self) -> u64 {
        self.0.gather_bytes_max.load(Ordering::Relaxed)
    }

    /// Whether results may be gathered into this process.
    fn may_gather(&self, outputs: &[Expr]) -> Result<()> {
        let bytes = outputs.iter().map(|e| e.len() as u64 * e.dtype().size() as u64);
        let bytes = bytes.fold(0, u64::saturating_add);
        let limit = self.gather_limit();
        if bytes > limit { Err(Error::TooLargeToGather { bytes, limit }) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;
    use crate::session::EmbeddedOptions;
    use tilework_expr::{Chunks, Scalar};

    fn session(memory_bytes: u64) -> Session {
        let memory_bytes_per_worker = Some(memory_bytes);
        Session::embedded_with(&EmbeddedOptions { memory_bytes_per_worker, ..EmbeddedOptions::default() })
            .unwrap()
    }

    fn ones(len: usize, chunk: isize) -> Expr {
        Expr::full(&[len], &Chunks::from(chunk), Scalar::new(1.0)).unwrap()
    }

    #[track_caller]
    fn is_at_once(session: &Session, expr: &Expr, want: Want) -> bool {
        match route(Some(session), std::slice::from_ref(expr), want).unwrap() {
            Route::AtOnce(of, _) => {
                assert!(of.is(session));
                true
            }
            Route::Submit(to, _) => {
                assert!(to.is(session));
                false
            }
            Route::Here(_) => panic!("this thread runs no task"),
        }
    }

    #[test]
    fn what_is_small_is_computed_here_where_its_values_are_wanted() {
        let (roomy, narrow) = (session(1 << 30), session(4 * at_once::BYTES_MAX));
        assert!(is_at_once(&roomy, &ones(4, 1), Want::Values));
        assert!(!is_at_once(&narrow, &ones(4, 1), Want::Values), "it might not fit beside what is there");
        for want in [Want::Kept, Want::Effect] {
            assert!(!is_at_once(&roomy, &ones(4, 1), want), "{want:?}");
        }
        assert!(!is_at_once(&roomy, &ones(5, 1), Want::Values), "a task too many");
        assert!(!is_at_once(&roomy, &ones(10_000, -1), Want::Values), "80 kB");
        roomy.gather_bytes_max(31);
        assert!(route(Some(&roomy), &[ones(4, 1)], Want::Values).is_err());
        assert!(!is_at_once(&roomy, &ones(4, 1), Want::Kept), "of what stays there any size will do");
    }

    #[test]
    fn what_a_task_asks_for_is_computed_by_its_thread_whatever_becomes_of_it() {
        let session = session(1 << 30);
        session.gather_bytes_max(0);
        let thread = std::thread::spawn(move || {
            tilework_worker::mark_task_thread();
            assert!(session_for(Some(&session)).unwrap().is_none() && session_for(None).unwrap().is_none());
            for asked in [Some(&session), None] {
                for want in [Want::Values, Want::Kept, Want::Effect] {
                    let route = route(asked, &[ones(100_000, 10_000)], want).unwrap();
                    assert!(matches!(route, Route::Here(_)), "{want:?}");
                }
            }
            let kept = Array1::<f64>::in_chunks(10).ones(100).try_persist_on(&session).unwrap();
            assert_eq!((kept.sum(), session.n_tasks_done()), (100.0, 0));
        });
        thread.join().unwrap();
    }
}

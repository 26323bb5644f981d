//! Results that stay on the workers of a session, and how another session gets them.
//!
//! Owns the job that keeps them. Must not know how chunks travel.

use super::Session;
use super::fetch;
use super::jobs::Job;
use crate::error::{ClusterError, Result};
use crate::literal::{Literal, Provider, chunk_at};
use std::sync::Arc;
#[cfg(feature = "dataframe")]
use tilework_expr::Expr;
use tilework_kernels::Chunk;
use tilework_plan::{Grid, Region};

/// A job whose outputs stay on the workers of a session as long as this lives. So does the session.
struct Kept {
    job: Job,
    session: Session,
}

/// What hangs on a held expression: one output of a job that is kept.
pub(crate) struct Held {
    kept: Arc<Kept>,
    /// Fetches the chunks, for where they are not held.
    literal: Arc<Literal>,
}

impl Held {
    /// An output of a job of a session.
    pub(super) fn outputs(job: Job, session: &Session, grids: impl Iterator<Item = Grid>) -> Vec<Held> {
        let kept = Arc::new(Kept { job, session: session.clone() });
        let held = grids.enumerate().map(|(output, grid)| {
            let fetched = Fetched { kept: Arc::clone(&kept), output, grid };
            Held { kept: Arc::clone(&kept), literal: Arc::new(Literal::new(fetched)) }
        });
        held.collect()
    }

    pub(super) fn is_of(&self, session: &Session) -> bool {
        self.kept.session.is(session)
    }

    /// Why the workers do not have it any more, where that is because the connection was lost.
    pub(super) fn lost(&self) -> Option<ClusterError> {
        self.kept.job.board().closed()
    }

    /// What takes its place on another session.
    pub(super) fn literal(&self) -> &Arc<Literal> {
        &self.literal
    }
}

/// What brings the chunks of an expression here that a session holds.
#[cfg(feature = "dataframe")]
pub(crate) fn brought(of: &Expr) -> Option<Arc<Literal>> {
    of.attachment()?.downcast_ref::<Held>().map(|held| Arc::clone(held.literal()))
}

/// The chunks of an output that is held by another session.
struct Fetched {
    kept: Arc<Kept>,
    output: usize,
    grid: Grid,
}

impl Provider for Fetched {
    fn chunk(&self, region: &Region) -> Result<Chunk> {
        let (board, data) = (self.kept.job.board(), self.kept.session.0.data.as_ref());
        fetch::one(board, data, self.output, chunk_at(&self.grid, region)).map_err(|error| {
            let why = format!(
                "what another session's workers hold cannot be fetched from them ({error}); keep that session's \
                 processes running, or compute it (`into_ndarray`, of a table `collect`) before they end"
            );
            ClusterError::OutOfReach(why).into()
        })
    }

    fn waits(&self) -> bool {
        true
    }
}

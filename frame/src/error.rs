//! What can go wrong, one enum for each party who must act: who plans a query, and who runs a task. Must not know what is
//! done about it.

use datafusion::error::DataFusionError;
use std::error::Error;
use std::sync::Arc;

/// Why a query could not be planned.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// An option that results depend on is none that DataFusion knows, or does not take the value.
    #[error("option {name} of datafusion could not be set to {value}: {reason}")]
    Option {
        /// Its full name.
        name: String,
        /// What it was to be.
        value: String,
        /// What DataFusion says.
        reason: String,
    },
    /// The query asks for something that cannot be run as tasks.
    #[error("{what} cannot run in separate tasks: {reason}")]
    Unsupported {
        /// What of the query it is.
        what: String,
        /// Why not, and what to write instead where there is something.
        reason: String,
    },
    /// The query is wrong: its syntax, a name, a type, a file.
    #[error("{0}")]
    Query(#[source] Arc<DataFusionError>),
    /// A task of it failed, where the query runs in this process.
    #[error("{stage}, task {task}: {error}")]
    Task {
        /// The display name of its stage.
        stage: String,
        /// The task's number in it.
        task: u64,
        /// Why.
        #[source]
        error: TaskError,
    },
}

impl From<DataFusionError> for FrameError {
    fn from(error: DataFusionError) -> FrameError {
        FrameError::Query(Arc::new(error))
    }
}

/// Why a task did not finish.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum TaskError {
    /// The stage's plan is none of ours, or asks for what the task was not fed with.
    #[error("the plan of the stage cannot be run: {0}")]
    Payload(String),
    /// What the task must hold at once is more than its grant. More partitions, or a sort-merge join, need less.
    #[error(
        "{consumer} asked for {asked_bytes} bytes more, of {grant_bytes} that the task may hold, {held_bytes} taken: {reason}"
    )]
    Memory {
        /// The operator that asked.
        consumer: String,
        /// How much more it asked for.
        asked_bytes: u64,
        /// What was taken then.
        held_bytes: u64,
        /// What the task may hold.
        grant_bytes: u64,
        /// What DataFusion says.
        reason: String,
    },
    /// What was to be read did not come. Whoever fed the task says why.
    #[error("input of the task: {0}")]
    Feed(#[source] Arc<dyn Error + Send + Sync>),
    /// A piece's bytes are none that a task wrote.
    #[error("a piece is corrupt: {0}")]
    Corrupt(String),
    /// The directory for what memory does not hold.
    #[error("spilling to disk: {0}")]
    Disk(#[source] Arc<std::io::Error>),
    /// The threads that tasks run on could not be started.
    #[error("starting threads for tasks: {0}")]
    Threads(#[source] Arc<std::io::Error>),
    /// The user's data or files: a value out of range, a division by zero, a file that cannot be read.
    #[error("{0}")]
    Data(#[source] Arc<DataFusionError>),
    /// Code of an operator or of a function panicked.
    #[error("panicked: {0}")]
    Panic(String),
    /// The task was told to stop.
    #[error("stopped")]
    Stopped,
}

impl TaskError {
    /// An error that keeps its type on its way through DataFusion's streams; [`TaskError::found_in`] finds it again.
    pub(crate) fn into_datafusion(self) -> DataFusionError {
        DataFusionError::External(Box::new(self))
    }

    /// The error of ours at the bottom of one of DataFusion's, however it is wrapped.
    pub(crate) fn found_in(error: &DataFusionError) -> Option<TaskError> {
        let mut at: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(e) = at {
            if let Some(ours) = e.downcast_ref::<TaskError>() {
                return Some(ours.clone());
            }
            at = e.source();
        }
        None
    }
}

/// An I/O error of ours that says that the disk may not hold more; found by its type.
#[derive(Debug, thiserror::Error)]
#[error("{used_bytes} bytes of {limit_bytes} are taken, {asked_bytes} more were to be written")]
pub(crate) struct DiskFull {
    pub used_bytes: u64,
    pub limit_bytes: u64,
    pub asked_bytes: u64,
}

/// An I/O error on a spill file, told apart from those of the user's files by its type.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub(crate) struct SpillIo(#[source] pub Arc<std::io::Error>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_ours_is_found_under_any_wrapping_of_datafusions() {
        let ours = TaskError::Feed(Arc::new(std::io::Error::other("peer gone")));
        let inner = Arc::new(ours.clone().into_datafusion());
        let arrow = datafusion::arrow::error::ArrowError::ExternalError(Box::new(ours.into_datafusion()));
        let shared = DataFusionError::Context("join".into(), Box::new(DataFusionError::Shared(inner)));
        for wrapped in [shared, DataFusionError::ArrowError(Box::new(arrow), None)] {
            let found = TaskError::found_in(&wrapped).unwrap();
            assert!(matches!(found, TaskError::Feed(e) if e.to_string() == "peer gone"));
        }
        assert!(TaskError::found_in(&DataFusionError::Execution("no".into())).is_none());
    }
}

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
    /// There is no such column. Names are exact.
    #[error("there is no column {name:?}{}", nearest_shown(nearest))]
    Column {
        /// What was asked for.
        name: String,
        /// The names that are most like it, the nearest first.
        nearest: Vec<String>,
    },
    /// Two columns of one table would have this name.
    #[error("two columns would be called {name:?}; `alias` gives one of them another name")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// Two types that do not go together where they meet.
    #[error("{what}: {left} and {right} do not go together")]
    Types {
        /// Where they meet.
        what: String,
        /// One of them.
        left: String,
        /// The other one.
        right: String,
    },
    /// A value that a method does not take.
    #[error("{argument}: {reason}")]
    Argument {
        /// The argument.
        argument: &'static str,
        /// Why not.
        reason: String,
    },
    /// No file is there.
    #[error("there is no file at {path}")]
    NoFile {
        /// The path or pattern.
        path: String,
    },
    /// A file could not be read or written.
    #[error("{path}: {error}")]
    File {
        /// Its path.
        path: String,
        /// Why.
        #[source]
        error: Arc<dyn Error + Send + Sync>,
    },
    /// What would be written is there already.
    #[error("{path} is there already; `overwrite` replaces it")]
    Exists {
        /// Its path.
        path: String,
    },
    /// Two files of one table have a column of types that do not go together.
    #[error("column {column:?} is {first} in {first_file} and {second} in {second_file}")]
    Drift {
        /// The column.
        column: String,
        /// A file,
        first_file: String,
        /// and its type there.
        first: String,
        /// Another file,
        second_file: String,
        /// and its type there.
        second: String,
    },
    /// A row of the result is none of the type that it was asked as.
    #[error("row {row}: {reason}")]
    Row {
        /// The row's number, from 0.
        row: usize,
        /// Why not.
        reason: String,
    },
    /// The thread that plans could not be started.
    #[error("starting a thread: {0}")]
    Thread(#[source] Arc<std::io::Error>),
    /// Whoever runs the query failed for a reason of its own.
    #[error("{0}")]
    Executor(#[source] Arc<dyn Error + Send + Sync>),
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

fn nearest_shown(nearest: &[String]) -> String {
    let names: Vec<String> = nearest.iter().map(|name| format!("{name:?}")).collect();
    if names.is_empty() { String::new() } else { format!("; did you mean {}?", names.join(" or ")) }
}

impl FrameError {
    /// An error of whoever runs queries.
    #[must_use]
    pub fn executor(error: impl Into<Box<dyn Error + Send + Sync>>) -> FrameError {
        FrameError::Executor(Arc::from(error.into()))
    }

    pub(crate) fn argument(argument: &'static str, reason: impl Into<String>) -> FrameError {
        FrameError::Argument { argument, reason: reason.into() }
    }

    pub(crate) fn file(
        path: impl AsRef<std::path::Path>,
        error: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> FrameError {
        FrameError::File { path: path.as_ref().display().to_string(), error: Arc::from(error.into()) }
    }
}

impl From<datafusion::arrow::error::ArrowError> for FrameError {
    fn from(error: datafusion::arrow::error::ArrowError) -> FrameError {
        FrameError::Query(Arc::new(error.into()))
    }
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

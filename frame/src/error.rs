//! What can go wrong, one enum for each party who must act: who plans a query, and who runs a task. Must not know what is
//! done about it.

use crate::csv::CsvError;
use crate::objects::Refused;
use datafusion::arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use datafusion::object_store;
use datafusion::parquet::errors::ParquetError;
use std::error::Error;
use std::sync::Arc;
use tilework_formats::FormatError;

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
    /// No file is there, or no object.
    #[error("there is no file at {path}{}", nearest_shown(nearest))]
    NoFile {
        /// The path or pattern, or the URL.
        path: String,
        /// The names beside an object that are most like its own, the nearest first.
        nearest: Vec<String>,
    },
    /// An object is no more what it was when the table was made.
    #[error("{path} has changed since the table was made; a table that is made anew reads what it is now")]
    Changed {
        /// Its URL.
        path: String,
    },
    /// An object store, or the way to it: no permission, no bucket, no answer.
    #[error("{0}")]
    Store(#[source] Arc<FormatError>),
    /// A file could not be read or written.
    #[error("{path}: {error}")]
    File {
        /// Its path.
        path: String,
        /// Why.
        #[source]
        error: Arc<dyn Error + Send + Sync>,
    },
    /// A function of the user's fails for no rows, with which it is called to see what it gives.
    #[error("{0}")]
    Function(#[source] Arc<TaskError>),
    /// Values are missing where each is needed.
    #[error("{n} values of column {column:?} are missing; `fill_null` gives them others")]
    Missing {
        /// The column.
        column: String,
        /// How many.
        n: u64,
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
    /// A task of it needs more memory than any worker may use.
    #[error("{stage}: a task needs {needed_bytes} bytes, and the largest worker may use {limit_bytes}")]
    Memory {
        /// The display name of its stage.
        stage: String,
        /// What the task needs.
        needed_bytes: u64,
        /// What a worker may use.
        limit_bytes: u64,
    },
    /// The rows are more than this process would gather.
    #[error(
        "the rows take {bytes} bytes, and {limit_bytes} may be gathered: write them to files, or reduce them, or raise \
         `gather_bytes_max`"
    )]
    TooLarge {
        /// What they take.
        bytes: u64,
        /// What may be gathered.
        limit_bytes: u64,
    },
    /// A task of it failed, in this process or on a worker.
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
    /// Whether the query might have run with less in each task.
    pub(crate) fn is_of_memory(&self) -> bool {
        match self {
            FrameError::Memory { .. } => true,
            FrameError::Task { error, .. } => error.is_of_memory(),
            _ => false,
        }
    }

    /// An error of whoever runs queries.
    #[must_use]
    pub fn executor(error: impl Into<Box<dyn Error + Send + Sync>>) -> FrameError {
        FrameError::Executor(Arc::from(error.into()))
    }

    pub(crate) fn argument(argument: &'static str, reason: impl Into<String>) -> FrameError {
        FrameError::Argument { argument, reason: reason.into() }
    }

    pub(crate) fn no_file(path: impl Into<String>) -> FrameError {
        FrameError::NoFile { path: path.into(), nearest: Vec::new() }
    }

    /// Why a file cannot be read or written; what an object store says keeps its type.
    pub(crate) fn file(
        path: impl AsRef<std::path::Path>,
        error: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> FrameError {
        let error = error.into();
        match Refused::in_chain(&*error) {
            Some(why) => why.into(),
            None => FrameError::File { path: path.as_ref().display().to_string(), error: Arc::from(error) },
        }
    }
}

impl From<datafusion::arrow::error::ArrowError> for FrameError {
    fn from(error: datafusion::arrow::error::ArrowError) -> FrameError {
        FrameError::Query(Arc::new(error.into()))
    }
}

impl From<DataFusionError> for FrameError {
    fn from(error: DataFusionError) -> FrameError {
        // One of ours comes back as what it was, however DataFusion has wrapped it.
        let mut at: Option<&(dyn Error + 'static)> = Some(&error);
        while let Some(e) = at {
            if let Some(ours) = e.downcast_ref::<FrameError>() {
                return ours.clone();
            }
            if let Some(why) = e.downcast_ref::<Refused>() {
                return why.clone().into();
            }
            at = e.source();
        }
        FrameError::Query(Arc::new(error))
    }
}

/// Why a task did not finish. It travels: whoever asked for a query gets the same from a task in this process and from one
/// elsewhere.
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
    /// There may be no more, or there is no room for more, in the directory for what memory does not hold.
    #[error("the disk is full: {reason}")]
    DiskFull {
        /// The directory.
        dir: String,
        /// What is there, and what was to come.
        reason: String,
    },
    /// The directory for what memory does not hold.
    #[error("spilling to {dir}: {reason}")]
    Disk {
        /// The directory.
        dir: String,
        /// Why not.
        reason: String,
    },
    /// The threads that tasks run on could not be started.
    #[error("starting threads for tasks: {0}")]
    Threads(#[source] Arc<std::io::Error>),
    /// A function of the user's panicked, gave an error, or something else than it was to give.
    #[error("{why} (called at {line})")]
    Function {
        /// The line of the program that has it called, `file:line:column`.
        line: String,
        /// What went wrong, with the function's name.
        why: String,
    },
    /// A file that a task writes.
    #[error("{path}: {error}")]
    File {
        /// Its path.
        path: String,
        /// Why.
        #[source]
        error: Arc<std::io::Error>,
    },
    /// The user's data or files: a value out of range, a division by zero, a file that cannot be read.
    #[error("{0}")]
    Data(#[source] DataError),
    /// Code of an operator or of a function panicked.
    #[error("panicked: {0}")]
    Panic(String),
    /// The task was told to stop.
    #[error("stopped")]
    Stopped,
}

/// What is wrong with the user's data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A value or a row of a CSV file.
    #[error("{0}")]
    Csv(#[source] Box<CsvError>),
    /// A whole number was divided by zero.
    #[error("divide by zero: {0}")]
    DivideByZero(String),
    /// A result that does not fit its type.
    #[error("{0}")]
    Overflow(String),
    /// A value that is none of the type that it is to become.
    #[error("{0}")]
    Cast(String),
    /// A file that was there when the query was made.
    #[error("there is no file at {path}")]
    NoFile {
        /// Its path.
        path: String,
    },
    /// An object that is no more what it was when the table was made.
    #[error("{path} has changed since the table was made; a table that is made anew reads what it is now")]
    Changed {
        /// Its URL.
        path: String,
    },
    /// An object store that does not let the worker in.
    #[error("{path}: no permission: {reason}")]
    Denied {
        /// The URL.
        path: String,
        /// What the server said, and where credentials were looked for.
        reason: String,
    },
    /// An object store whose server does not answer the worker.
    #[error("{path}: the server cannot be reached: {reason}")]
    Unreachable {
        /// The URL.
        path: String,
        /// The last try's failure.
        reason: String,
    },
    /// A file that cannot be read, or is not what it is said to be.
    #[error("{0}")]
    File(String),
    /// Something else, as DataFusion says it.
    #[error("{0}")]
    Other(String),
}

impl DataError {
    /// An error of DataFusion's by its type.
    pub(crate) fn of(error: &DataFusionError) -> DataError {
        if let Some(why) = Refused::in_chain(error) {
            return why.into();
        }
        let mut at: Option<&(dyn Error + 'static)> = Some(error);
        let mut found = None;
        while let Some(e) = at {
            // What lies deepest says most: a file that is gone is an error of reading Parquet too.
            found = DataError::known(e).or(found);
            at = e.source();
        }
        found.unwrap_or_else(|| DataError::Other(error.strip_backtrace()))
    }

    fn known(error: &(dyn Error + 'static)) -> Option<DataError> {
        if let Some(error) = error.downcast_ref::<CsvError>() {
            return Some(DataError::Csv(Box::new(error.clone())));
        }
        if let Some(error) = error.downcast_ref::<DataError>() {
            return Some(error.clone());
        }
        if let Some(error) = error.downcast_ref::<object_store::Error>() {
            return Some(match error {
                object_store::Error::NotFound { path, .. } => DataError::NoFile { path: path.clone() },
                other => DataError::File(other.to_string()),
            });
        }
        if let Some(error) = error.downcast_ref::<ParquetError>() {
            return Some(DataError::File(error.to_string()));
        }
        Some(match error.downcast_ref::<ArrowError>()? {
            ArrowError::DivideByZero => {
                DataError::DivideByZero("a whole number has no such quotient".to_owned())
            }
            ArrowError::ArithmeticOverflow(text) => DataError::Overflow(format!("overflow: {text}")),
            ArrowError::CastError(text) | ArrowError::ParseError(text) => DataError::Cast(text.clone()),
            ArrowError::IoError(text, _) | ArrowError::IpcError(text) | ArrowError::JsonError(text) => {
                DataError::File(text.clone())
            }
            _ => return None,
        })
    }
}

impl TaskError {
    /// The user's data are wrong, as DataFusion or Arrow says.
    pub(crate) fn data(error: impl Into<DataFusionError>) -> TaskError {
        TaskError::Data(DataError::of(&error.into()))
    }

    /// An error that keeps its type on its way through DataFusion's streams; [`TaskError::found_in`] finds it again.
    pub(crate) fn into_datafusion(self) -> DataFusionError {
        DataFusionError::External(Box::new(self))
    }

    /// The error of ours at the bottom of one of DataFusion's, however it is wrapped.
    pub(crate) fn found_in(error: &DataFusionError) -> Option<TaskError> {
        let mut at: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(e) = at {
            let inner = e.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
            if let Some(ours) = e.downcast_ref().or_else(|| inner?.downcast_ref::<TaskError>()) {
                return Some(ours.clone());
            }
            at = e.source();
        }
        None
    }

    /// Whether another worker may do what this one could not; else it is the same everywhere.
    #[must_use]
    pub fn is_of_the_worker(&self) -> bool {
        use TaskError as E;
        matches!(
            self,
            E::Feed(_)
                | E::Corrupt(_)
                | E::Disk { .. }
                | E::DiskFull { .. }
                | E::File { .. }
                | E::Threads(_)
                | E::Data(DataError::Unreachable { .. })
        )
    }

    /// Whether more partitions, or a sort-merge join, would have needed less.
    pub(crate) fn is_of_memory(&self) -> bool {
        matches!(self, TaskError::Memory { .. })
    }
}

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
        let io = std::io::Error::other(TaskError::Stopped);
        assert!(TaskError::found_in(&DataFusionError::IoError(io)).is_some());
    }

    #[test]
    fn what_is_wrong_with_data_is_found_by_types() {
        let arrow = |e: ArrowError| DataError::of(&DataFusionError::Context("x".into(), Box::new(e.into())));
        assert!(matches!(arrow(ArrowError::DivideByZero), DataError::DivideByZero(_)));
        assert!(matches!(arrow(ArrowError::ArithmeticOverflow("1 + 1".into())), DataError::Overflow(_)));
        assert_eq!(arrow(ArrowError::CastError("x is no y".into())), DataError::Cast("x is no y".into()));
        let csv = CsvError::Ragged { file: "a.csv".into(), line: 3, got: 1, expected: 2 };
        assert_eq!(DataError::of(&csv.clone().into()), DataError::Csv(Box::new(csv)));
        let gone = object_store::Error::NotFound { path: "a.parquet".into(), source: "gone".into() };
        assert_eq!(DataError::of(&gone.into()), DataError::NoFile { path: "a.parquet".into() });
        assert!(matches!(DataError::of(&DataFusionError::Execution("no".into())), DataError::Other(_)));
    }
}

//! Internal to tilework: tables. A query is planned by DataFusion, its physical plan is cut at its exchanges into a graph
//! of stages, and each task of a stage, one partition, runs by itself: what it reads is handed to it, what it makes is
//! handed back in pieces.
//!
//! ```text
//! SQL ── Planner ──> StageGraph: plain data, with plans as bytes          (the client)
//!                        │   scheduled as any other tasks                  (whoever schedules)
//!        Runner  ──> one partition of one stage ──> Pieces                 (the workers)
//! ```
//!
//! ```
//! use tilework_frame::{Keep, PlanOptions, Planner, Runner, RunnerOptions, run_local};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), tilework_frame::FrameError> {
//! let planner = Planner::new(PlanOptions { n_partitions: 3.try_into().unwrap(), ..PlanOptions::default() })?;
//! let query = planner.sql("select k, sum(v) from (values (1, 10), (2, 20), (1, 30)) as t(k, v) group by k").await?;
//! let planned = planner.plan(query).await?;
//! assert!(planned.graph.stages.len() > 1);
//!
//! let spill_dir = std::env::temp_dir();
//! let runner = Runner::new(RunnerOptions { n_threads: 2, spill_dir, spill_bytes_max: 1 << 30 })?;
//! let ran = run_local(&planned.graph, &planned.schema, &runner, Keep::Batches, 2).await?;
//! let rows: usize = ran.partitions.iter().flatten().map(|batch| batch.num_rows()).sum();
//! assert_eq!(rows, 2);
//! # Ok(())
//! # }
//! ```
//!
//! The only crate that names DataFusion. Must not know of schedulers, workers, connections or stores of chunks. Whatever
//! crosses to another process is a [`StageGraph`] or an encoded [`Piece`]; neither holds a type of DataFusion's.
//!
//! Equal inputs give equal bits: a task reads in the order of the tasks that made its input, hashes with fixed seeds and
//! gets the memory that its stage says, and nothing depends on how many machines or threads there are.

mod api;
mod beside;
mod blocks;
mod codec;
mod csv;
mod digest;
mod divide;
#[doc(hidden)]
pub mod doc;
mod error;
mod facts;
mod files;
mod forget;
mod format;
mod function;
mod functions;
mod hive;
mod local;
mod logical;
mod map;
mod medians;
mod names;
mod nodes;
mod objects;
mod operator;
mod place;
mod plan;
mod plans;
mod pool;
mod ranges;
mod read;
mod run;
mod scatter;
mod session;
mod sink;
mod sorts;
mod source;
mod spill;
mod split;
mod stage;
mod stored;
mod told;
mod wire;
mod write;

pub use api::execute::{keep_here, run_here};
pub use api::{
    AsofOptions, AsofSide, CsvError, CsvOptions, DataFrame, Execute, Expr, GroupBy, IntoColumn, IntoSortKey,
    JoinHow, JoinOptions, KeepRow, LocalExecute, Paths, Planning, RankMethod, ReadOptions, RowStream,
    RunFigures, SortKey, Text, Time, Validate, Value, When, WriteOptions, coalesce, col, concat,
    concat_diagonal, concat_str, date_range, from_columns, from_record_batches, from_stored, len, lit, null,
    persist_all, read_csv, read_ipc, read_ipc_with, read_json, read_json_with, read_parquet,
    read_parquet_with, sql, sql_on, values, when,
};
pub use blocks::Piece;
pub use datafusion::arrow;
pub use error::{DataError, FrameError, TaskError};
pub use function::{Caller, Function, install_caller};
pub use local::{Keep, Local, Ran, run_local};
pub use plan::{PlanOptions, Planned, Planner};
pub use read::read_payload;
pub use run::{
    Feed, Room, Runner, RunnerOptions, Stop, StopHandle, TaskInput, TaskOutput, each_thread_begins_with,
};
pub use session::self_test;
pub use spill::SpillSpace;
pub use stage::{How, Input, Origin, Source, StageGraph, StagePlan};
pub use stored::{Facts, Kept, Stored};

/// What programs that work with tables name: `use tilework_frame::prelude::*`.
pub mod prelude {
    pub use crate::api::*;
    pub use crate::arrow::datatypes::DataType;
    pub use crate::error::FrameError;
}

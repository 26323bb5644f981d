//! Tables: dataframes and SQL, computed by the same sessions as arrays.
//!
//! A [`DataFrame`] is lazy: its methods check names and types and build a query; [`collect`](DataFrame::collect), `show`,
//! `rows` and those that write run it, on the current [`Session`](crate::Session) or on the one whose method made it. Queries are planned
//! here, by [DataFusion](https://datafusion.apache.org), and cut into tasks, which the workers run one partition each; what
//! they exchange is kept, spilled, made again and moved as chunks of arrays are.
//!
//! ```
//! use tilework::dataframe::prelude::*;
//! use tilework::dataframe::from_columns;
//!
//! let trips = from_columns([
//!     ("city", values(["Rome", "Oslo", "Rome"])),
//!     ("km", values([Some(12.0), Some(3.5), None])),
//! ])?;
//! let by_city = trips.group_by(["city"]).agg([col("km").sum(), len().alias("trips")])?;
//! let far = by_city.filter(col("km").gt(5.0))?;
//! assert_eq!(far.to_vec::<String>("city")?, ["Rome"]);
//! # Ok::<(), FrameError>(())
//! ```
//!
//! Owns what is between a query and a session. Must not know how queries are planned, nor how a task of one is run.

mod arrays;
mod doors;
mod execute;
mod functions;
mod program;
mod stored;

pub use arrays::{Nulls, TableArrays, TableColumn, column, from_arrays};
pub use doors::{
    date_range, from_columns, from_record_batches, read_csv, read_ipc, read_ipc_with, read_json,
    read_json_with, read_parquet, read_parquet_with, sql, sql_on,
};
pub use functions::{Cell, GivesBatch, GivesCell, MapElements, MapPartitions};
/// What an object store says in [`FrameError::Store`].
pub use tilework_formats::FormatError;
pub use tilework_frame::arrow;
pub use tilework_frame::{
    AsofOptions, AsofSide, CsvError, CsvOptions, DataError, DataFrame, Expr, FrameError, GroupBy, IntoColumn,
    IntoSortKey, JoinHow, JoinOptions, KeepRow, Paths, RankMethod, ReadOptions, RowStream, RunFigures,
    SortKey, TaskError, Text, Time, Validate, Value, When, WriteOptions, coalesce, col, concat,
    concat_diagonal, concat_str, len, lit, null, persist_all, values, when,
};
pub(crate) use tilework_worker_tables::install;

/// What programs that work with tables import: `use tilework::dataframe::prelude::*`.
pub mod prelude {
    pub use super::{
        CsvOptions, DataFrame, Expr, FrameError, IntoColumn, IntoSortKey, JoinHow, JoinOptions, KeepRow,
        MapElements, MapPartitions, Nulls, RankMethod, ReadOptions, TableArrays, Validate, WriteOptions,
        coalesce, col, concat, concat_str, len, lit, null, values, when,
    };
    pub use tilework_frame::arrow::datatypes::DataType;
}

//! Tables as users write them: lazy, with names that are exact, null as what is missing and NaN as a value. Each method
//! checks names and types at once and runs nothing; [`collect`](DataFrame::collect) and those that return rows do.
//!
//! ```
//! # use tilework_frame as tilework;
//! # use tilework::doc::prelude::*;
//! let trips = from_columns([
//!     ("city", values(["Rome", "Oslo", "Rome"])),
//!     ("km", values([Some(12.0), Some(3.5), None])),
//! ])?;
//! let by_city = trips
//!     .group_by(["city"])
//!     .agg([col("km").sum(), len().alias("trips")])?
//!     .sort([col("trips").desc()])?;
//! assert_eq!(by_city.to_vec::<String>("city")?, ["Rome", "Oslo"]);
//! # Ok::<(), FrameError>(())
//! ```
//!
//! Must not know how plans are cut or run.

mod aggregate;
mod asof;
mod clean;
mod concat;
pub(crate) mod execute;
mod explain;
mod expr;
mod frame;
mod function;
mod group;
mod join;
mod keep;
mod math;
mod memory;
mod read;
mod resolve;
mod rows;
mod select;
mod show;
mod sort;
mod sql;
mod stream;
mod text;
mod time;
mod window;
mod write;

pub use crate::csv::{CsvError, CsvOptions};
pub use asof::{AsofOptions, AsofSide};
pub use concat::{concat, concat_diagonal};
pub use execute::{Execute, LocalExecute, Planning, RunFigures};
pub use expr::{Expr, IntoColumn, When, coalesce, col, concat_str, len, lit, null, when};
pub use frame::DataFrame;
pub use group::{GroupBy, KeepRow};
pub use join::{JoinHow, JoinOptions, Validate};
pub use keep::{from_stored, persist_all};
pub use memory::{Value, date_range, from_columns, from_record_batches, values};
pub use read::{
    Paths, ReadOptions, read_csv, read_ipc, read_ipc_with, read_json, read_json_with, read_parquet,
    read_parquet_with,
};
pub use sort::{IntoSortKey, SortKey};
pub use sql::{sql, sql_on};
pub use stream::RowStream;
pub use text::{Text, Time};
pub use window::RankMethod;
pub use write::WriteOptions;

pub(crate) use concat::widened;
pub(crate) use execute::apart;
pub(crate) use read::{partitions_of, partitions_of_group};
pub(crate) use resolve::{nearest, no_column};

pub(crate) type Result<T> = std::result::Result<T, crate::error::FrameError>;

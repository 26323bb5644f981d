//! The ways into tables, each as a function for the current session and as a method of [`Session`]. Must not know what is
//! read or built.

use super::execute::OnSession;
use crate::session::Session;
use std::sync::Arc;
use tilework_frame::arrow::array::{ArrayRef, RecordBatch};
use tilework_frame::{CsvOptions, DataFrame, Execute, FrameError, Paths, ReadOptions};

type Result<T> = std::result::Result<T, FrameError>;

fn on(session: Option<&Session>) -> Arc<dyn Execute> {
    Arc::new(OnSession(session.cloned()))
}

macro_rules! doors {
    ($($(#[$doc:meta])* fn $name:ident $([$($generics:tt)*])? ($($arg:ident: $ty:ty),*);)*) => {
        $(
            $(#[$doc])*
            pub fn $name $(<$($generics)*>)? ($($arg: $ty),*) -> Result<DataFrame> {
                tilework_frame::$name(&on(None), $($arg),*)
            }
        )*

        /// Tables that are computed by this session, whichever is the current one.
        impl Session {
            $(
                #[doc = concat!("As [`", stringify!($name), "`](crate::dataframe::", stringify!($name), "), on this session.")]
                ///
                /// # Errors
                /// As there.
                pub fn $name $(<$($generics)*>)? (&self, $($arg: $ty),*) -> Result<DataFrame> {
                    tilework_frame::$name(&on(Some(self)), $($arg),*)
                }
            )*
        }
    };
}

doors! {
    /// A table of columns, which are equally long. They stay in this process until a query reads them.
    ///
    /// # Errors
    /// Columns of different lengths, or of one name.
    ///
    /// ```
    /// use tilework::dataframe::{from_columns, prelude::*};
    ///
    /// let df = from_columns([("x", values([1, 2, 3])), ("y", values([1.5, 2.5, 3.5]))])?;
    /// assert_eq!(df.shape()?, (3, 2));
    /// # Ok::<(), FrameError>(())
    /// ```
    fn from_columns[N: AsRef<str>](columns: impl IntoIterator<Item = (N, ArrayRef)>);

    /// A table of Arrow's record batches, which all have the first one's schema.
    ///
    /// # Errors
    /// No batches, or batches of different schemas.
    fn from_record_batches(batches: impl IntoIterator<Item = RecordBatch>);

    /// The times from a start to an end, which are texts as `2024-01-31` or `2024-01-31 12:00`, and every `every` (`15m`,
    /// `1h`, `1d`, `1mo`, `1y`), in a column of this name: to join with what is to have a row for each of them.
    ///
    /// # Errors
    /// A text that is no time or no distance; more than 100 million times.
    ///
    /// ```
    /// use tilework::dataframe::{date_range, prelude::*};
    ///
    /// let days = date_range("day", "2024-01-31", "2024-04-30", "1mo")?;
    /// assert_eq!(days.select([col("day").dt().day()])?.to_vec::<i64>("day")?, [31, 29, 31, 30]);
    /// # Ok::<(), FrameError>(())
    /// ```
    fn date_range(name: &str, start: &str, end: &str, every: &str);

    /// A table of CSV files: a path, a directory or a pattern, here or in an object store, or several ([`Paths`]). The types
    /// of columns are found on the head, the middle and the end of each file where `dtypes` does not say them; `NA`, `nan`
    /// and what else pandas takes for missing is null.
    /// Workers read the files: they are to be at the same path there.
    ///
    /// # Errors
    /// No file; columns of several files that do not go together. A value that does not fit its column is found when rows
    /// are asked for: the error says file, line, column and text.
    ///
    /// ```
    /// use tilework::dataframe::{prelude::*, read_csv};
    ///
    /// let dir = tempfile::tempdir().unwrap();
    /// std::fs::write(dir.path().join("a.csv"), "city,km\nRome,12.5\nOslo,NA\n").unwrap();
    /// let df = read_csv(dir.path().join("*.csv").to_str().unwrap(), &CsvOptions::default())?;
    /// assert_eq!(df.to_vec::<Option<f64>>("km")?, [Some(12.5), None]);
    /// # Ok::<(), FrameError>(())
    /// ```
    fn read_csv(paths: impl Paths, options: &CsvOptions);

    /// A table of Parquet files: a path, a directory or a pattern, here or in an object store, or several ([`Paths`]).
    /// Columns and row groups that a query does not need are not read. Workers read the files: they are to be at the same
    /// path there, or stores open to them as to this process.
    ///
    /// # Errors
    /// No file; a file that is none of Parquet; columns of several files that do not go together; a store that says no.
    ///
    /// ```no_run
    /// use tilework::dataframe::{prelude::*, read_parquet};
    ///
    /// let trips = read_parquet("s3://city/trips/2024-*.parquet")?;
    /// println!("{}", trips.filter(col("km").gt(10.0))?.shape()?.0);
    /// # Ok::<(), FrameError>(())
    /// ```
    fn read_parquet(paths: impl Paths);

    /// A table of files of JSON objects, one in each line. Else as [`read_parquet`].
    ///
    /// # Errors
    /// No file; lines that are none of JSON; columns of several files that do not go together.
    fn read_json(paths: impl Paths);

    /// A table of Arrow files (Feather, version 2). Else as [`read_parquet`].
    ///
    /// # Errors
    /// No file; a file that is none of Arrow; columns of several files that do not go together.
    fn read_ipc(paths: impl Paths);

    /// As [`read_parquet`], as the options say: with `hive`, the directories below a path name columns, as
    /// [`WriteOptions::partition_by`](crate::dataframe::WriteOptions::partition_by) writes them; those that a query rules out
    /// are not read.
    ///
    /// # Errors
    /// As there; directories that do not name the same columns, or one that files have too.
    ///
    /// ```
    /// use tilework::dataframe::{from_columns, prelude::*, read_parquet_with};
    ///
    /// let dir = tempfile::tempdir().unwrap();
    /// let path = dir.path().join("sales");
    /// let sales = from_columns([("year", values([2023, 2024, 2024])), ("n", values([1, 2, 3]))])?;
    /// let by_year = WriteOptions { partition_by: vec!["year".to_owned()], ..WriteOptions::default() };
    /// sales.write_parquet(&path, &by_year)?;
    /// let back = read_parquet_with(path.to_str().unwrap(), &ReadOptions { hive: true })?;
    /// let late = back.filter(col("year").gt_eq(2024))?.select([col("n").sum()])?;
    /// assert_eq!(late.to_vec::<i64>("n")?, [5]);
    /// # Ok::<(), FrameError>(())
    /// ```
    fn read_parquet_with(paths: impl Paths, options: &ReadOptions);

    /// As [`read_json`], with the options of [`read_parquet_with`].
    ///
    /// # Errors
    /// As there.
    fn read_json_with(paths: impl Paths, options: &ReadOptions);

    /// As [`read_ipc`], with the options of [`read_parquet_with`].
    ///
    /// # Errors
    /// As there.
    fn read_ipc_with(paths: impl Paths, options: &ReadOptions);

    /// The rows that a query in SQL gives, which reads no tables; [`sql_on`] is for those that do.
    ///
    /// # Errors
    /// A query that is wrong, with its position.
    ///
    /// ```
    /// use tilework::dataframe::{prelude::*, sql};
    ///
    /// let df = sql("select 6 * 7 as answer")?;
    /// assert_eq!(df.to_vec::<i64>("answer")?, [42]);
    /// # Ok::<(), FrameError>(())
    /// ```
    fn sql(query: &str);

    /// The same, of tables that it calls by these names.
    ///
    /// # Errors
    /// A query that is wrong, with its position.
    ///
    /// ```
    /// use tilework::dataframe::{from_columns, prelude::*, sql_on};
    ///
    /// let t = from_columns([("k", values(["a", "b", "a"])), ("v", values([1, 2, 3]))])?;
    /// let sums = sql_on("select k, sum(v) as v from t group by k order by k", &[("t", &t)])?;
    /// assert_eq!(sums.to_vec::<i64>("v")?, [4, 2]);
    /// # Ok::<(), FrameError>(())
    /// ```
    fn sql_on(query: &str, tables: &[(&str, &DataFrame)]);
}

//! The ways into tables of files, and into how many partitions they are cut. Must not know which files a path means, nor how
//! a format is decoded.

use super::Result;
use super::execute::Execute;
use super::frame::{DataFrame, partitions_for};
use crate::csv::{CsvOptions, CsvTable, found};
use crate::error::FrameError;
use crate::files::{File, files, files_below, files_table};
use crate::hive::{HiveTable, Keys};
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::arrow::ArrowFormat;
use datafusion::datasource::file_format::json::JsonFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::LogicalPlanBuilder;
use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

/// How many partitions so many bytes of files have, for a session that plans.
pub(crate) fn partitions_of(bytes: u64, session: &dyn Session) -> usize {
    let n = session.config().target_partitions();
    match session.config_options().optimizer.repartition_file_min_size {
        0 => n,
        _ => n.min(partitions_for(bytes)),
    }
}

/// How many of all partitions a group of files has that takes so many of all bytes: one at the least.
pub(crate) fn partitions_of_group(bytes: u64, (all_bytes, n): (u64, usize)) -> usize {
    let share = (n as u128 * u128::from(bytes)).div_ceil(u128::from(all_bytes.max(1)));
    usize::try_from(share).unwrap_or(usize::MAX).max(1)
}

/// How files are read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReadOptions {
    /// Whether the directories below a path name columns: `year=2024/month=1/..`. Of a column, all values are whole
    /// numbers, dates or texts.
    pub hive: bool,
}

/// What names files: a path, a directory or a pattern, on this machine (`/data/*.parquet`, `file:///data`) or in an object
/// store (`s3://bucket/key`, `gs://bucket/key`, `https://host/path`); or several of these, whose files follow one another.
pub trait Paths {
    /// Each of them.
    fn paths(self) -> Vec<String>;
}

macro_rules! one_path {
    ($($one:ty),*) => {$(
        impl Paths for $one {
            fn paths(self) -> Vec<String> {
                vec![self.to_string()]
            }
        }
    )*};
}
one_path!(&str, &String, String, Cow<'_, str>, &Cow<'_, str>);

macro_rules! several_paths {
    ($([$($n:tt)*] $several:ty),*) => {$(
        impl<S: AsRef<str>, $($n)*> Paths for $several {
            fn paths(self) -> Vec<String> {
                self.iter().map(|path| path.as_ref().to_owned()).collect()
            }
        }
    )*};
}
several_paths!([] &[S], [] Vec<S>, [] &Vec<S>, [const N: usize] [S; N], [const N: usize] &[S; N]);

/// A table of CSV files: a path, a directory or a pattern, or several ([`Paths`]). Types are found on the head, the middle
/// and the end of each file, if `dtypes` does not say them; texts that stand for what is missing are those of pandas. Files
/// whose names end in `.gz` are decompressed, each by one task.
///
/// # Errors
/// [`FrameError::NoFile`] if there is no file, [`FrameError::Drift`] if types of a column in two files do not go together.
/// A value that does not fit, farther into a file, is an error when rows are read, a [`CsvError`](crate::CsvError) that
/// says file, line, column and text.
///
/// ```
/// # use tilework_frame as tilework;
/// # use tilework::prelude::*;
/// # let on = LocalExecute::start()?;
/// let dir = tempfile::tempdir().unwrap();
/// std::fs::write(dir.path().join("a.csv"), "city,km\nRome,12.5\nOslo,NA\n").unwrap();
/// let df = read_csv(&on, dir.path().join("*.csv").to_str().unwrap(), &CsvOptions::default())?;
/// assert_eq!(df.to_vec::<Option<f64>>("km")?, [Some(12.5), None]);
/// # Ok::<(), FrameError>(())
/// ```
pub fn read_csv(on: &Arc<dyn Execute>, paths: impl Paths, options: &CsvOptions) -> Result<DataFrame> {
    csv(on, &paths.paths(), options)
}

fn csv(on: &Arc<dyn Execute>, paths: &[String], options: &CsvOptions) -> Result<DataFrame> {
    if options.hive {
        let (keys, files) = keyed(paths, ".csv")?;
        let files = Arc::new(CsvTable::new(found(files, options)?, options.clone()));
        return table(on, Arc::new(HiveTable::new(files, keys)?));
    }
    let found = found(files(paths, ".csv")?, options)?;
    table(on, Arc::new(CsvTable::new(found, options.clone())))
}

/// A table of Parquet files: a path, a directory or a pattern, or several ([`Paths`]). Files may have different columns,
/// which are missing in the rows of others, and types that can be widened.
///
/// # Errors
/// [`FrameError::NoFile`] if there is no file, [`FrameError::File`] if one is no Parquet file, [`FrameError::Drift`] if
/// types of a column in two files do not go together.
///
/// ```
/// # use tilework_frame as tilework;
/// # use tilework::prelude::*;
/// # let on = LocalExecute::start()?;
/// let dir = tempfile::tempdir().unwrap();
/// let path = dir.path().join("a.parquet").to_str().unwrap().to_owned();
/// from_columns(&on, [("x", values([1, 2]))])?.write_parquet(&path, &WriteOptions::default())?;
/// assert_eq!(read_parquet(&on, &path)?.to_vec::<i64>("x")?, [1, 2]);
/// # Ok::<(), FrameError>(())
/// ```
pub fn read_parquet(on: &Arc<dyn Execute>, paths: impl Paths) -> Result<DataFrame> {
    read_parquet_with(on, paths, &ReadOptions::default())
}

/// As [`read_parquet`], as these options say.
///
/// # Errors
/// As [`read_parquet`]; with `hive`, [`FrameError::Argument`] for directories that do not name the same columns, and
/// [`FrameError::Duplicate`] for a column that files have too.
///
/// ```
/// # use tilework_frame as tilework;
/// # use tilework::prelude::*;
/// # let on = LocalExecute::start()?;
/// let dir = tempfile::tempdir().unwrap();
/// let path = dir.path().join("t");
/// let df = from_columns(&on, [("k", values(["a", "b", "a"])), ("x", values([1, 2, 3]))])?;
/// df.write_parquet(&path, &WriteOptions { partition_by: vec!["k".to_owned()], ..WriteOptions::default() })?;
/// let back = read_parquet_with(&on, path.to_str().unwrap(), &ReadOptions { hive: true })?;
/// assert_eq!(back.filter(col("k").eq("a"))?.to_vec::<i64>("x")?, [1, 3]);
/// # Ok::<(), FrameError>(())
/// ```
pub fn read_parquet_with(
    on: &Arc<dyn Execute>,
    paths: impl Paths,
    options: &ReadOptions,
) -> Result<DataFrame> {
    listed(on, (paths.paths(), ".parquet"), Arc::new(ParquetFormat::default()), options)
}

/// A table of files with an object of JSON on each line: a path, a directory or a pattern, or
/// several ([`Paths`]).
///
/// # Errors
/// As [`read_parquet`].
///
/// ```
/// # use tilework_frame as tilework;
/// # use tilework::prelude::*;
/// # let on = LocalExecute::start()?;
/// let dir = tempfile::tempdir().unwrap();
/// let path = dir.path().join("a.json").to_str().unwrap().to_owned();
/// std::fs::write(&path, "{\"x\": 1}\n{\"x\": 2}\n").unwrap();
/// assert_eq!(read_json(&on, &path)?.to_vec::<i64>("x")?, [1, 2]);
/// # Ok::<(), FrameError>(())
/// ```
pub fn read_json(on: &Arc<dyn Execute>, paths: impl Paths) -> Result<DataFrame> {
    read_json_with(on, paths, &ReadOptions::default())
}

/// As [`read_json`], with the options of [`read_parquet_with`].
///
/// # Errors
/// As there.
///
/// ```
/// # use tilework_frame as tilework;
/// # use tilework::prelude::*;
/// # let on = LocalExecute::start()?;
/// let dir = tempfile::tempdir().unwrap();
/// std::fs::create_dir(dir.path().join("day=2024-02-29")).unwrap();
/// std::fs::write(dir.path().join("day=2024-02-29/a.json"), "{\"x\": 1}\n").unwrap();
/// let df = read_json_with(&on, dir.path().to_str().unwrap(), &ReadOptions { hive: true })?;
/// assert_eq!(df.select([col("day").dt().month()])?.to_vec::<i64>("day")?, [2]);
/// # Ok::<(), FrameError>(())
/// ```
pub fn read_json_with(on: &Arc<dyn Execute>, paths: impl Paths, options: &ReadOptions) -> Result<DataFrame> {
    listed(on, (paths.paths(), ".json"), Arc::new(JsonFormat::default()), options)
}

/// A table of files of Arrow's IPC format, also called Feather: a path, a directory or a
/// pattern, or several ([`Paths`]).
///
/// # Errors
/// As [`read_parquet`].
///
/// ```
/// # use tilework_frame as tilework;
/// # use tilework::prelude::*;
/// # let on = LocalExecute::start()?;
/// let dir = tempfile::tempdir().unwrap();
/// let path = dir.path().join("a.arrow").to_str().unwrap().to_owned();
/// from_columns(&on, [("x", values([1, 2]))])?.write_ipc(&path, &WriteOptions::default())?;
/// assert_eq!(read_ipc(&on, &path)?.to_vec::<i64>("x")?, [1, 2]);
/// # Ok::<(), FrameError>(())
/// ```
pub fn read_ipc(on: &Arc<dyn Execute>, paths: impl Paths) -> Result<DataFrame> {
    read_ipc_with(on, paths, &ReadOptions::default())
}

/// As [`read_ipc`], with the options of [`read_parquet_with`].
///
/// # Errors
/// As there.
///
/// ```
/// # use tilework_frame as tilework;
/// # use tilework::prelude::*;
/// # let on = LocalExecute::start()?;
/// let dir = tempfile::tempdir().unwrap();
/// let path = dir.path().join("t");
/// let df = from_columns(&on, [("k", values([Some(1), None])), ("x", values([1, 2]))])?;
/// df.write_ipc(&path, &WriteOptions { partition_by: vec!["k".to_owned()], ..WriteOptions::default() })?;
/// let back = read_ipc_with(&on, path.to_str().unwrap(), &ReadOptions { hive: true })?;
/// assert_eq!(back.filter(col("k").is_null())?.to_vec::<i64>("x")?, [2]);
/// # Ok::<(), FrameError>(())
/// ```
pub fn read_ipc_with(on: &Arc<dyn Execute>, paths: impl Paths, options: &ReadOptions) -> Result<DataFrame> {
    listed(on, (paths.paths(), ".arrow"), Arc::new(ArrowFormat), options)
}

fn table(on: &Arc<dyn Execute>, table: Arc<dyn TableProvider>) -> Result<DataFrame> {
    let plan = LogicalPlanBuilder::scan("table", provider_as_source(table), None)?.build()?;
    DataFrame::new(on.clone(), plan)
}

/// A table of files of a format that DataFusion reads.
fn listed(
    on: &Arc<dyn Execute>,
    (paths, ending): (Vec<String>, &str),
    format: Arc<dyn FileFormat>,
    options: &ReadOptions,
) -> Result<DataFrame> {
    if options.hive {
        let (keys, files) = keyed(&paths, ending)?;
        return table(on, Arc::new(HiveTable::new(Arc::new(files_table(files, format)?), keys)?));
    }
    table(on, Arc::new(files_table(files(&paths, ending)?, format)?))
}

/// All files below a directory, and the columns that directories between name.
fn keyed(paths: &[String], ending: &str) -> Result<(Keys, Vec<File>)> {
    let [path] = paths else {
        let reason = format!("{} paths, and directories name columns below one", paths.len());
        return Err(FrameError::argument("hive", reason));
    };
    let (root, files) = files_below(path, ending)?;
    let paths: Vec<PathBuf> = files.iter().map(|file| file.path().to_owned()).collect();
    Ok((Keys::of(&root, &paths)?, files))
}

//! Tables as files: one that this process writes as rows come, or a directory that the tasks of a query write, a file for
//! each partition or more. All is written under another name beside its own and renamed when it is complete, so that nobody
//! sees half of it; in an object store, as far as that can be. Must not know formats, nor how rows are made.

use super::Result;
use super::frame::DataFrame;
use super::resolve::{check_column, column};
use crate::error::FrameError;
use crate::format::{Encoder, Format, Target};
use crate::objects::ObjectTarget;
use crate::place::{PLACE, placed};
use crate::sink::{Sink, written};
use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::DataType;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder, cast};
use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;
use tilework_formats::StagedDir;
use tilework_formats::objects::{local_path, url_of};

/// How files are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteOptions {
    /// Whether what is there is replaced; else it is an error.
    pub overwrite: bool,
    /// A directory with a file for each partition, in their order, instead of one file. Workers write the files: the path
    /// is to be the same one there.
    pub partitioned: bool,
    /// A directory with one of a name `column=value` for each combination of values of these columns, one within another,
    /// as Hive has them; a file in each. Workers write the files. [`read_parquet_with`](crate::read_parquet_with) and its
    /// like read them back.
    pub partition_by: Vec<String>,
    /// What is between the values of a CSV file.
    pub separator: u8,
}

impl Default for WriteOptions {
    fn default() -> WriteOptions {
        WriteOptions { overwrite: false, partitioned: false, partition_by: Vec::new(), separator: b',' }
    }
}

impl DataFrame {
    /// Runs the query and writes the rows as Parquet, compressed with Snappy: one file, to which they come through this
    /// process, a partition at a time, or a directory that the workers write (see [`WriteOptions`]).
    ///
    /// What is written has another name beside its own, `.NAME.tilework-..`, until all is there. What a program that was
    /// killed leaves there the next one that writes to the same path clears.
    ///
    /// A path may be an URL of an object store, `s3://bucket/key` or `gs://bucket/key`. An object is there when it is
    /// complete; several are written below `_tilework-..`, get their places one by one when all are complete, and
    /// `_SUCCESS` comes last.
    ///
    /// # Errors
    /// As [`collect`](DataFrame::collect); [`FrameError::Exists`] if something is there; [`FrameError::File`] if it cannot
    /// be written, [`FrameError::Store`] if a store says why not. Nothing is left then.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let dir = tempfile::tempdir().unwrap();
    /// let path = dir.path().join("x.parquet");
    /// let df = from_columns([("x", values([1, 2])), ("k", values(["a", "b"]))])?;
    /// df.write_parquet(&path, &WriteOptions::default())?;
    /// assert!(matches!(df.write_parquet(&path, &WriteOptions::default()), Err(FrameError::Exists { .. })));
    ///
    /// let by_k = WriteOptions { partition_by: vec!["k".to_owned()], ..WriteOptions::default() };
    /// df.write_parquet(dir.path().join("by_k"), &by_k)?;
    /// assert!(dir.path().join("by_k/k=a/part-00000.parquet").exists());
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn write_parquet(&self, path: impl AsRef<Path>, options: &WriteOptions) -> Result<()> {
        self.write(path.as_ref(), Format::Parquet, options)
    }

    /// Runs the query and writes the rows as CSV with a line of names; what is missing is empty. Else as
    /// [`write_parquet`](DataFrame::write_parquet).
    ///
    /// # Errors
    /// As [`write_parquet`](DataFrame::write_parquet).
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let dir = tempfile::tempdir().unwrap();
    /// let path = dir.path().join("x.csv");
    /// let df = from_columns([("x", values([Some(1), None])), ("s", values(["a,b", "c"]))])?;
    /// df.write_csv(&path, &WriteOptions::default())?;
    /// assert_eq!(std::fs::read_to_string(&path).unwrap(), "x,s\n1,\"a,b\"\n,c\n");
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn write_csv(&self, path: impl AsRef<Path>, options: &WriteOptions) -> Result<()> {
        self.write(path.as_ref(), Format::Csv(options.separator), options)
    }

    /// Runs the query and writes each row as an object of JSON on a line of its own. Else as
    /// [`write_parquet`](DataFrame::write_parquet).
    ///
    /// # Errors
    /// As [`write_parquet`](DataFrame::write_parquet).
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let dir = tempfile::tempdir().unwrap();
    /// let path = dir.path().join("x.json");
    /// from_columns([("x", values([1, 2]))])?.write_json(&path, &WriteOptions::default())?;
    /// assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"x\":1}\n{\"x\":2}\n");
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn write_json(&self, path: impl AsRef<Path>, options: &WriteOptions) -> Result<()> {
        self.write(path.as_ref(), Format::Json, options)
    }

    /// Runs the query and writes the rows in Arrow's IPC format, also called Feather. Else as
    /// [`write_parquet`](DataFrame::write_parquet).
    ///
    /// # Errors
    /// As [`write_parquet`](DataFrame::write_parquet).
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let dir = tempfile::tempdir().unwrap();
    /// let path = dir.path().join("x.arrow");
    /// from_columns([("x", values([1, 2]))])?.write_ipc(&path, &WriteOptions::default())?;
    /// assert_eq!(read_ipc(path.to_str().unwrap())?.shape()?, (2, 1));
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn write_ipc(&self, path: impl AsRef<Path>, options: &WriteOptions) -> Result<()> {
        self.write(path.as_ref(), Format::Ipc, options)
    }

    fn write(&self, path: &Path, format: Format, options: &WriteOptions) -> Result<()> {
        if let Some(url) = url_of(path) {
            return self.write_there(url, format, options);
        }
        let local = path.to_str().and_then(local_path);
        let path = local.as_deref().map_or(path, Path::new);
        if !options.overwrite && path.symlink_metadata().is_ok() {
            return Err(exists(path));
        }
        let keys = self.directories(&options.partition_by)?;
        let staged = StagedDir::begin(path).map_err(|e| failed(path, e))?;
        if !options.partitioned && keys.is_empty() {
            let name = path.file_name().unwrap_or_default();
            let file = staged.path().join(name);
            let target = File::create_new(&file).map_err(|e| failed(&file, e))?;
            self.write_here(&file, format, Box::new(BufWriter::new(target)))?;
            return staged.finish_only(name, options.overwrite).map_err(|e| failed(path, e));
        }
        let text = |path: &Path| {
            let text = path.to_str().map(str::to_owned);
            text.ok_or_else(|| FrameError::argument("path", format!("{} is not in UTF-8", path.display())))
        };
        let sink = Sink { format, dir: text(&staged.path())?, parts: text(&staged.parts())?, keys };
        self.write_parts(sink)?;
        staged.finish(options.overwrite).map_err(|e| failed(path, e))
    }

    /// The same, to an object store.
    fn write_there(&self, url: &str, format: Format, options: &WriteOptions) -> Result<()> {
        let keys = self.directories(&options.partition_by)?;
        let mut target = ObjectTarget::begin(url, options.overwrite)?;
        if !options.partitioned && keys.is_empty() {
            self.write_here(Path::new(url), format, Box::new(target.upload()))?;
            return target.finish_only();
        }
        let sink = Sink { format, dir: target.parts_url()?, parts: String::new(), keys };
        target.finish(&self.write_parts(sink)?)
    }

    /// Has tasks write, and returns the names of what they wrote.
    fn write_parts(&self, sink: Sink) -> Result<Vec<String>> {
        let written = self.made(0, |plan| Ok(written(beside_keys(plan, &sink.keys)?, sink)?))?;
        // Not planned anew where memory is short: another plan names its files otherwise, and some are there already.
        let rows = written.run_once()?;
        let names = rows.iter().flatten().filter_map(|batch| batch.column(0).as_string_opt::<i32>());
        Ok(names.flat_map(|names| names.iter().flatten().map(str::to_owned)).collect())
    }

    /// The columns that name directories, each of which is there, and some are beside them.
    fn directories(&self, by: &[String]) -> Result<Vec<String>> {
        by.iter().try_for_each(|name| check_column(name, self.plan.schema()))?;
        super::resolve::check_unique(by.iter().map(String::as_str))?;
        if !by.is_empty() && by.len() == self.plan.schema().fields().len() {
            return Err(FrameError::argument("partition_by", "no column is left to be written"));
        }
        Ok(by.to_vec())
    }

    /// Writes the rows, which come to this process one partition after another.
    fn write_here(&self, path: &Path, format: Format, target: Box<dyn Target>) -> Result<()> {
        let rows = self.collect_stream()?;
        let encoded = |e: DataFusionError| FrameError::file(path, e);
        let mut encoder = Encoder::new(format, &rows.schema(), target).map_err(encoded)?;
        for batch in rows {
            encoder.write(&batch?).map_err(encoded)?;
        }
        encoder.finish().map_err(encoded)
    }
}

/// The columns that are written, then those that name directories, as texts, then the rows' places; all as they are if none
/// names directories.
fn beside_keys(plan: &LogicalPlan, keys: &[String]) -> Result<LogicalPlan> {
    if keys.is_empty() {
        return Ok(plan.clone());
    }
    let names = plan.schema().fields().iter().map(|field| field.name().clone());
    let kept = names.filter(|name| !keys.contains(name)).map(|name| column(&name));
    let texts = keys.iter().map(|name| cast(column(name), DataType::Utf8).alias(format!("__key_{name}")));
    let columns: Vec<_> = kept.chain(texts).chain([column(PLACE)]).collect();
    Ok(LogicalPlanBuilder::from(placed(plan.clone())?).project(columns)?.build()?)
}

fn exists(path: &Path) -> FrameError {
    FrameError::Exists { path: path.display().to_string() }
}

fn failed(path: &Path, error: io::Error) -> FrameError {
    match error.kind() {
        io::ErrorKind::AlreadyExists => exists(path),
        _ => FrameError::file(path, error),
    }
}

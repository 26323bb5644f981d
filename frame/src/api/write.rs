//! Tables as files: one, or one for each partition in a directory. They are written under another name beside their own
//! and renamed when all is there, so that nobody sees half of one. Must not know how rows are made.

use super::Result;
use super::frame::DataFrame;
use crate::error::FrameError;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::cast;
use datafusion::arrow::csv::WriterBuilder;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::ipc::writer::FileWriter;
use datafusion::arrow::json::LineDelimitedWriter;
use datafusion::parquet::arrow::ArrowWriter;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What names of files that are not finished begin with.
const UNFINISHED: &str = ".tilework-";

/// How files are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteOptions {
    /// Whether what is there is replaced; else it is an error.
    pub overwrite: bool,
    /// A directory with a file for each partition, in their order, instead of one file.
    pub partitioned: bool,
    /// What is between the values of a CSV file.
    pub separator: u8,
}

impl Default for WriteOptions {
    fn default() -> WriteOptions {
        WriteOptions { overwrite: false, partitioned: false, separator: b',' }
    }
}

type Written = std::result::Result<(), Box<dyn std::error::Error + Send + Sync>>;
/// Writes rows to a file.
type Encode<'a> = &'a dyn Fn(&SchemaRef, &[&RecordBatch], &mut dyn Write) -> Written;

/// A file that a writer that must be able to travel is told to write to.
struct Sink<'a>(&'a mut dyn Write);

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

impl DataFrame {
    /// Runs the query and writes the rows as Parquet, compressed with Snappy. The rows come to this process first, so they
    /// must fit its memory.
    ///
    /// # Errors
    /// As [`collect`](DataFrame::collect); [`FrameError::Exists`] if something is there; [`FrameError::File`] if it cannot
    /// be written. Nothing is left then.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let dir = tempfile::tempdir().unwrap();
    /// let path = dir.path().join("x.parquet");
    /// let df = from_columns([("x", values([1, 2]))])?;
    /// df.write_parquet(&path, &WriteOptions::default())?;
    /// assert!(matches!(df.write_parquet(&path, &WriteOptions::default()), Err(FrameError::Exists { .. })));
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn write_parquet(&self, path: impl AsRef<Path>, options: &WriteOptions) -> Result<()> {
        let encode = |schema: &SchemaRef, batches: &[&RecordBatch], file: &mut dyn Write| -> Written {
            // Parquet's writer wants to own what it writes to, and to send it to threads.
            let mut bytes = Vec::new();
            let properties = datafusion::parquet::file::properties::WriterProperties::builder();
            let snappy = properties.set_compression(datafusion::parquet::basic::Compression::SNAPPY).build();
            let mut writer = ArrowWriter::try_new(&mut bytes, schema.clone(), Some(snappy))?;
            batches.iter().try_for_each(|batch| writer.write(batch))?;
            writer.close()?;
            Ok(file.write_all(&bytes)?)
        };
        self.write(path.as_ref(), "parquet", options, &encode)
    }

    /// Runs the query and writes the rows as CSV with a line of names; what is missing is empty. The rows come to this
    /// process first, so they must fit its memory.
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
        let encode = |schema: &SchemaRef, batches: &[&RecordBatch], file: &mut dyn Write| -> Written {
            let mut writer = WriterBuilder::new().with_delimiter(options.separator).build(Sink(file));
            if batches.is_empty() {
                writer.write(&RecordBatch::new_empty(schema.clone()))?;
            }
            Ok(batches.iter().try_for_each(|batch| writer.write(batch))?)
        };
        self.write(path.as_ref(), "csv", options, &encode)
    }

    /// Runs the query and writes each row as an object of JSON on a line of its own. The rows come to this process first,
    /// so they must fit its memory.
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
        let encode = |_: &SchemaRef, batches: &[&RecordBatch], file: &mut dyn Write| -> Written {
            let mut writer = LineDelimitedWriter::new(Sink(file));
            writer.write_batches(batches)?;
            Ok(writer.finish()?)
        };
        self.write(path.as_ref(), "json", options, &encode)
    }

    /// Runs the query and writes the rows in Arrow's IPC format, also called Feather. The rows come to this process first,
    /// so they must fit its memory.
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
        let encode = |schema: &SchemaRef, batches: &[&RecordBatch], file: &mut dyn Write| -> Written {
            let mut writer = FileWriter::try_new(Sink(file), schema)?;
            batches.iter().try_for_each(|batch| writer.write(batch))?;
            Ok(writer.finish()?)
        };
        self.write(path.as_ref(), "arrow", options, &encode)
    }

    fn write(&self, path: &Path, ending: &str, options: &WriteOptions, encode: Encode<'_>) -> Result<()> {
        let exists = || FrameError::Exists { path: path.display().to_string() };
        if !options.overwrite && path.symlink_metadata().is_ok() {
            return Err(exists());
        }
        let (schema, partitions) = self.partitions()?;
        let (schema, partitions) = with_plain_texts(&schema, partitions)?;
        let failed = |e: Box<dyn std::error::Error + Send + Sync>| FrameError::file(path, e);
        let done = if options.partitioned {
            let rows = partitions.iter().map(|batches| batches.iter().collect::<Vec<_>>());
            write_directory(
                path,
                ending,
                options.overwrite,
                |at, file| encode(&schema, &rows.clone().nth(at).unwrap_or_default(), file),
                partitions.len(),
            )
        } else {
            let all: Vec<&RecordBatch> = partitions.iter().flatten().collect();
            write_file(path, options.overwrite, |file| encode(&schema, &all, file))
        };
        done.map_err(|error| match error.downcast_ref::<std::io::Error>() {
            Some(io) if io.kind() == std::io::ErrorKind::AlreadyExists => exists(),
            _ => failed(error),
        })
    }
}

/// The directory that a path lies in.
fn parent(path: &Path) -> PathBuf {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).map_or_else(|| PathBuf::from("."), Path::to_owned)
}

fn write_file(path: &Path, overwrite: bool, encode: impl Fn(&mut dyn Write) -> Written) -> Written {
    let mut unfinished = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(parent(path))?;
    filled(unfinished.as_file_mut(), encode)?;
    if overwrite {
        unfinished.persist(path)?;
    } else {
        unfinished.persist_noclobber(path).map_err(|e| e.error)?;
    }
    // The name, too.
    Ok(File::open(parent(path))?.sync_all()?)
}

fn write_directory(
    path: &Path,
    ending: &str,
    overwrite: bool,
    encode: impl Fn(usize, &mut dyn Write) -> Written,
    n: usize,
) -> Written {
    let unfinished = tempfile::Builder::new().prefix(UNFINISHED).tempdir_in(parent(path))?;
    for at in 0..n {
        let mut file = File::create_new(unfinished.path().join(format!("part-{at:05}.{ending}")))?;
        filled(&mut file, |file| encode(at, file))?;
    }
    File::open(unfinished.path())?.sync_all()?;
    let old = tempfile::Builder::new().prefix(UNFINISHED).tempdir_in(parent(path))?;
    if overwrite && path.symlink_metadata().is_ok() {
        std::fs::rename(path, old.path().join("old"))?;
    }
    // A directory that is there and empty would be replaced by a rename.
    if path.symlink_metadata().is_ok() {
        return Err(std::io::Error::from(std::io::ErrorKind::AlreadyExists).into());
    }
    std::fs::rename(unfinished.path(), path)?;
    // Its name is another one now.
    let _ = unfinished.keep();
    Ok(File::open(parent(path))?.sync_all()?)
}

/// Writes to a file all there is, and waits until the disk has it.
fn filled(file: &mut File, encode: impl Fn(&mut dyn Write) -> Written) -> Written {
    let mut buffered = BufWriter::new(&mut *file);
    encode(&mut buffered)?;
    buffered.flush()?;
    drop(buffered);
    Ok(file.sync_all()?)
}

/// The rows with texts in the form that all readers of these formats know.
fn with_plain_texts(
    schema: &SchemaRef,
    partitions: Vec<Vec<RecordBatch>>,
) -> Result<(SchemaRef, Vec<Vec<RecordBatch>>)> {
    let plain = |data_type: &DataType| match data_type {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        other => other.clone(),
    };
    let field = |field: &Arc<Field>| field.as_ref().clone().with_data_type(plain(field.data_type()));
    let schema: SchemaRef = Arc::new(Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>()));
    let batch = |batch: RecordBatch| -> Result<RecordBatch> {
        let columns = batch.columns().iter().zip(schema.fields());
        let columns = columns.map(|(column, field)| cast(column, field.data_type()));
        Ok(RecordBatch::try_new(schema.clone(), columns.collect::<std::result::Result<_, _>>()?)?)
    };
    let partition = |batches: Vec<RecordBatch>| batches.into_iter().map(batch).collect::<Result<Vec<_>>>();
    let partitions = partitions.into_iter().map(partition).collect::<Result<Vec<_>>>()?;
    Ok((schema, partitions))
}

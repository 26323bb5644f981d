//! Files of the formats that tables are written in, one batch after another. Must not know where they lie, or who writes.

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::cast;
use datafusion::arrow::csv::{Writer as CsvWriter, WriterBuilder};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::ipc::writer::FileWriter;
use datafusion::arrow::json::LineDelimitedWriter;
use datafusion::error::{DataFusionError, Result};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::Compression;
use datafusion::parquet::file::properties::WriterProperties;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of a row group of Parquet, which its writer holds until it is full.
const ROW_GROUP_BYTES: usize = 32 << 20;

/// A format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Format {
    Parquet,
    /// With this between values.
    Csv(u8),
    Json,
    Ipc,
}

impl Format {
    /// What names of files end in.
    pub(crate) fn ending(self) -> &'static str {
        match self {
            Format::Parquet => "parquet",
            Format::Csv(_) => "csv",
            Format::Json => "json",
            Format::Ipc => "arrow",
        }
    }
}

/// What a file is written to.
pub(crate) trait Target: Write + Send {
    /// Bytes of it that are in memory, now and later.
    fn held(&self) -> Arc<AtomicUsize>;

    /// Ends it, and waits until all of it is where it goes.
    fn finish(self: Box<Self>) -> io::Result<()>;
}

impl Target for BufWriter<File> {
    fn held(&self) -> Arc<AtomicUsize> {
        Arc::new(self.capacity().into())
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.flush()?;
        self.get_ref().sync_all()
    }
}

type Sink = Box<dyn Target>;

/// A file that is being written.
pub(crate) struct Encoder {
    schema: SchemaRef,
    of: Of,
    /// What is in memory of what it is written to.
    held: Arc<AtomicUsize>,
}

enum Of {
    Parquet(Box<ArrowWriter<Sink>>),
    Csv(Box<CsvWriter<Sink>>),
    Json(LineDelimitedWriter<Sink>),
    Ipc(Box<FileWriter<Sink>>),
}

impl Encoder {
    /// Begins a file of rows of this schema.
    pub(crate) fn new(format: Format, schema: &SchemaRef, sink: Box<dyn Target>) -> Result<Encoder> {
        let (schema, held) = (with_plain_texts(schema), sink.held());
        let of = match format {
            Format::Parquet => {
                let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
                Of::Parquet(Box::new(ArrowWriter::try_new(sink, schema.clone(), Some(properties))?))
            }
            Format::Csv(separator) => {
                let mut csv = WriterBuilder::new().with_delimiter(separator).build(sink);
                // The line of names, which a table without rows has too.
                csv.write(&RecordBatch::new_empty(schema.clone()))?;
                Of::Csv(Box::new(csv))
            }
            Format::Json => Of::Json(LineDelimitedWriter::new(sink)),
            Format::Ipc => Of::Ipc(Box::new(FileWriter::try_new(sink, &schema)?)),
        };
        Ok(Encoder { schema, of, held })
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let columns = batch.columns().iter().zip(self.schema.fields());
        let columns = columns.map(|(column, field)| cast(column, field.data_type()));
        let batch =
            RecordBatch::try_new(self.schema.clone(), columns.collect::<std::result::Result<_, _>>()?)?;
        match &mut self.of {
            Of::Parquet(parquet) => {
                parquet.write(&batch)?;
                if parquet.in_progress_size() > ROW_GROUP_BYTES {
                    parquet.flush()?;
                }
            }
            Of::Csv(csv) => csv.write(&batch)?,
            Of::Json(json) => json.write(&batch)?,
            Of::Ipc(ipc) => ipc.write(&batch)?,
        }
        Ok(())
    }

    /// What it holds and is not in the file.
    pub(crate) fn held_bytes(&self) -> usize {
        let of_format = if let Of::Parquet(parquet) = &self.of { parquet.memory_size() } else { 0 };
        of_format + self.held.load(Ordering::Relaxed)
    }

    /// Ends the file, and waits until the disk, or the store, has it.
    pub(crate) fn finish(self) -> Result<()> {
        let sink = match self.of {
            Of::Parquet(parquet) => parquet.into_inner()?,
            Of::Csv(csv) => csv.into_inner(),
            Of::Json(mut json) => {
                json.finish()?;
                json.into_inner()
            }
            Of::Ipc(ipc) => ipc.into_inner()?,
        };
        sink.finish().map_err(DataFusionError::from)
    }
}

/// The columns with texts in the form that all readers of these formats know.
fn with_plain_texts(schema: &SchemaRef) -> SchemaRef {
    let plain = |data_type: &DataType| match data_type {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        other => other.clone(),
    };
    let field = |field: &Arc<Field>| field.as_ref().clone().with_data_type(plain(field.data_type()));
    Arc::new(Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>()))
}

//! Rows written to files by tasks: one file for each partition, or for each combination of values of some columns, which
//! then are the names of directories. A file is written under a name of the task's own and renamed when it is complete, so
//! that a task may run again; an object is there when it is complete. Must not know who makes the directories, nor when they
//! take their place.

use crate::error::TaskError;
use crate::format::{Encoder, Format, Target};
use crate::names::unique;
use crate::objects::{Door, Upload};
use crate::operator::{one_input, one_input_node, ordered_by_input};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, UInt64Array};
use datafusion::arrow::compute::partition;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::{DFSchema, DFSchemaRef, exec_datafusion_err};
use datafusion::error::Result;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Extension, LogicalPlan, UserDefinedLogicalNodeCore};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{
    Distribution, EquivalenceProperties, LexOrdering, OrderingRequirements, Partitioning, PhysicalExpr,
    PhysicalSortExpr,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, InputDistributionRequirements,
    PlanProperties,
};
use futures::StreamExt;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use tilework_formats::objects::{is_url, percent_decoded};

/// What stands in a name for a value that is missing.
pub(crate) const MISSING: &str = "__HIVE_DEFAULT_PARTITION__";

/// Bytes of a part of an object that a task writes.
const PART_BYTES: usize = 8 << 20;
/// Bytes of an object beyond which rows go to another one: stores copy no more than 5 GiB at once.
const OBJECT_BYTES_MAX: u64 = 4 << 30;

/// Where and how tasks write.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Sink {
    pub format: Format,
    /// The directory of complete files, or the URL that objects are below.
    pub dir: String,
    /// That of files that are being written; of objects nobody sees those.
    pub parts: String,
    /// The names of the columns that name directories. They stand behind those that are written, as texts, and the rows'
    /// places behind them.
    pub keys: Vec<String>,
}

/// What a task says of the files that it wrote.
static WRITTEN: LazyLock<SchemaRef> = LazyLock::new(|| {
    let rows = Field::new("rows", DataType::UInt64, false);
    Arc::new(Schema::new(vec![Field::new("file", DataType::Utf8, false), rows]))
});

/// The rows of a table, written.
pub(crate) fn written(input: LogicalPlan, sink: Sink) -> Result<LogicalPlan> {
    let schema = Arc::new(DFSchema::try_from(WRITTEN.clone())?);
    Ok(LogicalPlan::Extension(Extension { node: Arc::new(SinkNode { input, sink, schema }) }))
}

/// Writes in a logical plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SinkNode {
    input: LogicalPlan,
    pub sink: Sink,
    schema: DFSchemaRef,
}

impl std::hash::Hash for SinkNode {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.input.hash(state);
        self.sink.hash(state);
    }
}

ordered_by_input!(SinkNode);

impl UserDefinedLogicalNodeCore for SinkNode {
    fn name(&self) -> &str {
        "Write"
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "Write: {:?}", self.sink.format)
    }

    one_input_node!(|this: &SinkNode, input| Ok(SinkNode { input, ..this.clone() }));
}

/// Writes in a task.
#[derive(Debug)]
pub(crate) struct SinkExec {
    input: Arc<dyn ExecutionPlan>,
    pub sink: Sink,
    properties: Arc<PlanProperties>,
}

impl SinkExec {
    pub(crate) fn new(input: Arc<dyn ExecutionPlan>, sink: Sink) -> SinkExec {
        let from = input.properties();
        let properties = PlanProperties::new(
            EquivalenceProperties::new(WRITTEN.clone()),
            Partitioning::UnknownPartitioning(input.output_partitioning().partition_count()),
            from.emission_type,
            from.boundedness,
        );
        SinkExec { input, sink, properties: Arc::new(properties) }
    }

    /// The columns of keys, then that of places.
    fn behind(&self) -> Vec<Arc<dyn PhysicalExpr>> {
        let schema = self.input.schema();
        let first = schema.fields().len().saturating_sub(self.sink.keys.len() + 1);
        let columns = (first..schema.fields().len()).filter(|_| !self.sink.keys.is_empty());
        columns.map(|i| Arc::new(Column::new(schema.field(i).name(), i)) as Arc<dyn PhysicalExpr>).collect()
    }
}

impl DisplayAs for SinkExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "SinkExec: {:?} by [{}]", self.sink.format, self.sink.keys.join(", "))
    }
}

impl ExecutionPlan for SinkExec {
    fn name(&self) -> &str {
        "SinkExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    one_input!(|this: &SinkExec, input| SinkExec::new(input, this.sink.clone()));

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        let mut keys = self.behind();
        InputDistributionRequirements::new(vec![match keys.pop() {
            Some(_) => Distribution::KeyPartitioned(keys),
            None => Distribution::UnspecifiedDistribution,
        }])
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        let by = self.behind().into_iter().map(PhysicalSortExpr::new_default);
        vec![LexOrdering::new(by).map(OrderingRequirements::from)]
    }

    fn execute(&self, at: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let mut rows = self.input.execute(at, context.clone())?;
        let n_columns = self.input.schema().fields().len() - self.behind().len();
        let columns: Vec<usize> = (0..n_columns).collect();
        let schema: SchemaRef = Arc::new(self.input.schema().project(&columns)?);
        let held = MemoryConsumer::new("writing files").register(context.memory_pool());
        let mut files = Files { sink: self.sink.clone(), at, schema, held, open: None, done: Vec::new() };
        let written = async move {
            if files.sink.keys.is_empty() {
                files.open(Vec::new(), 0)?;
            }
            while let Some(batch) = rows.next().await {
                files.write(&batch?, &columns)?;
            }
            files.close()?;
            let (names, n_rows): (Vec<String>, Vec<u64>) = files.done.into_iter().unzip();
            let columns: Vec<ArrayRef> =
                vec![Arc::new(StringArray::from(names)), Arc::new(UInt64Array::from(n_rows))];
            Ok(RecordBatch::try_new(WRITTEN.clone(), columns)?)
        };
        Ok(Box::pin(RecordBatchStreamAdapter::new(WRITTEN.clone(), futures::stream::once(written))))
    }
}

/// The files of a task.
struct Files {
    sink: Sink,
    /// The task's number.
    at: usize,
    schema: SchemaRef,
    held: MemoryReservation,
    open: Option<Open>,
    /// Names and rows of those that are complete.
    done: Vec<(String, u64)>,
}

/// A file that is being written. Dropped, it is removed.
struct Open {
    /// The directories that it goes to.
    dirs: Vec<String>,
    encoder: Option<Encoder>,
    part: Part,
    /// Which one of the task's in its directory it is.
    n: u32,
    n_rows: u64,
}

/// Where it is while it is written.
enum Part {
    /// Beside its place.
    Here(PathBuf),
    /// On its way to its place, with how many bytes were sent.
    There(Arc<AtomicU64>),
}

impl Drop for Open {
    fn drop(&mut self) {
        if let (Some(_), Part::Here(part)) = (&self.encoder, &self.part) {
            let _ = fs::remove_file(part);
        }
    }
}

impl Files {
    fn write(&mut self, batch: &RecordBatch, columns: &[usize]) -> Result<()> {
        let keys = &batch.columns()[columns.len()..];
        let (keys, rows) = (&keys[..self.sink.keys.len()], batch.project(columns)?);
        if keys.is_empty() {
            return self.add(&rows);
        }
        for range in partition(keys)?.ranges() {
            let value = |(name, column): (&String, &ArrayRef)| {
                let texts = column.as_string_opt::<i32>();
                let texts = texts.ok_or_else(|| exec_datafusion_err!("names of directories are texts"))?;
                let value = texts.is_valid(range.start).then(|| texts.value(range.start));
                Ok(directory(name, value))
            };
            let dirs = self.sink.keys.iter().zip(keys).map(value).collect::<Result<Vec<_>>>()?;
            if self.open.as_ref().is_none_or(|open| open.dirs != dirs) {
                self.close()?;
                self.open(dirs, 0)?;
            }
            self.add(&rows.slice(range.start, range.len()))?;
        }
        Ok(())
    }

    fn add(&mut self, rows: &RecordBatch) -> Result<()> {
        let Some(Open { encoder: Some(encoder), n_rows, part, n, dirs }) = &mut self.open else {
            return Ok(());
        };
        encoder.write(rows)?;
        *n_rows += rows.num_rows() as u64;
        self.held.try_resize(encoder.held_bytes())?;
        if matches!(part, Part::There(sent) if sent.load(Ordering::Relaxed) > OBJECT_BYTES_MAX) {
            let (dirs, next) = (dirs.clone(), *n + 1);
            self.close()?;
            self.open(dirs, next)?;
        }
        Ok(())
    }

    fn open(&mut self, dirs: Vec<String>, n: u32) -> Result<()> {
        let (part, target): (Part, Box<dyn Target>) = if is_url(&self.sink.dir) {
            let url = format!("{}/{}", self.sink.dir, self.named(&dirs, n));
            let upload = Upload::new(Door::open(&url)?, PART_BYTES, true);
            (Part::There(upload.counted()), Box::new(upload))
        } else {
            let part = Path::new(&self.sink.parts).join(format!("{}-{:016x}", self.at, unique()));
            let file = File::create_new(&part).map_err(|e| failed(&part, e))?;
            (Part::Here(part), Box::new(BufWriter::new(file)))
        };
        let encoder = Some(Encoder::new(self.sink.format, &self.schema, target)?);
        self.open = Some(Open { dirs, encoder, part, n, n_rows: 0 });
        Ok(())
    }

    /// The name of a file, with its directories.
    fn named(&self, dirs: &[String], n: u32) -> String {
        let name = file_name(self.at, n, self.sink.format);
        dirs.iter().map(String::as_str).chain([name.as_str()]).collect::<Vec<_>>().join("/")
    }

    /// Ends the file that is open, and gives it its name.
    fn close(&mut self) -> Result<()> {
        let Some(mut open) = self.open.take() else { return Ok(()) };
        let ended = open.encoder.take().map_or(Ok(()), Encoder::finish);
        self.held.free();
        if let (Err(_), Part::Here(part)) = (&ended, &open.part) {
            let _ = fs::remove_file(part);
        }
        ended?;
        if let Part::Here(part) = &open.part {
            let mut path = PathBuf::from(&self.sink.dir);
            for dir in &open.dirs {
                path.push(dir);
                match fs::create_dir(&path) {
                    Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(failed(&path, e)),
                    _ => {}
                }
            }
            path.push(file_name(self.at, open.n, self.sink.format));
            fs::rename(part, &path).map_err(|e| failed(&path, e))?;
        }
        self.done.push((self.named(&open.dirs, open.n), open.n_rows));
        Ok(())
    }
}

/// The name of a task's file, of which it may have several in a directory: they are in their order by their names.
fn file_name(at: usize, n: u32, format: Format) -> String {
    let more = if n == 0 { String::new() } else { format!("~{n:05}") };
    format!("part-{at:05}{more}.{}", format.ending())
}

fn failed(path: &Path, error: io::Error) -> datafusion::error::DataFusionError {
    TaskError::File { path: path.display().to_string(), error: Arc::new(error) }.into_datafusion()
}

/// The name of a directory for rows with this value.
fn directory(name: &str, value: Option<&str>) -> String {
    format!("{}={}", escaped(name), value.map_or_else(|| MISSING.to_owned(), escaped))
}

/// A text as a part of a name, in which no letter has a meaning.
pub(crate) fn escaped(text: &str) -> String {
    let plain =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~' | b' ' | b'+' | b',');
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

/// The text that a part of a name stands for.
pub(crate) fn unescaped(name: &str) -> String {
    String::from_utf8_lossy(&percent_decoded(name)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_directories_stand_for_any_text() {
        for text in ["", "a", "a/b=c%d", "Zürich", "..", "2024-01-01 10:00"] {
            let name = escaped(text);
            assert_eq!(unescaped(&name), text, "{name}");
            assert!(!name.contains(['/', '=']), "{name}");
        }
        assert_eq!(directory("k", None), format!("k={MISSING}"));
        assert_eq!(unescaped("100%"), "100%");
    }

    #[test]
    fn files_of_a_task_are_in_their_order_by_their_names() {
        let of = |at, n| file_name(at, n, Format::Csv(b','));
        let names = [of(0, 0), of(0, 1), of(0, 10), of(1, 0)];
        assert_eq!((names.is_sorted(), names[0].as_str()), (true, "part-00000.csv"));
    }
}

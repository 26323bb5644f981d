//! CSV files as a table: who plans it gets partitions of files or of parts of them, a task reads its own. Must not know
//! how rows are read.

use super::infer::{Found, FoundFile};
use super::read::{Rows, Wanted};
use super::{CsvError, CsvOptions};
use crate::api::{partitions_of, partitions_of_group};
use crate::error::{DataError, TaskError};
use crate::files::File;
use crate::hive::FileGroups;
use crate::objects::Pin;
use crate::operator::leaf;
use async_trait::async_trait;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, Statistics, internal_datafusion_err, project_schema};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use datafusion_proto::protobuf;
use prost::Message;
use std::fmt;
use std::sync::Arc;

/// CSV files.
#[derive(Debug)]
pub(crate) struct CsvTable {
    found: Found,
    options: CsvOptions,
}

impl CsvTable {
    pub(crate) fn new(found: Found, options: CsvOptions) -> CsvTable {
        CsvTable { found, options }
    }

    /// What the files take.
    pub(crate) fn bytes(&self) -> u64 {
        self.found.files.iter().map(|file| file.end).sum()
    }
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} files", self.files.len())
    }
}

#[async_trait]
impl TableProvider for CsvTable {
    fn schema(&self) -> SchemaRef {
        self.found.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let files: Vec<usize> = (0..self.found.files.len()).collect();
        let partitions = divided(&self.found.files, &files, partitions_of(self.bytes(), session));
        self.exec(projection, partitions)
    }
}

impl CsvTable {
    fn exec(
        &self,
        projection: Option<&Vec<usize>>,
        partitions: Vec<PartitionNode>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = project_schema(&self.found.schema, projection)?;
        let node = CsvNode {
            schema: Some(schema.as_ref().try_into()?),
            files: self.found.files.iter().map(FileNode::of).collect(),
            partitions,
            options: Some(OptionsNode::of(&self.options)),
        };
        Ok(Arc::new(CsvExec::new(node)?))
    }
}

#[async_trait]
impl FileGroups for CsvTable {
    fn bytes(&self) -> u64 {
        CsvTable::bytes(self)
    }

    async fn scan_groups(
        &self,
        session: &dyn Session,
        projection: &[usize],
        _: &[Expr],
        groups: &[&[usize]],
    ) -> Result<(Arc<dyn ExecutionPlan>, Vec<usize>)> {
        let all = CsvTable::bytes(self);
        let n = partitions_of(all, session);
        let (mut partitions, mut n_each) = (Vec::new(), Vec::with_capacity(groups.len()));
        for group in groups {
            let bytes: u64 = group.iter().map(|at| self.found.files[*at].end).sum();
            let mut parts = divided(&self.found.files, group, partitions_of_group(bytes, (all, n)));
            n_each.push(parts.len());
            partitions.append(&mut parts);
        }
        Ok((self.exec(Some(&projection.to_vec()), partitions)?, n_each))
    }
}

/// These of the files, or parts of them, in so many partitions of about equal bytes, in their order.
fn divided(files: &[FoundFile], of: &[usize], n: usize) -> Vec<PartitionNode> {
    let length = |file: &FoundFile| match file.compressed {
        true => file.end,
        false => file.end - file.start.min(file.end),
    };
    let total: u64 = of.iter().map(|at| length(&files[*at])).sum();
    let n = (n as u64).max(1);
    let mut partitions = vec![PartitionNode::default(); n as usize];
    let mut before = 0;
    for (at, file) in of.iter().map(|at| (*at, &files[*at])) {
        let length = length(file);
        let mut done = 0;
        while done < length {
            // The partition that the place lies in, and where the next one begins.
            let place = (before + done).min(total.saturating_sub(1));
            let partition = (u128::from(place) * u128::from(n) / u128::from(total.max(1))) as u64;
            let next = (u128::from(partition + 1) * u128::from(total)).div_ceil(u128::from(n)) as u64;
            let part = if file.divisible { (next - place).min(length - done) } else { length };
            let end = if file.compressed { u64::MAX } else { file.start + done + part };
            let start = file.start + done;
            partitions[partition as usize].parts.push(PartNode { file: at as u64, start, end });
            done += part;
        }
        before += length;
    }
    partitions
}

/// The table on the wire.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct CsvNode {
    #[prost(message, optional, tag = "1")]
    schema: Option<protobuf::Schema>,
    #[prost(message, repeated, tag = "2")]
    files: Vec<FileNode>,
    #[prost(message, repeated, tag = "3")]
    partitions: Vec<PartitionNode>,
    #[prost(message, optional, tag = "4")]
    options: Option<OptionsNode>,
}

#[derive(Clone, PartialEq, Message)]
struct FileNode {
    #[prost(string, tag = "1")]
    path: String,
    #[prost(string, repeated, tag = "2")]
    columns: Vec<String>,
    #[prost(uint64, tag = "3")]
    start: u64,
    #[prost(uint64, tag = "4")]
    bytes: u64,
    /// Of an object: the store's mark of this version, and when it was written.
    #[prost(string, optional, tag = "5")]
    tag: Option<String>,
    #[prost(int64, optional, tag = "6")]
    at_s: Option<i64>,
}

#[derive(Clone, PartialEq, Message)]
struct PartitionNode {
    #[prost(message, repeated, tag = "1")]
    parts: Vec<PartNode>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct PartNode {
    #[prost(uint64, tag = "1")]
    file: u64,
    #[prost(uint64, tag = "2")]
    start: u64,
    #[prost(uint64, tag = "3")]
    end: u64,
}

#[derive(Clone, PartialEq, Message)]
struct OptionsNode {
    #[prost(uint32, tag = "1")]
    separator: u32,
    #[prost(uint32, tag = "2")]
    quote: u32,
    #[prost(uint32, optional, tag = "3")]
    comment: Option<u32>,
    #[prost(string, repeated, tag = "4")]
    nulls: Vec<String>,
}

impl FileNode {
    fn of(found: &FoundFile) -> FileNode {
        let FoundFile { file, columns, start, end, .. } = found;
        let (tag, at_s) = match file {
            File::Here(_) => (None, None),
            File::There(_, pin) => (pin.tag.clone(), Some(pin.at_s)),
        };
        let path = file.path().to_string_lossy().into_owned();
        FileNode { path, columns: columns.clone(), start: *start, bytes: *end, tag, at_s }
    }

    fn file(&self) -> File {
        let FileNode { path, bytes, tag, .. } = self.clone();
        match self.at_s {
            Some(at_s) => File::There(path, Pin { bytes, tag, at_s }),
            None => File::Here(path.into()),
        }
    }
}

impl OptionsNode {
    fn of(options: &CsvOptions) -> OptionsNode {
        OptionsNode {
            separator: options.separator.into(),
            quote: options.quote.into(),
            comment: options.comment.map(u32::from),
            nulls: options.nulls(),
        }
    }

    fn options(&self) -> CsvOptions {
        let byte = |n: u32| u8::try_from(n).unwrap_or(b',');
        CsvOptions {
            separator: byte(self.separator),
            quote: byte(self.quote),
            comment: self.comment.map(byte),
            na_values: self.nulls.clone(),
            keep_default_na: false,
            ..CsvOptions::default()
        }
    }
}

/// Reads CSV files.
#[derive(Debug)]
pub(crate) struct CsvExec {
    pub node: CsvNode,
    properties: Arc<PlanProperties>,
}

impl CsvExec {
    pub(crate) fn new(node: CsvNode) -> Result<CsvExec> {
        let schema = node.schema.as_ref().ok_or_else(|| internal_datafusion_err!("CSV without a schema"))?;
        let schema: SchemaRef = Arc::new(Schema::try_from(schema)?);
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(node.partitions.len().max(1)),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Ok(CsvExec { node, properties: Arc::new(properties) })
    }
}

impl DisplayAs for CsvExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        let names: Vec<String> = self.schema().fields().iter().map(|field| field.name().clone()).collect();
        write!(f, "CsvExec: files={} columns=[{}]", self.node.files.len(), names.join(", "))
    }
}

impl ExecutionPlan for CsvExec {
    fn name(&self) -> &str {
        "CsvExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    leaf!();

    fn partition_statistics(&self, partition: Option<usize>) -> Result<Arc<Statistics>> {
        let bytes_of = |part: &PartNode| {
            let all = self.node.files.get(part.file as usize).map_or(0, |file| file.bytes);
            part.end.saturating_sub(part.start).min(all)
        };
        let part = |at: usize| -> u64 {
            self.node.partitions.get(at).map_or(0, |partition| partition.parts.iter().map(bytes_of).sum())
        };
        let bytes: u64 = match partition {
            Some(at) => part(at),
            None => (0..self.node.partitions.len()).map(part).sum(),
        };
        Ok(Arc::new(Statistics {
            num_rows: Precision::Absent,
            total_byte_size: Precision::Inexact(usize::try_from(bytes).unwrap_or(usize::MAX)),
            column_statistics: vec![ColumnStatistics::new_unknown(); self.schema().fields().len()],
        }))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let reading = Reading {
            parts: self.node.partitions.get(partition).cloned().unwrap_or_default().parts.into_iter(),
            files: self.node.files.clone(),
            schema: self.schema(),
            options: self.node.options.as_ref().map_or_else(CsvOptions::default, OptionsNode::options),
            batch_rows: context.session_config().batch_size(),
            rows: None,
        };
        let batches = futures::stream::try_unfold(reading, |mut reading| async move {
            // Reading waits for nothing; so that the task can be told to stop.
            tokio::task::yield_now().await;
            let next = reading.next().map_err(|e| TaskError::Data(e).into_datafusion())?;
            Ok(next.map(|batch| (batch, reading)))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), batches)))
    }
}

impl From<CsvError> for datafusion::error::DataFusionError {
    fn from(error: CsvError) -> Self {
        datafusion::error::DataFusionError::External(Box::new(error))
    }
}

/// A partition that is read.
struct Reading {
    parts: std::vec::IntoIter<PartNode>,
    files: Vec<FileNode>,
    schema: SchemaRef,
    options: CsvOptions,
    batch_rows: usize,
    rows: Option<Rows>,
}

impl Reading {
    fn next(&mut self) -> std::result::Result<Option<datafusion::arrow::array::RecordBatch>, DataError> {
        loop {
            if let Some(rows) = &mut self.rows {
                if let Some(batch) = rows.next()? {
                    return Ok(Some(batch));
                }
                self.rows = None;
            }
            let Some(part) = self.parts.next() else { return Ok(None) };
            let Some(file) = self.files.get(part.file as usize) else { continue };
            let wanted = Wanted {
                file: &file.file(),
                columns: &file.columns,
                schema: self.schema.clone(),
                options: &self.options,
                batch_rows: self.batch_rows,
            };
            self.rows = Some(Rows::open(&wanted, file.start, part.start, part.end)?);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_divided_in_their_order_and_each_byte_once() {
        let file = |start: u64, end: u64, divisible: bool| FoundFile {
            file: File::Here("x".into()),
            columns: Vec::new(),
            start,
            end,
            divisible,
            compressed: false,
        };
        let files = [file(10, 1000, true), file(0, 0, true), file(5, 700, false), file(20, 21, true)];
        for n in [1, 2, 3, 7, 100] {
            let partitions = divided(&files, &[0, 1, 2, 3], n);
            assert_eq!(partitions.len(), n);
            let parts: Vec<PartNode> = partitions.iter().flat_map(|p| p.parts.clone()).collect();
            for (at, file) in files.iter().enumerate() {
                let mut next = file.start;
                for part in parts.iter().filter(|part| part.file == at as u64) {
                    assert_eq!(part.start, next);
                    next = part.end;
                }
                assert_eq!(next, file.end);
                assert!(file.divisible || parts.iter().filter(|part| part.file == at as u64).count() == 1);
            }
        }
    }
}

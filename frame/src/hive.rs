//! Columns that stand in the names of directories, `year=2024/month=1`: found when a table is made, pruned by what a query
//! asks for, and added to the rows of each partition, all of whose files have the same values. Must not know how files are
//! read.

use crate::error::FrameError;
use crate::operator::one_input;
use crate::sink::{MISSING, unescaped};
use crate::stored::projected;
use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Column, DFSchema, ScalarValue, Statistics, internal_err};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning};
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::StreamExt;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// A table of files that can be read in groups.
#[async_trait]
pub(crate) trait FileGroups: TableProvider {
    /// What the files take.
    fn bytes(&self) -> u64;

    /// These columns of files in groups, by their numbers, and how many partitions each group has, in their order.
    async fn scan_groups(
        &self,
        session: &dyn Session,
        projection: &[usize],
        filters: &[Expr],
        groups: &[&[usize]],
    ) -> Result<(Arc<dyn ExecutionPlan>, Vec<usize>)>;
}

/// The columns of directories, and the files of each combination of their values.
#[derive(Debug)]
pub(crate) struct Keys {
    fields: Vec<Field>,
    groups: Vec<(Vec<ScalarValue>, Vec<usize>)>,
}

type Texts = Vec<Option<String>>;

impl Keys {
    /// Those that the names of directories below one say.
    ///
    /// # Errors
    /// [`FrameError::Argument`] where files have other columns than others, or none.
    pub(crate) fn of(root: &Path, files: &[PathBuf]) -> std::result::Result<Keys, FrameError> {
        let mut names: Option<Vec<String>> = None;
        let mut groups: BTreeMap<Texts, Vec<usize>> = BTreeMap::new();
        for (at, file) in files.iter().enumerate() {
            let (of_file, texts): (Vec<String>, Texts) = values_of(root, file).into_iter().unzip();
            let expected = names.get_or_insert_with(|| of_file.clone());
            if *expected != of_file || of_file.is_empty() {
                let shown =
                    |names: &[String]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
                let (file, got, expected) = (file.display(), shown(&of_file), shown(expected));
                let reason =
                    format!("the directories of {file} name {got}, those of the first file {expected}");
                return Err(FrameError::argument("hive", reason));
            }
            groups.entry(texts).or_default().push(at);
        }
        let names = names.unwrap_or_default();
        let types: Vec<DataType> = (0..names.len())
            .map(|at| type_of(groups.keys().filter_map(|texts| texts[at].as_deref())))
            .collect();
        let value = |(text, data_type): (&Option<String>, &DataType)| match text {
            Some(text) => Ok(ScalarValue::try_from_string(text.clone(), data_type)?),
            None => Ok(ScalarValue::try_new_null(data_type)?),
        };
        let group = |(texts, files): (Texts, Vec<usize>)| {
            let values =
                texts.iter().zip(&types).map(value).collect::<std::result::Result<_, FrameError>>()?;
            Ok((values, files))
        };
        let groups = groups.into_iter().map(group).collect::<std::result::Result<_, FrameError>>()?;
        let fields = names.iter().zip(&types).map(|(name, t)| Field::new(name, t.clone(), true)).collect();
        Ok(Keys { fields, groups })
    }

    /// The groups for which filters over these columns alone may hold.
    fn pruned(
        &self,
        session: &dyn Session,
        filters: &[Expr],
    ) -> Result<Vec<&(Vec<ScalarValue>, Vec<usize>)>> {
        let schema = Arc::new(Schema::new(self.fields.clone()));
        let column =
            |at: usize| ScalarValue::iter_to_array(self.groups.iter().map(|(values, _)| values[at].clone()));
        let columns = (0..self.fields.len()).map(column).collect::<Result<Vec<ArrayRef>>>()?;
        let batch = RecordBatch::try_new(schema.clone(), columns)?;
        let known = DFSchema::try_from(schema)?;
        let mut kept = vec![true; self.groups.len()];
        for filter in filters.iter().filter(|filter| self.has_all_of(filter)) {
            let filter = session.create_physical_expr(bare(filter)?, &known)?;
            let holds = filter.evaluate(&batch)?.into_array(batch.num_rows())?;
            let Some(holds) = holds.as_boolean_opt() else { continue };
            kept.iter_mut().zip(holds).for_each(|(kept, holds)| *kept &= holds == Some(true));
        }
        Ok(self.groups.iter().zip(kept).filter_map(|(group, kept)| kept.then_some(group)).collect())
    }

    /// Whether all columns of an expression are among these.
    fn has_all_of(&self, expr: &Expr) -> bool {
        expr.column_refs().iter().all(|column| self.has(&column.name))
    }

    fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|field| field.name() == name)
    }
}

/// The expression without the names of tables.
fn bare(expr: &Expr) -> Result<Expr> {
    expr.clone()
        .transform(|e| {
            Ok(match e {
                Expr::Column(column) => Transformed::yes(Expr::Column(Column::new_unqualified(column.name))),
                other => Transformed::no(other),
            })
        })
        .data()
}

/// The columns that the directories between one and a file name, and their values.
fn values_of(root: &Path, file: &Path) -> Vec<(String, Option<String>)> {
    let below = file.strip_prefix(root).ok().and_then(Path::parent).unwrap_or(Path::new(""));
    let names = below.components().filter_map(|component| match component {
        Component::Normal(name) => name.to_str()?.split_once('='),
        _ => None,
    });
    names.map(|(name, value)| (unescaped(name), (value != MISSING).then(|| unescaped(value)))).collect()
}

/// The narrowest of whole numbers, dates and texts that holds all of these.
fn type_of<'a>(texts: impl Iterator<Item = &'a str> + Clone) -> DataType {
    let mut any = texts.clone();
    if any.next().is_none() {
        return DataType::Utf8;
    }
    // A number that is written otherwise would not come back as it was.
    let whole = |text: &str| text.parse::<i64>().is_ok_and(|n| n.to_string() == text);
    if texts.clone().all(whole) {
        return DataType::Int64;
    }
    let date = |text: &str| text.len() == 10 && text.parse::<chrono::NaiveDate>().is_ok();
    if texts.clone().all(date) { DataType::Date32 } else { DataType::Utf8 }
}

/// Files with the columns of their directories.
#[derive(Debug)]
pub(crate) struct HiveTable {
    files: Arc<dyn FileGroups>,
    keys: Keys,
    schema: SchemaRef,
}

impl HiveTable {
    /// # Errors
    /// [`FrameError::Duplicate`] for a column that is in files and in names of directories.
    pub(crate) fn new(files: Arc<dyn FileGroups>, keys: Keys) -> std::result::Result<HiveTable, FrameError> {
        let in_files = files.schema();
        if let Some(twice) = keys.fields.iter().find(|field| in_files.index_of(field.name()).is_ok()) {
            return Err(FrameError::Duplicate { name: twice.name().clone() });
        }
        let fields = in_files.fields().iter().map(|field| field.as_ref().clone()).chain(keys.fields.clone());
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        Ok(HiveTable { files, keys, schema })
    }

    /// What the files take.
    pub(crate) fn bytes(&self) -> u64 {
        self.files.bytes()
    }
}

#[async_trait]
impl TableProvider for HiveTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let n_in_files = self.files.schema().fields().len();
        let all: Vec<usize> = (0..self.schema.fields().len()).collect();
        let wanted = projection.unwrap_or(&all);
        let read: Vec<usize> = wanted.iter().copied().filter(|i| *i < n_in_files).collect();
        let kept = self.keys.pruned(session, filters)?;
        if kept.is_empty() {
            return Ok(Arc::new(EmptyExec::new(Arc::new(self.schema.project(wanted)?))));
        }
        let of_files: Vec<Expr> = filters.iter().filter(|f| !self.mentions_keys(f)).cloned().collect();
        let groups: Vec<&[usize]> = kept.iter().map(|(_, files)| files.as_slice()).collect();
        let (plan, n_each) = self.files.scan_groups(session, &read, &of_files, &groups).await?;
        let of_partition =
            n_each.iter().enumerate().flat_map(|(group, n)| std::iter::repeat_n(group as u32, *n));
        let values = kept.iter().map(|(values, _)| values.clone()).collect();
        let constants =
            Constants { fields: self.keys.fields.clone(), values, of_partition: of_partition.collect() };
        let with_keys = Arc::new(ConstantsExec::new(plan, Arc::new(constants)));
        // Those of files come first, then all of directories.
        let place = |i: &usize| match i.checked_sub(n_in_files) {
            Some(key) => read.len() + key,
            None => read.iter().position(|read| read == i).unwrap_or_default(),
        };
        projected(with_keys, &wanted.iter().map(place).collect::<Vec<_>>())
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let one = |filter: &&Expr| {
            if self.keys.has_all_of(filter) {
                return Ok(TableProviderFilterPushDown::Inexact);
            }
            if self.mentions_keys(filter) {
                return Ok(TableProviderFilterPushDown::Unsupported);
            }
            let of_files = self.files.supports_filters_pushdown(&[*filter])?;
            // Whatever files promise is looked at once more.
            Ok(match of_files.first() {
                Some(TableProviderFilterPushDown::Unsupported) | None => {
                    TableProviderFilterPushDown::Unsupported
                }
                Some(_) => TableProviderFilterPushDown::Inexact,
            })
        };
        filters.iter().map(one).collect()
    }

    fn statistics(&self) -> Option<Statistics> {
        None
    }
}

impl HiveTable {
    fn mentions_keys(&self, filter: &Expr) -> bool {
        filter.column_refs().iter().any(|column| self.keys.has(&column.name))
    }
}

/// Columns that have one value in each partition.
#[derive(Debug, Clone)]
pub(crate) struct Constants {
    pub fields: Vec<Field>,
    /// The values of each group of partitions.
    pub values: Vec<Vec<ScalarValue>>,
    /// The group of each partition.
    pub of_partition: Vec<u32>,
}

/// Adds columns that have one value in each partition.
#[derive(Debug)]
pub(crate) struct ConstantsExec {
    input: Arc<dyn ExecutionPlan>,
    pub constants: Arc<Constants>,
    properties: Arc<PlanProperties>,
}

impl ConstantsExec {
    pub(crate) fn new(input: Arc<dyn ExecutionPlan>, constants: Arc<Constants>) -> ConstantsExec {
        let from = input.properties();
        let of_input = input.schema();
        let fields = of_input.fields().iter().map(|field| field.as_ref().clone());
        let schema = Schema::new(fields.chain(constants.fields.clone()).collect::<Vec<_>>());
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::new(schema)),
            Partitioning::UnknownPartitioning(from.partitioning.partition_count()),
            from.emission_type,
            from.boundedness,
        );
        ConstantsExec { input, constants, properties: Arc::new(properties) }
    }
}

impl DisplayAs for ConstantsExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        let names: Vec<&str> = self.constants.fields.iter().map(|field| field.name().as_str()).collect();
        write!(f, "ConstantsExec: [{}] of {} directories", names.join(", "), self.constants.values.len())
    }
}

impl ExecutionPlan for ConstantsExec {
    fn name(&self) -> &str {
        "ConstantsExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    one_input!(|this: &ConstantsExec, input| ConstantsExec::new(input, this.constants.clone()));

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let group = self.constants.of_partition.get(partition).copied();
        let Some(values) = group.and_then(|group| self.constants.values.get(group as usize)).cloned() else {
            return internal_err!("partition {partition} has no directory");
        };
        let rows = self.input.execute(partition, context)?;
        let schema = self.schema();
        let made = schema.clone();
        let with_values = rows.map(move |batch| {
            let batch = batch?;
            let n = batch.num_rows();
            let mut columns = batch.columns().to_vec();
            for value in &values {
                columns.push(value.to_array_of_size(n)?);
            }
            let options = RecordBatchOptions::new().with_row_count(Some(n));
            Ok(RecordBatch::try_new_with_options(made.clone(), columns, &options)?)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, with_values)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_say_columns_and_their_types() {
        let root = Path::new("/t");
        let files = ["/t/y=2024/d=2024-01-31/a", "/t/y=2023/d=2024-02-01/b", "/t/y=2024/d=2024-01-31/c"];
        let keys = Keys::of(root, &files.map(PathBuf::from)).unwrap();
        let types: Vec<&DataType> = keys.fields.iter().map(Field::data_type).collect();
        assert_eq!(types, [&DataType::Int64, &DataType::Date32]);
        assert_eq!(keys.groups.len(), 2);
        assert_eq!(keys.groups[1].1, [0, 2]);
        let texts = ["/t/k=007/a", "/t/k=__HIVE_DEFAULT_PARTITION__/b", "/t/k=a%2Fb/c"].map(PathBuf::from);
        let keys = Keys::of(root, &texts).unwrap();
        let values: Vec<String> = keys.groups.iter().map(|(values, _)| values[0].to_string()).collect();
        assert_eq!((keys.fields[0].data_type(), values.len()), (&DataType::Utf8, 3));
        assert!(keys.groups[0].0[0].is_null() && values.contains(&"a/b".to_owned()), "{values:?}");
        for other in [["/t/a=1/x", "/t/b=1/x"], ["/t/x", "/t/y"], ["/t/a=1/x", "/t/x"]] {
            assert!(matches!(Keys::of(root, &other.map(PathBuf::from)), Err(FrameError::Argument { .. })));
        }
    }
}

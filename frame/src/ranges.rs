//! Rows of many partitions divided by ranges of their keys, so that partitions that are sorted follow one another and none
//! holds all: samples of each partition's keys, the keys at which ranges begin, and the range of each row. Must not know how
//! stages are cut.
//!
//! Keys are compared as bytes that sort as they do. Sample sort: Frazer and McKellar, "Samplesort", J. ACM 17 (1970).

use crate::digest::mixed;
use crate::operator::{one_input, with_new_children, without_expressions};
use datafusion::arrow::array::{ArrayRef, AsArray, BinaryArray, RecordBatch, UInt64Array};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt64Type};
use datafusion::arrow::row::{RowConverter, Rows, SortField};
use datafusion::common::{ScalarValue, SplitPoint, internal_err};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::projection::ProjectionExpr;
use datafusion::physical_expr::{
    EquivalenceProperties, LexOrdering, Partitioning, PhysicalSortExpr, RangePartitioning,
};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties,
    ReplaceChildrenOptions,
};
use futures::{StreamExt, TryStreamExt};
use std::fmt;
use std::sync::{Arc, LazyLock};

/// The column of a row's range.
const RANGE: &str = "__range";
/// Keys of a partition that are sampled at most. Where partitions are alike that is as many for each range, whose lengths then
/// differ by some hundredths.
const SAMPLES_MAX: usize = 512;
/// and the fewest, however many partitions there are.
const SAMPLES_MIN: usize = 32;
/// Samples of all partitions together, where that is more than the fewest.
const SAMPLES_IN_ALL: usize = 1 << 18;

/// A key, and how many rows it stands for.
static SAMPLED: LazyLock<SchemaRef> = LazyLock::new(|| {
    let fields = [Field::new("key", DataType::Binary, false), Field::new("rows", DataType::UInt64, false)];
    Arc::new(Schema::new(fields.to_vec()))
});
static BOUNDS: LazyLock<SchemaRef> =
    LazyLock::new(|| Arc::new(Schema::new(vec![Field::new("key", DataType::Binary, false)])));

/// Keys as bytes in their order.
struct Keys {
    order: LexOrdering,
    converter: RowConverter,
}

fn sort_fields(order: &LexOrdering, schema: &Schema) -> Result<Vec<SortField>> {
    let field =
        |key: &PhysicalSortExpr| Ok(SortField::new_with_options(key.expr.data_type(schema)?, key.options));
    order.iter().map(field).collect()
}

/// Whether keys of this order have such bytes.
pub(crate) fn can_be_keys(order: &LexOrdering, schema: &Schema) -> bool {
    sort_fields(order, schema).is_ok_and(|fields| RowConverter::supports_fields(&fields))
}

impl Keys {
    fn new(order: &LexOrdering, schema: &Schema) -> Result<Keys> {
        Ok(Keys { order: order.clone(), converter: RowConverter::new(sort_fields(order, schema)?)? })
    }

    fn of(&self, batch: &RecordBatch) -> Result<Rows> {
        let column = |key: &PhysicalSortExpr| key.expr.evaluate(batch)?.into_array(batch.num_rows());
        Ok(self.converter.convert_columns(&self.order.iter().map(column).collect::<Result<Vec<_>>>()?)?)
    }
}

fn properties(schema: SchemaRef, n_partitions: usize) -> Arc<PlanProperties> {
    Arc::new(PlanProperties::new(
        EquivalenceProperties::new(schema),
        Partitioning::UnknownPartitioning(n_partitions),
        EmissionType::Final,
        Boundedness::Bounded,
    ))
}

/// One batch, which is made when it is asked for.
fn one_batch(
    schema: SchemaRef,
    batch: impl Future<Output = Result<RecordBatch>> + Send + 'static,
) -> SendableRecordBatchStream {
    Box::pin(RecordBatchStreamAdapter::new(schema, futures::stream::once(batch)))
}

/// Gives keys of some of its rows, with what each stands for.
#[derive(Debug)]
pub(crate) struct SampleExec {
    input: Arc<dyn ExecutionPlan>,
    pub order: LexOrdering,
    properties: Arc<PlanProperties>,
}

impl SampleExec {
    pub(crate) fn new(input: Arc<dyn ExecutionPlan>, order: LexOrdering) -> SampleExec {
        let properties = properties(SAMPLED.clone(), input.output_partitioning().partition_count());
        SampleExec { input, order, properties }
    }
}

impl DisplayAs for SampleExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "SampleExec: [{}]", self.order)
    }
}

impl ExecutionPlan for SampleExec {
    fn name(&self) -> &str {
        "SampleExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    one_input!(|this: &SampleExec, input| SampleExec::new(input, this.order.clone()));

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let n_partitions = self.properties.partitioning.partition_count();
        let n_max = (SAMPLES_IN_ALL / n_partitions.max(1)).clamp(SAMPLES_MIN, SAMPLES_MAX);
        let keys = Keys::new(&self.order, &self.input.schema())?;
        let mut rows = self.input.execute(partition, context)?;
        let mut sample = Sample { n_max, seed: mixed(partition as u64), ..Sample::default() };
        let batch = async move {
            while let Some(batch) = rows.next().await {
                sample.add(&keys.of(&batch?)?);
            }
            sample.batch()
        };
        Ok(one_batch(SAMPLED.clone(), batch))
    }
}

/// Rows chosen by their positions, each with the same chance, whatever order they are in; the same ones each time.
#[derive(Default)]
struct Sample {
    n_max: usize,
    seed: u64,
    /// Rows seen.
    n_rows: u64,
    /// One of two to the power of this is chosen.
    sparse: u32,
    /// What decides on a row, and its key.
    chosen: Vec<(u64, Box<[u8]>)>,
}

impl Sample {
    fn add(&mut self, keys: &Rows) {
        for key in keys {
            let lot = mixed(self.seed ^ self.n_rows);
            self.n_rows += 1;
            if lot.leading_zeros() < self.sparse {
                continue;
            }
            self.chosen.push((lot, key.as_ref().into()));
            while self.chosen.len() > 2 * self.n_max && self.sparse < u64::BITS {
                self.sparse += 1;
                self.chosen.retain(|(lot, _)| lot.leading_zeros() >= self.sparse);
            }
        }
    }

    fn batch(self) -> Result<RecordBatch> {
        let stands_for = self.n_rows.checked_div(self.chosen.len() as u64).unwrap_or(0).max(1);
        let keys = BinaryArray::from_iter_values(self.chosen.iter().map(|(_, key)| key));
        let rows = UInt64Array::from(vec![stands_for; self.chosen.len()]);
        Ok(RecordBatch::try_new(SAMPLED.clone(), vec![Arc::new(keys), Arc::new(rows)])?)
    }
}

/// Gives the keys at which ranges begin, but for the first, by samples of all rows.
#[derive(Debug)]
pub(crate) struct BoundsExec {
    input: Arc<dyn ExecutionPlan>,
    pub n_ranges: usize,
    properties: Arc<PlanProperties>,
}

impl BoundsExec {
    pub(crate) fn new(input: Arc<dyn ExecutionPlan>, n_ranges: usize) -> BoundsExec {
        BoundsExec { input, n_ranges, properties: properties(BOUNDS.clone(), 1) }
    }
}

impl DisplayAs for BoundsExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "BoundsExec: ranges={}", self.n_ranges)
    }
}

impl ExecutionPlan for BoundsExec {
    fn name(&self) -> &str {
        "BoundsExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    one_input!(|this: &BoundsExec, input| BoundsExec::new(input, this.n_ranges));

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let n_ranges = self.n_ranges;
        let samples = self.input.execute(partition, context)?;
        let batch = async move {
            let samples: Vec<RecordBatch> = samples.try_collect().await?;
            let bounds = BinaryArray::from_iter_values(bounds(&samples, n_ranges));
            Ok(RecordBatch::try_new(BOUNDS.clone(), vec![Arc::new(bounds)])?)
        };
        Ok(one_batch(BOUNDS.clone(), batch))
    }
}

/// The keys at which so many ranges of about as many rows begin, but for the first.
fn bounds(samples: &[RecordBatch], n_ranges: usize) -> Vec<&[u8]> {
    let mut keys: Vec<(&[u8], u64)> = Vec::new();
    for batch in samples {
        let (sampled, rows) =
            (batch.column(0).as_binary::<i32>(), batch.column(1).as_primitive::<UInt64Type>());
        keys.extend((0..batch.num_rows()).map(|i| (sampled.value(i), rows.value(i))));
    }
    keys.sort_unstable();
    let all: u128 = keys.iter().map(|(_, rows)| u128::from(*rows)).sum();
    let (mut bounds, mut before) = (Vec::new(), 0_u128);
    for (key, rows) in keys {
        // The first key that so many parts of all rows are before.
        while bounds.len() + 1 < n_ranges && before * n_ranges as u128 >= all * (bounds.len() as u128 + 1) {
            bounds.push(key);
        }
        before += u128::from(rows);
    }
    bounds
}

/// Gives the rows of its first input with the range of each, by the keys that its second gives.
#[derive(Debug)]
pub(crate) struct RangeExec {
    rows: Arc<dyn ExecutionPlan>,
    bounds: Arc<dyn ExecutionPlan>,
    pub order: LexOrdering,
    properties: Arc<PlanProperties>,
}

impl RangeExec {
    pub(crate) fn new(
        rows: Arc<dyn ExecutionPlan>,
        bounds: Arc<dyn ExecutionPlan>,
        order: LexOrdering,
    ) -> RangeExec {
        let mut fields: Vec<_> = rows.schema().fields().iter().cloned().collect();
        fields.push(Arc::new(Field::new(RANGE, DataType::UInt64, false)));
        let schema = Arc::new(Schema::new_with_metadata(fields, rows.schema().metadata().clone()));
        let properties = properties(schema, rows.output_partitioning().partition_count());
        RangeExec { rows, bounds, order, properties }
    }

    /// How its rows are divided: a partition for each of so many ranges.
    pub(crate) fn partitioning(&self, n_ranges: usize) -> Result<Partitioning> {
        let column = Arc::new(Column::new(RANGE, self.rows.schema().fields().len()));
        let Some(order) = LexOrdering::new([PhysicalSortExpr::new_default(column)]) else {
            return internal_err!("no order");
        };
        let point = |range: usize| SplitPoint::new(vec![ScalarValue::UInt64(Some(range as u64))]);
        Ok(Partitioning::Range(RangePartitioning::try_new(order, (1..n_ranges).map(point).collect())?))
    }
}

/// Rows without the range of each, which is their last column.
pub(crate) fn without_range(rows: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let schema = rows.schema();
    let columns = schema.fields().iter().enumerate().take(schema.fields().len().saturating_sub(1));
    let columns = columns.map(|(i, field)| ProjectionExpr {
        expr: Arc::new(Column::new(field.name(), i)),
        alias: field.name().clone(),
    });
    Ok(Arc::new(ProjectionExec::try_new(columns.collect::<Vec<_>>(), rows)?))
}

impl DisplayAs for RangeExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "RangeExec: [{}]", self.order)
    }
}

impl ExecutionPlan for RangeExec {
    fn name(&self) -> &str {
        "RangeExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    without_expressions!();

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.rows, &self.bounds]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![false; 2]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false; 2]
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match <[_; 2]>::try_from(children) {
            Ok([rows, bounds]) => Ok(Arc::new(RangeExec::new(rows, bounds, self.order.clone()))),
            Err(_) => internal_err!("{} has two inputs", self.name()),
        }
    }

    with_new_children!();

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let keys = Keys::new(&self.order, &self.rows.schema())?;
        let bounds = self.bounds.execute(0, context.clone())?;
        let rows = self.rows.execute(partition, context)?;
        let (schema, with_range) = (self.schema(), self.schema());
        let ranged = async move {
            let bounds: Vec<RecordBatch> = bounds.try_collect().await?;
            let bounds: Vec<Box<[u8]>> = bounds
                .iter()
                .flat_map(|batch| batch.column(0).as_binary::<i32>().iter().flatten())
                .map(Into::into)
                .collect();
            Ok::<_, DataFusionError>(rows.map(move |batch| {
                let batch = batch?;
                let ranges = keys.of(&batch)?;
                let range = |key: &[u8]| bounds.partition_point(|bound| bound.as_ref() <= key) as u64;
                let ranges = UInt64Array::from_iter_values(ranges.iter().map(|key| range(key.as_ref())));
                let mut columns = batch.columns().to_vec();
                columns.push(Arc::new(ranges) as ArrayRef);
                Ok(RecordBatch::try_new(with_range.clone(), columns)?)
            }))
        };
        let ranged = futures::stream::once(ranged).try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, ranged)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::Int64Array;
    use datafusion::arrow::compute::SortOptions;

    fn sampled(partitions: &[Vec<i64>], n_max: usize) -> Vec<RecordBatch> {
        let converter = RowConverter::new(vec![SortField::new_with_options(
            DataType::Int64,
            SortOptions { descending: false, nulls_first: false },
        )]);
        let converter = converter.unwrap();
        let sample = |(partition, keys): (usize, &Vec<i64>)| {
            let mut sample = Sample { n_max, seed: mixed(partition as u64), ..Sample::default() };
            for keys in keys.chunks(100) {
                let keys: ArrayRef = Arc::new(Int64Array::from(keys.to_vec()));
                sample.add(&converter.convert_columns(&[keys]).unwrap());
            }
            assert!(sample.chosen.len() <= 2 * n_max);
            sample.batch().unwrap()
        };
        partitions.iter().enumerate().map(sample).collect()
    }

    /// The longest range of so many.
    fn longest(partitions: &[Vec<i64>], n_max: usize, n_ranges: usize) -> usize {
        let samples = sampled(partitions, n_max);
        let bounds = bounds(&samples, n_ranges);
        assert!(bounds.len() < n_ranges && bounds.is_sorted());
        let converter = RowConverter::new(vec![SortField::new(DataType::Int64)]).unwrap();
        let keys: ArrayRef = Arc::new(Int64Array::from(partitions.concat()));
        let mut lens = vec![0; n_ranges];
        for key in &converter.convert_columns(&[keys]).unwrap() {
            lens[bounds.partition_point(|bound| *bound <= key.as_ref())] += 1;
        }
        lens.into_iter().max().unwrap()
    }

    #[test]
    fn ranges_are_about_equally_long_however_rows_are_divided() {
        // One partition is a hundred times as long as the others, and all are in order; or each key comes again and again at
        // the same distance.
        let uneven = vec![(0..1_000).collect(), (0..100_000).rev().collect(), (5_000..6_000).collect()];
        let longest_of = longest(&uneven, 512, 8);
        assert!((12_750..12_750 * 5 / 4).contains(&longest_of), "{longest_of}");
        let periodic: Vec<Vec<i64>> =
            (0..4).map(|p| (0..50_000).map(|i| (i % 1024) * 4 + p).collect()).collect();
        let longest_of = longest(&periodic, 512, 16);
        assert!((12_500..12_500 * 5 / 4).contains(&longest_of), "{longest_of}");
    }

    #[test]
    fn few_rows_and_none_are_divided_too() {
        assert_eq!(longest(&[vec![], vec![]], 512, 4), 0);
        assert_eq!(longest(&[vec![7], vec![]], 512, 4), 1);
        assert_eq!(longest(&[vec![1, 2], vec![3, 4]], 512, 4), 1);
        // Rows that are equal are of one range.
        assert_eq!(longest(&[vec![5; 1000], vec![5; 10]], 32, 4), 1010);
    }
}

//! Divides the rows of batches, by a hash of their keys or by ranges, and joins those of one part to batches of so many rows.
//! A value is copied once, to where it stays. Must not know what becomes of the parts.

use crate::error::TaskError;
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, ByteView, GenericByteViewArray, NullBufferBuilder, PrimitiveArray, RecordBatch,
    RecordBatchOptions, UInt32Array, downcast_primitive,
};
use datafusion::arrow::buffer::{Buffer, ScalarBuffer};
use datafusion::arrow::compute::{concat, take};
use datafusion::arrow::datatypes::{
    ArrowPrimitiveType, BinaryViewType, ByteViewType, DataType, SchemaRef, StringViewType,
};
use datafusion::common::hash_utils::create_hashes;
use datafusion::error::Result;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr_common::utils::evaluate_expressions_to_arrays;
use datafusion::physical_plan::Partitioning;
use datafusion::physical_plan::metrics::Time;
use datafusion::physical_plan::repartition::{BatchPartitioner, REPARTITION_RANDOM_STATE};
use std::marker::PhantomData;
use std::sync::Arc;

/// A text of so many bytes lies in its view.
const IN_VIEW_MAX: u32 = 12;
/// Bytes of texts that lie together, unless one is longer.
const TEXTS_BYTES: usize = 64 << 20;

/// Takes batches, and gives those that are complete for a part.
pub(crate) struct Scatter {
    schema: SchemaRef,
    by: By,
    parts: Vec<Growing>,
    /// Rows of a complete batch.
    n_rows: usize,
}

/// What rows are divided by.
enum By {
    Hash { keys: Vec<Arc<dyn PhysicalExpr>>, hashes: Vec<u64>, rows: Vec<Vec<u32>> },
    Other(BatchPartitioner),
}

/// A batch that grows.
struct Growing {
    n_rows: usize,
    columns: Vec<Box<dyn Grow>>,
}

impl Scatter {
    /// For rows of this schema, joined to batches of so many rows.
    pub(crate) fn new(schema: &SchemaRef, by: &Partitioning, n_rows: usize) -> Result<Scatter> {
        let n_parts = by.partition_count();
        let parts = (0..n_parts).map(|_| Growing::new(schema)).collect();
        let by = match by {
            Partitioning::Hash(keys, _) => {
                By::Hash { keys: keys.clone(), hashes: Vec::new(), rows: vec![Vec::new(); n_parts] }
            }
            other => By::Other(BatchPartitioner::try_new(other.clone(), Time::default(), 0, 1)?),
        };
        Ok(Scatter { schema: schema.clone(), by, parts, n_rows })
    }

    /// Divides a batch. `done` gets each batch that is complete with its part's number.
    pub(crate) fn add(
        &mut self,
        batch: RecordBatch,
        mut done: impl FnMut(usize, RecordBatch) -> Result<()>,
    ) -> Result<()> {
        let (schema, parts, n_rows) = (&self.schema, &mut self.parts, self.n_rows);
        match &mut self.by {
            By::Hash { keys, hashes, rows } => {
                let keys = evaluate_expressions_to_arrays(keys.iter(), &batch)?;
                hashes.clear();
                hashes.resize(batch.num_rows(), 0);
                create_hashes(&keys, REPARTITION_RANDOM_STATE.random_state(), hashes)?;
                rows.iter_mut().for_each(Vec::clear);
                divide(hashes, rows);
                for (i, (part, rows)) in parts.iter_mut().zip(rows).enumerate() {
                    part.add(&batch, rows, (schema, n_rows), |batch| done(i, batch))?;
                }
                Ok(())
            }
            By::Other(divider) => divider.partition(batch, |i, batch| {
                let all: Vec<u32> = (0..batch.num_rows() as u32).collect();
                parts[i].add(&batch, &all, (schema, n_rows), |batch| done(i, batch))
            }),
        }
    }

    /// What is left of a part.
    pub(crate) fn rest(&mut self, part: usize) -> Result<Option<RecordBatch>> {
        let part = &mut self.parts[part];
        (part.n_rows > 0).then(|| part.finish(&self.schema)).transpose()
    }
}

/// The numbers of the rows of each part, in their order.
fn divide(hashes: &[u64], rows: &mut [Vec<u32>]) {
    let n = rows.len() as u64;
    if n.is_power_of_two() {
        for (row, hash) in hashes.iter().enumerate() {
            rows[(hash & (n - 1)) as usize].push(row as u32);
        }
    } else {
        for (row, hash) in hashes.iter().enumerate() {
            rows[(hash % n) as usize].push(row as u32);
        }
    }
}

impl Growing {
    fn new(schema: &SchemaRef) -> Growing {
        Growing { n_rows: 0, columns: schema.fields().iter().map(|f| growing(f.data_type())).collect() }
    }

    fn add(
        &mut self,
        batch: &RecordBatch,
        mut rows: &[u32],
        (schema, n_rows): (&SchemaRef, usize),
        mut done: impl FnMut(RecordBatch) -> Result<()>,
    ) -> Result<()> {
        while !rows.is_empty() {
            let (now, later) = rows.split_at(rows.len().min(n_rows - self.n_rows));
            for (column, from) in self.columns.iter_mut().zip(batch.columns()) {
                column.add(from.as_ref(), now, n_rows)?;
            }
            self.n_rows += now.len();
            if self.n_rows == n_rows {
                done(self.finish(schema)?)?;
            }
            rows = later;
        }
        Ok(())
    }

    fn finish(&mut self, schema: &SchemaRef) -> Result<RecordBatch> {
        let columns = self.columns.iter_mut().map(|column| column.finish()).collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(self.n_rows));
        self.n_rows = 0;
        Ok(RecordBatch::try_new_with_options(schema.clone(), columns, &options)?)
    }
}

/// A column that grows.
trait Grow: Send {
    /// Adds these rows of a column, of which a complete batch has so many.
    fn add(&mut self, from: &dyn Array, rows: &[u32], n_rows: usize) -> Result<()>;
    /// What was added. The next is empty.
    fn finish(&mut self) -> Result<ArrayRef>;
}

fn growing(of: &DataType) -> Box<dyn Grow> {
    macro_rules! primitive {
        ($type:ty, $of:expr) => {
            Box::new(Values::<$type> { of: $of.clone(), values: Vec::new(), nulls: no_nulls() })
        };
    }
    downcast_primitive! {
        of => (primitive, of),
        DataType::Utf8View => Box::new(Views::<StringViewType>::new()),
        DataType::BinaryView => Box::new(Views::<BinaryViewType>::new()),
        _ => Box::new(Taken(Vec::new())),
    }
}

fn no_nulls() -> NullBufferBuilder {
    NullBufferBuilder::new(0)
}

fn add_nulls(nulls: &mut NullBufferBuilder, from: &dyn Array, rows: &[u32]) {
    match from.nulls().filter(|nulls| nulls.null_count() > 0) {
        None => nulls.append_n_non_nulls(rows.len()),
        Some(of) => rows.iter().for_each(|&row| nulls.append(of.is_valid(row as usize))),
    }
}

/// Adds some of these values. What comes first is taken for all, and what comes behind it for the begin of a whole batch.
fn add_values<V: Copy>(values: &mut Vec<V>, from: &[V], rows: &[u32], n_rows: usize) {
    if values.len() + rows.len() > values.capacity() {
        let more = if values.is_empty() { rows.len() } else { n_rows.max(rows.len()) - values.len() };
        values.reserve_exact(more.max(rows.len()));
    }
    values.extend(rows.iter().map(|&row| from[row as usize]));
}

/// A buffer that takes no more than its values, or not much more.
fn held<V>(mut values: Vec<V>) -> Vec<V> {
    if values.len() < values.capacity() / 2 {
        values.shrink_to_fit();
    }
    values
}

/// Values of one width.
struct Values<T: ArrowPrimitiveType> {
    of: DataType,
    values: Vec<T::Native>,
    nulls: NullBufferBuilder,
}

impl<T: ArrowPrimitiveType> Grow for Values<T> {
    fn add(&mut self, from: &dyn Array, rows: &[u32], n_rows: usize) -> Result<()> {
        let from = from.as_primitive::<T>();
        add_values(&mut self.values, from.values(), rows, n_rows);
        add_nulls(&mut self.nulls, from, rows);
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let values = ScalarBuffer::from(held(std::mem::take(&mut self.values)));
        let nulls = std::mem::replace(&mut self.nulls, no_nulls()).finish();
        Ok(Arc::new(PrimitiveArray::<T>::try_new(values, nulls)?.with_data_type(self.of.clone())))
    }
}

/// Texts, or bytes, whose short ones lie in their views.
struct Views<T: ByteViewType> {
    views: Vec<u128>,
    nulls: NullBufferBuilder,
    full: Vec<Buffer>,
    texts: Vec<u8>,
    of: PhantomData<T>,
}

impl<T: ByteViewType> Views<T> {
    fn new() -> Views<T> {
        Views { views: Vec::new(), nulls: no_nulls(), full: Vec::new(), texts: Vec::new(), of: PhantomData }
    }

    /// The view of this text where it now lies.
    fn moved(&mut self, view: u128, buffers: &[Buffer]) -> u128 {
        let length = view as u32;
        if length <= IN_VIEW_MAX {
            return view;
        }
        let old = ByteView::from(view);
        let from = old.offset as usize;
        let text = &buffers[old.buffer_index as usize][from..from + length as usize];
        if !self.texts.is_empty() && self.texts.len() + text.len() > TEXTS_BYTES {
            self.full.push(Buffer::from_vec(held(std::mem::take(&mut self.texts))));
        }
        let (buffer_index, offset) = (self.full.len() as u32, self.texts.len() as u32);
        self.texts.extend_from_slice(text);
        ByteView { buffer_index, offset, ..old }.as_u128()
    }
}

impl<T: ByteViewType> Grow for Views<T> {
    fn add(&mut self, from: &dyn Array, rows: &[u32], n_rows: usize) -> Result<()> {
        let from = from.as_byte_view::<T>();
        let first = self.views.len();
        add_values(&mut self.views, from.views(), rows, n_rows);
        add_nulls(&mut self.nulls, from, rows);
        if !from.data_buffers().is_empty() {
            for at in first..self.views.len() {
                // What lies under a null may be no view of a text.
                let is_null = from.is_null(rows[at - first] as usize);
                self.views[at] = if is_null { 0 } else { self.moved(self.views[at], from.data_buffers()) };
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let views = ScalarBuffer::from(held(std::mem::take(&mut self.views)));
        let nulls = std::mem::replace(&mut self.nulls, no_nulls()).finish();
        let mut buffers = std::mem::take(&mut self.full);
        if !self.texts.is_empty() {
            buffers.push(Buffer::from_vec(held(std::mem::take(&mut self.texts))));
        }
        // SAFETY: each view that is not null is one of a valid array of this type, or was moved with its text, whole and
        // unchanged, to the buffer and the offset that it names now; those of nulls are empty or lie in the view.
        let views = unsafe { GenericByteViewArray::<T>::new_unchecked(views, buffers, nulls) };
        Ok(Arc::new(views))
    }
}

/// Any other column, taken from each batch and joined at the end.
struct Taken(Vec<ArrayRef>);

impl Grow for Taken {
    fn add(&mut self, from: &dyn Array, rows: &[u32], _: usize) -> Result<()> {
        let rows = UInt32Array::from(rows.to_vec());
        self.0.push(take(from, &rows, None)?);
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let parts = std::mem::take(&mut self.0);
        if let [one] = parts.as_slice() {
            return Ok(one.clone());
        }
        let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
        concat(&parts).map_err(|e| TaskError::data(e).into_datafusion())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::compute::{concat_batches, take_record_batch};
    use datafusion::arrow::datatypes::{Field, Schema};
    use datafusion::physical_expr::expressions::col;

    /// The rows of each part as DataFusion divides them.
    fn expected(batches: &[RecordBatch], by: &Partitioning) -> Vec<Vec<RecordBatch>> {
        let mut parts = vec![Vec::new(); by.partition_count()];
        let mut divider = BatchPartitioner::try_new(by.clone(), Time::default(), 0, 1).unwrap();
        for batch in batches {
            let add = |i: usize, batch| {
                parts[i].push(batch);
                Ok(())
            };
            divider.partition(batch.clone(), add).unwrap();
        }
        parts
    }

    #[test]
    fn rows_of_all_types_are_divided_as_datafusion_divides_them_and_keep_their_order() {
        let batches = crate::wire::tests::mixed();
        let schema = batches[0].schema();
        let key = |i: usize| col(schema.field(i).name(), &schema).unwrap();
        for n in [1, 3, 8] {
            for keys in [vec![key(0)], vec![key(1), key(0)]] {
                let by = Partitioning::Hash(keys, n);
                for n_rows in [1, 7, 8192] {
                    let mut scatter = Scatter::new(&schema, &by, n_rows).unwrap();
                    let mut got = vec![Vec::new(); n];
                    for batch in &batches {
                        let done = |i: usize, batch: RecordBatch| {
                            assert_eq!(batch.num_rows(), n_rows);
                            got[i].push(batch);
                            Ok(())
                        };
                        scatter.add(batch.clone(), done).unwrap();
                    }
                    for (i, expected) in expected(&batches, &by).iter().enumerate() {
                        got[i].extend(scatter.rest(i).unwrap());
                        let whole = |batches: &[RecordBatch]| concat_batches(&schema, batches).unwrap();
                        assert_eq!(whole(&got[i]), whole(expected), "part {i} of {n}, {n_rows}");
                        assert!(scatter.rest(i).unwrap().is_none());
                    }
                }
            }
        }
    }

    #[test]
    fn texts_are_moved_without_those_that_go_elsewhere() {
        let texts =
            (0..10_000).map(|i| (i % 7 != 0).then(|| format!("a text that is longer than a view, {i}")));
        let schema: SchemaRef = Arc::new(Schema::new(vec![Field::new("t", DataType::Utf8View, true)]));
        let texts: ArrayRef = Arc::new(texts.collect::<datafusion::arrow::array::StringViewArray>());
        let batch = RecordBatch::try_new(schema.clone(), vec![texts]).unwrap();
        let by = Partitioning::Hash(vec![col("t", &schema).unwrap()], 100);
        let mut scatter = Scatter::new(&schema, &by, 8192).unwrap();
        scatter.add(batch.clone(), |_, _| unreachable!("no part is complete")).unwrap();
        let parts: Vec<RecordBatch> = (0..100).filter_map(|i| scatter.rest(i).unwrap()).collect();
        for part in &parts {
            let texts = part.column(0).as_string_view();
            let held: usize = texts.data_buffers().iter().map(Buffer::capacity).sum();
            assert!(held <= 2 * texts.total_buffer_bytes_used(), "{held}");
            texts.to_data().validate_full().unwrap();
        }
        let all = concat_batches(&schema, &parts).unwrap();
        let sorted = |batch: &RecordBatch| {
            let order = datafusion::arrow::compute::sort_to_indices(batch.column(0), None, None).unwrap();
            take_record_batch(batch, &order).unwrap()
        };
        assert_eq!(sorted(&all), sorted(&batch));
    }
}

//! Tables of values that the program has. Must not know what becomes of them.

use super::Result;
use super::execute::Execute;
use super::frame::{DataFrame, partitions_for};
use super::group::span;
use super::resolve::check_unique;
use crate::error::FrameError;
use crate::functions::datetime::parsed;
use crate::source::{MemoryTable, bytes_of};
use chrono::{DateTime, Months, TimeDelta};
use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Float32Array, Float64Array, Int8Array, Int16Array, Int32Array, Int64Array,
    RecordBatch, StringArray, TimestampMicrosecondArray, UInt8Array, UInt16Array, UInt32Array, UInt64Array,
};
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::LogicalPlanBuilder;
use std::num::NonZeroUsize;
use std::sync::Arc;

/// Times that a range may have.
const TIMES_MAX: u32 = 100_000_000;

/// A value that columns are made of.
pub trait Value: Sized {
    /// A column of values.
    fn column(values: Vec<Self>) -> ArrayRef;
}

macro_rules! value {
    ($($t:ty => $array:ident),*) => {$(
        impl Value for $t {
            fn column(values: Vec<$t>) -> ArrayRef {
                Arc::new($array::from(values))
            }
        }

        impl Value for Option<$t> {
            fn column(values: Vec<Option<$t>>) -> ArrayRef {
                Arc::new($array::from(values))
            }
        }
    )*};
}
value!(
    bool => BooleanArray, i8 => Int8Array, i16 => Int16Array, i32 => Int32Array, i64 => Int64Array,
    u8 => UInt8Array, u16 => UInt16Array, u32 => UInt32Array, u64 => UInt64Array, f32 => Float32Array,
    f64 => Float64Array, &str => StringArray, String => StringArray
);

/// A column of these values; `None` is a value that is missing.
///
/// ```
/// # use tilework_frame as tilework;
/// # use tilework::doc::prelude::*;
/// let df = from_columns([("x", values([Some(1), None])), ("y", values(["a", "b"]))])?;
/// assert_eq!(df.shape()?, (2, 2));
/// # Ok::<(), FrameError>(())
/// ```
pub fn values<V: Value>(values: impl IntoIterator<Item = V>) -> ArrayRef {
    V::column(values.into_iter().collect())
}

/// A table of columns, which are equally long.
///
/// # Errors
/// [`FrameError::Query`] if they are not; [`FrameError::Duplicate`] if two have one name.
///
/// ```
/// # use tilework_frame as tilework;
/// # use tilework::prelude::*;
/// # let on = LocalExecute::start()?;
/// let df = from_columns(&on, [("x", values([1, 2])), ("y", values(["a", "b"]))])?;
/// assert_eq!(df.columns(), ["x", "y"]);
/// # Ok::<(), FrameError>(())
/// ```
pub fn from_columns<N: AsRef<str>>(
    on: &Arc<dyn Execute>,
    columns: impl IntoIterator<Item = (N, ArrayRef)>,
) -> Result<DataFrame> {
    let (names, columns): (Vec<N>, Vec<ArrayRef>) = columns.into_iter().unzip();
    let field = |(name, array): (&N, &ArrayRef)| Field::new(name.as_ref(), array.data_type().clone(), true);
    let schema = Arc::new(Schema::new(names.iter().zip(&columns).map(field).collect::<Vec<_>>()));
    if columns.is_empty() {
        return from_batches(on, schema, Vec::new());
    }
    let batch = RecordBatch::try_new(schema.clone(), columns)?;
    from_batches(on, schema, vec![batch])
}

/// A table of batches, which have the same columns.
///
/// # Errors
/// [`FrameError::Types`] if they have not; [`FrameError::Argument`] if there is none.
///
/// ```
/// # use tilework_frame as tilework;
/// # use tilework::prelude::*;
/// # let on = LocalExecute::start()?;
/// use tilework::arrow::array::RecordBatch;
/// let batch = RecordBatch::try_from_iter([("x", values([1, 2]))])?;
/// let df = from_record_batches(&on, [batch.clone(), batch])?;
/// assert_eq!(df.to_vec::<i64>("x")?, [1, 2, 1, 2]);
/// # Ok::<(), FrameError>(())
/// ```
pub fn from_record_batches(
    on: &Arc<dyn Execute>,
    batches: impl IntoIterator<Item = RecordBatch>,
) -> Result<DataFrame> {
    let batches: Vec<RecordBatch> = batches.into_iter().collect();
    let first = batches
        .first()
        .ok_or_else(|| FrameError::argument("batches", "there is none to tell the columns"))?;
    let fields =
        first.schema().fields().iter().map(|f| f.as_ref().clone().with_nullable(true)).collect::<Vec<_>>();
    let schema = Arc::new(Schema::new(fields));
    let same = |batch: &RecordBatch| -> Result<RecordBatch> {
        let shown = |batch: &RecordBatch| {
            let schema = batch.schema();
            let columns = schema.fields().iter().map(|f| format!("{} {}", f.name(), f.data_type()));
            columns.collect::<Vec<_>>().join(", ")
        };
        RecordBatch::try_new(schema.clone(), batch.columns().to_vec())
            .ok()
            .filter(|_| {
                batch.schema().fields().iter().zip(schema.fields()).all(|(a, b)| a.name() == b.name())
            })
            .ok_or_else(|| FrameError::Types {
                what: "batches of one table".to_owned(),
                left: shown(first),
                right: shown(batch),
            })
    };
    let batches = batches.iter().map(same).collect::<Result<Vec<_>>>()?;
    from_batches(on, schema, batches)
}

/// A table of the times from one to another one, both included, at such distances (`15m`, `1h`, `1d`, `1w`, `1mo`, `1q`,
/// `1y`), in a column of this name.
///
/// # Errors
/// [`FrameError::Argument`] if a text is no time or no distance, or if there would be more than 100 million times.
///
/// ```
/// # use tilework_frame as tilework;
/// # use tilework::prelude::*;
/// # let on = LocalExecute::start()?;
/// let days = date_range(&on, "day", "2024-01-31", "2024-04-30", "1mo")?;
/// assert_eq!(days.select([col("day").dt().day()])?.to_vec::<i64>("day")?, [31, 29, 31, 30]);
/// # Ok::<(), FrameError>(())
/// ```
pub fn date_range(
    on: &Arc<dyn Execute>,
    name: &str,
    start: &str,
    end: &str,
    every: &str,
) -> Result<DataFrame> {
    let time = |argument: &'static str, text: &str| {
        let time = parsed(text, None).and_then(DateTime::from_timestamp_micros);
        time.ok_or_else(|| FrameError::argument(argument, format!("{text:?} is no time")))
    };
    let (start, end, every) = (time("start", start)?, time("end", end)?, span(every)?);
    let at = |n: u32| {
        let months = Months::new(u32::try_from(every.months).ok()?.checked_mul(n)?);
        let days = TimeDelta::days(i64::from(every.days).checked_mul(n.into())?);
        let rest = TimeDelta::nanoseconds(every.nanoseconds.checked_mul(n.into())?);
        start.checked_add_months(months)?.checked_add_signed(days)?.checked_add_signed(rest)
    };
    let times = (0..TIMES_MAX).map_while(|n| at(n).filter(|time| *time <= end));
    let times: Vec<i64> = times.map(|time| time.timestamp_micros()).collect();
    if times.len() == TIMES_MAX as usize {
        return Err(FrameError::argument("every", format!("there are {TIMES_MAX} times and more")));
    }
    let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from(times));
    from_columns(on, [(name, times)])
}

fn from_batches(on: &Arc<dyn Execute>, schema: SchemaRef, batches: Vec<RecordBatch>) -> Result<DataFrame> {
    check_unique(schema.fields().iter().map(|field| field.name().as_str()))?;
    let bytes = batches.iter().map(|batch| bytes_of(batch) as u64).sum();
    let n = on.planning().n_partitions.map_or_else(|| partitions_for(bytes), NonZeroUsize::get);
    let table = MemoryTable::new(schema, divided(batches, n));
    let plan = LogicalPlanBuilder::scan("table", provider_as_source(table), None)?.build()?;
    DataFrame::new(on.clone(), plan)
}

/// The rows in so many parts, about equal and in their order.
fn divided(batches: Vec<RecordBatch>, n: usize) -> Vec<Vec<RecordBatch>> {
    let n_rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let mut parts = vec![Vec::new(); n];
    let mut row = 0;
    for batch in batches {
        let mut from = 0;
        while from < batch.num_rows() {
            // The part that the row lies in, and the row at which the next one begins.
            let part = row * n / n_rows;
            let end = ((part + 1) * n_rows).div_ceil(n);
            let length = (end - row).min(batch.num_rows() - from);
            parts[part].push(batch.slice(from, length));
            (from, row) = (from + length, row + length);
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_divided_in_their_order() {
        for n_rows in [0, 1, 5, 100, 101] {
            for n in [1, 3, 7, 40] {
                let rows: Vec<i64> = (0..n_rows).collect();
                let batches: Vec<RecordBatch> = rows
                    .chunks(13)
                    .map(|rows| RecordBatch::try_from_iter([("x", values(rows.to_vec()))]).unwrap())
                    .collect();
                let parts = divided(batches, n);
                let sizes: Vec<usize> =
                    parts.iter().map(|part| part.iter().map(RecordBatch::num_rows).sum()).collect();
                assert_eq!((sizes.len(), sizes.iter().sum::<usize>()), (n, rows.len()));
                assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1, "{sizes:?}");
                let all: Vec<RecordBatch> = parts.into_iter().flatten().collect();
                if let Some(first) = all.first() {
                    let all = datafusion::arrow::compute::concat_batches(&first.schema(), &all).unwrap();
                    assert_eq!(all.column(0), &values(rows));
                }
            }
        }
    }
}

//! The value that there is most often. Must not know of plans.

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, UInt64Type};
use datafusion::common::{HashMap, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, ReversedUDAF, Signature, Volatility};
use std::cmp::Ordering;
use std::sync::Arc;

/// `mode(x)`: the least of those that there are most often.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Mode(Signature);

impl Mode {
    pub(super) fn new() -> Mode {
        Mode(Signature::any(1, Volatility::Immutable))
    }
}

impl AggregateUDFImpl for Mode {
    fn name(&self) -> &str {
        "mode"
    }

    fn signature(&self) -> &Signature {
        &self.0
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types.first().cloned().unwrap_or(DataType::Null))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let list = |what: &str, of: DataType| {
            Arc::new(Field::new_list(format!("{}[{what}]", args.name), Field::new_list_field(of, true), true))
        };
        Ok(vec![list("values", args.return_type().clone()), list("counts", DataType::UInt64)])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let data_type = args.return_field.data_type().clone();
        Ok(Box::new(Counts { data_type, counts: HashMap::default(), value_bytes: 0 }))
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }
}

/// How often there is each value.
#[derive(Debug)]
struct Counts {
    data_type: DataType,
    counts: HashMap<ScalarValue, u64>,
    /// Of the values, beyond the map.
    value_bytes: usize,
}

impl Counts {
    fn add(&mut self, values: &ArrayRef, times: impl Fn(usize) -> u64) -> Result<()> {
        for row in (0..values.len()).filter(|row| values.is_valid(*row)) {
            let mut value = ScalarValue::try_from_array(values, row)?;
            // It would otherwise keep all of its batch.
            value.compact();
            let bytes = value.size() - size_of::<ScalarValue>();
            let count = self.counts.entry(value).or_insert_with(|| {
                self.value_bytes += bytes;
                0
            });
            *count += times(row);
        }
        Ok(())
    }

    /// The values in order, so that what is made of them does not depend on the map.
    fn sorted(&self) -> Vec<(&ScalarValue, u64)> {
        let mut sorted: Vec<_> = self.counts.iter().map(|(value, count)| (value, *count)).collect();
        sorted.sort_by(|(a, _), (b, _)| a.partial_cmp(b).unwrap_or(Ordering::Equal));
        sorted
    }
}

impl Accumulator for Counts {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.add(&values[0], |_| 1)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let most = self.counts.values().max().copied();
        let all = self.sorted();
        match all.into_iter().find(|(_, count)| Some(*count) == most) {
            Some((value, _)) => Ok(value.clone()),
            None => ScalarValue::try_from(&self.data_type),
        }
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.counts.capacity() * size_of::<(ScalarValue, u64)>() + self.value_bytes
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let (values, counts): (Vec<_>, Vec<_>) = self.sorted().into_iter().unzip();
        let values =
            ScalarValue::new_list_nullable(&values.into_iter().cloned().collect::<Vec<_>>(), &self.data_type);
        let counts = counts.into_iter().map(|n| ScalarValue::UInt64(Some(n))).collect::<Vec<_>>();
        Ok(vec![
            ScalarValue::List(values),
            ScalarValue::List(ScalarValue::new_list_nullable(&counts, &DataType::UInt64)),
        ])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let (values, counts) = (states[0].as_list::<i32>(), states[1].as_list::<i32>());
        for row in (0..values.len()).filter(|row| values.is_valid(*row)) {
            let of_row = counts.value(row);
            let times = of_row.as_primitive::<UInt64Type>();
            self.add(&values.value(row), |value| times.value(value))?;
        }
        Ok(())
    }
}

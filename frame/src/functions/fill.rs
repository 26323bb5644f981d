//! The last value that is not missing, and how many rows ago it was. DataFusion's `last_value` turns itself around where
//! rows are wanted in the other order too, and then has another name than what it is asked for by. Must not know of plans.

use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{ScalarValue, exec_err};
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, ReversedUDAF, Signature, Volatility};
use std::sync::Arc;

/// `last_known(x)`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct LastKnown(Signature);

impl LastKnown {
    pub(super) fn new() -> LastKnown {
        LastKnown(Signature::any(1, Volatility::Immutable))
    }
}

impl AggregateUDFImpl for LastKnown {
    fn name(&self) -> &str {
        "last_known"
    }

    fn signature(&self) -> &Signature {
        &self.0
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types.first().cloned().unwrap_or(DataType::Null))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new(format!("{}[last]", args.name), args.return_type().clone(), true))])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Last(ScalarValue::try_from(args.return_field.data_type())?)))
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::NotSupported
    }
}

#[derive(Debug)]
struct Last(ScalarValue);

impl Accumulator for Last {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let values = &values[0];
        if let Some(row) = (0..values.len()).rev().find(|row| values.is_valid(*row)) {
            self.0 = ScalarValue::try_from_array(values, row)?;
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(self.0.clone())
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.0.size() - size_of_val(&self.0)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.0.clone()])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }
}

/// `rows_since_known(x)`, of rows in an order: 0 where the last one is not missing.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct RowsSinceKnown(Signature);

impl RowsSinceKnown {
    pub(super) fn new() -> RowsSinceKnown {
        RowsSinceKnown(Signature::any(1, Volatility::Immutable))
    }
}

impl AggregateUDFImpl for RowsSinceKnown {
    fn name(&self) -> &str {
        "rows_since_known"
    }

    fn signature(&self) -> &Signature {
        &self.0
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new(format!("{}[rows]", args.name), DataType::Int64, true))])
    }

    fn accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Since(None)))
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::NotSupported
    }
}

/// Absent before the first value.
#[derive(Debug)]
struct Since(Option<i64>);

impl Accumulator for Since {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let values = &values[0];
        self.0 = match (0..values.len()).rev().find(|row| values.is_valid(*row)) {
            Some(row) => Some((values.len() - 1 - row) as i64),
            None => self.0.map(|rows| rows + values.len() as i64),
        };
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Int64(self.0))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![ScalarValue::Int64(self.0)])
    }

    fn merge_batch(&mut self, _: &[ArrayRef]) -> Result<()> {
        exec_err!("rows_since_known is of rows in one order")
    }
}

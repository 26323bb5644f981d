//! The last value that is not missing. DataFusion's `last_value` turns itself around where rows are wanted in the other
//! order too, and then has another name than what it is asked for by. Must not know of plans.

use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::ScalarValue;
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

//! The exponentially weighted mean. Must not know of plans.

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Float64Type};
use datafusion::common::{ScalarValue, exec_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, ReversedUDAF, Signature, Volatility};
use std::sync::Arc;

/// `ewm_mean(x, alpha)`, of rows in an order: it is a function of windows that begin with the first row.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct EwmMean(Signature);

impl EwmMean {
    pub(super) fn new() -> EwmMean {
        EwmMean(Signature::any(2, Volatility::Immutable))
    }
}

impl AggregateUDFImpl for EwmMean {
    fn name(&self) -> &str {
        "ewm_mean"
    }

    fn signature(&self) -> &Signature {
        &self.0
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types.first() {
            Some(number) if number.is_numeric() || number.is_null() => Ok(DataType::Float64),
            other => plan_err!("ewm_mean is of numbers, not of {other:?}"),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let field =
            |what: &str| Arc::new(Field::new(format!("{}[{what}]", args.name), DataType::Float64, true));
        Ok(vec![field("sum"), field("weight")])
    }

    fn accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Mean::default()))
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::NotSupported
    }
}

/// What was seen, weighted.
#[derive(Debug, Default)]
struct Mean {
    sum: f64,
    weight: f64,
}

impl Accumulator for Mean {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let (x, alpha) = (cast(&values[0], &DataType::Float64)?, cast(&values[1], &DataType::Float64)?);
        let (x, alpha) = (x.as_primitive::<Float64Type>(), alpha.as_primitive::<Float64Type>());
        for row in 0..x.len() {
            let alpha = alpha.value(row);
            if !(alpha > 0.0 && alpha <= 1.0) {
                return exec_err!("ewm_mean: alpha is {alpha}, expected more than 0 and at most 1");
            }
            // What is missing takes its place in time, and nothing else.
            let (value, weight) = if x.is_valid(row) { (x.value(row), 1.0) } else { (0.0, 0.0) };
            self.sum = self.sum * (1.0 - alpha) + value;
            self.weight = self.weight * (1.0 - alpha) + weight;
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Float64((self.weight > 0.0).then(|| self.sum / self.weight)))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![ScalarValue::Float64(Some(self.sum)), ScalarValue::Float64(Some(self.weight))])
    }

    fn merge_batch(&mut self, _: &[ArrayRef]) -> Result<()> {
        exec_err!("ewm_mean is of rows in one order")
    }
}

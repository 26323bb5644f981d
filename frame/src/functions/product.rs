//! A product that is an error where it does not fit its type. Must not know of plans.

use super::does_not_fit;
use datafusion::arrow::array::{ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Int64Type, UInt64Type};
use datafusion::common::{ScalarValue, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, ReversedUDAF, Signature, Volatility};
use std::sync::Arc;

/// `product(x)`: of whole numbers a whole number, of all others a float.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Product(Signature);

impl Product {
    pub(super) fn new() -> Product {
        Product(Signature::any(1, Volatility::Immutable))
    }
}

impl AggregateUDFImpl for Product {
    fn name(&self) -> &str {
        "product"
    }

    fn signature(&self) -> &Signature {
        &self.0
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types.first() {
            Some(whole) if whole.is_signed_integer() => Ok(DataType::Int64),
            Some(whole) if whole.is_unsigned_integer() => Ok(DataType::UInt64),
            Some(number) if number.is_numeric() || number.is_null() => Ok(DataType::Float64),
            other => plan_err!("product is of numbers, not of {other:?}"),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let field = Field::new(format!("{}[product]", args.name), args.return_type().clone(), true);
        Ok(vec![Arc::new(field)])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Factors(ScalarValue::try_from(args.return_field.data_type())?)))
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }
}

/// Their product; null before the first.
#[derive(Debug)]
struct Factors(ScalarValue);

impl Accumulator for Factors {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let data_type = self.0.data_type();
        let values = cast(&values[0], &data_type)?;
        let overflow = || does_not_fit("product", &data_type);
        match &mut self.0 {
            ScalarValue::Int64(product) => {
                for value in values.as_primitive::<Int64Type>().iter().flatten() {
                    *product = Some(product.unwrap_or(1).checked_mul(value).ok_or_else(overflow)?);
                }
            }
            ScalarValue::UInt64(product) => {
                for value in values.as_primitive::<UInt64Type>().iter().flatten() {
                    *product = Some(product.unwrap_or(1).checked_mul(value).ok_or_else(overflow)?);
                }
            }
            ScalarValue::Float64(product) => {
                for value in values.as_primitive::<Float64Type>().iter().flatten() {
                    *product = Some(product.unwrap_or(1.0) * value);
                }
            }
            other => return plan_err!("a product is no {}", other.data_type()),
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(self.0.clone())
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.0.clone()])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }
}

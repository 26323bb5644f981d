//! A sum that is an error where it does not fit its type; DataFusion's wraps. Must not know of plans.

use super::does_not_fit;
use datafusion::arrow::array::{Array, ArrayRef, ArrowNativeTypeOp, AsArray, BooleanArray, PrimitiveArray};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::datatypes::{
    ArrowPrimitiveType, DataType, Decimal128Type, Decimal256Type, FieldRef, Int64Type, UInt64Type,
};
use datafusion::arrow::error::ArrowError;
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, EmitTo, GroupsAccumulator, ReversedUDAF, SetMonotonicity, Signature,
};
use std::fmt::Debug;

/// `sum`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct CheckedSum;

/// Picks the accumulator for the type of a sum, or DataFusion's for a type whose sums do not wrap.
macro_rules! by_type {
    ($args:ident, $accumulator:ident, $otherwise:expr) => {
        match $args.return_field.data_type() {
            DataType::Int64 if !$args.is_distinct => Ok(Box::new($accumulator::<Int64Type>::new(&$args))),
            DataType::UInt64 if !$args.is_distinct => Ok(Box::new($accumulator::<UInt64Type>::new(&$args))),
            DataType::Decimal128(_, _) if !$args.is_distinct => {
                Ok(Box::new($accumulator::<Decimal128Type>::new(&$args)))
            }
            DataType::Decimal256(_, _) if !$args.is_distinct => {
                Ok(Box::new($accumulator::<Decimal256Type>::new(&$args)))
            }
            _ => $otherwise,
        }
    };
}

impl AggregateUDFImpl for CheckedSum {
    fn name(&self) -> &str {
        "sum"
    }

    fn signature(&self) -> &Signature {
        static INNER: std::sync::OnceLock<std::sync::Arc<datafusion::logical_expr::AggregateUDF>> =
            std::sync::OnceLock::new();
        INNER.get_or_init(sum_udaf).signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        sum_udaf().inner().return_type(arg_types)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        by_type!(args, One, sum_udaf().accumulator(args))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        sum_udaf().state_fields(args)
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        !args.is_distinct
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        by_type!(args, Many, sum_udaf().create_groups_accumulator(args))
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        by_type!(args, One, sum_udaf().create_sliding_accumulator(args))
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn set_monotonicity(&self, data_type: &DataType) -> SetMonotonicity {
        sum_udaf().inner().set_monotonicity(data_type)
    }
}

/// The error of a sum beyond its type.
#[cold]
fn too_large(data_type: &DataType) -> DataFusionError {
    does_not_fit("sum", data_type)
}

/// Whether sums fit their type, where that holds less than its representation.
fn check_fit(sums: &dyn Array) -> Result<()> {
    let fit = match sums.data_type() {
        DataType::Decimal128(precision, _) => {
            sums.as_primitive::<Decimal128Type>().validate_decimal_precision(*precision)
        }
        DataType::Decimal256(precision, _) => {
            sums.as_primitive::<Decimal256Type>().validate_decimal_precision(*precision)
        }
        _ => Ok(()),
    };
    fit.map_err(|_| too_large(sums.data_type()))
}

/// The sum of a column, or of rows that slide over it.
struct One<T: ArrowPrimitiveType> {
    data_type: DataType,
    sum: T::Native,
    n_values: u64,
}

impl<T: ArrowPrimitiveType> Debug for One<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CheckedSum({:?} of {} values)", self.sum, self.n_values)
    }
}

impl<T: ArrowPrimitiveType> One<T> {
    fn new(args: &AccumulatorArgs<'_>) -> One<T> {
        One { data_type: args.return_field.data_type().clone(), sum: T::Native::ZERO, n_values: 0 }
    }

    fn all(
        &mut self,
        values: &ArrayRef,
        step: impl Fn(T::Native, T::Native) -> std::result::Result<T::Native, ArrowError>,
    ) -> Result<u64> {
        let values = values.as_primitive::<T>();
        for value in values.iter().flatten() {
            self.sum = step(self.sum, value).map_err(|_| too_large(&self.data_type))?;
        }
        Ok((values.len() - values.null_count()) as u64)
    }
}

impl<T: ArrowPrimitiveType> Accumulator for One<T> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.n_values += self.all(&values[0], ArrowNativeTypeOp::add_checked)?;
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.n_values -= self.all(&values[0], ArrowNativeTypeOp::sub_checked)?;
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let sum = (self.n_values > 0).then_some(self.sum);
        let sum = ScalarValue::new_primitive::<T>(sum, &self.data_type)?;
        if self.data_type.is_decimal() {
            check_fit(&sum.to_array()?)?;
        }
        Ok(sum)
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }
}

/// The sums of groups.
struct Many<T: ArrowPrimitiveType> {
    data_type: DataType,
    sums: Vec<T::Native>,
    /// Whether the group has a value that is not null.
    seen: Vec<bool>,
}

impl<T: ArrowPrimitiveType> Many<T> {
    fn new(args: &AccumulatorArgs<'_>) -> Many<T> {
        Many { data_type: args.return_field.data_type().clone(), sums: Vec::new(), seen: Vec::new() }
    }

    fn add(&mut self, group: usize, value: T::Native) -> Result<()> {
        let sum = self.sums[group].add_checked(value);
        self.sums[group] = sum.map_err(|_| too_large(&self.data_type))?;
        self.seen[group] = true;
        Ok(())
    }
}

impl<T: ArrowPrimitiveType> GroupsAccumulator for Many<T> {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        n_groups: usize,
    ) -> Result<()> {
        self.sums.resize(n_groups, T::Native::ZERO);
        self.seen.resize(n_groups, false);
        let values = values[0].as_primitive::<T>();
        if values.null_count() == 0 && filter.is_none() {
            return groups
                .iter()
                .zip(values.values())
                .try_for_each(|(group, value)| self.add(*group, *value));
        }
        for (row, group) in groups.iter().enumerate() {
            if values.is_valid(row) && filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row)) {
                self.add(*group, values.value(row))?;
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let (sums, seen) = (emit_to.take_needed(&mut self.sums), emit_to.take_needed(&mut self.seen));
        let nulls = Some(NullBuffer::from(seen)).filter(|nulls| nulls.null_count() > 0);
        let sums = PrimitiveArray::<T>::new(sums.into(), nulls).with_data_type(self.data_type.clone());
        check_fit(&sums)?;
        Ok(std::sync::Arc::new(sums))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.evaluate(emit_to)?])
    }

    fn merge_batch(&mut self, values: &[ArrayRef], groups: &[usize], n_groups: usize) -> Result<()> {
        self.update_batch(values, groups, None, n_groups)
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let values = values[0].as_primitive::<T>();
        let Some(filter) = filter else {
            return Ok(vec![std::sync::Arc::new(values.clone().with_data_type(self.data_type.clone()))]);
        };
        let kept = |row: usize| filter.is_valid(row) && filter.value(row);
        let states: PrimitiveArray<T> = (0..values.len())
            .map(|row| (values.is_valid(row) && kept(row)).then(|| values.value(row)))
            .collect();
        Ok(vec![std::sync::Arc::new(states.with_data_type(self.data_type.clone()))])
    }

    fn size(&self) -> usize {
        self.sums.capacity() * size_of::<T::Native>() + self.seen.capacity()
    }
}

//! `min` and `max`, for which NaN is the greatest float wherever they are asked for; DataFusion's give one answer for all
//! rows and another one for groups. Floats are compared as integers that are in the same order. Must not know of plans.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, PrimitiveArray};
use datafusion::arrow::datatypes::{
    DataType, Field, FieldRef, Float32Type, Float64Type, Int32Type, Int64Type, Schema,
};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::functions_aggregate::min_max::{max_udaf, min_udaf};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, ReversedUDAF, SetMonotonicity,
    Signature, StatisticsArgs,
};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use std::sync::{Arc, LazyLock};

static MIN: LazyLock<Arc<AggregateUDF>> = LazyLock::new(min_udaf);
static MAX: LazyLock<Arc<AggregateUDF>> = LazyLock::new(max_udaf);

/// `min` or `max`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) enum Extreme {
    Min,
    Max,
}

impl Extreme {
    /// DataFusion's, for integers.
    fn inner(&self) -> &'static AggregateUDF {
        match self {
            Extreme::Min => &MIN,
            Extreme::Max => &MAX,
        }
    }
}

/// The type of integers that stand for floats of a type.
fn code_type(data_type: &DataType) -> Option<DataType> {
    match data_type {
        DataType::Float32 => Some(DataType::Int32),
        DataType::Float64 => Some(DataType::Int64),
        _ => None,
    }
}

/// An integer for each float, in the same order; all NaN are one, and so are both zeros.
fn code64(x: f64) -> i64 {
    let bits = if x.is_nan() { f64::NAN.abs().to_bits() } else { (x + 0.0).to_bits() } as i64;
    bits ^ (((bits >> 63) as u64) >> 1) as i64
}

fn code32(x: f32) -> i32 {
    let bits = if x.is_nan() { f32::NAN.abs().to_bits() } else { (x + 0.0).to_bits() } as i32;
    bits ^ (((bits >> 31) as u32) >> 1) as i32
}

fn float64(code: i64) -> f64 {
    f64::from_bits((code ^ (((code >> 63) as u64) >> 1) as i64) as u64)
}

fn float32(code: i32) -> f32 {
    f32::from_bits((code ^ (((code >> 31) as u32) >> 1) as i32) as u32)
}

fn codes(floats: &ArrayRef) -> ArrayRef {
    match floats.data_type() {
        DataType::Float32 => {
            let codes: PrimitiveArray<Int32Type> = floats.as_primitive::<Float32Type>().unary(code32);
            Arc::new(codes)
        }
        DataType::Float64 => {
            let codes: PrimitiveArray<Int64Type> = floats.as_primitive::<Float64Type>().unary(code64);
            Arc::new(codes)
        }
        _ => floats.clone(),
    }
}

fn floats(codes: &ArrayRef) -> ArrayRef {
    match codes.data_type() {
        DataType::Int32 => {
            let floats: PrimitiveArray<Float32Type> = codes.as_primitive::<Int32Type>().unary(float32);
            Arc::new(floats)
        }
        DataType::Int64 => {
            let floats: PrimitiveArray<Float64Type> = codes.as_primitive::<Int64Type>().unary(float64);
            Arc::new(floats)
        }
        _ => codes.clone(),
    }
}

fn float(code: ScalarValue) -> ScalarValue {
    match code {
        ScalarValue::Int32(code) => ScalarValue::Float32(code.map(float32)),
        ScalarValue::Int64(code) => ScalarValue::Float64(code.map(float64)),
        other => other,
    }
}

/// Makes an accumulator of codes.
fn of_codes<A>(
    args: &AccumulatorArgs<'_>,
    codes: DataType,
    make: impl Fn(AccumulatorArgs<'_>) -> Result<A>,
) -> Result<A> {
    let field: FieldRef = Arc::new(Field::new("code", codes, true));
    let schema = Schema::new(vec![field.clone()]);
    let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new("code", 0));
    make(AccumulatorArgs {
        return_field: field.clone(),
        schema: &schema,
        ignore_nulls: args.ignore_nulls,
        order_bys: &[],
        is_reversed: args.is_reversed,
        name: args.name,
        is_distinct: args.is_distinct,
        exprs: &[column],
        expr_fields: &[field],
    })
}

impl AggregateUDFImpl for Extreme {
    fn name(&self) -> &str {
        self.inner().name()
    }

    fn signature(&self) -> &Signature {
        self.inner().signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.inner().inner().return_type(arg_types)
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner().inner().coerce_types(arg_types)
    }

    fn return_field(&self, arg_fields: &[FieldRef]) -> Result<FieldRef> {
        self.inner().inner().return_field(arg_fields)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.inner().state_fields(args)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        match code_type(args.return_field.data_type()) {
            Some(codes) => Ok(Box::new(One(of_codes(&args, codes, |args| self.inner().accumulator(args))?))),
            None => self.inner().accumulator(args),
        }
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        code_type(args.return_field.data_type()).is_some() || self.inner().groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        match code_type(args.return_field.data_type()) {
            Some(codes) => {
                let inner = of_codes(&args, codes, |args| self.inner().create_groups_accumulator(args))?;
                Ok(Box::new(Many(inner)))
            }
            None => self.inner().create_groups_accumulator(args),
        }
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        match code_type(args.return_field.data_type()) {
            Some(codes) => {
                let inner = of_codes(&args, codes, |args| self.inner().create_sliding_accumulator(args))?;
                Ok(Box::new(One(inner)))
            }
            None => self.inner().create_sliding_accumulator(args),
        }
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn is_descending(&self) -> Option<bool> {
        self.inner().is_descending()
    }

    /// Files' statistics leave NaN out.
    fn value_from_stats(&self, args: &StatisticsArgs) -> Option<ScalarValue> {
        match code_type(args.return_type) {
            Some(_) => None,
            None => self.inner().value_from_stats(args),
        }
    }

    fn set_monotonicity(&self, data_type: &DataType) -> SetMonotonicity {
        self.inner().inner().set_monotonicity(data_type)
    }
}

/// An accumulator of codes, told and asked in floats.
#[derive(Debug)]
struct One(Box<dyn Accumulator>);

impl Accumulator for One {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0.update_batch(&[codes(&values[0])])
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0.retract_batch(&[codes(&values[0])])
    }

    fn supports_retract_batch(&self) -> bool {
        self.0.supports_retract_batch()
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.0.evaluate().map(float)
    }

    fn size(&self) -> usize {
        self.0.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(self.0.state()?.into_iter().map(float).collect())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }
}

/// The same for groups.
struct Many(Box<dyn GroupsAccumulator>);

impl GroupsAccumulator for Many {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        n_groups: usize,
    ) -> Result<()> {
        self.0.update_batch(&[codes(&values[0])], groups, filter, n_groups)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        Ok(floats(&self.0.evaluate(emit_to)?))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(self.0.state(emit_to)?.iter().map(floats).collect())
    }

    fn merge_batch(&mut self, values: &[ArrayRef], groups: &[usize], n_groups: usize) -> Result<()> {
        self.0.merge_batch(&[codes(&values[0])], groups, n_groups)
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        Ok(self.0.convert_to_state(&[codes(&values[0])], filter)?.iter().map(floats).collect())
    }

    fn size(&self) -> usize {
        self.0.size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_in_the_order_of_floats_and_stand_for_them() {
        let floats = [f64::NEG_INFINITY, -1.5, -1e-310, 0.0, 1e-310, 2.0, f64::MAX, f64::INFINITY];
        assert!(floats.map(code64).is_sorted());
        assert_eq!(floats.map(code64).map(float64), floats);
        assert_eq!(code64(-0.0), code64(0.0));
        assert!([f64::NAN, -f64::NAN].iter().all(|nan| code64(*nan) > code64(f64::INFINITY)));
        assert_eq!(code64(f64::NAN), code64(-f64::NAN));
        assert!(float64(code64(-f64::NAN)).is_nan());
        let floats = [f32::NEG_INFINITY, -1.5, 0.0, 2.0, f32::MAX, f32::INFINITY];
        assert!(floats.map(code32).is_sorted());
        assert_eq!(floats.map(code32).map(float32), floats);
        assert!(code32(-f32::NAN) > code32(f32::INFINITY));
    }
}

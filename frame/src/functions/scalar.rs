//! Functions of a row. Must not know of plans.

use crate::digest::mixed;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use datafusion::arrow::compute::{cast, try_binary};
use datafusion::arrow::datatypes::{DataType, Float32Type, Float64Type, Int64Type, UInt64Type};
use datafusion::arrow::error::ArrowError;
use datafusion::common::{exec_datafusion_err, exec_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use std::sync::Arc;

/// The arguments as arrays of a type.
fn arrays(args: &ScalarFunctionArgs, data_type: &DataType) -> Result<Vec<ArrayRef>> {
    let arrays = ColumnarValue::values_to_arrays(&args.args)?;
    arrays.iter().map(|array| Ok(cast(array, data_type)?)).collect()
}

/// `floor_div(a, b)`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct FloorDiv(Signature);

impl FloorDiv {
    pub(super) fn new() -> FloorDiv {
        FloorDiv(Signature::any(2, Volatility::Immutable))
    }
}

impl ScalarUDFImpl for FloorDiv {
    fn name(&self) -> &str {
        "floor_div"
    }

    fn signature(&self) -> &Signature {
        &self.0
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        if let Some(other) = types.iter().find(|t| !t.is_numeric() && !matches!(t, DataType::Null)) {
            return plan_err!("floor_div is of numbers, not of {other}");
        }
        let whole = |t: &DataType| t.is_integer() || matches!(t, DataType::Null);
        Ok(match types.iter().all(whole) {
            true if types.iter().all(DataType::is_unsigned_integer) => DataType::UInt64,
            true => DataType::Int64,
            false => DataType::Float64,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let by_zero = || ArrowError::DivideByZero;
        let overflow = || ArrowError::ArithmeticOverflow("overflow in floor_div".to_owned());
        let of = arrays(&args, args.return_field.data_type())?;
        let quotients: ArrayRef = match args.return_field.data_type() {
            DataType::Int64 => {
                let (a, b) = (of[0].as_primitive::<Int64Type>(), of[1].as_primitive::<Int64Type>());
                let floor = |a: i64, b: i64| {
                    let quotient =
                        a.checked_div(b).ok_or_else(|| if b == 0 { by_zero() } else { overflow() })?;
                    Ok(quotient - i64::from(a % b != 0 && (a < 0) != (b < 0)))
                };
                let quotients: PrimitiveArray<Int64Type> = try_binary(a, b, floor)?;
                Arc::new(quotients)
            }
            DataType::UInt64 => {
                let (a, b) = (of[0].as_primitive::<UInt64Type>(), of[1].as_primitive::<UInt64Type>());
                let floor = |a: u64, b: u64| a.checked_div(b).ok_or_else(by_zero);
                let quotients: PrimitiveArray<UInt64Type> = try_binary(a, b, floor)?;
                Arc::new(quotients)
            }
            _ => {
                let (a, b) = (of[0].as_primitive::<Float64Type>(), of[1].as_primitive::<Float64Type>());
                let quotients: PrimitiveArray<Float64Type> = try_binary(a, b, |a, b| Ok((a / b).floor()))?;
                Arc::new(quotients)
            }
        };
        Ok(ColumnarValue::Array(quotients))
    }
}

/// `in_order(x)`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Ordered(Signature);

impl Ordered {
    pub(super) fn new() -> Ordered {
        Ordered(Signature::any(1, Volatility::Immutable))
    }
}

impl ScalarUDFImpl for Ordered {
    fn name(&self) -> &str {
        "in_order"
    }

    fn signature(&self) -> &Signature {
        &self.0
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [t @ (DataType::Float32 | DataType::Float64)] => Ok(t.clone()),
            other => plan_err!("in_order is of floats, not of {other:?}"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let floats = ColumnarValue::values_to_arrays(&args.args)?;
        let floats = floats.first().ok_or_else(|| exec_datafusion_err!("in_order of nothing"))?;
        let one_nan = |x: f64| if x.is_nan() { f64::NAN.abs() } else { x + 0.0 };
        let ordered: ArrayRef = match floats.data_type() {
            DataType::Float32 => {
                let one_nan = |x: f32| if x.is_nan() { f32::NAN.abs() } else { x + 0.0 };
                let ordered: PrimitiveArray<Float32Type> =
                    floats.as_primitive::<Float32Type>().unary(one_nan);
                Arc::new(ordered)
            }
            DataType::Float64 => {
                let ordered: PrimitiveArray<Float64Type> =
                    floats.as_primitive::<Float64Type>().unary(one_nan);
                Arc::new(ordered)
            }
            other => return exec_err!("in_order of {other}"),
        };
        Ok(ColumnarValue::Array(ordered))
    }
}

/// `drawn(place, seed)`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Drawn(Signature);

impl Drawn {
    pub(super) fn new() -> Drawn {
        Drawn(Signature::exact(vec![DataType::UInt64, DataType::UInt64], Volatility::Immutable))
    }
}

impl ScalarUDFImpl for Drawn {
    fn name(&self) -> &str {
        "drawn"
    }

    fn signature(&self) -> &Signature {
        &self.0
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let of = arrays(&args, &DataType::UInt64)?;
        let (places, seeds) = (of[0].as_primitive::<UInt64Type>(), of[1].as_primitive::<UInt64Type>());
        // The upper 53 bits, as a share of one.
        let share = |place: u64, seed: u64| (mixed(mixed(seed) ^ place) >> 11) as f64 / (1_u64 << 53) as f64;
        let drawn: PrimitiveArray<Float64Type> =
            try_binary(places, seeds, |place, seed| Ok(share(place, seed)))?;
        Ok(ColumnarValue::Array(Arc::new(drawn)))
    }
}

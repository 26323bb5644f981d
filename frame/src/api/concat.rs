//! Tables one below another. Must not know of joins.

use super::Result;
use super::expr::{Expr, col, null};
use super::frame::DataFrame;
use crate::error::FrameError;
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::logical_expr::{LogicalPlan, Union};
use std::sync::Arc;

/// The rows of these tables one after another. They have the same columns, in any order; types are widened.
///
/// # Errors
/// [`FrameError::Column`] if one has no column that another one has, [`FrameError::Types`] if its types do not go
/// together, [`FrameError::Argument`] if there is no table.
///
/// ```
/// # use tilework_frame as tilework;
/// # use tilework::doc::prelude::*;
/// let a = from_columns([("x", values([1, 2]))])?;
/// let b = from_columns([("x", values([0.5]))])?;
/// assert_eq!(concat(&[a, b])?.to_vec::<f64>("x")?, [1.0, 2.0, 0.5]);
/// # Ok::<(), FrameError>(())
/// ```
pub fn concat(frames: &[DataFrame]) -> Result<DataFrame> {
    for frame in frames {
        for other in frames {
            frame.named(other.columns())?;
        }
    }
    concat_diagonal(frames)
}

/// The rows of these tables one after another, with the columns of all; what a table does not have is missing in its
/// rows. Types are widened.
///
/// # Errors
/// [`FrameError::Types`] if types of a column do not go together, [`FrameError::Argument`] if there is no table.
///
/// ```
/// # use tilework_frame as tilework;
/// # use tilework::doc::prelude::*;
/// let a = from_columns([("x", values([1]))])?;
/// let b = from_columns([("y", values(["b"]))])?;
/// let both = concat_diagonal(&[a, b])?;
/// assert_eq!(both.rows::<(Option<i64>, Option<String>)>()?[1], (None, Some("b".to_owned())));
/// # Ok::<(), FrameError>(())
/// ```
pub fn concat_diagonal(frames: &[DataFrame]) -> Result<DataFrame> {
    let first = frames.first().ok_or_else(|| FrameError::argument("frames", "there is none"))?;
    let mut columns: Vec<(String, DataType)> = Vec::new();
    for frame in frames {
        for field in frame.schema().fields() {
            match columns.iter_mut().find(|(name, _)| name == field.name()) {
                Some((name, known)) => {
                    *known = widened(known, field.data_type()).ok_or_else(|| FrameError::Types {
                        what: format!("column {name:?} of tables one below another"),
                        left: known.to_string(),
                        right: field.data_type().to_string(),
                    })?;
                }
                None => columns.push((field.name().clone(), field.data_type().clone())),
            }
        }
    }
    let of = |frame: &DataFrame| -> Result<Arc<LogicalPlan>> {
        let schema = frame.schema();
        let column = |(name, wide): &(String, DataType)| -> Expr {
            match schema.field_with_name(name) {
                Ok(field) if field.data_type() == wide => col(name),
                Ok(_) => col(name).cast(wide.clone()),
                Err(_) => null().cast(wide.clone()).alias(name),
            }
        };
        Ok(frame.select(columns.iter().map(column))?.plan)
    };
    let inputs = frames.iter().map(of).collect::<Result<Vec<_>>>()?;
    if let [one] = inputs.as_slice() {
        return DataFrame::new(first.on.clone(), one.as_ref().clone());
    }
    DataFrame::new(first.on.clone(), LogicalPlan::Union(Union::try_new(inputs)?))
}

/// The narrowest type that holds what both hold: of numbers, of times, of texts; none for others that differ.
pub(crate) fn widened(a: &DataType, b: &DataType) -> Option<DataType> {
    use DataType::{Date32, Date64, Float32, Float64, Null, Timestamp, Utf8View};
    let whole = |t: &DataType| t.is_integer();
    let bits = |t: &DataType| t.primitive_width().unwrap_or(0) * 8;
    let date = |t: &DataType| matches!(t, Date32 | Date64);
    match (a, b) {
        (a, b) if a == b => Some(a.clone()),
        (Null, other) | (other, Null) => Some(other.clone()),
        (a, b) if whole(a) && whole(b) => {
            let unsigned = |t: &DataType| t.is_unsigned_integer();
            let wide = bits(a).max(bits(b));
            Some(match (unsigned(a), unsigned(b)) {
                (true, true) | (false, false) => {
                    if bits(a) == wide {
                        a.clone()
                    } else {
                        b.clone()
                    }
                }
                // The signed one must hold what the unsigned one holds.
                (a_unsigned, _) => {
                    let (of_unsigned, of_signed) =
                        if a_unsigned { (bits(a), bits(b)) } else { (bits(b), bits(a)) };
                    match of_signed.max(of_unsigned * 2) {
                        ..=16 => DataType::Int16,
                        17..=32 => DataType::Int32,
                        33..=64 => DataType::Int64,
                        _ => Float64,
                    }
                }
            })
        }
        (a, b) if a.is_numeric() && b.is_numeric() && !a.is_decimal() && !b.is_decimal() => {
            let small =
                |t: &DataType| matches!(t, Float32 | DataType::Float16) || (whole(t) && bits(t) <= 16);
            Some(if small(a) && small(b) { Float32 } else { Float64 })
        }
        (a, b) if a.is_numeric() && b.is_numeric() => {
            datafusion::logical_expr::binary::comparison_coercion(a, b)
        }
        (a, b) if a.is_string() && b.is_string() => Some(Utf8View),
        (Timestamp(unit_a, zone_a), Timestamp(unit_b, zone_b)) if zone_a == zone_b => {
            let finer = |unit: &TimeUnit| match unit {
                TimeUnit::Second => 0,
                TimeUnit::Millisecond => 1,
                TimeUnit::Microsecond => 2,
                TimeUnit::Nanosecond => 3,
            };
            let unit = if finer(unit_a) >= finer(unit_b) { unit_a } else { unit_b };
            Some(Timestamp(*unit, zone_a.clone()))
        }
        (time @ Timestamp(_, _), other) | (other, time @ Timestamp(_, _)) if date(other) => {
            Some(time.clone())
        }
        (a, b) if date(a) && date(b) => Some(Date64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_widened_alike_from_both_sides() {
        use DataType::*;
        let us = |zone: Option<&str>| Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
        let cases = [
            (Int32, Int64, Some(Int64)),
            (UInt8, Int8, Some(Int16)),
            (UInt32, Int32, Some(Int64)),
            (UInt64, Int64, Some(Float64)),
            (Int32, Float64, Some(Float64)),
            (Int8, Float32, Some(Float32)),
            (Int32, Float32, Some(Float64)),
            (Utf8, Utf8View, Some(Utf8View)),
            (Null, Utf8, Some(Utf8)),
            (Date32, us(None), Some(us(None))),
            (us(None), Timestamp(TimeUnit::Nanosecond, None), Some(Timestamp(TimeUnit::Nanosecond, None))),
            (us(None), us(Some("UTC")), Option::None),
            (Int64, Utf8, Option::None),
            (Boolean, Int64, Option::None),
        ];
        for (a, b, wide) in cases {
            assert_eq!(widened(&a, &b), wide, "{a} {b}");
            assert_eq!(widened(&b, &a), wide, "{b} {a}");
        }
    }
}

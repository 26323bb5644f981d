//! Times that are written as text. Must not know where the text is from.

use chrono::format::{Parsed, StrftimeItems};
use chrono::{NaiveDate, NaiveDateTime};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, TimestampMicrosecondArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{ScalarValue, exec_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use std::sync::Arc;

/// Formats of times that are tried in this order.
const TIMES: [&str; 6] = [
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.fZ",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M",
    "%Y/%m/%d %H:%M:%S%.f",
];
/// Formats of dates that are tried then.
const DATES: [&str; 3] = ["%Y-%m-%d", "%Y/%m/%d", "%Y%m%d"];

/// The microseconds since 1970 that a text says, in this format or in one of those of ISO 8601.
pub(crate) fn parsed(text: &str, format: Option<&str>) -> Option<i64> {
    let text = text.trim();
    let time = |format: &str| NaiveDateTime::parse_from_str(text, format).ok();
    let date = |format: &str| NaiveDate::parse_from_str(text, format).ok()?.and_hms_opt(0, 0, 0);
    let found = match format {
        Some(format) => in_format(text, format),
        None => TIMES.iter().find_map(|f| time(f)).or_else(|| DATES.iter().find_map(|f| date(f))),
    };
    // What nanoseconds cannot hold is refused, so that no later step can fail on it or wrap.
    let nanoseconds = found?.and_utc().timestamp_nanos_opt()?;
    Some(nanoseconds.div_euclid(1000))
}

/// The time that a text says in a format; without minutes it is the hour's first, without an hour the day's.
fn in_format(text: &str, format: &str) -> Option<NaiveDateTime> {
    let mut parsed = Parsed::new();
    chrono::format::parse(&mut parsed, text, StrftimeItems::new(format)).ok()?;
    let has_time = parsed.hour_div_12().is_some() || parsed.timestamp().is_some();
    if parsed.hour_div_12().is_some() && parsed.minute().is_none() {
        parsed.set_minute(0).ok()?;
    }
    if has_time {
        return parsed.to_naive_datetime_with_offset(parsed.offset().unwrap_or(0)).ok();
    }
    parsed.to_naive_date().ok()?.and_hms_opt(0, 0, 0)
}

/// `to_datetime(text, format, strict)`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct ToDatetime(Signature);

impl ToDatetime {
    pub(super) fn new() -> ToDatetime {
        ToDatetime(Signature::any(3, Volatility::Immutable))
    }
}

impl ScalarUDFImpl for ToDatetime {
    fn name(&self) -> &str {
        "to_datetime"
    }

    fn signature(&self) -> &Signature {
        &self.0
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let text = |t: &DataType| t.is_string() || t.is_null();
        match types {
            [texts, format, DataType::Boolean] if text(texts) && text(format) => {
                Ok(DataType::Timestamp(TimeUnit::Microsecond, None))
            }
            other => {
                plan_err!("to_datetime is of a text, a format and whether it is strict, not of {other:?}")
            }
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (ColumnarValue::Scalar(format), ColumnarValue::Scalar(ScalarValue::Boolean(strict))) =
            (&args.args[1], &args.args[2])
        else {
            return exec_err!("to_datetime has one format for all rows");
        };
        let strict = strict.unwrap_or(true);
        let format = format.try_as_str().flatten().filter(|format| !format.is_empty());
        let texts = args.args[0].to_array(args.number_rows)?;
        let texts = cast(&texts, &DataType::Utf8)?;
        let texts = texts.as_string::<i32>();
        let mut times = Vec::with_capacity(texts.len());
        for text in texts {
            let time = text.and_then(|text| parsed(text, format));
            if let (Some(text), None, true) = (text, time, strict) {
                let as_what = format.unwrap_or("a time between 1677 and 2262");
                return exec_err!("{text:?} cannot be read as {as_what}");
            }
            times.push(time);
        }
        let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from(times));
        Ok(ColumnarValue::Array(times))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_the_formats_of_a_fixed_list() {
        let noon = Some(1_735_646_400_000_000);
        for text in
            ["2024-12-31 12:00:00", "2024-12-31T12:00", "2024-12-31 12:00", "2024-12-31T12:00:00.000Z"]
        {
            assert_eq!(parsed(text, None), noon, "{text}");
        }
        assert_eq!(parsed("31/12/2024 12", Some("%d/%m/%Y %H")), noon);
        assert_eq!(parsed("31/12/2024", Some("%d/%m/%Y")), parsed("2024-12-31", None));
        assert_eq!(parsed("31/12/2024 12:00", Some("%d/%m/%Y %H:%M")), noon);
        assert_eq!(parsed("20241231", None), parsed("2024-12-31", None));
        for wrong in ["", "31/12/2024", "2023-02-29", "1600-01-01", "2300-01-01", "2024-12-31 25:00"] {
            assert_eq!(parsed(wrong, None), None, "{wrong}");
        }
    }
}

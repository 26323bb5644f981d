//! Instants and spans of time as NumPy stores them: whole numbers of 64 bits and what one of them is.
//!
//! Owns the names of NumPy's types `datetime64` and `timedelta64`. Must not know calendars, nor where the elements are.

use crate::elements::ByteOrder;
use serde_json::{Value, json};
use std::fmt;

/// Whether elements are instants or spans.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TimeKind {
    /// `datetime64`: an instant, counted from the beginning of 1970.
    Instant,
    /// `timedelta64`: the length of a span.
    Span,
}

/// What a step of time is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TimeUnit {
    /// Not said.
    Generic,
    /// A year.
    Year,
    /// A month.
    Month,
    /// A week.
    Week,
    /// A day.
    Day,
    /// An hour.
    Hour,
    /// A minute.
    Minute,
    /// A second.
    Second,
    /// A thousandth of a second.
    Millisecond,
    /// A millionth of a second.
    Microsecond,
    /// 10^-9 seconds.
    Nanosecond,
    /// 10^-12 seconds.
    Picosecond,
    /// 10^-15 seconds.
    Femtosecond,
    /// 10^-18 seconds.
    Attosecond,
}

const UNITS: [(TimeUnit, &str); 14] = [
    (TimeUnit::Generic, "generic"),
    (TimeUnit::Year, "Y"),
    (TimeUnit::Month, "M"),
    (TimeUnit::Week, "W"),
    (TimeUnit::Day, "D"),
    (TimeUnit::Hour, "h"),
    (TimeUnit::Minute, "m"),
    (TimeUnit::Second, "s"),
    (TimeUnit::Millisecond, "ms"),
    (TimeUnit::Microsecond, "us"),
    (TimeUnit::Nanosecond, "ns"),
    (TimeUnit::Picosecond, "ps"),
    (TimeUnit::Femtosecond, "fs"),
    (TimeUnit::Attosecond, "as"),
];

impl TimeUnit {
    /// NumPy's name: `s`, `ns`, `D`.
    #[must_use]
    pub fn name(self) -> &'static str {
        UNITS.iter().find(|(unit, _)| *unit == self).map_or("generic", |(_, name)| name)
    }

    fn of_name(name: &str) -> Option<TimeUnit> {
        let name = if name == "μs" { "us" } else { name };
        UNITS.iter().find(|(_, known)| *known == name).map(|(unit, _)| *unit)
    }
}

/// What the `i64` elements of an array mean where they are times. An element of `i64::MIN` is none, NumPy's `NaT`.
///
/// Shown as NumPy shows it: `datetime64[ns]`, `timedelta64[25us]`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TimeType {
    /// Instants or spans.
    pub kind: TimeKind,
    /// The unit.
    pub unit: TimeUnit,
    /// How many units 1 stands for: at least 1, and 1 nearly always.
    pub multiple: u32,
}

impl TimeType {
    /// Instants in this unit, from the beginning of 1970.
    #[must_use]
    pub fn instants(unit: TimeUnit) -> TimeType {
        TimeType { kind: TimeKind::Instant, unit, multiple: 1 }
    }

    /// Spans in this unit.
    #[must_use]
    pub fn spans(unit: TimeUnit) -> TimeType {
        TimeType { kind: TimeKind::Span, unit, multiple: 1 }
    }

    fn step(self) -> String {
        match (self.unit, self.multiple) {
            (TimeUnit::Generic, _) => String::new(),
            (unit, 1) => format!("[{}]", unit.name()),
            (unit, n) => format!("[{n}{}]", unit.name()),
        }
    }

    /// NumPy's type string, `<M8[ns]`, which version 2 of Zarr has.
    pub(crate) fn numpy_name(self) -> String {
        let letter = if self.kind == TimeKind::Instant { 'M' } else { 'm' };
        format!("<{letter}8{}", self.step())
    }

    /// The type and byte order that a type string of NumPy's says.
    pub(crate) fn of_numpy_name(name: &str) -> Option<(TimeType, ByteOrder)> {
        let (order, rest) = match name.as_bytes().first()? {
            b'>' => (ByteOrder::Big, &name[1..]),
            b'<' | b'=' | b'|' => (ByteOrder::Little, &name[1..]),
            _ => (ByteOrder::Little, name),
        };
        let kinds = [
            ("M8", TimeKind::Instant),
            ("datetime64", TimeKind::Instant),
            ("m8", TimeKind::Span),
            ("timedelta64", TimeKind::Span),
        ];
        let (kind, step) = kinds.iter().find_map(|(word, kind)| Some((*kind, rest.strip_prefix(word)?)))?;
        if step.is_empty() {
            return Some((TimeType { kind, unit: TimeUnit::Generic, multiple: 1 }, order));
        }
        let step = step.strip_prefix('[')?.strip_suffix(']')?;
        let digits = step.len() - step.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let multiple = if digits == 0 { 1 } else { step[..digits].parse().ok().filter(|n| *n > 0)? };
        Some((TimeType { kind, unit: TimeUnit::of_name(&step[digits..])?, multiple }, order))
    }

    /// The data type of version 3 of Zarr, an extension that zarr-python has.
    pub(crate) fn v3_type(self) -> Value {
        let name = if self.kind == TimeKind::Instant { "numpy.datetime64" } else { "numpy.timedelta64" };
        json!({"name": name, "configuration": {"unit": self.unit.name(), "scale_factor": self.multiple}})
    }

    /// The type that a data type of version 3 says.
    pub(crate) fn of_v3_type(data_type: &Value) -> Option<TimeType> {
        let kind = match data_type["name"].as_str()? {
            "numpy.datetime64" => TimeKind::Instant,
            "numpy.timedelta64" => TimeKind::Span,
            _ => return None,
        };
        let configuration = &data_type["configuration"];
        let unit = TimeUnit::of_name(configuration["unit"].as_str()?)?;
        let multiple = match &configuration["scale_factor"] {
            Value::Null => 1,
            n => u32::try_from(n.as_u64()?).ok().filter(|n| *n > 0)?,
        };
        Some(TimeType { kind, unit, multiple })
    }
}

impl fmt::Display for TimeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.kind == TimeKind::Instant { "datetime64" } else { "timedelta64" };
        write!(f, "{word}{}", self.step())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_time_are_numpys() {
        for (name, expected) in [
            ("<M8[ns]", Some("datetime64[ns]")),
            (">m8[25us]", Some("timedelta64[25us]")),
            ("M8[D]", Some("datetime64[D]")),
            ("<m8[m]", Some("timedelta64[m]")),
            ("<M8", Some("datetime64")),
            ("datetime64[M]", Some("datetime64[M]")),
            ("<M8[", None),
            ("<M8[0s]", None),
            ("<M8[s", None),
            ("<M8[99999999999s]", None),
            ("<M4[s]", None),
            ("<M8[x]", None),
            ("<i8", None),
            ("", None),
        ] {
            let got = TimeType::of_numpy_name(name);
            assert_eq!(got.map(|(time, _)| time.to_string()).as_deref(), expected, "{name}");
            if let Some((time, order)) = got {
                assert_eq!(order == ByteOrder::Big, name.starts_with('>'));
                assert_eq!(TimeType::of_numpy_name(&time.numpy_name()), Some((time, ByteOrder::Little)));
                assert_eq!(TimeType::of_v3_type(&time.v3_type()), Some(time));
            }
        }
        let bad = json!({"name": "numpy.datetime64", "configuration": {"unit": "s", "scale_factor": -1}});
        assert_eq!(TimeType::of_v3_type(&bad), None);
    }
}

//! Packed elements, by the conventions of CF that xarray follows: what is stored is a number of steps from an offset,
//! and some values say that there is none.
//!
//! Owns what the attributes mean. Must not compute: who reads the elements does.

use crate::FormatError;
use serde_json::{Map, Value};
use tilework_expr::{Complex, DType, Element, Scalar};

/// The names of the attributes that have a meaning here.
const SCALE: &str = "scale_factor";
const OFFSET: &str = "add_offset";
const MISSING: [&str; 2] = ["_FillValue", "missing_value"];
const UNSIGNED: &str = "_Unsigned";

/// What is to be done with the elements that are stored: read them as `dtype`; those that are `missing` are none; the
/// others are to be multiplied by `scale`, and `offset` is to be added.
#[derive(Clone, PartialEq, Debug)]
pub struct Packing {
    /// The type in which the bits are to be read: the stored one, or the unsigned or signed one of its size.
    pub dtype: DType,
    /// The factor.
    pub scale: Option<f64>,
    /// The offset.
    pub offset: Option<f64>,
    /// Values, of `dtype`, that say that there is none. NaN is not among them: it says so itself.
    pub missing: Vec<Scalar>,
}

impl Packing {
    /// What the attributes of the array `path` say of elements of type `dtype`. `fill` is the element that was never
    /// written where that means that there is none, as in version 2 of Zarr.
    pub(crate) fn of(
        path: &str,
        dtype: DType,
        attributes: &Map<String, Value>,
        fill: Option<Scalar>,
    ) -> Result<Packing, FormatError> {
        let wrong = |name: &str, got: &Value, expected: String| FormatError::Attribute {
            path: path.to_owned(),
            name: name.to_owned(),
            got: got.to_string(),
            expected,
        };
        let factor = |name: &str| -> Result<Option<f64>, FormatError> {
            let Some(value) = attributes.get(name) else { return Ok(None) };
            let number = only(value).as_f64().filter(|n| n.is_finite());
            match number {
                Some(0.0) if name == SCALE => Err(wrong(name, value, "a number other than 0".into())),
                Some(number) => Ok(Some(number)),
                None => Err(wrong(name, value, "a number".into())),
            }
        };
        let (scale, offset) = (factor(SCALE)?, factor(OFFSET)?);
        if dtype.is_complex() && (scale.is_some() || offset.is_some()) {
            let name = if scale.is_some() { SCALE } else { OFFSET };
            return Err(wrong(name, &attributes[name], "none of complex elements".into()));
        }
        let read_as = match attributes.get(UNSIGNED) {
            None => dtype,
            Some(value) => match (only(value), dtype.is_int()) {
                (Value::Bool(b), true) => signedness(dtype, *b),
                (Value::String(s), true) if s.eq_ignore_ascii_case("true") => signedness(dtype, true),
                (Value::String(s), true) if s.eq_ignore_ascii_case("false") => signedness(dtype, false),
                (_, true) => return Err(wrong(UNSIGNED, value, "\"true\" or \"false\"".into())),
                // It says nothing of other elements.
                _ => dtype,
            },
        };
        let mut missing: Vec<Scalar> = fill.into_iter().filter(|s| !is_nan(*s)).collect();
        for name in MISSING {
            let values = attributes.get(name).map_or(&[][..], |value| match value {
                Value::Array(values) if !dtype.is_complex() => values.as_slice(),
                one => std::slice::from_ref(one),
            });
            for value in values {
                let scalar = scalar(value, dtype)
                    // What is stored as signed may have its unsigned value there.
                    .or_else(|| scalar(value, read_as))
                    .ok_or_else(|| wrong(name, value, format!("a value of {dtype}")))?;
                if !is_nan(scalar) && !missing.contains(&scalar) {
                    missing.push(scalar);
                }
            }
        }
        let mut as_read: Vec<Scalar> = Vec::new();
        for scalar in missing {
            let scalar = Scalar::from_bits(read_as, scalar.bits());
            if !as_read.contains(&scalar) {
                as_read.push(scalar);
            }
        }
        Ok(Packing { dtype: read_as, scale, offset, missing: as_read })
    }

    /// Whether the elements are as they are stored.
    #[must_use]
    pub fn is_nothing(&self, stored: DType) -> bool {
        self.dtype == stored && self.missing.is_empty() && self.scale.is_none() && self.offset.is_none()
    }
}

/// What attributes say is still to be done with elements, in words for a warning; `None` where that is nothing.
pub(crate) fn said(attributes: &Map<String, Value>, dtype: DType) -> Option<String> {
    let mut said = Vec::new();
    for (name, neutral) in [(SCALE, 1.0), (OFFSET, 0.0)] {
        if let Some(value) = attributes.get(name).filter(|v| only(v).as_f64() != Some(neutral)) {
            said.push(format!("{name} = {value}"));
        }
    }
    for name in MISSING {
        // A fill value of NaN marks what is NaN anyway.
        let nan =
            |v: &Value| scalar(v, dtype).is_some_and(is_nan) || matches!(v.as_str(), Some("NaN" | "nan"));
        if let Some(value) = attributes.get(name).filter(|v| !nan(v)) {
            said.push(format!("{name} = {value}"));
        }
    }
    if let Some(value) = attributes.get(UNSIGNED) {
        let says = only(value).as_bool().or_else(|| only(value).as_str()?.to_lowercase().parse().ok());
        if dtype.is_int() && says.is_some_and(|unsigned| signedness(dtype, unsigned) != dtype) {
            said.push(format!("{UNSIGNED} = {value}"));
        }
    }
    (!said.is_empty()).then(|| said.join(", "))
}

/// The value of a list of one, which is how some writers store numbers.
fn only(value: &Value) -> &Value {
    match value {
        Value::Array(values) if values.len() == 1 => &values[0],
        other => other,
    }
}

/// The integer of the same size with a sign or without.
fn signedness(dtype: DType, unsigned: bool) -> DType {
    match (dtype, unsigned) {
        (DType::I8, true) => DType::U8,
        (DType::I16, true) => DType::U16,
        (DType::I32, true) => DType::U32,
        (DType::I64, true) => DType::U64,
        (DType::U8, false) => DType::I8,
        (DType::U16, false) => DType::I16,
        (DType::U32, false) => DType::I32,
        (DType::U64, false) => DType::I64,
        (other, _) => other,
    }
}

pub(crate) fn is_nan(scalar: Scalar) -> bool {
    match scalar.dtype() {
        DType::F32 | DType::F64 => scalar.as_f64().is_nan(),
        DType::C32 => scalar.get::<Complex<f32>>().is_some_and(|c| c.re.is_nan() || c.im.is_nan()),
        DType::C64 => scalar.get::<Complex<f64>>().is_some_and(|c| c.re.is_nan() || c.im.is_nan()),
        _ => false,
    }
}

/// A value of a document as an element of this type: `None` where there is no such element. Floats may be the words
/// of what is no number, and eight bytes in base 64, as xarray writes them into version 3.
pub(crate) fn scalar(value: &Value, dtype: DType) -> Option<Scalar> {
    let whole = |value: &Value| -> Option<i128> {
        match value {
            Value::Number(n) => {
                n.as_i64().map(i128::from).or_else(|| n.as_u64().map(i128::from)).or_else(|| {
                    n.as_f64().filter(|f| f.fract() == 0.0 && f.abs() < 2f64.powi(64)).map(|f| f as i128)
                })
            }
            Value::Bool(b) => Some(i128::from(*b)),
            _ => None,
        }
    };
    match dtype {
        DType::Bool => match value {
            Value::Bool(b) => Some(Scalar::new(*b)),
            other => whole(other).filter(|n| (0..=1).contains(n)).map(|n| Scalar::new(n == 1)),
        },
        DType::F32 => float(value).map(|f| Scalar::new(f as f32)),
        DType::F64 => float(value).map(Scalar::new),
        DType::C32 => complex(value).map(|c| Scalar::new(Complex::new(c.re as f32, c.im as f32))),
        DType::C64 => complex(value).map(Scalar::new),
        DType::I8 => int::<i8>(whole(value)?),
        DType::I16 => int::<i16>(whole(value)?),
        DType::I32 => int::<i32>(whole(value)?),
        DType::I64 => int::<i64>(whole(value)?),
        DType::U8 => int::<u8>(whole(value)?),
        DType::U16 => int::<u16>(whole(value)?),
        DType::U32 => int::<u32>(whole(value)?),
        DType::U64 => int::<u64>(whole(value)?),
    }
}

fn int<A: Element + TryFrom<i128>>(value: i128) -> Option<Scalar> {
    A::try_from(value).ok().map(Scalar::new)
}

fn float(value: &Value) -> Option<f64> {
    match value {
        Value::Number(n) => n.as_f64(),
        Value::String(text) => match text.as_str() {
            "NaN" | "nan" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            text => Some(f64::from_le_bytes(of_base64(text)?)),
        },
        _ => None,
    }
}

fn complex(value: &Value) -> Option<Complex<f64>> {
    match value {
        Value::Array(parts) => match parts.as_slice() {
            [re, im] => Some(Complex::new(float(re)?, float(im)?)),
            _ => None,
        },
        real => Some(Complex::new(float(real)?, 0.0)),
    }
}

/// The eight bytes that a text in base 64 stands for.
fn of_base64(text: &str) -> Option<[u8; 8]> {
    // Eleven characters of six bits and a sign that fills the place of the twelfth.
    let digits = text.strip_suffix('=').filter(|digits| digits.len() == 11)?;
    let mut bits: u128 = 0;
    for c in digits.bytes() {
        let digit = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u128::from(digit);
    }
    // 66 bits, of which the last two fill up.
    let bytes = ((bits >> 2) as u64).to_be_bytes();
    Some(bytes)
}

/// An element as documents have it.
pub(crate) fn json(scalar: Scalar) -> Value {
    let float = |f: f64| match f {
        f if f.is_nan() => Value::from("NaN"),
        f if f.is_infinite() => Value::from(if f > 0.0 { "Infinity" } else { "-Infinity" }),
        f => Value::from(f),
    };
    let parts = |re: f64, im: f64| Value::from(vec![float(re), float(im)]);
    match scalar.dtype() {
        DType::Bool => Value::from(scalar.bits() != 0),
        DType::F32 | DType::F64 => float(scalar.as_f64()),
        DType::C32 => {
            let c = Complex::<f32>::from_bits(scalar.bits());
            parts(f64::from(c.re), f64::from(c.im))
        }
        DType::C64 => {
            let c = Complex::<f64>::from_bits(scalar.bits());
            parts(c.re, c.im)
        }
        DType::U8 | DType::U16 | DType::U32 | DType::U64 => Value::from(u64::from_bits(scalar.bits())),
        DType::I8 => Value::from(i8::from_bits(scalar.bits())),
        DType::I16 => Value::from(i16::from_bits(scalar.bits())),
        DType::I32 => Value::from(i32::from_bits(scalar.bits())),
        DType::I64 => Value::from(i64::from_bits(scalar.bits())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn packing(dtype: DType, attributes: Value) -> Result<Packing, String> {
        Packing::of("x", dtype, attributes.as_object().unwrap(), None).map_err(|e| e.to_string())
    }

    #[test]
    fn what_attributes_say_is_understood() {
        let got =
            packing(DType::I16, json!({"scale_factor": 0.5, "add_offset": [10], "_FillValue": -9999.0}));
        let expected = Packing {
            dtype: DType::I16,
            scale: Some(0.5),
            offset: Some(10.0),
            missing: vec![Scalar::new(-9999i16)],
        };
        assert_eq!(got, Ok(expected));
        let missing = |dtype, attributes| packing(dtype, attributes).unwrap().missing;
        // A float that is stored with less precision than the attribute has.
        assert_eq!(missing(DType::F32, json!({"_FillValue": 1e20})), [Scalar::new(1e20f32)]);
        assert_eq!(missing(DType::F32, json!({"_FillValue": "AAAAgB2vFUQ="})), [Scalar::new(1e20f32)]);
        assert!(missing(DType::F64, json!({"_FillValue": "AAAAAAAA+H8="})).is_empty(), "NaN");
        assert!(missing(DType::F64, json!({"_FillValue": "NaN", "missing_value": "NaN"})).is_empty());
        let both = json!({"_FillValue": -1, "missing_value": [-1, -2]});
        assert_eq!(missing(DType::I8, both), [Scalar::new(-1i8), Scalar::new(-2i8)]);
        assert_eq!(missing(DType::C64, json!({"_FillValue": [1.0, 2.0]})).len(), 1);
        // Bits of another sign: the fill value is of the stored type, or already of the other one.
        for fill in [-1, 255] {
            let got = packing(DType::I8, json!({"_Unsigned": "true", "_FillValue": fill})).unwrap();
            assert_eq!((got.dtype, got.missing), (DType::U8, vec![Scalar::new(255u8)]));
        }
        let got = packing(DType::I8, json!({"_Unsigned": "false", "_FillValue": -128})).unwrap();
        assert_eq!((got.dtype, got.missing), (DType::I8, vec![Scalar::new(-128i8)]));
        assert_eq!(packing(DType::U16, json!({"_Unsigned": "false"})).unwrap().dtype, DType::I16);
        assert!(packing(DType::F64, json!({"units": "K"})).unwrap().is_nothing(DType::F64));
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        for (dtype, attributes, expected) in [
            (DType::I16, json!({"scale_factor": 0}), "`scale_factor` is 0, expected a number other than 0"),
            (DType::I16, json!({"scale_factor": "0.1"}), "`scale_factor` is \"0.1\", expected a number"),
            (DType::I16, json!({"add_offset": null}), "`add_offset` is null, expected a number"),
            (DType::I16, json!({"add_offset": [1, 2]}), "`add_offset` is [1,2], expected a number"),
            (DType::I16, json!({"_FillValue": 70000}), "`_FillValue` is 70000, expected a value of i16"),
            (DType::I16, json!({"_FillValue": "none"}), "`_FillValue` is \"none\", expected a value of i16"),
            (DType::I16, json!({"_FillValue": "NaN"}), "`_FillValue` is \"NaN\", expected a value of i16"),
            (DType::U8, json!({"missing_value": 0.5}), "`missing_value` is 0.5, expected a value of u8"),
            (DType::F64, json!({"_FillValue": "x"}), "`_FillValue` is \"x\", expected a value of f64"),
            (DType::U8, json!({"_Unsigned": 3}), "`_Unsigned` is 3, expected \"true\" or \"false\""),
            (
                DType::C64,
                json!({"scale_factor": 2}),
                "`scale_factor` is 2, expected none of complex elements",
            ),
        ] {
            let error = packing(dtype, attributes.clone()).unwrap_err();
            assert_eq!(error, format!("x: attribute {expected}"), "{attributes}");
        }
    }

    #[test]
    fn what_would_be_left_undone_is_said() {
        let said = |dtype, attributes: Value| said(attributes.as_object().unwrap(), dtype);
        assert_eq!(said(DType::F32, json!({"scale_factor": 1.0, "_FillValue": "AAAAAAAA+H8="})), None);
        assert_eq!(said(DType::I8, json!({"_Unsigned": "false", "units": "K"})), None);
        let got = said(DType::I8, json!({"scale_factor": "0.1", "_FillValue": -1, "_Unsigned": "true"}));
        let expected = "scale_factor = \"0.1\", _FillValue = -1, _Unsigned = \"true\"";
        assert_eq!(got.as_deref(), Some(expected));
    }

    #[test]
    fn elements_are_written_as_they_are_read() {
        for scalar in [
            Scalar::new(true),
            Scalar::new(-5i8),
            Scalar::new(i64::MIN),
            Scalar::new(u64::MAX),
            Scalar::new(0.1f32),
            Scalar::new(f64::NEG_INFINITY),
            Scalar::new(Complex::new(1.5f32, f32::INFINITY)),
            Scalar::new(Complex::new(-0.0f64, 2.0)),
        ] {
            assert_eq!(super::scalar(&super::json(scalar), scalar.dtype()), Some(scalar), "{scalar:?}");
        }
        assert!(is_nan(super::scalar(&super::json(Scalar::new(f32::NAN)), DType::F32).unwrap()));
    }
}

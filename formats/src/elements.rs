//! Elements as a file spells them, turned into ours: little-endian, `bool` as 0 or 1.
//!
//! Owns byte order and NumPy's type strings. Must not know where bytes come from.

use serde_json::Value;
use tilework_expr::DType;

/// Order of the bytes within one number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ByteOrder {
    Little,
    Big,
}

/// NumPy's type string of a dtype, as in `<f8` and `|b1`; Zarr V2 uses the same.
pub(crate) fn numpy_name(dtype: DType) -> &'static str {
    match dtype {
        DType::Bool => "|b1",
        DType::I8 => "|i1",
        DType::I16 => "<i2",
        DType::I32 => "<i4",
        DType::I64 => "<i8",
        DType::U8 => "|u1",
        DType::U16 => "<u2",
        DType::U32 => "<u4",
        DType::U64 => "<u8",
        DType::F32 => "<f4",
        DType::F64 => "<f8",
        DType::C32 => "<c8",
        DType::C64 => "<c16",
    }
}

/// The dtype and byte order of a type as NumPy reads it: `<f8`, `=i4`, `d`, `int32`; `None` where there is no such dtype
/// here. `=` and `|` mean little-endian, the order of every machine this runs on.
pub(crate) fn from_numpy_name(name: &str) -> Option<(DType, ByteOrder)> {
    let (order, kind) = match name.as_bytes().first()? {
        b'>' => (ByteOrder::Big, &name[1..]),
        b'<' | b'=' | b'|' => (ByteOrder::Little, &name[1..]),
        _ => (ByteOrder::Little, name),
    };
    let code = DType::ALL.into_iter().find(|&d| &numpy_name(d)[1..] == kind).or_else(|| from_letter(kind));
    // Words bear no byte order.
    let word = || if kind.len() == name.len() { from_word(name) } else { None };
    Some((code.or_else(word)?, order))
}

/// NumPy's one-letter codes, as they are on 64-bit Unix.
fn from_letter(letter: &str) -> Option<DType> {
    Some(match letter {
        "?" => DType::Bool,
        "b" => DType::I8,
        "h" => DType::I16,
        "i" => DType::I32,
        "l" | "q" | "p" => DType::I64,
        "B" => DType::U8,
        "H" => DType::U16,
        "I" => DType::U32,
        "L" | "Q" | "P" => DType::U64,
        "f" => DType::F32,
        "d" => DType::F64,
        "F" => DType::C32,
        "D" => DType::C64,
        _ => return None,
    })
}

/// NumPy's words for types, as they are on 64-bit Unix.
fn from_word(word: &str) -> Option<DType> {
    Some(match word {
        "bool" | "bool_" => DType::Bool,
        "int8" | "byte" => DType::I8,
        "int16" | "short" => DType::I16,
        "int32" | "intc" => DType::I32,
        "int64" | "int" | "int_" | "intp" | "long" | "longlong" => DType::I64,
        "uint8" | "ubyte" => DType::U8,
        "uint16" | "ushort" => DType::U16,
        "uint32" | "uintc" => DType::U32,
        "uint64" | "uint" | "uintp" | "ulong" | "ulonglong" => DType::U64,
        "float32" | "single" => DType::F32,
        "float64" | "float" | "double" => DType::F64,
        "complex64" | "csingle" => DType::C32,
        "complex128" | "complex" | "cdouble" => DType::C64,
        _ => return None,
    })
}

/// NumPy's words for a type of elements that no array here can have, with the string that the file has.
pub(crate) fn in_words(written: &Value) -> String {
    let Value::String(name) = written else {
        return match written {
            Value::Array(_) => format!("a structure {written}"),
            other => other.to_string(),
        };
    };
    let code = name.trim_start_matches(['<', '>', '=', '|']);
    let (Some(kind), rest) = (code.chars().next(), code.get(1..).unwrap_or_default()) else {
        return format!("{name:?}");
    };
    let bits = rest.parse::<usize>().ok().and_then(|bytes| bytes.checked_mul(8));
    let word = match (kind, bits) {
        ('M', _) => format!("datetime64{}", rest.trim_start_matches('8')),
        ('m', _) => format!("timedelta64{}", rest.trim_start_matches('8')),
        ('S' | 'a', Some(_)) => format!("byte strings of {rest}"),
        ('U', Some(_)) => format!("strings of {rest} characters"),
        ('O', _) => "objects of Python".to_owned(),
        ('V', Some(_)) => format!("raw records of {rest} bytes"),
        ('f', Some(bits)) => format!("float{bits}"),
        ('c', Some(bits)) => format!("complex{bits}"),
        ('i', Some(bits)) => format!("int{bits}"),
        ('u', Some(bits)) => format!("uint{bits}"),
        _ => return format!("{name:?}"),
    };
    format!("{name} ({word})")
}

/// Makes every element this one.
#[cfg(feature = "netcdf")]
pub(crate) fn fill(out: &mut [u8], element: &[u8]) {
    out.chunks_exact_mut(element.len()).for_each(|to| to.copy_from_slice(element));
}

/// Turns the file's elements into ours, in place.
pub(crate) fn normalise(bytes: &mut [u8], dtype: DType, order: ByteOrder) {
    if dtype == DType::Bool {
        for byte in bytes.iter_mut() {
            *byte = u8::from(*byte != 0);
        }
        return;
    }
    let number = if dtype.is_complex() { dtype.size() / 2 } else { dtype.size() };
    if order == ByteOrder::Big && number > 1 {
        for part in bytes.chunks_exact_mut(number) {
            part.reverse();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for d in DType::ALL {
            assert_eq!(from_numpy_name(numpy_name(d)), Some((d, ByteOrder::Little)));
        }
        assert_eq!(from_numpy_name(">c16"), Some((DType::C64, ByteOrder::Big)));
        assert_eq!(from_numpy_name("?"), Some((DType::Bool, ByteOrder::Little)));
        for (name, dtype, order) in [
            ("|f8", DType::F64, ByteOrder::Little),
            ("=i4", DType::I32, ByteOrder::Little),
            ("f8", DType::F64, ByteOrder::Little),
            ("<d", DType::F64, ByteOrder::Little),
            (">l", DType::I64, ByteOrder::Big),
            ("b", DType::I8, ByteOrder::Little),
            ("|b1", DType::Bool, ByteOrder::Little),
            ("int32", DType::I32, ByteOrder::Little),
            ("float", DType::F64, ByteOrder::Little),
            ("complex64", DType::C32, ByteOrder::Little),
        ] {
            assert_eq!(from_numpy_name(name), Some((dtype, order)), "{name}");
        }
        for bad in ["", "<", "<f2", "|O", "<U4", "<int32", "Int32", " i4", "<M8[ns]", "é8", "<é"] {
            assert_eq!(from_numpy_name(bad), None, "{bad}");
        }
    }

    #[test]
    fn other_types_are_named_in_words() {
        for (written, words) in [
            (serde_json::json!("<M8[s]"), "<M8[s] (datetime64[s])"),
            (serde_json::json!("<f2"), "<f2 (float16)"),
            (serde_json::json!("<U4"), "<U4 (strings of 4 characters)"),
            (serde_json::json!("|O"), "|O (objects of Python)"),
            (serde_json::json!("é"), "\"é\""),
            (serde_json::json!([["x", "<f4"]]), "a structure [[\"x\",\"<f4\"]]"),
        ] {
            assert_eq!(in_words(&written), words);
        }
    }

    #[test]
    fn numbers_are_swapped_part_by_part() {
        let mut complex = [1, 2, 3, 4, 5, 6, 7, 8];
        normalise(&mut complex, DType::C32, ByteOrder::Big);
        assert_eq!(complex, [4, 3, 2, 1, 8, 7, 6, 5]);
        let mut bools = [0, 1, 2, 255];
        normalise(&mut bools, DType::Bool, ByteOrder::Big);
        assert_eq!(bools, [0, 1, 1, 1]);
    }
}

//! Elements as a file spells them, turned into ours: little-endian, `bool` as 0 or 1.
//!
//! Owns byte order and NumPy's type strings. Must not know where bytes come from.

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

/// The dtype and byte order of a NumPy type string; `None` where there is no such dtype here.
/// `=` is read as little-endian, the order of every machine this runs on.
pub(crate) fn from_numpy_name(name: &str) -> Option<(DType, ByteOrder)> {
    let (order, kind) = match name.as_bytes().first()? {
        b'>' => (ByteOrder::Big, &name[1..]),
        b'<' | b'=' | b'|' => (ByteOrder::Little, &name[1..]),
        _ => (ByteOrder::Little, name),
    };
    let dtype = if kind == "?" {
        DType::Bool
    } else {
        DType::ALL.into_iter().find(|&d| &numpy_name(d)[1..] == kind)?
    };
    // `|` says "order does not matter", which holds for single bytes only.
    (dtype.size() == 1 || !name.starts_with('|')).then_some((dtype, order))
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
        for bad in ["", "<", "<f2", "|O", "<U4", "|f8", "<M8[ns]", "é8", "<é"] {
            assert_eq!(from_numpy_name(bad), None, "{bad}");
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

//! Types of elements as HDF5 says them, and ours.

use crate::elements::ByteOrder;
use hdf5_reader::{CompoundField, Datatype, EnumMember, StringSize};
use tilework_expr::DType;

/// Our type and the order of its bytes; in words what the type is where there is none.
pub(super) fn dtype_of(datatype: &Datatype) -> Result<(DType, ByteOrder), String> {
    let order = |order: &hdf5_reader::ByteOrder| match order {
        hdf5_reader::ByteOrder::BigEndian => ByteOrder::Big,
        hdf5_reader::ByteOrder::LittleEndian => ByteOrder::Little,
    };
    match datatype {
        Datatype::FixedPoint { size, signed, byte_order } => {
            let dtype = match (size, signed) {
                (1, true) => DType::I8,
                (2, true) => DType::I16,
                (4, true) => DType::I32,
                (8, true) => DType::I64,
                (1, false) => DType::U8,
                (2, false) => DType::U16,
                (4, false) => DType::U32,
                (8, false) => DType::U64,
                _ => return Err(format!("integers of {size} bytes")),
            };
            Ok((dtype, order(byte_order)))
        }
        Datatype::FloatingPoint { size: 4, byte_order } => Ok((DType::F32, order(byte_order))),
        Datatype::FloatingPoint { size: 8, byte_order } => Ok((DType::F64, order(byte_order))),
        Datatype::Compound { size, fields } => {
            complex(*size, fields).ok_or_else(|| format!("compound ({})", names(fields)))
        }
        Datatype::Enum { base, members } if is_bool(base, members) => Ok((DType::Bool, ByteOrder::Little)),
        Datatype::Enum { base, .. } => dtype_of(base),
        other => Err(in_words(other)),
    }
}

/// A complex number, as h5py stores it: two floats `r` and `i`.
fn complex(size: u32, fields: &[CompoundField]) -> Option<(DType, ByteOrder)> {
    let [re, im] = fields else { return None };
    let (part, order) = dtype_of(&re.datatype).ok()?;
    let dtype = match part {
        DType::F32 => DType::C32,
        DType::F64 => DType::C64,
        _ => return None,
    };
    let half = part.size() as u32;
    let is_one = re.name == "r"
        && im.name == "i"
        && re.datatype == im.datatype
        && (re.byte_offset, im.byte_offset, size) == (0, half, 2 * half);
    is_one.then_some((dtype, order))
}

/// Truth values, as h5py stores them: an enumeration of one byte.
fn is_bool(base: &Datatype, members: &[EnumMember]) -> bool {
    let [no, yes] = members else { return false };
    matches!(base, Datatype::FixedPoint { size: 1, .. })
        && (no.name.as_str(), no.value.as_slice()) == ("FALSE", &[0])
        && (yes.name.as_str(), yes.value.as_slice()) == ("TRUE", &[1])
}

fn names(fields: &[CompoundField]) -> String {
    fields.iter().map(|field| field.name.as_str()).collect::<Vec<_>>().join(", ")
}

fn in_words(datatype: &Datatype) -> String {
    match datatype {
        Datatype::FloatingPoint { size, .. } => format!("float{}", 8 * u32::from(*size)),
        Datatype::String { size: StringSize::Fixed(n), .. } => format!("strings of {n} bytes"),
        Datatype::String { .. } => "strings".to_owned(),
        Datatype::VarLen { base, .. } if base.is_vlen_string_base() => "strings".to_owned(),
        Datatype::VarLen { .. } => "lists of any length (vlen)".to_owned(),
        Datatype::Array { dims, .. } => format!("arrays of shape {dims:?}"),
        Datatype::Opaque { size, .. } => format!("opaque blocks of {size} bytes"),
        Datatype::Reference { .. } => "references".to_owned(),
        Datatype::Bitfield { size, .. } => format!("bit fields of {size} bytes"),
        other => format!("{other:?}"),
    }
}

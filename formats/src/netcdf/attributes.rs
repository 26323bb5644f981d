//! Attributes of HDF5 objects as JSON.
//!
//! Owns which of them are said for the files' own sake.

use super::kinds::dtype_of;
use crate::elements::{self, ByteOrder};
use crate::packing;
use hdf5_reader::{Attribute, Datatype};
use serde_json::{Map, Value};
use tilework_expr::{DType, Scalar};

/// What the libraries of NetCDF and HDF5 say to themselves.
const HIDDEN: [&str; 8] = [
    "DIMENSION_LIST",
    "REFERENCE_LIST",
    "DIMENSION_LABELS",
    "_Netcdf4Dimid",
    "_Netcdf4Coordinates",
    "_nc3_strict",
    "_NCProperties",
    "_NCCOPY",
];
/// The attribute that says that a dataset is the scale of an axis, and its name.
pub(super) const CLASS: &str = "CLASS";
pub(super) const NAME: &str = "NAME";

/// What is said, less what only the libraries understand; what is neither text nor number is left out.
pub(super) fn attributes(said: Vec<Attribute>) -> Map<String, Value> {
    let is_scale = said.iter().any(is_class_of_scale);
    let hidden = |name: &str| HIDDEN.contains(&name) || is_scale && [CLASS, NAME].contains(&name);
    let said = said.into_iter().filter(|attribute| !hidden(&attribute.name));
    said.filter_map(|attribute| Some((attribute.name.clone(), value(&attribute)?))).collect()
}

pub(super) fn is_class_of_scale(attribute: &Attribute) -> bool {
    attribute.name == CLASS && attribute.read_string().is_ok_and(|class| class == "DIMENSION_SCALE")
}

fn value(attribute: &Attribute) -> Option<Value> {
    if let Datatype::String { .. } | Datatype::VarLen { .. } = &attribute.datatype {
        if attribute.shape.is_empty() {
            return attribute.read_string().ok().map(Value::from);
        }
        return attribute.read_strings().ok().map(|texts| listed(texts.into_iter().map(Value::from)));
    }
    let (dtype, order) = dtype_of(&attribute.datatype).ok()?;
    let bytes = attribute.num_elements().ok()?.checked_mul(dtype.size() as u64)?;
    if bytes != attribute.raw_data.len() as u64 {
        return None;
    }
    Some(values(attribute.raw_data.clone(), dtype, order))
}

/// Numbers as a file has them: one, or a list.
pub(super) fn values(mut bytes: Vec<u8>, dtype: DType, order: ByteOrder) -> Value {
    elements::normalise(&mut bytes, dtype, order);
    listed(bytes.chunks_exact(dtype.size()).map(|bytes| packing::json(scalar(bytes, dtype))))
}

/// A number whose bytes are in our order.
pub(super) fn scalar(bytes: &[u8], dtype: DType) -> Scalar {
    Scalar::from_bits(dtype, bytes.iter().rev().fold(0, |bits, &byte| (bits << 8) | u128::from(byte)))
}

fn listed(values: impl Iterator<Item = Value>) -> Value {
    let mut values: Vec<Value> = values.collect();
    match values.len() {
        1 => values.remove(0),
        _ => Value::Array(values),
    }
}

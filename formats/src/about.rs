//! What is known of arrays and groups in files beside their elements: plain data.
//!
//! Must not know documents, nor how they are read.

use crate::spec::ZarrVersion;
use crate::time::TimeType;
use crate::{FormatError, Packing, packing};
use serde_json::{Map, Value};
use std::path::PathBuf;
use tilework_expr::{DType, Scalar};

/// The attribute in which version 2 has the names of the axes, by xarray's convention.
pub(crate) const V2_DIMS: &str = "_ARRAY_DIMENSIONS";

/// What a node is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ZarrKind {
    /// An array.
    Array,
    /// A group.
    Group,
}

/// A node of a Zarr store, by name: plain data. What can be asked of it, asks the files each time.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ZarrNode {
    /// The store's directory.
    pub path: PathBuf,
    /// The node's path within the store, `""` for the root.
    pub inner: String,
}

impl ZarrNode {
    /// The node at the path `inner` of a store.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, inner: impl Into<String>) -> ZarrNode {
        ZarrNode { path: path.into(), inner: inner.into() }
    }
}

/// What a group of a NetCDF or HDF5 file has.
#[derive(Clone, PartialEq, Debug)]
pub struct NetcdfGroup {
    /// The names of the groups right below it, in order.
    pub groups: Vec<String>,
    /// The names of its arrays, and whether each is the coordinates along an axis.
    pub variables: Vec<(String, bool)>,
    /// What is said of it.
    pub attributes: Map<String, Value>,
}

/// What a Zarr store, or a NetCDF or HDF5 file, says of an array beside its shape and chunks.
#[derive(Clone, PartialEq, Debug)]
pub struct ArrayInfo {
    /// What errors call it.
    pub(crate) name: String,
    /// The version of Zarr; `None` of other files.
    pub zarr: Option<ZarrVersion>,
    /// The type of its elements; of times `i64`.
    pub dtype: DType,
    /// The element that was never written; `None` where the file does not say it.
    pub fill_value: Option<Scalar>,
    /// What the elements mean where they are times.
    pub time: Option<TimeType>,
    /// The names of the axes, one each, or none at all.
    pub dims: Vec<Option<String>>,
    pub(crate) attributes: Value,
}

impl ArrayInfo {
    /// The attributes, less the one in which version 2 has the names of the axes.
    ///
    /// # Errors
    /// [`FormatError::Attributes`] where they are not a JSON object.
    pub fn attributes(&self) -> Result<Map<String, Value>, FormatError> {
        let mut attributes = object(&self.name, &self.attributes)?;
        if self.zarr == Some(ZarrVersion::V2) {
            attributes.remove(V2_DIMS);
        }
        Ok(attributes)
    }

    /// What is to be done with the elements, by the conventions of CF. As for xarray, the fill value of version 2
    /// says that there is none, and that of version 3 does not.
    ///
    /// # Errors
    /// [`FormatError::Attributes`], and [`FormatError::Attribute`] for one that makes no sense.
    pub fn packing(&self) -> Result<Packing, FormatError> {
        let fill = self.fill_value.filter(|_| self.zarr == Some(ZarrVersion::V2) && self.time.is_none());
        Packing::of(&self.name, self.dtype, &self.attributes()?, fill)
    }

    /// What the attributes say is still to be done with the elements, in words: `scale_factor = 0.1`. `None` where they
    /// say nothing. The fill value of version 2 is said where xarray has written the array; zero is not, which is what an
    /// array has for which nobody chose one.
    #[must_use]
    pub fn packed(&self) -> Option<String> {
        let attributes = self.attributes.as_object()?;
        let said = packing::said(attributes, self.dtype);
        let of_xarray = self.zarr == Some(ZarrVersion::V2) && attributes.contains_key(V2_DIMS);
        let fill = self.fill_value.filter(|fill| {
            let is_value = fill.as_f64() != 0.0 && !packing::is_nan(*fill);
            of_xarray && self.time.is_none() && is_value && !attributes.contains_key("_FillValue")
        });
        match (said, fill.map(|fill| format!("fill_value = {}", packing::json(fill)))) {
            (Some(said), Some(fill)) => Some(format!("{said}, {fill}")),
            (said, fill) => said.or(fill),
        }
    }
}

/// Attributes, which are a JSON object.
pub(crate) fn object(name: &str, attributes: &Value) -> Result<Map<String, Value>, FormatError> {
    match attributes {
        Value::Null => Ok(Map::new()),
        Value::Object(attributes) => Ok(attributes.clone()),
        other => {
            let got = match other {
                Value::Array(_) => "a list",
                Value::String(_) => "a text",
                Value::Bool(_) => "true or false",
                _ => "a number",
            };
            Err(FormatError::Attributes { path: name.to_owned(), got: got.to_owned() })
        }
    }
}

/// The names of axes in a document: a list of texts, some of which may be missing. `None` where they are not that.
pub(crate) fn names(value: &Value, n_axes: usize) -> Option<Vec<Option<String>>> {
    let names = value.as_array()?.iter().map(|name| match name {
        Value::Null => Some(None),
        Value::String(name) => Some(Some(name.clone())),
        _ => None,
    });
    names.collect::<Option<Vec<_>>>().filter(|names| names.len() == n_axes)
}

//! The documents that describe the nodes of a Zarr hierarchy, as they lie in its directories.
//!
//! Owns reading them: what kind of node a directory is, and what Python's writers put into version 2 that `zarrs` does
//! not take. Must not know chunks or stores.

use super::dir::Dir;
use super::store::open_file;
use super::{codecs, open_error, v3_name};
use crate::about::{V2_DIMS, names};
use crate::elements::{self, ByteOrder, from_numpy_name, numpy_name};
use crate::spec::ZarrVersion;
use crate::time::TimeType;
use crate::{FormatError, packing};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use tilework_expr::{DType, Scalar};
use zarrs::array::Array;
use zarrs::metadata::ArrayMetadata;
use zarrs::storage::store::MemoryStore;

/// Of version 3.
pub(crate) const V3_DOCUMENT: &str = "zarr.json";
/// Of version 2, the one that makes a directory an array last.
pub(crate) const V2_DOCUMENTS: [&str; 3] = [".zattrs", ".zgroup", ".zarray"];
/// The document that describes an array, but for what is said of it in version 2.
pub(crate) fn array_document(version: ZarrVersion) -> &'static str {
    match version {
        ZarrVersion::V2 => ".zarray",
        ZarrVersion::V3 => V3_DOCUMENT,
    }
}

/// The most bytes of a document that are read; consolidated metadata of a large hierarchy have some MB.
pub(crate) const DOCUMENT_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// The most arrays of a group that an error names, and the most directories that are looked at for them.
const NAMED_MAX: usize = 10;
const LOOKED_AT_MAX: usize = 500;
/// The same of object stores, where each look takes its time.
const ASKED_FOR_MAX: usize = 20;

/// What a directory is.
#[derive(Debug)]
pub(crate) enum Node {
    /// An array, described by these documents.
    Array(Documents),
    /// A group of this version.
    Group(ZarrVersion),
    /// Nothing of Zarr's.
    Nothing,
}

/// An array's documents as they lie there.
#[derive(Clone, Debug)]
pub(crate) struct Documents {
    pub version: ZarrVersion,
    /// `zarr.json`, or `.zarray`.
    pub array: Value,
    /// Version 2: `.zattrs`. In version 3 they are within `array`.
    pub attributes: Option<Value>,
}

/// The documents by which it is told what a node is.
pub(crate) const FILES: [&str; 4] = [V3_DOCUMENT, ".zarray", ".zgroup", ".zattrs"];

/// What the directory `dir` is; `name` is what errors call it.
pub(crate) fn node(dir: &Path, name: &str) -> Result<Node, FormatError> {
    node_of(|at| read(dir, FILES[at], name))
}

/// What has these documents, by their number in [`FILES`].
pub(crate) fn node_of(
    document: impl Fn(usize) -> Result<Option<Value>, FormatError>,
) -> Result<Node, FormatError> {
    if let Some(document) = document(0)? {
        return Ok(match document["node_type"].as_str() {
            Some("array") => {
                Node::Array(Documents { version: ZarrVersion::V3, array: document, attributes: None })
            }
            // What cannot be understood is not taken for nothing.
            _ => Node::Group(ZarrVersion::V3),
        });
    }
    if let Some(array) = document(1)? {
        return Ok(Node::Array(Documents { version: ZarrVersion::V2, array, attributes: document(3)? }));
    }
    Ok(if document(2)?.is_some() { Node::Group(ZarrVersion::V2) } else { Node::Nothing })
}

/// One document of a node, `None` where there is none.
pub(crate) fn read(dir: &Path, file: &str, name: &str) -> Result<Option<Value>, FormatError> {
    let shown = || format!("{}/{file}", dir.file_name().unwrap_or_default().display());
    let unreadable = |reason: String| FormatError::NotAnArray {
        path: name.to_owned(),
        reason: format!("{}: {reason}", shown()),
    };
    let opened = open_file(&dir.join(file)).map_err(|source| match source.kind() {
        io::ErrorKind::InvalidInput => unreadable(source.to_string()),
        _ => FormatError::Io { path: dir.join(file).display().to_string(), source },
    })?;
    let Some((opened, bytes)) = opened else { return Ok(None) };
    if bytes > DOCUMENT_BYTES_MAX {
        return Err(unreadable(format!("got {bytes} bytes, expected at most {DOCUMENT_BYTES_MAX}")));
    }
    let mut text = Vec::new();
    let read = opened.take(bytes).read_to_end(&mut text);
    read.map_err(|source| FormatError::Io { path: dir.join(file).display().to_string(), source })?;
    document(&text, &shown(), name).map(Some)
}

/// A document of the node `name`, from its text.
pub(crate) fn document(text: &[u8], file: &str, name: &str) -> Result<Value, FormatError> {
    parse(text, "")
        .map_err(|e| FormatError::NotAnArray { path: name.to_owned(), reason: format!("{file}: {e}") })
}

/// The numbers that are none, which Python writes bare, against the grammar.
const NO_NUMBERS: [&str; 3] = ["-Infinity", "Infinity", "NaN"];
/// Before the words of numbers that are none in what [`parse`] makes of them, if they are to be told from strings.
pub(crate) const BARE: &str = "\u{1}";

/// JSON, with the numbers that are none as strings after `before`.
pub(crate) fn parse(text: &[u8], before: &str) -> serde_json::Result<Value> {
    serde_json::from_slice(text).or_else(|error| match quoted(text, before) {
        Some(text) => serde_json::from_slice(&text).map_err(|_| error),
        None => Err(error),
    })
}

/// A document as Python writes it, with the numbers that are none as [`parse`] has made them of [`BARE`].
pub(crate) fn text(document: &Value) -> Vec<u8> {
    let mut text = serde_json::to_string_pretty(document).expect("a document of strings and numbers");
    for word in NO_NUMBERS {
        text = text.replace(&format!("\"\\u0001{word}\""), word);
    }
    text.into_bytes()
}

/// The text with `NaN`, `Infinity` and `-Infinity` in quotes; `None` where there are none.
fn quoted(text: &[u8], before: &str) -> Option<Vec<u8>> {
    let (mut out, mut in_string, mut changed, mut at) =
        (Vec::with_capacity(text.len() + 16), false, false, 0);
    while let Some(&byte) = text.get(at) {
        let word = NO_NUMBERS.into_iter().find(|w| text[at..].starts_with(w.as_bytes()));
        match word {
            Some(word) if !in_string => {
                out.extend(Value::from(format!("{before}{word}")).to_string().bytes());
                changed = true;
                at += word.len();
                continue;
            }
            _ if byte == b'"' => in_string = !in_string,
            _ if byte == b'\\' && in_string && at + 1 < text.len() => {
                out.push(byte);
                at += 1;
            }
            _ => {}
        }
        out.push(text[at]);
        at += 1;
    }
    changed.then_some(out)
}

impl Documents {
    /// The metadata as `zarrs` takes them.
    pub(crate) fn into_metadata(mut self, name: &str) -> Result<ArrayMetadata, FormatError> {
        let is_time = self.time().is_some();
        if is_time && matches!(self.array["fill_value"].as_str(), Some("NaT")) {
            self.array["fill_value"] = json!(i64::MIN);
        }
        let metadata = match self.version {
            ZarrVersion::V3 => {
                if is_time {
                    self.array["data_type"] = json!(v3_name(DType::I64));
                }
                serde_json::from_value(self.array).map(ArrayMetadata::V3)
            }
            ZarrVersion::V2 => {
                let written = self.array["dtype"].clone();
                let time = |name| TimeType::of_numpy_name(name).map(|(_, order)| (DType::I64, order));
                let known = written.as_str().and_then(|name| from_numpy_name(name).or_else(|| time(name)));
                let (dtype, order) = known.ok_or_else(|| FormatError::UnsupportedDType {
                    path: name.to_owned(),
                    got: elements::in_words(&written),
                })?;
                let filled = fill_value(&self.array["fill_value"], dtype);
                self.array["fill_value"] = filled;
                let name = numpy_name(dtype);
                self.array["dtype"] = match order {
                    ByteOrder::Big if dtype.size() > 1 => json!(name.replace('<', ">")),
                    _ => json!(name),
                };
                if self.array["compressor"]["id"] == "blosc" {
                    self.array["compressor"] = codecs::bounded_blosc(&self.array["compressor"], dtype.size());
                }
                if let Some(attributes @ Value::Object(_)) = self.attributes {
                    self.array["attributes"] = attributes;
                }
                serde_json::from_value(self.array).map(ArrayMetadata::V2)
            }
        };
        let file = array_document(self.version);
        metadata
            .map_err(|e| FormatError::NotAnArray { path: name.to_owned(), reason: format!("{file}: {e}") })
    }

    /// Checks that an array of these documents can be opened.
    pub(crate) fn check(&self, name: &str) -> Result<(), FormatError> {
        let documents = Documents { attributes: self.attributes.clone(), array: self.array.clone(), ..*self };
        codecs::register();
        let metadata = documents.into_metadata(name)?;
        Array::new_with_metadata(Arc::new(MemoryStore::new()), "/", metadata)
            .map_err(|e| open_error(name, e))?;
        Ok(())
    }

    /// What the elements mean where they are times.
    pub(crate) fn time(&self) -> Option<TimeType> {
        match self.version {
            ZarrVersion::V3 => TimeType::of_v3_type(&self.array["data_type"]),
            ZarrVersion::V2 => {
                self.array["dtype"].as_str().and_then(TimeType::of_numpy_name).map(|(time, _)| time)
            }
        }
    }

    /// The attributes as they lie there: `null` where there are none.
    pub(crate) fn attributes(&self) -> &Value {
        static NOTHING: Value = Value::Null;
        match self.version {
            ZarrVersion::V3 => &self.array["attributes"],
            ZarrVersion::V2 => self.attributes.as_ref().unwrap_or(&NOTHING),
        }
    }

    /// The names of the axes: none where there are none, or as many as the array has no axes.
    pub(crate) fn dims(&self, n_axes: usize) -> Vec<Option<String>> {
        let said = match self.version {
            ZarrVersion::V3 => &self.array["dimension_names"],
            ZarrVersion::V2 => &self.attributes()[V2_DIMS],
        };
        names(said, n_axes).unwrap_or_default()
    }
}

/// The element that was never written, as NumPy would turn what version 2 says into one of this type.
fn fill_value(written: &Value, dtype: DType) -> Value {
    let number = match written {
        Value::Null => return packing::json(Scalar::from_bits(dtype, 0)),
        Value::Bool(b) => json!(u8::from(*b)),
        Value::String(text) => match text.trim().parse::<i64>() {
            Ok(n) if dtype != DType::Bool => json!(n),
            _ => return written.clone(),
        },
        other => other.clone(),
    };
    if !number.is_number() {
        return number;
    }
    let float = number.as_f64().unwrap_or_default();
    match dtype {
        DType::Bool => json!(float != 0.0),
        d if d.is_complex() => json!([number, 0.0]),
        d if d.is_float() => number,
        // Towards zero; what does not fit stays as it is, and is refused.
        _ if number.is_f64() && float.abs() < 2f64.powi(63) => json!(float as i64),
        _ => number,
    }
}

/// Why there is no array at `dir`.
pub(crate) fn no_array(dir: &Dir, name: &str, node: &Node) -> FormatError {
    let arrays = arrays_below(dir);
    let list = if arrays.is_empty() { String::from("none") } else { arrays.join(", ") };
    let not_an_array = |reason| FormatError::NotAnArray { path: name.to_owned(), reason };
    if matches!(node, Node::Group(_)) {
        return not_an_array(format!("it is a group; the arrays in it: {list}"));
    }
    if let Some(at) = dir.left_behind() {
        return not_an_array(format!(
            "there is none, but `{at}`: a write that has not ended, or was interrupted, which the next write there clears up"
        ));
    }
    if arrays.is_empty() {
        return FormatError::Missing { path: name.to_owned() };
    }
    not_an_array(format!("there are no metadata; arrays below it: {list}"))
}

/// The names of some arrays below a directory.
fn arrays_below(dir: &Dir) -> Vec<String> {
    let looked_at_max = match dir {
        Dir::Files(_) => LOOKED_AT_MAX,
        Dir::Objects(_) => ASKED_FOR_MAX,
    };
    let (mut found, mut looked_at) = (Vec::new(), 0);
    let mut open = VecDeque::from([(dir.clone(), String::new())]);
    while let Some((dir, name)) = open.pop_front() {
        for here in dir.below().unwrap_or_default() {
            let Ok(at) = dir.join(&here) else { continue };
            let below = if name.is_empty() { here } else { format!("{name}/{here}") };
            looked_at += 1;
            if looked_at > looked_at_max || found.len() == NAMED_MAX {
                found.push("…".into());
                return found;
            }
            match at.node(&below) {
                Ok(Node::Array(_)) => found.push(format!("`{below}`")),
                Ok(_) => open.push_back((at, below)),
                Err(_) => {}
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fill_values_are_numpys() {
        for (written, dtype, expected) in [
            (json!(null), DType::C32, json!([0.0, 0.0])),
            (json!(null), DType::Bool, json!(false)),
            (json!(5.0), DType::I32, json!(5)),
            (json!(-5.9), DType::I8, json!(-5)),
            (json!(true), DType::U8, json!(1)),
            (json!("7"), DType::I64, json!(7)),
            (json!(2), DType::Bool, json!(true)),
            (json!(0.0), DType::Bool, json!(false)),
            (json!("NaN"), DType::F64, json!("NaN")),
            (json!("-Infinity"), DType::F32, json!("-Infinity")),
            (json!(3), DType::F64, json!(3)),
            (json!(1.5), DType::C64, json!([1.5, 0.0])),
            (json!(["NaN", 0.0]), DType::C64, json!(["NaN", 0.0])),
            (json!(18_446_744_073_709_551_615u64), DType::U64, json!(18_446_744_073_709_551_615u64)),
        ] {
            assert_eq!(fill_value(&written, dtype), expected, "{written} for {dtype}");
        }
    }

    #[test]
    fn pythons_bare_nan_is_read() {
        let text = br#"{"a": NaN, "b": [-Infinity, Infinity], "c": "NaN \" NaN", "d": "\\"}"#;
        let expected = json!({"a": "NaN", "b": ["-Infinity", "Infinity"], "c": "NaN \" NaN", "d": "\\"});
        assert_eq!(parse(text, "").unwrap(), expected);
        let kept = self::text(&parse(text, BARE).unwrap());
        let words =
            |text: &[u8]| String::from_utf8(text.to_vec()).unwrap().split_whitespace().collect::<String>();
        assert_eq!(words(&kept), words(text));
        assert!(parse(b"{NaN", "").is_err() && parse(b"{", "").is_err());
    }
}

//! The classic formats of NetCDF, of versions 1, 2 and 5: a header, the arrays of fixed shapes, and records, each of which
//! has a position of every array along the axis without an end.
//!
//! Source: "The NetCDF Classic Format Specification", of Unidata.

use super::attributes::values;
use super::plain::{Bytes, Plain};
use super::{Elements, NetcdfReader, corrupt, missing, parts, read_at};
use crate::elements::ByteOrder;
use crate::{ArrayInfo, ArrayMeta, FormatError, region};
use serde_json::{Map, Value};
use std::fs::File;
use tilework_expr::DType;
use tilework_plan::Stored;

/// What is read of a header at first, and at most.
const HEADER_BYTES_FIRST: u64 = 64 * 1024;
const HEADER_BYTES_MAX: u64 = 256 * 1024 * 1024;
const TAG_DIMENSIONS: u32 = 10;
const TAG_VARIABLES: u32 = 11;
const TAG_ATTRIBUTES: u32 = 12;
const CHARS: u32 = 2;
/// As many axes as NetCDF allows.
const AXES_MAX: u64 = 1024;

/// An open file.
pub(super) struct Classic {
    path: String,
    file: File,
    len: u64,
    header: Header,
}

struct Header {
    /// Positions along the axis of records; `None` where a writer that streams did not say it.
    n_records: Option<u64>,
    dims: Vec<(String, u64)>,
    attributes: Map<String, Value>,
    variables: Vec<Variable>,
}

struct Variable {
    name: String,
    dims: Vec<usize>,
    attributes: Map<String, Value>,
    kind: u32,
    begin: u64,
}

impl Classic {
    pub(super) fn open(path: &str, file: File, len: u64) -> Result<Classic, FormatError> {
        let mut take = HEADER_BYTES_FIRST.min(len);
        loop {
            let mut bytes = vec![0; take as usize];
            read_at(path, &file, &mut bytes, 0)?;
            match (Cursor { path, bytes: &bytes, at: 0, wide: false }).header() {
                Err(Failed::Short(_)) if take < len.min(HEADER_BYTES_MAX) => {
                    take = (take * 4).min(len).min(HEADER_BYTES_MAX);
                }
                Err(Failed::Short(expected)) => {
                    return Err(FormatError::Truncated { path: path.to_owned(), expected, got: len });
                }
                Err(Failed::Format(error)) => return Err(error),
                Ok(header) => {
                    return Ok(Classic { path: path.to_owned(), file, len, header });
                }
            }
        }
    }

    pub(super) fn attributes(&self) -> &Map<String, Value> {
        &self.header.attributes
    }

    /// The names of the arrays, and whether each is the coordinates along an axis.
    pub(super) fn variables(&self) -> Vec<(String, bool)> {
        let is_axis = |v: &Variable| match v.dims[..] {
            [i] => self.header.dims.get(i).is_some_and(|(dim, _)| *dim == v.name),
            _ => false,
        };
        self.header.variables.iter().map(|v| (v.name.clone(), is_axis(v))).collect()
    }

    fn dim(&self, i: usize) -> Result<&(String, u64), FormatError> {
        self.header.dims.get(i).ok_or_else(|| corrupt(&self.path, format!("there is no axis {i}")))
    }

    fn has_records(&self, variable: &Variable) -> Result<bool, FormatError> {
        variable.dims.first().map_or(Ok(false), |&i| Ok(self.dim(i)?.1 == 0))
    }

    /// The bytes of an array, or of its part of a record.
    fn bytes(&self, variable: &Variable) -> Result<u64, FormatError> {
        let inner = if self.has_records(variable)? { &variable.dims[1..] } else { &variable.dims };
        let size = size_of(variable.kind).ok_or_else(|| corrupt(&self.path, "an unknown type"))? as u64;
        inner.iter().try_fold(size, |bytes, &i| {
            let too_large = || corrupt(&self.path, format!("`{}` is too large to address", variable.name));
            bytes.checked_mul(self.dim(i)?.1).ok_or_else(too_large)
        })
    }

    /// The bytes from one record to the next.
    fn record_bytes(&self) -> Result<u64, FormatError> {
        let mut parts = Vec::new();
        for variable in &self.header.variables {
            if self.has_records(variable)? {
                parts.push(self.bytes(variable)?);
            }
        }
        // One alone is not filled up to four bytes.
        if let [only] = parts[..] {
            return Ok(only);
        }
        let total =
            parts.iter().try_fold(0u64, |sum, part| sum.checked_add(part.checked_next_multiple_of(4)?));
        total.ok_or_else(|| corrupt(&self.path, "records too large to address"))
    }

    fn n_records(&self) -> Result<u64, FormatError> {
        if let Some(n) = self.header.n_records {
            return Ok(n);
        }
        let mut first = u64::MAX;
        for variable in &self.header.variables {
            if self.has_records(variable)? {
                first = first.min(variable.begin);
            }
        }
        Ok(self.len.saturating_sub(first).checked_div(self.record_bytes()?).unwrap_or(0))
    }

    /// The array of a name.
    pub(super) fn variable(self, name: &str) -> Result<NetcdfReader, FormatError> {
        let path = format!("{}[{name}]", self.path);
        let sought = parts(name).collect::<Vec<_>>().join("/");
        let Some(variable) = self.header.variables.iter().find(|v| v.name == sought) else {
            let names = self.variables().into_iter().map(|(name, _)| name).collect();
            return Err(missing(&self.path, name, names));
        };
        let Some(dtype) = dtype_of(variable.kind) else {
            return Err(FormatError::UnsupportedDType { path, got: "characters (NC_CHAR)".to_owned() });
        };
        let has_records = self.has_records(variable)?;
        let mut lens = Vec::new();
        let mut dims = Vec::new();
        for (axis, &i) in variable.dims.iter().enumerate() {
            let (name, len) = self.dim(i)?;
            lens.push(if axis == 0 && has_records { self.n_records()? } else { *len });
            dims.push(Some(name.clone()));
        }
        let (shape, _) = region::checked_shape(&path, &lens, dtype.size())?;
        let record_bytes = if has_records { Some(self.record_bytes()?) } else { None };
        let own = self.bytes(variable)?;
        let end = match record_bytes {
            Some(_) if shape.contains(&0) => Some(0),
            Some(apart) => {
                apart.checked_mul(lens[0] - 1).and_then(|n| n.checked_add(own)?.checked_add(variable.begin))
            }
            None => own.checked_add(variable.begin),
        };
        if end.is_none_or(|end| end > self.len) && !shape.contains(&0) {
            return Err(FormatError::Truncated { path, expected: end.unwrap_or(u64::MAX), got: self.len });
        }
        let info = ArrayInfo {
            name: path.clone(),
            zarr: None,
            dtype,
            fill_value: None,
            time: None,
            dims,
            attributes: Value::Object(variable.attributes.clone()),
        };
        let start = variable.begin;
        let bytes = Bytes::File { file: self.file, start, record_bytes };
        let elements = Elements::Plain(Plain { bytes, shape: shape.clone(), itemsize: dtype.size() });
        let (chunks, read_chunks) = (shape.clone(), shape.clone());
        let meta = ArrayMeta { shape, dtype, chunks, read_chunks, stored: Stored::Rows };
        Ok(NetcdfReader { path, meta, info, order: ByteOrder::Big, elements })
    }
}

/// The bytes of an element.
fn size_of(kind: u32) -> Option<usize> {
    if kind == CHARS { Some(1) } else { dtype_of(kind).map(DType::size) }
}

fn dtype_of(kind: u32) -> Option<DType> {
    Some(match kind {
        1 => DType::I8,
        3 => DType::I16,
        4 => DType::I32,
        5 => DType::F32,
        6 => DType::F64,
        7 => DType::U8,
        8 => DType::U16,
        9 => DType::U32,
        10 => DType::I64,
        11 => DType::U64,
        _ => return None,
    })
}

/// Why a header could not be read.
enum Failed {
    /// It goes on; it has at least so many bytes.
    Short(u64),
    Format(FormatError),
}

/// The reading of a header.
struct Cursor<'a> {
    path: &'a str,
    bytes: &'a [u8],
    at: usize,
    /// Whether numbers of things have eight bytes.
    wide: bool,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, n: u64) -> Result<&'a [u8], Failed> {
        let end = (self.at as u64).saturating_add(n);
        if end > self.bytes.len() as u64 {
            return Err(Failed::Short(end));
        }
        let taken = &self.bytes[self.at..end as usize];
        self.at = end as usize;
        Ok(taken)
    }

    fn corrupt(&self, reason: String) -> Failed {
        Failed::Format(corrupt(self.path, format!("at byte {}: {reason}", self.at)))
    }

    fn u32(&mut self) -> Result<u32, Failed> {
        Ok(self.take(4)?.iter().fold(0, |n, &byte| (n << 8) | u32::from(byte)))
    }

    fn u64(&mut self) -> Result<u64, Failed> {
        Ok(self.take(8)?.iter().fold(0, |n, &byte| (n << 8) | u64::from(byte)))
    }

    fn count(&mut self) -> Result<u64, Failed> {
        if self.wide { self.u64() } else { Ok(u64::from(self.u32()?)) }
    }

    /// Bytes that are filled up to four.
    fn padded(&mut self, n: u64) -> Result<&'a [u8], Failed> {
        let padded = n.checked_next_multiple_of(4).ok_or_else(|| self.corrupt(format!("{n} bytes")))?;
        Ok(&self.take(padded)?[..n as usize])
    }

    fn name(&mut self) -> Result<String, Failed> {
        let n = self.count()?;
        Ok(String::from_utf8_lossy(self.padded(n)?).into_owned())
    }

    /// How many things of a kind follow.
    fn list(&mut self, tag: u32) -> Result<u64, Failed> {
        match (self.u32()?, self.count()?) {
            (0, 0) => Ok(0),
            (got, n) if got == tag => Ok(n),
            (got, _) => Err(self.corrupt(format!("got a list of {got}, expected one of {tag}"))),
        }
    }

    fn attributes(&mut self) -> Result<Map<String, Value>, Failed> {
        let mut attributes = Map::new();
        for _ in 0..self.list(TAG_ATTRIBUTES)? {
            let name = self.name()?;
            let (kind, n) = (self.u32()?, self.count()?);
            let size = size_of(kind).ok_or_else(|| self.corrupt(format!("a type {kind}")))? as u64;
            let bytes = n.checked_mul(size).ok_or_else(|| self.corrupt(format!("{n} values")))?;
            let bytes = self.padded(bytes)?;
            let value = match dtype_of(kind) {
                Some(dtype) => values(bytes.to_vec(), dtype, ByteOrder::Big),
                None => Value::from(String::from_utf8_lossy(bytes).trim_end_matches('\0')),
            };
            attributes.insert(name, value);
        }
        Ok(attributes)
    }

    fn header(&mut self) -> Result<Header, Failed> {
        let magic = self.take(4)?;
        let version = magic[3];
        if ![1, 2, 5].contains(&version) {
            let what = format!("version {version} of the classic format of NetCDF, expected 1, 2 or 5");
            return Err(Failed::Format(FormatError::Unsupported { path: self.path.to_owned(), what }));
        }
        self.wide = version == 5;
        let n_records = self.count()?;
        let streamed = if self.wide { u64::MAX } else { u64::from(u32::MAX) };
        let mut dims = Vec::new();
        for _ in 0..self.list(TAG_DIMENSIONS)? {
            dims.push((self.name()?, self.count()?));
        }
        let attributes = self.attributes()?;
        let mut variables = Vec::new();
        for _ in 0..self.list(TAG_VARIABLES)? {
            let name = self.name()?;
            let n_axes = self.count()?;
            if n_axes > AXES_MAX {
                return Err(self.corrupt(format!("{n_axes} axes")));
            }
            let dims = (0..n_axes).map(|_| self.count().map(|n| n as usize)).collect::<Result<_, _>>()?;
            let attributes = self.attributes()?;
            let kind = self.u32()?;
            // Its size in bytes, which is too short for large arrays, and follows from its shape.
            self.count()?;
            let begin = if version == 1 { u64::from(self.u32()?) } else { self.u64()? };
            variables.push(Variable { name, dims, attributes, kind, begin });
        }
        Ok(Header { n_records: (n_records != streamed).then_some(n_records), dims, attributes, variables })
    }
}

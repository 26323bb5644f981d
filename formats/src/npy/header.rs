//! The header of an `.npy` file, versions 1 to 3: parsed within bounds, and written as NumPy writes it.
//!
//! Owns the header's grammar. Must not know files: it is given bytes and the name to put in an error.
//! Source of the format: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.

use crate::FormatError;
use crate::elements::{self, ByteOrder, from_numpy_name, numpy_name};
use crate::region;
use tilework_expr::DType;

const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// Bytes that say how long the header is: magic, version and a length of 2 or 4 bytes.
pub(crate) const PREFIX_BYTES: usize = 12;
/// The longest header that is read. NumPy refuses more than 10,000 bytes by default.
pub(crate) const HEADER_BYTES_MAX: usize = 64 * 1024;
/// The largest number of axes that is read; NumPy 2 allows 64.
const AXES_MAX: usize = 64;
/// NumPy aligns the data to this.
const ALIGN_BYTES: usize = 64;

/// What a header says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Header {
    pub dtype: DType,
    pub order: ByteOrder,
    /// The first axis varies fastest.
    pub fortran: bool,
    pub shape: Vec<usize>,
    /// Bytes from the file's start to the first element.
    pub data_start: usize,
    /// Bytes of all elements.
    pub data_bytes: usize,
}

fn not_an_array(path: &str, reason: impl Into<String>) -> FormatError {
    FormatError::NotAnArray { path: path.to_owned(), reason: reason.into() }
}

/// Bytes from the file's start to its data, from the first [`PREFIX_BYTES`] (or all, if there are fewer).
pub(crate) fn data_start(path: &str, prefix: &[u8]) -> Result<usize, FormatError> {
    if !prefix.starts_with(MAGIC) {
        let got = &prefix[..prefix.len().min(MAGIC.len())];
        return Err(not_an_array(path, format!("got the first bytes {got:02x?}, expected {MAGIC:02x?}")));
    }
    let truncated = || FormatError::Truncated {
        path: path.to_owned(),
        expected: PREFIX_BYTES as u64,
        got: prefix.len() as u64,
    };
    let (start, len) = match prefix.get(6).ok_or_else(truncated)? {
        1 => match prefix.get(8..10) {
            Some(&[a, b]) => (10, usize::from(u16::from_le_bytes([a, b]))),
            _ => return Err(truncated()),
        },
        2 | 3 => match prefix.get(8..12) {
            Some(&[a, b, c, d]) => (12, u32::from_le_bytes([a, b, c, d]) as usize),
            _ => return Err(truncated()),
        },
        other => return Err(not_an_array(path, format!("got npy version {other}, expected 1, 2 or 3"))),
    };
    if len > HEADER_BYTES_MAX {
        let reason = format!("got a header of {len} bytes, expected at most {HEADER_BYTES_MAX}");
        return Err(not_an_array(path, reason));
    }
    Ok(start + len)
}

/// Parses the bytes from the file's start to its data (more may follow).
pub(crate) fn parse(path: &str, bytes: &[u8]) -> Result<Header, FormatError> {
    let data_start = data_start(path, &bytes[..bytes.len().min(PREFIX_BYTES)])?;
    let text_start = if bytes[6] == 1 { 10 } else { 12 };
    let text = bytes.get(text_start..data_start).ok_or_else(|| FormatError::Truncated {
        path: path.to_owned(),
        expected: data_start as u64,
        got: bytes.len() as u64,
    })?;
    let text = std::str::from_utf8(text).map_err(|e| not_an_array(path, format!("header text: {e}")))?;
    let entries = Parser { path, rest: text }.dictionary()?;
    let (dtype, order) = from_numpy_name(&entries.descr).ok_or_else(|| FormatError::UnsupportedDType {
        path: path.to_owned(),
        got: elements::in_words(&entries.descr.clone().into()),
    })?;
    let (shape, data_bytes) = region::checked_shape(path, &entries.shape, dtype.size())?;
    Ok(Header { dtype, order, fortran: entries.fortran, shape, data_start, data_bytes })
}

/// The header of a C-order, little-endian file, aligned as NumPy aligns it; version 1, or 2 where that is too short.
pub(crate) fn write(shape: &[usize], dtype: DType) -> Vec<u8> {
    let lens: String = shape.iter().map(|n| format!("{n}, ")).collect();
    // One axis needs the trailing comma, more axes do not have it.
    let lens = if shape.len() == 1 { lens.trim_end() } else { lens.trim_end_matches(", ") };
    let dict = format!("{{'descr': '{}', 'fortran_order': False, 'shape': ({lens}), }}", numpy_name(dtype));
    let pad = |start: usize| (dict.len() + 1 + start).next_multiple_of(ALIGN_BYTES) - start;
    let mut out = MAGIC.to_vec();
    if let Ok(len) = u16::try_from(pad(10)) {
        out.extend([1, 0]);
        out.extend(len.to_le_bytes());
    } else {
        let len = u32::try_from(pad(12)).expect("a shape has few axes");
        out.extend([2, 0]);
        out.extend(len.to_le_bytes());
    }
    let end = out.len() + pad(out.len());
    out.extend(dict.as_bytes());
    out.resize(end - 1, b' ');
    out.push(b'\n');
    out
}

struct Entries {
    descr: String,
    fortran: bool,
    shape: Vec<u64>,
}

/// The part of Python's literal syntax that NumPy writes.
struct Parser<'a> {
    path: &'a str,
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn fail<T>(&self, expected: &str) -> Result<T, FormatError> {
        let got: String = self.rest.chars().take(20).collect();
        Err(not_an_array(self.path, format!("header: got `{got}`, expected {expected}")))
    }

    /// Takes `token` if it comes next, after blanks.
    fn eat(&mut self, token: &str) -> bool {
        self.rest = self.rest.trim_start();
        let Some(rest) = self.rest.strip_prefix(token) else { return false };
        self.rest = rest;
        true
    }

    fn need(&mut self, token: &str) -> Result<(), FormatError> {
        if self.eat(token) { Ok(()) } else { self.fail(&format!("`{token}`")) }
    }

    fn dictionary(mut self) -> Result<Entries, FormatError> {
        let (mut descr, mut fortran, mut shape) = (None, None, None);
        self.need("{")?;
        while !self.eat("}") {
            let key = self.string()?;
            self.need(":")?;
            let twice = match key {
                "descr" => descr.replace(self.descr()?).is_some(),
                "fortran_order" => fortran.replace(self.boolean()?).is_some(),
                "shape" => shape.replace(self.shape()?).is_some(),
                _ => return Err(not_an_array(self.path, format!("header: unknown key `{key}`"))),
            };
            if twice {
                return Err(not_an_array(self.path, format!("header: key `{key}` twice")));
            }
            if !self.eat(",") {
                self.need("}")?;
                break;
            }
        }
        if !self.rest.trim().is_empty() {
            return self.fail("the header's end");
        }
        match (descr, fortran, shape) {
            (Some(descr), Some(fortran), Some(shape)) => Ok(Entries { descr, fortran, shape }),
            _ => Err(not_an_array(self.path, "header: expected the keys descr, fortran_order and shape")),
        }
    }

    fn string(&mut self) -> Result<&'a str, FormatError> {
        let quote = if self.eat("'") {
            '\''
        } else if self.eat("\"") {
            '"'
        } else {
            return self.fail("a string");
        };
        let rest = self.rest;
        let Some((text, after)) = rest.split_once(quote) else { return self.fail("a closing quote") };
        self.rest = after;
        Ok(text)
    }

    /// A type string; a list is a record type, which no array here can hold.
    fn descr(&mut self) -> Result<String, FormatError> {
        if self.eat("[") {
            let fields: String = self.rest.chars().take(60).collect();
            return Err(FormatError::UnsupportedDType {
                path: self.path.to_owned(),
                got: format!("[{fields}"),
            });
        }
        self.string().map(str::to_owned)
    }

    fn boolean(&mut self) -> Result<bool, FormatError> {
        if self.eat("True") {
            Ok(true)
        } else if self.eat("False") {
            Ok(false)
        } else {
            self.fail("True or False")
        }
    }

    /// A tuple of lengths; Python 2 wrote `3L`.
    fn shape(&mut self) -> Result<Vec<u64>, FormatError> {
        self.need("(")?;
        let mut shape = Vec::new();
        while !self.eat(")") {
            if shape.len() == AXES_MAX {
                return self.fail(&format!("at most {AXES_MAX} axes"));
            }
            self.rest = self.rest.trim_start();
            let digits = self.rest.len() - self.rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let Ok(len) = self.rest[..digits].parse() else { return self.fail("an axis length") };
            self.rest = &self.rest[digits..];
            shape.push(len);
            self.eat("L");
            if !self.eat(",") {
                self.need(")")?;
                break;
            }
        }
        Ok(shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn v1(dict: &str) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend([1, 0]);
        bytes.extend((dict.len() as u16).to_le_bytes());
        bytes.extend(dict.as_bytes());
        bytes
    }

    #[test]
    fn written_headers_are_numpys() {
        let bytes = write(&[3, 4], DType::F64);
        assert_eq!(bytes.len(), 128);
        assert_eq!(&bytes[..10], b"\x93NUMPY\x01\x00\x76\x00");
        assert!(bytes[10..].starts_with(b"{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }  "));
        assert!(
            write(&[3], DType::Bool)[10..]
                .starts_with(b"{'descr': '|b1', 'fortran_order': False, 'shape': (3,), }")
        );
        assert!(
            write(&[], DType::Bool)[10..]
                .starts_with(b"{'descr': '|b1', 'fortran_order': False, 'shape': (), }")
        );
    }

    #[test]
    fn versions_orders_and_old_spellings_are_read() {
        let header = parse("x", &v1("{\"shape\": (2L, 3L), 'fortran_order':True,'descr':'>i2'}\n")).unwrap();
        assert_eq!((header.dtype, header.order, header.fortran), (DType::I16, ByteOrder::Big, true));
        assert_eq!((header.shape, header.data_bytes), (vec![2, 3], 12));
        for version in [2, 3] {
            let dict = b"{'descr': '<c8', 'fortran_order': False, 'shape': (5,), }\n";
            let mut bytes = MAGIC.to_vec();
            bytes.extend([version, 0, dict.len() as u8, 0, 0, 0]);
            bytes.extend(dict);
            let header = parse("x", &bytes).unwrap();
            assert_eq!((header.dtype, header.data_start), (DType::C32, 12 + dict.len()));
        }
    }

    #[test]
    fn bad_headers_say_what_is_wrong() {
        let text = |bytes: &[u8]| parse("a.npy", bytes).unwrap_err().to_string();
        assert!(
            text(b"PK\x03\x04").contains("a.npy: not a readable array: got the first bytes [50, 4b, 03, 04]")
        );
        assert!(text(b"\x93NUMPY\x07\x00").contains("got npy version 7, expected 1, 2 or 3"));
        assert!(text(b"\x93NUMPY\x02\x00\xff\xff\xff\xff").contains("at most 65536"));
        assert!(text(b"\x93NUMPY\x01\x00\x10\x00{").contains("got 11 bytes, expected 26"));
        let dict = |d: &str| text(&v1(d));
        assert!(dict("{'descr': '<f2', 'fortran_order': False, 'shape': (1,)}").contains("element type <f2"));
        assert!(dict("{'descr': [('a', '<f8')], 'shape': (1,)}").contains("element type [('a'"));
        assert!(dict("{'descr': '<f8', 'shape': (1,)}").contains("expected the keys"));
        assert!(dict("{'descr': '<f8', 'descr': '<f8'}").contains("`descr` twice"));
        assert!(dict("{'evil': 1}").contains("unknown key `evil`"));
        assert!(dict("{'shape': (-1,)}").contains("got `-1,)}`, expected an axis length"));
        let huge = "{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296, 4294967296)}";
        assert!(dict(huge).contains("too large"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse("x", &bytes);
        }

        #[test]
        fn any_bytes_after_a_good_start_are_read_or_refused(
            version in 0u8..5, text in "[ -~é{}()\\[\\],:'\"]{0,200}", extra in 0usize..20,
        ) {
            let mut bytes = MAGIC.to_vec();
            bytes.extend([version, 0]);
            bytes.extend(((text.len() + extra) as u16).to_le_bytes());
            bytes.extend(text.as_bytes());
            let _ = parse("x", &bytes);
        }

        #[test]
        fn one_changed_byte_is_read_or_refused(at in 0usize..128, to in any::<u8>()) {
            let mut bytes = write(&[123, 456], DType::F64);
            bytes[at] = to;
            let _ = parse("x", &bytes);
        }

        #[test]
        fn written_headers_are_read(shape in proptest::collection::vec(0usize..1000, 0..7), code in 0u8..13) {
            let dtype = DType::from_code(code).unwrap();
            prop_assume!(region::n_bytes(&shape, dtype.size()).is_some());
            let bytes = write(&shape, dtype);
            prop_assert_eq!(bytes.len() % ALIGN_BYTES, 0);
            let header = parse("x", &bytes).unwrap();
            prop_assert_eq!((header.shape, header.dtype, header.fortran), (shape, dtype, false));
            prop_assert_eq!(header.data_start, bytes.len());
        }
    }
}

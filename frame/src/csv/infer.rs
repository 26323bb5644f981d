//! What CSV files hold, found on some of their rows: names, types, where the rows begin. Must not know how tasks read
//! them.

use super::{CsvOptions, is_of};
use crate::api::{Result, widened};
use crate::error::FrameError;
use crate::files::File;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use std::collections::HashSet;
use std::io::{BufRead, BufReader, Cursor, Read, Seek, SeekFrom};
use std::sync::Arc;

/// Bytes that are looked at at the head, in the middle and at the end of a file, each.
const SAMPLE_BYTES: u64 = 256 << 10;
/// What a file of UTF-8 may begin with.
const BOM: &[u8] = &[0xef, 0xbb, 0xbf];

/// A file and what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FoundFile {
    pub file: File,
    /// Its columns, in their order.
    pub columns: Vec<String>,
    /// Where its rows begin.
    pub start: u64,
    /// Its bytes.
    pub end: u64,
    /// Whether it can be read in parts.
    pub divisible: bool,
    /// Whether its bytes are not those of its text.
    pub compressed: bool,
}

/// Files and the columns of all of them.
pub(crate) struct Found {
    pub files: Vec<FoundFile>,
    pub schema: SchemaRef,
}

/// What files hold.
///
/// # Errors
/// [`FrameError::File`] if one cannot be read, [`FrameError::Drift`] if types of a column do not go together.
pub(crate) fn found(all: Vec<File>, options: &CsvOptions) -> Result<Found> {
    let nulls: HashSet<String> = options.nulls().into_iter().collect();
    let mut files = Vec::with_capacity(all.len());
    // Each column with its type, if one is known, and the file that it is known from.
    let mut columns: Vec<(String, Option<DataType>, usize)> = Vec::new();
    for of in all {
        let (file, types) = one(&of, options, &nulls).map_err(|error| FrameError::file(of.path(), error))?;
        for (name, found) in file.columns.iter().zip(types) {
            let said = said(name, options);
            let found = said.clone().or(found);
            match columns.iter_mut().find(|(other, _, _)| other == name) {
                None => columns.push((name.clone(), found, files.len())),
                Some((_, known, from)) => match (known.as_ref(), found) {
                    (_, None) => {}
                    (None, found) => (*known, *from) = (found, files.len()),
                    (Some(a), Some(b)) => *known = Some(joined(a, &b, (name, &files, *from, &of))?),
                },
            }
        }
        files.push(file);
    }
    let names: Vec<&str> = columns.iter().map(|(name, _, _)| name.as_str()).collect();
    let asked =
        options.columns.iter().chain(options.dtypes.iter().map(|(name, _)| name)).chain(&options.parse_dates);
    for name in asked {
        if !names.contains(&name.as_str()) {
            let schema =
                Schema::new(names.iter().map(|n| Field::new(*n, DataType::Utf8, true)).collect::<Vec<_>>());
            return Err(crate::api::no_column(name, &schema.try_into()?));
        }
    }
    let kept = |name: &String| options.columns.is_empty() || options.columns.contains(name);
    let fields = columns.into_iter().filter(|(name, _, _)| kept(name));
    let fields = fields.map(|(name, found, _)| Field::new(name, found.unwrap_or(DataType::Utf8), true));
    Ok(Found { files, schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())) })
}

/// The type that the options say for a column.
fn said(name: &str, options: &CsvOptions) -> Option<DataType> {
    let dtype = options.dtypes.iter().find(|(of, _)| of == name).map(|(_, dtype)| dtype.clone());
    let time = || {
        let time = options.parse_dates.iter().any(|of| of == name);
        time.then_some(DataType::Timestamp(TimeUnit::Microsecond, None))
    };
    dtype.or_else(time)
}

/// The type of a column that two files have.
fn joined(
    a: &DataType,
    b: &DataType,
    (column, files, first, second): (&str, &[FoundFile], usize, &File),
) -> Result<DataType> {
    widened(a, b).ok_or_else(|| FrameError::Drift {
        column: column.to_owned(),
        first_file: files.get(first).map_or_else(String::new, |found| found.file.to_string()),
        first: a.to_string(),
        second_file: second.to_string(),
        second: b.to_string(),
    })
}

type Io<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// A file, and the type of each of its columns as far as it was seen.
fn one(file: &File, options: &CsvOptions, nulls: &HashSet<String>) -> Io<(FoundFile, Vec<Option<DataType>>)> {
    let bytes = file.bytes()?;
    if !file.is_compressed() {
        return one_of(file, BufReader::new(file.open()?), bytes, (options, nulls));
    }
    // Only its beginning is looked at.
    let mut text = Vec::new();
    file.text(0, u64::MAX)?.take(3 * SAMPLE_BYTES).read_to_end(&mut text)?;
    let whole = (text.len() as u64) < 3 * SAMPLE_BYTES;
    let end = text.len() as u64 + u64::from(!whole);
    let (mut found, types) = one_of(file, BufReader::new(Cursor::new(text)), end, (options, nulls))?;
    (found.end, found.divisible, found.compressed) = (bytes, false, true);
    Ok((found, types))
}

/// The same, of the text of a file.
fn one_of<R: Read + Seek>(
    of: &File,
    mut file: BufReader<R>,
    end: u64,
    (options, nulls): (&CsvOptions, &HashSet<String>),
) -> Io<(FoundFile, Vec<Option<DataType>>)> {
    let mut start = if file.fill_buf()?.starts_with(BOM) { BOM.len() as u64 } else { 0 };
    file.seek(SeekFrom::Start(start))?;
    let mut line = Vec::new();
    for _ in 0..options.skip_rows {
        start += file.read_until(b'\n', &mut line)? as u64;
    }
    let mut reader = reader(options).from_reader(file.by_ref().take(SAMPLE_BYTES));
    let mut record = csv::StringRecord::new();
    let any = reader.read_record(&mut record)?;
    let columns = if !any {
        Vec::new()
    } else if options.has_header {
        start += reader.position().byte();
        unique_names(&record)
    } else {
        (1..=record.len()).map(|n| format!("column_{n}")).collect()
    };
    drop(reader);
    let mut seen =
        Seen { types: vec![None; columns.len()], options, nulls, newlines: options.newlines_in_values };
    // The rows at the head, in the middle and at the end, the latter two from the next line on.
    let middle = start + (end - start.min(end)) / 2;
    for (from, whole) in [(start, true), (middle, false), (end.saturating_sub(SAMPLE_BYTES), false)] {
        if whole || from > start + SAMPLE_BYTES {
            seen.sample(&mut file, from, end, whole)?;
        }
    }
    let divisible = !seen.newlines;
    Ok((FoundFile { file: of.clone(), columns, start, end, divisible, compressed: false }, seen.types))
}

/// A reader of rows.
pub(super) fn reader(options: &CsvOptions) -> csv::ReaderBuilder {
    let mut reader = csv::ReaderBuilder::new();
    reader.has_headers(false).flexible(true).delimiter(options.separator);
    reader.quote(options.quote).comment(options.comment);
    reader
}

/// The names of columns; one that is there before gets a number, as in pandas.
fn unique_names(record: &csv::StringRecord) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(record.len());
    for (place, name) in record.iter().enumerate() {
        let name = if name.is_empty() { format!("column_{}", place + 1) } else { name.to_owned() };
        let numbered = (1..).map(|n| format!("{name}.{n}"));
        let mut free = [name.clone()].into_iter().chain(numbered).filter(|name| !names.contains(name));
        names.extend(free.next());
    }
    names
}

/// What was seen of a file.
struct Seen<'a> {
    types: Vec<Option<DataType>>,
    options: &'a CsvOptions,
    nulls: &'a HashSet<String>,
    newlines: bool,
}

impl Seen<'_> {
    /// Looks at rows from a place on.
    fn sample<R: Read + Seek>(
        &mut self,
        file: &mut BufReader<R>,
        from: u64,
        end: u64,
        whole: bool,
    ) -> Io<()> {
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.by_ref().take(SAMPLE_BYTES).read_to_end(&mut bytes)?;
        let cut = from + (bytes.len() as u64) < end;
        let first =
            if whole { 0 } else { bytes.iter().position(|b| *b == b'\n').map_or(bytes.len(), |at| at + 1) };
        let mut reader = reader(self.options).from_reader(&bytes[first..]);
        let mut record = csv::StringRecord::new();
        while reader.read_record(&mut record)? {
            // The last row may be half of one; a place within quotes gives rows of another length.
            if (cut && reader.is_done()) || record.len() != self.types.len() {
                continue;
            }
            for (known, text) in self.types.iter_mut().zip(&record) {
                self.newlines |= text.contains('\n');
                if !self.nulls.contains(text) {
                    *known = Some(narrowest(known.take(), text));
                }
            }
        }
        Ok(())
    }
}

/// The narrowest type that holds what was seen and this text.
fn narrowest(known: Option<DataType>, text: &str) -> DataType {
    let order = [DataType::Boolean, DataType::Int64, DataType::Float64];
    match known {
        None => order.into_iter().find(|t| is_of(text, t)).unwrap_or(DataType::Utf8),
        Some(DataType::Int64) if !is_of(text, &DataType::Int64) && is_of(text, &DataType::Float64) => {
            DataType::Float64
        }
        Some(known) if is_of(text, &known) => known,
        Some(_) => DataType::Utf8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_the_narrowest_that_hold_all_values() {
        let of = |texts: &[&str]| texts.iter().fold(None, |known, text| Some(narrowest(known, text)));
        let cases: [(&[&str], DataType); 8] = [
            (&["1", "-2"], DataType::Int64),
            (&["1", "2.5"], DataType::Float64),
            (&["2.5", "1"], DataType::Float64),
            (&["1", "x"], DataType::Utf8),
            (&["true", "FALSE"], DataType::Boolean),
            (&["true", "1"], DataType::Utf8),
            (&["99999999999999999999"], DataType::Float64),
            (&[" 1"], DataType::Utf8),
        ];
        for (texts, expected) in cases {
            assert_eq!(of(texts), Some(expected), "{texts:?}");
        }
        let names = csv::StringRecord::from(vec!["x", "x", "", "x.1"]);
        assert_eq!(unique_names(&names), ["x", "x.1", "column_3", "x.1.1"]);
    }
}

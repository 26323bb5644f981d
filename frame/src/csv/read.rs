//! Reads rows of a CSV file from one place in it to another one. Must not know of partitions.

use super::infer::reader;
use super::{CsvError, CsvOptions, is_of};
use crate::error::DataError;
use crate::files::File;
use crate::objects::Refused;
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, TimestampMicrosecondArray, new_null_array,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::csv::reader::{Decoder, ReaderBuilder};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use regex::Regex;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Take};
use std::sync::Arc;

/// Bytes that are read at once.
const READ_BYTES: usize = 1 << 20;

/// What is read, and as what.
pub(super) struct Wanted<'a> {
    pub file: &'a File,
    /// The file's columns.
    pub columns: &'a [String],
    /// The columns that are wanted, in their order.
    pub schema: SchemaRef,
    pub options: &'a CsvOptions,
    pub batch_rows: usize,
}

/// Rows of a file, batch by batch.
pub(super) struct Rows {
    of: File,
    columns: Vec<String>,
    schema: SchemaRef,
    options: CsvOptions,
    file: BufReader<Take<Box<dyn Read + Send>>>,
    /// Where it began, and where it ends.
    range: (u64, u64),
    decoder: Decoder,
    /// What the decoder gives.
    decoded: SchemaRef,
}

/// What a column is decoded as: times are texts first.
fn decoded_as(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Timestamp(_, _) => DataType::Utf8,
        other => other.clone(),
    }
}

impl Rows {
    /// The rows whose lines begin from one place on and before another one.
    pub(super) fn open(wanted: &Wanted<'_>, first: u64, start: u64, end: u64) -> Result<Rows, DataError> {
        let failed = |error: &(dyn std::error::Error + 'static)| failed(wanted.file, error);
        let (start, end) = match wanted.file.is_compressed() {
            true => (start, end),
            false => lines(wanted.file, first, start, end).map_err(|e| failed(&e))?,
        };
        let file = wanted.file.text(start, end).map_err(|e| failed(&e))?;
        let of = |name: &String| match wanted.schema.field_with_name(name) {
            Ok(field) => Field::new(name, decoded_as(field.data_type()), true),
            Err(_) => Field::new(name, DataType::Utf8, true),
        };
        let all = Arc::new(Schema::new(wanted.columns.iter().map(of).collect::<Vec<_>>()));
        let places: Vec<usize> = (0..all.fields().len())
            .filter(|at| wanted.schema.index_of(all.field(*at).name()).is_ok())
            .collect();
        let decoded = Arc::new(all.project(&places).map_err(|e| failed(&e))?);
        let options = wanted.options;
        let nulls = options.nulls().iter().map(|text| regex::escape(text)).collect::<Vec<_>>().join("|");
        let nulls = Regex::new(&format!("^({nulls})$")).map_err(|e| failed(&e))?;
        let mut builder = ReaderBuilder::new(all)
            .with_header(false)
            .with_delimiter(options.separator)
            .with_quote(options.quote)
            .with_batch_size(wanted.batch_rows)
            .with_projection(places)
            .with_null_regex(nulls);
        if let Some(comment) = options.comment {
            builder = builder.with_comment(comment);
        }
        Ok(Rows {
            of: wanted.file.clone(),
            columns: wanted.columns.to_vec(),
            schema: wanted.schema.clone(),
            options: options.clone(),
            file: BufReader::with_capacity(READ_BYTES, file.take(end.saturating_sub(start))),
            range: (start, end),
            decoder: builder.build_decoder(),
            decoded,
        })
    }

    /// The next rows, or none.
    pub(super) fn next(&mut self) -> Result<Option<RecordBatch>, DataError> {
        let batch = self.decoded().map_err(|error| self.located(&error))?;
        batch.map(|batch| self.arranged(&batch).map_err(|error| self.located(&error))).transpose()
    }

    fn decoded(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        loop {
            let bytes = self.file.fill_buf()?;
            let read = self.decoder.decode(bytes)?;
            self.file.consume(read);
            if read == 0 || self.decoder.capacity() == 0 {
                return self.decoder.flush();
            }
        }
    }

    /// The columns that are wanted, with those that the file does not have.
    fn arranged(&self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let column = |field: &Arc<Field>| -> Result<ArrayRef, ArrowError> {
            let Ok(at) = self.decoded.index_of(field.name()) else {
                return Ok(new_null_array(field.data_type(), batch.num_rows()));
            };
            let column = batch.column(at);
            match field.data_type() {
                DataType::Timestamp(_, _) => times(column, field.data_type()),
                _ => Ok(column.clone()),
            }
        };
        let columns = self.schema.fields().iter().map(column).collect::<Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)
    }

    /// The error with the place of the first value that does not fit.
    fn located(&self, error: &ArrowError) -> DataError {
        if let Some(why) = Refused::in_chain(error) {
            return why.into();
        }
        match self.first_wrong() {
            Ok(Some(wrong)) => DataError::Csv(Box::new(wrong)),
            Ok(None) => failed(&self.of, error),
            Err(error) => failed(&self.of, &error),
        }
    }

    fn first_wrong(&self) -> Result<Option<CsvError>, csv::Error> {
        let (start, end) = self.range;
        let mut file = BufReader::new(self.of.text(0, end)?);
        let mut line = 1 + newlines(file.by_ref().take(start))?;
        let nulls = self.options.nulls();
        let mut reader = reader(&self.options).from_reader(file.take(end.saturating_sub(start)));
        let mut record = csv::StringRecord::new();
        let before = line;
        while reader.read_record(&mut record)? {
            let (byte, number) = record.position().map_or((0, 1), |at| (at.byte(), at.line()));
            line = before + number - 1;
            let file = self.of.to_string();
            if record.len() != self.columns.len() {
                line += self.left_out(start + byte)?;
                let (got, expected) = (record.len(), self.columns.len());
                return Ok(Some(CsvError::Ragged { file, line, got, expected }));
            }
            for (name, text) in self.columns.iter().zip(&record) {
                let Ok(field) = self.schema.field_with_name(name) else { continue };
                if nulls.iter().any(|null| null == text) || is_of(text, field.data_type()) {
                    continue;
                }
                line += self.left_out(start + byte)?;
                let (column, text, expected) = (name.clone(), text.to_owned(), field.data_type().to_string());
                return Ok(Some(CsvError::Value { file, line, column, text, expected }));
            }
        }
        Ok(None)
    }
}

impl Rows {
    /// How many lines from a place on are none of rows: empty ones and comments.
    fn left_out(&self, from: u64) -> std::io::Result<u64> {
        let mut file = BufReader::new(self.of.text(from, self.range.1)?);
        let (mut n, mut line) = (0, Vec::new());
        while file.read_until(b'\n', &mut line)? > 0 {
            let comment = self.options.comment.is_some_and(|comment| line.first() == Some(&comment));
            if !comment && !line.trim_ascii().is_empty() {
                break;
            }
            n += 1;
            line.clear();
        }
        Ok(n)
    }
}

/// Texts as times.
fn times(texts: &ArrayRef, as_type: &DataType) -> Result<ArrayRef, ArrowError> {
    let texts = texts.as_string::<i32>();
    let mut times = Vec::with_capacity(texts.len());
    for text in texts {
        let time = text.map(|text| crate::functions::datetime::parsed(text, None));
        if time == Some(None) {
            return Err(ArrowError::ParseError(format!("{:?} is no time", text.unwrap_or(""))));
        }
        times.push(time.flatten());
    }
    cast(&TimestampMicrosecondArray::from(times), as_type)
}

/// Why a file was not read; what an object store says keeps its type.
fn failed(file: &File, error: &(dyn std::error::Error + 'static)) -> DataError {
    let csv = || CsvError::Other { file: file.to_string(), reason: error.to_string() };
    Refused::in_chain(error).map_or_else(|| DataError::Csv(Box::new(csv())), DataError::from)
}

/// The range moved to the beginnings of lines: of those that begin in it.
fn lines(file: &File, first: u64, start: u64, end: u64) -> std::io::Result<(u64, u64)> {
    let length = file.bytes()?;
    let next_line = |at: u64| -> std::io::Result<u64> {
        if at <= first || at >= length {
            return Ok(at.min(length));
        }
        let mut reader = BufReader::new(file.open()?);
        reader.seek(SeekFrom::Start(at - 1))?;
        let mut at = at - 1;
        loop {
            let bytes = reader.fill_buf()?;
            let n = bytes.len();
            match bytes.iter().position(|b| *b == b'\n') {
                _ if n == 0 => return Ok(length),
                Some(place) => return Ok(at + place as u64 + 1),
                None => at += n as u64,
            }
            reader.consume(n);
        }
    };
    Ok((next_line(start)?, next_line(end)?))
}

fn newlines(mut from: impl BufRead) -> std::io::Result<u64> {
    let mut count = 0;
    loop {
        let bytes = from.fill_buf()?;
        if bytes.is_empty() {
            return Ok(count);
        }
        let n = bytes.len();
        count += bytes.iter().filter(|b| **b == b'\n').count() as u64;
        from.consume(n);
    }
}

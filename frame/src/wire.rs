//! Batches as bytes: messages of Arrow's IPC stream format without the schema, which the reader knows from its plan. Bytes
//! are checked before they are believed: whoever sent them, reading them is an error or right, and never a panic.
//!
//! Dictionaries travel as their values, since two batches' codes are never the same. Must not know of pieces or plans.

use crate::error::TaskError;
use bytes::Bytes;
use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use datafusion::arrow::buffer::Buffer;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::ipc;
use datafusion::arrow::ipc::reader::read_record_batch;
use datafusion::arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
use std::collections::HashMap;
use std::sync::Arc;

/// What the columns of a batch are aligned to: the widest value, 128 bits.
const ALIGNMENT: usize = 16;
/// Rows of a batch that are believed.
const BATCH_ROWS_MAX: i64 = u32::MAX as i64;
/// What a message begins with.
const CONTINUATION: [u8; 4] = [0xff; 4];

/// Whether columns of these types can be exchanged; the first that cannot.
pub(crate) fn unsupported(schema: &Schema) -> Option<String> {
    fn of(field: &Field) -> Option<String> {
        match field.data_type() {
            DataType::Union(_, _)
            | DataType::RunEndEncoded(_, _)
            | DataType::ListView(_)
            | DataType::LargeListView(_) => Some(format!("column {} of {}", field.name(), field.data_type())),
            DataType::List(f)
            | DataType::LargeList(f)
            | DataType::FixedSizeList(f, _)
            | DataType::Map(f, _) => of(f),
            DataType::Struct(fields) => fields.iter().find_map(|f| of(f)),
            _ => None,
        }
    }
    schema.fields().iter().find_map(|field| of(field))
}

/// The schema of what travels: values in the place of dictionaries.
fn on_wire(schema: &SchemaRef) -> SchemaRef {
    fn field(f: &Arc<Field>) -> Arc<Field> {
        let data_type = match f.data_type() {
            DataType::Dictionary(_, values) => values.as_ref().clone(),
            DataType::List(f) => DataType::List(field(f)),
            DataType::LargeList(f) => DataType::LargeList(field(f)),
            DataType::FixedSizeList(f, n) => DataType::FixedSizeList(field(f), *n),
            DataType::Map(f, sorted) => DataType::Map(field(f), *sorted),
            DataType::Struct(fields) => DataType::Struct(fields.iter().map(field).collect()),
            _ => return f.clone(),
        };
        Arc::new(f.as_ref().clone().with_data_type(data_type))
    }
    let fields: Fields = schema.fields().iter().map(field).collect();
    if &fields == schema.fields() { schema.clone() } else { Arc::new(Schema::new(fields)) }
}

/// The batch with another schema of the same columns, which differ in dictionaries at most.
fn recast(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let column = |(array, field): (&ArrayRef, &Arc<Field>)| match array.data_type() == field.data_type() {
        true => Ok(array.clone()),
        false => cast(array, field.data_type()),
    };
    let columns = batch.columns().iter().zip(schema.fields()).map(column).collect::<Result<_, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options)
}

fn corrupt(what: impl std::fmt::Display) -> TaskError {
    TaskError::Corrupt(what.to_string())
}

/// Batches of this schema as bytes.
pub(crate) fn encode(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Bytes, TaskError> {
    let wire = on_wire(schema);
    let encoded = || -> Result<Vec<u8>, ArrowError> {
        let options = IpcWriteOptions::try_new(ALIGNMENT, false, ipc::MetadataVersion::V5)?;
        let mut writer = StreamWriter::try_new_with_options(Vec::new(), &wire, options)?;
        writer.get_mut().clear(); // the schema
        for batch in batches {
            writer.write(&recast(batch, &wire)?)?;
        }
        writer.flush()?;
        Ok(std::mem::take(writer.get_mut()))
    };
    encoded().map(Bytes::from).map_err(TaskError::data)
}

/// The batches that were encoded with this schema. Columns are slices of the bytes where those are aligned.
#[cfg(test)]
pub(crate) fn decode(schema: &SchemaRef, bytes: Bytes) -> Result<Vec<RecordBatch>, TaskError> {
    Decoder::new(schema, bytes).collect()
}

/// The batches that were encoded with a schema, one after another; nothing after the first that is none. A batch that is most
/// of the bytes lies where they are; one of many gets memory of its own.
pub(crate) struct Decoder {
    schema: SchemaRef,
    wire: SchemaRef,
    rest: Buffer,
    /// Bytes of all batches.
    len: usize,
}

impl Decoder {
    pub(crate) fn new(schema: &SchemaRef, bytes: Bytes) -> Decoder {
        let len = bytes.len();
        Decoder { schema: schema.clone(), wire: on_wire(schema), rest: Buffer::from(bytes), len }
    }

    fn decoded(&mut self) -> Result<RecordBatch, TaskError> {
        let (header, body) = next_message(&mut self.rest)?;
        let message = ipc::root_as_message(&header).map_err(corrupt)?;
        let batch = message.header_as_record_batch().ok_or_else(|| corrupt("a message that is no batch"))?;
        Checked::check(&batch, &self.wire, body.len())?;
        // A batch that shared the memory of many would be counted as all of them by whoever keeps it, and keep them all.
        let shared = body.len() < self.len / 2;
        let body = if shared { Buffer::from_slice_ref(body.as_slice()) } else { body };
        let none = HashMap::new();
        let batch = read_record_batch(&body, batch, self.wire.clone(), &none, None, &message.version());
        batch.and_then(|batch| recast(&batch, &self.schema)).map_err(corrupt)
    }
}

impl Iterator for Decoder {
    type Item = Result<RecordBatch, TaskError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let batch = self.decoded();
        if batch.is_err() {
            self.rest = Buffer::from(Vec::<u8>::new());
        }
        Some(batch)
    }
}

/// The header and the body of the message that the bytes begin with, which are taken off them.
fn next_message(rest: &mut Buffer) -> Result<(Buffer, Buffer), TaskError> {
    let prefix = rest.get(..8).ok_or_else(|| corrupt("cut within the length of a message"))?;
    if prefix[..4] != CONTINUATION {
        return Err(corrupt("a message does not begin as one"));
    }
    let header_len = u32::from_le_bytes([prefix[4], prefix[5], prefix[6], prefix[7]]) as usize;
    if header_len > rest.len() - 8 {
        return Err(corrupt(format!("a header of {header_len} bytes in {}", rest.len() - 8)));
    }
    let header = rest.slice_with_length(8, header_len);
    let at = 8 + header_len;
    let body_len = ipc::root_as_message(&header).map_err(corrupt)?.bodyLength();
    let body_len = usize::try_from(body_len).ok().filter(|n| *n <= rest.len() - at);
    let body_len =
        body_len.ok_or_else(|| corrupt(format!("a body that is longer than {} bytes", rest.len() - at)))?;
    let body = rest.slice_with_length(at, body_len);
    rest.advance(at + body_len);
    Ok((header, body))
}

/// A walk over the lengths in a batch's header, in the order in which arrays are made of them. What the columns' own
/// validation finds is left to it; this finds what it takes for granted.
struct Checked<'a> {
    batch: &'a ipc::RecordBatch<'a>,
    body_len: usize,
    n_nodes: usize,
    n_buffers: usize,
    n_variadic: usize,
}

impl<'a> Checked<'a> {
    fn check(batch: &'a ipc::RecordBatch<'a>, schema: &Schema, body_len: usize) -> Result<(), TaskError> {
        if batch.compression().is_some() {
            return Err(corrupt("a compressed batch"));
        }
        if !(0..=BATCH_ROWS_MAX).contains(&batch.length()) {
            return Err(corrupt(format!("a batch of {} rows", batch.length())));
        }
        let mut walk = Checked { batch, body_len, n_nodes: 0, n_buffers: 0, n_variadic: 0 };
        for field in schema.fields() {
            let length = walk.field(field)?;
            if length != batch.length() as usize {
                return Err(corrupt(format!("a column of {length} rows in a batch of {}", batch.length())));
            }
        }
        let (nodes, buffers) = (batch.nodes().map_or(0, |x| x.len()), batch.buffers().map_or(0, |x| x.len()));
        let variadic = batch.variadicBufferCounts().map_or(0, |x| x.len());
        if (nodes, buffers, variadic) != (walk.n_nodes, walk.n_buffers, walk.n_variadic) {
            return Err(corrupt("a batch with more in it than its schema has"));
        }
        Ok(())
    }

    /// Returns its length.
    fn field(&mut self, field: &Field) -> Result<usize, TaskError> {
        let (length, n_nulls) = self.node(field)?;
        if matches!(field.data_type(), DataType::Null) {
            return Ok(length);
        }
        let validity = self.buffer()?;
        if n_nulls > 0 && validity < length.div_ceil(8) {
            return Err(corrupt(format!(
                "column {}: {validity} bytes of validity for {length} rows",
                field.name()
            )));
        }
        match field.data_type() {
            DataType::Utf8 | DataType::Binary => {
                self.whole(field, 4)?;
                self.buffer()?;
            }
            DataType::LargeUtf8 | DataType::LargeBinary => {
                self.whole(field, 8)?;
                self.buffer()?;
            }
            DataType::Utf8View | DataType::BinaryView => {
                let counts = self.batch.variadicBufferCounts();
                let count = counts.filter(|c| self.n_variadic < c.len()).map(|c| c.get(self.n_variadic));
                self.n_variadic += 1;
                let count = count.and_then(|n| u32::try_from(n).ok());
                let count =
                    count.ok_or_else(|| corrupt(format!("column {}: no count of buffers", field.name())))?;
                self.whole(field, 16)?;
                for _ in 0..count {
                    self.buffer()?;
                }
            }
            DataType::List(child) | DataType::Map(child, _) => {
                self.whole(field, 4)?;
                self.field(child)?;
            }
            DataType::LargeList(child) => {
                self.whole(field, 8)?;
                self.field(child)?;
            }
            DataType::FixedSizeList(child, size) => {
                let values = self.field(child)?;
                if usize::try_from(*size).ok().and_then(|n| n.checked_mul(length)).is_none_or(|n| n > values)
                {
                    return Err(corrupt(format!(
                        "column {}: {values} values in {length} lists",
                        field.name()
                    )));
                }
            }
            DataType::Struct(fields) => {
                for child in fields {
                    if self.field(child)? != length {
                        return Err(corrupt(format!("column {}: fields of several lengths", field.name())));
                    }
                }
            }
            _ => {
                self.buffer()?;
            }
        }
        Ok(length)
    }

    /// The length and the nulls of the next column.
    fn node(&mut self, field: &Field) -> Result<(usize, usize), TaskError> {
        let nodes = self.batch.nodes().filter(|nodes| self.n_nodes < nodes.len());
        let node = nodes.map(|nodes| *nodes.get(self.n_nodes));
        self.n_nodes += 1;
        let node = node.ok_or_else(|| corrupt(format!("no column {}", field.name())))?;
        if !(0..=BATCH_ROWS_MAX).contains(&node.length()) || !(0..=node.length()).contains(&node.null_count())
        {
            let (length, nulls) = (node.length(), node.null_count());
            return Err(corrupt(format!("column {} of {length} rows, {nulls} of them null", field.name())));
        }
        Ok((node.length() as usize, node.null_count() as usize))
    }

    /// The next buffer, of offsets or views: it has no half of one at its end.
    fn whole(&mut self, field: &Field, width: usize) -> Result<(), TaskError> {
        let length = self.buffer()?;
        let whole = length.is_multiple_of(width);
        let name = field.name();
        if whole { Ok(()) } else { Err(corrupt(format!("column {name}: {length} bytes of {width} each"))) }
    }

    /// The length of the next buffer, which lies within the body.
    fn buffer(&mut self) -> Result<usize, TaskError> {
        let buffers = self.batch.buffers().filter(|buffers| self.n_buffers < buffers.len());
        let buffer = buffers.map(|buffers| *buffers.get(self.n_buffers));
        self.n_buffers += 1;
        let buffer = buffer.ok_or_else(|| corrupt("a batch with fewer buffers than its columns have"))?;
        let (offset, length) = (usize::try_from(buffer.offset()), usize::try_from(buffer.length()));
        let end = offset.ok().zip(length.ok()).and_then(|(offset, length)| offset.checked_add(length));
        match end.filter(|end| *end <= self.body_len) {
            Some(_) => Ok(buffer.length() as usize),
            None => Err(corrupt(format!("a buffer that ends beyond {} bytes", self.body_len))),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::digest::Digest;
    use datafusion::arrow::array::*;
    use datafusion::arrow::datatypes::{Int8Type, Int32Type};

    const LONG: &str = "a text that is longer than what fits into a view";

    /// A column of each kind, with nulls, and slices of it that do not begin at its first row.
    pub(crate) fn mixed() -> Vec<RecordBatch> {
        let texts = [Some("a"), None, Some(LONG), Some(""), Some("ünïcode"), None, Some(LONG)];
        let n = texts.len();
        let ints = Int32Array::from_iter((0..n as i32).map(|i| (i != 3).then_some(i * 7)));
        let mut lists = ListBuilder::new(StringBuilder::new());
        let mut large = LargeListBuilder::new(Int32Builder::new());
        for i in 0..n {
            (0..i % 3).for_each(|k| lists.values().append_option((k != 1).then_some(LONG)));
            lists.append(i != 2);
            large.values().append_value(i as i32);
            large.append(i != 5);
        }
        let mut map = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
        let mut fixed = FixedSizeListBuilder::new(Int32Builder::new(), 2);
        for i in 0..n {
            map.keys().append_value(format!("k{i}"));
            map.values().append_option((i != 1).then_some(i as i32));
            map.append(i != 4).unwrap();
            fixed.values().append_slice(&[i as i32, -1]);
            fixed.append(i != 0);
        }
        let field = |name: &str, t| Arc::new(Field::new(name, t, true));
        let structs = StructArray::new(
            Fields::from(vec![field("x", DataType::Int32), field("y", DataType::Utf8)]),
            vec![Arc::new(ints.clone()), Arc::new(StringArray::from_iter(texts))],
            Some(vec![true, false, true, true, true, true, false].into()),
        );
        let columns: Vec<ArrayRef> = vec![
            Arc::new(ints),
            Arc::new(BooleanArray::from_iter((0..n).map(|i| (i != 1).then_some(i % 2 == 0)))),
            Arc::new(StringArray::from_iter(texts)),
            Arc::new(LargeStringArray::from_iter(texts)),
            Arc::new(StringViewArray::from_iter(texts)),
            Arc::new(BinaryViewArray::from_iter(texts.map(|t| t.map(str::as_bytes)))),
            Arc::new(BinaryArray::from_iter(texts.map(|t| t.map(str::as_bytes)))),
            Arc::new(
                Decimal128Array::from_iter_values(0..n as i128).with_precision_and_scale(20, 2).unwrap(),
            ),
            Arc::new(TimestampMicrosecondArray::from_iter_values(0..n as i64).with_timezone("+01:00")),
            Arc::new(Float64Array::from_iter_values((0..n).map(|i| if i == 2 { f64::NAN } else { -0.0 }))),
            Arc::new(DictionaryArray::<Int8Type>::from_iter(texts)),
            Arc::new(FixedSizeBinaryArray::try_from_iter((0..n).map(|i| [i as u8; 5])).unwrap()),
            Arc::new(lists.finish()),
            Arc::new(large.finish()),
            Arc::new(map.finish()),
            Arc::new(fixed.finish()),
            Arc::new(structs),
            Arc::new(NullArray::new(n)),
            Arc::new(PrimitiveArray::<Int32Type>::from_iter_values(0..n as i32)),
        ];
        let names = (0..columns.len()).map(|i| format!("c{i}"));
        let batch =
            RecordBatch::try_from_iter_with_nullable(names.zip(columns).map(|(n, c)| (n, c, true))).unwrap();
        vec![batch.slice(1, 5), batch.clone(), batch.slice(6, 1)]
    }

    #[test]
    fn batches_come_back_as_they_were_wherever_their_bytes_lie() {
        let batches = mixed();
        let schema = batches[0].schema();
        let bytes = encode(&schema, &batches).unwrap();
        let sum = Digest::of(&schema, &batches).unwrap();
        for offset in [0, 1, 8] {
            let moved = Bytes::from([vec![0; offset], bytes.to_vec()].concat()).slice(offset..);
            let back = decode(&schema, moved).unwrap();
            assert_eq!(back, batches);
            assert_eq!(Digest::of(&schema, &back).unwrap(), sum);
        }
        let joined = datafusion::arrow::compute::concat_batches(&schema, &batches).unwrap();
        assert_eq!(Digest::of(&schema, &[joined]).unwrap(), sum);
        assert_eq!(encode(&schema, &[]).unwrap().len(), 0);
        assert!(decode(&schema, Bytes::new()).unwrap().is_empty());
    }

    #[test]
    fn a_checksum_is_of_each_value_null_and_place() {
        let batches = mixed();
        let schema = batches[0].schema();
        let sum = Digest::of(&schema, &batches).unwrap();
        let (first, rest) = batches.split_first().unwrap();
        let reversed = [rest, std::slice::from_ref(first)].concat();
        assert_ne!(Digest::of(&schema, &reversed).unwrap().checksum, sum.checksum);
        for (i, column) in
            first.columns().iter().enumerate().filter(|(_, c)| c.data_type() != &DataType::Null)
        {
            let mut columns = first.columns().to_vec();
            let moved = [&*column.slice(1, 4), &*column.slice(0, 1)];
            columns[i] = datafusion::arrow::compute::concat(&moved).unwrap();
            let other =
                [vec![RecordBatch::try_new(schema.clone(), columns).unwrap()], rest.to_vec()].concat();
            assert_ne!(Digest::of(&schema, &other).unwrap().checksum, sum.checksum, "column {i}");
        }
    }

    /// Every byte of headers and many of bodies, changed; every length, cut. What is made of it may be wrong, and is
    /// found by its checksum; it must not panic or take memory that the bytes do not have.
    #[test]
    fn bytes_of_anybodys_are_an_error_and_no_panic() {
        let batches = mixed();
        let schema = batches[0].schema();
        let bytes = encode(&schema, &batches[..1]).unwrap();
        let header_len = 8 + u32::from_le_bytes(bytes[4..8].try_into().unwrap()) as usize;
        let mut n_errors = 0;
        let mut read = |bytes: Vec<u8>| {
            let read = decode(&schema, Bytes::from(bytes));
            n_errors += usize::from(read.is_err());
            for batch in read.into_iter().flatten() {
                let _ = Digest::of(&schema, &[batch]);
            }
        };
        for at in 0..bytes.len() {
            let changes: &[u8] = if at < header_len { &[0x01, 0x80, 0xff, 0x10, 0x7f] } else { &[0xff] };
            for change in changes.iter().filter(|_| at < header_len || at % 3 == 0) {
                let mut changed = bytes.to_vec();
                changed[at] ^= change;
                read(changed);
            }
            if at % 11 == 0 {
                read(bytes[..at].to_vec());
            }
        }
        assert!(n_errors > header_len, "{n_errors}");
    }

    #[test]
    fn lengths_that_lie_are_refused_before_they_are_used() {
        let batches = mixed();
        let schema = batches[0].schema();
        let other = Arc::new(schema.project(&[0, 2]).unwrap());
        let bytes = encode(&schema, &batches).unwrap();
        assert!(matches!(decode(&other, bytes.clone()), Err(TaskError::Corrupt(_))));
        let few = encode(&other, &[batches[1].project(&[0, 2]).unwrap()]).unwrap();
        assert!(matches!(decode(&schema, few), Err(TaskError::Corrupt(_))));
        let mut long = bytes.to_vec();
        long[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(matches!(decode(&schema, long.into()), Err(TaskError::Corrupt(_))));
    }

    #[test]
    fn types_without_a_form_are_named() {
        let run_ends = DataType::RunEndEncoded(
            Arc::new(Field::new("run_ends", DataType::Int32, false)),
            Arc::new(Field::new("values", DataType::Utf8, true)),
        );
        let nested = DataType::List(Arc::new(Field::new("item", run_ends, true)));
        let schema =
            Schema::new(vec![Field::new("ok", DataType::Utf8, true), Field::new("bad", nested, true)]);
        assert!(unsupported(&schema).unwrap().contains("column item"));
        assert_eq!(unsupported(&mixed()[0].schema()), None);
    }
}

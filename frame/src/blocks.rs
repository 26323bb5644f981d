//! A piece of a task's output: batches while it stays in the process that made it, those that memory
//! did not hold in a file, and bytes when it leaves. Rows, size and
//! checksum are those of its rows, however it is kept. Must not know who reads it.

use crate::digest::{Digest, Size, Sum};
use crate::error::TaskError;
use crate::spill::Unnamed;
use crate::wire::{self, Decoder};
use bytes::Bytes;
use datafusion::arrow::array::{
    Array, ArrayData, ArrayRef, AsArray, GenericByteViewArray, MutableArrayData, RecordBatch,
    RecordBatchOptions, make_array,
};
use datafusion::arrow::datatypes::{ByteViewType, DataType, Field, Schema, SchemaRef};
use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

/// A piece of a task's output: what one partition of a reader gets of it. Clones share it.
#[derive(Debug, Clone)]
pub struct Piece {
    kept: Kept,
    size: Size,
}

#[derive(Debug, Clone)]
enum Kept {
    Rows(Arc<Rows>),
    /// Encoded, with the checksum that was told.
    Bytes(Bytes, u64),
    Column(ArrayRef),
}

/// Rows in this process: what memory did not hold while they were made is on the disk, and comes first.
#[derive(Debug)]
struct Rows {
    schema: SchemaRef,
    on_disk: Vec<Extent>,
    batches: Vec<RecordBatch>,
    /// Where it was asked for: nobody needs it of what never leaves memory.
    checksum: OnceLock<u64>,
}

/// Encoded batches in a file.
#[derive(Debug, Clone)]
pub(crate) struct Extent {
    pub file: Unnamed,
    pub at: u64,
    pub len: u64,
}

impl Extent {
    fn read(&self) -> Result<Bytes, TaskError> {
        self.file.read(self.at, self.len)
    }
}

impl Piece {
    pub(crate) fn of(schema: SchemaRef, batches: Vec<RecordBatch>, size: Size) -> Piece {
        Piece::of_parts(schema, (Vec::new(), batches), size, None)
    }

    /// Of what is on the disk, and what comes behind it; with its checksum if anything is on the disk.
    pub(crate) fn of_parts(
        schema: SchemaRef,
        (on_disk, batches): (Vec<Extent>, Vec<RecordBatch>),
        size: Size,
        checksum: Option<u64>,
    ) -> Piece {
        let checksum = checksum.map_or_else(OnceLock::new, OnceLock::from);
        Piece { kept: Kept::Rows(Arc::new(Rows { schema, on_disk, batches, checksum })), size }
    }

    /// A column that is read in this process and told of to nobody else: it has no checksum.
    #[must_use]
    pub fn of_column(column: ArrayRef) -> Piece {
        let size = Size { rows: column.len() as u64, bytes: column.get_array_memory_size() as u64 };
        Piece { kept: Kept::Column(column), size }
    }

    /// Bytes that [`encoded`](Piece::encoded) made, with what was told beside them. They are checked when they are read,
    /// by a task that knows their schema.
    #[must_use]
    pub fn from_encoded(bytes: Bytes, rows: u64, value_bytes: u64, checksum: u64) -> Piece {
        Piece { kept: Kept::Bytes(bytes, checksum), size: Size { rows, bytes: value_bytes } }
    }

    /// The piece as bytes: Arrow's IPC stream without its schema.
    ///
    /// # Errors
    /// If its columns are of types that cannot be written, or what is on the disk cannot be read.
    pub fn encoded(&self) -> Result<Bytes, TaskError> {
        let rows = match &self.kept {
            Kept::Bytes(bytes, _) => return Ok(bytes.clone()),
            Kept::Column(column) => {
                let field = Field::new("", column.data_type().clone(), true);
                let schema = Arc::new(Schema::new(vec![field]));
                return wire::encode(&schema, &self.batches(&schema)?);
            }
            Kept::Rows(rows) => rows,
        };
        let last = wire::encode(&rows.schema, &rows.batches)?;
        if rows.on_disk.is_empty() {
            return Ok(last);
        }
        let on_disk: u64 = rows.on_disk.iter().map(|extent| extent.len).sum();
        let mut all = Vec::with_capacity(usize::try_from(on_disk).unwrap_or(0) + last.len());
        for extent in &rows.on_disk {
            all.extend_from_slice(&extent.read()?);
        }
        all.extend_from_slice(&last);
        Ok(Bytes::from(all))
    }

    /// Its rows. Bytes are decoded, checked, and compared with the rows and the checksum that were told beside them.
    ///
    /// # Errors
    /// [`TaskError::Corrupt`] if the bytes are none that were written with this schema, or not those that were told of.
    pub fn batches(&self, schema: &SchemaRef) -> Result<Vec<RecordBatch>, TaskError> {
        self.read(schema).collect()
    }

    /// The same one batch after another, so that no more than one is decoded at a time. That they are not what was told is
    /// an error behind the last.
    pub(crate) fn read(&self, schema: &SchemaRef) -> Reading {
        let rows = match &self.kept {
            Kept::Column(column) => {
                let batch = RecordBatch::try_new(schema.clone(), vec![column.clone()]);
                return match batch.map_err(TaskError::data) {
                    Ok(batch) => Reading::of(schema, vec![batch]),
                    Err(error) => Reading { failed: Some(error), ..Reading::of(schema, Vec::new()) },
                };
            }
            Kept::Bytes(bytes, checksum) => {
                let checked = Some(Checked::new(schema, self.size, *checksum));
                let decoder = Some(Decoder::new(schema, bytes.clone()));
                return Reading { checked, decoder, ..Reading::of(schema, Vec::new()) };
            }
            Kept::Rows(rows) => rows,
        };
        let reading = Reading::of(schema, rows.batches.clone());
        if rows.on_disk.is_empty() {
            // What was in memory all the time is what it was.
            return reading;
        }
        match self.checksum() {
            Ok(checksum) => {
                let checked = Some(Checked::new(schema, self.size, checksum));
                Reading { checked, extents: rows.on_disk.clone().into_iter(), ..reading }
            }
            Err(error) => Reading { failed: Some(error), ..Reading::of(schema, Vec::new()) },
        }
    }

    /// Bytes of it that memory did not hold while it was made, and that are on the disk.
    #[must_use]
    pub fn on_disk_bytes(&self) -> u64 {
        match &self.kept {
            Kept::Rows(rows) => rows.on_disk.iter().map(|extent| extent.len).sum(),
            Kept::Bytes(..) | Kept::Column(_) => 0,
        }
    }

    /// Its rows, of a piece that a task of this process made.
    ///
    /// # Errors
    /// [`TaskError::Corrupt`] for a piece of other origin; where what is on the disk cannot be read.
    pub fn made(&self) -> Result<Vec<RecordBatch>, TaskError> {
        match &self.kept {
            Kept::Rows(rows) => self.batches(&rows.schema),
            Kept::Bytes(..) | Kept::Column(_) => {
                Err(TaskError::Corrupt("no rows that a task made".to_owned()))
            }
        }
    }

    /// Rows.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.size.rows
    }

    /// Bytes of its values: the same however the piece is kept, and for any batches of the same rows.
    #[must_use]
    pub fn value_bytes(&self) -> u64 {
        self.size.bytes
    }

    /// A checksum of its rows and their order; 0 for a column that is told of to nobody.
    ///
    /// # Errors
    /// If its columns are of types that cannot be written.
    pub fn checksum(&self) -> Result<u64, TaskError> {
        match &self.kept {
            Kept::Column(_) => Ok(0),
            Kept::Bytes(_, checksum) => Ok(*checksum),
            Kept::Rows(rows) => {
                if let Some(known) = rows.checksum.get() {
                    return Ok(*known);
                }
                // What is on the disk came with its checksum.
                let sum = Digest::of(&rows.schema, &rows.batches)?;
                Ok(*rows.checksum.get_or_init(|| sum.checksum))
            }
        }
    }

    /// What it takes of memory.
    #[must_use]
    pub fn held_bytes(&self) -> u64 {
        Piece::held_bytes_of(std::slice::from_ref(self))
    }

    /// What these take of memory together: what several of them share is counted once.
    #[must_use]
    pub fn held_bytes_of(pieces: &[Piece]) -> u64 {
        let mut held = Held::default();
        for piece in pieces {
            match &piece.kept {
                Kept::Bytes(bytes, _) => held.bytes += bytes.len() as u64,
                Kept::Column(column) => held.add_data(&column.to_data()),
                Kept::Rows(rows) => rows.batches.iter().for_each(|batch| held.add(batch)),
            }
        }
        held.bytes
    }
}

/// What was read, where that is to be compared with what was told.
struct Checked {
    digest: Digest,
    told: Sum,
}

impl Checked {
    fn new(schema: &Schema, size: Size, checksum: u64) -> Checked {
        Checked { digest: Digest::new(schema), told: Sum { size, checksum } }
    }
}

/// The rows of a piece as they are read.
pub(crate) struct Reading {
    schema: SchemaRef,
    checked: Option<Checked>,
    decoder: Option<Decoder>,
    extents: std::vec::IntoIter<Extent>,
    batches: std::vec::IntoIter<RecordBatch>,
    /// Why there is nothing to read.
    failed: Option<TaskError>,
}

impl Reading {
    /// Of batches in memory, which need no check.
    fn of(schema: &SchemaRef, batches: Vec<RecordBatch>) -> Reading {
        Reading {
            schema: schema.clone(),
            checked: None,
            decoder: None,
            extents: Vec::new().into_iter(),
            batches: batches.into_iter(),
            failed: None,
        }
    }

    fn advance(&mut self) -> Result<Option<RecordBatch>, TaskError> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        loop {
            if let Some(batch) = self.decoder.as_mut().and_then(Iterator::next) {
                return batch.map(Some);
            }
            match self.extents.next() {
                Some(extent) => self.decoder = Some(Decoder::new(&self.schema, extent.read()?)),
                None => return Ok(self.batches.next()),
            }
        }
    }

    fn checked(&mut self) -> Result<Option<RecordBatch>, TaskError> {
        let next = self.advance()?;
        match (&next, &mut self.checked) {
            (Some(batch), Some(checked)) => checked.digest.add(batch)?,
            (None, Some(_)) => {
                if let Some(Checked { digest, told }) = self.checked.take() {
                    let got = digest.finish();
                    if got != told {
                        return Err(TaskError::Corrupt(format!("{got:?} was read, {told:?} was told")));
                    }
                }
            }
            (_, None) => {}
        }
        Ok(next)
    }
}

impl Iterator for Reading {
    type Item = Result<RecordBatch, TaskError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.checked().transpose()
    }
}

/// What batches take of memory: buffers that several arrays share are counted once.
#[derive(Debug, Default)]
pub(crate) struct Held {
    pub bytes: u64,
    seen: HashSet<usize>,
}

impl Held {
    pub(crate) fn add(&mut self, batch: &RecordBatch) {
        batch.columns().iter().for_each(|column| self.add_data(&column.to_data()));
    }

    fn add_data(&mut self, data: &ArrayData) {
        let nulls = data.nulls().map(|nulls| nulls.buffer());
        for buffer in data.buffers().iter().chain(nulls) {
            if self.seen.insert(buffer.data_ptr().as_ptr() as usize) {
                self.bytes += buffer.capacity() as u64;
            }
        }
        data.child_data().iter().for_each(|child| self.add_data(child));
    }
}

/// The batch with columns that hold on to no more bytes than are theirs, or not to much more: slices share the buffers that
/// they were taken from, as views of texts do.
pub(crate) fn compact(batch: RecordBatch) -> Result<RecordBatch, TaskError> {
    let owned: Vec<Option<ArrayRef>> = batch.columns().iter().map(owned).collect();
    if owned.iter().all(Option::is_none) {
        return Ok(batch);
    }
    let columns =
        owned.into_iter().zip(batch.columns()).map(|(own, old)| own.unwrap_or_else(|| old.clone())).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(batch.schema(), columns, &options).map_err(TaskError::data)
}

/// What a column may hold on to beside its own bytes: as many again, and so many.
const SHARED_BYTES_MAX: usize = 256;

/// The column with bytes of its own, if it holds on to others.
fn owned(array: &ArrayRef) -> Option<ArrayRef> {
    fn of<T: ByteViewType>(views: &GenericByteViewArray<T>) -> Option<ArrayRef> {
        let held: usize = views.data_buffers().iter().map(|b| b.len()).sum();
        (held > views.total_buffer_bytes_used()).then(|| Arc::new(views.gc()) as ArrayRef)
    }
    match array.data_type() {
        DataType::Utf8View => return of(array.as_string_view()),
        DataType::BinaryView => return of(array.as_binary_view()),
        _ => {}
    }
    let data = array.to_data();
    let own = data.get_slice_memory_size().unwrap_or(usize::MAX);
    if array.get_buffer_memory_size() <= own.saturating_mul(2).saturating_add(SHARED_BYTES_MAX) {
        return None;
    }
    let mut copy = MutableArrayData::new(vec![&data], false, data.len());
    // Err: what is a part of an array fits into one.
    copy.try_extend(0, 0, data.len()).ok()?;
    Some(make_array(copy.freeze()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Sizes;
    use datafusion::arrow::array::StringViewArray;

    #[test]
    fn a_piece_is_the_same_kept_as_batches_and_as_bytes() {
        let batches = crate::wire::tests::mixed();
        let schema = batches[0].schema();
        let size = Sizes::of(&schema, &batches).unwrap();
        assert_eq!(Digest::of(&schema, &batches).unwrap().size, size);
        let piece = Piece::of(schema.clone(), batches.clone(), size);
        let checksum = piece.checksum().unwrap();
        let bytes = piece.encoded().unwrap();
        let told = |rows, checksum| Piece::from_encoded(bytes.clone(), rows, piece.value_bytes(), checksum);
        let kept = told(piece.rows(), checksum);
        assert_eq!(kept.batches(&schema).unwrap(), piece.batches(&schema).unwrap());
        assert_eq!(kept.encoded().unwrap(), bytes);
        assert_eq!(kept.held_bytes(), bytes.len() as u64);
        for other in [told(piece.rows() + 1, checksum), told(piece.rows(), checksum ^ 1)] {
            assert!(matches!(other.batches(&schema), Err(TaskError::Corrupt(_))));
        }
    }

    #[test]
    fn a_few_texts_of_many_do_not_carry_the_others() {
        let texts = (0..10_000).map(|i| format!("a text that is long enough to be in a buffer, {i}"));
        let schema = Arc::new(Schema::new(vec![Field::new("t", DataType::Utf8View, false)]));
        let all = StringViewArray::from_iter_values(texts);
        let few = RecordBatch::try_new(schema.clone(), vec![Arc::new(all.slice(5000, 10))]).unwrap();
        let before = wire::encode(&schema, std::slice::from_ref(&few)).unwrap().len();
        let small = compact(few.clone()).unwrap();
        let after = wire::encode(&schema, std::slice::from_ref(&small)).unwrap().len();
        assert!(before > 400_000 && after < 2_000, "{before} {after}");
        assert_eq!(small, few);
        let again = compact(small.clone()).unwrap();
        assert!(Arc::ptr_eq(again.column(0), small.column(0)));
    }
    #[test]
    fn what_is_decoded_lies_where_its_bytes_are() {
        use datafusion::arrow::array::{Decimal128Array, Int64Array};
        let schema = Arc::new(Schema::new(vec![
            Field::new("a", DataType::Int64, false),
            Field::new("d", DataType::Decimal128(38, 10), false),
        ]));
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from_iter_values(0..1001)),
            Arc::new(Decimal128Array::from_iter_values(0..1001)),
        ];
        let batch = RecordBatch::try_new(schema.clone(), columns).unwrap();
        // As blocks lie in values: behind a head, in memory that is aligned.
        let encoded = wire::encode(&schema, std::slice::from_ref(&batch)).unwrap();
        let mut value = datafusion::arrow::buffer::MutableBuffer::new(0);
        value.extend_from_slice(&[0_u8; 32]);
        value.extend_from_slice(&encoded);
        let value: datafusion::arrow::buffer::Buffer = value.into();
        let range = value.as_ptr() as usize..value.as_ptr() as usize + value.len();
        struct Of(datafusion::arrow::buffer::Buffer);
        impl AsRef<[u8]> for Of {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }
        let bytes = Bytes::from_owner(Of(value)).slice(32..);
        let decoded = wire::decode(&schema, bytes).unwrap();
        assert_eq!(decoded[0], batch);
        for column in decoded[0].columns() {
            let at = column.to_data().buffers()[0].as_ptr() as usize;
            assert!(range.contains(&at), "a column was copied");
        }
    }

    #[test]
    fn memory_that_batches_share_is_counted_once_and_slices_of_much_become_their_own() {
        let schema = Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, false)]));
        let all = datafusion::arrow::array::Int64Array::from_iter_values(0..100_000);
        let all = RecordBatch::try_new(schema.clone(), vec![Arc::new(all)]).unwrap();
        let halves = vec![all.slice(0, 50_000), all.slice(50_000, 50_000)];
        let size = Sizes::of(&schema, &halves).unwrap();
        let held = Piece::of(schema.clone(), halves.clone(), size).held_bytes();
        assert!((800_000..900_000).contains(&held), "{held}");
        let few = compact(all.slice(1000, 10)).unwrap();
        assert_eq!(few, all.slice(1000, 10));
        let size = Sizes::of(&schema, std::slice::from_ref(&few)).unwrap();
        assert!(Piece::of(schema, vec![few], size).held_bytes() < 1000);
    }
}

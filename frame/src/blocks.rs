//! A piece of a task's output: batches while it stays in the process that made it, bytes when it leaves. Rows, size and
//! checksum are those of its rows, however it is kept. Must not know who reads it.

use crate::digest::{Digest, Sum};
use crate::error::TaskError;
use crate::wire;
use bytes::Bytes;
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, GenericByteViewArray, RecordBatch, RecordBatchOptions,
};
use datafusion::arrow::datatypes::{ByteViewType, DataType, SchemaRef};
use std::sync::Arc;

/// A piece of a task's output: what one partition of a reader gets of it. Clones share it.
#[derive(Debug, Clone)]
pub struct Piece {
    kept: Kept,
    sum: Sum,
}

#[derive(Debug, Clone)]
enum Kept {
    Batches(SchemaRef, Arc<[RecordBatch]>),
    Bytes(Bytes),
}

impl Piece {
    pub(crate) fn of(schema: SchemaRef, batches: Vec<RecordBatch>, sum: Sum) -> Piece {
        Piece { kept: Kept::Batches(schema, batches.into()), sum }
    }

    /// Bytes that [`encoded`](Piece::encoded) made, with what was told beside them. They are checked when they are read,
    /// by a task that knows their schema.
    #[must_use]
    pub fn from_encoded(bytes: Bytes, rows: u64, value_bytes: u64, checksum: u64) -> Piece {
        Piece { kept: Kept::Bytes(bytes), sum: Sum { rows, bytes: value_bytes, checksum } }
    }

    /// The piece as bytes: Arrow's IPC stream without its schema.
    ///
    /// # Errors
    /// If its columns are of types that cannot be written.
    pub fn encoded(&self) -> Result<Bytes, TaskError> {
        match &self.kept {
            Kept::Bytes(bytes) => Ok(bytes.clone()),
            Kept::Batches(schema, batches) => wire::encode(schema, batches),
        }
    }

    /// Its rows. Bytes are decoded, checked, and compared with the rows and the checksum that were told beside them.
    ///
    /// # Errors
    /// [`TaskError::Corrupt`] if the bytes are none that were written with this schema, or not those that were told of.
    pub fn batches(&self, schema: &SchemaRef) -> Result<Vec<RecordBatch>, TaskError> {
        match &self.kept {
            Kept::Batches(_, batches) => Ok(batches.to_vec()),
            Kept::Bytes(bytes) => {
                let batches = wire::decode(schema, bytes.clone())?;
                let got = Digest::of(schema, &batches)?;
                if got != self.sum {
                    return Err(TaskError::Corrupt(format!("{got:?} was read, {:?} was told", self.sum)));
                }
                Ok(batches)
            }
        }
    }

    /// Rows.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.sum.rows
    }

    /// Bytes of its values: the same however the piece is kept, and for any batches of the same rows.
    #[must_use]
    pub fn value_bytes(&self) -> u64 {
        self.sum.bytes
    }

    /// A checksum of its rows and their order.
    #[must_use]
    pub fn checksum(&self) -> u64 {
        self.sum.checksum
    }

    /// What it takes where it lies.
    #[must_use]
    pub fn held_bytes(&self) -> u64 {
        match &self.kept {
            Kept::Bytes(bytes) => bytes.len() as u64,
            Kept::Batches(_, batches) => batches.iter().map(|b| b.get_array_memory_size() as u64).sum(),
        }
    }
}

/// The batch with texts that hold on to no more bytes than are theirs: views share the buffers that they were taken from.
pub(crate) fn compact(batch: RecordBatch) -> Result<RecordBatch, TaskError> {
    let owned: Vec<Option<ArrayRef>> = batch.columns().iter().map(owned).collect();
    if owned.iter().all(Option::is_none) {
        return Ok(batch);
    }
    let columns =
        owned.into_iter().zip(batch.columns()).map(|(own, old)| own.unwrap_or_else(|| old.clone())).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(batch.schema(), columns, &options)
        .map_err(|e| TaskError::Data(Arc::new(e.into())))
}

/// The column with bytes of its own, if it holds on to others.
fn owned(array: &ArrayRef) -> Option<ArrayRef> {
    fn of<T: ByteViewType>(views: &GenericByteViewArray<T>) -> Option<ArrayRef> {
        let held: usize = views.data_buffers().iter().map(|b| b.len()).sum();
        (held > views.total_buffer_bytes_used()).then(|| Arc::new(views.gc()) as ArrayRef)
    }
    match array.data_type() {
        DataType::Utf8View => of(array.as_string_view()),
        DataType::BinaryView => of(array.as_binary_view()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::StringViewArray;
    use datafusion::arrow::datatypes::{Field, Schema};

    #[test]
    fn a_piece_is_the_same_kept_as_batches_and_as_bytes() {
        let batches = crate::wire::tests::mixed();
        let schema = batches[0].schema();
        let sum = Digest::of(&schema, &batches).unwrap();
        let piece = Piece::of(schema.clone(), batches.clone(), sum);
        let bytes = piece.encoded().unwrap();
        let told = |rows, checksum| Piece::from_encoded(bytes.clone(), rows, piece.value_bytes(), checksum);
        let kept = told(piece.rows(), piece.checksum());
        assert_eq!(kept.batches(&schema).unwrap(), piece.batches(&schema).unwrap());
        assert_eq!(kept.encoded().unwrap(), bytes);
        assert_eq!(kept.held_bytes(), bytes.len() as u64);
        for other in [told(piece.rows() + 1, piece.checksum()), told(piece.rows(), piece.checksum() ^ 1)] {
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
}

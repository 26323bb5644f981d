//! Takes a task's rows and makes its pieces of them: one, or one for each partition of who reads them. What they take of
//! memory is counted and told; more than they may goes to the task's disk. Neither shows in the pieces' rows. Must not know
//! what becomes of pieces.

use crate::blocks::{Extent, Held, Piece, compact};
use crate::digest::{Digest, Sizes};
use crate::error::TaskError;
use crate::run::Room;
use crate::scatter::Scatter;
use crate::session::BATCH_ROWS;
use crate::spill::{TaskSpill, Unnamed};
use crate::wire;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::error::Result;
use datafusion::physical_plan::Partitioning;

/// Bytes that the rows of all pieces take together while they are joined to batches.
const JOINED_BYTES: usize = 8 << 20;
/// The fewest rows of such a batch, unless there are fewer.
const JOINED_ROWS_MIN: usize = 128;
/// What a value without a fixed width is taken to have.
const WIDTH_GUESS: usize = 32;
/// Bytes that come before they are told of.
const TOLD_BYTES: u64 = 1 << 20;
/// Fewer bytes are not worth a trip to the disk.
const SPILL_BYTES_MIN: u64 = 1 << 20;
/// Bytes of rows that are written to the disk, and read back, together: a batch more at most.
const EXTENT_BYTES: u64 = 4 << 20;

/// The pieces of a task that runs.
pub(crate) struct PieceWriter<'a> {
    schema: SchemaRef,
    parts: Vec<Part>,
    /// Joins the few rows that a batch has for one part of many; a batch that is not divided goes as it is.
    scatter: Option<Scatter>,
    room: &'a Room,
    spill: &'a TaskSpill,
    file: Option<Unnamed>,
    held: Held,
    /// What was told of that last.
    told_bytes: u64,
    /// What rows take that are being joined.
    joined_bytes: u64,
}

/// A piece that grows.
struct Part {
    on_disk: Vec<Extent>,
    batches: Vec<RecordBatch>,
    sizes: Sizes,
    /// Of what is on the disk.
    digest: Option<Digest>,
}

/// Rows of a batch that is joined for one of so many pieces: a number that depends on the stage alone.
fn joined_rows(schema: &Schema, n_pieces: usize) -> (usize, u64) {
    let width = |f: &std::sync::Arc<datafusion::arrow::datatypes::Field>| f.data_type().primitive_width();
    let width: usize = schema.fields().iter().map(|f| width(f).unwrap_or(WIDTH_GUESS)).sum();
    let width = width.max(1);
    let rows = (JOINED_BYTES / width / n_pieces.max(1)).clamp(JOINED_ROWS_MIN, BATCH_ROWS);
    (rows, (rows * width * n_pieces) as u64)
}

impl<'a> PieceWriter<'a> {
    /// For rows of this schema, which are divided if there is a partitioning.
    pub(crate) fn new(
        schema: SchemaRef,
        division: Option<&Partitioning>,
        (room, spill): (&'a Room, &'a TaskSpill),
    ) -> Result<PieceWriter<'a>> {
        let n_pieces = division.map_or(1, Partitioning::partition_count);
        let (rows, bytes) = joined_rows(&schema, n_pieces);
        let scatter = division.map(|by| Scatter::new(&schema, by, rows)).transpose()?;
        let part =
            || Part { on_disk: Vec::new(), batches: Vec::new(), sizes: Sizes::new(&schema), digest: None };
        let parts = (0..n_pieces).map(|_| part()).collect();
        let joined_bytes = if scatter.is_some() { bytes } else { 0 };
        let (file, held, told_bytes) = (None, Held::default(), 0);
        Ok(PieceWriter { schema, parts, scatter, room, spill, file, held, told_bytes, joined_bytes })
    }

    pub(crate) fn write(&mut self, batch: RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let (parts, held) = (&mut self.parts, &mut self.held);
        match &mut self.scatter {
            None => {
                let batch = compact(batch).map_err(TaskError::into_datafusion)?;
                parts[0].add(batch, held)?;
            }
            Some(scatter) => scatter.add(batch, |i, batch| parts[i].add(batch, held))?,
        }
        self.relieve().map_err(TaskError::into_datafusion)
    }

    /// Tells what the pieces take, and puts them to the disk where that is too much.
    fn relieve(&mut self) -> std::result::Result<(), TaskError> {
        let bytes = self.held.bytes + self.joined_bytes;
        if bytes > self.room.output_bytes && self.held.bytes >= SPILL_BYTES_MIN {
            for part in &mut self.parts {
                part.spill((&self.schema, self.spill), &mut self.file)?;
            }
            self.held = Held::default();
        }
        let bytes = self.held.bytes + self.joined_bytes;
        if bytes.abs_diff(self.told_bytes) >= TOLD_BYTES {
            self.told_bytes = bytes;
            (self.room.grew)(bytes);
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<Vec<Piece>> {
        let (schema, mut held, mut scatter) = (self.schema, self.held, self.scatter);
        let mut piece = |(i, mut part): (usize, Part)| -> Result<Piece> {
            if let Some(rest) = scatter.as_mut().map(|s| s.rest(i)).transpose()?.flatten() {
                part.add(rest, &mut held)?;
            }
            part.finish(&schema).map_err(TaskError::into_datafusion)
        };
        self.parts.into_iter().enumerate().map(&mut piece).collect()
    }
}

impl Part {
    /// Adds a batch that holds on to nothing but its own.
    fn add(&mut self, batch: RecordBatch, held: &mut Held) -> Result<()> {
        self.sizes.add(&batch).map_err(TaskError::into_datafusion)?;
        held.add(&batch);
        self.batches.push(batch);
        Ok(())
    }

    fn finish(mut self, schema: &SchemaRef) -> std::result::Result<Piece, TaskError> {
        if let Some(digest) = &mut self.digest {
            self.batches.iter().try_for_each(|batch| digest.add(batch))?;
        }
        let checksum = self.digest.map(|digest| digest.finish().checksum);
        let size = self.sizes.finish();
        Ok(Piece::of_parts(schema.clone(), (self.on_disk, self.batches), size, checksum))
    }

    /// Puts what is complete behind what is on the disk already.
    fn spill(
        &mut self,
        (schema, spill): (&SchemaRef, &TaskSpill),
        file: &mut Option<Unnamed>,
    ) -> std::result::Result<(), TaskError> {
        if self.batches.is_empty() {
            return Ok(());
        }
        let file = match file {
            Some(file) => file,
            None => file.insert(spill.file()?),
        };
        let digest = self.digest.get_or_insert_with(|| Digest::new(schema));
        self.batches.iter().try_for_each(|batch| digest.add(batch))?;
        let mut batches = self.batches.drain(..).peekable();
        while batches.peek().is_some() {
            // As many as are read back at once.
            let (mut together, mut held) = (Vec::new(), Held::default());
            while let Some(batch) = batches.next_if(|_| held.bytes < EXTENT_BYTES) {
                held.add(&batch);
                together.push(batch);
            }
            let bytes = wire::encode(schema, &together)?;
            let at = file.append(&bytes)?;
            self.on_disk.push(Extent { file: file.clone(), at, len: bytes.len() as u64 });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spill::{SpillDir, SpillSpace};
    use datafusion::arrow::array::{Int64Array, StringViewArray};
    use datafusion::arrow::datatypes::{DataType, Field};
    use datafusion::physical_expr::expressions::col;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Arc, Mutex};

    fn batches(schema: &SchemaRef) -> Vec<RecordBatch> {
        let batch = |n: i64| {
            let numbers = Int64Array::from_iter_values(n * 8192..(n + 1) * 8192);
            let texts = (0..8192).map(|i| format!("a text of some length, {}", n * i));
            let texts = StringViewArray::from_iter_values(texts);
            RecordBatch::try_new(schema.clone(), vec![Arc::new(numbers), Arc::new(texts)]).unwrap()
        };
        (0..40).map(batch).collect()
    }

    #[test]
    fn what_an_output_takes_is_told_and_what_is_too_much_goes_to_the_disk_and_shows_nowhere() {
        let fields =
            vec![Field::new("n", DataType::Int64, false), Field::new("t", DataType::Utf8View, false)];
        let schema: SchemaRef = Arc::new(Schema::new(fields));
        let dir = tempfile::tempdir().unwrap();
        let used_bytes = AtomicU64::new(0);
        let space = Arc::new(SpillDir { dir: dir.path().to_owned(), bytes_max: 1 << 30, used_bytes });
        let by_n = Partitioning::Hash(vec![col("n", &schema).unwrap()], 7);
        for division in [None, Some(&by_n)] {
            let mut all = Vec::new();
            for output_bytes in [u64::MAX, 3 << 20] {
                let told: Arc<Mutex<Vec<u64>>> = Arc::default();
                let heard = told.clone();
                let grew = Box::new(move |bytes| heard.lock().unwrap().push(bytes));
                let room = Room { output_bytes, grew, ..Room::default() };
                let spill = TaskSpill::new(space.clone() as Arc<dyn SpillSpace>);
                let mut writer = PieceWriter::new(schema.clone(), division, (&room, &spill)).unwrap();
                batches(&schema).into_iter().for_each(|batch| writer.write(batch).unwrap());
                let pieces = writer.finish().unwrap();
                let most = told.lock().unwrap().iter().copied().max().unwrap();
                let joined = if division.is_some() { JOINED_BYTES as u64 } else { 0 };
                let is_bounded = output_bytes < u64::MAX;
                assert_eq!(most < (5 << 20) + joined, is_bounded, "{most}");
                assert_eq!(spill.written_bytes() > 0, is_bounded);
                let read: Vec<Vec<RecordBatch>> =
                    pieces.iter().map(|p| p.batches(&schema).unwrap()).collect();
                let encoded: Vec<_> = pieces.iter().map(|p| p.encoded().unwrap()).collect();
                let sums: Vec<u64> = pieces.iter().map(|piece| piece.checksum().unwrap()).collect();
                all.push((read, encoded, sums));
            }
            assert!(all[0] == all[1], "another output");
        }
        assert_eq!(space.used_bytes.load(Ordering::Relaxed), 0);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_disk_that_is_full_is_named() {
        let schema: SchemaRef = Arc::new(Schema::new(vec![
            Field::new("n", DataType::Int64, false),
            Field::new("t", DataType::Utf8View, false),
        ]));
        let used_bytes = AtomicU64::new(0);
        let space = Arc::new(SpillDir { dir: std::env::temp_dir(), bytes_max: 5, used_bytes });
        let (room, spill) = (Room { output_bytes: 1, ..Room::default() }, TaskSpill::new(space));
        let mut writer = PieceWriter::new(schema.clone(), None, (&room, &spill)).unwrap();
        let written: Result<()> = batches(&schema).into_iter().try_for_each(|batch| writer.write(batch));
        let error = TaskError::found_in(&written.unwrap_err()).unwrap();
        assert!(
            matches!(&error, TaskError::DiskFull { reason, .. } if reason.contains("of 5 in")),
            "{error}"
        );
    }
}

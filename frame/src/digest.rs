//! What a piece holds, as three numbers: rows, bytes of values and a checksum. They are those of the rows and not of how
//! these lie in memory, so that they are the same for batches, for encoded bytes, and however rows are cut into batches.
//! Rows and bytes alone are found without a look at the values. Must not know of encodings.
//!
//! A column is hashed as streams: places of nulls, lengths of values, bytes of values, and the same of its children. What
//! lies under a null is not looked at. Each stream is a CRC-32; they are mixed into 64 bits by the finaliser of SplitMix64.

use crate::error::TaskError;
use crc32fast::Hasher;
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, GenericByteArray, GenericByteViewArray, GenericListArray, OffsetSizeTrait,
    RecordBatch,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{ArrowNativeType, ByteArrayType, ByteViewType, DataType, Schema};

/// Bytes that are gathered before they are hashed.
const GATHER_BYTES: usize = 32 << 10;

/// Rows of what was added, and bytes of their values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Size {
    pub rows: u64,
    pub bytes: u64,
}

/// The same with a checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Sum {
    pub size: Size,
    pub checksum: u64,
}

/// Takes batches one after another.
pub(crate) struct Digest {
    rows: u64,
    columns: Vec<Column>,
}

/// Takes batches one after another, and no checksum of them.
pub(crate) struct Sizes(Digest);

/// A stream of bytes that is hashed.
#[derive(Default)]
struct Stream {
    gathered: Vec<u8>,
    hasher: Hasher,
}

/// Those of a column.
#[derive(Default)]
struct Streams {
    nulls: Stream,
    lengths: Stream,
    values: Stream,
}

/// A column, or a child of one.
#[derive(Default)]
struct Column {
    n_values: u64,
    n_nulls: u64,
    bytes: u64,
    /// None where sizes alone are asked for.
    streams: Option<Box<Streams>>,
    children: Vec<Column>,
}

impl Sizes {
    pub(crate) fn new(schema: &Schema) -> Sizes {
        Sizes(Digest { rows: 0, columns: schema.fields().iter().map(|_| Column::default()).collect() })
    }

    /// The size of these batches.
    pub(crate) fn of(schema: &Schema, batches: &[RecordBatch]) -> Result<Size, TaskError> {
        let mut sizes = Sizes::new(schema);
        batches.iter().try_for_each(|batch| sizes.add(batch))?;
        Ok(sizes.finish())
    }

    pub(crate) fn add(&mut self, batch: &RecordBatch) -> Result<(), TaskError> {
        self.0.add(batch)
    }

    pub(crate) fn finish(self) -> Size {
        self.0.finish().size
    }
}

impl Digest {
    pub(crate) fn new(schema: &Schema) -> Digest {
        Digest { rows: 0, columns: schema.fields().iter().map(|_| Column::hashed()).collect() }
    }

    /// The sum of these batches.
    pub(crate) fn of(schema: &Schema, batches: &[RecordBatch]) -> Result<Sum, TaskError> {
        let mut digest = Digest::new(schema);
        batches.iter().try_for_each(|batch| digest.add(batch))?;
        Ok(digest.finish())
    }

    pub(crate) fn add(&mut self, batch: &RecordBatch) -> Result<(), TaskError> {
        self.rows += batch.num_rows() as u64;
        self.columns.iter_mut().zip(batch.columns()).try_for_each(|(column, array)| column.add(array))
    }

    pub(crate) fn finish(self) -> Sum {
        let mut sum = Sum { size: Size { rows: self.rows, bytes: 0 }, checksum: mixed(self.rows) };
        for column in self.columns {
            column.finish(&mut sum);
        }
        sum
    }
}

impl Stream {
    fn add(&mut self, bytes: &[u8]) {
        if bytes.len() < GATHER_BYTES {
            self.gathered.extend_from_slice(bytes);
            if self.gathered.len() < GATHER_BYTES {
                return;
            }
            self.hasher.update(&self.gathered);
            self.gathered.clear();
        } else {
            self.hasher.update(&self.gathered);
            self.gathered.clear();
            self.hasher.update(bytes);
        }
    }

    fn finish(mut self) -> u64 {
        self.hasher.update(&self.gathered);
        u64::from(self.hasher.finalize())
    }
}

impl Column {
    fn hashed() -> Column {
        Column { streams: Some(Box::default()), ..Column::default() }
    }

    fn add(&mut self, array: &ArrayRef) -> Result<(), TaskError> {
        if let DataType::Dictionary(_, values) = array.data_type() {
            let plain = cast(array, values).map_err(TaskError::data)?;
            return self.add(&plain);
        }
        let mut runs = vec![(0, array.len())];
        if let Some(nulls) = array.nulls().filter(|nulls| nulls.null_count() > 0) {
            if let Some(streams) = &mut self.streams {
                for row in (!nulls.inner()).set_indices() {
                    streams.nulls.add(&(self.n_values + row as u64).to_le_bytes());
                }
            }
            self.n_nulls += nulls.null_count() as u64;
            runs = nulls.valid_slices().collect();
        }
        self.n_values += array.len() as u64;
        runs.into_iter().try_for_each(|(start, end)| self.add_run(array, start, end))
    }

    /// Values that are not null, from `start` to `end`.
    fn add_run(&mut self, array: &ArrayRef, start: usize, end: usize) -> Result<(), TaskError> {
        match array.data_type() {
            DataType::Null => {}
            DataType::Boolean => {
                let bits = array.as_boolean().values().slice(start, end - start);
                if let Some(streams) = &mut self.streams {
                    streams.values.add(&bits.iter().map(u8::from).collect::<Vec<u8>>());
                }
                self.bytes += bits.len() as u64;
            }
            DataType::Utf8 => self.add_bytes(array.as_string::<i32>(), start, end),
            DataType::LargeUtf8 => self.add_bytes(array.as_string::<i64>(), start, end),
            DataType::Binary => self.add_bytes(array.as_binary::<i32>(), start, end),
            DataType::LargeBinary => self.add_bytes(array.as_binary::<i64>(), start, end),
            DataType::Utf8View => self.add_views(array.as_string_view(), start, end),
            DataType::BinaryView => self.add_views(array.as_binary_view(), start, end),
            DataType::List(_) => self.add_list(array.as_list::<i32>(), start, end)?,
            DataType::LargeList(_) => self.add_list(array.as_list::<i64>(), start, end)?,
            DataType::FixedSizeList(_, size) => {
                let size = usize::try_from(*size).unwrap_or(0);
                let values = array.as_fixed_size_list().values().slice(start * size, (end - start) * size);
                self.child(0).add(&values)?;
            }
            DataType::Map(_, _) => {
                let map = array.as_map();
                let offsets = &map.value_offsets()[start..=end];
                let entries: ArrayRef = std::sync::Arc::new(map.entries().clone());
                self.add_lengths(offsets.windows(2).map(|w| (w[1] - w[0]) as u64));
                let (first, last) = (offsets[0] as usize, offsets[end - start] as usize);
                self.child(0).add(&entries.slice(first, last - first))?;
            }
            DataType::Struct(_) => {
                for (i, column) in array.as_struct().columns().iter().enumerate() {
                    self.child(i).add(&column.slice(start, end - start))?;
                }
            }
            other => self.add_fixed(array, other, start, end)?,
        }
        Ok(())
    }

    fn add_fixed(
        &mut self,
        array: &ArrayRef,
        of: &DataType,
        start: usize,
        end: usize,
    ) -> Result<(), TaskError> {
        let width = match of {
            DataType::FixedSizeBinary(width) => usize::try_from(*width).ok(),
            other => other.primitive_width(),
        };
        let width =
            width.ok_or_else(|| TaskError::Payload(format!("columns of {of} cannot be exchanged")))?;
        self.bytes += ((end - start) * width) as u64;
        if let Some(streams) = &mut self.streams {
            let data = array.to_data();
            let from = (data.offset() + start) * width;
            streams.values.add(&data.buffers()[0].as_slice()[from..from + (end - start) * width]);
        }
        Ok(())
    }

    fn add_bytes<T: ByteArrayType>(&mut self, array: &GenericByteArray<T>, start: usize, end: usize) {
        let offsets = &array.value_offsets()[start..=end];
        self.add_lengths(offsets.windows(2).map(|w| (w[1].as_usize() - w[0].as_usize()) as u64));
        let bytes = &array.value_data()[offsets[0].as_usize()..offsets[end - start].as_usize()];
        self.bytes += bytes.len() as u64;
        if let Some(streams) = &mut self.streams {
            streams.values.add(bytes);
        }
    }

    fn add_views<T: ByteViewType>(&mut self, array: &GenericByteViewArray<T>, start: usize, end: usize) {
        // A view begins with the length.
        let length = |view: &u128| u64::from(*view as u32);
        self.bytes += array.views()[start..end].iter().map(|view| length(view) + 4).sum::<u64>();
        if let Some(streams) = &mut self.streams {
            for row in start..end {
                let bytes: &[u8] = array.value(row).as_ref();
                streams.lengths.add(&(bytes.len() as u64).to_le_bytes());
                streams.values.add(bytes);
            }
        }
    }

    fn add_list<O: OffsetSizeTrait>(
        &mut self,
        array: &GenericListArray<O>,
        start: usize,
        end: usize,
    ) -> Result<(), TaskError> {
        let offsets = &array.value_offsets()[start..=end];
        self.add_lengths(offsets.windows(2).map(|w| (w[1].as_usize() - w[0].as_usize()) as u64));
        let (first, last) = (offsets[0].as_usize(), offsets[end - start].as_usize());
        self.child(0).add(&array.values().slice(first, last - first))
    }

    fn add_lengths(&mut self, lengths: impl ExactSizeIterator<Item = u64>) {
        self.bytes += 4 * lengths.len() as u64;
        if let Some(streams) = &mut self.streams {
            lengths.for_each(|length| streams.lengths.add(&length.to_le_bytes()));
        }
    }

    fn child(&mut self, i: usize) -> &mut Column {
        if self.children.len() <= i {
            let new = if self.streams.is_some() { Column::hashed } else { Column::default };
            self.children.resize_with(i + 1, new);
        }
        &mut self.children[i]
    }

    fn finish(self, sum: &mut Sum) {
        sum.size.bytes += self.bytes + if self.n_nulls > 0 { self.n_values.div_ceil(8) } else { 0 };
        if let Some(streams) = self.streams {
            let Streams { nulls, lengths, values } = *streams;
            for part in [self.n_values, self.n_nulls, nulls.finish(), lengths.finish(), values.finish()] {
                sum.checksum = mixed(sum.checksum ^ part);
            }
        }
        for child in self.children {
            child.finish(sum);
        }
    }
}

/// The finaliser of SplitMix64.
pub(crate) fn mixed(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

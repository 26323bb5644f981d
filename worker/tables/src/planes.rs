//! Chunks of arrays as columns of tables, without a copy where elements lie side by side (but for `bool`, which Arrow keeps
//! as bits), and columns as the elements of a chunk. Must not know who reads or makes them.

use std::panic::AssertUnwindSafe;
use std::ptr::NonNull;
use std::sync::Arc;
use tilework_expr::{DType, with_dtype};
use tilework_frame::arrow::array::{
    Array, ArrayData, ArrayRef, AsArray, BooleanArray, RecordBatch, make_array,
};
use tilework_frame::arrow::buffer::Buffer;
use tilework_frame::arrow::datatypes::DataType;
use tilework_frame::{Piece, TaskError};
use tilework_kernels::Plane;

/// The type of a column of such elements; tables have none for complex numbers.
#[must_use]
pub fn data_type_of(dtype: DType) -> Option<DataType> {
    Some(match dtype {
        DType::Bool => DataType::Boolean,
        DType::I8 => DataType::Int8,
        DType::I16 => DataType::Int16,
        DType::I32 => DataType::Int32,
        DType::I64 => DataType::Int64,
        DType::U8 => DataType::UInt8,
        DType::U16 => DataType::UInt16,
        DType::U32 => DataType::UInt32,
        DType::U64 => DataType::UInt64,
        DType::F32 => DataType::Float32,
        DType::F64 => DataType::Float64,
        _ => return None,
    })
}

/// A chunk of one axis as the only column of a table. It shares its memory where the elements lie side by side.
///
/// # Errors
/// [`TaskError::Payload`]: elements that tables have no values for.
pub fn piece_of_array(chunk: &Plane) -> Result<Piece, TaskError> {
    Ok(Piece::of_column(column(chunk)?))
}

fn column(chunk: &Plane) -> Result<ArrayRef, TaskError> {
    let chunk = chunk.to_contiguous();
    let wrong = |what: &str| TaskError::Payload(format!("a column of an array of {}: {what}", chunk.dtype()));
    let bytes = chunk.contiguous_bytes().ok_or_else(|| wrong("its elements do not lie side by side"))?;
    let data_type = data_type_of(chunk.dtype()).ok_or_else(|| wrong("tables have no such values"))?;
    if data_type == DataType::Boolean {
        return Ok(Arc::new(BooleanArray::from_iter(bytes.iter().map(|b| Some(*b != 0)))));
    }
    let (len, n_bytes) = (chunk.len(), bytes.len());
    let lent = Arc::new(AssertUnwindSafe(chunk.clone()));
    let buffer = match NonNull::new(bytes.as_ptr().cast_mut()).filter(|_| n_bytes > 0) {
        // SAFETY: the chunk's memory is not written any more, and lives as long as the clone that is handed over.
        Some(start) => unsafe { Buffer::from_custom_allocation(start, n_bytes, lent) },
        None => Buffer::from(Vec::<u64>::new()),
    };
    let data = ArrayData::builder(data_type).len(len).add_buffer(buffer).build();
    data.map(make_array).map_err(|e| wrong(&e.to_string()))
}

/// The elements of columns that are all of this dtype and have no value missing, row by row.
///
/// # Errors
/// [`TaskError::Payload`]: other columns, or values that are missing.
pub fn elements(batches: &[RecordBatch], dtype: DType) -> Result<Vec<u8>, TaskError> {
    let n_rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let n_columns = batches.first().map_or(0, RecordBatch::num_columns);
    let mut bytes = vec![0; n_rows * n_columns * dtype.size()];
    let mut row = 0;
    for batch in batches {
        for (at, column) in batch.columns().iter().enumerate() {
            if column.logical_null_count() > 0 || Some(column.data_type()) != data_type_of(dtype).as_ref() {
                let (got, nulls) = (column.data_type(), column.logical_null_count());
                let why = format!("a column of {got}, of which {nulls} values are missing, as {dtype}");
                return Err(TaskError::Payload(why));
            }
            let start = (row * n_columns + at) * dtype.size();
            spread(column, dtype, &mut bytes[start..], n_columns);
        }
        row += batch.num_rows();
    }
    Ok(bytes)
}

/// Writes the values of a column, each so many elements behind the one before.
fn spread(column: &ArrayRef, dtype: DType, out: &mut [u8], step: usize) {
    if let Some(flags) = column.as_boolean_opt() {
        flags.values().iter().enumerate().for_each(|(i, flag)| out[i * step] = u8::from(flag));
        return;
    }
    let data = column.to_data();
    let Some(buffer) = data.buffers().first() else { return };
    let size = dtype.size();
    let values = &buffer.as_slice()[data.offset() * size..][..data.len() * size];
    if step == 1 {
        out[..values.len()].copy_from_slice(values);
        return;
    }
    with_dtype!(dtype, T => {
        let values = values.chunks_exact(size_of::<T>());
        let places = out.chunks_mut(step * size_of::<T>());
        values.zip(places).for_each(|(value, place)| place[..size_of::<T>()].copy_from_slice(value));
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use tilework_frame::arrow::datatypes::{Field, Schema, SchemaRef};
    use tilework_kernels::Chunk;

    fn chunk(dtype: DType, shape: &[usize], bytes: &[u8]) -> Plane {
        Chunk::from_bytes(&[dtype], shape, bytes).unwrap().planes.remove(0)
    }

    fn schema(data_type: DataType) -> SchemaRef {
        Arc::new(Schema::new(vec![Field::new("x", data_type, true)]))
    }

    #[test]
    fn elements_are_lent_and_come_back() {
        let bytes: Vec<u8> = [1.5f64, -2.0, 3.25].iter().flat_map(|x| x.to_ne_bytes()).collect();
        let lent = chunk(DType::F64, &[3], &bytes);
        let piece = piece_of_array(&lent).unwrap();
        let batch = piece.batches(&schema(DataType::Float64)).unwrap().remove(0);
        let data = batch.column(0).to_data();
        assert_eq!(data.buffers()[0].as_ptr(), lent.as_ptr(), "no copy is made");
        drop(lent);
        assert_eq!(
            elements(&[batch.slice(1, 2), batch.slice(0, 1)], DType::F64).unwrap(),
            [&bytes[8..], &bytes[..8]].concat()
        );

        let flags = chunk(DType::Bool, &[3], &[1, 0, 1]);
        let piece = piece_of_array(&flags).unwrap();
        let batch = piece.batches(&schema(DataType::Boolean)).unwrap().remove(0);
        assert_eq!(elements(&[batch.slice(1, 2)], DType::Bool).unwrap(), [0, 1]);
        let none = piece_of_array(&chunk(DType::I32, &[0], &[])).unwrap();
        assert_eq!(none.rows(), 0);
    }

    #[test]
    fn columns_lie_row_by_row_and_other_ones_are_refused() {
        let x = tilework_frame::values([1i32, 2]);
        let y = tilework_frame::values([10i32, 20]);
        let batch = RecordBatch::try_from_iter([("x", x), ("y", y)]).unwrap();
        let bytes: Vec<u8> = [1i32, 10, 2, 20].iter().flat_map(|x| x.to_ne_bytes()).collect();
        assert_eq!(elements(std::slice::from_ref(&batch), DType::I32).unwrap(), bytes);
        assert!(matches!(elements(&[batch], DType::F64), Err(TaskError::Payload(_))));
        let gaps = RecordBatch::try_from_iter([("x", tilework_frame::values([Some(1i32), None]))]).unwrap();
        let why = elements(&[gaps], DType::I32).unwrap_err().to_string();
        assert!(why.contains("1 values are missing"), "{why}");
    }
}

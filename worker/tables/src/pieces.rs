//! Pieces of tables as blocks of values: rows, bytes of their values, their checksum and a zero, which keeps what follows
//! aligned, then the rows as Arrow writes them.
//! So who reads one knows whether it got what was written. Must not know who makes or reads them.

use bytes::Bytes;
use tilework_frame::{Piece, TaskError};
use tilework_kernels::{BlockWriter, Plane, block_of, n_blocks};

/// Bytes before the rows.
const HEAD: usize = 4 * size_of::<u64>();

/// A value of these pieces, one block each.
///
/// # Errors
/// Columns of types that cannot be written.
pub fn value(pieces: &[Piece]) -> Result<Vec<u8>, TaskError> {
    let mut writer = BlockWriter::new(pieces.len());
    for piece in pieces {
        let block = writer.block();
        for number in [piece.rows(), piece.value_bytes(), piece.checksum(), 0] {
            block.extend_from_slice(&number.to_le_bytes());
        }
        block.extend_from_slice(&piece.encoded()?);
        writer.end();
    }
    Ok(writer.finish())
}

/// The piece that a block holds. Shares its bytes.
pub(crate) fn of_block(block: &Plane) -> Result<Piece, TaskError> {
    let bytes = block.contiguous_bytes().ok_or_else(|| corrupt("its bytes do not lie side by side"))?;
    let (head, _) = bytes.split_at_checked(HEAD).ok_or_else(|| corrupt("it is too short"))?;
    let (numbers, _) = head.as_chunks::<8>();
    let number = |i: usize| u64::from_le_bytes(numbers[i]);
    let rows = Bytes::from_owner(Shared(block.clone())).slice(HEAD..);
    Ok(Piece::from_encoded(rows, number(0), number(1), number(2)))
}

/// The pieces of a value, in order. They share its bytes, which are checked when they are read.
///
/// # Errors
/// [`TaskError::Corrupt`]: a value that is none of pieces.
pub fn of_value(value: &Plane) -> Result<Vec<Piece>, TaskError> {
    let n = n_blocks(value).map_err(|e| corrupt(&e.to_string()))?;
    let block = |i| block_of(value, i).map_err(|e| corrupt(&e.to_string()));
    (0..n).map(|i| of_block(&block(i)?)).collect()
}

fn corrupt(why: &str) -> TaskError {
    TaskError::Corrupt(why.to_owned())
}

/// A block's bytes, which live as long as this.
struct Shared(Plane);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        self.0.contiguous_bytes().unwrap_or_default()
    }
}

//! Pieces of tables as blocks of values: rows, bytes of their values, their checksum and a zero, which keeps what follows
//! aligned, then the rows as Arrow writes them. So who reads one knows whether it got what was written. While a value stays in
//! the process that made it, it is its pieces. Must not know who makes or reads them.

use bytes::Bytes;
use std::any::Any;
use std::sync::Arc;
use tilework_expr::DType;
use tilework_frame::{Piece, TaskError};
use tilework_kernels::{BlockWriter, Chunk, Plane, block_of, n_blocks};
use tilework_worker::Kept;

/// Bytes before the rows.
const HEAD: usize = 4 * size_of::<u64>();

/// A value that is its pieces.
#[derive(Debug)]
pub(crate) struct Pieces {
    pieces: Vec<Piece>,
    bytes: u64,
}

impl Pieces {
    pub(crate) fn new(pieces: Vec<Piece>) -> Pieces {
        let bytes = Piece::held_bytes_of(&pieces);
        Pieces { pieces, bytes }
    }

    /// Those that a reader of the value, or of a block of it, gets.
    pub(crate) fn read(&self, block: Option<u64>) -> Result<Vec<Piece>, TaskError> {
        let Some(number) = block else { return Ok(self.pieces.clone()) };
        self.at(number).map(|piece| vec![piece.clone()]).map_err(|e| corrupt(&e))
    }

    fn at(&self, number: u64) -> Result<&Piece, String> {
        let piece = usize::try_from(number).ok().and_then(|at| self.pieces.get(at));
        piece.ok_or_else(|| format!("block {number} of a value of {}", self.pieces.len()))
    }
}

impl Kept for Pieces {
    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn written_bytes(&self) -> u64 {
        self.bytes + self.pieces.iter().map(Piece::on_disk_bytes).sum::<u64>()
    }

    fn n_blocks(&self) -> u64 {
        self.pieces.len() as u64
    }

    fn written(&self) -> Result<Chunk, String> {
        chunk(&value(&self.pieces).map_err(|e| e.to_string())?)
    }

    fn block(&self, number: u64) -> Result<Chunk, String> {
        let mut bytes = Vec::new();
        append(self.at(number)?, &mut bytes).map_err(|e| e.to_string())?;
        chunk(&bytes)
    }

    fn itself(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

fn chunk(bytes: &[u8]) -> Result<Chunk, String> {
    Chunk::from_bytes(&[DType::U8], &[bytes.len()], bytes).map_err(|e| e.to_string())
}

fn append(piece: &Piece, to: &mut Vec<u8>) -> Result<(), TaskError> {
    for number in [piece.rows(), piece.value_bytes(), piece.checksum()?, 0] {
        to.extend_from_slice(&number.to_le_bytes());
    }
    to.extend_from_slice(&piece.encoded()?);
    Ok(())
}

/// A value of these pieces, one block each.
///
/// # Errors
/// Columns of types that cannot be written.
pub fn value(pieces: &[Piece]) -> Result<Vec<u8>, TaskError> {
    let mut writer = BlockWriter::new(pieces.len());
    for piece in pieces {
        append(piece, writer.block())?;
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

//! Internal to tilework: chunk kernels: what one task computes, from the chunks it reads to the chunk it makes.
//!
//! Knows arithmetic, memory and rayon. Must not know where chunks come from, where they go, or who asked.

mod affine;
mod blocks;
mod calls;
mod chunk;
pub mod complex;
mod contract;
mod copy;
mod feed;
mod functions;
mod gather;
mod halo;
pub mod library;
mod map;
mod math;
pub mod native;
mod ops;
mod pairs;
mod pool;
mod program;
mod random;
mod reduce;
mod reshape;
mod take;
mod task;

pub use blocks::{BlockWriter, NoBlock, block_of, block_range, n_blocks};
pub use chunk::{Buffer, BufferMut, Chunk, ChunkError, ChunkWriter, FreedShare, Plane, UninitBuffer};
pub use feed::{Feed, KernelError, panic_text};
pub use pool::alone;
pub use reduce::here;
pub use task::execute;

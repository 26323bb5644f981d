//! Functions of the user's program: how a compiled function becomes data that names it, and how a process of the same
//! executable finds it again and calls it.
//!
//! A function is named by where its [`Descriptor`] lies, counted from a fixed place of the same image, which is the
//! same number in every process of one executable wherever the system has loaded it. Before anything is called, the
//! executable's build id, the place, the descriptor's mark, the function's name and its dtypes are compared.
//!
//! Owns the offsets and these checks. Must not know where the functions' arguments come from.

mod call;
mod descriptor;
mod image;
mod once;
mod panics;

pub(crate) use call::Elements;
pub use call::{
    Argument, BlockCall, Lane, Lanes, OpaqueCall, Place, ValuesCall, call_array, call_block, call_opaque,
    call_values,
};
pub use descriptor::{Descriptor, Entry, Gives, Refusal, Takes, kernel_of, resolve};
pub use image::build_id;
pub use once::{forget_unused, once};

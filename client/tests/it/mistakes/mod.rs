//! What every operation says of wrong shapes, axes, types, ranges and values: tables of calls and texts, by theme.

#![allow(
    clippy::reversed_empty_ranges,
    clippy::modulo_one,
    clippy::eq_op,
    clippy::cloned_ref_to_slice_refs,
    reason = "these are the mistakes"
)]

mod construct;
mod elementwise;
mod functions;
mod reductions;
mod running;
mod views;

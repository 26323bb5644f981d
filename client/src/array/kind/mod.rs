//! What an array is in memory: ndarray's array that is here, or an expression whose values come when they are
//! touched. One file a kind: owned, view, writable view, view or owned, shared; and
//! what all but one of them are by reference.
//!
//! Knows when values are shared, computed and kept. Must not know operations.

mod base;
pub(crate) mod choice;
mod cow;
pub(crate) mod memory;
pub(crate) mod node;
mod owned;
mod shared;
pub(crate) mod source;
mod view;
mod view_mut;

pub use base::ArrayBase;
pub use cow::CowArray;
pub use owned::Array;
pub use shared::ArcArray;
pub use source::Source;
pub use view::ArrayView;
pub use view_mut::ArrayViewMut;

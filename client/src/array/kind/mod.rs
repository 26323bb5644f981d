//! What an array is in memory: the place of its elements, and whose they are, or the expression whose values come when
//! they are touched. One file a kind: owned, view, view or owned, shared; what they have in common; and what all of them
//! are by reference.
//!
//! Knows when values are shared, computed and kept. Must not know operations.

mod base;
pub(crate) mod choice;
mod cow;
mod data;
pub(crate) mod memory;
pub(crate) mod node;
mod owned;
pub(crate) mod reference;
mod shared;
pub(crate) mod source;
mod view;

pub use base::{ArrayBase, Parts};
pub use cow::{CowArray, CowRepr};
pub use data::{Data, DataMut, DataOwned, DataShared, RawData, RawDataClone, RawDataMut, RawDataSubst};
pub use owned::{Array, OwnedRepr};
pub use reference::ArrayRef;
pub use shared::{ArcArray, OwnedArcRepr};
pub use source::Source;
pub use view::{ArrayView, ArrayViewMut, ViewRepr};

//! Arrays in serde's formats, as ndarray's. A lazy array is computed.

use super::kind::source::Source;
use super::{ArcArray, Array, ArrayBase, ArrayView, ArrayViewMut, CowArray};
use ndarray::{Data, Dimension};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! serialize {
    ($([$($g:tt)*] $kind:ty;)*) => { $(
        /// As ndarray's array. A lazy array is computed; where that fails, its error is the serializer's.
        impl<A: Serialize, D: Dimension + Serialize, $($g)*> Serialize for $kind {
            fn serialize<Se: Serializer>(&self, serializer: Se) -> Result<Se::Ok, Se::Error> {
                if let Some(node) = self.node() {
                    node.try_here().map_err(serde::ser::Error::custom)?;
                }
                self.here().view().serialize(serializer)
            }
        }
    )* };
}
serialize! {
    [] Array<A, D>;
    [] ArrayView<'_, A, D>;
    [] ArrayViewMut<'_, A, D>;
    [] CowArray<'_, A, D>;
    [] ArcArray<A, D>;
    [S: Data<Elem = A>] ArrayBase<S, D, A>;
}

impl<'de, A: Deserialize<'de>, D: Dimension + Deserialize<'de>> Deserialize<'de> for Array<A, D> {
    fn deserialize<De: Deserializer<'de>>(deserializer: De) -> Result<Self, De::Error> {
        ndarray::Array::deserialize(deserializer).map(Array::local)
    }
}

impl<'de, A: Deserialize<'de>, D: Dimension + Deserialize<'de>> Deserialize<'de> for ArcArray<A, D> {
    fn deserialize<De: Deserializer<'de>>(deserializer: De) -> Result<Self, De::Error> {
        ndarray::ArcArray::deserialize(deserializer).map(ArcArray::local)
    }
}

//! Arrays in serde's formats, as ndarray's. A lazy array is computed.

use super::kind::source::Source;
use super::{Array, ArrayBase, ArrayRef, Data, DataOwned};
use ndarray::Dimension;
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
    [S: Data<Elem = A>] ArrayBase<S, D, A>;
    [] ArrayRef<A, D>;
}

impl<'de, A, S, D> Deserialize<'de> for ArrayBase<S, D, A>
where
    A: Deserialize<'de>,
    S: DataOwned<Elem = A>,
    D: Dimension + Deserialize<'de>,
{
    fn deserialize<De: Deserializer<'de>>(deserializer: De) -> Result<Self, De::Error> {
        ndarray::Array::deserialize(deserializer).map(|array| S::of_owned(Array::local(array)))
    }
}

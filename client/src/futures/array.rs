//! Arrays as arguments of tasks: a function gets the whole of one, which the workers make for it. How arrays are given to
//! calls, and how a function's array is read from elements as they lie in memory.
//!
//! Must not know tasks, nor how arrays are computed.

use super::argument::{Argument, Written};
use crate::array::kind::source::Source;
use crate::array::{Array, ArrayBase, Data, plane_of_array};
use crate::error::Result;
use ndarray::{Dimension, Ix1};
use num_complex::Complex;
use serde::de::value::{Error, SeqDeserializer};
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;
use tilework_expr::{AxisChunks, Chunks, DType, Element, Expr, with_dtype};
use tilework_kernels::{Chunk, Plane};

/// Bytes of an array in memory up to which it travels with the call.
const INLINE_BYTES_MAX: usize = 64 << 10;

/// The version of ndarray's format for arrays.
const FORMAT: u8 = 1;

/// An array as it is given to a call.
pub(super) enum Whole {
    /// Small and in memory: its dtype, shape and elements as bytes.
    Here(Vec<u8>, Expr),
    /// An expression in one chunk.
    Made(Expr),
}

/// An array for a call, which gets all of it.
pub(super) fn whole<A: Element, D: Dimension>(array: &impl Source<A, D>) -> Result<Whole> {
    let expr = array.leaf()?;
    let bytes = expr.len().saturating_mul(size_of::<A>());
    if bytes == 0 || bytes <= INLINE_BYTES_MAX && !array.is_unknown() {
        let plane = match bytes {
            0 => Chunk::from_bytes(&[A::DTYPE], &expr.shape(), &[])
                .map(|mut chunk| chunk.planes.remove(0))
                .ok(),
            _ => Some(plane_of_array(array.here().to_owned())),
        };
        if let Some(bytes) = plane.and_then(|plane| written(&plane)) {
            return Ok(Whole::Here(bytes, in_one_chunk(&expr)?));
        }
    }
    Ok(Whole::Made(in_one_chunk(&expr)?))
}

fn in_one_chunk(expr: &Expr) -> Result<Expr> {
    Ok(expr.rechunk(&Chunks::Every(AxisChunks::Whole))?)
}

/// A plane as bytes that [`read`] reads; nothing where they are more than a message holds.
fn written(plane: &Plane) -> Option<Vec<u8>> {
    let code = DType::ALL.iter().position(|d| *d == plane.dtype())?;
    let mut out = vec![u8::try_from(code).ok()?, u8::try_from(plane.shape().len()).ok()?];
    plane.shape().iter().for_each(|len| out.extend((*len as u64).to_le_bytes()));
    let plane = plane.to_contiguous();
    out.extend(plane.contiguous_bytes()?);
    Some(out)
}

/// The plane that begins bytes, and what is behind it.
pub(super) fn read(bytes: &[u8]) -> std::result::Result<(Plane, &[u8]), String> {
    let missing = "a part of the array is missing";
    let (&[code, ndim], mut rest) = bytes.split_first_chunk().ok_or(missing)?;
    let dtype = DType::from_code(code).ok_or("its elements are of no known type")?;
    let mut shape = Vec::with_capacity(ndim.into());
    for _ in 0..ndim {
        let (len, behind) = rest.split_first_chunk().ok_or(missing)?;
        shape.push(usize::try_from(u64::from_le_bytes(*len)).map_err(|e| e.to_string())?);
        rest = behind;
    }
    let len = shape.iter().try_fold(dtype.size(), |n, len| n.checked_mul(*len)).ok_or(missing)?;
    let (elements, rest) = rest.split_at_checked(len).ok_or(missing)?;
    let mut chunk = Chunk::from_bytes(&[dtype], &shape, elements).map_err(|e| e.to_string())?;
    Ok((chunk.planes.remove(0), rest))
}

/// The array of elements in memory: ndarray's, ours, or of one axis a vector.
pub(super) fn of_plane<T: DeserializeOwned>(plane: &Plane) -> std::result::Result<T, String> {
    let plane = plane.to_contiguous();
    T::deserialize(Elements(&plane)).map_err(|e| e.to_string())
}

/// Elements side by side, as ndarray's format has an array: a version, the lengths of its axes, the elements.
struct Elements<'a>(&'a Plane);

impl<'de> Deserializer<'de> for Elements<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> std::result::Result<V::Value, Error> {
        items(self.0, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> std::result::Result<V::Value, Error> {
        visitor.visit_seq(Fields { plane: self.0, at: 0 })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// The fields of an array.
struct Fields<'a> {
    plane: &'a Plane,
    at: u8,
}

impl<'de> SeqAccess<'de> for Fields<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> std::result::Result<Option<T::Value>, Error> {
        self.at += 1;
        let field = match self.at {
            1 => seed.deserialize(FORMAT.into_deserializer()),
            2 => seed.deserialize(SeqDeserializer::new(self.plane.shape().iter().copied())),
            3 => seed.deserialize(Elements(self.plane)),
            _ => return Ok(None),
        };
        field.map(Some)
    }
}

/// An element of an array.
trait Item: Copy {
    fn read<'de, S: DeserializeSeed<'de>>(self, seed: S) -> std::result::Result<S::Value, Error>;
}

macro_rules! items {
    ($($number:ty)*; $($complex:ty)*) => {
        $(
            impl Item for $number {
                fn read<'de, S: DeserializeSeed<'de>>(self, seed: S) -> std::result::Result<S::Value, Error> {
                    seed.deserialize(self.into_deserializer())
                }
            }
        )*
        $(
            impl Item for $complex {
                fn read<'de, S: DeserializeSeed<'de>>(self, seed: S) -> std::result::Result<S::Value, Error> {
                    seed.deserialize(SeqDeserializer::new([self.re, self.im].into_iter()))
                }
            }
        )*
    };
}
items! { bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64; Complex<f32> Complex<f64> }

struct Items<I>(I);

impl<'de, A: Item, I: ExactSizeIterator<Item = A>> SeqAccess<'de> for Items<I> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> std::result::Result<Option<T::Value>, Error> {
        self.0.next().map(|item| item.read(seed)).transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

fn items<'de, V: Visitor<'de>>(plane: &Plane, visitor: V) -> std::result::Result<V::Value, Error> {
    with_dtype!(plane.dtype(), A => {
        let elements = plane.as_slice::<A>().unwrap_or(&[]);
        visitor.visit_seq(Items(elements.iter().copied()))
    })
}

/// The whole of an array, for a function that takes ndarray's. It is computed on the workers, and not here.
impl<A: Element, S: Data<Elem = A>, D: Dimension> Argument<ndarray::Array<A, D>> for &ArrayBase<S, D, A> {
    fn write(self, to: &mut Written) -> Result<()> {
        to.array(whole(self)?);
        Ok(())
    }
}

/// The whole of an array, for a function that takes ndarray's. It is computed on the workers, and not here.
impl<A: Element, S: Data<Elem = A>, D: Dimension> Argument<ndarray::Array<A, D>> for ArrayBase<S, D, A> {
    fn write(self, to: &mut Written) -> Result<()> {
        to.array(whole(&self)?);
        Ok(())
    }
}

/// The whole of an array, for a function that takes one in memory. It is computed on the workers, and not here.
impl<A: Element, S: Data<Elem = A>, D: Dimension> Argument<Array<A, D>> for &ArrayBase<S, D, A> {
    fn write(self, to: &mut Written) -> Result<()> {
        to.array(whole(self)?);
        Ok(())
    }
}

/// All elements of an array of one axis, for a function that takes a vector.
impl<A: Element, S: Data<Elem = A>> Argument<Vec<A>> for &ArrayBase<S, Ix1, A> {
    fn write(self, to: &mut Written) -> Result<()> {
        to.array(whole(self)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, Array3, ArrayD, arr0, array};

    #[track_caller]
    fn comes_back<A, D>(array: ndarray::Array<A, D>)
    where
        A: Element + serde::de::DeserializeOwned + PartialEq,
        D: Dimension + serde::de::DeserializeOwned,
    {
        let plane = plane_of_array(array.clone());
        assert_eq!(of_plane::<ndarray::Array<A, D>>(&plane), Ok(array.clone()));
        let mut bytes = written(&plane).unwrap();
        assert!(read(&bytes[..bytes.len() - 1]).is_err() || array.is_empty());
        bytes.push(7);
        let (plane, rest) = read(&bytes).unwrap();
        assert_eq!(rest, [7]);
        assert_eq!(of_plane::<ndarray::Array<A, D>>(&plane), Ok(array));
    }

    #[test]
    fn arrays_come_back_whatever_their_elements_and_order() {
        comes_back(array![[1.5, -0.0, f64::MAX], [0.1, 2.0, 3.0]]);
        comes_back(array![[1i8, 2], [3, 4]].reversed_axes());
        comes_back(
            Array3::from_shape_fn((2, 3, 4), |(i, j, k)| (i + j + k) as u64)
                .slice_move(ndarray::s![.., 1.., ..;2]),
        );
        comes_back(array![true, false]);
        comes_back(arr0(7u16));
        comes_back(Array2::<f32>::zeros((0, 3)));
        comes_back(ArrayD::from_elem(vec![1, 2, 1, 2], -1i64));
        comes_back(array![Complex::new(1.0f32, -2.0)]);
        let vector = of_plane::<Vec<i32>>(&plane_of_array(array![3, 1, 2]));
        assert_eq!(vector, Ok(vec![3, 1, 2]));
    }

    #[test]
    fn what_is_no_array_says_so() {
        let why = |bytes: &[u8]| read(bytes).unwrap_err();
        assert!(
            why(&[]).contains("missing") && why(&[0]).contains("missing") && why(&[0, 1]).contains("missing")
        );
        assert!(why(&[99, 0]).contains("no known type"));
        let huge = [&[10, 2][..], &[255; 16]].concat();
        assert!(!why(&huge).is_empty());
        let plane = plane_of_array(array![[1, 2], [3, 4]]);
        assert!(of_plane::<ndarray::Array1<i32>>(&plane).is_err());
        assert!(of_plane::<String>(&plane).is_err());
    }
}

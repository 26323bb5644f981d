//! Functions of the elements of several arrays of one shape.
//!
//! Must not know how a function travels.

use super::elements::{ByRef, Call, Inputs, apply};
use super::here;
use crate::array::Array;
use crate::error::{Error, Result, or_panic};
use ndarray::Dimension;
use std::panic::Location;
use tilework_expr::{Element, Expr};

/// The array of what `f` gives for the elements of arrays of one shape, which it takes as `S` says. A function that
/// does not travel is called in this process, after one warning for the line `at`.
///
/// `I` are the types of the elements, as a tuple; `arrays` are of their dtypes.
pub(super) fn each<S, I, F, B>(arrays: &[Expr], f: F, at: &'static Location<'static>) -> Result<Expr>
where
    I: Inputs,
    S: Call<F, I, (), B>,
    B: Element,
{
    match apply::<S, F, I, (), B>(arrays, &f, &()) {
        Err(Error::Function(why)) => {
            here::warn(at, &why);
            here::apply::<S, F, I, B>(arrays, f)
        }
        result => result,
    }
}

/// [`each`], for functions of references to the elements, as those of ndarray's `Zip` are.
pub(crate) fn zip_map<I, F, B>(arrays: &[Expr], f: F, at: &'static Location<'static>) -> Result<Expr>
where
    I: Inputs,
    ByRef: Call<F, I, (), B>,
    B: Element,
{
    each::<ByRef, I, F, B>(arrays, f, at)
}

/// From two to six arrays of one shape, whose elements a function takes together: see [`map_collect`].
pub trait ZipArrays<F, B> {
    /// The arrays' dimension type.
    type Dim: Dimension;

    #[doc(hidden)]
    fn map_collect(self, f: F, at: &'static Location<'static>) -> Result<Array<B, Self::Dim>>;
}

macro_rules! zip_arrays {
    ($(($($a:ident $i:tt)+))*) => { $(
        impl<Func, Out, Dims, $($a),+> ZipArrays<Func, Out> for ($(&Array<$a, Dims>,)+)
        where
            Func: FnMut($(&$a),+) -> Out,
            Out: Element,
            Dims: Dimension,
            $($a: Element,)+
        {
            type Dim = Dims;
            fn map_collect(self, f: Func, at: &'static Location<'static>) -> Result<Array<Out, Dims>> {
                let arrays = [$(self.$i.leaf()?),+];
                Ok(Array::of_expr(zip_map::<($($a,)+), Func, Out>(&arrays, f, at)?))
            }
        }
    )* };
}
zip_arrays! {
    (A 0 B 1)
    (A 0 B 1 C 2)
    (A 0 B 1 C 2 D 3)
    (A 0 B 1 C 2 D 3 E 4)
    (A 0 B 1 C 2 D 3 E 4 F 5)
}

/// The array of what `f` gives for the elements of several arrays of one shape, as ndarray's `Zip::map_collect`.
///
/// On workers that are processes of this program the function runs there, if it captures nothing; else the arrays are
/// computed and it is called in this process, at once, after one warning for the line.
///
/// ```
/// use tilework::prelude::*;
///
/// let (a, b) = (arr1(&[1.0, 2.0]), arr1(&[10, 20]));
/// let c = tilework::map_collect((&a, &b), |&a, &b| a * f64::from(b));
/// assert_eq!(c.compute(), ndarray::arr1(&[10.0, 40.0]));
/// ```
///
/// # Panics
/// Where [`try_map_collect`] returns an error.
#[must_use]
#[track_caller]
pub fn map_collect<F, B, Z: ZipArrays<F, B>>(arrays: Z, f: F) -> Array<B, Z::Dim> {
    or_panic(try_map_collect(arrays, f))
}

/// [`map_collect`] that returns what goes wrong.
///
/// # Errors
/// Arrays of different shapes; a failed computation, where the function is called in this process.
#[track_caller]
pub fn try_map_collect<F, B, Z: ZipArrays<F, B>>(arrays: Z, f: F) -> Result<Array<B, Z::Dim>> {
    arrays.map_collect(f, Location::caller())
}

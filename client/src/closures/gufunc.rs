//! Functions of core dimensions and of lanes, which are given some axes whole.
//!
//! Knows which letters they mean. Must not know how letters become what a task reads.

use super::blocks::block_of;
use super::blockwise::{Blockwise, Call, Calling, How, captures_nothing};
use crate::array::Array;
use crate::error::{Error, Result, or_panic};
use crate::library::wrong;
use ndarray::{ArrayView, Axis, Dimension, Ix1};
use tilework_expr::{Element, Expr, ExprError, Front};
use tilework_kernels::native::BlockCall;

/// What a signature of core dimensions means.
pub(super) struct CoreLetters {
    /// The letters of each array.
    pub(super) takes: Vec<Vec<char>>,
    /// Those of the axes that calls go along.
    pub(super) loops: Vec<char>,
    /// The core dimensions of each result.
    pub(super) gives: Vec<Vec<char>>,
    /// Letters that are given whole.
    pub(super) whole: Vec<char>,
}

impl CoreLetters {
    /// The letters of the only result.
    pub(super) fn one(&self, signature: &str) -> Result<Vec<char>> {
        match &self.gives[..] {
            [one] => Ok([&self.loops[..], one].concat()),
            all => {
                let expected = "one: `map_many` takes functions of several";
                Err(wrong("results of a signature", format!("{} in {signature:?}", all.len()), expected))
            }
        }
    }
}

/// The letters that a signature of core dimensions means, `"(i,j),(j)->(i)"`: axes before those are the loop's, and belong
/// together from the last.
pub(super) fn core_letters(signature: &str, arrays: &[Expr]) -> Result<CoreLetters> {
    let bad = |expected| {
        let got = signature.to_owned();
        Error::from(ExprError::Parameter { what: "core dimensions", got, expected })
    };
    let expected = "as in \"(i,j),(j)->(i)\", each a letter";
    let (takes, gives) = signature.split_once("->").ok_or_else(|| bad(expected))?;
    let group = |text: &str| -> Result<Vec<char>> {
        let inner =
            text.trim().strip_prefix('(').and_then(|t| t.strip_suffix(')')).ok_or_else(|| bad(expected))?;
        if inner.trim().is_empty() {
            return Ok(Vec::new());
        }
        let letter = |name: &str| match name.trim().chars().collect::<Vec<char>>()[..] {
            [letter] if letter.is_alphabetic() => Ok(letter),
            _ => Err(bad(expected)),
        };
        inner.split(',').map(letter).collect()
    };
    // Groups end where a closing parenthesis is followed by a comma.
    let groups = |text: &str| {
        let text = text.replace(char::is_whitespace, "");
        let parts = text.split_inclusive(')').enumerate();
        let part = |(i, part): (usize, &str)| match i {
            0 => group(part),
            _ => group(part.strip_prefix(',').ok_or_else(|| bad(expected))?),
        };
        parts.map(part).collect::<Result<Vec<_>>>()
    };
    let (takes, gives) = (groups(takes)?, groups(gives)?);
    if takes.len() != arrays.len() || arrays.iter().zip(&takes).any(|(array, core)| array.ndim() < core.len())
    {
        return Err(bad("a group for each array, of no more letters than it has axes"));
    }
    let n_loop = arrays.iter().zip(&takes).map(|(array, core)| array.ndim() - core.len()).max().unwrap_or(0);
    // Characters that nobody writes.
    let loops: Vec<char> = (0..n_loop as u32).filter_map(|i| char::from_u32(0xE000 + i)).collect();
    let whole: Vec<char> = takes.iter().flatten().chain(gives.iter().flatten()).copied().collect();
    let with = |array: &Expr, core: Vec<char>| {
        let own = array.ndim() - core.len();
        loops[n_loop - own..].iter().copied().chain(core).collect()
    };
    let takes = arrays.iter().zip(takes).map(|(array, core)| with(array, core)).collect();
    Ok(CoreLetters { takes, loops, gives, whole })
}

/// A function of core dimensions, as NumPy's generalised functions are: of the last axes of each array, which a signature
/// names and each call is given whole, `"(i,j),(j)->(i)"`. The axes before those are the loop's; they broadcast together, stay
/// as they are cut, and come first in the result. A function gets blocks of both, and gives one. A letter that the result alone
/// has gets its length from [`Blockwise::size`].
///
/// ```
/// use tilework::prelude::*;
///
/// let x = Array2::<f64>::in_chunks([2, 2]).ones((4, 3));
/// let weights = arr1(&[1.0, 2.0, 3.0]);
/// let sums = tilework::apply_gufunc("(i),(i)->()", (&x, &weights)).map(|x, w| x.dot(&w));
/// assert_eq!(sums.compute(), ndarray::arr1(&[6.0; 4]));
/// ```
///
/// A signature of several results is a function's whose tuple has as many: its calls are made once for all of them.
///
/// ```
/// use tilework::prelude::*;
///
/// let x = Array::from_shape_vec((2, 3), vec![1.0, 2.0, 6.0, 5.0, 5.0, 5.0]).unwrap().rechunk(1);
/// let (means, away) = tilework::apply_gufunc("(i)->(),(i)", (&x,)).map_many(|x: ndarray::ArrayView2<f64>| {
///     let means = x.mean_axis(Axis(1)).unwrap();
///     let away = &x - &means.view().insert_axis(Axis(1));
///     (means, away)
/// });
/// assert_eq!(means.compute(), ndarray::arr1(&[3.0, 5.0]));
/// assert_eq!(away.compute(), ndarray::arr2(&[[-2.0, -1.0, 3.0], [0.0, 0.0, 0.0]]));
/// ```
///
/// A task gives one block, in which all that a call gives is packed, and each result is unpacked from it: its bytes are copied
/// twice. The function is called once a block in each computation, by [`compute_all`](crate::compute_all) and
/// [`persist_all`](crate::persist_all) for all results.
///
/// Functions capture nothing, and run on workers that are this program: see [`Array::mapv_with`].
pub fn apply_gufunc<T>(signature: impl Into<String>, arrays: T) -> Blockwise<T> {
    let mut how = How::new(Front::Blockwise);
    (how.letters, how.core) = (Some(signature.into()), true);
    Blockwise { arrays, how }
}

/// `f(lane)` of each lane along an axis, which gives so many elements: those are its parameters.
struct Lanes;

impl<F, A: Element, D: Dimension, B: Element> Call<F, ((A, D),), (usize, usize), ndarray::Array<B, D>>
    for Lanes
where
    F: FnMut(ArrayView<'_, A, Ix1>) -> ndarray::Array<B, Ix1>,
{
    fn call(
        f: &mut F,
        call: &BlockCall<'_>,
        &(axis, n): &(usize, usize),
    ) -> std::result::Result<ndarray::Array<B, D>, String> {
        let x = block_of::<A, D>(call, 0)?;
        let mut dim = x.raw_dim();
        dim.slice_mut()[axis] = n;
        let mut all = ndarray::Array::from_elem(dim, B::from_bits(0));
        for (lane, mut to) in x.lanes(Axis(axis)).into_iter().zip(all.lanes_mut(Axis(axis))) {
            let found = f(lane);
            if found.len() != n {
                return Err(format!("it gave {} elements of a lane, expected {n}", found.len()));
            }
            to.assign(&found);
        }
        Ok(all)
    }
}

impl<A: Element, D: Dimension> Array<A, D> {
    /// What a function gives for each lane along an axis, which it is given whole: `n` elements each, along the same axis of a
    /// lazy array. NumPy's `apply_along_axis`.
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// let x = arr2(&[[3, 1, 2], [9, 7, 8]]);
    /// let ends = x.apply_along_axis(Axis(1), 2, |lane| {
    ///     ndarray::arr1(&[*lane.iter().min().unwrap(), *lane.iter().max().unwrap()])
    /// });
    /// assert_eq!(ends.compute(), ndarray::arr2(&[[1, 3], [7, 9]]));
    /// ```
    ///
    /// # Panics
    /// Where [`Array::try_apply_along_axis`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn apply_along_axis<B: Element, F>(&self, axis: Axis, n: usize, f: F) -> Array<B, D>
    where
        F: Fn(ArrayView<'_, A, Ix1>) -> ndarray::Array<B, Ix1> + Send + Sync + 'static,
    {
        captures_nothing!(F);
        or_panic(self.try_apply_along_axis(axis, n, f))
    }

    /// [`Array::apply_along_axis`] that returns what goes wrong.
    ///
    /// # Errors
    /// An axis out of range; [`Error::Function`] for a function that captures variables. The computation fails where it gives
    /// another number of elements.
    pub fn try_apply_along_axis<B: Element, F>(&self, axis: Axis, n: usize, f: F) -> Result<Array<B, D>>
    where
        F: Fn(ArrayView<'_, A, Ix1>) -> ndarray::Array<B, Ix1> + Send + Sync + 'static,
    {
        let expr = self.leaf()?;
        let (axis, ndim) = (axis.index(), expr.ndim());
        if axis >= ndim {
            return Err(ExprError::AxisOutOfRange { axis, ndim }.into());
        }
        let letters: String = (0..ndim as u32).filter_map(|i| char::from_u32('a' as u32 + i)).collect();
        let letter = letters.chars().nth(axis).unwrap_or('a');
        let mut how = How::new(Front::Blockwise);
        how.letters = Some(format!("{letters}->{letters}"));
        how.whole.push(letter);
        how.size.push((letter, n));
        Calling::<Lanes, F, ((A, D),), (usize, usize), B, D>::over(&f, &(axis, n), &[expr], &how)
    }
}

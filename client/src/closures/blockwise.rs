//! Functions of the blocks of several arrays, which say by letters which axes belong together: blocks of other shapes, axes
//! dropped and added, neighbours seen, and arrays that are made block by block of nothing.
//!
//! Owns how letters become what a task reads. Must not know sessions.

use super::blocks::{Boundaries, Depths, block_of};
use super::elements::accepts;
use super::gufunc::core_letters;
use super::many::{Packing, Results};
use super::params::{Params, params_of};
use super::ship::{conjure, ship};
use crate::array::{Array, plane_of_array, shape_of};
use crate::error::{Error, Result, or_panic};
use ndarray::{ArrayView, Dimension, ShapeBuilder};
use std::any::type_name;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Arc;
use tilework_expr::{
    Along, BlockFunction, Blocks, Chunks, DType, Element, Expr, ExprError, Front, Halo, Read,
};
use tilework_kernels::Plane;
use tilework_kernels::native::{BlockCall, Descriptor, Entry, Gives, Place, Takes};
use tilework_plan::{AxisGrid, Grid};

/// Which block a function is called with.
#[derive(Clone, Copy, Debug)]
pub struct BlockPlace<'a>(pub(super) &'a Place);

impl BlockPlace<'_> {
    /// Its number along each axis.
    #[must_use]
    pub fn index(&self) -> &[usize] {
        &self.0.chunk
    }

    /// How many blocks there are along each axis.
    #[must_use]
    pub fn counts(&self) -> &[usize] {
        &self.0.counts
    }

    /// The positions of the result that it is.
    #[must_use]
    pub fn ranges(&self) -> &[Range<usize>] {
        &self.0.region
    }

    /// The positions of the arrays that it is made of, along the axes of the result, without what is around them.
    #[must_use]
    pub fn reads(&self) -> &[Range<usize>] {
        &self.0.space
    }

    /// The lengths that the block must have.
    #[must_use]
    pub fn block_shape(&self) -> Vec<usize> {
        self.0.region.iter().map(ExactSizeIterator::len).collect()
    }

    /// The shape of the whole result.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.0.shape
    }
}

/// How a function `F` is called with blocks of the types `T` and parameters `P`, giving a block or several.
pub(super) trait Call<F, T, P, O> {
    fn call(f: &mut F, call: &BlockCall<'_>, params: &P) -> std::result::Result<O, String>;
}

/// `f(a, b)`
struct Plain;
/// `f(a, b, &params)`
struct With;
/// `f(place, a, b)`
struct At;
/// `f(place, a, b, &params)`
struct AtWith;

/// The types of some blocks.
pub(super) trait Types {
    const DTYPES: &'static [DType];
}

/// A function of blocks in the executable.
pub(super) struct Calling<S, F, T, P, B, E>(PhantomData<(S, F, T, P, B, E)>);

impl<S, F, T: Types, P: Params, B: Element, E: Dimension> Calling<S, F, T, P, B, E>
where
    S: Call<F, T, P, ndarray::Array<B, E>>,
{
    const DESCRIPTOR: &'static Descriptor = {
        let types = (Takes::Each(T::DTYPES), Gives::Dtype(B::DTYPE));
        // SAFETY: `conjured` looks at the blocks' dtypes; it calls a function that `ship` let pass.
        &unsafe { Descriptor::new(type_name::<F>, types, accepts::<P>, Entry::Block(Self::conjured)) }
    };

    fn conjured(call: &BlockCall<'_>) -> std::result::Result<Plane, String> {
        let params = params_of(call.params).ok_or("these are not its parameters")?;
        // SAFETY: only functions that passed `ship` are named, and only what is named is called.
        let mut f = unsafe { conjure::<F>() };
        Ok(plane_of_array(S::call(&mut f, call, &params)?))
    }

    /// The array of what it gives for the blocks of some arrays.
    pub(super) fn over(f: &F, params: &P, arrays: &[Expr], how: &How) -> Result<Array<B, E>> {
        let layout = Layout::of(arrays, how)?;
        let (got, expected) = (E::NDIM, layout.out.ndim());
        if got.is_some_and(|n| n != expected) {
            let got = format!("{} axes", got.unwrap_or(0));
            let expected = "as many axes as the result has";
            return Err(
                ExprError::Parameter { what: "the block that a function gives", got, expected }.into()
            );
        }
        let kernel = ship(Self::DESCRIPTOR, f, T::DTYPES.to_vec(), params).map_err(Error::Function)?;
        let function = BlockFunction::User(Arc::new(kernel), how.front);
        let blocks = Blocks { function, reads: layout.reads, space: layout.space, gives: None };
        Ok(Array::of_expr(Expr::of_blocks(blocks, arrays, &layout.out)?))
    }
}

/// What is said of a function of blocks.
#[derive(Clone)]
pub(super) struct How {
    pub(super) front: Front,
    pub(super) letters: Option<String>,
    sizes: Vec<(char, Vec<usize>)>,
    pub(super) size: Vec<(char, usize)>,
    /// Letters whose axes are given whole, also where the result has them.
    pub(super) whole: Vec<char>,
    /// Whether the letters are a signature of core dimensions.
    pub(super) core: bool,
    pub(super) around: Option<(Depths, Boundaries)>,
    /// Where there are no arrays.
    grid: Option<Grid>,
}

impl How {
    pub(super) fn new(front: Front) -> How {
        let (sizes, size, whole) = (Vec::new(), Vec::new(), Vec::new());
        How { front, letters: None, sizes, size, whole, core: false, around: None, grid: None }
    }

    /// The letters of each array, and of the result.
    fn letters(&self, arrays: &[Expr]) -> Result<(Vec<Vec<char>>, Vec<char>)> {
        let Some(text) = &self.letters else {
            // The last axes belong together.
            let most = arrays.iter().map(Expr::ndim).max().unwrap_or(0);
            let all: Vec<char> = (0..most as u32).filter_map(|i| char::from_u32('a' as u32 + i)).collect();
            return Ok((arrays.iter().map(|a| all[most - a.ndim()..].to_vec()).collect(), all));
        };
        let bad = |expected| {
            Error::from(ExprError::Parameter {
                what: "letters of a function of blocks",
                got: text.clone(),
                expected,
            })
        };
        let (takes, gives) = text.split_once("->").ok_or_else(|| bad("as in \"ij,jk->ik\""))?;
        let of = |part: &str| part.chars().filter(|c| !c.is_whitespace()).collect::<Vec<char>>();
        let takes: Vec<Vec<char>> =
            if arrays.is_empty() { Vec::new() } else { takes.split(',').map(of).collect() };
        let ndims: Vec<usize> = arrays.iter().map(Expr::ndim).collect();
        if takes.iter().map(Vec::len).ne(ndims) {
            return Err(bad("a letter for each axis of each array"));
        }
        let gives = of(gives);
        if (1..gives.len()).any(|i| gives[..i].contains(&gives[i])) {
            return Err(bad("each letter of the result once"));
        }
        Ok((takes, gives))
    }
}

/// What the tasks of a function of blocks read and give.
pub(super) struct Layout {
    pub(super) reads: Vec<Read>,
    pub(super) space: Grid,
    pub(super) out: Grid,
}

impl Layout {
    fn of(arrays: &[Expr], how: &How) -> Result<Layout> {
        if let Some(grid) = &how.grid {
            return Ok(Layout { reads: Vec::new(), space: grid.clone(), out: grid.clone() });
        }
        match (&how.letters, how.core) {
            (Some(signature), true) => {
                let core = core_letters(signature, arrays)?;
                let gives = core.one(signature)?;
                Layout::by_letters((arrays, &core.takes), &gives, &How { whole: core.whole, ..how.clone() })
            }
            _ => {
                let (takes, gives) = how.letters(arrays)?;
                Layout::by_letters((arrays, &takes), &gives, how)
            }
        }
    }

    /// What tasks read of axes of these letters and give of those of the result.
    pub(super) fn by_letters(
        (arrays, takes): (&[Expr], &[Vec<char>]),
        gives: &[char],
        how: &How,
    ) -> Result<Layout> {
        let (mut space, mut out) = (Vec::new(), Vec::new());
        for &letter in gives {
            let (own, given) = axis_of(letter, (arrays, takes), how)?;
            space.push(own);
            out.push(given);
        }
        check_letters(arrays, takes)?;
        let halo = halos(how, gives.len())?;
        let read = |(array, letters): (&Expr, &Vec<char>)| {
            let along = letters.iter().zip(array.shape()).enumerate().map(|(axis, (letter, len))| {
                let at = gives.iter().position(|g| g == letter);
                match at {
                    Some(at) if space[at].len() == len => {
                        Ok(Along::Near { axis: at, halo: halo[at].along(axis, array)? })
                    }
                    // Repeated, or not in the result.
                    _ => Ok(Along::All),
                }
            });
            along.collect::<Result<Vec<_>>>().map(Read::Box)
        };
        let reads = arrays.iter().zip(takes).map(read).collect::<Result<Vec<_>>>()?;
        Ok(Layout { reads, space: Grid::new(space), out: Grid::new(out) })
    }
}

/// A letter is one length wherever it stands, or 1.
fn check_letters(arrays: &[Expr], takes: &[Vec<char>]) -> Result<()> {
    let mut lens: BTreeMap<char, usize> = BTreeMap::new();
    for (array, letters) in arrays.iter().zip(takes) {
        for (letter, len) in letters.iter().zip(array.shape()) {
            let known = lens.entry(*letter).or_insert(len);
            if *known != len && *known != 1 && len != 1 {
                let got = format!("{known} and {len} for {letter}");
                let expected = "one length, or 1";
                return Err(ExprError::Parameter { what: "length of a letter's axes", got, expected }.into());
            }
            *known = (*known).max(len);
        }
    }
    Ok(())
}

fn halos(how: &How, ndim: usize) -> Result<Vec<Halo>> {
    match &how.around {
        None => Ok(vec![Halo::NONE; ndim]),
        Some((depths, boundaries)) => Ok(depths.halos(boundaries, ndim)?),
    }
}

/// A letter of the result: the positions that tasks follow along it, and the lengths of what they give.
pub(super) fn axis_of(
    letter: char,
    (arrays, takes): (&[Expr], &[Vec<char>]),
    how: &How,
) -> Result<(AxisGrid, AxisGrid)> {
    let with = arrays.iter().zip(takes).filter_map(|(array, letters)| {
        let at = letters.iter().position(|l| *l == letter)?;
        Some((array.len(), &array.grid().axes()[at]))
    });
    let with: Vec<(usize, &AxisGrid)> = with.collect();
    let len = with.iter().map(|(_, axis)| axis.len()).find(|&len| len != 1).or(with.first().map(|_| 1));
    if let Some((_, other)) = with.iter().find(|(_, axis)| axis.len() != 1 && Some(axis.len()) != len) {
        let got = format!("lengths {} and {} for {letter:?}", len.unwrap_or(0), other.len());
        let what = "axes of one letter";
        return Err(ExprError::Parameter { what, got, expected: "one length, or 1" }.into());
    }
    // Chunks are those of the largest array that has the axis.
    let cut = with.iter().filter(|(_, axis)| Some(axis.len()) == len).max_by_key(|(n, _)| *n);
    let lens = how.sizes.iter().find(|(l, _)| *l == letter).map(|(_, lens)| lens.clone());
    let one = how.size.iter().find(|(l, _)| *l == letter).map(|(_, len)| *len);
    let own = match (cut, &lens) {
        (Some((_, axis)), _) if how.whole.contains(&letter) => AxisGrid::whole(axis.len()),
        (Some((_, axis)), _) => (*axis).clone(),
        (None, Some(lens)) => AxisGrid::regular(lens.len(), 1),
        (None, None) if one.is_some() => AxisGrid::whole(1),
        (None, None) => {
            let got = format!("none for {letter:?}");
            return Err(ExprError::Parameter { what: "length of a new axis", got, expected: "one" }.into());
        }
    };
    let n = own.n_chunks();
    let given = match lens.or(one.map(|len| vec![len; n])) {
        None => own.clone(),
        Some(lens) => AxisGrid::explicit(&lens),
    };
    if given.n_chunks() != n {
        let got = format!("{} for {letter:?}", given.n_chunks());
        let expected = "as many as the arrays have chunks, the last ones not empty";
        return Err(ExprError::Parameter { what: "lengths of blocks", got, expected }.into());
    }
    Ok((own, given))
}

/// Functions of the blocks of some arrays: [`blockwise`] makes one.
#[derive(Clone)]
#[must_use = "it does nothing until a function is given"]
pub struct Blockwise<T> {
    pub(super) arrays: T,
    pub(super) how: How,
}

/// Functions of the blocks of one to eight arrays. Without more said, the last axes of all belong together, as in
/// broadcasting, and a function gives blocks as long as those of the array with the most elements:
///
/// ```
/// use tilework::blockwise;
/// use tilework::prelude::*;
///
/// let x = Array::from_vec_chunked(vec![1.0, 2.0, 3.0, 4.0], 2);
/// let y = Array::from_vec_chunked(vec![10.0, 20.0, 30.0, 40.0], 3);
/// let z = blockwise((&x, &y)).map(|x, y| &x + &y);
/// assert_eq!(z.compute(), ndarray::arr1(&[11.0, 22.0, 33.0, 44.0]));
/// ```
///
/// Letters say which axes belong together ([`Blockwise::letters`]); an axis that the result does not have is given whole,
/// one that only the result has gets its length from [`Blockwise::size`]:
///
/// ```
/// use tilework::blockwise;
/// use tilework::prelude::*;
///
/// let x = Array2::<f64>::in_chunks([2, 1]).ones((4, 3));
/// let ends = blockwise((&x,)).letters("ij->ik").size('k', 2).map(|rows| {
///     ndarray::Array2::from_shape_fn((rows.nrows(), 2), |(i, k)| rows.row(i).sum() * k as f64)
/// });
/// assert_eq!(ends.compute(), ndarray::arr2(&[[0.0, 3.0]; 4]));
/// ```
///
/// Functions capture nothing, and run on workers that are this program: see [`Array::mapv_with`].
pub fn blockwise<T>(arrays: T) -> Blockwise<T> {
    Blockwise { arrays, how: How::new(Front::Blockwise) }
}

impl<T> Blockwise<T> {
    /// Which axes belong together: a letter for each axis of each array, and those of the result, `"ij,jk->ik"`. Axes of one
    /// letter are as long, or of length 1 and then repeated. What the result does not have is given whole to each call.
    pub fn letters(mut self, letters: impl Into<String>) -> Self {
        self.how.letters = Some(letters.into());
        self
    }

    /// The length of each block of the result along an axis; of an axis that no array has there is one block.
    pub fn size(mut self, letter: char, len: usize) -> Self {
        self.how.size.push((letter, len));
        self
    }

    /// The lengths of all blocks of the result along an axis, one by one.
    pub fn sizes(mut self, letter: char, lens: impl Into<Vec<usize>>) -> Self {
        self.how.sizes.push((letter, lens.into()));
        self
    }

    /// That each call is given all of an axis, also where the result has it.
    ///
    /// ```
    /// use tilework::blockwise;
    /// use tilework::prelude::*;
    ///
    /// let x = Array::from_vec_chunked(vec![1.0, 2.0, 4.0, 8.0], 2);
    /// let y = blockwise((&x,)).letters("i->i").whole('i').map(|x| {
    ///     let most = x.fold(0.0f64, |m, v| m.max(*v));
    ///     x.mapv(|v| v / most)
    /// });
    /// assert_eq!(y.compute(), ndarray::arr1(&[0.125, 0.25, 0.5, 1.0]));
    /// ```
    pub fn whole(mut self, letter: char) -> Self {
        self.how.whole.push(letter);
        self
    }

    /// What blocks see of their neighbours along the axes of the result, as [`Array::map_overlap`] has it. A function may
    /// give a block of the shape that its first one has with its neighbours, whose parts are left out then.
    pub fn overlap(mut self, depths: impl Into<Depths>, boundaries: impl Into<Boundaries>) -> Self {
        self.how.around = Some((depths.into(), boundaries.into()));
        self
    }
}

/// Stops the build of a program whose function captures variables.
macro_rules! captures_nothing {
    ($f:ty) => {
        const {
            assert!(
                size_of::<$f>() == 0,
                "this function captures variables, which stay in this process: pass the values as parameters, with `map_with(params, ..)`"
            )
        }
    };
}

pub(super) use captures_nothing;

macro_rules! arities {
    ($(($($a:ident $d:ident $x:ident $i:tt)*))*) => { $(
        impl<$($a: Element, $d: Dimension),*> Types for ($(($a, $d),)*) {
            const DTYPES: &'static [DType] = &[$($a::DTYPE),*];
        }

        arities! { @call Plain () [FnMut($(ArrayView<'_, $a, $d>),*)] (_call _params f) ($($x),*) $($a $d $x $i)* }
        arities! { @call At () [FnMut(BlockPlace<'_>, $(ArrayView<'_, $a, $d>),*)]
            (_call _params f) (BlockPlace(_call.place), $($x),*) $($a $d $x $i)* }
        arities! { @call With P [FnMut($(ArrayView<'_, $a, $d>,)* &P)] (_call _params f) ($($x,)* _params) $($a $d $x $i)* }
        arities! { @call AtWith P [FnMut(BlockPlace<'_>, $(ArrayView<'_, $a, $d>,)* &P)]
            (_call _params f) (BlockPlace(_call.place), $($x,)* _params) $($a $d $x $i)* }

        impl<$($a: Element, $d: Dimension),*> Blockwise<($(&Array<$a, $d>,)*)> {
            fn over<S, F, P: Params, B: Element, E: Dimension>(&self, f: &F, params: &P) -> Result<Array<B, E>>
            where
                S: Call<F, ($(($a, $d),)*), P, ndarray::Array<B, E>>,
            {
                let arrays = [$(self.arrays.$i.leaf()?),*];
                Calling::<S, F, ($(($a, $d),)*), P, B, E>::over(f, params, &arrays, &self.how)
            }

            /// The arrays of the blocks that `f` gives for the blocks of the arrays, of a signature with as many results as its
            /// tuple has: see [`apply_gufunc`](crate::apply_gufunc).
            ///
            /// # Panics
            /// Where `try_map_many` returns an error.
            #[must_use]
            #[track_caller]
            pub fn map_many<O: Results, F>(self, f: F) -> O::Arrays
            where
                F: Fn($(ArrayView<'_, $a, $d>),*) -> O + Send + Sync + 'static,
            {
                captures_nothing!(F);
                or_panic(self.try_map_many(f))
            }

            /// `map_many` that returns what goes wrong.
            ///
            /// # Errors
            /// As `try_map`; letters that are no signature, or one of another number of results; neighbours.
            pub fn try_map_many<O: Results, F>(self, f: F) -> Result<O::Arrays>
            where
                F: Fn($(ArrayView<'_, $a, $d>),*) -> O + Send + Sync + 'static,
            {
                let arrays = [$(self.arrays.$i.leaf()?),*];
                Packing::<Plain, F, ($(($a, $d),)*), (), O>::over(&f, (), &arrays, &self.how)
            }

            /// As `map_many`, with parameters that travel with the function.
            ///
            /// # Panics
            /// Where `try_map_many_with` returns an error.
            #[must_use]
            #[track_caller]
            pub fn map_many_with<P: Params, O: Results, F>(self, params: P, f: F) -> O::Arrays
            where
                F: Fn($(ArrayView<'_, $a, $d>,)* &P) -> O + Send + Sync + 'static,
            {
                captures_nothing!(F);
                or_panic(self.try_map_many_with(params, f))
            }

            /// As `map_many`, with parameters that travel with the function.
            ///
            /// # Errors
            /// As `try_map_many`.
            pub fn try_map_many_with<P: Params, O: Results, F>(self, params: P, f: F) -> Result<O::Arrays>
            where
                F: Fn($(ArrayView<'_, $a, $d>,)* &P) -> O + Send + Sync + 'static,
            {
                let arrays = [$(self.arrays.$i.leaf()?),*];
                Packing::<With, F, ($(($a, $d),)*), P, O>::over(&f, params, &arrays, &self.how)
            }

            /// The array of the blocks that `f` gives for the blocks of the arrays.
            ///
            /// # Panics
            /// Where `try_map` returns an error.
            #[must_use]
            #[track_caller]
            pub fn map<B: Element, E: Dimension, F>(self, f: F) -> Array<B, E>
            where
                F: Fn($(ArrayView<'_, $a, $d>),*) -> ndarray::Array<B, E> + Send + Sync + 'static,
            {
                captures_nothing!(F);
                or_panic(self.try_map(f))
            }

            /// `map` that returns what goes wrong.
            ///
            /// # Errors
            /// Letters, lengths or depths that do not fit the arrays; [`Error::Function`] for a function that captures
            /// variables.
            pub fn try_map<B: Element, E: Dimension, F>(self, f: F) -> Result<Array<B, E>>
            where
                F: Fn($(ArrayView<'_, $a, $d>),*) -> ndarray::Array<B, E> + Send + Sync + 'static,
            {
                self.over::<Plain, F, (), B, E>(&f, &())
            }

            /// As `map`, with parameters that travel with the function.
            ///
            /// # Errors
            /// As `try_map`.
            pub fn try_map_with<P: Params, B: Element, E: Dimension, F>(self, params: P, f: F) -> Result<Array<B, E>>
            where
                F: Fn($(ArrayView<'_, $a, $d>,)* &P) -> ndarray::Array<B, E> + Send + Sync + 'static,
            {
                self.over::<With, F, P, B, E>(&f, &params)
            }

            /// As `map`, with parameters that travel with the function.
            ///
            /// # Panics
            /// Where `try_map_with` returns an error.
            #[must_use]
            #[track_caller]
            pub fn map_with<P: Params, B: Element, E: Dimension, F>(self, params: P, f: F) -> Array<B, E>
            where
                F: Fn($(ArrayView<'_, $a, $d>,)* &P) -> ndarray::Array<B, E> + Send + Sync + 'static,
            {
                captures_nothing!(F);
                or_panic(self.try_map_with(params, f))
            }

            /// As `map`, of a function that is told which block it is called with.
            ///
            /// # Panics
            /// Where `try_map_at` returns an error.
            #[must_use]
            #[track_caller]
            pub fn map_at<B: Element, E: Dimension, F>(self, f: F) -> Array<B, E>
            where
                F: Fn(BlockPlace<'_>, $(ArrayView<'_, $a, $d>),*) -> ndarray::Array<B, E> + Send + Sync + 'static,
            {
                captures_nothing!(F);
                or_panic(self.try_map_at(f))
            }

            /// `map_at` that returns what goes wrong.
            ///
            /// # Errors
            /// As `try_map`.
            pub fn try_map_at<B: Element, E: Dimension, F>(self, f: F) -> Result<Array<B, E>>
            where
                F: Fn(BlockPlace<'_>, $(ArrayView<'_, $a, $d>),*) -> ndarray::Array<B, E> + Send + Sync + 'static,
            {
                self.over::<At, F, (), B, E>(&f, &())
            }

            /// As `map_at`, with parameters that travel with the function.
            ///
            /// # Panics
            /// Where `try_map_at_with` returns an error.
            #[must_use]
            #[track_caller]
            pub fn map_at_with<P: Params, B: Element, E: Dimension, F>(self, params: P, f: F) -> Array<B, E>
            where
                F: Fn(BlockPlace<'_>, $(ArrayView<'_, $a, $d>,)* &P) -> ndarray::Array<B, E> + Send + Sync + 'static,
            {
                captures_nothing!(F);
                or_panic(self.try_map_at_with(params, f))
            }

            /// As `map_at`, with parameters that travel with the function.
            ///
            /// # Errors
            /// As `try_map`.
            pub fn try_map_at_with<P: Params, B: Element, E: Dimension, F>(self, params: P, f: F) -> Result<Array<B, E>>
            where
                F: Fn(BlockPlace<'_>, $(ArrayView<'_, $a, $d>,)* &P) -> ndarray::Array<B, E> + Send + Sync + 'static,
            {
                self.over::<AtWith, F, P, B, E>(&f, &params)
            }
        }
    )* };
    (@call $form:ident () $($rest:tt)*) => { arities! { @impl $form [] [()] $($rest)* } };
    (@call $form:ident P $($rest:tt)*) => { arities! { @impl $form [P: Params,] [P] $($rest)* } };
    (@impl $form:ident [$($p:tt)*] [$params:ty] [$($bound:tt)*] ($call:ident $par:ident $f:ident) ($($arg:expr),*)
        $($a:ident $d:ident $x:ident $i:tt)*) => {
        impl<F, $($p)* $($a: Element, $d: Dimension,)* O> Call<F, ($(($a, $d),)*), $params, O> for $form
        where
            F: $($bound)* -> O,
        {
            fn call(
                $f: &mut F,
                $call: &BlockCall<'_>,
                $par: &$params,
            ) -> std::result::Result<O, String> {
                $(let $x = block_of::<$a, $d>($call, $i)?;)*
                Ok($f($($arg),*))
            }
        }
    };
}
arities! {
    (A1 D1 a 0)
    (A1 D1 a 0 A2 D2 b 1)
    (A1 D1 a 0 A2 D2 b 1 A3 D3 c 2)
    (A1 D1 a 0 A2 D2 b 1 A3 D3 c 2 A4 D4 d 3)
    (A1 D1 a 0 A2 D2 b 1 A3 D3 c 2 A4 D4 d 3 A5 D5 e 4)
    (A1 D1 a 0 A2 D2 b 1 A3 D3 c 2 A4 D4 d 3 A5 D5 e 4 A6 D6 g 5)
    (A1 D1 a 0 A2 D2 b 1 A3 D3 c 2 A4 D4 d 3 A5 D5 e 4 A6 D6 g 5 A7 D7 h 6)
    (A1 D1 a 0 A2 D2 b 1 A3 D3 c 2 A4 D4 d 3 A5 D5 e 4 A6 D6 g 5 A7 D7 h 6 A8 D8 i 7)
}

/// A function that makes blocks of nothing but their places.
struct Making;

impl Types for () {
    const DTYPES: &'static [DType] = &[];
}

impl<F, P: Params, B: Element, E: Dimension> Call<F, (), P, ndarray::Array<B, E>> for Making
where
    F: FnMut(BlockPlace<'_>, &P) -> ndarray::Array<B, E>,
{
    fn call(
        f: &mut F,
        call: &BlockCall<'_>,
        params: &P,
    ) -> std::result::Result<ndarray::Array<B, E>, String> {
        Ok(f(BlockPlace(call.place), params))
    }
}

/// # Arrays that are made block by block
impl<A: Element, D: Dimension> Array<A, D> {
    /// The lazy array of `shape` whose blocks are what `f` gives for their places, with parameters that travel with it: the way
    /// in for any reader of your own. A block has the lengths of [`BlockPlace::block_shape`].
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// let x = Array1::from_block_fn(10, 4, 100u64, |place, first| {
    ///     place.ranges()[0].clone().map(|i| first + i as u64).collect()
    /// });
    /// assert_eq!(x.sum(), 1045);
    /// ```
    ///
    /// # Panics
    /// Where [`Array::try_from_block_fn`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn from_block_fn<Sh, P, F>(shape: Sh, chunks: impl Into<Chunks>, params: P, f: F) -> Array<A, D>
    where
        Sh: ShapeBuilder<Dim = D>,
        P: Params,
        F: Fn(BlockPlace<'_>, &P) -> ndarray::Array<A, D> + Send + Sync + 'static,
    {
        captures_nothing!(F);
        or_panic(Array::try_from_block_fn(shape, chunks, params, f))
    }

    /// [`Array::from_block_fn`] that returns what goes wrong.
    ///
    /// # Errors
    /// Chunks that do not fit the shape; a shape that is too large; [`Error::Function`] for a function that captures
    /// variables.
    pub fn try_from_block_fn<Sh, P, F>(
        shape: Sh,
        chunks: impl Into<Chunks>,
        params: P,
        f: F,
    ) -> Result<Array<A, D>>
    where
        Sh: ShapeBuilder<Dim = D>,
        P: Params,
        F: Fn(BlockPlace<'_>, &P) -> ndarray::Array<A, D> + Send + Sync + 'static,
    {
        let grid = chunks.into().grid(&shape_of(shape), A::DTYPE)?;
        let how = How { grid: Some(grid), ..How::new(Front::FromBlocks) };
        Calling::<Making, F, (), P, A, D>::over(&f, &params, &[], &how)
    }
}

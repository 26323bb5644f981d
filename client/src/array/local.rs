//! Arrays in this process' memory, and functions of the index, as sources of chunks.
//!
//! Must not know when or where their chunks are asked for.

use super::construct::{is_large, is_row_major};
use super::kind::choice::default_chunks;
use super::kind::memory::{Owner, literal};
use super::{ArcArray, Array, ArrayBase, ArrayView, ArrayViewMut, DataOwned, dim_of, shape_of};
use crate::error::{Error, Result, or_panic};
use crate::literal::{CalledHere, Literal, Provider};
use crate::session::Session;
use ndarray::{Dimension, Ix0, Ix1, Ix2, Ix3, ShapeBuilder, ShapeError, StrideShape};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::panic::Location;
use std::sync::Arc;
use tilework_expr::{Chunks, Element, Expr, ExprError};
use tilework_kernels::{Buffer, Chunk, Plane};
use tilework_plan::{JobError, Region, region_len, region_shape};

/// A function of the index.
struct Function<A, D, F> {
    f: Arc<F>,
    types: PhantomData<fn() -> (A, D)>,
}

impl<A, D, F> Provider for Function<A, D, F>
where
    A: Element,
    D: Dimension + 'static,
    F: Fn(D::Pattern) -> A + Send + Sync + 'static,
{
    fn chunk(&self, region: &Region) -> Result<Chunk> {
        Ok(chunk_of(region_shape(region), elements::<A, D>(region, |at| (self.f)(at))))
    }
}

/// What a function of the index gives for the positions of a region, in row-major order.
fn elements<A, D: Dimension>(region: &Region, mut f: impl FnMut(D::Pattern) -> A) -> Vec<A> {
    let starts: Vec<usize> = region.iter().map(|r| r.start).collect();
    let mut at: D = dim_of(&starts);
    let next = |_| {
        let value = f(at.clone().into_pattern());
        advance(&mut at, region);
        value
    };
    (0..region_len(region)).map(next).collect()
}

/// A function of the index that is made out of nothing again for each chunk, behind a pointer: so it may be of a type
/// that does not outlive the array.
struct Conjured(fn(&Region) -> Chunk);

impl Provider for Conjured {
    fn chunk(&self, region: &Region) -> Result<Chunk> {
        Ok((self.0)(region))
    }
}

/// What a function without a size gives for a region.
fn conjured_chunk<A, D: Dimension, F: FnMut(D::Pattern) -> A>(region: &Region) -> Chunk {
    // SAFETY: `on_workers` makes an array of this only after the function passed `ship`, in a process that had one.
    let f = unsafe { crate::closures::conjure::<F>() };
    let values = elements::<A, D>(region, f);
    let array = ndarray::Array::from_shape_vec(dim_of::<D>(&region_shape(region)), values);
    Chunk { planes: vec![plane_of_array(array.expect("as many values as the region has elements"))] }
}

/// The array of a function of the index, called once for each element by the workers, which keep what it gives: a
/// function may give another value each time, as one that draws random numbers does. `None` where the function is to
/// be called by this thread: the array is small, the function captures something, elements do not travel, this thread
/// runs a task, or there is no session that could.
#[track_caller]
fn on_workers<A, D: Dimension, F: FnMut(D::Pattern) -> A>(
    shape: &ndarray::Shape<D>,
    f: &F,
) -> Option<Array<A, D>> {
    let lens = shape.raw_dim().slice();
    if !is_large::<A>(lens) || !is_row_major(shape) || tilework_worker::runs_tasks() {
        return None;
    }
    // Where no session can be had, the function is called here.
    let session = Session::current().ok()?;
    let chunks = default_chunks(lens);
    let at = Location::caller();
    let provider = || {
        Literal::of_function(Conjured(conjured_chunk::<A, D, F>), CalledHere { at, why: None }).attached().1
    };
    let expr = match crate::closures::from_index::<A, D, F>(f, lens, &chunks, provider) {
        Ok(expr) => expr,
        Err(Error::Function(why)) => {
            session.called_here(&CalledHere { at, why: Some(why) });
            return None;
        }
        Err(_) => return None,
    };
    match session.persist(&[expr]) {
        Ok(mut held) => Some(Array::of_expr(held.remove(0))),
        // The function's own failure, as it would fail here.
        Err(error @ Error::Job(JobError::Operation { .. } | JobError::Deadly { .. })) => or_panic(Err(error)),
        Err(_) => None,
    }
}

/// The next position of a box in row-major order; after the last, the first.
fn advance<D: Dimension>(at: &mut D, region: &Region) {
    for (i, r) in at.slice_mut().iter_mut().zip(region).rev() {
        *i += 1;
        if *i < r.end {
            return;
        }
        *i = r.start;
    }
}

/// The memory of a vector as a buffer, without a copy.
fn buffer_of<A: Element>(values: Vec<A>) -> Buffer {
    let (start, bytes) = (values.as_ptr().cast(), std::mem::size_of_val(values.as_slice()));
    let owner = Arc::new(values);
    // SAFETY: the vector's elements are initialised plain data; shared, it is neither moved nor written.
    unsafe { Buffer::foreign(start, bytes, owner) }
}

fn chunk_of<A: Element>(shape: Vec<usize>, values: Vec<A>) -> Chunk {
    Chunk::from_buffer(A::DTYPE, &shape, buffer_of(values)).expect("as many values as the shape has elements")
}

/// An ndarray array, whose elements travel, as a plane with ndarray's strides, without a copy.
pub(crate) fn plane_of_array<A, D: Dimension>(array: ndarray::Array<A, D>) -> Plane {
    let (shape, strides) = (array.shape().to_vec(), array.strides().to_vec());
    let (values, first) = array.into_raw_vec_and_offset();
    let offset = first.unwrap_or(0) * size_of::<A>();
    let owner = Owner::of_any(values);
    let dtype = owner.dtype();
    let plane = Plane::new(dtype, shape, strides, Arc::new(Arc::new(owner).buffer()), offset);
    plane.expect("an array lies within its own memory")
}

impl<A, S: DataOwned<Elem = A>, D: Dimension> ArrayBase<S, D, A> {
    /// An array of `shape` with the elements of `values` in row-major order (column-major with `.f()`, or by
    /// the strides of the shape).
    ///
    /// # Errors
    /// A shape with another number of elements, or strides that leave the vector.
    pub fn from_shape_vec<Sh: Into<StrideShape<D>>>(
        shape: Sh,
        values: Vec<A>,
    ) -> std::result::Result<Self, ShapeError> {
        Ok(S::of_owned(Array::local(ndarray::Array::from_shape_vec(shape, values)?)))
    }

    /// [`Array::from_shape_vec`] without its checks.
    ///
    /// # Safety
    /// As for [`ndarray::ArrayBase::from_shape_vec_unchecked`].
    #[must_use]
    pub unsafe fn from_shape_vec_unchecked<Sh: Into<StrideShape<D>>>(shape: Sh, values: Vec<A>) -> Self {
        // SAFETY: by the caller's word.
        S::of_owned(Array::local(unsafe { ndarray::Array::from_shape_vec_unchecked(shape, values) }))
    }

    /// An array of `shape` whose elements are what `f` gives, called in the order in which they lie in memory.
    #[must_use]
    pub fn from_shape_simple_fn<Sh: ShapeBuilder<Dim = D>, F: FnMut() -> A>(shape: Sh, f: F) -> Self {
        S::of_owned(Array::local(ndarray::Array::from_shape_simple_fn(shape, f)))
    }

    /// An array of `shape` whose element at `index` is `f(index)`. It is made at once: a large one by the workers, which
    /// keep it, if the function captures nothing and they are processes of this program; else in this process.
    /// [`in_chunks(chunks).from_shape_fn(..)`](super::InChunks::from_shape_fn) makes the chunks that a computation needs,
    /// when it does.
    ///
    /// Workers call `f` from several threads, in any order, and again for the chunks of a worker that was lost: one that
    /// draws random numbers then gives others than before. [`random`](crate::random) gives the same ones always.
    ///
    /// # Panics
    /// If `f` does.
    #[must_use]
    #[track_caller]
    pub fn from_shape_fn<Sh: ShapeBuilder<Dim = D>, F: FnMut(D::Pattern) -> A>(shape: Sh, f: F) -> Self {
        let shape = shape.into_shape_with_order();
        if S::IS_DESCRIBED
            && let Some(array) = on_workers(&shape, &f)
        {
            return S::of_owned(array);
        }
        S::of_owned(Array::local(ndarray::Array::from_shape_fn(shape, f)))
    }

    /// An array of `shape` whose elements are yet to be written.
    #[must_use]
    pub fn uninit<Sh: ShapeBuilder<Dim = D>>(shape: Sh) -> ArrayBase<S::MaybeUninit, D, MaybeUninit<A>> {
        S::MaybeUninit::of_owned(Array::local(ndarray::Array::uninit(shape)))
    }

    /// An array of `shape` whose elements `builder` writes.
    #[must_use]
    pub fn build_uninit<Sh, F>(shape: Sh, builder: F) -> ArrayBase<S::MaybeUninit, D, MaybeUninit<A>>
    where
        Sh: ShapeBuilder<Dim = D>,
        F: FnOnce(ArrayViewMut<'_, MaybeUninit<A>, D>),
    {
        let fill = |view: ndarray::ArrayViewMut<'_, MaybeUninit<A>, D>| builder(ArrayViewMut::local(view));
        S::MaybeUninit::of_owned(Array::local(ndarray::Array::<A, D>::build_uninit(shape, fill)))
    }
}

impl<A: Element, D: Dimension> Array<A, D> {
    /// The array in memory, in the given chunks. The memory is shared, not copied, whatever its strides.
    ///
    /// # Panics
    /// Where [`Array::try_from_ndarray`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn from_ndarray(array: ndarray::Array<A, D>, chunks: impl Into<Chunks>) -> Self {
        or_panic(Self::try_from_ndarray(array, chunks))
    }

    /// [`Array::from_ndarray`] that returns what goes wrong.
    ///
    /// # Errors
    /// Chunks that do not fit the shape.
    pub fn try_from_ndarray(array: ndarray::Array<A, D>, chunks: impl Into<Chunks>) -> Result<Self> {
        let (shape, strides) = (array.shape().to_vec(), array.strides().to_vec());
        let (values, first) = array.into_raw_vec_and_offset();
        let owner = Arc::new(Owner::of(values));
        let first = owner.start_bytes().wrapping_add(first.unwrap_or(0) * size_of::<A>());
        Ok(Self::of_expr(literal(&owner, first, (&shape, &strides), &chunks.into())?))
    }

    /// The older form of [`in_chunks(chunks).from_shape_vec(..)`](super::InChunks::from_shape_vec).
    ///
    /// # Errors
    /// As [`Array::from_shape_vec`]; chunks that do not fit the shape.
    #[deprecated(
        note = "chunks beside other numbers are misread: use `in_chunks(chunks)` and the method without `_chunked`"
    )]
    pub fn from_shape_vec_chunked<Sh>(shape: Sh, chunks: impl Into<Chunks>, values: Vec<A>) -> Result<Self>
    where
        Sh: Into<StrideShape<D>>,
    {
        let shape = shape.into();
        let (from, to) = (vec![values.len()], shape.raw_dim().slice().to_vec());
        let wanted = to.iter().fold(1usize, |n, &l| n.saturating_mul(l));
        let array = ndarray::Array::from_shape_vec(shape, values).map_err(|error| {
            if wanted == from[0] { Error::Shape(error) } else { ExprError::Reshape { from, to }.into() }
        })?;
        Self::try_from_ndarray(array, chunks)
    }

    /// The older form of [`in_chunks(chunks).from_shape_fn(..)`](super::InChunks::from_shape_fn).
    ///
    /// # Panics
    /// Where [`Array::try_from_shape_fn_chunked`] returns an error.
    #[must_use]
    #[track_caller]
    #[deprecated(
        note = "chunks beside other numbers are misread: use `in_chunks(chunks)` and the method without `_chunked`"
    )]
    #[allow(deprecated, reason = "its twin is of the older form too")]
    pub fn from_shape_fn_chunked<Sh, F>(shape: Sh, chunks: impl Into<Chunks>, f: F) -> Self
    where
        Sh: ShapeBuilder<Dim = D>,
        D: 'static,
        F: Fn(D::Pattern) -> A + Send + Sync + 'static,
    {
        or_panic(Self::try_from_shape_fn_chunked(shape, chunks, f))
    }

    /// [`in_chunks(Chunks::Auto).from_shape_fn(..)`](super::InChunks::from_shape_fn) that returns what goes wrong.
    ///
    /// # Errors
    /// A shape that is too large.
    #[allow(deprecated, reason = "the older form is the one that does it")]
    #[track_caller]
    pub fn try_from_shape_fn<Sh, F>(shape: Sh, f: F) -> Result<Self>
    where
        Sh: ShapeBuilder<Dim = D>,
        D: 'static,
        F: Fn(D::Pattern) -> A + Send + Sync + 'static,
    {
        Self::try_from_shape_fn_chunked(shape, Chunks::Auto, f)
    }

    /// The older form of [`in_chunks(chunks).try_from_shape_fn(..)`](super::InChunks::try_from_shape_fn).
    ///
    /// # Errors
    /// Chunks that do not fit the shape; a shape that is too large.
    #[deprecated(
        note = "chunks beside other numbers are misread: use `in_chunks(chunks)` and the method without `_chunked`"
    )]
    #[track_caller]
    pub fn try_from_shape_fn_chunked<Sh, F>(shape: Sh, chunks: impl Into<Chunks>, f: F) -> Result<Self>
    where
        Sh: ShapeBuilder<Dim = D>,
        D: 'static,
        F: Fn(D::Pattern) -> A + Send + Sync + 'static,
    {
        let (shape, chunks) = (shape_of(shape), chunks.into());
        let f = Arc::new(f);
        let provider = || Function::<A, D, F> { f: Arc::clone(&f), types: PhantomData };
        let at = Location::caller();
        let literal = |why| Literal::of_function(provider(), CalledHere { at, why }).attached();
        match crate::closures::from_index::<A, D, F>(&f, &shape, &chunks, || literal(None).1) {
            Err(Error::Function(why)) => {
                let (id, data) = literal(Some(why));
                Ok(Self::of_expr(Expr::literal(&shape, &chunks, A::DTYPE, id, data)?))
            }
            result => Ok(Self::of_expr(result?)),
        }
    }
}

impl<A, S: DataOwned<Elem = A>> ArrayBase<S, Ix1, A> {
    /// An array with the elements of `values`, whose memory it takes over.
    #[must_use]
    pub fn from_vec(values: Vec<A>) -> Self {
        S::of_owned(Array::local(ndarray::Array::from_vec(values)))
    }

    /// An array with the elements of an iterator.
    #[must_use]
    #[allow(clippy::should_implement_trait, reason = "ndarray has both")]
    pub fn from_iter<I: IntoIterator<Item = A>>(values: I) -> Self {
        S::of_owned(Array::local(ndarray::Array::from_iter(values)))
    }
}

impl<A: Element> Array<A, Ix1> {
    /// [`Array::from_vec`] in the given chunks, lazily.
    ///
    /// # Panics
    /// Where [`Array::try_from_vec_chunked`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn from_vec_chunked(values: Vec<A>, chunks: impl Into<Chunks>) -> Self {
        or_panic(Self::try_from_vec_chunked(values, chunks))
    }

    /// [`Array::from_vec_chunked`] that returns what goes wrong.
    ///
    /// # Errors
    /// Chunks that do not fit the length.
    pub fn try_from_vec_chunked(values: Vec<A>, chunks: impl Into<Chunks>) -> Result<Self> {
        Self::try_from_ndarray(ndarray::Array1::from_vec(values), chunks)
    }
}

macro_rules! functions {
    ($($(#[$doc:meta])* $name:ident [$($g:tt)*] ($x:ident: $t:ty) -> $kind:ident $r:ty $(where $bound:path)?;)*) => { $(
        $(#[$doc])*
        #[must_use]
        pub fn $name<A $(: $bound)?, $($g)*>($x: $t) -> $r {
            $kind::local(ndarray::$name($x))
        }
    )* };
}
functions! {
    /// An array without dimensions that holds `value`.
    arr0 [] (value: A) -> Array Array<A, Ix0>;
    /// An array of one dimension with these elements.
    arr1 [] (values: &[A]) -> Array Array<A, Ix1> where Clone;
    /// An array of two dimensions with these rows.
    arr2 [const N: usize] (rows: &[[A; N]]) -> Array Array<A, Ix2> where Clone;
    /// An array of three dimensions with these blocks.
    arr3 [const N: usize, const M: usize] (blocks: &[[[A; M]; N]]) -> Array Array<A, Ix3> where Clone;
    /// A shared array of one dimension with these elements.
    rcarr1 [] (values: &[A]) -> ArcArray ArcArray<A, Ix1> where Clone;
    /// A shared array of two dimensions with these rows.
    rcarr2 [const N: usize] (rows: &[[A; N]]) -> ArcArray ArcArray<A, Ix2> where Clone;
    /// A shared array of three dimensions with these blocks.
    rcarr3 [const N: usize, const M: usize] (blocks: &[[[A; M]; N]]) -> ArcArray ArcArray<A, Ix3> where Clone;
}

/// A view without dimensions of one element.
#[must_use]
pub const fn aview0<A>(value: &A) -> ArrayView<'_, A, Ix0> {
    ArrayView::constant(ndarray::aview0(value))
}

/// A view of one dimension of a slice.
#[must_use]
pub const fn aview1<A>(values: &[A]) -> ArrayView<'_, A, Ix1> {
    ArrayView::constant(ndarray::aview1(values))
}

/// A view of two dimensions of these rows.
#[must_use]
pub const fn aview2<A, const N: usize>(rows: &[[A; N]]) -> ArrayView<'_, A, Ix2> {
    ArrayView::constant(ndarray::aview2(rows))
}

/// A writable view of one dimension of a slice.
#[must_use]
pub fn aview_mut1<A>(values: &mut [A]) -> ArrayViewMut<'_, A, Ix1> {
    ArrayViewMut::local(ndarray::aview_mut1(values))
}

/// A writable view of two dimensions of these rows.
#[must_use]
pub fn aview_mut2<A, const N: usize>(rows: &mut [[A; N]]) -> ArrayViewMut<'_, A, Ix2> {
    ArrayViewMut::local(ndarray::aview_mut2(rows))
}

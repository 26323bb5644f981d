//! Arrays in this process' memory, and functions of the index, as sources of chunks.
//!
//! Owns the memory that literals share with ndarray. Must not know when or where their chunks are asked for.

use super::{Array, dim_of, shape_of};
use crate::error::{Error, Result, or_panic};
use crate::literal::{Literal, Provider};
use ndarray::{Dimension, Ix0, Ix1, Ix2, Ix3, ShapeBuilder};
use std::marker::PhantomData;
use std::sync::Arc;
use tilework_expr::{Chunks, Element, Expr, ExprError, Region, region_len, region_shape};
use tilework_kernels::{Buffer, Chunk, Plane};

/// An array in memory; the chunks share its bytes.
struct Memory(Chunk);

impl Provider for Memory {
    fn chunk(&self, region: &Region) -> Chunk {
        self.0.slice(region)
    }
}

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
    fn chunk(&self, region: &Region) -> Chunk {
        let starts: Vec<usize> = region.iter().map(|r| r.start).collect();
        let mut at: D = dim_of(&starts);
        let values = (0..region_len(region)).map(|_| {
            let value = (self.f)(at.clone().into_pattern());
            advance(&mut at, region);
            value
        });
        let values = values.collect();
        chunk_of(region_shape(region), values)
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

/// An ndarray array as a plane with ndarray's strides, without a copy.
pub(crate) fn plane_of_array<A: Element, D: Dimension>(array: ndarray::Array<A, D>) -> Plane {
    let (shape, strides) = (array.shape().to_vec(), array.strides().to_vec());
    let (values, first) = array.into_raw_vec_and_offset();
    let offset = first.unwrap_or(0) * size_of::<A>();
    let plane = Plane::new(A::DTYPE, shape, strides, Arc::new(buffer_of(values)), offset);
    plane.expect("an array lies within its own memory")
}

fn literal(
    shape: &[usize],
    chunks: &Chunks,
    dtype: tilework_expr::DType,
    provider: impl Provider,
) -> Result<Expr> {
    let (id, data) = Literal::attach(provider);
    Ok(Expr::literal(shape, chunks, dtype, id, data)?)
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
        let shape = array.shape().to_vec();
        Ok(Self::wrap(literal(
            &shape,
            &chunks.into(),
            A::DTYPE,
            Memory(Chunk { planes: vec![plane_of_array(array)] }),
        )?))
    }

    /// An array of `shape` with the elements of `values` in row-major order (column-major with `.f()`, or by
    /// the strides of the shape), in automatic chunks.
    ///
    /// # Errors
    /// A shape with another number of elements, or strides that leave the vector.
    pub fn from_shape_vec<Sh>(shape: Sh, values: Vec<A>) -> Result<Self>
    where
        Sh: Into<ndarray::StrideShape<D>>,
    {
        Self::from_shape_vec_chunked(shape, Chunks::Auto, values)
    }

    /// [`Array::from_shape_vec`] in the given chunks.
    ///
    /// # Errors
    /// As [`Array::from_shape_vec`]; chunks that do not fit the shape.
    pub fn from_shape_vec_chunked<Sh>(shape: Sh, chunks: impl Into<Chunks>, values: Vec<A>) -> Result<Self>
    where
        Sh: Into<ndarray::StrideShape<D>>,
    {
        let shape = shape.into();
        let (from, to) = (vec![values.len()], shape.raw_dim().slice().to_vec());
        let wanted = to.iter().fold(1usize, |n, &l| n.saturating_mul(l));
        let array = ndarray::Array::from_shape_vec(shape, values).map_err(|error| {
            if wanted == from[0] { Error::Shape(error) } else { ExprError::Reshape { from, to }.into() }
        })?;
        Self::try_from_ndarray(array, chunks)
    }

    /// An array of `shape` whose element at `index` is `f(index)`, in automatic chunks.
    ///
    /// `f` runs chunk by chunk, when a computation needs the chunk, from several threads, and again where a chunk was
    /// lost: it must give the same value each time. One that captures nothing runs on the workers where they are
    /// processes of this executable ([`Session::processes`](crate::Session::processes) and embedded sessions), fused
    /// with the operations that follow; others run in this process.
    ///
    /// # Panics
    /// Where [`Array::try_from_shape_fn`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn from_shape_fn<Sh, F>(shape: Sh, f: F) -> Self
    where
        Sh: ShapeBuilder<Dim = D>,
        D: 'static,
        F: Fn(D::Pattern) -> A + Send + Sync + 'static,
    {
        or_panic(Self::try_from_shape_fn(shape, f))
    }

    /// [`Array::from_shape_fn`] in the given chunks.
    ///
    /// # Panics
    /// Where [`Array::try_from_shape_fn_chunked`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn from_shape_fn_chunked<Sh, F>(shape: Sh, chunks: impl Into<Chunks>, f: F) -> Self
    where
        Sh: ShapeBuilder<Dim = D>,
        D: 'static,
        F: Fn(D::Pattern) -> A + Send + Sync + 'static,
    {
        or_panic(Self::try_from_shape_fn_chunked(shape, chunks, f))
    }

    /// [`Array::from_shape_fn`] that returns what goes wrong.
    ///
    /// # Errors
    /// A shape that is too large.
    pub fn try_from_shape_fn<Sh, F>(shape: Sh, f: F) -> Result<Self>
    where
        Sh: ShapeBuilder<Dim = D>,
        D: 'static,
        F: Fn(D::Pattern) -> A + Send + Sync + 'static,
    {
        Self::try_from_shape_fn_chunked(shape, Chunks::Auto, f)
    }

    /// [`Array::from_shape_fn_chunked`] that returns what goes wrong.
    ///
    /// # Errors
    /// Chunks that do not fit the shape; a shape that is too large.
    pub fn try_from_shape_fn_chunked<Sh, F>(shape: Sh, chunks: impl Into<Chunks>, f: F) -> Result<Self>
    where
        Sh: ShapeBuilder<Dim = D>,
        D: 'static,
        F: Fn(D::Pattern) -> A + Send + Sync + 'static,
    {
        let (shape, chunks) = (shape_of(shape), chunks.into());
        let f = Arc::new(f);
        let provider = || Function::<A, D, F> { f: Arc::clone(&f), types: PhantomData };
        match crate::closures::from_index::<A, D, F>(&f, &shape, &chunks, || Literal::attach(provider()).1) {
            Err(Error::Function(_)) => Ok(Self::wrap(literal(&shape, &chunks, A::DTYPE, provider())?)),
            result => Ok(Self::wrap(result?)),
        }
    }
}

impl<A: Element> Array<A, Ix1> {
    /// An array with the elements of `values`, whose memory it takes over, in automatic chunks.
    #[must_use]
    pub fn from_vec(values: Vec<A>) -> Self {
        Self::from(ndarray::Array1::from_vec(values))
    }

    /// [`Array::from_vec`] in the given chunks.
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

/// An array without dimensions that holds `value`.
#[must_use]
pub fn arr0<A: Element>(value: A) -> Array<A, Ix0> {
    Array::from(ndarray::arr0(value))
}

/// An array of one dimension with these elements.
#[must_use]
pub fn arr1<A: Element>(values: &[A]) -> Array<A, Ix1> {
    Array::from(values)
}

/// An array of two dimensions with these rows.
#[must_use]
pub fn arr2<A: Element, const N: usize>(rows: &[[A; N]]) -> Array<A, Ix2> {
    Array::from(ndarray::arr2(rows))
}

/// Shares the memory, in automatic chunks.
impl<A: Element, D: Dimension> From<ndarray::Array<A, D>> for Array<A, D> {
    fn from(array: ndarray::Array<A, D>) -> Self {
        Self::try_from_ndarray(array, Chunks::Auto).expect("automatic chunks fit an array in memory")
    }
}

/// Copies the elements, in automatic chunks.
impl<A: Element, D: Dimension> From<ndarray::ArrayView<'_, A, D>> for Array<A, D> {
    fn from(view: ndarray::ArrayView<'_, A, D>) -> Self {
        Self::from(view.to_owned())
    }
}

/// Copies the elements, in automatic chunks.
impl<A: Element, D: Dimension> From<&ndarray::Array<A, D>> for Array<A, D> {
    fn from(array: &ndarray::Array<A, D>) -> Self {
        Self::from(array.to_owned())
    }
}

impl<A: Element> From<Vec<A>> for Array<A, Ix1> {
    fn from(values: Vec<A>) -> Self {
        Self::from_vec(values)
    }
}

impl<A: Element> From<&[A]> for Array<A, Ix1> {
    fn from(values: &[A]) -> Self {
        Self::from_vec(values.to_vec())
    }
}

impl<A: Element, const N: usize> From<[A; N]> for Array<A, Ix1> {
    fn from(values: [A; N]) -> Self {
        Self::from_vec(values.to_vec())
    }
}

impl<A: Element, const M: usize, const N: usize> From<[[A; N]; M]> for Array<A, Ix2> {
    fn from(rows: [[A; N]; M]) -> Self {
        Self::from(ndarray::arr2(&rows))
    }
}

impl<A: Element, const N: usize> From<Vec<[A; N]>> for Array<A, Ix2> {
    fn from(rows: Vec<[A; N]>) -> Self {
        Self::from(ndarray::Array2::from(rows))
    }
}

impl<A: Element, const M: usize, const N: usize> From<Vec<[[A; N]; M]>> for Array<A, Ix3> {
    fn from(blocks: Vec<[[A; N]; M]>) -> Self {
        Self::from(ndarray::Array3::from(blocks))
    }
}

impl<A: Element> FromIterator<A> for Array<A, Ix1> {
    fn from_iter<I: IntoIterator<Item = A>>(values: I) -> Self {
        Self::from_vec(values.into_iter().collect())
    }
}

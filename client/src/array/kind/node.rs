//! An expression and, once they are touched, its values; and the slices that were taken of it.
//!
//! Owns when values are computed and that they are computed once. Must not know the kinds of arrays that look at
//! them: where the values are is kept with its type forgotten.

use super::base::{Parts, parts_at};
use super::choice::{default_chunks, dtype_of};
use super::memory::{Owner, literal};
use crate::array::chunks_of;
use crate::error::Result;
use crate::session;
use ndarray::Dimension;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tilework_expr::{Expr, Op, with_dtype};
use tilework_plan::AxisMap;

/// Slices kept of one lazy array; beyond it, the whole array is computed and slices are views of its values.
const SLICES_MAX: usize = 4096;

/// An array of at most this many bytes is computed whole when a slice of it is touched.
const WHOLE_BYTES_MAX: usize = 1 << 20;

/// A value of a forgotten type.
struct Erased {
    value: NonNull<()>,
    drop: unsafe fn(NonNull<()>),
}

impl Erased {
    fn of<T>(value: T) -> Erased {
        Erased { value: NonNull::from(Box::leak(Box::new(value))).cast(), drop: free::<T> }
    }

    /// The value.
    ///
    /// # Safety
    /// It is of this type.
    unsafe fn get<T>(&self) -> &T {
        // SAFETY: by the caller's word; it lives as long as this.
        unsafe { self.value.cast().as_ref() }
    }

    /// The value.
    ///
    /// # Safety
    /// It is of this type.
    unsafe fn into_inner<T>(self) -> T {
        let this = std::mem::ManuallyDrop::new(self);
        // SAFETY: `of` boxed a value of this type, by the caller's word; it is not dropped again.
        *unsafe { Box::from_raw(this.value.cast::<T>().as_ptr()) }
    }
}

impl Drop for Erased {
    fn drop(&mut self) {
        // SAFETY: made with the value, and called once.
        unsafe { (self.drop)(self.value) }
    }
}

/// Makes an array's [`Parts`] by address, lengths and strides: where the types of elements and dimension are known no
/// more.
type At = fn(*const u8, &[usize], &[isize]) -> Erased;

fn at<A, D: Dimension>(first: *const u8, shape: &[usize], strides: &[isize]) -> Erased {
    Erased::of(parts_at::<A, D>(first.cast(), crate::array::dim_of(shape), Some(strides)))
}

// SAFETY: holds where plain data are, which any thread may read.
unsafe impl Send for Erased {}
// SAFETY: as above.
unsafe impl Sync for Erased {}

/// An expression with its values, once computed.
pub struct Node {
    expr: Expr,
    shape: Vec<usize>,
    /// The array that this is a slice of; it owns this node, in `slices`.
    root: Option<NonNull<Node>>,
    values: OnceLock<Arc<Owner>>,
    computing: Mutex<()>,
    /// The expression that reads the values, once they are here.
    leaf: OnceLock<Expr>,
    /// Where the values are, as [`Parts`] of the array.
    here: OnceLock<Erased>,
    at: At,
    #[allow(clippy::vec_box, reason = "slices are referred to by their address")]
    slices: Mutex<Vec<Box<Node>>>,
    /// Elements of slices that were computed apart from the whole.
    touched: AtomicUsize,
}

// SAFETY: `root` outlives this node and is itself shared between threads by reference alone.
unsafe impl Send for Node {}
// SAFETY: as above.
unsafe impl Sync for Node {}

/// Where a node's values lie: their owner, the first one's address, the strides.
struct Place<'a> {
    owner: &'a Arc<Owner>,
    first: *const u8,
    strides: Vec<isize>,
}

impl Node {
    /// A node for arrays of `A` and `D`.
    pub(crate) fn new<A, D: Dimension>(expr: Expr) -> Node {
        assert_eq!(dtype_of::<A>(), Some(expr.dtype()), "{expr:?}");
        debug_assert!(D::NDIM.is_none_or(|n| n == expr.ndim()), "{expr:?}");
        Node::made(expr, at::<A, D>)
    }

    /// The same as if nothing had been asked of it yet.
    pub(crate) fn anew(&self) -> Node {
        Node::made(self.expr.clone(), self.at)
    }

    fn made(expr: Expr, at: At) -> Node {
        Node {
            at,
            shape: expr.shape(),
            expr,
            root: None,
            values: OnceLock::new(),
            computing: Mutex::new(()),
            leaf: OnceLock::new(),
            here: OnceLock::new(),
            slices: Mutex::default(),
            touched: AtomicUsize::new(0),
        }
    }

    /// The expression as it was built.
    pub(crate) fn expr(&self) -> &Expr {
        &self.expr
    }

    /// The lengths of its axes.
    pub(crate) fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The expression for what is built on this: it reads the values where they are computed already.
    pub(crate) fn leaf(&self) -> Expr {
        let Some(place) = self.place_if_here() else { return self.expr.clone() };
        let make = || {
            let chunks = chunks_of(self.expr.grid());
            let shape = self.expr.shape();
            literal(place.owner, place.first, (&shape, &place.strides), &chunks)
                .expect("the expression's own chunks fit its shape")
        };
        self.leaf.get_or_init(make).clone()
    }

    /// Whether the values are in this process.
    pub(crate) fn is_here(&self) -> bool {
        self.values.get().is_some() || self.root().is_some_and(Node::is_here)
    }

    fn root(&self) -> Option<&Node> {
        // SAFETY: the root owns this node and is not moved while it does.
        self.root.map(|root| unsafe { root.as_ref() })
    }

    /// A slice of this array: `expr` reads nothing but views of this node's expression. `None` where the values
    /// are better looked at in place.
    pub(crate) fn slice<A, D: Dimension>(&self, expr: Expr) -> Option<&Node> {
        let root = self.root().unwrap_or(self);
        if root.is_here() {
            return None;
        }
        let mut slices = root.slices.lock().unwrap_or_else(PoisonError::into_inner);
        if slices.len() >= SLICES_MAX {
            return None;
        }
        let node = Box::new(Node { root: Some(NonNull::from(root)), ..Node::new::<A, D>(expr) });
        let at = NonNull::from(&*node);
        slices.push(node);
        // SAFETY: boxes in the list stay where they are and live as long as the root.
        Some(unsafe { at.as_ref() })
    }

    /// The values; computes them on the first call.
    pub(crate) fn try_values(&self) -> Result<&Arc<Owner>> {
        if let Some(values) = self.values.get() {
            return Ok(values);
        }
        // Whoever else computes them may need the thread of a task, which therefore does not wait.
        let alone = (!tilework_worker::runs_tasks()).then(|| self.computing.lock());
        let _one_at_a_time = alone.map(|lock| lock.unwrap_or_else(PoisonError::into_inner));
        if let Some(values) = self.values.get() {
            return Ok(values);
        }
        let owner = computed(&self.expr)?;
        Ok(self.values.get_or_init(|| Arc::new(owner)))
    }

    /// The values' owner if nobody else has it.
    pub(crate) fn into_values(self) -> Option<Arc<Owner>> {
        self.values.into_inner()
    }

    /// Computes the values, here or within the root, if they are not yet.
    pub(crate) fn try_here(&self) -> Result<()> {
        self.try_place().map(drop)
    }

    fn place_if_here(&self) -> Option<Place<'_>> {
        if let Some(owner) = self.values.get() {
            return Some(Place { owner, first: owner.start_bytes(), strides: row_major(&self.expr.shape()) });
        }
        let root = self.root()?;
        let owner = root.values.get()?;
        let (offset, strides) = within(&self.expr, &root.expr);
        let first = owner.start_bytes().wrapping_offset(offset * self.expr.dtype().size() as isize);
        Some(Place { owner, first, strides })
    }

    fn try_place(&self) -> Result<Place<'_>> {
        if self.place_if_here().is_none() {
            match self.root() {
                // A whole that cannot be gathered may still have slices that can.
                Some(root) if root.worth_computing(self.expr.len()) && root.try_values().is_ok() => {}
                _ => drop(self.try_values()?),
            }
        }
        Ok(self.place_if_here().expect("computed above"))
    }

    /// Whether the whole costs no more than a slice of `more` elements: it is small, or so many elements have been
    /// asked for in slices.
    fn worth_computing(&self, more: usize) -> bool {
        if self.expr.len() * self.expr.dtype().size() <= WHOLE_BYTES_MAX {
            return true;
        }
        let before = self.touched.fetch_add(more, Ordering::Relaxed);
        before.saturating_add(more).saturating_mul(2) > self.expr.len()
    }

    /// Where the values are, if they have been looked at already.
    ///
    /// # Safety
    /// `A` and `D` are the types that the node was made for.
    #[inline]
    pub(crate) unsafe fn parts<A, D>(&self) -> Option<&Parts<A, D>> {
        // SAFETY: by the caller's word.
        self.here.get().map(|here| unsafe { here.get() })
    }

    /// Where the values are, which stay with this node or its root.
    ///
    /// # Safety
    /// `A` and `D` are the types that the node was made for.
    pub(crate) unsafe fn try_parts<A, D>(&self) -> Result<&Parts<A, D>> {
        let place = self.try_place()?;
        let here = self.here.get_or_init(|| (self.at)(place.first, &self.shape, &place.strides));
        // SAFETY: by the caller's word.
        Ok(unsafe { here.get() })
    }

    /// As [`try_parts`](Node::try_parts), for an array that is no longer this node's.
    ///
    /// # Safety
    /// `A` and `D` are the types that the node was made for.
    pub(crate) unsafe fn try_into_parts<A, D>(&self) -> Result<Parts<A, D>> {
        let place = self.try_place()?;
        // SAFETY: by the caller's word.
        Ok(unsafe { (self.at)(place.first, &self.shape, &place.strides).into_inner() })
    }

    /// Where row-major elements are.
    ///
    /// # Safety
    /// `A` and `D` are the types that the node was made for.
    pub(crate) unsafe fn parts_in<A, D>(&self, values: *const A) -> Parts<A, D> {
        // SAFETY: by the caller's word.
        unsafe { (self.at)(values.cast(), &self.shape, &row_major(&self.shape)).into_inner() }
    }
}

/// Frees a boxed value.
unsafe fn free<T>(value: NonNull<()>) {
    // SAFETY: `of` boxed a value of this type.
    drop(unsafe { Box::from_raw(value.cast::<T>().as_ptr()) });
}

/// Values in row-major order as ndarray's array.
pub(crate) fn in_shape<A, D: Dimension>(expr: &Expr, values: Vec<A>) -> ndarray::Array<A, D> {
    let array = ndarray::Array::from_shape_vec(crate::array::dim_of::<D>(&expr.shape()), values);
    array.expect("a result has as many elements as its grid")
}

/// Computes the expression on the current session.
pub(crate) fn computed(expr: &Expr) -> Result<Owner> {
    let mut chunks = session::run(std::slice::from_ref(expr))?;
    Ok(gathered(expr, chunks.remove(0)))
}

/// The values of a result from its chunks.
pub(crate) fn gathered(expr: &Expr, chunks: Vec<tilework_kernels::Chunk>) -> Owner {
    with_dtype!(expr.dtype(), T => Owner::of(crate::session::gather::values::<T>(expr.grid(), chunks)))
}

/// The strides, in elements, of a row-major array.
pub(crate) fn row_major(shape: &[usize]) -> Vec<isize> {
    let mut strides = vec![0; shape.len()];
    let mut step = 1;
    for (s, &len) in strides.iter_mut().zip(shape).rev() {
        *s = step;
        step *= len as isize;
    }
    strides
}

/// Where a view of views of `root` starts within its row-major values, and its strides.
fn within(view: &Expr, root: &Expr) -> (isize, Vec<isize>) {
    let mut chain = Vec::new();
    let mut expr = view;
    while !expr.same(root) {
        let Op::View(view) = expr.op() else { unreachable!("a slice is made of views alone: {expr:?}") };
        chain.push((view, expr.ndim()));
        expr = &expr.inputs()[0];
    }
    let (mut offset, mut strides) = (0, row_major(&root.shape()));
    for (view, ndim) in chain.into_iter().rev() {
        let mut next = vec![0; ndim];
        for (map, stride) in view.axes.iter().zip(&strides) {
            match *map {
                AxisMap::At(i) => offset += i as isize * stride,
                AxisMap::Along { axis, start, step } => {
                    offset += start as isize * stride;
                    next[axis] += step * stride;
                }
            }
        }
        strides = next;
    }
    (offset, strides)
}

/// The elements of an array in this process as an expression, by a copy.
pub(crate) fn copied<A, D: Dimension>(array: &ndarray::ArrayRef<A, D>) -> Result<Expr> {
    let dtype = dtype_of::<A>().expect("the element type travels");
    with_dtype!(dtype, T => {
        // SAFETY: `A` and `T` are the same type.
        let array: &ndarray::ArrayRef<T, D> = unsafe { &*(std::ptr::from_ref(array) as *const ndarray::ArrayRef<T, D>) };
        let owned = array.to_owned();
        let (shape, strides) = (owned.shape().to_vec(), owned.strides().to_vec());
        let (values, offset) = owned.into_raw_vec_and_offset();
        let owner = Arc::new(Owner::of(values));
        let first = owner.start_bytes().wrapping_add(offset.unwrap_or(0) * size_of::<T>());
        literal(&owner, first, (&shape, &strides), &default_chunks(&shape))
    })
}

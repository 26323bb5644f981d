//! The owned array: ndarray's own, whose memory expressions may share, or an expression.
//!
//! Owns copy on write. Must not know operations.

use super::base::ArrayBase;
use super::choice::{EAGER_BYTES_MAX, default_chunks, dtype_of, eager_bytes_max, is_bounded};
use super::memory::{Owner, literal};
use super::node::{Node, in_shape};
use crate::error::{Result, or_panic};
use ndarray::Dimension;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, OnceLock};
use tilework_expr::Expr;

/// An n-dimensional array with elements of `A` and ndarray's dimension type `D`, in place of
/// [`ndarray::Array`].
///
/// It is either *local*, an ndarray array in this process, or *lazy*, an expression that nothing has computed yet.
/// Operations on small local arrays are ndarray's own and give local arrays; operations on lazy or large ones build
/// expressions, where the element type is one of the thirteen of [`DType`](crate::DType). Whatever else ndarray can
/// do with an array goes through [`Deref`]: a lazy array is then computed, once, and its values are kept.
///
/// Clones share values and expressions; a change to one does not show in the others.
///
/// ```
/// use tilework::prelude::*;
///
/// let mut a = array![[1.0, 2.0], [3.0, 4.0]];
/// let b = Array2::<f64>::ones_chunked((2, 2), 1) + &a; // lazy: its left operand is
/// a[[0, 0]] = 50.0;
/// assert_eq!(b.row(0).to_vec(), [2.0, 3.0]);
/// assert_eq!(b.iter().sum::<f64>(), 14.0);
/// ```
pub struct Array<A, D> {
    /// ndarray's array. That of a lazy array has no elements; there is none where no index is out of its bounds (see
    /// [`is_bounded`]). Where the elements have an owner, they are its: they are plain data, are not written,
    /// and are not freed with this. (The type is spelt out, for the alias would make this type invariant in `A`.)
    array: MaybeUninit<ndarray::ArrayBase<ndarray::OwnedRepr<A>, D, A>>,
    /// What there is beside the elements: nothing for small arrays. It is behind a pointer so that a shared reference
    /// to an array is one to memory that does not change: loops over elements then keep lengths and strides in
    /// registers.
    more: Option<Box<More>>,
}

enum More {
    /// The owner that expressions share, once one needs the elements.
    Owner(OnceLock<Arc<Owner>>),
    /// The expression of a lazy array, with elements of `A`, which is one of the types that travel.
    Lazy(Arc<Node>),
}

/// Arrays of fewer bytes have no place for an owner: an expression copies their elements.
const SHARED_BYTES_MIN: usize = 1 << 14;

impl<A, D> Drop for Array<A, D> {
    fn drop(&mut self) {
        let theirs = match self.more.as_deref() {
            None => false,
            Some(More::Owner(owner)) => owner.get().is_some(),
            Some(More::Lazy(_)) => true,
        };
        if !theirs {
            // SAFETY: the array is local and its elements are its own; it is not used again.
            unsafe { self.array.assume_init_drop() }
        }
    }
}

impl<A, D> Array<A, D> {
    /// Whether the array is an expression that was not computed yet.
    #[must_use]
    pub fn is_lazy(&self) -> bool {
        self.node().is_some_and(|node| !node.is_here())
    }

    /// The node of a lazy array.
    #[inline]
    pub(crate) fn node(&self) -> Option<&Arc<Node>> {
        match self.more.as_deref() {
            Some(More::Lazy(node)) => Some(node),
            _ => None,
        }
    }

    /// ndarray's array of a local array; else the node of a lazy one.
    #[inline]
    fn here(&self) -> std::result::Result<&ndarray::Array<A, D>, &Arc<Node>> {
        match self.node() {
            // SAFETY: that of a local array is always there.
            None => Ok(unsafe { self.array.assume_init_ref() }),
            Some(node) => Err(node),
        }
    }
}

/// Whether the parts of an array other than its elements hold no memory: ndarray keeps the lengths of up to four
/// dynamic axes in place.
fn has_plain_parts<A, D: Dimension>(array: &ndarray::Array<A, D>) -> bool {
    D::NDIM.is_some() || array.ndim() <= 4
}

/// An array of the same layout over a copy of the elements, whose type travels.
fn copy_of<A, D: Dimension>(array: &ndarray::Array<A, D>) -> ndarray::Array<A, D> {
    let dtype = dtype_of::<A>().expect("only elements that travel are shared");
    tilework_expr::with_dtype!(dtype, T => {
        // SAFETY: `A` and `T` are the same type.
        let array: &ndarray::Array<T, D> = unsafe { &*std::ptr::from_ref(array).cast() };
        let copy = ManuallyDrop::new(array.clone());
        // SAFETY: as above; the original is not used again.
        unsafe { std::ptr::read(std::ptr::from_ref(&*copy).cast()) }
    })
}

/// The values of a lazy array for one's own: without a copy where nobody else looks at them.
fn values_of<A, D: Dimension>(node: Arc<Node>) -> Result<ndarray::Array<A, D>> {
    node.try_values()?;
    let expr = node.expr().clone();
    let owner = match Arc::try_unwrap(node) {
        Ok(node) => node.into_values(),
        Err(node) => Some(Arc::clone(node.try_values()?)),
    };
    let owner = owner.expect("computed above");
    let values = match Arc::try_unwrap(owner) {
        Ok(owner) => owner.into_vec::<A>(),
        Err(owner) => owner.to_vec::<A>(),
    };
    Ok(in_shape(&expr, values))
}

/// # What it is
impl<A, D: Dimension> Array<A, D> {
    /// A local array.
    #[inline]
    pub(crate) fn local(array: ndarray::Array<A, D>) -> Self {
        let is_large = array.len() * size_of::<A>() >= SHARED_BYTES_MIN;
        let more = if is_large { Self::place_of_owner(&array) } else { None };
        Array { array: MaybeUninit::new(array), more }
    }

    #[cold]
    fn place_of_owner(array: &ndarray::Array<A, D>) -> Option<Box<More>> {
        let is_shared = dtype_of::<A>().is_some() && has_plain_parts(array);
        is_shared.then(|| Box::new(More::Owner(OnceLock::new())))
    }

    /// A lazy array. The expression's dtype is that of `A`, and it has the dimensions of `D`.
    pub(crate) fn of_expr(expr: Expr) -> Self {
        assert_eq!(dtype_of::<A>(), Some(expr.dtype()), "{expr:?}");
        debug_assert!(D::NDIM.is_none_or(|n| n == expr.ndim()), "{expr:?}");
        Self::of_node(Arc::new(Node::new(expr)))
    }

    fn of_node(node: Arc<Node>) -> Self {
        let array = match D::NDIM {
            Some(n) if is_bounded::<D>() => {
                let empty = ndarray::Array::from_shape_vec(D::zeros(n), Vec::new());
                MaybeUninit::new(empty.expect("no elements for axes of length 0"))
            }
            _ => MaybeUninit::uninit(),
        };
        Array { array, more: Some(Box::new(More::Lazy(node))) }
    }

    /// The owner of a local array's elements, which expressions share; it takes them over on the first call. `None`
    /// where the array has no place for one.
    fn owner(&self) -> Option<&Arc<Owner>> {
        let (Ok(here), Some(More::Owner(owner))) = (self.here(), self.more.as_deref()) else { return None };
        Some(owner.get_or_init(|| {
            // SAFETY: the array's parts hold no memory but the elements, which the owner takes over: from here on
            // `array` neither frees nor writes them.
            let copy = unsafe { std::ptr::read(here) };
            let mut values = ManuallyDrop::new(copy.into_raw_vec_and_offset().0);
            Arc::new(Owner::of_parts(values.as_mut_ptr(), values.len(), values.capacity()))
        }))
    }

    /// A second array over the same elements of a local one.
    fn sharing(&self) -> Option<Self> {
        let owner = OnceLock::from(Arc::clone(self.owner()?));
        // SAFETY: the array's parts hold no memory but the elements, which the owner keeps and nobody writes.
        let array = unsafe { std::ptr::read(&raw const self.array) };
        Some(Array { array, more: Some(Box::new(More::Owner(owner))) })
    }

    /// What is built on this array reads it through this. The element type travels.
    pub(crate) fn leaf(&self) -> Result<Expr> {
        let here = match self.here() {
            Ok(here) => here,
            Err(node) => return Ok(node.leaf()),
        };
        let Some(owner) = self.owner() else { return super::node::copied(here) };
        let layout = (here.shape(), here.strides());
        literal(owner, here.as_ptr().cast(), layout, &default_chunks(layout.0))
    }

    /// Whoever owns the elements of a large local array, so that views of it can be read without a copy.
    pub(crate) fn owner_if_large(&self) -> Option<&Arc<Owner>> {
        if self.here().ok()?.len() * size_of::<A>() > eager_bytes_max() { self.owner() } else { None }
    }

    /// ndarray's array, computed if need be; a lazy array's values are kept.
    ///
    /// # Errors
    /// A failed or lost computation; a result above the session's limit for gathering.
    pub fn try_local(&self) -> Result<&ndarray::Array<A, D>> {
        match self.here() {
            Ok(here) => Ok(here),
            // SAFETY: the element type was checked when this was made, and its node is asked for nothing else.
            Err(node) => unsafe { node.try_array::<A, D>() },
        }
    }

    /// ndarray's array for one's own, computed if need be.
    ///
    /// # Errors
    /// As [`Array::try_local`].
    pub fn try_into_ndarray(self) -> Result<ndarray::Array<A, D>> {
        let this = ManuallyDrop::new(self);
        // SAFETY: what is read here is not dropped with the wrapper.
        let (array, more) =
            unsafe { (std::ptr::read(&raw const this.array), std::ptr::read(&raw const this.more)) };
        let owner = match more.map(|more| *more) {
            None => None,
            Some(More::Owner(owner)) => owner.into_inner(),
            Some(More::Lazy(node)) => return values_of(node),
        };
        // SAFETY: that of a local array is there. It is not used where another has its elements still.
        let array = ManuallyDrop::new(unsafe { array.assume_init() });
        Ok(match owner.map(Arc::try_unwrap) {
            None => ManuallyDrop::into_inner(array),
            // The array has the vector's parts still.
            Some(Ok(owner)) => {
                std::mem::forget(owner.into_vec::<A>());
                ManuallyDrop::into_inner(array)
            }
            Some(Err(_theirs)) => copy_of(&array),
        })
    }

    /// ndarray's array for one's own, computed if need be.
    ///
    /// # Panics
    /// Where [`Array::try_into_ndarray`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn into_ndarray(self) -> ndarray::Array<A, D> {
        or_panic(self.try_into_ndarray())
    }

    #[cold]
    #[track_caller]
    fn computed(&self) -> &ndarray::Array<A, D> {
        or_panic(self.try_local())
    }

    /// Whether the elements are here and nobody else's, so that they can be written.
    #[inline]
    fn is_writable(&mut self) -> bool {
        match self.more.as_deref_mut() {
            None => true,
            Some(More::Owner(owner)) => owner.get_mut().is_none(),
            Some(More::Lazy(_)) => false,
        }
    }

    /// Makes the elements this array's alone: computes a lazy array, copies what is shared.
    #[cold]
    #[track_caller]
    fn make_writable(&mut self) {
        let whole = match self.more.as_deref_mut() {
            None => return,
            Some(More::Owner(owner)) => {
                let Some(owner) = owner.take() else { return };
                match Arc::try_unwrap(owner) {
                    // The array has the vector's parts still.
                    Ok(owner) => return std::mem::forget(owner.into_vec::<A>()),
                    Err(theirs) => {
                        // SAFETY: that of a local array is there.
                        let copy = copy_of(unsafe { self.array.assume_init_ref() });
                        drop(theirs);
                        self.array = MaybeUninit::new(copy);
                        return;
                    }
                }
            }
            Some(More::Lazy(node)) => {
                // Computed where it still is, so that a failure leaves the array as it was.
                or_panic(node.try_values().map(drop));
                let rest = Arc::new(Node::new(node.expr().clone()));
                or_panic(values_of(std::mem::replace(node, rest)))
            }
        };
        *self = Array::local(whole);
    }

    /// ndarray's array; of a lazy array, one without elements.
    #[inline]
    pub(in crate::array) fn bounded(&self) -> &ndarray::Array<A, D> {
        assert!(is_bounded::<D>(), "there need not be one");
        // SAFETY: there is one, with or without elements.
        unsafe { self.array.assume_init_ref() }
    }
}

/// ndarray's array: what [`Array`] has no method of its own for is done by it. A lazy array is computed, once.
///
/// Panics where the computation fails; [`Array::try_local`] returns the error.
impl<A, D: Dimension> Deref for Array<A, D> {
    type Target = ArrayBase<ndarray::OwnedRepr<A>, D, A>;
    #[inline]
    #[track_caller]
    fn deref(&self) -> &Self::Target {
        ArrayBase::of(match self.here() {
            Ok(here) => here,
            Err(_) => self.computed(),
        })
    }
}

/// ndarray's array for writing: a lazy array is computed and is local from then on. What was made of the array
/// before keeps the old elements.
///
/// Panics where the computation fails.
impl<A, D: Dimension> DerefMut for Array<A, D> {
    #[inline]
    #[track_caller]
    fn deref_mut(&mut self) -> &mut Self::Target {
        if !self.is_writable() {
            self.make_writable();
        }
        // SAFETY: the array is local now.
        ArrayBase::of_mut(unsafe { self.array.assume_init_mut() })
    }
}

/// Shares the expression, or the elements of a large array; copies those of a small one.
impl<A: Clone, D: Dimension> Clone for Array<A, D> {
    fn clone(&self) -> Self {
        let here = match self.here() {
            Ok(here) => here,
            Err(node) => return Self::of_node(Arc::clone(node)),
        };
        let shared = if here.len() * size_of::<A>() > EAGER_BYTES_MAX { self.sharing() } else { None };
        shared.unwrap_or_else(|| Array::local(here.clone()))
    }
}

//! The owned array: ndarray's own, whose memory expressions may share, or an expression.
//!
//! Owns copy on write. Must not know operations.

use super::base::ArrayBase;
use super::choice::{EAGER_BYTES_MAX, default_chunks, dtype_of, eager_bytes_max};
use super::memory::{Owner, literal};
use super::node::{Node, in_shape};
use crate::error::{Result, or_panic};
use ndarray::Dimension;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
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
    repr: Repr<A, D>,
}

enum Repr<A, D> {
    Local(Local<A, D>),
    Lazy(Lazy<A, D>),
}

/// ndarray's array. Where `owner` is set, the elements are its: they are plain data, are not written, and are not
/// freed with `array`, which then has no memory of its own.
struct Local<A, D> {
    // The type is spelt out, for the alias would make this type invariant in `A`.
    array: ManuallyDrop<ndarray::ArrayBase<ndarray::OwnedRepr<A>, D, A>>,
    owner: OnceLock<Arc<Owner>>,
}

/// An expression with elements of `A`, which is one of the types that travel.
struct Lazy<A, D> {
    node: Arc<Node>,
    types: PhantomData<(A, D)>,
}

impl<A, D> Drop for Local<A, D> {
    fn drop(&mut self) {
        if self.owner.get().is_none() {
            // SAFETY: the elements belong to this array, which is not used again.
            unsafe { ManuallyDrop::drop(&mut self.array) }
        }
    }
}

impl<A, D> Local<A, D> {
    const fn new(array: ndarray::Array<A, D>) -> Self {
        Local { array: ManuallyDrop::new(array), owner: OnceLock::new() }
    }
}

impl<A, D: Dimension> Local<A, D> {
    /// Whether the parts of the array other than its elements hold no memory: ndarray keeps the lengths of up to
    /// four dynamic axes in place.
    fn has_plain_parts(&self) -> bool {
        D::NDIM.is_some() || self.array.ndim() <= 4
    }

    /// Hands the elements over to an owner that expressions share, if their type travels.
    fn owner(&self) -> Option<&Arc<Owner>> {
        if let Some(owner) = self.owner.get() {
            return Some(owner);
        }
        if dtype_of::<A>().is_none() || !self.has_plain_parts() {
            return None;
        }
        Some(self.owner.get_or_init(|| {
            // SAFETY: the array's parts hold no memory but the elements, which the owner takes over: from here on
            // `array` neither frees nor writes them.
            let copy = unsafe { std::ptr::read(&*self.array) };
            let mut values = ManuallyDrop::new(copy.into_raw_vec_and_offset().0);
            Arc::new(Owner::of_parts(values.as_mut_ptr(), values.len(), values.capacity()))
        }))
    }

    /// Makes the elements this array's alone, so that they can be written.
    #[cold]
    fn unshare(&mut self) {
        let Some(owner) = self.owner.take() else { return };
        match Arc::try_unwrap(owner) {
            // The array has the vector's parts still.
            Ok(owner) => std::mem::forget(owner.into_vec::<A>()),
            Err(owner) => {
                self.array = ManuallyDrop::new(self.copy());
                drop(owner);
            }
        }
    }

    /// An array of the same layout over a copy of the elements.
    fn copy(&self) -> ndarray::Array<A, D> {
        let dtype = dtype_of::<A>().expect("only elements that travel are shared");
        tilework_expr::with_dtype!(dtype, T => {
            // SAFETY: `A` and `T` are the same type.
            let array: &ndarray::Array<T, D> = unsafe { &*std::ptr::from_ref(&*self.array).cast() };
            let copy = ManuallyDrop::new(array.clone());
            // SAFETY: as above; the original is not used again.
            unsafe { std::ptr::read(std::ptr::from_ref(&*copy).cast()) }
        })
    }

    /// The array, out of its wrapper.
    fn into_array(mut self) -> ndarray::Array<A, D> {
        self.unshare();
        let this = ManuallyDrop::new(self);
        // SAFETY: the wrapper is not dropped, and there is no owner.
        ManuallyDrop::into_inner(unsafe { std::ptr::read(&this.array) })
    }

    /// A second array over the same elements.
    fn sharing(&self) -> Option<Self> {
        let owner = self.owner()?;
        // SAFETY: the array's parts hold no memory but the elements, which the owner keeps and nobody writes.
        let array = unsafe { std::ptr::read(&self.array) };
        let local = Local { array, owner: OnceLock::new() };
        let _ = local.owner.set(Arc::clone(owner));
        Some(local)
    }

    fn leaf(&self) -> Result<Expr> {
        let Some(owner) = self.owner() else { return super::node::copied(&self.array) };
        let layout = (self.array.shape(), self.array.strides());
        literal(owner, self.array.as_ptr().cast(), layout, &default_chunks(layout.0))
    }
}

impl<A, D: Dimension> Lazy<A, D> {
    #[inline]
    fn try_array(&self) -> Result<&ndarray::Array<A, D>> {
        // SAFETY: the element type was checked when this was made, and its node is asked for nothing else.
        unsafe { self.node.try_array::<A, D>() }
    }

    /// The values for one's own: without a copy where nobody else looks at them.
    fn try_into_array(self) -> Result<ndarray::Array<A, D>> {
        self.node.try_values()?;
        let expr = self.node.expr().clone();
        let owner = match Arc::try_unwrap(self.node) {
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
}

impl<A, D> Array<A, D> {
    /// A local array.
    #[inline]
    pub(crate) const fn local(array: ndarray::Array<A, D>) -> Self {
        Array { repr: Repr::Local(Local::new(array)) }
    }

    /// Whether the array is an expression that was not computed yet.
    #[must_use]
    pub fn is_lazy(&self) -> bool {
        self.node().is_some_and(|node| !node.is_here())
    }

    /// The node of a lazy array.
    #[inline]
    pub(crate) fn node(&self) -> Option<&Arc<Node>> {
        match &self.repr {
            Repr::Local(_) => None,
            Repr::Lazy(lazy) => Some(&lazy.node),
        }
    }
}

impl<A, D: Dimension> Array<A, D> {
    /// A lazy array. The expression's dtype is that of `A`, and it has the dimensions of `D`.
    pub(crate) fn of_expr(expr: Expr) -> Self {
        assert_eq!(dtype_of::<A>(), Some(expr.dtype()), "{expr:?}");
        debug_assert!(D::NDIM.is_none_or(|n| n == expr.ndim()), "{expr:?}");
        Array { repr: Repr::Lazy(Lazy { node: Arc::new(Node::new(expr)), types: PhantomData }) }
    }

    /// What is built on this array reads it through this. The element type travels.
    pub(crate) fn leaf(&self) -> Result<Expr> {
        match &self.repr {
            Repr::Local(local) => local.leaf(),
            Repr::Lazy(lazy) => Ok(lazy.node.leaf()),
        }
    }

    /// Whoever owns the elements of a large local array, so that views of it can be read without a copy.
    pub(crate) fn owner_if_large(&self) -> Option<&Arc<Owner>> {
        match &self.repr {
            Repr::Local(local) if local.array.len() * size_of::<A>() > eager_bytes_max() => local.owner(),
            _ => None,
        }
    }

    /// ndarray's array, computed if need be; a lazy array's values are kept.
    ///
    /// # Errors
    /// A failed or lost computation; a result above the session's limit for gathering.
    pub fn try_local(&self) -> Result<&ndarray::Array<A, D>> {
        match &self.repr {
            Repr::Local(local) => Ok(&local.array),
            Repr::Lazy(lazy) => lazy.try_array(),
        }
    }

    /// ndarray's array for one's own, computed if need be.
    ///
    /// # Errors
    /// As [`Array::try_local`].
    pub fn try_into_ndarray(self) -> Result<ndarray::Array<A, D>> {
        match self.repr {
            Repr::Local(local) => Ok(local.into_array()),
            Repr::Lazy(lazy) => lazy.try_into_array(),
        }
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
    fn computed(lazy: &Lazy<A, D>) -> &ndarray::Array<A, D> {
        or_panic(lazy.try_array())
    }

    /// Makes a lazy array local.
    #[cold]
    #[track_caller]
    fn make_local(&mut self) {
        if let Repr::Lazy(lazy) = &mut self.repr {
            // Computed where it still is, so that a failure leaves the array as it was.
            or_panic(lazy.node.try_values().map(drop));
            let rest = Arc::new(Node::new(lazy.node.expr().clone()));
            let taken = Lazy { node: std::mem::replace(&mut lazy.node, rest), types: PhantomData };
            self.repr = Repr::Local(Local::new(or_panic(taken.try_into_array())));
        }
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
        ArrayBase::of(match &self.repr {
            Repr::Local(local) => &local.array,
            Repr::Lazy(lazy) => Self::computed(lazy),
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
        if let Repr::Lazy(_) = &self.repr {
            self.make_local();
        }
        match &mut self.repr {
            Repr::Local(local) => {
                if local.owner.get_mut().is_some() {
                    local.unshare();
                }
                ArrayBase::of_mut(&mut local.array)
            }
            Repr::Lazy(_) => unreachable!("made local above"),
        }
    }
}

/// Shares the expression, or the elements of a large array; copies those of a small one.
impl<A: Clone, D: Dimension> Clone for Array<A, D> {
    fn clone(&self) -> Self {
        let repr = match &self.repr {
            Repr::Local(local) => {
                let bytes = local.array.len() * size_of::<A>();
                let shared = if bytes > EAGER_BYTES_MAX { local.sharing() } else { None };
                Repr::Local(shared.unwrap_or_else(|| Local::new((*local.array).clone())))
            }
            Repr::Lazy(lazy) => Repr::Lazy(Lazy { node: Arc::clone(&lazy.node), types: PhantomData }),
        };
        Array { repr }
    }
}

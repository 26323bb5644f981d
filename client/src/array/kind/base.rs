//! The one array type: where the elements are, and whose they are.
//!
//! Owns the way from one to the other: what is lazy is computed before its elements are looked at. Must not know
//! operations.

use super::data::{Data, DataMut, RawData, RawDataClone, RawDataMut, RawDataSubst};
use super::node::Node;
use super::reference::ArrayRef;
use crate::error::{Result, or_panic};
use ndarray::{Dimension, LayoutRef, RawRef, ShapeBuilder};
use std::borrow::{Borrow, BorrowMut};
use std::ops::{Deref, DerefMut};
use tilework_expr::Expr;

/// Address, lengths and strides of elements. (The type is spelt out, for ndarray's alias would make what has it for a
/// field invariant in `A`.)
pub type Parts<A, D> = ndarray::ArrayBase<ndarray::RawViewRepr<*const A>, D, A>;

/// An n-dimensional array with elements of `A`, ndarray's dimension type `D`, and elements that belong to whom `S` says,
/// in place of [`ndarray::ArrayBase`]: [`Array`](crate::Array) owns them, [`ArrayView`](crate::ArrayView) and
/// [`ArrayViewMut`](crate::ArrayViewMut) borrow them, [`CowArray`](crate::CowArray) does one or the other, and
/// [`ArcArray`](crate::ArcArray) shares them. Functions that are generic in `S`, and traits implemented for
/// `ArrayBase<S, D>`, are for all of these.
///
/// It is either *local*, an ndarray array in this process, or *lazy*, an expression that nothing has computed yet.
/// Operations on small local arrays are ndarray's own and give local arrays; operations on lazy or large ones build
/// expressions, where the element type is one of the thirteen of [`DType`](crate::DType). Whatever else ndarray can
/// do with an array goes through [`Deref`]: a lazy array is then computed, once, and its values are kept.
///
/// ```
/// use tilework::Data;
/// use tilework::prelude::*;
///
/// fn centred<S: Data<Elem = f64>>(x: &ArrayBase<S, Ix2>) -> Array2<f64> {
///     x - &x.mean_axis(Axis(0)).unwrap()
/// }
///
/// let a = array![[1.0, 2.0], [3.0, 6.0]];
/// assert_eq!(centred(&a), array![[-1.0, -2.0], [1.0, 2.0]]);
/// assert_eq!(centred(&a.slice(s![.., ..1])), array![[-1.0], [1.0]]);
/// ```
pub struct ArrayBase<S, D, A = <S as RawData>::Elem>
where
    S: RawData<Elem = A>,
{
    /// Where the elements are. Those of a lazy array are nowhere: its axes are of length 0 here, or, where `D` may have
    /// no axes, this is not looked at (see [`is_bounded`](super::choice::is_bounded)). There is nothing here that
    /// changes behind a shared reference: loops over elements keep lengths and strides in registers.
    pub(super) parts: Parts<A, D>,
    /// Whose they are, or the expression of a lazy array.
    pub(super) data: S,
}

// SAFETY: the address is that of elements of `S`, which says which threads may have them.
unsafe impl<A, S: Data<Elem = A> + Send, D: Send> Send for ArrayBase<S, D, A> {}
// SAFETY: as above.
unsafe impl<A, S: Data<Elem = A> + Sync, D: Sync> Sync for ArrayBase<S, D, A> {}

/// Parts of an array that has no elements here: with axes of length 0 where there are any.
pub(super) fn no_elements<A, D: Dimension>() -> Parts<A, D> {
    parts_at(std::ptr::dangling(), D::zeros(D::NDIM.unwrap_or(1)), None)
}

/// Parts by the address of the first element, lengths and strides; in row-major order where there are no strides.
pub(super) fn parts_at<A, D: Dimension>(first: *const A, dim: D, strides: Option<&[isize]>) -> Parts<A, D> {
    // ndarray takes the lowest address and strides forwards; what runs backwards is then turned round.
    let (Some(strides), false) = (strides, dim.slice().contains(&0)) else {
        let first = if dim.size() == 0 { std::ptr::dangling() } else { first };
        // SAFETY: nothing is read here; elements without a gap are all within what the caller has, or there are none.
        return unsafe { Parts::from_shape_ptr(dim, first) };
    };
    let (lowest, forwards) = forwards(&dim, strides);
    let lowest = if size_of::<A>() == 0 { first } else { first.wrapping_offset(lowest) };
    // SAFETY: nothing is read here, and all elements are within what the caller has.
    let mut parts = unsafe { Parts::from_shape_ptr(dim.strides(forwards), lowest) };
    invert_backwards(strides, |axis| parts.invert_axis(axis));
    parts
}

/// Where the lowest of an array's elements is, counted from the first, and the absolute strides.
pub(super) fn forwards<D: Dimension>(dim: &D, strides: &[isize]) -> (isize, D) {
    let (mut lowest, mut forwards) = (0, D::zeros(dim.ndim()));
    for (axis, (&stride, &len)) in strides.iter().zip(dim.slice()).enumerate() {
        forwards[axis] = stride.unsigned_abs();
        if stride < 0 {
            lowest += stride * (len as isize - 1);
        }
    }
    (lowest, forwards)
}

/// Calls `invert` for the axes that run backwards.
pub(super) fn invert_backwards(strides: &[isize], mut invert: impl FnMut(ndarray::Axis)) {
    for (axis, _) in strides.iter().enumerate().filter(|(_, stride)| **stride < 0) {
        invert(ndarray::Axis(axis));
    }
}

/// The elements at these parts.
///
/// # Safety
/// They are there, and nobody writes them, as long as the reference lives.
#[inline]
pub(super) unsafe fn elements_of<A, D>(parts: &Parts<A, D>) -> &ndarray::ArrayRef<A, D> {
    let layout: &LayoutRef<A, D> = parts.as_ref();
    // SAFETY: ndarray's reference types are transparent wrappers of each other; the elements are there by the caller's
    // word.
    unsafe { &*(std::ptr::from_ref(layout) as *const ndarray::ArrayRef<A, D>) }
}

/// The elements at these parts, for writing.
///
/// # Safety
/// They are there, may be written, and nobody else looks at them, as long as the reference lives.
#[inline]
pub(super) unsafe fn elements_of_mut<A, D>(parts: &mut Parts<A, D>) -> &mut ndarray::ArrayRef<A, D> {
    let layout: &mut LayoutRef<A, D> = parts.as_mut();
    // SAFETY: as in `elements_of`.
    unsafe { &mut *(std::ptr::from_mut(layout) as *mut ndarray::ArrayRef<A, D>) }
}

impl<A, S: RawData<Elem = A>, D> ArrayBase<S, D, A> {
    /// Whether the array is an expression that was not computed yet.
    #[must_use]
    pub fn is_lazy(&self) -> bool {
        self.data.node().is_some_and(|node| !node.is_here())
    }

    /// Whose the elements are.
    pub(in crate::array) fn data(&mut self) -> &mut S {
        &mut self.data
    }

    /// The node of a lazy array.
    #[inline]
    pub(crate) fn node(&self) -> Option<&Node> {
        self.data.node()
    }

    /// Address, lengths and strides of the elements that are here; of a lazy array, of none.
    #[inline]
    pub(in crate::array) fn place(&self) -> &Parts<A, D> {
        &self.parts
    }

    /// The elements that are here; of a lazy array, none where it [`is_bounded`](super::choice::is_bounded).
    #[inline]
    pub(in crate::array) fn elements(&self) -> &ndarray::ArrayRef<A, D>
    where
        S: Data,
    {
        // SAFETY: the elements of a local array are there, and they belong to whoever has `data`.
        unsafe { elements_of(&self.parts) }
    }
}

impl<A, S: RawData<Elem = A>, D> ArrayBase<S, D, A> {
    /// The lengths and strides of the array, its elements computed if need be: they are kept.
    #[inline]
    pub(crate) fn try_layout(&self) -> Result<&ndarray::ArrayRef<A, D>> {
        let parts = match self.data.node() {
            None => &self.parts,
            // SAFETY: an array's node is made for its types.
            Some(node) => match unsafe { node.parts() } {
                Some(parts) => parts,
                // SAFETY: as above.
                None => unsafe { node.try_parts() }?,
            },
        };
        // SAFETY: the elements are there; where `S` has none, only a reference to the layout leaves this crate.
        Ok(unsafe { elements_of(parts) })
    }

    /// Brings the elements here: what is lazy is computed and local from then on.
    pub(crate) fn settle(&mut self) -> Result<()> {
        self.data.settle(&mut self.parts)
    }
}

impl<A, S: RawData<Elem = A>, D: Dimension> ArrayBase<S, D, A> {
    /// A lazy array with another expression, made of this one's. `None` where the elements are better looked at in place.
    pub(crate) fn rebuilt<E: Dimension>(&self, expr: Expr) -> Option<ArrayBase<S, E, A>> {
        Some(ArrayBase { parts: no_elements(), data: self.data.rebuilt::<E>(expr)? })
    }

    /// The same elements, which are here, or some of them in another place within the memory: by ndarray's methods that
    /// need to know no more.
    pub(in crate::array) fn placed<E: Dimension, X>(
        self,
        f: impl FnOnce(Parts<A, D>) -> std::result::Result<Parts<A, E>, X>,
    ) -> std::result::Result<ArrayBase<S, E, A>, X> {
        Ok(ArrayBase { parts: f(self.parts)?, data: self.data })
    }

    /// The same elements as those of another type.
    ///
    /// # Safety
    /// They are of that type, too, and the types are of the same size and alignment.
    pub(in crate::array) unsafe fn substituted<B>(self) -> ArrayBase<S::Output, D, B>
    where
        S: RawDataSubst<B>,
    {
        // SAFETY: by the caller's word.
        ArrayBase { parts: self.parts.cast(), data: unsafe { self.data.data_subst() } }
    }

    /// As [`placed`](Self::placed), in place.
    pub(in crate::array) fn replace_place(&mut self, f: impl FnOnce(Parts<A, D>) -> Parts<A, D>) {
        self.parts = f(self.parts.clone());
    }
}

impl<A, S: Data<Elem = A>, D> ArrayBase<S, D, A> {
    /// The elements, computed if need be; a lazy array's values are kept.
    ///
    /// # Errors
    /// A failed or lost computation; a result above the session's limit for gathering.
    pub fn try_local(&self) -> Result<&ArrayRef<A, D>> {
        self.try_layout().map(ArrayRef::of)
    }

    #[cold]
    #[track_caller]
    fn computed(&self) -> &ndarray::ArrayRef<A, D> {
        or_panic(self.try_layout())
    }
}

/// The elements: what [`ArrayBase`] has no method of its own for is done by them. A lazy array is computed, once.
///
/// Panics where the computation fails; [`ArrayBase::try_local`] returns the error.
impl<A, S: Data<Elem = A>, D> Deref for ArrayBase<S, D, A> {
    type Target = ArrayRef<A, D>;
    #[inline]
    #[track_caller]
    fn deref(&self) -> &ArrayRef<A, D> {
        ArrayRef::of(match self.data.node() {
            None => self.elements(),
            Some(_) => self.computed(),
        })
    }
}

/// The elements for writing: a lazy array is computed and is local from then on. What was made of the array before
/// keeps the old elements.
///
/// Panics where the computation fails.
impl<A, S: DataMut<Elem = A>, D: Dimension> DerefMut for ArrayBase<S, D, A> {
    #[inline]
    #[track_caller]
    fn deref_mut(&mut self) -> &mut ArrayRef<A, D> {
        self.data.ensure_unique(&mut self.parts);
        // SAFETY: the elements are here now, and are this array's alone.
        ArrayRef::of_mut(unsafe { elements_of_mut(&mut self.parts) })
    }
}

/// Views are copied, and what is shared is shared. A large array shares its elements, or the expression; those of a
/// small one are copied.
impl<A, S: RawDataClone<Elem = A>, D: Dimension> Clone for ArrayBase<S, D, A> {
    fn clone(&self) -> Self {
        let (data, parts) = self.data.cloned(&self.parts);
        ArrayBase { parts, data }
    }
}

impl<A, S: RawDataClone<Elem = A> + Copy, D: Dimension + Copy> Copy for ArrayBase<S, D, A> {}

macro_rules! references {
    ($([$($data:tt)*] $to:ty;)*) => { $(
        impl<A, S: $($data)*<Elem = A>, D> AsRef<$to> for ArrayBase<S, D, A> {
            #[inline]
            #[track_caller]
            fn as_ref(&self) -> &$to {
                let layout: &ndarray::ArrayRef<A, D> = or_panic(self.try_layout());
                layout
            }
        }
    )* };
}
references! {
    [Data] ndarray::ArrayRef<A, D>;
    [RawData] RawRef<A, D>;
    [RawData] LayoutRef<A, D>;
}

impl<A, S: Data<Elem = A>, D> AsRef<ArrayRef<A, D>> for ArrayBase<S, D, A> {
    #[inline]
    #[track_caller]
    fn as_ref(&self) -> &ArrayRef<A, D> {
        self
    }
}

impl<A, S: DataMut<Elem = A>, D: Dimension> AsMut<ArrayRef<A, D>> for ArrayBase<S, D, A> {
    #[inline]
    #[track_caller]
    fn as_mut(&mut self) -> &mut ArrayRef<A, D> {
        self
    }
}

impl<A, S: DataMut<Elem = A>, D: Dimension> AsMut<ndarray::ArrayRef<A, D>> for ArrayBase<S, D, A> {
    #[inline]
    #[track_caller]
    fn as_mut(&mut self) -> &mut ndarray::ArrayRef<A, D> {
        self
    }
}

impl<A, S: RawDataMut<Elem = A>, D: Dimension> AsMut<RawRef<A, D>> for ArrayBase<S, D, A> {
    #[inline]
    #[track_caller]
    fn as_mut(&mut self) -> &mut RawRef<A, D> {
        self.data.ensure_unique(&mut self.parts);
        // SAFETY: the elements are here now, and are this array's alone.
        unsafe { elements_of_mut(&mut self.parts) }
    }
}

impl<A, S: RawData<Elem = A>, D> AsMut<LayoutRef<A, D>> for ArrayBase<S, D, A> {
    #[inline]
    #[track_caller]
    fn as_mut(&mut self) -> &mut LayoutRef<A, D> {
        or_panic(self.settle());
        self.parts.as_mut()
    }
}

impl<A, S: Data<Elem = A>, D> Borrow<ArrayRef<A, D>> for ArrayBase<S, D, A> {
    #[inline]
    #[track_caller]
    fn borrow(&self) -> &ArrayRef<A, D> {
        self
    }
}

impl<A, S: DataMut<Elem = A>, D: Dimension> BorrowMut<ArrayRef<A, D>> for ArrayBase<S, D, A> {
    #[inline]
    #[track_caller]
    fn borrow_mut(&mut self) -> &mut ArrayRef<A, D> {
        self
    }
}

impl<A, S: RawData<Elem = A>, D> Borrow<RawRef<A, D>> for ArrayBase<S, D, A> {
    #[inline]
    #[track_caller]
    fn borrow(&self) -> &RawRef<A, D> {
        self.as_ref()
    }
}

impl<A, S: RawDataMut<Elem = A>, D: Dimension> BorrowMut<RawRef<A, D>> for ArrayBase<S, D, A> {
    #[inline]
    #[track_caller]
    fn borrow_mut(&mut self) -> &mut RawRef<A, D> {
        self.as_mut()
    }
}

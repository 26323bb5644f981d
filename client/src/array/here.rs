//! Reductions of local arrays that are computed at once: by the kernels' loops where those are more exact than ndarray's
//! or do not wrap, so that small and large arrays have the same sums, means and variances.
//!
//! Must not know expressions.

use super::kind::choice::dtype_of;
use ndarray::{Array, ArrayRef, Axis, Dimension, RemoveAxis};
use std::any::TypeId;
use tilework_expr::{DType, Element, Fold, with_dtype};
use tilework_kernels::here;

/// The dtype as which the kernels fold elements of `A`, if they do.
#[inline]
fn taken<A>(fold: Fold) -> Option<DType> {
    let id = typeid::of::<A>();
    let wide = cfg!(target_pointer_width = "64");
    let dtype = match fold {
        // Means of sizes must not wrap either, which are integers of 64 bits by another name.
        Fold::Mean if wide && id == TypeId::of::<usize>() => DType::U64,
        Fold::Mean if wide && id == TypeId::of::<isize>() => DType::I64,
        _ => dtype_of::<A>()?,
    };
    here::takes(fold, dtype).then_some(dtype)
}

/// Whether ndarray refuses such delta degrees of freedom, and is to say so.
fn is_refused(fold: Fold, n: usize) -> bool {
    match fold {
        Fold::Var { ddof } | Fold::Std { ddof } => ddof < 0.0 || ddof > n as f64,
        _ => false,
    }
}

/// An array of `A` as one of `T`, the same type by another name.
///
/// # Safety
/// It is: both are the type of one dtype, or integers of one size.
unsafe fn by_name<A, T: Element, D: Dimension>(array: &ArrayRef<A, D>) -> &ArrayRef<T, D> {
    // SAFETY: promised by the caller.
    unsafe { &*(std::ptr::from_ref(array) as *const ArrayRef<T, D>) }
}

/// The fold of all elements, if it is one that the kernels do.
#[inline]
pub(super) fn whole<A, D: Dimension>(fold: Fold, array: &ArrayRef<A, D>) -> Option<A> {
    let dtype = taken::<A>(fold).filter(|_| !is_refused(fold, array.len()))?;
    with_dtype!(dtype, T => {
        // SAFETY: `taken` gives the dtype of these elements.
        let array = unsafe { by_name::<A, T, D>(array) };
        let result = in_order(array, |elements, shape| here::whole(fold, elements, shape));
        // SAFETY: as above.
        result.map(|r| unsafe { std::mem::transmute_copy::<T, A>(&r) })
    })
}

/// As [`whole`], of elements that are converted first.
pub(super) fn whole_as<A: Element, B: Element, D: Dimension>(
    fold: Fold,
    array: &ArrayRef<A, D>,
) -> Option<B> {
    in_order(array, |elements, shape| here::whole_as(fold, elements, shape))
}

/// Calls `f` with the elements and their shape: as they lie in memory where there are no gaps, else in row-major order.
#[inline]
fn in_order<A: Copy, D: Dimension, R>(array: &ArrayRef<A, D>, f: impl FnOnce(&[A], &[usize]) -> R) -> R {
    if let Some(elements) = array.as_slice() {
        return f(elements, array.shape());
    }
    match array.as_slice_memory_order() {
        Some(elements) => f(elements, &[elements.len()]),
        None => f(&array.iter().copied().collect::<Vec<A>>(), array.shape()),
    }
}

/// The folds along an axis, if they are ones that the kernels do and there is such an axis.
pub(super) fn along<A, D: RemoveAxis>(
    fold: Fold,
    array: &ArrayRef<A, D>,
    axis: Axis,
) -> Option<Array<A, D::Smaller>> {
    let n = *array.shape().get(axis.index())?;
    let dtype = taken::<A>(fold).filter(|_| !is_refused(fold, n))?;
    with_dtype!(dtype, T => {
        // SAFETY: `taken` gives the dtype of these elements.
        let array = unsafe { by_name::<A, T, D>(array) };
        let folded = lanes(array, axis, |elements, lens| here::lanes(fold, elements, lens));
        let shape = folded.raw_dim();
        let reversed = !folded.is_standard_layout();
        let (values, _) = folded.into_raw_vec_and_offset();
        // SAFETY: as above.
        let values = unsafe { renamed::<T, A>(values) };
        Some(shaped(shape, values, reversed))
    })
}

/// As [`along`], of elements that are converted first. There is such an axis.
pub(super) fn along_as<A: Element, B: Element, D: RemoveAxis>(
    fold: Fold,
    array: &ArrayRef<A, D>,
    axis: Axis,
) -> Array<B, D::Smaller> {
    lanes(array, axis, |elements, lens| here::lanes_as(fold, elements, lens))
}

/// A vector of `T` as one of `A`, the same type by another name.
///
/// # Safety
/// It is: both are the type of one dtype, or integers of one size.
unsafe fn renamed<T, A>(values: Vec<T>) -> Vec<A> {
    let mut values = std::mem::ManuallyDrop::new(values);
    // SAFETY: promised by the caller; the vector's memory is not used under the other name again.
    unsafe { Vec::from_raw_parts(values.as_mut_ptr().cast(), values.len(), values.capacity()) }
}

/// Values in row-major order, or in column-major order.
fn shaped<A, D: Dimension>(shape: D, values: Vec<A>, reversed: bool) -> Array<A, D> {
    let as_many = "a value for each lane";
    if !reversed {
        return Array::from_shape_vec(shape, values).expect(as_many);
    }
    let mut backwards = shape;
    backwards.slice_mut().reverse();
    Array::from_shape_vec(backwards, values).expect(as_many).reversed_axes()
}

/// Folds along an axis by `f`, which is given elements in row-major order and the lengths of the axes before, of that
/// axis and of those behind it. Of an array in column-major order the result is in that order too.
fn lanes<A: Copy, B, D: RemoveAxis>(
    array: &ArrayRef<A, D>,
    axis: Axis,
    f: impl FnOnce(&[A], (usize, usize, usize)) -> Vec<B>,
) -> Array<B, D::Smaller> {
    let at = axis.index();
    let lens = |shape: &[usize], at: usize| {
        (shape[..at].iter().product(), shape[at], shape[at + 1..].iter().product())
    };
    let shape = array.raw_dim().remove_axis(axis);
    if let Some(elements) = array.as_slice() {
        return shaped(shape, f(elements, lens(array.shape(), at)), false);
    }
    let reversed = array.view().reversed_axes();
    if let Some(elements) = reversed.as_slice() {
        let values = f(elements, lens(reversed.shape(), array.ndim() - 1 - at));
        return shaped(shape, values, true);
    }
    let elements: Vec<A> = array.iter().copied().collect();
    shaped(shape, f(&elements, lens(array.shape(), at)), false)
}

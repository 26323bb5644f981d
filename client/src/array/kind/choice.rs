//! Which operations are lazy: those on element types that travel, where an operand is lazy or large.
//!
//! Owns the two settings. Must not know operations.

use std::any::TypeId;
use std::sync::atomic::{AtomicUsize, Ordering};
use tilework_expr::{AxisChunks, Chunks, DType, Element, with_dtype};

/// Operands in memory of at most this many bytes are computed at once by ndarray, unless
/// [`set_eager_bytes_max`] or the variable `TILEWORK_EAGER_BYTES_MAX` says otherwise: below it, a run on the
/// session takes longer than ndarray's own loop.
pub const EAGER_BYTES_MAX: usize = 1 << 20;

const EAGER_VARIABLE: &str = "TILEWORK_EAGER_BYTES_MAX";
const CHUNK_VARIABLE: &str = "TILEWORK_CHUNK_LEN";

/// A setting that is read from the environment when it is first asked for.
struct Setting {
    value: AtomicUsize,
    variable: &'static str,
    otherwise: usize,
}

/// Stands for "not asked for yet".
const UNREAD: usize = usize::MAX;

impl Setting {
    const fn new(variable: &'static str, otherwise: usize) -> Setting {
        Setting { value: AtomicUsize::new(UNREAD), variable, otherwise }
    }

    #[inline]
    fn get(&self) -> usize {
        match self.value.load(Ordering::Relaxed) {
            UNREAD => self.read(),
            value => value,
        }
    }

    #[cold]
    fn read(&self) -> usize {
        let given = std::env::var(self.variable).ok().and_then(|v| v.trim().parse().ok());
        let value = given.unwrap_or(self.otherwise).min(UNREAD - 1);
        // Whoever set it meanwhile knows better.
        match self.value.compare_exchange(UNREAD, value, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => value,
            Err(set) => set,
        }
    }

    fn set(&self, value: usize) {
        self.value.store(value.min(UNREAD - 1), Ordering::Relaxed);
    }
}

static EAGER: Setting = Setting::new(EAGER_VARIABLE, EAGER_BYTES_MAX);
static CHUNK_LEN: Setting = Setting::new(CHUNK_VARIABLE, 0);

/// The bytes up to which operands in memory are computed at once by ndarray.
#[must_use]
pub fn eager_bytes_max() -> usize {
    EAGER.get()
}

/// Sets the bytes up to which operands in memory are computed at once by ndarray, in the whole process; at
/// first [`EAGER_BYTES_MAX`], or what the variable `TILEWORK_EAGER_BYTES_MAX` holds. With 0, every operation
/// that has a lazy form is lazy.
///
/// ```
/// use tilework::prelude::*;
///
/// let a = array![1.0, 2.0];
/// assert!(!(&a + 1.0).is_lazy());
/// tilework::set_eager_bytes_max(0);
/// assert!((&a + 1.0).is_lazy());
/// # tilework::set_eager_bytes_max(tilework::EAGER_BYTES_MAX);
/// ```
pub fn set_eager_bytes_max(bytes: usize) {
    EAGER.set(bytes);
}

/// Chunks along an axis that a default length makes at most.
const DEFAULT_CHUNKS_MAX: usize = 6;

/// Sets the length along each axis of the chunks that arrays get which nobody chose chunks for; 0, or else what
/// the variable `TILEWORK_CHUNK_LEN` holds, at first. 0 stands for chunks by size, which is what programs want;
/// small numbers are for tests, in which small arrays are to have several chunks. It is doubled for long axes.
pub fn set_default_chunk_len(len: usize) {
    CHUNK_LEN.set(len);
}

/// The chunks of an array of this shape for which nobody chose any.
pub(crate) fn default_chunks(shape: &[usize]) -> Chunks {
    let len = CHUNK_LEN.get();
    if len == 0 {
        return Chunks::Auto;
    }
    let along = |&axis: &usize| {
        let mut chunk = len;
        while axis.div_ceil(chunk) > DEFAULT_CHUNKS_MAX {
            chunk *= 2;
        }
        AxisChunks::Len(isize::try_from(chunk).unwrap_or(isize::MAX))
    };
    Chunks::Axes(shape.iter().map(along).collect())
}

/// Whether no index is within an array of this dimension whose axes are of length 0: not so where there may be no axes.
#[inline]
pub(crate) const fn is_bounded<D: ndarray::Dimension>() -> bool {
    matches!(D::NDIM, Some(1..))
}

/// The dtype of `A` if its elements travel.
#[inline]
pub(crate) fn dtype_of<A>() -> Option<DType> {
    // Decided at compile time for most types that do not.
    if std::mem::needs_drop::<A>() || size_of::<A>() > 16 || size_of::<A>() == 0 {
        return None;
    }
    let id = typeid::of::<A>();
    DType::ALL.into_iter().find(|&d| id == with_dtype!(d, T => TypeId::of::<T>()))
}

/// `value` as a value of `B`, where the types are the same.
pub(crate) fn same<A, B: Element>(value: &A) -> Option<B> {
    if typeid::of::<A>() != TypeId::of::<B>() {
        return None;
    }
    // SAFETY: the types are the same, and `B` is plain data.
    Some(unsafe { *std::ptr::from_ref(value).cast::<B>() })
}

/// `value` as a scalar of an expression, if values of its type travel.
pub(crate) fn scalar_of<A>(value: &A) -> Option<tilework_expr::Scalar> {
    let dtype = dtype_of::<A>()?;
    with_dtype!(dtype, T => same::<A, T>(value).map(tilework_expr::Scalar::new))
}

/// `value` as text, if values of its type travel.
pub(crate) fn text_of<A>(value: &A) -> String {
    let Some(dtype) = dtype_of::<A>() else { return String::new() };
    with_dtype!(dtype, T => same::<A, T>(value).map_or_else(String::new, |v| format!("{v:?}")))
}

//! What functions of values make of a value that many calls read: made once, and used by all of them, on all threads.
//!
//! Owns what was made, as long as calls use it. Must not know what it is.

use crate::chunk::{Buffer, Plane};
use std::any::{Any, TypeId};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// What is kept of values at most: those that were not used for longest go first.
const KEPT_MAX: usize = 16;

/// Values, by the memory that they lie in; it is not another's as long as this lives.
struct Name {
    parts: Vec<(Weak<Buffer>, usize, usize)>,
    as_list: bool,
}

impl Name {
    fn of(values: &[&Plane], as_list: bool) -> Name {
        let part = |plane: &&Plane| (Arc::downgrade(plane.buffer()), plane.offset(), plane.bytes());
        Name { parts: values.iter().map(part).collect(), as_list }
    }

    fn names(&self, values: &[&Plane], as_list: bool) -> bool {
        let same = |((buffer, offset, len), plane): (&(Weak<Buffer>, usize, usize), &&Plane)| {
            std::ptr::eq(buffer.as_ptr(), Arc::as_ptr(plane.buffer()))
                && (*offset, *len) == (plane.offset(), plane.bytes())
        };
        let n = self.parts.len();
        self.as_list == as_list && n == values.len() && self.parts.iter().zip(values).all(same)
    }
}

struct Made {
    of: Name,
    is: TypeId,
    what: Arc<dyn Any + Send + Sync>,
    /// Whether it was used since that was last looked at.
    used: bool,
}

/// The one that was used last is the last.
static MADE: Mutex<Vec<Made>> = Mutex::new(Vec::new());

fn made() -> MutexGuard<'static, Vec<Made>> {
    MADE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn find<T: Any + Send + Sync>(all: &mut Vec<Made>, values: &[&Plane], as_list: bool) -> Option<Arc<T>> {
    let is = TypeId::of::<T>();
    let at = all.iter().rposition(|made| made.is == is && made.of.names(values, as_list))?;
    let mut found = all.remove(at);
    found.used = true;
    let what = Arc::clone(&found.what);
    all.push(found);
    what.downcast().ok()
}

/// What `make` makes of values, of one by itself or of a list: of the same values, that is what it was made before, if calls
/// have used it since [`forget_unused`] was called. Threads that ask for it before the first has made it make it too: none
/// waits for another, of which it may be that it waits for this one.
pub fn once<T: Any + Send + Sync>(values: &[&Plane], as_list: bool, make: impl FnOnce() -> T) -> Arc<T> {
    if let Some(found) = find(&mut made(), values, as_list) {
        return found;
    }
    let new = Arc::new(make());
    let mut all = made();
    if let Some(found) = find(&mut all, values, as_list) {
        return found;
    }
    let what: Arc<dyn Any + Send + Sync> = Arc::clone(&new) as _;
    all.push(Made { of: Name::of(values, as_list), is: TypeId::of::<T>(), what, used: true });
    let oldest = (all.len() > KEPT_MAX).then(|| all.remove(0));
    drop(all);
    // What it takes to drop it holds nobody up.
    drop(oldest);
    new
}

/// Drops what no call uses, nor has used since this was last called.
pub fn forget_unused() {
    let is_unused = |made: &mut Made| !std::mem::take(&mut made.used) && Arc::strong_count(&made.what) == 1;
    let unused: Vec<Made> = made().extract_if(.., is_unused).collect();
    drop(unused);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::Chunk;
    use std::cell::Cell;
    use tilework_expr::DType;

    fn value(bytes: &[u8]) -> Plane {
        Chunk::from_bytes(&[DType::U8], &[bytes.len()], bytes).unwrap().planes.remove(0)
    }

    // One test, for what is kept is the process' own.
    #[test]
    fn the_same_values_are_made_something_of_once() {
        let n = Cell::new(0);
        let make = || n.set(n.get() + 1);
        let text = |values: &[&Plane], as_list| {
            let make = || {
                make();
                values.iter().map(|v| v.contiguous_bytes().unwrap().len()).sum::<usize>()
            };
            *once(values, as_list, make)
        };
        let (a, b) = (value(&[1, 2, 3]), value(&[1, 2, 3]));
        assert_eq!((text(&[&a], false), text(&[&a.clone()], false), n.get()), (3, 3, 1));
        assert_eq!((text(&[&b], false), n.get()), (3, 2), "equal ones are others");
        assert_eq!((text(&[&a], true), text(&[&a, &b], true), n.get()), (3, 6, 4));
        assert_eq!((text(&[&a, &b], true), n.get()), (6, 4));
        let part = a.slice(&vec![0..2; 1]);
        assert_eq!((text(&[&part], false), n.get()), (2, 5));
        // As another type it is made for itself.
        assert_eq!((*once(&[&a], false, || 7u8), n.get()), (7, 5));
        // What was used lately stays, and so does what is in use.
        let used = once(&[&a, &a], true, || 1u16);
        forget_unused();
        assert_eq!((text(&[&a], false), n.get()), (3, 5));
        forget_unused();
        assert_eq!((text(&[&a], false), text(&[&b], false), n.get()), (3, 3, 6), "the other is forgotten");
        assert!(Arc::ptr_eq(&used, &once(&[&a, &a], true, || 2u16)));
        // Another value in the same place is another value.
        for i in 0..100u8 {
            let fleeting = value(&[i]);
            assert_eq!(*once(&[&fleeting], false, || fleeting.contiguous_bytes().unwrap()[0]), i);
        }
        assert!(made().len() <= KEPT_MAX);
    }
}

//! Comparison with ndarray, element by element and bit by bit.

use ndarray::Dimension;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use tilework::{Array, ArrayView, CowArray, DType, Element, Session};

/// A directory with what is in an archive.
pub fn unpacked(archive: &[u8]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    let archive = zip::ZipArchive::new(std::io::Cursor::new(archive));
    archive.expect("an archive").extract(dir.path()).expect("its files");
    dir
}

/// Arrays and views of ours that are compared with ndarray's.
pub trait Computed<A, D: Dimension> {
    fn lens(&self) -> Vec<usize>;
    fn values(&self) -> ndarray::Array<A, D>;
    fn text(&self) -> String;
}

macro_rules! computed {
    ($($ours:ty),*) => { $(
        impl<A: Element, D: Dimension> Computed<A, D> for $ours {
            fn lens(&self) -> Vec<usize> {
                self.shape().to_vec()
            }
            fn values(&self) -> ndarray::Array<A, D> {
                self.compute()
            }
            fn text(&self) -> String {
                self.describe()
            }
        }
    )* };
}
computed!(Array<A, D>, ArrayView<'_, A, D>);

impl<A: Element, D: Dimension> Computed<A, D> for CowArray<'_, A, D> {
    fn lens(&self) -> Vec<usize> {
        self.shape().to_vec()
    }
    fn values(&self) -> ndarray::Array<A, D> {
        self.to_owned().compute()
    }
    fn text(&self) -> String {
        self.to_owned().describe()
    }
}

/// Held by a test that starts processes or changes the current session: one at a time, so that the processes' number
/// and names are known, and a test computes on the session that it has just made current.
pub fn processes_are_mine() -> MutexGuard<'static, ()> {
    static MINE: Mutex<()> = Mutex::new(());
    MINE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs on the session that starts by itself, and on two processes.
pub fn on_every_session(f: impl Fn()) {
    let _mine = processes_are_mine();
    f();
    let session = Session::processes(2).expect("processes of this program start");
    f();
    assert!(session.n_tasks_done() > 0);
    drop(session);
    Session::close_current();
}

/// Whether two elements are the same bits; one NaN is as good as another.
#[allow(clippy::eq_op, reason = "only NaN differs from itself")]
pub fn same<A: Element>(a: A, b: A) -> bool {
    let nan = |x: A| !matches!(A::DTYPE, DType::Bool) && x != x;
    a.to_bits() == b.to_bits() || nan(a) && nan(b)
}

/// So many whole numbers below `below`, in no order.
pub fn numbers(n: usize, below: u64, seed: u64) -> Vec<i64> {
    crate::draws::draws(n, below, seed).into_iter().map(|d| d as i64).collect()
}

/// An array of one axis, in chunks of this length.
pub fn line<A: Element>(values: &[A], chunk: usize) -> Array<A, ndarray::Ix1> {
    Array::from_vec_chunked(values.to_vec(), chunk)
}

/// Computes `ours` and compares it with `theirs`.
#[track_caller]
pub fn check<A: Element, D: Dimension>(ours: &impl Computed<A, D>, theirs: &ndarray::Array<A, D>) {
    assert_eq!(ours.lens(), theirs.shape(), "{}", ours.text());
    let got = ours.values();
    assert_eq!(got.shape(), theirs.shape(), "{}", ours.text());
    for (i, (&g, &t)) in got.iter().zip(theirs).enumerate() {
        assert!(same(g, t), "{}: element {i} is {g:?}, expected {t:?}", ours.text());
    }
}

/// As [`check`], for functions whose results may be this many floats away from the standard library's.
#[track_caller]
pub fn check_steps<A: Element, D: Dimension>(
    ours: &impl Computed<A, D>,
    theirs: &ndarray::Array<A, D>,
    most: u128,
) {
    assert_eq!(ours.lens(), theirs.shape(), "{}", ours.text());
    for (i, (&g, &t)) in ours.values().iter().zip(theirs).enumerate() {
        // Of floats of one sign, neighbours have neighbouring bits.
        let near = same(g, t) || g.to_bits().abs_diff(t.to_bits()) <= most;
        assert!(near, "{}: element {i} is {g:?}, expected {t:?}", ours.text());
    }
}

/// As [`check`], for results that depend on the order of additions.
#[track_caller]
pub fn check_near<D: Dimension>(ours: &impl Computed<f64, D>, theirs: &ndarray::Array<f64, D>) {
    assert_eq!(ours.lens(), theirs.shape(), "{}", ours.text());
    for (&g, &t) in ours.values().iter().zip(theirs) {
        assert!((g - t).abs() <= 1e-12 * t.abs().max(1.0), "{}: {g} instead of {t}", ours.text());
    }
}

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
    static PANICKED_IN: Cell<String> = const { Cell::new(String::new()) };
}

/// The text with which `f` panics, which must be at a line of the caller's file.
#[track_caller]
pub fn panic_text<R>(f: impl FnOnce() -> R) -> String {
    let Err(payload) = quietly(f) else { panic!("it did not panic") };
    assert_eq!(PANICKED_IN.take(), std::panic::Location::caller().file());
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload.downcast::<&str>().map_or_else(|_| String::new(), |text| (*text).to_owned()),
    }
}

/// Runs what may panic without a report of the panic.
pub fn quietly<R>(f: impl FnOnce() -> R) -> std::thread::Result<R> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if QUIET.get() {
                PANICKED_IN.set(info.location().map(|l| l.file().to_owned()).unwrap_or_default());
            } else {
                report(info);
            }
        }));
    });
    QUIET.set(true);
    let result = catch_unwind(AssertUnwindSafe(f));
    QUIET.set(false);
    result
}

/// A row of a table of mistakes: what is wrong with a form that returns an error, if it does not say `text`.
pub fn returns<T>(line: u32, text: &str, f: impl FnOnce() -> tilework::Result<T>) -> Option<String> {
    let got = match quietly(f) {
        Ok(Err(error)) => error.to_string(),
        Ok(Ok(_)) => "no error".to_owned(),
        Err(_) => "a panic".to_owned(),
    };
    (got != text).then(|| format!("line {line}: {got}\n  expected: {text}"))
}

/// The same of a form that panics, which is to say so at a line of the caller's file.
#[track_caller]
pub fn panics<T>(line: u32, text: &str, f: impl FnOnce() -> T) -> Option<String> {
    let got = panic_text(f);
    (got != format!("tilework: {text}"))
        .then(|| format!("line {line} panics with: {got}\n  expected: {text}"))
}

/// A table of mistakes: the form that returns an error, its twin that panics, where it has one, and what both say.
macro_rules! mistakes {
    ($($fallible:expr $(, $panicking:expr)? => $text:expr;)*) => {{
        let mut wrong = Vec::new();
        $(
            wrong.extend($crate::support::returns(line!(), &$text, || $fallible));
            $(wrong.extend($crate::support::panics(line!(), &$text, || $panicking));)?
        )*
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }};
}
pub(crate) use mistakes;

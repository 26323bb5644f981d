//! Where in the program a user's function panicked, for the text of the error.
//!
//! Owns the hook that notes it, which goes on to the one that was there before. Must not know what is called.

use crate::feed::panic_text;
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::Once;

thread_local! {
    /// Calls that are noted, one within another.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    /// Where the latest panic of this thread was, in words.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Calls a function.
///
/// # Errors
/// Its panic, in words: its message and the line that panicked, where that was on this thread.
pub(super) fn caught<T>(f: impl FnOnce() -> T) -> Result<T, String> {
    install();
    DEPTH.set(DEPTH.get() + 1);
    let result = catch_unwind(AssertUnwindSafe(f));
    DEPTH.set(DEPTH.get() - 1);
    result.map_err(|panic| in_words(&*panic, PLACE.take()))
}

fn in_words(panic: &(dyn Any + Send), place: Option<String>) -> String {
    let text = panic_text(panic);
    place.map_or_else(|| text.to_owned(), |place| format!("{text} ({place})"))
}

/// Sets the hook, once. A program that sets one of its own later takes its place: messages are without a line then.
fn install() {
    static ONCE: Once = Once::new();
    // Within a destructor that runs while its thread panics, no hook may be set.
    if ONCE.is_completed() || std::thread::panicking() {
        return;
    }
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            note(info);
            before(info);
        }));
    });
}

fn note(info: &PanicHookInfo<'_>) {
    // The thread may be ending, and its values gone.
    if DEPTH.try_with(Cell::get).is_ok_and(|depth| depth > 0) {
        let place = info.location().map(ToString::to_string);
        let _ = PLACE.try_with(|kept| kept.replace(place));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_says_its_line_whatever_was_caught_before() {
        assert_eq!(caught(|| 7), Ok(7));
        let line = line!() + 1;
        let text = caught(|| panic!("thirteen")).unwrap_err();
        assert!(text.starts_with("thirteen (") && text.contains(&format!("panics.rs:{line}:")), "{text}");
        let line = line!() + 3;
        let text = caught(|| {
            let _inner = caught(|| panic!("first")).unwrap_err();
            panic!("second")
        });
        let text = text.unwrap_err();
        assert!(text.starts_with("second (") && text.contains(&format!("panics.rs:{line}:")), "{text}");
    }

    #[test]
    fn a_panic_that_is_handed_on_without_the_hook_has_no_line() {
        assert_eq!(caught(|| std::panic::resume_unwind(Box::new("handed on"))), Err("handed on".into()));
        assert_eq!(caught(|| std::panic::resume_unwind(Box::new(1))), Err("no message".into()));
    }
}

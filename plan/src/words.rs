//! Errors in words.
//!
//! Owns how they are shown. Must not know any of them.

/// `Debug` of an error is its text, as `Display` is: that is what a user sees of a `main` that returns it, of `unwrap`
/// and of `expect`.
#[macro_export]
macro_rules! debug_is_display {
    ($($error:ty),+ $(,)?) => {$(
        impl ::std::fmt::Debug for $error {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Display::fmt(self, f)
            }
        }
    )+};
}

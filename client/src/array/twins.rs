//! How a method is written once and offered twice: under ndarray's name, which panics, and as its `try_`
//! twin.
//!
//! Knows syntax. Must not know any method.

/// `name, try_name [generics] (&self, ..) -> Type [where { .. }], errors "when.", { a block that gives a
/// Result }`.
macro_rules! twins {
    ($($(#[$doc:meta])* $plain:ident, $fallible:ident [$($g:tt)*] (&$this:ident $(, $a:ident: $t:ty)*) -> $r:ty
        $(where { $($w:tt)* })?, errors $errors:literal, $body:block)*) => {$(
        $(#[$doc])*
        ///
        /// # Panics
        #[doc = concat!("Where [`", stringify!($fallible), "`](Self::", stringify!($fallible), ") returns an error.")]
        #[must_use]
        #[track_caller]
        pub fn $plain<$($g)*>(&$this $(, $a: $t)*) -> $r $(where $($w)*)? {
            $crate::error::or_panic($this.$fallible($($a),*))
        }

        #[doc = concat!("[`", stringify!($plain), "`](Self::", stringify!($plain), ") that returns what goes wrong.")]
        ///
        /// # Errors
        #[doc = $errors]
        pub fn $fallible<$($g)*>(&$this $(, $a: $t)*) -> $crate::Result<$r> $(where $($w)*)? $body
    )*};
}

pub(super) use twins;

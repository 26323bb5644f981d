//! How a method or a function is written once and offered twice: under ndarray's name, which panics, and as its `try_`
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
        #[allow(clippy::double_must_use, reason = "some types say so themselves")]
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

/// The same of functions: `name try_name [generics] (argument: Type, ..) -> Type, errors "when." { a block that gives a
/// Result }`.
macro_rules! function_twins {
    ($($(#[$doc:meta])* $name:ident $try_name:ident [$($g:tt)*] ($($p:ident: $t:ty),*) -> $out:ty,
        errors $errors:literal $body:block)*) => { $(
        $(#[$doc])*
        ///
        /// # Panics
        #[doc = concat!("Where [`", stringify!($try_name), "`] returns an error.")]
        #[must_use]
        #[track_caller]
        pub fn $name<$($g)*>($($p: $t),*) -> $out {
            $crate::error::or_panic($try_name($($p),*))
        }

        #[doc = concat!("[`", stringify!($name), "`] that returns what goes wrong.")]
        ///
        /// # Errors
        #[doc = $errors]
        pub fn $try_name<$($g)*>($($p: $t),*) -> $crate::Result<$out> $body
    )* };
}

pub(crate) use {function_twins, twins};

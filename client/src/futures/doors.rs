//! What submits tasks, each signature said once: it is the same for a session, for the current one and for tasks that are run
//! in a special way.
//!
//! Owns the signatures. Must not know what becomes of a submission.

/// A function that submits: its documentation, its name, `&self,` where it is a method, and where it submits to.
macro_rules! submits {
    ($(#[$doc:meta])* submit($($me:tt)*) on $on:expr) => {
        $(#[$doc])*
        #[track_caller]
        pub fn submit<F, Ts, As, R>($($me)* f: F, args: As) -> $crate::Result<$crate::Future<R>>
        where
            F: $crate::TaskFn<Ts, Output = R>,
            As: $crate::Arguments<Ts>,
            R: serde::Serialize + serde::de::DeserializeOwned,
        {
            use $crate::futures::{call::one, task::{Direct, Value}};
            one::<Direct, Value, F, Ts>(&$on, &f, args).map($crate::Future::of)
        }
    };
    ($(#[$doc:meta])* try_submit($($me:tt)*) on $on:expr) => {
        $(#[$doc])*
        #[track_caller]
        pub fn try_submit<F, Ts, As, R, E>($($me)* f: F, args: As) -> $crate::Result<$crate::Future<R>>
        where
            F: $crate::TaskFn<Ts, Output = std::result::Result<R, E>>,
            As: $crate::Arguments<Ts>,
            R: serde::Serialize + serde::de::DeserializeOwned,
            E: std::fmt::Display,
        {
            use $crate::futures::{call::one, task::{Direct, Fallible}};
            one::<Direct, Fallible, F, Ts>(&$on, &f, args).map($crate::Future::of)
        }
    };
    ($(#[$doc:meta])* map($($me:tt)*) on $on:expr) => {
        $(#[$doc])*
        #[track_caller]
        pub fn map<F, T, R, I>($($me)* f: F, items: I) -> $crate::Result<Vec<$crate::Future<R>>>
        where
            F: Fn(T) -> R,
            T: serde::de::DeserializeOwned,
            I: IntoIterator<Item: $crate::Argument<T>>,
            R: serde::Serialize + serde::de::DeserializeOwned,
        {
            use $crate::futures::{call::many, task::{Direct, Value}};
            many::<Direct, Value, F, (T,), _>(&$on, &f, (items, None))
        }
    };
    ($(#[$doc:meta])* try_map($($me:tt)*) on $on:expr) => {
        $(#[$doc])*
        #[track_caller]
        pub fn try_map<F, T, R, E, I>($($me)* f: F, items: I) -> $crate::Result<Vec<$crate::Future<R>>>
        where
            F: Fn(T) -> std::result::Result<R, E>,
            T: serde::de::DeserializeOwned,
            I: IntoIterator<Item: $crate::Argument<T>>,
            R: serde::Serialize + serde::de::DeserializeOwned,
            E: std::fmt::Display,
        {
            use $crate::futures::{call::many, task::{Direct, Fallible}};
            many::<Direct, Fallible, F, (T,), _>(&$on, &f, (items, None))
        }
    };
    ($(#[$doc:meta])* map_with($($me:tt)*) on $on:expr) => {
        $(#[$doc])*
        #[track_caller]
        pub fn map_with<F, T, P, R, I>(
            $($me)*
            f: F,
            shared: impl $crate::Argument<P>,
            items: I,
        ) -> $crate::Result<Vec<$crate::Future<R>>>
        where
            F: Fn(T, &P) -> R,
            T: serde::de::DeserializeOwned,
            P: serde::de::DeserializeOwned + Send + Sync + 'static,
            I: IntoIterator<Item: $crate::Argument<T>>,
            R: serde::Serialize + serde::de::DeserializeOwned,
        {
            $crate::futures::call::with_shared(&$on, &f, shared, items)
        }
    };
    ($(#[$doc:meta])* map_shuffle($($me:tt)*) on $on:expr) => {
        $(#[$doc])*
        #[track_caller]
        pub fn map_shuffle<S, M, T, B, R, I>(
            $($me)*
            split: S,
            items: I,
            n_parts: usize,
            merge: M,
        ) -> $crate::Result<Vec<$crate::Future<R>>>
        where
            S: Fn(T, usize) -> Vec<B>,
            M: Fn(Vec<B>) -> R,
            I: IntoIterator<Item: $crate::Argument<T>>,
            T: serde::de::DeserializeOwned,
            B: serde::Serialize + serde::de::DeserializeOwned,
            R: serde::Serialize + serde::de::DeserializeOwned,
        {
            use $crate::futures::{shuffle::{Parts, shuffle}, task::Value};
            shuffle::<Parts, Value, S, M, T, B, R>(&$on, (&split, &merge), items, n_parts)
        }
    };
    ($(#[$doc:meta])* try_map_shuffle($($me:tt)*) on $on:expr) => {
        $(#[$doc])*
        #[track_caller]
        pub fn try_map_shuffle<S, M, T, B, R, E, F, I>(
            $($me)*
            split: S,
            items: I,
            n_parts: usize,
            merge: M,
        ) -> $crate::Result<Vec<$crate::Future<R>>>
        where
            S: Fn(T, usize) -> std::result::Result<Vec<B>, E>,
            M: Fn(Vec<B>) -> std::result::Result<R, F>,
            I: IntoIterator<Item: $crate::Argument<T>>,
            T: serde::de::DeserializeOwned,
            B: serde::Serialize + serde::de::DeserializeOwned,
            R: serde::Serialize + serde::de::DeserializeOwned,
            E: std::fmt::Display,
            F: std::fmt::Display,
        {
            use $crate::futures::{shuffle::{FallibleParts, shuffle}, task::Fallible};
            shuffle::<FallibleParts, Fallible, S, M, T, B, R>(&$on, (&split, &merge), items, n_parts)
        }
    };
    ($(#[$doc:meta])* scatter($($me:tt)*) on $on:expr) => {
        $(#[$doc])*
        pub fn scatter<T>($($me)* value: T) -> $crate::Result<$crate::Future<T>>
        where
            T: serde::Serialize + serde::de::DeserializeOwned,
        {
            Ok($crate::futures::call::scattered(&$on, [value])?.remove(0))
        }
    };
    ($(#[$doc:meta])* scatter_all($($me:tt)*) on $on:expr) => {
        $(#[$doc])*
        pub fn scatter_all<T, I>($($me)* values: I) -> $crate::Result<Vec<$crate::Future<T>>>
        where
            T: serde::Serialize + serde::de::DeserializeOwned,
            I: IntoIterator<Item = T>,
        {
            $crate::futures::call::scattered(&$on, values)
        }
    };
}
pub(super) use submits;

//! Which functions travel, and how one comes to life again where it is called.
//!
//! Owns the rule that a function without a size is the same in every process of its executable. Must not know what
//! functions are applied to.

use super::params::{Params, bytes_of};
use std::any::type_name;
use std::ptr::NonNull;
use tilework_expr::{DType, Kernel, PARAMS_BYTES_MAX};
use tilework_kernels::native::{Descriptor, Refusal, kernel_of};

tilework_plan::debug_is_display!(FunctionError);

/// Why a function does not travel to the workers.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FunctionError {
    /// It captures variables, or is a pointer to a function.
    #[error(
        "the function {name} captures {bytes} bytes of variables, which stay in this process: pass the values as \
         parameters (`mapv_with(params, |x, p| ..)` and its like, or further arguments of a task), or trace the function with `map_expr`"
    )]
    Captures {
        /// The function's type.
        name: &'static str,
        /// Bytes that it captures.
        bytes: usize,
    },
    /// It captures something that does work when it is dropped.
    #[error("the function {name} captures a value that is dropped with it, which only this process may do")]
    Drops {
        /// The function's type.
        name: &'static str,
    },
    /// Its parameters are too large to travel with every task.
    #[error(
        "the function {name} has {got} bytes of parameters, expected at most {limit}: make an array of them"
    )]
    Params {
        /// The function's type.
        name: &'static str,
        /// Bytes of the parameters.
        got: usize,
        /// The limit.
        limit: usize,
    },
    /// It cannot be told by its place in the executable.
    #[error(transparent)]
    Unnamed(#[from] Refusal),
}

/// Names a function with its parameters, for inputs of these dtypes.
pub(crate) fn ship<F, P: Params>(
    descriptor: &'static Descriptor,
    _f: &F,
    inputs: Vec<DType>,
    params: &P,
) -> Result<Kernel, FunctionError> {
    let name = type_name::<F>();
    if size_of::<F>() != 0 {
        return Err(FunctionError::Captures { name, bytes: size_of::<F>() });
    }
    if std::mem::needs_drop::<F>() {
        return Err(FunctionError::Drops { name });
    }
    let params = bytes_of(params);
    if params.len() > PARAMS_BYTES_MAX {
        return Err(FunctionError::Params { name, got: params.len(), limit: PARAMS_BYTES_MAX });
    }
    Ok(kernel_of(descriptor, inputs, params)?)
}

/// A function out of nothing.
///
/// # Safety
/// The process whose program named the function had one, and [`ship`] let it pass.
pub(crate) unsafe fn conjure<F>() -> F {
    assert!(
        size_of::<F>() == 0 && !std::mem::needs_drop::<F>(),
        "only what has no size comes out of nothing"
    );
    // SAFETY: a value without a size is read from no memory; the type has values, for the caller had one; nothing is
    // done twice when it is dropped.
    unsafe { NonNull::<F>::dangling().as_ptr().read() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tilework_kernels::native::{Entry, Gives, Takes};

    struct Token;
    impl Drop for Token {
        fn drop(&mut self) {}
    }

    fn why<F: Fn(f64) -> f64>(f: F) -> Option<FunctionError> {
        const DESCRIPTOR: &Descriptor = {
            let types = (Takes::Each(&[DType::F64]), Gives::Dtype(DType::F64));
            // SAFETY: never called.
            &unsafe { Descriptor::new(|| "f", types, |_| true, Entry::Block(|_| Err(String::new()))) }
        };
        ship(DESCRIPTOR, &f, vec![DType::F64], &()).err()
    }

    fn half(x: f64) -> f64 {
        x / 2.0
    }

    fn twice<T: std::ops::Add<Output = T> + Copy>(x: T) -> T {
        x + x
    }

    #[test]
    fn what_has_no_size_travels() {
        let inner = |x: f64| x + 0.5;
        assert_eq!(why(|x| x * x), None);
        assert_eq!(why(f64::sqrt), None);
        assert_eq!(why(half), None);
        assert_eq!(why(twice::<f64>), None);
        assert_eq!(why(move |x| inner(x) * 2.0), None);
    }

    #[test]
    fn captures_pointers_and_destructors_stay() {
        let (k, token) = (3.0, Token);
        assert!(matches!(why(|x| x * k), Some(FunctionError::Captures { bytes: 8, .. })));
        assert!(matches!(why(move |x| x * k), Some(FunctionError::Captures { bytes: 8, .. })));
        assert!(matches!(why(half as fn(f64) -> f64), Some(FunctionError::Captures { bytes: 8, .. })));
        let drops = move |x: f64| {
            let _ = &token;
            x
        };
        assert!(matches!(why(drops), Some(FunctionError::Drops { .. })));
    }
}

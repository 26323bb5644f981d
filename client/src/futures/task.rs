//! Functions that are tasks: what stands for them in the executable, and how one is called with the bytes of its arguments.
//!
//! Must not know futures, nor sessions.

use super::argument::Read;
use super::bytes;
use crate::closures::{FunctionError, conjure, ship};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::any::type_name;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};
use tilework_expr::{DType, Kernel};
use tilework_kernels::Plane;
use tilework_kernels::native::{Descriptor, Entry, Gives, Takes, ValuesCall};

/// A function that can be a task: a `fn`, or a closure that captures nothing, of one to six arguments `Ts` that serde can
/// read.
pub trait TaskFn<Ts> {
    /// What it gives.
    type Output;
    #[doc(hidden)]
    fn call(&self, args: &mut Read<'_>) -> std::result::Result<Self::Output, String>;
}

macro_rules! functions {
    ($(($($t:ident),+))*) => { $(
        impl<F: Fn($($t),+) -> R, R, $($t: DeserializeOwned),+> TaskFn<($($t,)+)> for F {
            type Output = R;
            fn call(&self, args: &mut Read<'_>) -> std::result::Result<R, String> {
                Ok(self($(args.next::<$t>()?),+))
            }
        }
    )* };
}
functions! { (T0) (T0, T1) (T0, T1, T2) (T0, T1, T2, T3) (T0, T1, T2, T3, T4) (T0, T1, T2, T3, T4, T5) }

/// How a function `F` is called with arguments `Ts`.
pub(super) trait Calling<F, Ts> {
    type Output;
    fn call(f: &F, args: &mut Read<'_>) -> std::result::Result<Self::Output, String>;
}

/// `f(a, b, ..)`
pub(super) struct Direct;
/// `f(item, &shared)`
pub(super) struct WithShared;

impl<F: TaskFn<Ts>, Ts> Calling<F, Ts> for Direct {
    type Output = F::Output;
    fn call(f: &F, args: &mut Read<'_>) -> std::result::Result<F::Output, String> {
        f.call(args)
    }
}

impl<F: Fn(T, &P) -> R, R, T, P> Calling<F, (T, P)> for WithShared
where
    T: DeserializeOwned,
    P: DeserializeOwned + Send + Sync + 'static,
{
    type Output = R;
    fn call(f: &F, args: &mut Read<'_>) -> std::result::Result<R, String> {
        let (item, shared) = (args.next()?, args.shared::<P>()?);
        Ok(f(item, shared.as_ref().as_ref().map_err(String::clone)?))
    }
}

/// How what a function gives becomes a value.
pub(super) trait Giving<O> {
    fn write(given: O) -> std::result::Result<Vec<u8>, String>;
}

/// It is the value.
pub(super) struct Value;
/// It is a value or an error, which is the task's.
pub(super) struct Fallible;

impl<R: Serialize> Giving<R> for Value {
    fn write(given: R) -> std::result::Result<Vec<u8>, String> {
        let mut out = Vec::new();
        let cannot = |why| format!("its result, {}, cannot be written: {why}", type_name::<R>());
        bytes::write(&given, &mut out).map_err(cannot)?;
        Ok(out)
    }
}

impl<R: Serialize, E: Display> Giving<std::result::Result<R, E>> for Fallible {
    fn write(given: std::result::Result<R, E>) -> std::result::Result<Vec<u8>, String> {
        Value::write(given.map_err(|e| e.to_string())?)
    }
}

/// A task in the executable.
struct Tasked<C, G, F, Ts>(PhantomData<(C, G, F, Ts)>);

impl<C: Calling<F, Ts>, G: Giving<C::Output>, F, Ts> Tasked<C, G, F, Ts> {
    const DESCRIPTOR: &'static Descriptor = {
        let types = (Takes::Each(&[]), Gives::Dtype(DType::U8));
        // SAFETY: `conjured` reads its arguments from bytes, whatever they are, and gives bytes; it calls a function that
        // `ship` let pass.
        &unsafe { Descriptor::new(type_name::<F>, types, <[u8]>::is_empty, Entry::Values(Self::conjured)) }
    };

    fn conjured(call: &ValuesCall<'_>) -> std::result::Result<Plane, String> {
        // SAFETY: only functions that passed `ship` are named, and only what is named is called.
        let f = unsafe { conjure::<F>() };
        let given = C::call(&f, &mut Read::new(call))?;
        bytes::plane(&G::write(given)?)
    }
}

/// Names a function. It has one name, however often it is asked for.
///
/// # Errors
/// It does not travel.
pub(super) fn kernel<C, G, F, Ts>(f: &F) -> Result<Arc<Kernel>, FunctionError>
where
    C: Calling<F, Ts>,
    G: Giving<C::Output>,
{
    let descriptor = Tasked::<C, G, F, Ts>::DESCRIPTOR;
    named(descriptor, || ship(descriptor, f, Vec::new(), &()))
}

/// The name of what a descriptor describes, which is made once.
///
/// # Errors
/// Why it has none.
pub(super) fn named(
    descriptor: &'static Descriptor,
    name: impl FnOnce() -> Result<Kernel, FunctionError>,
) -> Result<Arc<Kernel>, FunctionError> {
    static NAMED: Mutex<BTreeMap<usize, Arc<Kernel>>> = Mutex::new(BTreeMap::new());
    let place = &raw const *descriptor as usize;
    let mut named = NAMED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(kernel) = named.get(&place) {
        return Ok(Arc::clone(kernel));
    }
    let kernel = Arc::new(name()?);
    named.insert(place, Arc::clone(&kernel));
    Ok(kernel)
}

//! Calling a function of the user's: for runs of elements, for whole blocks, for values, and for what else a process has.
//! Its panic is an error that says whose it is.
//!
//! Must not know where blocks come from.

use super::descriptor::{Descriptor, Entry, Refusal, resolve};
use super::panics::caught;
use crate::chunk::Plane;
use crate::feed::KernelError;
use std::any::Any;
use std::sync::Arc;
use tilework_expr::{DType, Kernel};
use tilework_plan::{Region, region_shape};

/// Elements of one input: neighbours in memory, or the same one for all.
#[derive(Clone, Copy, Debug)]
pub struct Lane {
    /// The first one.
    pub ptr: *const u8,
    /// Elements from one to the next: 1 or 0.
    pub step: usize,
}

/// What a function of elements is called with.
#[derive(Debug)]
pub struct Lanes<'a> {
    /// How many elements.
    pub n: usize,
    /// The inputs.
    pub inputs: &'a [Lane],
    /// The parameters.
    pub params: &'a [u8],
    /// Where the results go, one after another.
    pub out: *mut u8,
}

/// What a function of blocks is called with.
#[derive(Debug)]
pub struct BlockCall<'a> {
    /// What it reads, input by input.
    pub inputs: &'a [Argument<'a>],
    /// The parameters.
    pub params: &'a [u8],
    /// Which of the tasks this is.
    pub place: &'a Place,
}

/// One argument of a function of blocks.
#[derive(Debug)]
pub enum Argument<'a> {
    /// The elements of a box.
    Block(Plane),
    /// The blocks of an exchange, in the order of the tasks that made the values that they are of.
    Parts(Vec<&'a Plane>),
}

/// Where a block is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// Its number along each axis.
    pub chunk: Vec<usize>,
    /// How many there are along each axis.
    pub counts: Vec<usize>,
    /// The positions of the space that its reads follow.
    pub space: Region,
    /// The positions of its result.
    pub region: Region,
    /// The shape of the whole result.
    pub shape: Vec<usize>,
}

impl BlockCall<'_> {
    /// The elements of a box.
    ///
    /// # Errors
    /// There is no such argument, or it is none of a box.
    pub fn block(&self, slot: usize) -> Result<&Plane, String> {
        match self.inputs.get(slot) {
            Some(Argument::Block(plane)) => Ok(plane),
            Some(Argument::Parts(_)) => Err(format!("argument {slot} is an exchange, expected a block")),
            None => Err(format!("{} arguments, expected more than {slot}", self.inputs.len())),
        }
    }

    /// The blocks of an exchange.
    ///
    /// # Errors
    /// There is no such argument, or it is none of an exchange.
    pub fn parts(&self, slot: usize) -> Result<&[&Plane], String> {
        match self.inputs.get(slot) {
            Some(Argument::Parts(parts)) => Ok(parts),
            Some(Argument::Block(_)) => Err(format!("argument {slot} is a block, expected an exchange")),
            None => Err(format!("{} arguments, expected more than {slot}", self.inputs.len())),
        }
    }

    /// The shape of its result.
    #[must_use]
    pub fn shape(&self) -> Vec<usize> {
        region_shape(&self.place.region)
    }
}

/// What a function of values is called with.
#[derive(Debug)]
pub struct ValuesCall<'a> {
    /// The bytes of this one call.
    pub params: &'a [u8],
    /// The values that it reads, in order: bytes on one axis, side by side; and arrays, as they lie in memory.
    pub values: &'a [&'a Plane],
}

/// What a function of a value of this process is called with.
#[derive(Debug)]
pub struct OpaqueCall<'a> {
    /// The value, of a type that whoever calls it and the function know.
    pub input: &'a dyn Any,
    /// The parameters.
    pub params: &'a [u8],
}

/// A function of elements, found and ready to be called.
#[derive(Clone, Debug)]
pub(crate) struct Elements {
    descriptor: &'static Descriptor,
    f: unsafe fn(&Lanes<'_>),
    kernel: Arc<Kernel>,
}

impl Elements {
    /// Finds the function.
    pub(crate) fn of(kernel: &Arc<Kernel>) -> Result<Elements, KernelError> {
        let descriptor = resolve(kernel).map_err(refused)?;
        match descriptor.entry() {
            Entry::Elements(f) => Ok(Elements { descriptor, f, kernel: kernel.clone() }),
            Entry::Block(_) | Entry::Values(_) | Entry::Opaque(_) => Err(other_kind(kernel)),
        }
    }

    /// Calls it for `n` elements.
    ///
    /// # Safety
    /// Each input has `n` elements of the kernel's dtype (or one, where the step is 0), `out` has room for `n` of its
    /// output, and they do not overlap.
    pub(crate) unsafe fn call(&self, n: usize, inputs: &[Lane], out: *mut u8) -> Result<(), KernelError> {
        debug_assert_eq!(inputs.len(), self.kernel.inputs.len());
        let lanes = Lanes { n, inputs, params: &self.kernel.params, out };
        // SAFETY: by the descriptor's promise, for inputs of these dtypes and parameters that it accepts.
        guarded(self.descriptor, || unsafe { (self.f)(&lanes) })
    }
}

/// Calls a function of blocks.
///
/// # Errors
/// [`KernelError::Operation`], where this process does not have the function, it panics, or it gives an error.
pub fn call_block(kernel: &Arc<Kernel>, call: &BlockCall<'_>) -> Result<Plane, KernelError> {
    let descriptor = resolve(kernel).map_err(refused)?;
    let Entry::Block(f) = descriptor.entry() else { return Err(other_kind(kernel)) };
    let result = guarded(descriptor, || f(call))?;
    result.map_err(|why| KernelError::Operation(format!("{}: {why}", descriptor.name())))
}

/// Calls a function of values, which gives a value's bytes: a plane of one axis.
///
/// # Errors
/// [`KernelError::Operation`], where this process does not have the function, it panics, or it gives an error.
pub fn call_values(kernel: &Arc<Kernel>, call: &ValuesCall<'_>) -> Result<Plane, KernelError> {
    let (value, name) = called(kernel, call)?;
    if value.dtype() != DType::U8 || value.shape().len() != 1 {
        let (dtype, shape) = (value.dtype(), value.shape());
        let text = format!("{name} gave {dtype} of shape {shape:?}, expected bytes on one axis");
        return Err(KernelError::Operation(text));
    }
    Ok(value)
}

/// Calls a function of values, which gives an array of this shape.
///
/// # Errors
/// As [`call_values`].
pub fn call_array(
    kernel: &Arc<Kernel>,
    call: &ValuesCall<'_>,
    shape: &[usize],
) -> Result<Plane, KernelError> {
    let (array, name) = called(kernel, call)?;
    if array.dtype() != kernel.output || array.shape() != shape {
        let (got, of, expected) = (array.dtype(), array.shape(), kernel.output);
        let text = format!("{name} is {got} of shape {of:?}, expected {expected} of shape {shape:?}");
        return Err(KernelError::Operation(text));
    }
    Ok(array)
}

/// Calls a function of a value of this process, which gives another one, of a type that whoever calls it knows.
///
/// # Errors
/// [`KernelError::Operation`], where this process does not have the function, it panics, or it gives an error.
pub fn call_opaque(kernel: &Kernel, input: &dyn Any) -> Result<Box<dyn Any + Send>, KernelError> {
    let descriptor = resolve(kernel).map_err(refused)?;
    let Entry::Opaque(f) = descriptor.entry() else { return Err(other_kind(kernel)) };
    let result = guarded(descriptor, || f(&OpaqueCall { input, params: &kernel.params }))?;
    result.map_err(|why| KernelError::Operation(format!("{}: {why}", descriptor.name())))
}

/// What a function of values gives, and its name.
fn called(kernel: &Arc<Kernel>, call: &ValuesCall<'_>) -> Result<(Plane, &'static str), KernelError> {
    let descriptor = resolve(kernel).map_err(refused)?;
    let Entry::Values(f) = descriptor.entry() else { return Err(other_kind(kernel)) };
    let result = guarded(descriptor, || f(call))?;
    let given = result.map_err(|why| KernelError::Operation(format!("{}: {why}", descriptor.name())))?;
    Ok((given, descriptor.name()))
}

fn refused(refusal: Refusal) -> KernelError {
    KernelError::Operation(refusal.to_string())
}

fn other_kind(kernel: &Kernel) -> KernelError {
    KernelError::Operation(format!("the function {} is called in another way", kernel.name))
}

fn guarded<T>(descriptor: &Descriptor, f: impl FnOnce() -> T) -> Result<T, KernelError> {
    caught(f).map_err(|panic| {
        KernelError::Operation(format!("panic in the function {}: {panic}", descriptor.name()))
    })
}

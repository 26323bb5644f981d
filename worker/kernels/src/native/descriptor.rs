//! What stands in the executable for a function of the user's, and the two ways between that and a [`Kernel`].
//!
//! Owns every check before a call. Must not know how blocks are computed.

use super::call::{BlockCall, Lanes, OpaqueCall, ValuesCall};
use super::image::Image;
use crate::chunk::Plane;
use std::any::Any;
use tilework_expr::{DType, Kernel};

/// Marks descriptors.
const MAGIC: u64 = 0x6b65_726e_656c_3031;

/// The dtypes that a function takes.
#[derive(Clone, Copy, Debug)]
pub enum Takes {
    /// One input of each.
    Each(&'static [DType]),
    /// One input, of a type that may have no dtype: then there is no such input.
    One(fn() -> Option<DType>),
    /// An index: any number of `i64`.
    Index,
}

impl Takes {
    fn accepts(self, inputs: &[DType]) -> bool {
        match self {
            Takes::Each(all) => inputs == all,
            Takes::One(dtype) => matches!(inputs, [one] if Some(*one) == dtype()),
            Takes::Index => inputs.iter().all(|d| *d == DType::I64),
        }
    }
}

/// The dtype of what a function gives.
#[derive(Clone, Copy, Debug)]
pub enum Gives {
    /// This one.
    Dtype(DType),
    /// That of a type that may have none: then the function is not called.
    Of(fn() -> Option<DType>),
}

impl Gives {
    fn dtype(self) -> Option<DType> {
        match self {
            Gives::Dtype(dtype) => Some(dtype),
            Gives::Of(dtype) => dtype(),
        }
    }
}

impl From<DType> for Gives {
    fn from(dtype: DType) -> Gives {
        Gives::Dtype(dtype)
    }
}

/// How a function is called.
#[derive(Clone, Copy, Debug)]
pub enum Entry {
    /// For a run of elements.
    Elements(unsafe fn(&Lanes<'_>)),
    /// For the elements of a whole chunk; an error in words.
    Block(fn(&BlockCall<'_>) -> Result<Plane, String>),
    /// For the bytes of values and for arrays, giving a value's bytes or an array; an error in words.
    Values(fn(&ValuesCall<'_>) -> Result<Plane, String>),
    /// For a value of this process, giving another one; an error in words.
    Opaque(fn(&OpaqueCall<'_>) -> Result<Box<dyn Any + Send>, String>),
}

/// One function of the user's, compiled for the types that it is used with: a constant of the executable.
#[derive(Debug)]
#[repr(C)]
pub struct Descriptor {
    magic: u64,
    name: fn() -> &'static str,
    takes: Takes,
    output: Gives,
    accepts: fn(&[u8]) -> bool,
    entry: Entry,
}

impl Descriptor {
    /// Describes a function. `name` gives its type's name, `accepts` tells whether bytes are its parameters.
    ///
    /// # Safety
    /// For inputs of the dtypes that `takes` tells, and parameters that `accepts` lets pass, `entry` may be called in
    /// any process of this executable, from any thread; a function of elements reads `n` elements of each input (or
    /// its first, where the step is 0) and writes `n` of `output`; one of blocks, or of values, gives a plane of `output`;
    /// one of what else a process has looks at the type of what it gets.
    #[must_use]
    pub const unsafe fn new(
        name: fn() -> &'static str,
        (takes, output): (Takes, Gives),
        accepts: fn(&[u8]) -> bool,
        entry: Entry,
    ) -> Descriptor {
        Descriptor { magic: MAGIC, name, takes, output, accepts, entry }
    }

    /// The function's type, as the compiler names it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        (self.name)()
    }

    /// How it is called.
    #[must_use]
    pub(super) fn entry(&self) -> Entry {
        self.entry
    }
}

/// Why a function cannot be named, or is not called.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// The process was started from another executable than the function's.
    #[error(
        "the function {name} was compiled into build {of}, and this process runs build {own}: functions run on \
         processes of the program's own executable alone (as `Session::processes` and `tilework worker --program` \
         start them); traced functions (`map_expr`) run on any worker"
    )]
    OtherBuild {
        /// The function.
        name: String,
        /// The executable that it is part of.
        of: String,
        /// The executable that was asked.
        own: String,
    },
    /// The system does not tell where the executable lies, or of which build it is.
    #[error("functions cannot be told by their place in the executable on this system")]
    NoImage,
    /// The function is not part of the image that holds this code.
    #[error("the function {0} is not a constant of the executable that holds tilework's own code")]
    Elsewhere(String),
    /// There is no such function at that place, or it takes something else.
    #[error("no function {name} at offset {offset} of this executable: {why}")]
    NoFunction {
        /// The function.
        name: String,
        /// Its offset.
        offset: i64,
        /// What is wrong.
        why: &'static str,
    },
}

/// The place from which offsets are counted: any constant of this crate would do.
static ANCHOR: u64 = !MAGIC;

pub(super) fn anchor() -> usize {
    &raw const ANCHOR as usize
}

/// Names a function, to be called with these parameters on inputs of these dtypes.
///
/// # Errors
/// [`Refusal::NoImage`] and [`Refusal::Elsewhere`]: the function can be called in this process only;
/// [`Refusal::NoFunction`]: it gives what has no dtype.
pub fn kernel_of(
    descriptor: &'static Descriptor,
    inputs: Vec<DType>,
    params: Vec<u8>,
) -> Result<Kernel, Refusal> {
    let image = Image::own().ok_or(Refusal::NoImage)?;
    let (address, name) = (&raw const *descriptor as usize, descriptor.name().to_owned());
    if !image.holds(address, size_of::<Descriptor>()) {
        return Err(Refusal::Elsewhere(name));
    }
    let offset = address.wrapping_sub(anchor()) as i64;
    let Some(output) = descriptor.output.dtype() else {
        return Err(Refusal::NoFunction { name, offset, why: "what it gives does not travel" });
    };
    Ok(Kernel { offset, build: image.build.clone(), name, params, inputs, output })
}

/// Finds a function again.
///
/// # Errors
/// [`Refusal`], where this process does not have just this function.
pub fn resolve(kernel: &Kernel) -> Result<&'static Descriptor, Refusal> {
    let image = Image::own().ok_or(Refusal::NoImage)?;
    let name = || kernel.name.clone();
    if kernel.build != image.build {
        return Err(Refusal::OtherBuild { name: name(), of: kernel.build.clone(), own: image.build.clone() });
    }
    let no = |why| Err(Refusal::NoFunction { name: name(), offset: kernel.offset, why });
    let address = anchor().wrapping_add(kernel.offset as usize);
    if !image.holds(address, size_of::<Descriptor>()) {
        return no("it lies outside of the read-only memory");
    }
    if !address.is_multiple_of(align_of::<Descriptor>()) {
        return no("it is not aligned");
    }
    let place = address as *const Descriptor;
    // SAFETY: the mark's bytes lie in read-only memory of the image, aligned; any bytes are a number.
    if unsafe { (&raw const (*place).magic).read() } != MAGIC {
        return no("something else is there");
    }
    // SAFETY: the build is that of the process which named the place, so that a descriptor is there: constants of the
    // image bear the mark where they are descriptors alone. Read-only memory of the image is never unmapped.
    let descriptor: &'static Descriptor = unsafe { &*place };
    if descriptor.name() != kernel.name {
        return no("it has another name");
    }
    if !descriptor.takes.accepts(&kernel.inputs) || descriptor.output.dtype() != Some(kernel.output) {
        return no("it takes or gives other dtypes");
    }
    if !(descriptor.accepts)(&kernel.params) {
        return no("the parameters are not its own");
    }
    Ok(descriptor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> &'static str {
        "twice"
    }

    fn no_params(bytes: &[u8]) -> bool {
        bytes.is_empty()
    }

    unsafe fn twice(lanes: &Lanes<'_>) {
        for i in 0..lanes.n {
            // SAFETY: one input of f64 and a result of f64, as the descriptor says.
            unsafe {
                let x = lanes.inputs[0].ptr.cast::<f64>().add(i * lanes.inputs[0].step).read();
                lanes.out.cast::<f64>().add(i).write(x + x);
            }
        }
    }

    const TWICE: &Descriptor = {
        let types = (Takes::Each(&[DType::F64]), Gives::Dtype(DType::F64));
        // SAFETY: as `twice` says.
        &unsafe { Descriptor::new(name, types, no_params, Entry::Elements(twice)) }
    };

    fn kernel() -> Kernel {
        kernel_of(TWICE, vec![DType::F64], vec![]).unwrap()
    }

    fn why(change: impl FnOnce(&mut Kernel)) -> String {
        let mut kernel = kernel();
        change(&mut kernel);
        resolve(&kernel).unwrap_err().to_string()
    }

    #[test]
    fn what_was_named_is_found() {
        let found = resolve(&kernel()).unwrap();
        assert!(std::ptr::eq(found, TWICE) || found.name() == "twice");
        let (x, mut y) = ([1.5, 4.0], [0.0; 2]);
        let lane = Lane { ptr: x.as_ptr().cast(), step: 1 };
        let lanes = Lanes { n: 2, inputs: &[lane], params: &[], out: y.as_mut_ptr().cast() };
        let Entry::Elements(f) = found.entry() else { panic!("{found:?}") };
        // SAFETY: two elements each.
        unsafe { f(&lanes) };
        assert_eq!(y, [3.0, 8.0]);
    }

    #[test]
    fn what_is_not_just_it_is_refused() {
        static OTHER: [u64; 32] = [0x6b65_726e_656c_3030; 32];
        let other = (OTHER.as_ptr() as usize).wrapping_sub(anchor()) as i64;
        let text = why(|k| k.build = "00c0ffee".into());
        assert!(text.contains("00c0ffee") && text.contains(super::super::build_id().unwrap()), "{text}");
        assert!(why(|k| k.offset += 1).contains("not aligned"));
        assert!(why(|k| k.offset += 1 << 40).contains("outside"));
        assert!(why(|k| k.offset = i64::MIN).contains("outside"));
        assert!(why(|k| k.offset = 0).contains("something else"));
        assert!(why(|k| k.offset = other).contains("something else"));
        assert!(why(|k| k.name.push('x')).contains("another name"));
        assert!(why(|k| k.inputs[0] = DType::F32).contains("dtypes"));
        assert!(why(|k| k.inputs.clear()).contains("dtypes"));
        assert!(why(|k| k.output = DType::I64).contains("dtypes"));
        assert!(why(|k| k.params.push(1)).contains("parameters"));
    }

    #[test]
    fn what_is_made_at_run_time_cannot_be_named() {
        let types = (Takes::Index, Gives::Dtype(DType::F64));
        // SAFETY: never called.
        let made = unsafe { Descriptor::new(name, types, no_params, Entry::Elements(twice)) };
        let refused = kernel_of(Box::leak(Box::new(made)), vec![], vec![]).unwrap_err();
        assert_eq!(refused, Refusal::Elsewhere("twice".into()));
        assert!(Takes::Index.accepts(&[DType::I64; 3]) && !Takes::Index.accepts(&[DType::F64]));
    }

    fn longer(call: &OpaqueCall<'_>) -> Result<Box<dyn Any + Send>, String> {
        let text = call.input.downcast_ref::<String>().ok_or("got something else than a text")?;
        assert!(!text.is_empty(), "an empty text");
        Ok(Box::new(format!("{text}{}", call.params.len())))
    }

    const LONGER: &Descriptor = {
        let types = (Takes::Each(&[]), Gives::Dtype(DType::U8));
        // SAFETY: it looks at the type of what it gets.
        &unsafe { Descriptor::new(|| "longer", types, |_| true, Entry::Opaque(longer)) }
    };

    #[test]
    fn a_function_of_what_a_process_has_is_called_with_it_and_its_errors_name_it() {
        let kernel = kernel_of(LONGER, vec![], vec![1, 2, 3]).unwrap();
        let call = |input: &dyn Any| super::super::call_opaque(&kernel, input);
        let made = call(&"ab".to_owned()).unwrap();
        assert_eq!(made.downcast_ref::<String>().unwrap(), "ab3");
        let why = call(&7).unwrap_err().to_string();
        assert!(why.contains("longer: got something else"), "{why}");
        let why = call(&String::new()).unwrap_err().to_string();
        assert!(why.contains("panic in the function longer: an empty text") && why.contains(".rs:"), "{why}");
        let other = self::kernel();
        let why = super::super::call_opaque(&other, &7).unwrap_err().to_string();
        assert!(why.contains("twice is called in another way"), "{why}");
    }

    use super::super::call::Lane;
}

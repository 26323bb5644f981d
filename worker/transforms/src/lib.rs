//! Plans of Fourier transforms, by rustfft and realfft: how one lane of a length is transformed. Those libraries are generic in
//! the float and compiled where that is said, which takes minutes: here, and not in the kernels, which change more often.
//!
//! Owns which plans are kept. Must not know arrays, blocks or tasks.

use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError};

pub use realfft::{ComplexToReal, RealToComplex};
pub use rustfft::{Fft, FftNum};

use realfft::RealFftPlanner;
use rustfft::{FftDirection, FftPlanner};

/// The lengths, all together, of which plans are kept: each holds about twice as many complex numbers.
const PLANNED_LEN_MAX: usize = 1 << 20;

/// What a plan is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Forward,
    Inverse,
    Halved,
    Restored,
}

/// The bits of a float, the kind and the length.
type Key = (u8, Kind, usize);

/// Plans, the latest last.
static PLANS: Mutex<Vec<(Key, Arc<dyn Any + Send + Sync>)>> = Mutex::new(Vec::new());

/// A plan that is kept, or is made and kept then.
fn planned<P: Clone + Send + Sync + 'static>(key: Key, make: impl FnOnce() -> P) -> P {
    let plans = || PLANS.lock().unwrap_or_else(PoisonError::into_inner);
    let kept =
        plans().iter().find(|(of, _)| *of == key).and_then(|(_, plan)| plan.downcast_ref::<P>().cloned());
    if let Some(plan) = kept {
        return plan;
    }
    // Not within the lock: other lengths need not wait.
    let plan = make();
    let mut plans = plans();
    if plans.iter().all(|(of, _)| *of != key) {
        plans.push((key, Arc::new(plan.clone())));
    }
    while plans.iter().map(|((_, _, len), _)| len).sum::<usize>() > PLANNED_LEN_MAX {
        plans.remove(0);
    }
    plan
}

/// Floats that there are plans for. Lengths are at least 1.
pub trait Planned: FftNum + Default {
    /// Of so many complex numbers.
    fn complex(len: usize, inverse: bool) -> Arc<dyn Fft<Self>>;
    /// Of so many real numbers to the first half, and one, of their transform.
    fn halved(len: usize) -> Arc<dyn RealToComplex<Self>>;
    /// From that to so many real numbers.
    fn restored(len: usize) -> Arc<dyn ComplexToReal<Self>>;
}

macro_rules! planned {
    ($($t:ty, $bits:literal;)*) => { $(
        impl Planned for $t {
            fn complex(len: usize, inverse: bool) -> Arc<dyn Fft<$t>> {
                let (kind, direction) = match inverse {
                    false => (Kind::Forward, FftDirection::Forward),
                    true => (Kind::Inverse, FftDirection::Inverse),
                };
                planned(($bits, kind, len), || FftPlanner::<$t>::new().plan_fft(len, direction))
            }
            fn halved(len: usize) -> Arc<dyn RealToComplex<$t>> {
                planned(($bits, Kind::Halved, len), || RealFftPlanner::<$t>::new().plan_fft_forward(len))
            }
            fn restored(len: usize) -> Arc<dyn ComplexToReal<$t>> {
                planned(($bits, Kind::Restored, len), || RealFftPlanner::<$t>::new().plan_fft_inverse(len))
            }
        }
    )* };
}
planned! { f32, 32; f64, 64; }

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_are_kept_up_to_their_bound() {
        let first = f64::complex(1000, false);
        assert!(Arc::ptr_eq(&first, &f64::complex(1000, false)));
        assert!(!Arc::ptr_eq(&first, &f64::complex(1000, true)));
        // One larger than all that is kept leaves nothing, itself neither.
        let large = f64::complex(PLANNED_LEN_MAX * 2, false);
        assert!(!Arc::ptr_eq(&first, &f64::complex(1000, false)));
        assert_eq!(large.len(), PLANNED_LEN_MAX * 2);
        assert_eq!((f32::halved(6).complex_len(), f32::restored(7).len()), (4, 7));
    }
}

//! In the place of `lanes`, in builds without the feature: who sends a transform to such a worker is told which it takes.

use crate::chunk::Plane;
use crate::library::elements::Answer;
use crate::native::BlockCall;

pub(in crate::library) fn fft(_call: &BlockCall<'_>) -> Answer<Plane> {
    Err("this worker's program was built without the feature `fft` of the crate tilework".into())
}

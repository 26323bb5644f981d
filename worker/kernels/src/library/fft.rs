//! Discrete Fourier transforms of the lanes of a block, and the factors between the steps of longer ones.
//!
//! Owns what is asked for of a lane, and chirps. Must not know how lanes that are longer than a block are put together
//! (the client does).

#[cfg(feature = "fft")]
mod lanes;
#[cfg(not(feature = "fft"))]
#[path = "fft/left_out.rs"]
mod lanes;

pub(super) use lanes::fft;

use super::elements::{Answer, Reader, Writer, plane};
use crate::chunk::Plane;
use crate::native::BlockCall;
use num_complex::Complex;
use std::f64::consts::PI;
use tilework_expr::{DType, OwnFunction};
use tilework_plan::Temporaries;

/// What becomes of a lane.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Complex numbers to as many, with `exp(-2πi jk/n)`.
    Forward,
    /// The same with `exp(2πi jk/n)`.
    Inverse,
    /// Real numbers to the first half of what they are complex: `n / 2 + 1`.
    RealForward,
    /// Back from that half to so many real numbers.
    RealInverse(usize),
}

/// A transform of the lanes along an axis.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Lanes {
    /// Along it.
    pub axis: usize,
    /// Which one.
    pub kind: Kind,
    /// Times the result.
    pub scale: f64,
    /// Whether element `k` of a lane at position `j` of the last axis is then multiplied with the root of unity `jk` of as
    /// many as both axes have positions together: the factors between the two steps of a transform that was cut in two.
    pub twisted: Option<usize>,
}

impl Lanes {
    /// Of lanes of this dtype.
    #[must_use]
    pub fn of(self, dtype: DType) -> OwnFunction {
        let (code, len) = match self.kind {
            Kind::Forward => (0, 0),
            Kind::Inverse => (1, 0),
            Kind::RealForward => (2, 0),
            Kind::RealInverse(len) => (3, len),
        };
        let output = match (self.kind, dtype) {
            (Kind::RealForward, DType::F32) => DType::C32,
            (Kind::RealForward, _) => DType::C64,
            (Kind::RealInverse(_), DType::C32) => DType::F32,
            (Kind::RealInverse(_), _) => DType::F64,
            _ => dtype,
        };
        let params = Writer::default().number(self.axis).number(code).number(len).float(self.scale);
        let params = params.number(self.twisted.unwrap_or(0)).done();
        // Lanes, and what their transform is computed in.
        let temporaries = Temporaries { per_made: output.size() as u32, ..Temporaries::per_read(16) };
        OwnFunction { name: "fft".into(), params, inputs: vec![dtype], output, temporaries }
    }
}

/// The chirp of a transform of a length without factors, along the last axis: `exp(∓πi j²/n)` at `j < n`, conjugated and at
/// `m - j` too where it is wrapped around an axis of `m`, and 0 elsewhere (Bluestein, "A linear filtering approach to the
/// computation of discrete Fourier transform", IEEE Transactions on Audio and Electroacoustics 18, 1970).
#[must_use]
pub fn chirp(n: usize, inverse: bool, wrapped: bool) -> OwnFunction {
    let params = Writer::default().number(n).number(usize::from(inverse)).number(usize::from(wrapped)).done();
    let temporaries = Temporaries::NONE;
    OwnFunction { name: "fft_chirp".into(), params, inputs: Vec::new(), output: DType::C64, temporaries }
}

pub(super) fn fft_chirp(call: &BlockCall<'_>) -> Answer<Plane> {
    let mut reader = Reader(call.params);
    let (n, inverse, wrapped) = (reader.number()?, reader.number()? == 1, reader.number()? == 1);
    let ([row], [m]) = (&call.place.region[..], &call.place.shape[..]) else {
        return Err(format!("a chirp of shape {:?}, expected one axis", call.place.shape));
    };
    let sign = if inverse == wrapped { -PI } else { PI };
    let of = |j: usize| {
        let j = if wrapped && j > m / 2 { *m - j } else { j };
        if j >= n {
            return Complex::default();
        }
        // The square is taken modulo twice the length, exactly.
        let square = (j as u128 * j as u128 % (2 * n as u128)) as f64;
        Complex::cis(sign * (square / n as f64))
    };
    plane(&call.shape(), row.clone().map(of).collect())
}

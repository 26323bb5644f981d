//! Element types: the closed set that travels between processes, and the trait that Rust types enter it by.
//!
//! Knows sizes, names and scalar values. Must not know arrays, chunks or arithmetic.

use num_complex::Complex;
use std::fmt;

/// The type of an array's elements. Shown by its name, `f64`, within lists too.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DType {
    /// `bool`, one byte an element, 0 or 1.
    Bool,
    /// `i8`.
    I8,
    /// `i16`.
    I16,
    /// `i32`.
    I32,
    /// `i64`.
    I64,
    /// `u8`.
    U8,
    /// `u16`.
    U16,
    /// `u32`.
    U32,
    /// `u64`.
    U64,
    /// `f32`.
    F32,
    /// `f64`.
    F64,
    /// `Complex<f32>`, 8 bytes.
    C32,
    /// `Complex<f64>`, 16 bytes.
    C64,
}

impl DType {
    /// Every dtype, in a fixed order; the position is the wire code.
    pub const ALL: [DType; 13] = [
        DType::Bool,
        DType::I8,
        DType::I16,
        DType::I32,
        DType::I64,
        DType::U8,
        DType::U16,
        DType::U32,
        DType::U64,
        DType::F32,
        DType::F64,
        DType::C32,
        DType::C64,
    ];

    /// Bytes of one element.
    #[must_use]
    pub const fn size(self) -> usize {
        match self {
            DType::Bool | DType::I8 | DType::U8 => 1,
            DType::I16 | DType::U16 => 2,
            DType::I32 | DType::U32 | DType::F32 => 4,
            DType::I64 | DType::U64 | DType::F64 | DType::C32 => 8,
            DType::C64 => 16,
        }
    }

    /// The name users see: `f64`, `bool`, `complex64` (two `f64`).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            DType::Bool => "bool",
            DType::I8 => "i8",
            DType::I16 => "i16",
            DType::I32 => "i32",
            DType::I64 => "i64",
            DType::U8 => "u8",
            DType::U16 => "u16",
            DType::U32 => "u32",
            DType::U64 => "u64",
            DType::F32 => "f32",
            DType::F64 => "f64",
            DType::C32 => "Complex32",
            DType::C64 => "Complex64",
        }
    }

    /// `f32` or `f64`.
    #[must_use]
    pub const fn is_float(self) -> bool {
        matches!(self, DType::F32 | DType::F64)
    }

    /// `Complex32` or `Complex64`.
    #[must_use]
    pub const fn is_complex(self) -> bool {
        matches!(self, DType::C32 | DType::C64)
    }

    /// Any integer type (`bool` is none).
    #[must_use]
    pub const fn is_int(self) -> bool {
        !matches!(self, DType::Bool) && !self.is_float() && !self.is_complex()
    }

    /// The dtype in which elements are added up and multiplied together: twice as precise for floats of 32 bits, the
    /// elements' own for all others.
    #[must_use]
    pub const fn summed(self) -> DType {
        match self {
            DType::F32 => DType::F64,
            DType::C32 => DType::C64,
            d => d,
        }
    }

    /// The position in [`DType::ALL`], used on the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The dtype with this wire code, if there is one.
    #[must_use]
    pub fn from_code(code: u8) -> Option<DType> {
        DType::ALL.get(code as usize).copied()
    }
}

impl fmt::Debug for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One element of a known dtype, as its little-endian bytes (unused high bytes are zero).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Scalar {
    dtype: DType,
    bits: u128,
}

impl Scalar {
    /// The scalar of `dtype` whose little-endian bytes are the low bytes of `bits`; any but 0 is `true`.
    #[must_use]
    pub const fn from_bits(dtype: DType, bits: u128) -> Scalar {
        let keep = dtype.size() * 8;
        let bits = if keep == 128 { bits } else { bits & ((1u128 << keep) - 1) };
        // No other byte may ever be read as a `bool`.
        let bits = if matches!(dtype, DType::Bool) { (bits != 0) as u128 } else { bits };
        Scalar { dtype, bits }
    }

    /// The scalar of a Rust value.
    pub fn new<A: Element>(value: A) -> Scalar {
        value.to_scalar()
    }

    /// Its dtype.
    #[must_use]
    pub const fn dtype(self) -> DType {
        self.dtype
    }

    /// Its little-endian bits.
    #[must_use]
    pub const fn bits(self) -> u128 {
        self.bits
    }

    /// The Rust value, or `None` where the dtype is another one.
    #[must_use]
    pub fn get<A: Element>(self) -> Option<A> {
        (A::DTYPE == self.dtype).then(|| A::from_bits(self.bits))
    }

    /// The nearest `f64`; the real part of a complex number; 0 or 1 of a bool.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        match self.dtype {
            DType::Bool => f64::from(u8::from(bool::from_bits(self.bits))),
            DType::I8 => f64::from(i8::from_bits(self.bits)),
            DType::I16 => f64::from(i16::from_bits(self.bits)),
            DType::I32 => f64::from(i32::from_bits(self.bits)),
            DType::I64 => i64::from_bits(self.bits) as f64,
            DType::U8 => f64::from(u8::from_bits(self.bits)),
            DType::U16 => f64::from(u16::from_bits(self.bits)),
            DType::U32 => f64::from(u32::from_bits(self.bits)),
            DType::U64 => u64::from_bits(self.bits) as f64,
            DType::F32 => f64::from(f32::from_bits(self.bits as u32)),
            DType::F64 => f64::from_bits(self.bits as u64),
            DType::C32 => f64::from(Complex::<f32>::from_bits(self.bits).re),
            DType::C64 => Complex::<f64>::from_bits(self.bits).re,
        }
    }
}

impl fmt::Debug for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.dtype {
            DType::I64 => write!(f, "{}i64", i64::from_bits(self.bits)),
            DType::U64 => write!(f, "{}u64", u64::from_bits(self.bits)),
            DType::C32 => write!(f, "{}", Complex::<f32>::from_bits(self.bits)),
            DType::C64 => write!(f, "{}", Complex::<f64>::from_bits(self.bits)),
            _ => write!(f, "{}{}", self.as_f64(), self.dtype),
        }
    }
}

mod sealed {
    pub trait Sealed {}
}

/// A Rust type that an array may hold. Implemented for the thirteen types of [`DType`] and closed.
///
/// # Safety
/// Implementors are plain data of exactly `DTYPE.size()` bytes whose memory is the little-endian wire form.
pub unsafe trait Element:
    Copy + Send + Sync + PartialEq + fmt::Debug + sealed::Sealed + 'static
{
    /// The dtype of this Rust type.
    const DTYPE: DType;
    /// The value as little-endian bits.
    fn to_bits(self) -> u128;
    /// The value of little-endian bits; bits above the element's size are ignored.
    fn from_bits(bits: u128) -> Self;
    /// The value as a [`Scalar`].
    fn to_scalar(self) -> Scalar {
        Scalar::from_bits(Self::DTYPE, self.to_bits())
    }
}

macro_rules! element_int {
    ($($t:ty, $unsigned:ty, $d:ident);*) => {$(
        impl sealed::Sealed for $t {}
        // SAFETY: a primitive integer of the size that the dtype states.
        unsafe impl Element for $t {
            const DTYPE: DType = DType::$d;
            fn to_bits(self) -> u128 { u128::from(self as $unsigned) }
            fn from_bits(bits: u128) -> Self { bits as $t }
        }
    )*};
}
element_int!(i8, u8, I8; i16, u16, I16; i32, u32, I32; i64, u64, I64; u8, u8, U8; u16, u16, U16; u32, u32, U32; u64, u64, U64);

impl sealed::Sealed for bool {}
// SAFETY: one byte, 0 or 1; decoders normalise foreign bytes before they are read as bool.
unsafe impl Element for bool {
    const DTYPE: DType = DType::Bool;
    fn to_bits(self) -> u128 {
        u128::from(self)
    }
    fn from_bits(bits: u128) -> Self {
        bits & 0xff != 0
    }
}

macro_rules! element_float {
    ($($t:ident, $bits:ty, $d:ident, $c:ident);*) => {$(
        impl sealed::Sealed for $t {}
        // SAFETY: an IEEE float of the size that the dtype states.
        unsafe impl Element for $t {
            const DTYPE: DType = DType::$d;
            fn to_bits(self) -> u128 { u128::from($t::to_bits(self)) }
            fn from_bits(bits: u128) -> Self { $t::from_bits(bits as $bits) }
        }
        impl sealed::Sealed for Complex<$t> {}
        // SAFETY: `Complex` is repr(C): real part, then imaginary part.
        unsafe impl Element for Complex<$t> {
            const DTYPE: DType = DType::$c;
            fn to_bits(self) -> u128 {
                Element::to_bits(self.re) | Element::to_bits(self.im) << <$bits>::BITS
            }
            fn from_bits(bits: u128) -> Self {
                Complex::new($t::from_bits(bits as $bits), $t::from_bits((bits >> <$bits>::BITS) as $bits))
            }
        }
    )*};
}
element_float!(f32, u32, F32, C32; f64, u64, F64, C64);

/// Runs a block with a type alias bound to the Rust type of a dtype: `with_dtype!(d, T => expr)`.
#[macro_export]
macro_rules! with_dtype {
    ($dtype:expr, $t:ident => $body:expr) => {
        match $dtype {
            $crate::DType::Bool => {
                type $t = bool;
                $body
            }
            $crate::DType::I8 => {
                type $t = i8;
                $body
            }
            $crate::DType::I16 => {
                type $t = i16;
                $body
            }
            $crate::DType::I32 => {
                type $t = i32;
                $body
            }
            $crate::DType::I64 => {
                type $t = i64;
                $body
            }
            $crate::DType::U8 => {
                type $t = u8;
                $body
            }
            $crate::DType::U16 => {
                type $t = u16;
                $body
            }
            $crate::DType::U32 => {
                type $t = u32;
                $body
            }
            $crate::DType::U64 => {
                type $t = u64;
                $body
            }
            $crate::DType::F32 => {
                type $t = f32;
                $body
            }
            $crate::DType::F64 => {
                type $t = f64;
                $body
            }
            $crate::DType::C32 => {
                type $t = $crate::Complex<f32>;
                $body
            }
            $crate::DType::C64 => {
                type $t = $crate::Complex<f64>;
                $body
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_sizes_round_trip() {
        for d in DType::ALL {
            assert_eq!(DType::from_code(d.code()), Some(d));
            with_dtype!(d, T => {
                assert_eq!(std::mem::size_of::<T>(), d.size());
                assert_eq!(T::DTYPE, d);
            });
        }
        assert_eq!(DType::from_code(13), None);
    }

    #[test]
    fn scalars_round_trip() {
        assert_eq!(Scalar::new(-3i8).get::<i8>(), Some(-3));
        assert_eq!(Scalar::new(-3i8).bits(), 0xfd);
        assert_eq!(Scalar::new(1.5f64).get::<f32>(), None);
        let c = Complex::new(1.0f64, -2.0);
        assert_eq!(Scalar::new(c).get::<Complex<f64>>(), Some(c));
        assert_eq!(Scalar::new(true).as_f64(), 1.0);
        assert_eq!(Scalar::new(-2i64).as_f64(), -2.0);
    }
}

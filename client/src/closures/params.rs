//! Values that travel with a function.
//!
//! Must not know functions.

use tilework_expr::Complex;

/// Values that travel with a function to the workers: numbers, `bool`, `char`, and tuples and arrays of them. A type
/// of your own travels if it says how it is written as bytes.
///
/// ```
/// use tilework::Params;
///
/// #[derive(Clone, Copy)]
/// struct Line {
///     slope: f64,
///     at_zero: f64,
/// }
///
/// impl Params for Line {
///     fn write(&self, out: &mut Vec<u8>) {
///         (self.slope, self.at_zero).write(out);
///     }
///     fn read(bytes: &mut &[u8]) -> Option<Self> {
///         let (slope, at_zero) = Params::read(bytes)?;
///         Some(Line { slope, at_zero })
///     }
/// }
///
/// use tilework::prelude::*;
/// let line = Line { slope: 2.0, at_zero: 1.0 };
/// let y = arr1(&[0.0, 3.0]).mapv_with(line, |x, l| l.slope * x + l.at_zero);
/// assert_eq!(y.compute(), ndarray::arr1(&[1.0, 7.0]));
/// ```
pub trait Params: Copy + Send + Sync + 'static {
    /// Appends the value's bytes.
    fn write(&self, out: &mut Vec<u8>);
    /// Takes the value from the front of the bytes; `None` where they are not one.
    fn read(bytes: &mut &[u8]) -> Option<Self>;
}

/// The bytes of parameters.
pub(super) fn bytes_of<P: Params>(params: &P) -> Vec<u8> {
    let mut bytes = Vec::new();
    params.write(&mut bytes);
    bytes
}

/// The parameters that are all of the bytes.
pub(crate) fn params_of<P: Params>(mut bytes: &[u8]) -> Option<P> {
    P::read(&mut bytes).filter(|_| bytes.is_empty())
}

macro_rules! numbers {
    ($($t:ty)*) => { $(
        impl Params for $t {
            fn write(&self, out: &mut Vec<u8>) {
                out.extend(self.to_le_bytes());
            }
            fn read(bytes: &mut &[u8]) -> Option<Self> {
                let (value, rest) = bytes.split_first_chunk()?;
                *bytes = rest;
                Some(<$t>::from_le_bytes(*value))
            }
        }
    )* };
}
numbers! { i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize f32 f64 }

impl Params for bool {
    fn write(&self, out: &mut Vec<u8>) {
        u8::from(*self).write(out);
    }
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        match u8::read(bytes)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl Params for char {
    fn write(&self, out: &mut Vec<u8>) {
        u32::from(*self).write(out);
    }
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        char::from_u32(u32::read(bytes)?)
    }
}

impl<T: Params> Params for Complex<T> {
    fn write(&self, out: &mut Vec<u8>) {
        self.re.write(out);
        self.im.write(out);
    }
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        Some(Complex { re: T::read(bytes)?, im: T::read(bytes)? })
    }
}

impl<T: Params, const N: usize> Params for [T; N] {
    fn write(&self, out: &mut Vec<u8>) {
        self.iter().for_each(|value| value.write(out));
    }
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let mut good = true;
        let values = std::array::from_fn(|_| {
            let value = T::read(bytes);
            good &= value.is_some();
            value
        });
        if good { Some(values.map(|v| v.expect("every value was read"))) } else { None }
    }
}

macro_rules! tuples {
    ($(($($t:ident $i:tt)*))*) => { $(
        impl<$($t: Params),*> Params for ($($t,)*) {
            fn write(&self, _out: &mut Vec<u8>) {
                $(self.$i.write(_out);)*
            }
            fn read(_bytes: &mut &[u8]) -> Option<Self> {
                Some(($($t::read(_bytes)?,)*))
            }
        }
    )* };
}
tuples! {
    ()
    (A 0)
    (A 0 B 1)
    (A 0 B 1 C 2)
    (A 0 B 1 C 2 D 3)
    (A 0 B 1 C 2 D 3 E 4)
    (A 0 B 1 C 2 D 3 E 4 F 5)
    (A 0 B 1 C 2 D 3 E 4 F 5 G 6)
    (A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<P: Params + PartialEq + std::fmt::Debug>(params: P, n_bytes: usize) {
        let bytes = bytes_of(&params);
        assert_eq!(bytes.len(), n_bytes, "{params:?}");
        assert_eq!(params_of::<P>(&bytes), Some(params));
        assert_eq!(params_of::<(P, u8)>(&bytes), None);
        if n_bytes > 0 {
            assert_eq!(params_of::<P>(&bytes[1..]), None);
        }
    }

    #[test]
    fn values_come_back_and_nothing_else_does() {
        check((), 0);
        check((1.5f64, -3i8, true), 10);
        check([(1u16, 'é'), (2, 'z')], 12);
        check(Complex { re: 1f32, im: -0.5 }, 8);
        check((1usize, [[1i128; 2]; 3]), 104);
        assert_eq!(params_of::<bool>(&[2]), None);
        assert_eq!(params_of::<char>(&[0, 0xd8, 0, 0]), None);
    }
}

//! Elements as numbers: sums and products in their wide type, and the one order of all values of a type, in which NaN comes
//! last and the two zeros are equal.
//!
//! Must not know planes.

use tilework_expr::{Complex, Element};

/// An element that is added up and multiplied.
pub(super) trait Number: Element {
    /// What it is added up in: floats of 32 bits in 64, others in their own type.
    type Wide: Number<Wide = Self::Wide>;
    const ZERO: Self::Wide;
    const ONE: Self::Wide;
    fn widen(self) -> Self::Wide;
    fn narrow(wide: Self::Wide) -> Self;
    fn add(a: Self::Wide, b: Self::Wide) -> Self::Wide;
    fn mul(a: Self::Wide, b: Self::Wide) -> Self::Wide;
    /// Whether it is NaN, or has a part that is.
    fn is_nan(self) -> bool;
}

/// What elements are compared by.
pub(super) trait Key: Ord + Copy + Send + Sync {
    /// Sorts them; equal ones cannot be told apart.
    fn sort_keys(keys: &mut [Self]) {
        keys.sort_unstable();
    }
    /// The same of runs that are in order.
    fn merge_keys(keys: &mut [Self]) {
        keys.sort();
    }
}

impl Key for u32 {}
impl Key for u64 {
    fn sort_keys(keys: &mut [u64]) {
        wide_sort(keys, <[u64]>::sort_unstable);
    }
    fn merge_keys(keys: &mut [u64]) {
        wide_sort(keys, <[u64]>::sort);
    }
}
impl<K: Key> Key for (bool, K, K) {}

/// Sorts in registers where the processor can, and else in another way.
fn wide_sort(keys: &mut [u64], otherwise: fn(&mut [u64])) {
    #[cfg(target_arch = "x86_64")]
    if super::sort::wide::sort(keys) {
        return;
    }
    otherwise(keys);
}

/// An element of a type whose values are in an order.
pub(super) trait Ordered: Element + Send + Sync {
    /// What is compared: unsigned integers of few sizes, for there is a sort for each.
    type Key: Key;
    fn key(self) -> Self::Key;
    /// Sorts by keys, so that equal ones keep their order.
    fn sort(values: &mut [Self]) {
        values.sort_by_key(|a| a.key());
    }
    /// The same of runs that are in order.
    fn merge(values: &mut [Self]) {
        Self::sort(values);
    }
    /// Whether it is NaN, or has a part that is.
    fn is_missing(self) -> bool {
        false
    }
}

/// An element that its key says, but for the sign of zero and what NaN it is.
pub(super) trait OfKey: Ordered<Key: Into<u64> + TryFrom<u64>> + PartialEq {
    /// Whether the key says all.
    const EXACTLY: bool;
    fn of_key(key: Self::Key) -> Self;

    /// The key's bits.
    fn to_radix(self) -> u64 {
        self.key().into()
    }

    /// An element of these bits.
    ///
    /// # Panics
    /// If no element has them.
    fn of_radix(bits: u64) -> Self {
        let Ok(key) = Self::Key::try_from(bits) else { panic!("bits of another type of element") };
        Self::of_key(key)
    }
}

/// The bounds of a type, for scans of extremes.
pub(super) trait Bounded: Number {
    const LEAST: Self;
    const GREATEST: Self;
    /// The greater one; NaN if either is.
    fn greater(a: Self, b: Self) -> Self;
    /// The lesser one; NaN if either is.
    fn lesser(a: Self, b: Self) -> Self;
    fn as_f64(self) -> f64;
}

macro_rules! integers {
    ($($t:ident $key:ident,)*) => { $(
        impl Number for $t {
            type Wide = $t;
            const ZERO: $t = 0;
            const ONE: $t = 1;
            fn widen(self) -> $t { self }
            fn narrow(wide: $t) -> $t { wide }
            fn add(a: $t, b: $t) -> $t { a.wrapping_add(b) }
            fn mul(a: $t, b: $t) -> $t { a.wrapping_mul(b) }
            fn is_nan(self) -> bool { false }
        }
        impl Ordered for $t {
            type Key = $key;
            // Numbers below zero come first, whose highest bit is set.
            fn key(self) -> $key { (self ^ <$t>::MIN) as $key & ($key::MAX >> ($key::BITS - <$t>::BITS)) }
            fn sort(values: &mut [$t]) { sort_by_keys(values, $key::sort_keys); }
            fn merge(values: &mut [$t]) { sort_by_keys(values, $key::merge_keys); }
        }
        impl OfKey for $t {
            const EXACTLY: bool = true;
            fn of_key(key: $key) -> $t { key as $t ^ <$t>::MIN }
        }
        impl Bounded for $t {
            const LEAST: $t = <$t>::MIN;
            const GREATEST: $t = <$t>::MAX;
            fn greater(a: $t, b: $t) -> $t { a.max(b) }
            fn lesser(a: $t, b: $t) -> $t { a.min(b) }
            fn as_f64(self) -> f64 { self as f64 }
        }
    )* };
}
integers! { i8 u32, i16 u32, i32 u32, i64 u64, u8 u32, u16 u32, u32 u32, u64 u64, }

impl Ordered for bool {
    type Key = u32;
    fn key(self) -> u32 {
        self.into()
    }
}

macro_rules! floats {
    ($($t:ident $bits:ident $wide:ident;)*) => { $(
        impl Number for $t {
            type Wide = $wide;
            const ZERO: $wide = 0.0;
            const ONE: $wide = 1.0;
            fn widen(self) -> $wide { self as $wide }
            fn narrow(wide: $wide) -> $t { wide as $t }
            fn add(a: $wide, b: $wide) -> $wide { a + b }
            fn mul(a: $wide, b: $wide) -> $wide { a * b }
            fn is_nan(self) -> bool { self != self }
        }
        impl Ordered for $t {
            type Key = $bits;
            fn key(self) -> $bits {
                if self != self {
                    return $bits::MAX;
                }
                // Both zeros are the same number.
                let bits = (self + 0.0).to_bits();
                if bits > $bits::MAX >> 1 { !bits } else { bits ^ ($bits::MAX ^ $bits::MAX >> 1) }
            }
            fn sort(values: &mut [$t]) { sort_by_keys(values, $bits::sort_keys); }
            fn merge(values: &mut [$t]) { sort_by_keys(values, $bits::merge_keys); }
            fn is_missing(self) -> bool { self != self }
        }
        impl OfKey for $t {
            const EXACTLY: bool = false;
            fn of_key(key: $bits) -> $t {
                let sign = $bits::MAX ^ $bits::MAX >> 1;
                $t::from_bits(if key & sign == 0 { !key } else { key ^ sign })
            }
        }
        impl Bounded for $t {
            const LEAST: $t = $t::NEG_INFINITY;
            const GREATEST: $t = $t::INFINITY;
            fn greater(a: $t, b: $t) -> $t { if a != a || a >= b { a } else { b } }
            fn lesser(a: $t, b: $t) -> $t { if a != a || a <= b { a } else { b } }
            fn as_f64(self) -> f64 { f64::from(self) }
        }
    )* };
}
floats! { f32 u32 f64; f64 u64 f64; }

/// Sorts elements by their keys. Where those do not say all, what has the same is put back in its order afterwards: zeros,
/// and NaN.
fn sort_by_keys<A: OfKey + Default>(values: &mut [A], sort: fn(&mut [A::Key])) {
    let zero = A::default();
    let set_aside = |which: &dyn Fn(A) -> bool| -> Vec<A> {
        if A::EXACTLY { Vec::new() } else { values.iter().copied().filter(|v| which(*v)).collect() }
    };
    let (zeros, missing) = (set_aside(&|v| v == zero), set_aside(&A::is_missing));
    let mut keys: Vec<A::Key> = values.iter().map(|v| v.key()).collect();
    sort(&mut keys);
    for (value, key) in values.iter_mut().zip(&keys) {
        *value = A::of_key(*key);
    }
    let first = keys.partition_point(|k| *k < zero.key());
    values[first..first + zeros.len()].copy_from_slice(&zeros);
    let n = values.len();
    values[n - missing.len()..].copy_from_slice(&missing);
}

macro_rules! complex {
    ($($t:ident $wide:ident;)*) => { $(
        impl Number for Complex<$t> {
            type Wide = Complex<$wide>;
            const ZERO: Complex<$wide> = Complex { re: 0.0, im: 0.0 };
            const ONE: Complex<$wide> = Complex { re: 1.0, im: 0.0 };
            fn widen(self) -> Complex<$wide> { Complex { re: self.re as $wide, im: self.im as $wide } }
            fn narrow(wide: Complex<$wide>) -> Self { Complex { re: wide.re as $t, im: wide.im as $t } }
            fn add(a: Complex<$wide>, b: Complex<$wide>) -> Complex<$wide> { a + b }
            fn mul(a: Complex<$wide>, b: Complex<$wide>) -> Complex<$wide> { a * b }
            fn is_nan(self) -> bool { self.re != self.re || self.im != self.im }
        }
        impl Ordered for Complex<$t> {
            // Real parts first, and what has a part that is NaN last, as NumPy has it.
            type Key = (bool, <$t as Ordered>::Key, <$t as Ordered>::Key);
            fn key(self) -> Self::Key { (Number::is_nan(self), self.re.key(), self.im.key()) }
            fn is_missing(self) -> bool { Number::is_nan(self) }
        }
    )* };
}
complex! { f32 f64; f64 f64; }

/// Runs a block with the Rust type of a dtype that has numbers: `with_number!(d, A => expr)`; an error for `bool`.
macro_rules! with_number {
    ($dtype:expr, $t:ident => $body:expr) => {
        match $dtype {
            tilework_expr::DType::C32 => { type $t = tilework_expr::Complex<f32>; $body }
            tilework_expr::DType::C64 => { type $t = tilework_expr::Complex<f64>; $body }
            dtype => $crate::library::number::with_bounded!(dtype, $t => $body),
        }
    };
}

/// The same for real numbers.
macro_rules! with_bounded {
    ($dtype:expr, $t:ident => $body:expr) => {
        match $dtype {
            tilework_expr::DType::F32 => {
                type $t = f32;
                $body
            }
            dtype => $crate::library::number::with_wide!(dtype, $t => $body),
        }
    };
}

/// The same for real numbers in their wide types.
macro_rules! with_wide {
    ($dtype:expr, $t:ident => $body:expr) => {
        match $dtype {
            tilework_expr::DType::I8 => {
                type $t = i8;
                $body
            }
            tilework_expr::DType::I16 => {
                type $t = i16;
                $body
            }
            tilework_expr::DType::I32 => {
                type $t = i32;
                $body
            }
            tilework_expr::DType::I64 => {
                type $t = i64;
                $body
            }
            tilework_expr::DType::U8 => {
                type $t = u8;
                $body
            }
            tilework_expr::DType::U16 => {
                type $t = u16;
                $body
            }
            tilework_expr::DType::U32 => {
                type $t = u32;
                $body
            }
            tilework_expr::DType::U64 => {
                type $t = u64;
                $body
            }
            tilework_expr::DType::F64 => {
                type $t = f64;
                $body
            }
            dtype => Err(format!("elements of {dtype} are not taken")),
        }
    };
}
pub(super) use {with_bounded, with_number, with_wide};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_in_one_order_and_equal_ones_keep_theirs() {
        let odd = f64::from_bits(f64::NAN.to_bits() | 77);
        let mut x =
            [3.0, odd, -0.0, f64::INFINITY, 0.0, -1.5, f64::NAN, -0.0, f64::NEG_INFINITY, 1e-310, -1e-310];
        let mut want = x;
        want.sort_by(|a, b| {
            a.is_nan().cmp(&b.is_nan()).then(a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal))
        });
        f64::sort(&mut x);
        assert_eq!(x.map(f64::to_bits), want.map(f64::to_bits));
        let keys: Vec<u64> = x.iter().map(|v| v.key()).collect();
        assert!(keys.is_sorted());
        assert_eq!(f32::key(-0.0), f32::key(0.0));
    }
}

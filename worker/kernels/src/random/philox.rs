//! Raw words: Philox4x64-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC11). Word
//! `e` of a stream is word `e % 4` of counter `e / 4`.
//!
//! Owns which bits a word has and the choice of instructions that make them. Must not know distributions.

#[cfg(target_arch = "x86_64")]
mod wide;

use crate::ops::versions;
use std::mem::MaybeUninit;
use std::ops::Range;

const MUL: [u64; 2] = [0xD2E7_470E_E14C_6C93, 0xCA5A_8263_9512_1157];
const WEYL: [u64; 2] = [0x9E37_79B9_7F4A_7C15, 0xBB67_AE85_84CA_A73B];
const ROUNDS: usize = 10;
/// Counters worked on side by side where vector registers have 4 words or fewer.
const NARROW: usize = 8;
/// The most words made at a time, a multiple of all that loops make side by side.
pub(super) const BATCH: usize = 256;

/// Room for words, of which loops may write more than they were asked for.
pub(super) type Room = [MaybeUninit<u64>; BATCH];

/// High and low half of the products with a constant, by halves of words as vector registers multiply them.
#[inline(always)]
fn multiply<const N: usize>(by: u64, x: [u64; N]) -> ([u64; N], [u64; N]) {
    const LOW: u64 = u32::MAX as u64;
    let (mut high, mut low) = ([0; N], [0; N]);
    for i in 0..N {
        let (a, b) = (x[i] & LOW, x[i] >> 32);
        let (c, d) = (by & LOW, by >> 32);
        let first = a * c;
        let t = b * c + (first >> 32);
        let u = a * d + (t & LOW);
        high[i] = b * d + (t >> 32) + (u >> 32);
        low[i] = u << 32 | first & LOW;
    }
    (high, low)
}

/// High and low half of one product.
#[inline(always)]
fn multiply_one(by: u64, x: u64) -> (u64, u64) {
    let product = u128::from(by) * u128::from(x);
    ((product >> 64) as u64, product as u64)
}

/// The four words of each of [`NARROW`] counters from `counter` on: word `j` of counter `i` is `[j][i]`.
#[inline(always)]
fn narrow(keys: &Keys, counter: u64) -> [[u64; NARROW]; 4] {
    let mut x = [std::array::from_fn(|i| counter.wrapping_add(i as u64)), [0; _], [0; _], [0; _]];
    for k in &keys.rounds {
        let (a_high, a_low) = multiply(MUL[0], x[0]);
        let (b_high, b_low) = multiply(MUL[1], x[2]);
        for i in 0..NARROW {
            x[0][i] = b_high[i] ^ x[1][i] ^ k[0];
            x[2][i] = a_high[i] ^ x[3][i] ^ k[1];
        }
        (x[1], x[3]) = (b_low, a_low);
    }
    x
}

/// The keys of all rounds.
#[derive(Clone, Debug)]
struct Keys {
    rounds: [[u64; 2]; ROUNDS],
}

impl Keys {
    fn new(key: u64) -> Keys {
        let of = |i: u64| [WEYL[0].wrapping_mul(i).wrapping_add(key), WEYL[1].wrapping_mul(i)];
        Keys { rounds: std::array::from_fn(|i| of(i as u64)) }
    }

    /// The four words of one counter. Of the counter's words three are 0, so that two products of the first two rounds
    /// are of constants.
    #[inline(always)]
    fn one(&self, counter: u64) -> [u64; 4] {
        let k = &self.rounds;
        let (high, low) = multiply_one(MUL[0], counter);
        let (a, b) = (multiply_one(MUL[0], k[0][0]), multiply_one(MUL[1], high ^ k[0][1]));
        let mut x = [b.0 ^ k[1][0], b.1, a.0 ^ low ^ k[1][1], a.1];
        for k in &k[2..] {
            let (a, b) = (multiply_one(MUL[0], x[0]), multiply_one(MUL[1], x[2]));
            x = [b.0 ^ x[1] ^ k[0], b.1, a.0 ^ x[3] ^ k[1], a.1];
        }
        x
    }

    /// The four words of a counter of any words.
    fn any(&self, mut x: [u64; 4]) -> [u64; 4] {
        for k in &self.rounds {
            let (a, b) = (multiply_one(MUL[0], x[0]), multiply_one(MUL[1], x[2]));
            x = [b.0 ^ x[1] ^ k[0], b.1, a.0 ^ x[3] ^ k[1], a.1];
        }
        x
    }
}

/// A loop that writes the words of `n` counters from `counter` on, [`BATCH`] words at most, and perhaps of some more.
///
/// # Safety
/// Room for [`BATCH`] words.
type Fill = unsafe fn(keys: &Keys, counter: u64, n: usize, out: *mut u64);

/// # Safety
/// As for [`Fill`].
#[inline(always)]
unsafe fn fill_body(keys: &Keys, counter: u64, n: usize, out: *mut u64) {
    for at in (0..n).step_by(NARROW) {
        let words = narrow(keys, counter.wrapping_add(at as u64));
        let counters: [[u64; 4]; NARROW] = std::array::from_fn(|i| std::array::from_fn(|j| words[j][i]));
        // SAFETY: `n` counters fit, and so does a whole multiple of `NARROW` of them.
        unsafe { out.add(4 * at).cast::<[[u64; 4]; NARROW]>().write(counters) };
    }
}

versions! { fn fill_narrow<>(keys: &Keys, counter: u64, n: usize, out: *mut u64) = fill_body }

/// The loop for this processor.
fn fill() -> Fill {
    #[cfg(target_arch = "x86_64")]
    if let Some(fill) = wide::fill() {
        return fill;
    }
    fill_narrow()
}

/// A stream of words.
#[derive(Clone, Debug)]
pub(super) struct Philox {
    keys: Keys,
    fill: Fill,
}

impl Philox {
    pub(super) fn new(key: u64) -> Philox {
        Philox { keys: Keys::new(key), fill: fill() }
    }

    /// The four words of a counter.
    pub(super) fn counter(&self, counter: [u64; 4]) -> [u64; 4] {
        self.keys.any(counter)
    }

    /// Writes words from `start` on to the room, and says where: at most `n`, but at least one, so that the words
    /// after them begin with a whole counter.
    pub(super) fn neighbours(&self, start: u64, n: usize, room: &mut Room) -> Range<usize> {
        let first = (start % 4) as usize;
        let end = (first + n).min(BATCH);
        // SAFETY: the room is for a batch; the loop was chosen for this processor.
        unsafe { (self.fill)(&self.keys, start / 4, end.div_ceil(4), room.as_mut_ptr().cast()) };
        first..end
    }

    /// Writes words `start + i * step` to the first `n` places of the room.
    pub(super) fn stepped(&self, start: u64, step: i64, n: usize, room: &mut Room) {
        let (mut e, mut block, mut held) = (start, None, [0; 4]);
        for o in &mut room[..n] {
            if block != Some(e / 4) {
                block = Some(e / 4);
                held = self.keys.one(e / 4);
            }
            o.write(held[(e % 4) as usize]);
            e = e.wrapping_add_signed(step);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of a loop, and whether it left all that is not its own alone.
    fn words(fill: Fill, key: u64, counter: u64, n: usize) -> Vec<u64> {
        let mut out = vec![0; BATCH];
        // SAFETY: room for a batch; the processor has the loop's instructions.
        unsafe { fill(&Keys::new(key), counter, n, out.as_mut_ptr()) };
        out.truncate(4 * n);
        out
    }

    #[test]
    fn the_reference_words() {
        let expected =
            [0x1655_4d9e_ca36_314c, 0xdb20_fe9d_672d_0fdc, 0xd7e7_72ce_e186_176b, 0x7e68_b68a_ec7b_a23b];
        assert_eq!(Keys::new(0).one(0), expected);
        assert_eq!(Keys::new(0).any([0; 4]), expected);
        assert_eq!(Keys::new(5).any([1 << 40, 0, 0, 0]), Keys::new(5).one(1 << 40));
        assert_eq!(words(fill_body, 0, 0, 1), expected);
        assert_eq!(words(fill(), 0, 0, 1), expected);
    }

    #[test]
    fn every_loop_gives_the_same_words() {
        let keys = [0, 1, 5, u64::MAX, 0x9e37_79b9_7f4a_7c15, 1 << 63];
        // The products with the first of a batch carry into their high halves, or those with the others do.
        let counters =
            [0, 1, 7, 1000, (1 << 32) - 9, u64::from(u32::MAX), (1 << 62) - 65, 0x0137_53ab_77c9_1e4f];
        for key in keys {
            for counter in counters {
                for n in (0..=BATCH / 4).step_by(5).chain([1, 8, 24, 31, 32, 33, 64]) {
                    let one: Vec<u64> =
                        (counter..counter + n as u64).flat_map(|c| Keys::new(key).one(c)).collect();
                    assert_eq!(words(fill_body, key, counter, n), one, "{key} {counter} {n}");
                    assert_eq!(words(fill_narrow(), key, counter, n), one, "{key} {counter} {n}");
                    assert_eq!(words(fill(), key, counter, n), one, "{key} {counter} {n}");
                }
            }
        }
    }

    #[test]
    fn words_do_not_depend_on_where_a_run_starts() {
        let (stream, mut room) = (Philox::new(5), [MaybeUninit::uninit(); BATCH]);
        let read = |w: &MaybeUninit<u64>| {
            // SAFETY: read only where it was written.
            unsafe { w.assume_init() }
        };
        let word = |e: u64| stream.keys.one(e / 4)[(e % 4) as usize];
        for start in [0, 1, 4, 7, 33] {
            for n in [1, 2, 4, 5, 127, 253, 255, 256, 1000] {
                let got = stream.neighbours(start, n, &mut room);
                assert!(got.len() <= n && (got.len() == n || (start + got.len() as u64).is_multiple_of(4)));
                let got: Vec<u64> = room[got].iter().map(read).collect();
                assert_eq!(got, (start..).map(word).take(got.len()).collect::<Vec<_>>());
            }
            for step in [-1, 1, 3, 4, 9] {
                stream.stepped(start + 400, step, 40, &mut room);
                let got: Vec<u64> = room[..40].iter().map(read).collect();
                let at = |i: i64| (start + 400).wrapping_add_signed(i * step);
                assert_eq!(got, (0..40).map(|i| word(at(i))).collect::<Vec<_>>());
            }
        }
    }
}

//! Numbers in no order for tests, the same each time: Knuth's linear congruential generator, of whose words the high bits are
//! taken.
//!
//! Owns the generator. Must not know what is tested.

/// Its words from a seed on.
pub(crate) fn words(seed: u64) -> impl Iterator<Item = u64> {
    let next = |state: &u64| state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
    std::iter::successors(Some(next(&seed)), move |state| Some(next(state)))
}

/// So many numbers below `kinds`.
pub(crate) fn draws(n: usize, kinds: u64, seed: u64) -> Vec<u64> {
    words(seed).take(n).map(|word| (word >> 33) % kinds).collect()
}

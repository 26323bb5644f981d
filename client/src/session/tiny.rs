//! A word at once on computations of very many tiny chunks, which cost far more to hand out than to compute.
//!
//! Owns what is many and tiny, and the words. Must not know sessions.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use tilework_expr::{Chunks, Lowered};
use tilework_plan::quantities::{bytes, count, time_us};

/// Tasks of one stage above which its chunks are looked at.
const TASKS_MANY: u64 = 100_000;
/// Bytes of a chunk that takes less to compute than its task to hand out.
const BYTES_TINY: usize = 64 << 10;
/// What a task costs beside what it computes, for every worker there is, microseconds.
const TASK_US: u64 = 4;
/// Arrays that were warned of and are remembered.
const SEEN_MAX: usize = 1000;

/// Says on stderr that a plan has far too many chunks, and which would do. Once for each shape and chunk.
pub(super) fn warn(lowered: &Lowered) {
    static SEEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    if let Some(text) = advice(lowered) {
        let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() < SEEN_MAX && seen.insert(text.clone()) {
            eprintln!("tilework: {text}");
        }
    }
}

/// What is to be said of the stage with the most tasks.
fn advice(lowered: &Lowered) -> Option<String> {
    let made = lowered.plan.stages.iter().zip(&lowered.works).filter(|(s, _)| !s.is_alias());
    let (stage, work) = made.max_by_key(|(s, _)| s.grid.n_chunks())?;
    let dtype = work.dtype();
    let n = stage.grid.n_chunks();
    let each = stage.grid.chunk_len_max().saturating_mul(dtype.size());
    if n <= TASKS_MANY || each >= BYTES_TINY {
        return None;
    }
    let better = Chunks::Auto.grid(&stage.grid.shape(), dtype).ok()?;
    let by = |lens: &[usize]| lens.iter().map(usize::to_string).collect::<Vec<_>>().join(" × ");
    Some(format!(
        "an array of {} {dtype} in {} chunks of {}, {} each: to hand out their tasks alone takes about {}; chunks of {} \
         ({}) would do, or leave them to be chosen",
        by(&stage.grid.shape()),
        count(n),
        by(&stage.grid.chunk_shape_max()),
        bytes(each as u64),
        time_us(n.saturating_mul(TASK_US)),
        by(&better.chunk_shape_max()),
        bytes((better.chunk_len_max() * dtype.size()) as u64),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tilework_expr::{Expr, Program, Scalar, UnaryOp};

    fn said(shape: &[usize], chunk: isize) -> Option<String> {
        let ones = Expr::full(shape, &chunk.into(), Scalar::new(1.0)).unwrap();
        advice(&Lowered::of(&Program::new(&[ones.unary(UnaryOp::Sin).unwrap()])).unwrap())
    }

    #[test]
    fn many_tiny_chunks_are_told_what_would_do() {
        let expected = "an array of 5000 × 5000 f64 in 25,000,000 chunks of 1 × 1, 8 B each: to hand out their tasks alone \
                        takes about 1m 40s; chunks of 834 × 834 (5.56 MB) would do, or leave them to be chosen";
        assert_eq!(said(&[5000, 5000], 1).as_deref(), Some(expected));
        assert_eq!(said(&[5000, 5000], 1000), None);
        assert_eq!(said(&[300, 300], 1), None, "not that many");
        assert_eq!(said(&[1 << 34], 1 << 14), None, "not that tiny");
    }
}

//! Runs of a workload against the clock: one warm-up, then so many timed runs.

use serde::{Deserialize, Serialize};
use std::time::Instant;

/// The timed runs of one workload, in order, and the value that the last returned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// Seconds of each run; at least one.
    pub seconds: Vec<f64>,
    /// What the workload returned: the same for every engine that has the same inputs.
    pub value: f64,
}

impl Timing {
    /// Runs `work` once to warm up, then `repeats` times (at least once) against the clock.
    ///
    /// # Errors
    /// The first error of `work`.
    pub fn measure(repeats: usize, mut work: impl FnMut() -> anyhow::Result<f64>) -> anyhow::Result<Timing> {
        work()?;
        let mut seconds = Vec::with_capacity(repeats.max(1));
        let mut value = f64::NAN;
        for _ in 0..repeats.max(1) {
            let started = Instant::now();
            value = work()?;
            seconds.push(started.elapsed().as_secs_f64());
        }
        Ok(Timing { seconds, value })
    }

    /// Seconds of the run in the middle.
    #[must_use]
    pub fn median(&self) -> f64 {
        median(&self.seconds)
    }

    /// Seconds of the fastest run.
    #[must_use]
    pub fn min(&self) -> f64 {
        self.seconds.iter().copied().fold(f64::INFINITY, f64::min)
    }

    /// Seconds of the slowest run.
    #[must_use]
    pub fn max(&self) -> f64 {
        self.seconds.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }
}

/// The value in the middle, or the mean of the two there; NaN of nothing.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert!(median(&[]).is_nan());
        assert_eq!(median(&[3.0]), 3.0);
        assert_eq!(median(&[9.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 100.0]), 3.0);
    }

    #[test]
    fn the_warm_up_does_not_count() {
        let mut calls = 0;
        let timing = Timing::measure(3, || {
            calls += 1;
            Ok(f64::from(calls))
        });
        let timing = timing.unwrap();
        assert_eq!((timing.seconds.len(), timing.value, calls), (3, 4.0, 4));
        assert!(timing.min() <= timing.median() && timing.median() <= timing.max());
    }

    #[test]
    fn an_error_ends_the_runs() {
        let mut calls = 0;
        let timing = Timing::measure(3, || {
            calls += 1;
            if calls == 2 { anyhow::bail!("lost") } else { Ok(0.0) }
        });
        assert_eq!(timing.unwrap_err().to_string(), "lost");
        assert_eq!(calls, 2);
    }
}

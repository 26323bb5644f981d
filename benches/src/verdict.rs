//! Which chunk size wins, and within what range it does not matter.

/// The best of a row of measurements, and its neighbours on both sides that are about as good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Index of the best.
    pub best: usize,
    /// Index of the first of the run of good ones that the best is in.
    pub first: usize,
    /// Index of the last of them.
    pub last: usize,
}

/// The lowest value, and the run around it in which every value is within `tolerance` (0.1: 10 %) of it. A failed
/// measurement (`None`) ends the run. `None` where all failed.
#[must_use]
pub fn verdict(values: &[Option<f64>], tolerance: f64) -> Option<Verdict> {
    let there = values.iter().enumerate().filter_map(|(i, v)| Some((i, (*v)?)));
    let (best, lowest) = there.min_by(|a, b| a.1.total_cmp(&b.1))?;
    let good = |i: &usize| values[*i].is_some_and(|v| v <= lowest * (1.0 + tolerance));
    let first = (0..best).rev().take_while(good).last().unwrap_or(best);
    let last = (best + 1..values.len()).take_while(good).last().unwrap_or(best);
    Some(Verdict { best, first, last })
}

/// For each column, the geometric mean over the rows of value / best of the row: 1 is best everywhere. A column in
/// which a row failed has none; rows that failed in every column do not count.
#[must_use]
pub fn scores(rows: &[Vec<Option<f64>>]) -> Vec<Option<f64>> {
    let n_columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let best = |row: &[Option<f64>]| row.iter().flatten().copied().min_by(f64::total_cmp);
    let rows: Vec<(&[Option<f64>], f64)> =
        rows.iter().filter_map(|r| Some((r.as_slice(), best(r)?))).collect();
    let score = |column: usize| {
        let logs: Option<Vec<f64>> =
            rows.iter().map(|(row, best)| Some((row.get(column).copied().flatten()? / best).ln())).collect();
        let logs = logs.filter(|l| !l.is_empty())?;
        Some((logs.iter().sum::<f64>() / logs.len() as f64).exp())
    };
    (0..n_columns).map(score).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(values: &[f64]) -> Vec<Option<f64>> {
        values.iter().map(|&v| (v > 0.0).then_some(v)).collect()
    }

    #[test]
    fn the_range_is_the_run_around_the_best() {
        let check = |values: &[f64], best, first, last| {
            assert_eq!(verdict(&some(values), 0.1), Some(Verdict { best, first, last }), "{values:?}");
        };
        check(&[3.0], 0, 0, 0);
        check(&[3.0, 2.0, 1.0], 2, 2, 2);
        check(&[1.05, 1.0, 1.1, 1.2], 1, 0, 2);
        // As good, but on the other side of a bad one or a failed one: not in the run.
        check(&[1.0, 2.0, 1.0, 1.05], 0, 0, 0);
        check(&[1.0, 0.0, 1.0, 1.05], 0, 0, 0);
        assert_eq!(verdict(&[None, None], 0.1), None);
        assert_eq!(verdict(&[], 0.1), None);
    }

    #[test]
    fn scores_compare_rows_of_different_size() {
        let rows = [some(&[1.0, 2.0, 4.0]), some(&[400.0, 100.0, 100.0])];
        let scores: Vec<f64> = scores(&rows).into_iter().flatten().collect();
        let expected = [2.0, 2f64.sqrt(), 2.0];
        assert!(scores.iter().zip(expected).all(|(s, e)| (s - e).abs() < 1e-12), "{scores:?}");
    }

    #[test]
    fn a_failure_excludes_its_column_unless_the_whole_row_failed() {
        let rows = [some(&[3.0, 3.0]), some(&[0.0, 5.0]), some(&[0.0, 0.0])];
        assert_eq!(scores(&rows), vec![None, Some(1.0)]);
        assert_eq!(scores(&[some(&[0.0, 0.0])]), vec![None, None]);
        assert_eq!(scores(&[]), Vec::<Option<f64>>::new());
    }
}

//! What went wrong with a task that is tried again: deaths, silences, transfers, and the attempts in which its operation
//! failed, how many of those there may be and what came of each.
//!
//! Knows one task. Must not know where it is tried next.

use std::fmt::Write as _;
use std::ops::Range;
use tilework_plan::WorkerId;

/// Attempts of which is said what became of them: the first ones, and the last.
const SAID_MAX: usize = 4;
/// Of what an attempt said, bytes that are kept where there are several.
const SAID_BYTES_MAX: usize = 2000;

/// What went wrong with a task so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct RetryRecord {
    /// Workers that died while they may have run it, by their incarnations: one that comes back did not.
    pub deaths: Vec<u64>,
    /// Workers that fell silent then.
    pub silences: u32,
    /// Attempts in which its operation failed.
    pub attempts: Attempts,
    /// Workers that could not do it.
    pub failures: u32,
    /// Transfers towards it that failed.
    pub transfers_failed: u32,
    /// Transfers of its chunk that failed.
    pub unreachable: u32,
    /// Where it should not go again, if it can be helped.
    pub avoid: Vec<WorkerId>,
    /// A worker with this much memory could not take it,
    pub memory_over: u64,
    /// and said that it needs so much.
    pub memory_needed: u64,
}

impl RetryRecord {
    /// It should rather go elsewhere.
    pub fn avoid(&mut self, worker: WorkerId) {
        if !self.avoid.contains(&worker) {
            self.avoid.push(worker);
        }
    }
}

/// What came of one attempt.
#[derive(Clone, Debug)]
struct Attempt {
    /// Which, counted from 1.
    number: u64,
    /// The worker's name.
    worker: String,
    said: String,
}

/// All that failed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attempts {
    n: u64,
    kept: Vec<Attempt>,
}

impl Attempts {
    /// One more has failed; whether there may be another, where a task is tried again so many times. If not, why it has
    /// failed, in words.
    pub fn failed(&mut self, retries: u32, worker: &str, said: &str) -> Result<(), String> {
        self.n += 1;
        if retries == 0 {
            return Err(said.to_owned());
        }
        if self.kept.len() == SAID_MAX {
            self.kept.pop();
        }
        let mut end = said.len().min(SAID_BYTES_MAX);
        while !said.is_char_boundary(end) {
            end -= 1;
        }
        let said = said[..end].to_owned();
        self.kept.push(Attempt { number: self.n, worker: worker.to_owned(), said });
        if self.n <= u64::from(retries) { Ok(()) } else { Err(self.in_words()) }
    }

    fn in_words(&self) -> String {
        let n = self.n;
        let [first, others @ ..] = &self.kept[..] else { return format!("it failed in {n} attempts") };
        if others.iter().all(|a| a.said == first.said) {
            let mut workers: Vec<String> = self.kept.iter().map(|a| format!("'{}'", a.worker)).collect();
            workers.sort_unstable();
            workers.dedup();
            return format!("it failed in each of {n} attempts, on {}: {}", workers.join(", "), first.said);
        }
        let mut text = format!("it failed in each of {n} attempts:");
        let mut next = 1;
        for Attempt { number, worker, said } in &self.kept {
            left_out(next..*number, &mut text);
            // Writing to a string does not fail.
            let _ = write!(text, "\n  {number}, on '{worker}': {said}");
            next = number + 1;
        }
        text
    }
}

fn left_out(attempts: Range<u64>, text: &mut String) {
    if !attempts.is_empty() {
        let _ = write!(text, "\n  ({} more)", attempts.end - attempts.start);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said when all attempts have failed.
    fn why(retries: u32, said: &[(&str, &str)]) -> String {
        let mut attempts = Attempts::default();
        let (last, before) = said.split_last().unwrap();
        before.iter().for_each(|(worker, said)| assert_eq!(attempts.failed(retries, worker, said), Ok(())));
        attempts.failed(retries, last.0, last.1).unwrap_err()
    }

    #[test]
    fn the_only_attempt_is_not_spoken_of() {
        assert_eq!(why(0, &[("w", "no")]), "no");
    }

    #[test]
    fn what_is_the_same_is_said_once() {
        let text = why(2, &[("b", "no"), ("a", "no"), ("b", "no")]);
        assert_eq!(text, "it failed in each of 3 attempts, on 'a', 'b': no");
    }

    #[test]
    fn of_many_the_first_and_the_last_are_told() {
        assert_eq!(
            why(1, &[("a", "no"), ("b", "nor here")]),
            "it failed in each of 2 attempts:\n  1, on 'a': no\n  2, on 'b': nor here"
        );
        let said: Vec<String> = (1..=100).map(|n| format!("{n}{}", "ä".repeat(10_000))).collect();
        let all: Vec<(&str, &str)> = said.iter().map(|s| ("w", s.as_str())).collect();
        let text = why(99, &all);
        assert!(text.len() < 9000 && text.contains("\n  3, on 'w': 3ä"), "{} bytes", text.len());
        assert!(text.contains("\n  (96 more)\n  100, on 'w': 100ä"), "{} bytes", text.len());
    }
}

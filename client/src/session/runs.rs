//! What the latest jobs of a session took.
//!
//! Knows programs by their digests alone. Must not know who ran them.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use tilework_expr::Program;
use tilework_plan::Figures;

/// Programs of a generation. Those of the latest two are remembered.
const PER_GENERATION: usize = 8192;

/// Tells one program from another.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Digest(u64);

impl Digest {
    pub(super) fn of(program: &Program) -> Digest {
        let mut hasher = DefaultHasher::new();
        program.hash(&mut hasher);
        Digest(hasher.finish())
    }
}

/// The figures of the latest run of each program. However often one is run, it takes one place.
#[derive(Debug, Default)]
pub(super) struct Runs {
    latest: HashMap<Digest, Figures>,
    before: HashMap<Digest, Figures>,
}

impl Runs {
    pub(super) fn note(&mut self, program: Digest, figures: Figures) {
        self.latest.insert(program, figures);
        if self.latest.len() >= PER_GENERATION {
            self.before = std::mem::take(&mut self.latest);
        }
    }

    pub(super) fn of(&self, program: Digest) -> Option<Figures> {
        self.latest.get(&program).or_else(|| self.before.get(&program)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn took(n_tasks: u64) -> Figures {
        Figures { n_tasks, ..Figures::default() }
    }

    #[test]
    fn the_latest_run_of_a_program_is_remembered_however_often_another_is_run() {
        let mut runs = Runs::default();
        runs.note(Digest(1), took(10));
        runs.note(Digest(1), took(11));
        for again in 0..10 * PER_GENERATION as u64 {
            runs.note(Digest(2), took(again));
        }
        assert_eq!(runs.of(Digest(1)), Some(took(11)));
        for other in 3..PER_GENERATION as u64 {
            runs.note(Digest(other), took(1));
        }
        assert_eq!(runs.of(Digest(1)), Some(took(11)));
    }

    #[test]
    fn two_generations_are_all_that_is_remembered() {
        let mut runs = Runs::default();
        for program in 0..5 * PER_GENERATION as u64 {
            runs.note(Digest(program), took(program));
            assert!(runs.latest.len() + runs.before.len() <= 2 * PER_GENERATION);
        }
        assert_eq!(runs.of(Digest(0)), None);
        let last = 5 * PER_GENERATION as u64 - 1;
        assert_eq!(runs.of(Digest(last)), Some(took(last)));
    }
}

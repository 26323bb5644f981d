//! The numbers of leases as others see them: none stands for two, and who does not have the key cannot tell those of
//! others from its own. A lease is what lets a client put a literal's chunk to a worker.
//!
//! Owns the key. The state machine counts its leases and relies on their order; must not know what a lease is for.

use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher, RandomState};
use tilework_plan::{Instruction, LeaseId, Report, Update};

/// Rounds of the permutation; four suffice against whoever sees some of its values.
const ROUNDS: u32 = 4;

/// A permutation of the numbers that only its key tells: a Feistel network over the two halves, after Luby and Rackoff.
#[derive(Clone, Copy)]
pub(crate) struct Leases {
    key: [u64; 2],
}

impl Leases {
    /// Those of a new scheduler.
    pub(crate) fn drawn() -> Leases {
        // The standard library's seeds come from the operating system.
        Leases { key: [RandomState::new().hash_one(0), RandomState::new().hash_one(1)] }
    }

    /// The state machine's number as others see it.
    fn hidden(self, LeaseId(lease): LeaseId) -> LeaseId {
        let (mut left, mut right) = halves(lease);
        for round in 0..ROUNDS {
            (left, right) = (right, left ^ self.mixed(round, right));
        }
        LeaseId(u64::from(left) << 32 | u64::from(right))
    }

    /// What somebody says, as the state machine's number. It has none of those that somebody has made up.
    pub(crate) fn revealed(self, LeaseId(lease): LeaseId) -> LeaseId {
        let (mut left, mut right) = halves(lease);
        for round in (0..ROUNDS).rev() {
            (left, right) = (right ^ self.mixed(round, left), left);
        }
        LeaseId(u64::from(left) << 32 | u64::from(right))
    }

    fn mixed(self, round: u32, half: u32) -> u32 {
        let mut hasher = DefaultHasher::new();
        (self.key, round, half).hash(&mut hasher);
        hasher.finish() as u32
    }

    /// What a worker is told.
    pub(crate) fn instructions(self, mut instructions: Vec<Instruction>) -> Vec<Instruction> {
        for instruction in &mut instructions {
            if let Instruction::Lease { lease, .. } | Instruction::Revoke { lease, .. } = instruction {
                *lease = self.hidden(*lease);
            }
        }
        instructions
    }

    /// What a client is told.
    pub(crate) fn update(self, mut update: Update) -> Update {
        if let Update::Upload { lease, .. } = &mut update {
            *lease = self.hidden(*lease);
        }
        update
    }

    /// What a worker says.
    pub(crate) fn reports(self, mut reports: Vec<Report>) -> Vec<Report> {
        for report in &mut reports {
            match report {
                Report::Done { lease, .. }
                | Report::Failed { lease, .. }
                | Report::Unreachable { lease, .. }
                | Report::Returned { lease, .. } => *lease = self.revealed(*lease),
                Report::Alive { .. }
                | Report::Threads { .. }
                | Report::Lost { .. }
                | Report::Spilled { .. } => {}
            }
        }
        reports
    }
}

fn halves(n: u64) -> (u32, u32) {
    ((n >> 32) as u32, n as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const N: u64 = 100_000;

    fn hidden(key: [u64; 2]) -> Vec<u64> {
        (0..N).map(|n| Leases { key }.hidden(LeaseId(n)).0).collect()
    }

    #[test]
    fn no_number_stands_for_two_and_each_is_found_again() {
        let keys = [[0, 0], [0, 1], [7, 0]];
        let all: BTreeSet<u64> = keys.iter().flat_map(|&key| hidden(key)).collect();
        assert_eq!(all.len() as u64, keys.len() as u64 * N, "two keys or leases have a number in common");
        let leases = Leases::drawn();
        for n in (0..N).chain([u64::MAX, u64::MAX - 1, 1 << 32, 1 << 63]) {
            assert_eq!(leases.revealed(leases.hidden(LeaseId(n))), LeaseId(n));
        }
    }

    #[test]
    fn one_number_does_not_tell_the_next() {
        let numbers = hidden([3, 4]);
        let distances: BTreeSet<u64> = numbers.windows(2).map(|w| w[1].wrapping_sub(w[0])).collect();
        assert_eq!(distances.len() as u64, N - 1);
        // Each bit changes about every other time.
        for bit in 0..64 {
            let changes = numbers.windows(2).filter(|w| (w[0] ^ w[1]) >> bit & 1 == 1).count();
            assert!((N as usize * 48 / 100..N as usize * 52 / 100).contains(&changes), "{bit}: {changes}");
        }
        assert_ne!(Leases::drawn().key, Leases::drawn().key);
    }
}

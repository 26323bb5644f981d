//! Root tasks that were not handed out yet: every root stage's index space is cut into as many blocks as there are
//! workers, at the same fractions, so that chunks that are read together are made on one worker.
//!
//! Knows ranges of chunk numbers and who may take them. Must not know what became of the tasks handed out.

use crate::job::has_empty_chunks;
use std::collections::BTreeMap;
use std::ops::Range;
use tilework_expr::{InputMap, Plan, StageIdx, WorkerId};

/// A stage whose tasks nothing triggers: they have no inputs.
#[derive(Clone, Debug)]
pub(crate) struct Root {
    pub stage: StageIdx,
    /// Tasks of the stage.
    pub n_tasks: u64,
    /// Reductions that must end before its first reader can run: roots of lower waves go first.
    pub wave: u32,
    /// Whether some tasks of the stage do have inputs, and are not roots.
    pub mixed: bool,
}

/// For each root stage, the tasks that a worker may take.
type Block = Vec<Range<u64>>;

/// All root tasks of a job that were not handed out.
#[derive(Debug, Default)]
pub(crate) struct Roots {
    stages: Vec<Root>,
    blocks: BTreeMap<WorkerId, Block>,
    /// Blocks without a worker.
    orphans: Vec<Block>,
    n_left: u64,
}

/// The next root tasks for a worker.
pub(crate) struct Run {
    pub root: usize,
    pub chunks: Range<u64>,
}

impl Roots {
    pub fn new(plan: &Plan) -> Roots {
        let waves = waves(plan);
        let stages: Vec<Root> = (plan.stages.iter().enumerate())
            .filter(|(_, s)| s.inputs.is_empty() || has_empty_chunks(&s.grid))
            .map(|(i, s)| Root {
                stage: StageIdx(i as u32),
                n_tasks: s.grid.n_chunks(),
                wave: plan.consumers[i].iter().map(|&(c, _)| waves[c.0 as usize]).min().unwrap_or(0),
                mixed: !s.inputs.is_empty(),
            })
            .collect();
        let all: Block = stages.iter().map(|r| 0..r.n_tasks).collect();
        let n_left = len(&all);
        Roots { stages, blocks: BTreeMap::new(), orphans: vec![all], n_left }
    }

    /// All root stages.
    pub fn stages(&self) -> impl Iterator<Item = StageIdx> + '_ {
        self.stages.iter().map(|root| root.stage)
    }

    pub fn root(&self, root: usize) -> &Root {
        &self.stages[root]
    }

    /// Tasks that were not handed out.
    pub fn n_left(&self) -> u64 {
        self.n_left
    }

    /// Whether nobody was given a block yet.
    pub fn unshared(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Cuts what no worker has into one block a worker, as large as its share.
    pub fn share_out(&mut self, workers: &[(WorkerId, u64)]) {
        let total: u64 = workers.iter().map(|(_, share)| share.max(&1)).sum();
        let Some(whole) = self.orphans.pop() else { return };
        let mut before = 0;
        for (worker, share) in workers {
            let upto = before + share.max(&1);
            let cut = |r: &Range<u64>, at: u64| {
                r.start + ((r.end - r.start) as u128 * u128::from(at) / u128::from(total)) as u64
            };
            let block: Block = whole.iter().map(|r| cut(r, before)..cut(r, upto)).collect();
            self.blocks.insert(*worker, block);
            before = upto;
        }
    }

    /// Leaves a worker's block to the others.
    pub fn orphan(&mut self, worker: WorkerId) {
        let block = self.blocks.remove(&worker);
        self.orphans.extend(block.filter(|b| len(b) > 0));
    }

    /// Forgets all tasks that were not handed out.
    pub fn clear(&mut self) {
        self.blocks.clear();
        self.orphans.clear();
        self.n_left = 0;
    }

    /// The next tasks of a worker's own block, at most `room`. They stay where they are until [`Roots::take`].
    pub fn next(&self, worker: WorkerId, room: u64) -> Option<Run> {
        let block = self.blocks.get(&worker)?;
        let open = || block.iter().zip(&self.stages).enumerate().filter(|(_, (r, _))| !r.is_empty());
        let wave = open().map(|(_, (_, s))| s.wave).min()?;
        let in_wave = || open().filter(|(_, (_, s))| s.wave == wave);
        // The stage that has come least far; fractions are compared crosswise.
        let behind = |a: &(u64, u64), b: &(u64, u64)| {
            (u128::from(a.0) * u128::from(b.1)).cmp(&(u128::from(b.0) * u128::from(a.1)))
        };
        let fraction = |r: &Range<u64>, s: &Root| (r.start, s.n_tasks);
        let (root, (range, stage)) = in_wave()
            .min_by(|(i, (r, s)), (j, (q, t))| behind(&fraction(r, s), &fraction(q, t)).then(i.cmp(j)))?;
        let all: u128 = in_wave().map(|(_, (_, s))| u128::from(s.n_tasks)).sum();
        let fair = (u128::from(room) * u128::from(stage.n_tasks)).div_ceil(all) as u64;
        let n = fair.clamp(1, range.end - range.start).min(room);
        Some(Run { root, chunks: range.start..range.start + n })
    }

    /// Takes the first `n` tasks of a root stage from a worker's block.
    pub fn take(&mut self, worker: WorkerId, root: usize, n: u64) {
        let block = self.blocks.get_mut(&worker).expect("a worker takes from its own block");
        block[root].start += n;
        self.n_left -= n;
    }

    /// Gives a worker that has no block the far half of the largest one that is left; whether there was one.
    pub fn rob(&mut self, worker: WorkerId) -> bool {
        if self.n_left == 0 || self.blocks.get(&worker).is_some_and(|b| len(b) > 0) {
            return false;
        }
        if let Some(mut orphan) = self.orphans.pop() {
            let mine = split(&mut orphan, &self.stages);
            self.orphans.extend(Some(orphan).filter(|o| len(o) > 0));
            self.blocks.insert(worker, mine);
            return true;
        }
        let victims = self.blocks.iter().map(|(w, b)| (len(b), std::cmp::Reverse(*w)));
        let Some((n, std::cmp::Reverse(victim))) = victims.max() else { return false };
        if n == 0 {
            return false;
        }
        let block = self.blocks.get_mut(&victim).expect("the victim was just found");
        let mine = split(block, &self.stages);
        self.blocks.insert(worker, mine);
        true
    }

    /// Chunk ranges of a root stage that were not handed out, for checks.
    pub fn left_of(&self, stage: StageIdx) -> Vec<Range<u64>> {
        let Some(i) = self.stages.iter().position(|r| r.stage == stage) else { return Vec::new() };
        self.blocks.values().chain(&self.orphans).map(|b| b[i].clone()).filter(|r| !r.is_empty()).collect()
    }

    /// Whether the count of what is left is right and only `alive` workers have blocks.
    pub fn check(&self, alive: impl Fn(WorkerId) -> bool) {
        let all = self.blocks.values().chain(&self.orphans);
        assert_eq!(self.n_left, all.map(len).sum::<u64>(), "root tasks left");
        assert!(self.blocks.keys().all(|w| alive(*w)), "a worker that is gone has a block");
    }
}

fn len(block: &Block) -> u64 {
    block.iter().map(|r| r.end - r.start).sum()
}

/// Takes the far half of a block, cut at one fraction of all stages; the last task where no stage has more than one.
fn split(block: &mut Block, stages: &[Root]) -> Block {
    let longest =
        (0..block.len()).max_by_key(|&i| block[i].end - block[i].start).expect("a block has stages");
    let r = &block[longest];
    if r.end - r.start < 2 {
        // One task of each stage at most: the last one goes.
        let last = (0..block.len()).rev().find(|&i| !block[i].is_empty()).expect("a block with tasks");
        let mine =
            block.iter().enumerate().map(|(i, r)| if i == last { r.clone() } else { r.end..r.end }).collect();
        block[last].end = block[last].start;
        return mine;
    }
    let (mid, of) = (u128::from(r.start + (r.end - r.start) / 2), u128::from(stages[longest].n_tasks));
    let cut = |r: &mut Range<u64>, n: u64| {
        let at = ((mid * u128::from(n)).div_ceil(of) as u64).clamp(r.start, r.end);
        let far = at..r.end;
        r.end = at;
        far
    };
    block.iter_mut().zip(stages).map(|(r, s)| cut(r, s.n_tasks)).collect()
}

/// For each stage, how many folds must end before its tasks can run.
fn waves(plan: &Plan) -> Vec<u32> {
    let mut waves = vec![0u32; plan.stages.len()];
    for (i, stage) in plan.stages.iter().enumerate() {
        let of = |input: &tilework_expr::Input| {
            let from = input.stage.0 as usize;
            waves[from] + u32::from(matches!(input.map, InputMap::Group { .. }))
        };
        waves[i] = stage.inputs.iter().map(of).max().unwrap_or(0);
    }
    waves
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roots(n: &[u64]) -> Roots {
        let stage =
            |(i, &n): (usize, &u64)| Root { stage: StageIdx(i as u32), n_tasks: n, wave: 0, mixed: false };
        let all: Block = n.iter().map(|&n| 0..n).collect();
        Roots {
            stages: n.iter().enumerate().map(stage).collect(),
            blocks: BTreeMap::new(),
            n_left: len(&all),
            orphans: vec![all],
        }
    }

    #[test]
    fn operands_are_cut_at_the_same_fractions_and_taken_in_step() {
        let mut r = roots(&[8, 4]);
        r.share_out(&[(WorkerId(0), 1), (WorkerId(1), 1)]);
        let mut seen = Vec::new();
        while let Some(run) = r.next(WorkerId(1), 3) {
            if run.chunks.start < 4 && run.root == 0 {
                break;
            }
            r.take(WorkerId(1), run.root, run.chunks.end - run.chunks.start);
            seen.push((run.root, run.chunks));
            if seen.len() == 4 {
                break;
            }
        }
        assert_eq!(seen, [(0, 4..6), (1, 2..3), (0, 6..8), (1, 3..4)]);
        r.check(|_| true);
    }

    #[test]
    fn the_far_half_of_the_largest_block_is_robbed() {
        let mut r = roots(&[100]);
        r.share_out(&[(WorkerId(0), 1)]);
        assert!(r.next(WorkerId(7), 1000).is_none());
        assert!(r.rob(WorkerId(7)) && !r.rob(WorkerId(7)));
        let run = r.next(WorkerId(7), 1000).unwrap();
        assert_eq!((run.root, run.chunks), (0, 50..100));
        r.orphan(WorkerId(0));
        assert!(r.rob(WorkerId(8)));
        let run = r.next(WorkerId(8), 1000).unwrap();
        assert_eq!(run.chunks, 25..50);
        assert_eq!(r.left_of(StageIdx(0)), [50..100, 25..50, 0..25]);
        r.check(|w| w != WorkerId(0));
    }

    #[test]
    fn every_root_is_handed_out_once() {
        let mut r = roots(&[17, 3, 1]);
        r.share_out(&[(WorkerId(0), 3), (WorkerId(1), 0), (WorkerId(2), 1)]);
        let mut seen = vec![Vec::new(); 3];
        while r.n_left() > 0 {
            for w in [5, 2, 0, 1].map(WorkerId) {
                r.rob(w);
                if let Some(run) = r.next(w, 2) {
                    r.take(w, run.root, run.chunks.end - run.chunks.start);
                    seen[run.root].extend(run.chunks);
                }
                r.check(|_| true);
            }
        }
        for (s, n) in seen.iter_mut().zip([17, 3, 1]) {
            s.sort_unstable();
            assert_eq!(*s, (0..n).collect::<Vec<u64>>());
        }
    }
}

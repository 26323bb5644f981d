//! Root tasks that were not handed out yet: the tasks that are needed of every root stage are cut into as many blocks as
//! there are workers, at the same fractions, so that chunks that are read together are made on one worker. Beside them,
//! those that are to be run again because their chunks were dropped to make room.
//!
//! Tasks are counted here, not named: the third is the third that is needed of its stage, or the third of the stage's own
//! order where it has one.
//!
//! Knows counts and who may take them. Must not know what became of the tasks handed out.

use crate::order::{Order, fast_axes, waves};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use tilework_plan::{Need, Plan, StageIdx, WorkerId};

/// A stage whose tasks nothing triggers: they have no inputs.
#[derive(Clone, Debug)]
pub(crate) struct Root {
    pub stage: StageIdx,
    /// Tasks of the stage that are needed.
    pub n_tasks: u64,
    /// Reductions that must end before its first reader can run: roots of lower waves go first.
    pub wave: u32,
    /// Whether some tasks of the stage do have inputs, and are not roots.
    pub mixed: bool,
    /// Whether its chunks may be dropped and made again: some are read once more after a fold has ended, and to make
    /// them takes nothing but itself.
    pub remakes: bool,
    /// The order of its tasks, where that is not the one of their numbers.
    pub order: Option<Order>,
}

/// The tasks of one root stage that a worker may take. Of lower waves first; of one wave the stage that has come least
/// far.
#[derive(Clone, Debug)]
struct Turn {
    root: usize,
    wave: u32,
    /// Tasks of the stage.
    of: u64,
    tasks: Range<u64>,
}

impl Turn {
    fn len(&self) -> u64 {
        self.tasks.end - self.tasks.start
    }
}

impl Ord for Turn {
    fn cmp(&self, other: &Turn) -> Ordering {
        // Fractions are compared crosswise.
        let far = |a: &Turn, b: &Turn| u128::from(a.tasks.start) * u128::from(b.of);
        let by_fraction = || far(self, other).cmp(&far(other, self));
        self.wave.cmp(&other.wave).then_with(by_fraction).then(self.root.cmp(&other.root))
    }
}

impl PartialOrd for Turn {
    fn partial_cmp(&self, other: &Turn) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Turn {
    fn eq(&self, other: &Turn) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Turn {}

/// What a worker may take, of all root stages of which anything is left.
#[derive(Clone, Debug, Default)]
struct Block {
    turns: BTreeSet<Turn>,
    /// For each wave, the tasks of its stages, those that are handed out included.
    waves: BTreeMap<u32, u128>,
    n_left: u64,
}

impl Block {
    /// A block of these turns.
    fn of(turns: impl IntoIterator<Item = Turn>) -> Block {
        let mut block = Block::default();
        let counted = turns.into_iter().filter(|turn| turn.len() > 0).inspect(|turn| {
            block.n_left += turn.len();
            *block.waves.entry(turn.wave).or_default() += u128::from(turn.of);
        });
        let turns = counted.collect();
        block.turns = turns;
        block
    }

    fn insert(&mut self, turn: Turn) {
        if turn.len() > 0 {
            self.n_left += turn.len();
            *self.waves.entry(turn.wave).or_default() += u128::from(turn.of);
            self.turns.insert(turn);
        }
    }

    /// The least wave of what is left.
    fn wave(&self) -> Option<u32> {
        self.turns.first().map(|t| t.wave)
    }

    fn pop(&mut self) -> Option<Turn> {
        let turn = self.turns.pop_first()?;
        self.n_left -= turn.len();
        *self.waves.entry(turn.wave).or_default() -= u128::from(turn.of);
        Some(turn)
    }

    /// Takes the far half out, cut at one fraction of all stages; of stages with one task each, half of the stages.
    fn split(&mut self) -> Block {
        let mut turns: Vec<Turn> = std::mem::take(self).turns.into_iter().collect();
        turns.sort_unstable_by_key(|t| t.root);
        let Some(longest) = turns.iter().max_by_key(|t| t.len()) else { return Block::default() };
        if longest.len() < 2 {
            let far = turns.split_off(turns.len() / 2);
            *self = Block::of(turns);
            return Block::of(far);
        }
        let (mid, of) = (u128::from(longest.tasks.start + longest.len() / 2), u128::from(longest.of));
        let far: Vec<Turn> = (turns.iter_mut())
            .map(|t| {
                let at = ((mid * u128::from(t.of)).div_ceil(of) as u64).clamp(t.tasks.start, t.tasks.end);
                let far = Turn { tasks: at..t.tasks.end, ..*t };
                t.tasks.end = at;
                far
            })
            .collect();
        *self = Block::of(turns);
        Block::of(far)
    }
}

/// All root tasks of a job that were not handed out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Roots {
    stages: Vec<Root>,
    blocks: BTreeMap<WorkerId, Block>,
    /// Blocks without a worker.
    orphans: Vec<Block>,
    /// Numbers of chunks to be made again, by the wave that needs them and the root stage; for any worker.
    again: BTreeMap<(u32, usize), BTreeSet<u64>>,
    n_left: u64,
    /// For each stage of the plan, how many folds must end before its tasks can run.
    waves: Vec<u32>,
}

/// The next root tasks for a worker.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Run {
    pub root: usize,
    /// Which they are, as they are counted; where they are run again, the numbers of their chunks.
    pub tasks: Range<u64>,
    /// The wave that needs them, where they are run again.
    pub again: Option<u32>,
}

impl Roots {
    pub fn new(plan: &Plan, needs: &[Need]) -> Roots {
        let waves = waves(plan);
        let fast = fast_axes(plan, &waves);
        let of_readers = |i: usize| plan.consumers[i].iter().map(|&(c, _)| waves[c.0 as usize]);
        let is_output: BTreeSet<StageIdx> = plan.outputs.iter().copied().collect();
        let stages: Vec<Root> = (plan.stages.iter().zip(needs).enumerate())
            .filter(|(_, (s, _))| s.inputs.is_empty() || s.is_mixed())
            .map(|(i, (s, need))| Root {
                stage: StageIdx(i as u32),
                n_tasks: need.n_tasks(),
                wave: of_readers(i).min().unwrap_or(0),
                mixed: !s.inputs.is_empty(),
                remakes: s.inputs.is_empty()
                    && of_readers(i).min() < of_readers(i).max()
                    && !is_output.contains(&StageIdx(i as u32))
                    && s.remade,
                order: fast[i]
                    .as_ref()
                    .filter(|_| s.inputs.is_empty() && need.is_all())
                    .and_then(|f| Order::new(&s.grid, f)),
            })
            .collect();
        Roots::of(stages, waves)
    }

    fn of(stages: Vec<Root>, waves: Vec<u32>) -> Roots {
        let turn =
            |(root, r): (usize, &Root)| Turn { root, wave: r.wave, of: r.n_tasks, tasks: 0..r.n_tasks };
        let all = Block::of(stages.iter().enumerate().map(turn));
        let (blocks, again) = (BTreeMap::new(), BTreeMap::new());
        Roots { stages, blocks, again, n_left: all.n_left, orphans: vec![all], waves }
    }

    /// How many folds must end before the tasks of a stage can run.
    pub fn wave_of(&self, stage: StageIdx) -> u32 {
        self.waves[stage.0 as usize]
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
        let mut upto = Vec::with_capacity(workers.len());
        for (_, share) in workers {
            upto.push(upto.last().unwrap_or(&0) + share.max(&1));
        }
        let mut shares: Vec<Vec<Turn>> = workers.iter().map(|_| Vec::new()).collect();
        for turn in whole.turns {
            // Mostly small numbers, which are divided many times as fast.
            let part = |at: u64| match turn.len().checked_mul(at) {
                Some(product) => product / total,
                None => (u128::from(turn.len()) * u128::from(at) / u128::from(total)) as u64,
            };
            let cut = |at: u64| turn.tasks.start + part(at);
            // Of few tasks most workers get none: those are not looked at.
            let mut start = turn.tasks.start;
            while start < turn.tasks.end {
                let taker = upto.partition_point(|&at| cut(at) <= start);
                let end = cut(upto[taker]);
                shares[taker].push(Turn { tasks: start..end, ..turn });
                start = end;
            }
        }
        let blocks = workers.iter().zip(shares).map(|((worker, _), share)| (*worker, Block::of(share)));
        self.blocks.extend(blocks);
    }

    /// Leaves a worker's block to the others.
    pub fn orphan(&mut self, worker: WorkerId) {
        let block = self.blocks.remove(&worker);
        self.orphans.extend(block.filter(|b| b.n_left > 0));
    }

    /// Forgets all tasks that were not handed out; returns what may be dropped elsewhere.
    pub fn clear(&mut self) -> Roots {
        let none = Roots { stages: Vec::new(), waves: Vec::new(), ..Roots::default() };
        let mut cleared = std::mem::replace(self, none);
        self.stages = std::mem::take(&mut cleared.stages);
        self.waves = std::mem::take(&mut cleared.waves);
        cleared
    }

    /// Parts of root stages that are in blocks, and chunks that are to be made again.
    pub fn n_turns(&self) -> usize {
        let turns = self.blocks.values().chain(&self.orphans).map(|block| block.turns.len());
        turns.sum::<usize>() + self.again.values().map(BTreeSet::len).sum::<usize>()
    }

    /// The next tasks for a worker, at most `room`: of its own block, or those that are to be run again, once nothing is
    /// left of what is needed before. They stay where they are until [`Roots::take`].
    pub fn next(&self, worker: WorkerId, room: u64) -> Option<Run> {
        let Some((&(wave, root), chunks)) = self.again.first_key_value().filter(|_| room > 0) else {
            return self.next_of_block(worker, room);
        };
        let own = self.blocks.get(&worker).and_then(Block::wave);
        if self.lowest_wave().is_some_and(|w| w < wave) || own.is_some_and(|w| w <= wave) {
            return self.next_of_block(worker, room);
        }
        let first = *chunks.first()?;
        let more = chunks.iter().skip(1).zip(first + 1..).take_while(|&(&c, next)| c == next).count() as u64;
        Some(Run { root, tasks: first..first + (more + 1).min(room), again: Some(wave) })
    }

    /// The least wave of the tasks that were not handed out at all.
    pub fn lowest_wave(&self) -> Option<u32> {
        self.blocks.values().chain(&self.orphans).filter_map(Block::wave).min()
    }

    fn next_of_block(&self, worker: WorkerId, room: u64) -> Option<Run> {
        let block = self.blocks.get(&worker)?;
        let turn = block.turns.first()?;
        let all = block.waves[&turn.wave];
        let fair = (u128::from(room) * u128::from(turn.of)).div_ceil(all);
        let n = fair.clamp(1, u128::from(turn.len())).min(u128::from(room)) as u64;
        Some(Run { root: turn.root, tasks: turn.tasks.start..turn.tasks.start + n, again: None })
    }

    /// A chunk of a root stage was dropped, and is to be made again for readers of this wave.
    pub fn make_again(&mut self, root: usize, wave: u32, chunk: u64) {
        self.n_left += u64::from(self.again.entry((wave, root)).or_default().insert(chunk));
    }

    /// The stages whose chunks may be dropped and made again.
    pub fn remakes(&self) -> impl Iterator<Item = (usize, StageIdx)> {
        self.stages.iter().enumerate().filter(|(_, r)| r.remakes).map(|(i, r)| (i, r.stage))
    }

    /// Takes the first `n` tasks of a run: of those to be run again, or of the root stage whose turn it is in a worker's
    /// block.
    pub fn take(&mut self, worker: WorkerId, run: &Run, n: u64) {
        self.n_left -= n;
        if let Some(wave) = run.again {
            let chunks = self.again.get_mut(&(wave, run.root)).expect("a run is taken as it was given");
            (run.tasks.start..run.tasks.start + n).for_each(|chunk| {
                chunks.remove(&chunk);
            });
            if chunks.is_empty() {
                self.again.remove(&(wave, run.root));
            }
            return;
        }
        let block = self.blocks.get_mut(&worker).expect("a worker takes from its own block");
        let mut turn = block.pop().expect("there is a stage whose turn it is");
        debug_assert_eq!(turn.root, run.root, "the stage whose turn it is");
        turn.tasks.start += n;
        block.insert(turn);
    }

    /// Gives a worker that has no block the far half of the largest one that is left; whether there was one.
    pub fn steal(&mut self, worker: WorkerId) -> bool {
        if self.n_left == 0 || self.blocks.get(&worker).is_some_and(|b| b.n_left > 0) {
            return false;
        }
        if let Some(mut orphan) = self.orphans.pop() {
            let mine = orphan.split();
            self.orphans.extend(Some(orphan).filter(|o| o.n_left > 0));
            self.blocks.insert(worker, mine);
            return true;
        }
        let victims = self.blocks.iter().map(|(w, b)| (b.n_left, std::cmp::Reverse(*w)));
        let Some((n, std::cmp::Reverse(victim))) = victims.max() else { return false };
        if n == 0 {
            return false;
        }
        let block = self.blocks.get_mut(&victim).expect("the victim was just found");
        let mine = block.split();
        self.blocks.insert(worker, mine);
        true
    }

    /// Whether [`Roots::steal`] gives a worker something, for checks.
    #[cfg(any(test, feature = "planted-bugs"))]
    pub fn could_steal(&self, worker: WorkerId) -> bool {
        let has_none = self.blocks.get(&worker).is_none_or(|b| b.n_left == 0);
        has_none && self.blocks.values().chain(&self.orphans).any(|b| b.n_left > 0)
    }

    /// Whether the task of a root stage was not handed out, or is to be run again, for checks; `n_before` tasks of lower
    /// numbers are needed.
    pub fn is_left(&self, stage: StageIdx, chunk: u64, n_before: u64) -> bool {
        let Some(at) = self.stages.iter().position(|r| r.stage == stage) else { return false };
        let place = self.stages[at].order.as_ref().map_or(n_before, |order| order.position(chunk));
        let again =
            |((_, root), chunks): (&(u32, usize), &BTreeSet<u64>)| *root == at && chunks.contains(&chunk);
        let mut turns = self.blocks.values().chain(&self.orphans).flat_map(|block| &block.turns);
        self.again.iter().any(again) || turns.any(|t| t.root == at && t.tasks.contains(&place))
    }

    /// Whether the counts of what is left are right and only `alive` workers have blocks.
    pub fn check(&self, alive: impl Fn(WorkerId) -> bool) {
        let all = || self.blocks.values().chain(&self.orphans);
        let again = self.again.values().map(|c| c.len() as u64).sum::<u64>();
        assert_eq!(self.n_left, all().map(|b| b.n_left).sum::<u64>() + again, "root tasks left");
        for block in all() {
            assert_eq!(block.n_left, block.turns.iter().map(Turn::len).sum::<u64>(), "tasks of a block");
            assert!(block.turns.iter().all(|t| t.len() > 0), "a stage without tasks has its turn");
            for (wave, n) in &block.waves {
                let of = block.turns.iter().filter(|t| t.wave == *wave).map(|t| u128::from(t.of));
                assert_eq!(*n, of.sum::<u128>(), "tasks of the stages of a wave");
            }
        }
        assert!(self.blocks.keys().all(|w| alive(*w)), "a worker that is gone has a block");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roots(n: &[u64]) -> Roots {
        let stage = |(i, &n): (usize, &u64)| Root {
            stage: StageIdx(i as u32),
            n_tasks: n,
            wave: 0,
            mixed: false,
            remakes: false,
            order: None,
        };
        Roots::of(n.iter().enumerate().map(stage).collect(), vec![0; n.len()])
    }

    /// The tasks of the first stage that were not handed out, block by block.
    fn left(r: &Roots) -> Vec<Range<u64>> {
        let turns = r.blocks.values().chain(&r.orphans).flat_map(|b| &b.turns);
        turns.filter(|t| t.root == 0).map(|t| t.tasks.clone()).collect()
    }

    #[test]
    fn operands_are_cut_at_the_same_fractions_and_taken_in_step() {
        let mut r = roots(&[8, 4]);
        r.share_out(&[(WorkerId(0), 1), (WorkerId(1), 1)]);
        let mut seen = Vec::new();
        while let Some(run) = r.next(WorkerId(1), 3) {
            if run.tasks.start < 4 && run.root == 0 {
                break;
            }
            r.take(WorkerId(1), &run, run.tasks.end - run.tasks.start);
            seen.push((run.root, run.tasks));
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
        assert!(r.steal(WorkerId(7)) && !r.steal(WorkerId(7)));
        let run = r.next(WorkerId(7), 1000).unwrap();
        assert_eq!((run.root, run.tasks), (0, 50..100));
        r.orphan(WorkerId(0));
        assert!(r.steal(WorkerId(8)));
        let run = r.next(WorkerId(8), 1000).unwrap();
        assert_eq!(run.tasks, 25..50);
        assert_eq!(left(&r), [50..100, 25..50, 0..25]);
        r.check(|w| w != WorkerId(0));
    }

    #[test]
    fn many_small_stages_are_shared_in_few_steps() {
        let mut r = roots(&vec![1; 100_000]);
        r.share_out(&[(WorkerId(0), 1), (WorkerId(1), 1)]);
        let (mut n, mut n_stolen) = ([0; 2], 0);
        while r.n_left() > 0 {
            for w in [0, 1] {
                n_stolen += u32::from(r.steal(WorkerId(w)));
                for _ in 0..100 {
                    let Some(run) = r.next(WorkerId(w), 1) else { break };
                    r.take(WorkerId(w), &run, 1);
                    n[w as usize] += 1;
                }
            }
        }
        r.check(|_| true);
        assert!(n_stolen < 40 && n.iter().all(|n| *n > 40_000), "{n:?} after {n_stolen}");
    }

    #[test]
    fn every_root_is_handed_out_once() {
        let mut r = roots(&[17, 3, 1]);
        r.share_out(&[(WorkerId(0), 3), (WorkerId(1), 0), (WorkerId(2), 1)]);
        let mut seen = vec![Vec::new(); 3];
        while r.n_left() > 0 {
            for w in [5, 2, 0, 1].map(WorkerId) {
                r.steal(w);
                if let Some(run) = r.next(w, 2) {
                    r.take(w, &run, run.tasks.end - run.tasks.start);
                    seen[run.root].extend(run.tasks);
                }
                r.check(|_| true);
            }
        }
        for (s, n) in seen.iter_mut().zip([17, 3, 1]) {
            s.sort_unstable();
            assert_eq!(*s, (0..n).collect::<Vec<u64>>());
        }
    }

    #[test]
    fn dropped_chunks_come_again_after_what_is_needed_before() {
        let mut r = roots(&[4]);
        r.share_out(&[(WorkerId(0), 1)]);
        let first = r.next(WorkerId(0), 3).unwrap();
        r.take(WorkerId(0), &first, 3);
        for chunk in [2, 0, 1] {
            r.make_again(0, 1, chunk);
        }
        assert_eq!((r.n_left(), r.lowest_wave()), (4, Some(0)));
        assert!(r.next(WorkerId(7), 9).is_none());
        let last = r.next(WorkerId(0), 9).unwrap();
        assert_eq!((last.tasks.clone(), last.again), (3..4, None));
        r.take(WorkerId(0), &last, 1);
        let again = r.next(WorkerId(7), 2).unwrap();
        assert_eq!((again.tasks.clone(), again.again), (0..2, Some(1)));
        r.take(WorkerId(7), &again, 2);
        assert!(r.is_left(StageIdx(0), 2, 2) && !r.is_left(StageIdx(0), 1, 1));
        r.check(|_| true);
    }
}

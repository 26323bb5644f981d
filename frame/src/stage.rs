//! A query cut into stages, as plain data: how many tasks each has, what they read, how their output is divided. What a
//! task does is bytes that a [`Runner`](crate::Runner) reads. Must not know of DataFusion or of those who schedule.

use crate::blocks::Piece;
use crate::stored::Stored;
use bytes::Bytes;
use std::ops::Range;
use std::sync::Arc;

/// A query as stages in an order in which they can run: each reads of earlier ones only. The last one's tasks make the
/// result, whose rows are theirs in the order of their numbers.
#[derive(Debug, Clone)]
pub struct StageGraph {
    /// The stages.
    pub stages: Vec<StagePlan>,
    /// What stages read as they read what a stage made, and none of them makes.
    pub sources: Vec<Source>,
}

/// Partitions that a query reads and does not make.
#[derive(Debug, Clone)]
pub enum Source {
    /// Rows that whoever plans the query has in memory: a piece of each partition.
    Pieces(Arc<[Piece]>),
    /// What whoever runs the query has.
    Stored(Arc<dyn Stored>),
}

impl Source {
    /// How many there are.
    #[must_use]
    pub fn n_partitions(&self) -> usize {
        match self {
            Source::Pieces(pieces) => pieces.len(),
            Source::Stored(stored) => stored.n_partitions(),
        }
    }
}

/// One stage: tasks that do the same with different partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagePlan {
    /// What a task does, for a [`Runner`](crate::Runner) to read. Equal stages have equal bytes.
    pub payload: Bytes,
    /// How many tasks it has, one for each partition.
    pub n_tasks: u64,
    /// How many pieces each task makes: one for each partition of those who read it, or one.
    pub n_pieces: u64,
    /// What its tasks read, in the order of the slots that they are fed through.
    pub inputs: Vec<Input>,
    /// Bytes that a task may hold while it runs. Part of what the stage is: with another grant a task may give other
    /// bits.
    pub grant_bytes: u64,
    /// What it does, in words: its operators, the last first.
    pub name: String,
    /// What names a function of the user's that its tasks call, if they call any: all are of one executable.
    pub function: Option<Bytes>,
}

/// What the tasks of a stage read of another one, or of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// What is read.
    pub from: Origin,
    /// Which of its pieces a task reads.
    pub how: How,
    /// The tasks that read it; the others of the stage do not. A task's partition is its place in this range. All tasks
    /// read an exchange ([`How::Piece`]).
    pub tasks: Range<u64>,
}

/// Who made what is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The tasks of the stage at this place in the graph.
    Stage(usize),
    /// Nobody: it is the source at this place in the graph, whose partitions are as the tasks of a stage, each with one
    /// piece.
    Source(usize),
}

/// Which pieces a task reads of a stage, with the number of its partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum How {
    /// All that the task with the partition's number made.
    Same,
    /// The piece with the partition's number of every task: an exchange.
    Piece,
    /// All that all tasks made, one after another: a broadcast, or the end of what is done in parallel.
    Whole,
    /// All that all tasks made, kept apart by task: to be merged in order.
    Each,
}

impl StageGraph {
    /// What a task reads through one slot: a list for each feed of (task, piece) in the order in which it is read; empty
    /// if the task reads nothing there.
    ///
    /// # Panics
    /// If there is no such stage or slot.
    #[must_use]
    pub fn feeds(&self, stage: usize, slot: usize, task: u64) -> Vec<Vec<(u64, u64)>> {
        let input = &self.stages[stage].inputs[slot];
        if !input.tasks.contains(&task) {
            return Vec::new();
        }
        let (n_tasks, n_pieces) = match input.from {
            Origin::Stage(from) => (self.stages[from].n_tasks, self.stages[from].n_pieces),
            Origin::Source(from) => (self.sources[from].n_partitions() as u64, 1),
        };
        let partition = task - input.tasks.start;
        let all_of = |task: u64| (0..n_pieces).map(move |piece| (task, piece));
        match input.how {
            How::Same => vec![all_of(partition).collect()],
            How::Piece => vec![(0..n_tasks).map(|task| (task, partition)).collect()],
            How::Whole => vec![(0..n_tasks).flat_map(all_of).collect()],
            How::Each => (0..n_tasks).map(|task| all_of(task).collect()).collect(),
        }
    }

    /// The last stage that reads this one, if any does: what it made is not needed afterwards.
    #[must_use]
    pub fn last_reader(&self, stage: usize) -> Option<usize> {
        self.stages.iter().rposition(|s| s.inputs.iter().any(|input| input.from == Origin::Stage(stage)))
    }

    /// What of the graph no scheduler could run, in words: an input that names what comes later or does not exist, or
    /// partitions that are not those of what is read. A graph that a planner made has nothing of the kind.
    #[must_use]
    pub fn wrong(&self) -> Option<String> {
        let mut pieces_read: Vec<Option<u64>> = vec![None; self.stages.len()];
        for (at, stage) in self.stages.iter().enumerate() {
            for (slot, input) in stage.inputs.iter().enumerate() {
                let wrong = |what: &str| Some(format!("stage {at} ({}), slot {slot}: {what}", stage.name));
                let (n_tasks, n_pieces) = match input.from {
                    Origin::Stage(from) if from < at => {
                        (self.stages[from].n_tasks, self.stages[from].n_pieces)
                    }
                    Origin::Source(from) if from < self.sources.len() => {
                        (self.sources[from].n_partitions() as u64, 1)
                    }
                    _ => return wrong("reads what is not before it"),
                };
                if input.tasks.is_empty() || input.tasks.end > stage.n_tasks {
                    return wrong("is read by tasks that the stage does not have");
                }
                let n_reading = input.tasks.end - input.tasks.start;
                match input.how {
                    How::Same if n_reading != n_tasks => return wrong("other tasks than partitions"),
                    How::Same if n_pieces != 1 => return wrong("an exchange is read by tasks"),
                    How::Piece if n_reading != stage.n_tasks => {
                        return wrong("an exchange for some tasks only");
                    }
                    How::Piece if n_pieces != stage.n_tasks => return wrong("other tasks than pieces"),
                    _ => {}
                }
                let Origin::Stage(from) = input.from else { continue };
                let pieces = if input.how == How::Piece { stage.n_tasks } else { 1 };
                if pieces_read[from].replace(pieces).is_some_and(|other| other != pieces) {
                    return wrong("is read in other pieces by another stage");
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(n_tasks: u64, n_pieces: u64, inputs: Vec<Input>) -> StagePlan {
        StagePlan {
            payload: Bytes::new(),
            n_tasks,
            n_pieces,
            inputs,
            grant_bytes: 1,
            name: String::new(),
            function: None,
        }
    }

    #[test]
    fn feeds_are_in_the_order_of_the_tasks_that_made_them() {
        let input = |stage, how, tasks| Input { from: Origin::Stage(stage), how, tasks };
        let reads = vec![
            input(0, How::Piece, 0..3),
            input(1, How::Same, 3..5),
            input(1, How::Whole, 0..5),
            input(1, How::Each, 4..5),
        ];
        let graph = StageGraph {
            stages: vec![stage(2, 3, vec![]), stage(2, 1, vec![]), stage(5, 1, reads)],
            sources: vec![],
        };
        assert_eq!(graph.feeds(2, 0, 2), [[(0, 2), (1, 2)]]);
        assert!(graph.feeds(2, 0, 3).is_empty());
        assert_eq!(graph.feeds(2, 1, 4), [[(1, 0)]]);
        assert_eq!(graph.feeds(2, 2, 4), [[(0, 0), (1, 0)]]);
        assert_eq!(graph.feeds(2, 3, 4), [[(0, 0)], [(1, 0)]]);
        assert_eq!((graph.last_reader(0), graph.last_reader(2)), (Some(2), None));
    }

    #[test]
    fn what_no_scheduler_could_run_is_told() {
        let graph = |n_tasks, n_pieces, input| StageGraph {
            stages: vec![stage(2, n_pieces, vec![]), stage(n_tasks, 1, vec![input])],
            sources: vec![Source::Pieces([].into())],
        };
        let input = |from, how, tasks| Input { from, how, tasks };
        let from = Origin::Stage(0);
        assert_eq!(graph(3, 3, input(from, How::Piece, 0..3)).wrong(), None);
        assert_eq!(graph(3, 1, input(from, How::Same, 1..3)).wrong(), None);
        for wrong in [
            graph(4, 3, input(from, How::Piece, 0..3)),
            graph(3, 4, input(from, How::Piece, 0..3)),
            graph(3, 1, input(from, How::Same, 0..3)),
            graph(3, 1, input(from, How::Whole, 0..4)),
            graph(2, 1, input(Origin::Stage(1), How::Same, 0..2)),
            graph(2, 1, input(Origin::Source(1), How::Same, 0..2)),
            graph(2, 1, input(Origin::Source(0), How::Same, 0..2)),
        ] {
            assert!(wrong.wrong().is_some_and(|what| what.starts_with("stage 1")), "{wrong:?}");
        }
    }
}

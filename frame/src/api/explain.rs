//! What a query will do, in words. Must not know what it did.

use super::Result;
use super::frame::DataFrame;
use crate::stage::{How, Origin, StageGraph};
use std::fmt::Write;

impl DataFrame {
    /// What the query will do: its stages with their tasks, what each reads, and its operators.
    ///
    /// # Errors
    /// As [`planned`](DataFrame::planned).
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("k", values(["a", "b", "a"]))])?;
    /// let text = df.group_by(["k"]).len()?.explain()?;
    /// assert!(text.contains("stage 0") && text.contains("Aggregate"));
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn explain(&self) -> Result<String> {
        let planned = self.planned()?;
        let graph = &planned.graph;
        let n_tasks: u64 = graph.stages.iter().map(|stage| stage.n_tasks).sum();
        let mut text =
            format!("{}, {}\n", counted(graph.stages.len() as u64, "stage"), counted(n_tasks, "task"));
        for (at, shown) in planned.stages_shown.iter().enumerate() {
            let stage = &graph.stages[at];
            let grant_mib = stage.grant_bytes.div_ceil(1 << 20);
            let tasks = counted(stage.n_tasks, "task");
            // Writing to a text does not fail.
            let _ = writeln!(text, "\nstage {at}: {tasks} of at most {grant_mib} MiB{}", reads(graph, at));
            for line in shown.lines() {
                let _ = writeln!(text, "  {line}");
            }
        }
        Ok(text)
    }
}

fn counted(n: u64, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

/// What a stage reads of others.
fn reads(graph: &StageGraph, stage: usize) -> String {
    let input = |input: &crate::stage::Input| {
        let from = match input.from {
            Origin::Stage(from) => format!("stage {from}"),
            Origin::Source(from) => {
                let rows: u64 = graph.sources[from].iter().map(crate::blocks::Piece::rows).sum();
                format!("{} in memory", counted(rows, "row"))
            }
        };
        match input.how {
            How::Same => format!("{from}, each task its part"),
            How::Piece => format!("{from}, divided by values"),
            How::Whole => format!("all of {from}"),
            How::Each => format!("all of {from}, in order"),
        }
    };
    let inputs: Vec<String> = graph.stages[stage].inputs.iter().map(input).collect();
    if inputs.is_empty() { String::new() } else { format!("; reads {}", inputs.join("; ")) }
}

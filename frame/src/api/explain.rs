//! What a query will do, in words. Must not know what it did.

use super::Result;
use super::execute::RunFigures;
use super::frame::DataFrame;
use crate::stage::{How, Origin, Source, StageGraph};
use std::fmt::Write;

impl DataFrame {
    /// What the query will do: its stages with their tasks, what each reads, and its operators. Where this table was run,
    /// what its latest run took, and whether that was planned anew for want of memory.
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
        let latest = self.latest();
        let anew = latest.as_ref().and_then(|run| run.anew.as_ref());
        let planned = self.planned_anew(anew.map_or(0, |(times, _)| *times))?;
        let graph = &planned.graph;
        let n_tasks: u64 = graph.stages.iter().map(|stage| stage.n_tasks).sum();
        let mut text =
            format!("{}, {}\n", counted(graph.stages.len() as u64, "stage"), counted(n_tasks, "task"));
        if let Some((times, error)) = anew {
            let times = counted((*times).into(), "time");
            let _ = writeln!(text, "planned anew {times} for tasks that hold less: {error}");
        }
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
        if let Some(took) = latest.and_then(|run| run.figures) {
            text.push_str(&figures(&took));
        }
        Ok(text)
    }
}

/// What a run took, in lines.
fn figures(took: &RunFigures) -> String {
    let mib = |bytes: u64| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
    let seconds = |us: u64| format!("{:.3} s", us as f64 / 1e6);
    let lines = [
        ("tasks", took.n_tasks.to_string()),
        ("put by the client", mib(took.bytes_put)),
        ("moved between workers", mib(took.bytes_moved)),
        ("held at the peak", mib(took.bytes_held_max)),
        ("written to the disk", mib(took.bytes_spilled)),
        ("time", format!("{} ({} in tasks)", seconds(took.elapsed_us), seconds(took.busy_us))),
    ];
    let lines: String = lines.iter().map(|(what, took)| format!("  {what:<24}{took}\n")).collect();
    format!("\nlatest run\n{lines}")
}

fn counted(n: u64, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

/// What a stage reads of others.
fn reads(graph: &StageGraph, stage: usize) -> String {
    let input = |input: &crate::stage::Input| {
        let from = match input.from {
            Origin::Stage(from) => format!("stage {from}"),
            Origin::Source(from) => match &graph.sources[from] {
                Source::Pieces(pieces) => {
                    let rows: u64 = pieces.iter().map(crate::blocks::Piece::rows).sum();
                    format!("{} in memory", counted(rows, "row"))
                }
                Source::Stored(stored) => {
                    format!("{} that are there", counted(stored.n_partitions() as u64, "partition"))
                }
            },
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

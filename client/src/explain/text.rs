//! The page of a plan: a line for each array, a table of stages, a table of figures.
//!
//! Owns columns and units. Must not know how figures are found.

use super::{Explain, Forecast, Output, forecast};
use std::fmt;
use tilework_plan::Figures;
use tilework_plan::quantities::{bytes, count, counted, time_us};

/// A row of figures: its name, and how its figure is shown.
type Row = (&'static str, fn(&Figures) -> String);

impl fmt::Display for Explain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for output in &self.outputs {
            writeln!(f, "{output}")?;
        }
        writeln!(f)?;
        self.write_stages(f)?;
        writeln!(f)?;
        let threads: u32 = self.workers.iter().map(|w| w.threads).sum();
        let memory: u64 = self.workers.iter().map(|w| w.memory_bytes).sum();
        let (workers, threads) =
            (counted(self.workers.len() as u64, "worker"), counted(threads.into(), "thread"));
        writeln!(f, "on {workers}, {threads}, {} of memory", bytes(memory))?;
        self.write_figures(f)
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each = self.grid.chunk_len_max() as u64 * self.dtype.size() as u64;
        let all = self.grid.shape().iter().product::<usize>() as u64 * self.dtype.size() as u64;
        let shape = by(&self.grid.shape());
        write!(f, "#{}: {shape} {}, {}", self.stage.0, self.dtype, bytes(all))?;
        if self.grid.n_chunks() > 1 {
            let (n, chunk) = (self.grid.n_chunks(), by(&self.grid.chunk_shape_max()));
            write!(f, ", in {} chunks of {chunk}, {}", count(n), bytes(each))?;
        }
        Ok(())
    }
}

impl Explain {
    fn write_stages(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["stage", "over", "chunks of", "tasks", "reads", "makes"].map(str::to_owned);
        let mut rows = vec![(head, "operation".to_owned())];
        rows.extend(self.stages.iter().enumerate().map(|(i, s)| {
            let cells = [
                format!("#{i}"),
                by(&s.shape),
                by(&s.chunk),
                count(s.n_tasks),
                bytes(s.bytes_read),
                bytes(s.bytes_made),
            ];
            (cells, s.operation.clone())
        }));
        let width: [usize; 6] = std::array::from_fn(|c| {
            rows.iter().map(|(cells, _)| cells[c].chars().count()).max().unwrap_or(0)
        });
        for (cells, operation) in rows {
            for (cell, width) in cells.iter().zip(width) {
                write!(f, "{cell:>width$}  ")?;
            }
            writeln!(f, "{operation}")?;
        }
        Ok(())
    }

    fn write_figures(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let planned = match &self.forecast {
            Forecast::Figures(figures) => Some(figures),
            Forecast::Fails(why) => {
                writeln!(f, "would fail: {why}")?;
                None
            }
            Forecast::TooManyTasks => {
                writeln!(f, "bytes are not forecast above {} tasks", count(forecast::TASKS_MAX))?;
                None
            }
            Forecast::Endless(n) => {
                writeln!(f, "nothing is forecast: the run was not seen to end within {} steps", count(*n))?;
                None
            }
            Forecast::NoWorkers => {
                writeln!(f, "nothing is forecast without workers")?;
                None
            }
        };
        let run = self.run.as_ref();
        let rows: [Row; 7] = [
            ("tasks", |x| count(x.n_tasks)),
            ("read from files", |x| bytes(x.bytes_read)),
            ("put by the client", |x| bytes(x.bytes_put)),
            ("moved between workers", |x| bytes(x.bytes_moved)),
            ("held at the peak", |x| bytes(x.bytes_held_max)),
            ("written to disks", |x| bytes(x.bytes_spilled)),
            ("time", |x| format!("{} ({} in tasks)", time_us(x.elapsed_us), time_us(x.busy_us))),
        ];
        writeln!(f, "{:21}  {:>12}  latest run", "", "plan")?;
        for (name, show) in rows {
            let planned = match (name, planned) {
                ("tasks", _) => count(self.stages.iter().map(|s| s.n_tasks).sum()),
                ("time", _) | (_, None) => "–".to_owned(),
                (_, Some(planned)) => show(planned),
            };
            let run = run.map_or_else(|| "–".to_owned(), show);
            writeln!(f, "{name:21}  {planned:>12}  {run}")?;
        }
        Ok(())
    }
}

/// Lengths as people write shapes.
fn by(lens: &[usize]) -> String {
    if lens.is_empty() {
        return "scalar".to_owned();
    }
    lens.iter().map(usize::to_string).collect::<Vec<_>>().join(" × ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forecast_without_an_end_says_so() {
        let line = tilework_expr::Expr::full(&[8], &1.into(), tilework_expr::Scalar::new(1.0)).unwrap();
        let workers = vec![crate::session::WorkerSize { threads: 1, memory_bytes: 1 << 30, spill_bytes: 0 }];
        let program = tilework_expr::Program::new(&[line]);
        let page = |events_per_task_max| {
            let forecast = forecast::forecast(&program, &workers, events_per_task_max);
            let (outputs, stages) = (Vec::new(), Vec::new());
            Explain { outputs, stages, workers: workers.clone(), forecast, run: None }.to_string()
        };
        assert!(
            page(0).contains("nothing is forecast: the run was not seen to end within 0 steps"),
            "{}",
            page(0)
        );
        assert!(!page(forecast::EVENTS_PER_TASK_MAX).contains("nothing is forecast"));
    }

    #[test]
    fn shapes() {
        assert_eq!([by(&[]), by(&[3]), by(&[3, 4])], ["scalar", "3", "3 × 4"]);
    }
}

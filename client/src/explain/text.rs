//! The page of a plan: a line for each array, a table of stages, a table of figures.
//!
//! Owns columns and units. Must not know how figures are found.

use super::{Explain, Forecast, Output, forecast};
use std::fmt;
use tilework_expr::Figures;

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
        let n = self.workers.len();
        let s = |n: usize| if n == 1 { "" } else { "s" };
        let (of_workers, of_threads) = (s(n), s(threads as usize));
        writeln!(f, "on {n} worker{of_workers}, {threads} thread{of_threads}, {} of memory", bytes(memory))?;
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
            write!(f, ", in {} chunks of {chunk}, {}", number(n), bytes(each))?;
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
                number(s.n_tasks),
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
                writeln!(f, "bytes are not forecast above {} tasks", number(forecast::TASKS_MAX))?;
                None
            }
            Forecast::Endless(n) => {
                writeln!(f, "nothing is forecast: the run was not seen to end within {} steps", number(*n))?;
                None
            }
            Forecast::NoWorkers => {
                writeln!(f, "nothing is forecast without workers")?;
                None
            }
        };
        let run = self.run.as_ref();
        let rows: [Row; 6] = [
            ("tasks", |x| number(x.n_tasks)),
            ("read from files", |x| bytes(x.bytes_read)),
            ("put by the client", |x| bytes(x.bytes_put)),
            ("moved between workers", |x| bytes(x.bytes_moved)),
            ("held at the peak", |x| bytes(x.bytes_held_max)),
            ("time", |x| format!("{} ({} in tasks)", seconds(x.elapsed_us), seconds(x.busy_us))),
        ];
        writeln!(f, "{:21}  {:>12}  latest run", "", "plan")?;
        for (name, show) in rows {
            let planned = match (name, planned) {
                ("tasks", _) => number(self.stages.iter().map(|s| s.n_tasks).sum()),
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

/// Bytes in decimal units.
fn bytes(n: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if n < 1000 {
        return format!("{n} B");
    }
    let (mut x, mut unit) = (n as f64 / 1000.0, 0);
    // What would be rounded to 1000 gets the next unit.
    while x >= 999.5 && unit + 1 < UNITS.len() {
        (x, unit) = (x / 1000.0, unit + 1);
    }
    let digits = if x < 9.995 { 2 } else { usize::from(x < 99.95) };
    format!("{x:.digits$} {}", UNITS[unit])
}

/// A count with its thousands apart.
fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

fn seconds(us: u64) -> String {
    match us {
        0..1000 => format!("{us} µs"),
        1000..1_000_000 => format!("{:.1} ms", us as f64 / 1e3),
        _ => format!("{:.2} s", us as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forecast_without_an_end_says_so() {
        let line = tilework_expr::Expr::full(&[8], &1.into(), tilework_expr::Scalar::new(1.0)).unwrap();
        let workers = vec![crate::session::WorkerSize { threads: 1, memory_bytes: 1 << 30 }];
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
    fn units() {
        let shown = [0, 999, 1000, 9_994, 9_996, 99_960, 999_499, 999_500, 16 << 20, u64::MAX].map(bytes);
        let expected = [
            "0 B", "999 B", "1.00 kB", "9.99 kB", "10.0 kB", "100 kB", "999 kB", "1.00 MB", "16.8 MB",
            "18.4 EB",
        ];
        assert_eq!(shown, expected);
        assert_eq!([0, 999, 1000, 1_234_567].map(number), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([7, 1500, 2_345_678].map(seconds), ["7 µs", "1.5 ms", "2.35 s"]);
        assert_eq!([by(&[]), by(&[3]), by(&[3, 4])], ["scalar", "3", "3 × 4"]);
    }
}

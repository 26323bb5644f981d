//! Tables for a terminal, and numbers as people read them.

use std::fmt;

/// Rows of text in aligned columns: the first ones to the left, the rest, numbers, to the right.
#[derive(Clone, Debug)]
pub struct Table {
    n_left: usize,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with this header, whose first `n_left` columns are names.
    #[must_use]
    pub fn new(n_left: usize, header: impl IntoIterator<Item = impl Into<String>>) -> Table {
        Table { n_left, rows: vec![header.into_iter().map(Into::into).collect()] }
    }

    /// Appends a row; cells that are missing stay empty.
    pub fn row(&mut self, cells: impl IntoIterator<Item = impl Into<String>>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    fn widths(&self) -> Vec<usize> {
        let n_columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width =
            |column: usize| self.rows.iter().filter_map(|r| r.get(column)).map(|c| c.chars().count()).max();
        (0..n_columns).map(|column| width(column).unwrap_or(0)).collect()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.widths();
        for (i, row) in self.rows.iter().enumerate() {
            let mut line = String::new();
            for (column, &width) in widths.iter().enumerate() {
                let cell = row.get(column).map_or("", String::as_str);
                let gap = if column == 0 { "" } else { "  " };
                line += &match column < self.n_left {
                    true => format!("{gap}{cell:<width$}"),
                    false => format!("{gap}{cell:>width$}"),
                };
            }
            writeln!(f, "{}", line.trim_end())?;
            if i == 0 {
                writeln!(
                    f,
                    "{}",
                    "-".repeat(widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1))
                )?;
            }
        }
        Ok(())
    }
}

/// Seconds with three significant digits, never in powers of ten.
#[must_use]
pub fn seconds(s: f64) -> String {
    significant(s, 3)
}

/// A ratio with two significant digits and a multiplication sign: `4.4 ×`.
#[must_use]
pub fn ratio(r: f64) -> String {
    format!("{} ×", significant(r, 2))
}

/// Bytes in decimal units with up to three digits: `512 kB`, `8 MB`, `1.2 GB`.
#[must_use]
pub fn bytes(n: u64) -> String {
    let (unit, name) = match n {
        0..1_000 => return format!("{n} B"),
        1_000..1_000_000 => (1e3, "kB"),
        1_000_000..1_000_000_000 => (1e6, "MB"),
        _ => (1e9, "GB"),
    };
    let scaled = n as f64 / unit;
    let digits = if scaled < 99.95 { format!("{scaled:.1}") } else { format!("{scaled:.0}") };
    format!("{} {name}", digits.trim_end_matches(".0"))
}

fn significant(x: f64, digits: i32) -> String {
    if x == 0.0 || !x.is_finite() {
        return format!("{x}");
    }
    let decimals = (digits - 1 - x.abs().log10().floor() as i32).max(0) as usize;
    format!("{x:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_left_and_numbers_right() {
        let mut table = Table::new(1, ["workload", "1 MB", "8 MB"]);
        table.row(["sum", "1.00", "12.00*"]);
        table.row(["mean × 2", "0.1"]);
        let lines =
            ["workload  1 MB    8 MB", "----------------------", "sum       1.00  12.00*", "mean × 2   0.1"];
        assert_eq!(table.to_string(), lines.map(|l| format!("{l}\n")).concat());
    }

    #[test]
    fn numbers_keep_their_significant_digits() {
        assert_eq!(
            [0.000_312_4, 0.0312, 1.234, 12.34, 1234.0].map(seconds),
            ["0.000312", "0.0312", "1.23", "12.3", "1234"]
        );
        assert_eq!([0.88, 1.0, 4.44, 123.0].map(ratio), ["0.88 ×", "1.0 ×", "4.4 ×", "123 ×"]);
        assert_eq!(seconds(0.0), "0");
        assert_eq!(seconds(f64::NAN), "NaN");
    }

    #[test]
    fn bytes_have_decimal_units() {
        let shown = [0, 999, 1_000, 512_000, 8_000_000, 99_960_000, 1_250_000_000].map(bytes);
        assert_eq!(shown, ["0 B", "999 B", "1 kB", "512 kB", "8 MB", "100 MB", "1.2 GB"]);
    }
}

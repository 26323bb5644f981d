//! A table that fits the terminal. Must not know how rows are made.

use super::Result;
use super::frame::DataFrame;
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};

/// Rows that are shown.
const ROWS: usize = 10;
/// Characters of a line where there is no terminal.
const WIDTH: u16 = 100;
/// The least characters of a column that is shown.
const COLUMN_WIDTH_MIN: u16 = 13;

impl DataFrame {
    /// Prints the first rows, with names and types, as many columns as fit the terminal.
    ///
    /// # Errors
    /// As [`collect`](DataFrame::collect).
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([1, 2, 3]))])?;
    /// df.show()?;
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn show(&self) -> Result<()> {
        println!("{}", self.shown()?);
        Ok(())
    }

    /// What [`show`](DataFrame::show) prints.
    ///
    /// # Errors
    /// As [`collect`](DataFrame::collect).
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([Some(1.5), None]))])?;
    /// let text = df.shown()?;
    /// assert!(text.contains("x") && text.contains("1.5") && text.contains("null"));
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn shown(&self) -> Result<String> {
        let batches = self.head(ROWS + 1)?.collect()?;
        let width = Table::new().width().unwrap_or(WIDTH);
        Ok(table(&self.schema(), &batches, width)?)
    }
}

/// The rows as a table of this width.
fn table(
    schema: &SchemaRef,
    batches: &[RecordBatch],
    width: u16,
) -> std::result::Result<String, datafusion::arrow::error::ArrowError> {
    let n_shown = usize::from((width / COLUMN_WIDTH_MIN).max(2)).min(schema.fields().len());
    // The first and the last ones, where not all fit.
    let n_first = if n_shown < schema.fields().len() { n_shown.div_ceil(2) } else { n_shown };
    let n_last = n_shown - n_first;
    let places: Vec<usize> =
        (0..n_first).chain(schema.fields().len() - n_last..schema.fields().len()).collect();
    let left_out = schema.fields().len() - n_shown;
    let mut table = Table::new();
    table.load_preset(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(width);
    let with_gap = |mut cells: Vec<Cell>| {
        if left_out > 0 {
            cells.insert(n_first, Cell::new("…"));
        }
        cells
    };
    let header = |at: &usize| {
        let field = schema.field(*at);
        Cell::new(format!("{}\n{}", field.name(), field.data_type()))
    };
    table.set_header(with_gap(places.iter().map(header).collect()));
    let options = FormatOptions::default().with_null("null");
    let mut n_rows = 0;
    for batch in batches {
        let columns = places.iter().map(|at| ArrayFormatter::try_new(batch.column(*at).as_ref(), &options));
        let columns = columns.collect::<std::result::Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows().min(ROWS.saturating_sub(n_rows)) {
            let cell = |(column, at): (&ArrayFormatter<'_>, &usize)| {
                let numeric = schema.field(*at).data_type().is_numeric();
                let side = if numeric { CellAlignment::Right } else { CellAlignment::Left };
                Cell::new(column.value(row)).set_alignment(side)
            };
            table.add_row(with_gap(columns.iter().zip(&places).map(cell).collect()));
        }
        n_rows += batch.num_rows();
    }
    let more = if n_rows > ROWS { "\n… and more rows" } else { "" };
    let columns = if left_out > 0 { format!("\n… and {left_out} more columns") } else { String::new() };
    Ok(format!("{table}{more}{columns}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::values;

    #[test]
    fn a_table_is_not_wider_than_the_terminal() {
        let columns = (0..40).map(|i| (format!("column number {i}"), values(["a rather long text"; 12])));
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        for width in [30, 80, 200] {
            let text = table(&batch.schema(), std::slice::from_ref(&batch), width).unwrap();
            let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(widest <= usize::from(width) && text.contains('…'), "{width}: {widest}\n{text}");
            assert!(text.contains("more columns") && text.contains("more rows"));
        }
    }
}

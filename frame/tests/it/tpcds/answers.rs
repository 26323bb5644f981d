//! Answers as rows that can be compared: floats apart from all else, for their last digits depend on the order of sums.

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Float64Type};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};

/// By how much, of their size, two floats may differ.
const NEAR: f64 = 1e-9;

#[derive(Debug, Clone)]
pub struct Row {
    /// What is no float, and where floats are missing.
    text: String,
    floats: Vec<f64>,
    /// Whether each value is missing or zero, as where aggregates of no rows stand.
    nothing: bool,
}

/// The rows in their order.
pub fn rows<'a>(batches: impl IntoIterator<Item = &'a RecordBatch>) -> Vec<Row> {
    batches
        .into_iter()
        .flat_map(|batch| (0..batch.num_rows()).map(|i| row(batch, i)).collect::<Vec<_>>())
        .collect()
}

fn row(batch: &RecordBatch, i: usize) -> Row {
    let options = FormatOptions::default();
    let (mut text, mut floats, mut nothing) = (Vec::new(), Vec::new(), true);
    for column in batch.columns() {
        let value = if column.is_null(i) {
            "NULL".to_owned()
        } else if *column.data_type() == DataType::Float64 {
            floats.push(column.as_primitive::<Float64Type>().value(i));
            "~".to_owned()
        } else {
            ArrayFormatter::try_new(column, &options).unwrap().value(i).to_string()
        };
        nothing &= matches!(value.as_str(), "NULL" | "0");
        text.push(value);
    }
    Row { text: text.join("|"), floats, nothing }
}

/// Whether there is a row that says something.
pub fn has_rows(rows: &[Row]) -> bool {
    rows.iter().any(|row| !row.nothing)
}

/// The first place where two answers differ.
pub fn difference(mut got: Vec<Row>, mut expected: Vec<Row>, in_order: bool) -> Option<String> {
    if got.len() != expected.len() {
        return Some(format!("got {} rows, expected {}", got.len(), expected.len()));
    }
    if !in_order {
        sort(&mut got);
        sort(&mut expected);
    }
    let unlike = got.iter().zip(&expected).position(|(a, b)| !alike(a, b));
    unlike.map(|i| format!("row {i}: got {:?}, expected {:?}", got[i], expected[i]))
}

fn sort(rows: &mut [Row]) {
    let floats = |row: &Row| row.floats.iter().map(|f| f.to_bits()).collect::<Vec<_>>();
    rows.sort_by(|a, b| a.text.cmp(&b.text).then_with(|| floats(a).cmp(&floats(b))));
}

fn alike(a: &Row, b: &Row) -> bool {
    let near = |(a, b): (&f64, &f64)| {
        a == b || (a - b).abs() <= NEAR * a.abs().max(b.abs()) || (a.is_nan() && b.is_nan())
    };
    a.text == b.text && a.floats.iter().zip(&b.floats).all(near)
}

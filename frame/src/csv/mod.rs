//! CSV files as tables: their types found on their heads, middles and ends, and errors that say where a value is that
//! does not fit. Must not know of plans of other tables.

mod infer;
mod read;
mod table;

pub(crate) use infer::found;
pub(crate) use table::{CsvExec, CsvNode, CsvTable};

use datafusion::arrow::datatypes::DataType;

/// Texts that stand for a value that is missing, as in pandas.
const NULLS: [&str; 19] = [
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A",
    "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
];

/// How CSV files are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvOptions {
    /// What is between values.
    pub separator: u8,
    /// What is around values that hold a separator, or a line's end.
    pub quote: u8,
    /// What lines that are left out begin with.
    pub comment: Option<u8>,
    /// Whether the first line holds the names; else they are `column_1`, `column_2` and so on.
    pub has_header: bool,
    /// Lines before the first one that is read.
    pub skip_rows: usize,
    /// The columns that are read; all if none are said.
    pub columns: Vec<String>,
    /// Types of columns, which else are found on the values.
    pub dtypes: Vec<(String, DataType)>,
    /// Columns of times, in one of the formats of [`to_datetime`](crate::Text::to_datetime).
    pub parse_dates: Vec<String>,
    /// Texts that stand for a value that is missing, beside those of pandas.
    pub na_values: Vec<String>,
    /// Whether those of pandas do.
    pub keep_default_na: bool,
    /// Whether values hold ends of lines. Files that do are not divided.
    pub newlines_in_values: bool,
    /// Whether the directories below the path name columns: `year=2024/month=1/..`. See
    /// [`ReadOptions::hive`](crate::ReadOptions::hive).
    pub hive: bool,
}

impl Default for CsvOptions {
    fn default() -> CsvOptions {
        CsvOptions {
            separator: b',',
            quote: b'"',
            comment: None,
            has_header: true,
            skip_rows: 0,
            columns: Vec::new(),
            dtypes: Vec::new(),
            parse_dates: Vec::new(),
            na_values: Vec::new(),
            keep_default_na: true,
            newlines_in_values: false,
            hive: false,
        }
    }
}

impl CsvOptions {
    /// The texts that stand for a value that is missing.
    fn nulls(&self) -> Vec<String> {
        let default = if self.keep_default_na { NULLS.as_slice() } else { &[] };
        default.iter().map(|text| (*text).to_owned()).chain(self.na_values.iter().cloned()).collect()
    }
}

/// A value or a row of a CSV file that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CsvError {
    /// A value is not of its column's type.
    #[error(
        "{file}, line {line}, column {column:?}: {text:?} is no {expected}; `dtypes` says another type for the column"
    )]
    Value {
        /// The path of the file.
        file: String,
        /// The line, from 1.
        line: u64,
        /// The column's name.
        column: String,
        /// What is there.
        text: String,
        /// The type.
        expected: String,
    },
    /// A row has more or fewer values than there are columns.
    #[error("{file}, line {line}: {got} values, where there are {expected} columns")]
    Ragged {
        /// The path of the file.
        file: String,
        /// The line, from 1.
        line: u64,
        /// How many values it has.
        got: usize,
        /// How many columns there are.
        expected: usize,
    },
    /// The file cannot be read as text of rows.
    #[error("{file}: {reason}")]
    Other {
        /// The path of the file.
        file: String,
        /// Why not.
        reason: String,
    },
}

/// Whether a text is a value of a type.
fn is_of(text: &str, data_type: &DataType) -> bool {
    use datafusion::arrow::array::StringArray;
    use datafusion::arrow::compute::{CastOptions, cast_with_options};
    match data_type {
        DataType::Int64 => text.parse::<i64>().is_ok(),
        DataType::Float64 => text.parse::<f64>().is_ok(),
        DataType::Boolean => text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false"),
        DataType::Timestamp(_, _) => crate::functions::datetime::parsed(text, None).is_some(),
        t if t.is_string() => true,
        other => {
            let strict = CastOptions { safe: false, ..CastOptions::default() };
            cast_with_options(&StringArray::from(vec![text]), other, &strict).is_ok()
        }
    }
}

//! Results as comma-separated values that say where they come from: lines with `#` hold the command and the machine.

use anyhow::Context;
use std::fmt;
use std::path::Path;

/// A file of results.
#[derive(Clone, Debug)]
pub struct Csv {
    text: String,
    n_columns: usize,
}

impl Csv {
    /// Begins with a `# name: value` line for each fact, then the header.
    #[must_use]
    pub fn new(facts: &[(&str, &str)], header: &[&str]) -> Csv {
        let facts = facts.iter().map(|(name, value)| format!("# {name}: {}\n", value.replace('\n', " ")));
        let mut csv = Csv { text: facts.collect(), n_columns: header.len() };
        csv.row(header);
        csv
    }

    /// Appends a row.
    ///
    /// # Panics
    /// If it has not as many fields as the header.
    pub fn row<T: AsRef<str>>(&mut self, fields: &[T]) {
        assert_eq!(fields.len(), self.n_columns, "fields of a row");
        let mut writer = csv::WriterBuilder::new().comment(Some(b'#')).from_writer(Vec::new());
        writer.write_record(fields.iter().map(AsRef::as_ref)).expect("memory takes every record");
        let line = writer.into_inner().expect("memory takes every record");
        self.text += &String::from_utf8(line).expect("the fields are text");
    }

    /// Writes the file, making its directory if it is not there.
    ///
    /// # Errors
    /// A directory or a file that cannot be written.
    pub fn write(&self, file: &Path) -> anyhow::Result<()> {
        let cannot = || format!("cannot write {}", file.display());
        if let Some(dir) = file.parent() {
            std::fs::create_dir_all(dir).with_context(cannot)?;
        }
        std::fs::write(file, &self.text).with_context(cannot)
    }
}

impl fmt::Display for Csv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A number, or nothing.
#[must_use]
pub fn optional<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(String::new, |v| v.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_come_first_and_fields_are_quoted_where_they_must_be() {
        let mut csv =
            Csv::new(&[("command", "bench --x 1,2"), ("machine", "a\nb")], &["name", "seconds", "error"]);
        csv.row(&["sum", "0.5", ""]);
        csv.row(&["a,b", "say \"no\"", "#1"]);
        let expected = "# command: bench --x 1,2\n# machine: a b\nname,seconds,error\nsum,0.5,\n\
                        \"a,b\",\"say \"\"no\"\"\",\"#1\"\n";
        assert_eq!(csv.to_string(), expected);
    }

    #[test]
    #[should_panic(expected = "fields of a row")]
    fn a_short_row_is_refused() {
        Csv::new(&[], &["a", "b"]).row(&["1"]);
    }

    #[test]
    fn the_directory_is_made() {
        let dir = std::env::temp_dir().join(format!("tilework-csv-{}", std::process::id()));
        let file = dir.join("deep").join("x.csv");
        Csv::new(&[], &["a"]).write(&file).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "a\n");
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn nothing_is_an_empty_field() {
        assert_eq!((optional(Some(1.5)), optional(None::<u8>)), ("1.5".to_string(), String::new()));
    }
}

//! Tables of this process on a session, and queries on them. Must not know which tables they are.

use tilework::Session;
use tilework::dataframe::arrow::array::RecordBatch;
use tilework::dataframe::{DataFrame, FrameError};

/// Those of some names that a query in SQL reads.
#[must_use]
pub fn read_by(sql: &str, names: &[&'static str]) -> Vec<&'static str> {
    let words: Vec<&str> = sql.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    names.iter().copied().filter(|name| words.contains(name)).collect()
}

/// Tables on a session, which stay in this process until a query reads them.
pub struct Here(Vec<(&'static str, DataFrame)>);

impl Here {
    /// Tables of these names and rows.
    ///
    /// # Panics
    /// If they cannot be made.
    #[must_use]
    pub fn on(
        session: &Session,
        names: &[&'static str],
        rows: impl Fn(&'static str) -> Vec<RecordBatch>,
    ) -> Here {
        let table = |&name: &&'static str| {
            (name, session.from_record_batches(rows(name)).expect("rows of one schema"))
        };
        Here(names.iter().map(table).collect())
    }

    /// What a query in SQL gives.
    ///
    /// # Errors
    /// Those of the query.
    pub fn ask(&self, session: &Session, sql: &str) -> Result<Vec<RecordBatch>, FrameError> {
        let names: Vec<&'static str> = self.0.iter().map(|(name, _)| *name).collect();
        let read = read_by(sql, &names);
        let tables = self.0.iter().filter(|(name, _)| read.contains(name));
        let tables: Vec<(&str, &DataFrame)> = tables.map(|(name, table)| (*name, table)).collect();
        session.sql_on(sql, &tables)?.collect()
    }
}

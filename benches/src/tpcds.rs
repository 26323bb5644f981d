//! TPC-DS on a session: its tables, made here row by row, and its queries.

#[path = "../../frame/tests/it/tpcds/made.rs"]
mod made;

pub use made::{QUERIES, TABLES, rows};
use tilework::Session;
use tilework::dataframe::arrow::array::RecordBatch;
use tilework::dataframe::{DataFrame, FrameError};

/// The tables that a query in SQL reads.
#[must_use]
pub fn tables_of(sql: &str) -> Vec<&'static str> {
    let words: Vec<&str> = sql.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    TABLES.iter().copied().filter(|table| words.contains(table)).collect()
}

/// The tables of TPC-DS on a session.
pub struct Tpcds(Vec<(&'static str, DataFrame)>);

impl Tpcds {
    /// Tables of this scale, which stay in this process until a query reads them.
    ///
    /// # Panics
    /// If they cannot be made.
    #[must_use]
    pub fn on(session: &Session, scale: f64) -> Tpcds {
        let table = |name: &&'static str| {
            (*name, session.from_record_batches(rows(name, scale)).expect("rows of one schema"))
        };
        Tpcds(TABLES.iter().map(table).collect())
    }

    /// What a query in SQL gives.
    ///
    /// # Errors
    /// Those of the query.
    pub fn ask(&self, session: &Session, sql: &str) -> Result<Vec<RecordBatch>, FrameError> {
        let read = tables_of(sql);
        let tables = self.0.iter().filter(|(name, _)| read.contains(name));
        let tables: Vec<(&str, &DataFrame)> = tables.map(|(name, table)| (*name, table)).collect();
        session.sql_on(sql, &tables)?.collect()
    }
}

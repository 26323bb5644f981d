//! TPC-DS: its tables, made here row by row, and its queries.

#[path = "../../frame/tests/it/tpcds/made.rs"]
mod made;

use crate::tables::Here;
pub use made::{QUERIES, TABLES, rows};
use tilework::Session;

/// Its tables of this scale on a session.
///
/// # Panics
/// If they cannot be made.
#[must_use]
pub fn on(session: &Session, scale: f64) -> Here {
    Here::on(session, TABLES, |table| rows(table, scale))
}

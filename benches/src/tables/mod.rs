//! Queries on files by one engine in a process of its own: Tilework on a session, or DataFusion by itself.
//!
//! Knows which queries there are, the files that they read, and how an engine is asked. Must not know how results are shown.

mod data;
mod engine;
mod here;
mod query;

pub use data::Data;
pub use engine::{Answers, Engine, Reading, measure, serve_if_asked};
pub use here::Here;
pub use query::Query;

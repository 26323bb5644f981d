//! Tables on sessions: a query that was planned becomes a program, whose stages are those of the query. The workers of this
//! executable have an engine that runs its tasks.
//!
//! Owns what is between the two. Must not know how queries are planned, nor how a task of one is run.

mod execute;
mod program;

pub(crate) use execute::execute;
pub(crate) use tilework_worker_tables::install;

#[cfg(test)]
mod tests;

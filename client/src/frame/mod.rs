//! Tables on sessions: a query that was planned becomes a program, whose stages are those of the query, and the workers of
//! this executable have an engine that runs its tasks.
//!
//! Owns what is between the two. Must not know how queries are planned, nor how a task of one is run.

mod engine;
mod execute;
mod pieces;
mod program;

pub(crate) use engine::install;
pub(crate) use execute::execute;

#[cfg(test)]
mod tests;

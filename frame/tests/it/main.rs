//! Queries as stage graphs against DataFusion in one process, and what breaks where partitions run alone.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod api;
mod api_tpch;

mod data;
mod files;
mod hazards;
mod tasks;
mod tpcds;
mod tpch;

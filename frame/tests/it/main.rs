//! Queries as stage graphs against DataFusion in one process, and what breaks where partitions run alone.

mod data;
mod hazards;
mod tasks;
mod tpch;

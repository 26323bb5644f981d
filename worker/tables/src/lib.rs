//! Internal to tilework: the engine that runs tables' tasks on workers, and how pieces of tables are values.
//!
//! ```text
//! worker ── EngineTask: payload, values and blocks ──> engine ── TaskInput: feeds of pieces ──> tilework-frame's runner
//!        <── a value of blocks, one for each piece ──        <── TaskOutput: pieces ──
//! ```
//!
//! An executable whose workers are to have it calls [`install`] before they start. Knows workers' values and tables' pieces.
//! Must not know how a query is planned, nor when a task runs.

mod engine;
mod functions;
mod pieces;
mod planes;

pub use engine::{TAG, disk, install};
pub use functions::{read as function_of, written as written_function};
pub use pieces::{of_value, value};
pub use planes::{data_type_of, elements, piece_of_array};

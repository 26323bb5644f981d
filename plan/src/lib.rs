//! Internal to tilework: the shape of a plan: stages of tasks, which task reads which and how much of it, computed from
//! numbers alone; and the words in which scheduler, workers and clients speak of tasks.
//!
//! Everything that is scheduled is lowered to a [`Plan`]: arrays, and whatever else is cut into tasks. What the tasks do
//! is kept beside it by those who lower and run them; scheduler and workers decide by the shape alone.
//!
//! Pure: no I/O, no clock, no randomness, no runtime.

mod boxes;
mod deps;
mod exchange;
mod grid;
mod hello;
mod listed;
mod memory;
mod need;
pub mod quantities;
mod reach;
mod readers;
mod stage;
mod state;
mod stored;
mod take;
mod task;
mod terms;
mod view;
mod words;

pub use boxes::Positions;
pub use deps::{flat_range, for_product};
pub use exchange::Part;
pub use grid::{AxisGrid, ChunkIdx, Grid, Region, region_len, region_shape};
pub use hello::{ClientHello, ClientId, Hello, JobNumber};
pub use listed::Listed;
pub use need::Need;
pub use reach::{Edge, Reach};
pub use stage::{
    CONTRACT_PIECE_MIN, Function, Input, InputMap, Origin, Plan, Scratch, Sizes, Stage, Temporaries,
};
pub use state::{ClientSummary, ClusterState, JobState, StageCounts, WorkerSummary};
pub use stored::{Extent, GAP_BYTES_MAX, Steps, Stored, in_boxes};
pub use take::Taken;
pub use task::{
    Figures, Holding, Instruction, JobError, JobId, LeaseId, Report, StageIdx, TaskError, TaskKey, TaskRange,
    Update, WorkerId,
};
pub use terms::{TAG_BYTES_MAX, TAG_IN_WORDS, TAGS_MAX, Tags, Terms, is_tag, tags_in_words, tags_of};
pub use view::{AxisMap, View, chunks_read, outputs_within};

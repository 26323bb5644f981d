//! What whoever submits tasks asks for beside their results: how they are to be run. The same for all tasks of a stage.
//!
//! Plain data. Must not know how any of it is done.

/// How the tasks of a stage are to be run.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Terms {
    /// How often a task whose operation fails is tried again.
    pub retries: u32,
    /// How long a task may run, microseconds; as long as its worker lets tasks run where absent.
    pub limit_us: Option<u64>,
}

impl Terms {
    /// Nothing is asked for.
    pub const NONE: &'static Terms = &Terms { retries: 0, limit_us: None };
}

//! Results that are kept under a name: what clients ask about them, and what they are answered.
//!
//! Owns the words. Must not know who keeps them.

use std::sync::Arc;
use tilework_expr::Program;
use tilework_plan::JobId;

/// The longest name, bytes.
pub const NAME_BYTES_MAX: usize = 255;
/// Names that there can be at once.
pub const NAMES_MAX: usize = 1000;

/// Whether this can be a name.
///
/// # Errors
/// [`NameError::Refused`] where it is empty, too long, or has control characters.
pub fn check_name(name: &str) -> Result<(), NameError> {
    if !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.chars().any(char::is_control) {
        return Ok(());
    }
    let bytes = name.len();
    Err(NameError::Refused(format!(
        "the name has {bytes} bytes, expected 1 to {NAME_BYTES_MAX}, without control characters"
    )))
}

/// What a client asks.
#[derive(Clone, PartialEq, Debug)]
pub enum NameRequest {
    /// Keep the outputs of one of its jobs.
    Publish {
        /// The job.
        job: JobId,
        /// Under which name.
        name: String,
        /// What reads them.
        program: Arc<Program>,
    },
    /// What reads what is kept under a name.
    Get(String),
    /// All that is kept.
    List,
    /// Keep what has a name no longer.
    Unpublish(String),
}

/// What it is answered.
#[derive(Clone, PartialEq, Debug)]
pub enum NameAnswer {
    /// It is done.
    Done,
    /// What reads it.
    Found(Arc<Program>),
    /// By their names.
    All(Vec<Named>),
}

/// Something that is kept under a name.
#[derive(Clone, PartialEq, Debug)]
pub struct Named {
    /// Its name.
    pub name: String,
    /// What reads it.
    pub program: Arc<Program>,
    /// Who published it, in words.
    pub by: String,
    /// For how long it has been kept, microseconds.
    pub age_us: u64,
}

/// Why something cannot be published, or be had by its name.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NameError {
    /// The name is taken.
    #[error("'{name}' is published already, by {by}: unpublish that first, or take another name")]
    Taken {
        /// The name.
        name: String,
        /// By whom, in words.
        by: String,
    },
    /// Nothing has the name.
    #[error("nothing is published as '{name}'; {}", listed(.there))]
    Unknown {
        /// The name.
        name: String,
        /// The names that there are, some of them where there are many.
        there: Vec<String>,
    },
    /// What had the name cannot be had any more.
    #[error("what was published as '{name}' is lost: {why}")]
    Lost {
        /// The name.
        name: String,
        /// Why.
        why: String,
    },
    /// It cannot be published.
    #[error("cannot be published: {0}")]
    Refused(String),
}

fn listed(there: &[String]) -> String {
    match there {
        [] => "there is nothing".to_owned(),
        some => format!("there is '{}'", some.join("', '")),
    }
}

//! What whoever submits tasks asks for beside their results: how they are to be run, and where. The same for all tasks of a
//! stage.
//!
//! Plain data. Must not know how any of it is done.

use std::collections::BTreeSet;
use std::sync::Arc;

/// Tags of one worker or one task, at most.
pub const TAGS_MAX: usize = 32;
/// Bytes of a tag, at most.
pub const TAG_BYTES_MAX: usize = 64;

/// What some workers have and some tasks need: a name for each.
pub type Tags = BTreeSet<Arc<str>>;

/// How the tasks of a stage are to be run.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Terms {
    /// How often a task whose operation fails is tried again.
    pub retries: u32,
    /// How long a task may run, microseconds; as long as its worker lets tasks run where absent.
    pub limit_us: Option<u64>,
    /// What a worker must have to be given one.
    pub tags: Tags,
    /// Bytes that a task takes beside what it reads and makes.
    pub memory_bytes: u64,
    /// How urgent a task is: those of a higher priority go before others that wait.
    pub priority: i32,
}

impl Terms {
    /// Nothing is asked for.
    pub const NONE: &'static Terms =
        &Terms { retries: 0, limit_us: None, tags: BTreeSet::new(), memory_bytes: 0, priority: 0 };
}

/// What a tag can be, in words.
pub const TAG_IN_WORDS: &str = "up to 64 letters, digits and any of - _ . : /";

/// Whether a text can be a tag: see [`TAG_IN_WORDS`].
///
/// ```
/// assert!(tilework_plan::is_tag("gpu:a100"));
/// assert!(!tilework_plan::is_tag("two words") && !tilework_plan::is_tag(""));
/// ```
#[must_use]
pub fn is_tag(text: &str) -> bool {
    (1..=TAG_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:/".contains(&b))
}

/// The tags of a list as settings have it, `gpu,big`; nothing where one of them is none, or there are too many.
///
/// ```
/// let tags = tilework_plan::tags_of("gpu, big").unwrap();
/// assert!(tags.contains("gpu") && tags.contains("big") && tags.len() == 2);
/// assert!(tilework_plan::tags_of("").unwrap().is_empty());
/// assert_eq!(tilework_plan::tags_of("a,,b"), None);
/// ```
#[must_use]
pub fn tags_of(list: &str) -> Option<Tags> {
    if list.trim().is_empty() {
        return Some(Tags::new());
    }
    let tag = |text: &str| Some(text.trim()).filter(|text| is_tag(text)).map(Arc::from);
    list.split(',').map(tag).collect::<Option<Tags>>().filter(|tags| tags.len() <= TAGS_MAX)
}

/// Tags in words: `'big' and 'gpu'`.
#[must_use]
pub fn tags_in_words(tags: &Tags) -> String {
    let tags: Vec<String> = tags.iter().map(|tag| format!("'{tag}'")).collect();
    tags.join(" and ")
}

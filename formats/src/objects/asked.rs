//! What is asked for of objects, and what is found: the same in builds with object stores and without.
//!
//! Must not know who is asked.

use std::ops::Range;
use std::time::SystemTime;

/// Which bytes of an object are asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Part {
    /// All of them.
    Whole,
    /// These, or fewer where the object ends before.
    Range(Range<u64>),
    /// The last ones, or all of a shorter object.
    Last(u64),
}

/// An object that was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Object {
    /// Its name below the place that was asked for, `a/b`.
    pub name: String,
    /// Its length in bytes.
    pub size: u64,
    /// When it was written last.
    pub modified: SystemTime,
}

/// What lies directly below a place.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Listed {
    /// The names that others lie below, sorted.
    pub dirs: Vec<String>,
    /// The objects, sorted by name.
    pub objects: Vec<Object>,
}

//! What can be kept under a name on a cluster, and what is told of it.
//!
//! Owns which types that are. Must not know how names are kept.

use crate::array::Array;
use crate::error::{Error, Result};
use crate::session::Session;
use ndarray::Dimension;
use std::fmt;
use std::time::Duration;
use tilework_expr::{DType, Element, Expr, Op};
use tilework_plan::quantities::bytes;
pub use tilework_proto::NameError;

/// What can be published: arrays of elements that expressions can have, and futures. See [`Session::publish`].
pub trait Publish {
    /// Keeps it on a session's workers, in a job of its own.
    #[doc(hidden)]
    fn kept(&self, session: &Session) -> Result<Expr>;
}

/// What can be had by a name: arrays and futures, of the type that they were published as. See [`Session::get`].
pub trait Published: Sized {
    /// What reads what `name` names.
    #[doc(hidden)]
    fn of(session: &Session, name: &str, kept: &Expr) -> Result<Self>;
}

impl<A: Element, D: Dimension> Publish for Array<A, D> {
    fn kept(&self, session: &Session) -> Result<Expr> {
        Ok(session.persist(&[self.leaf()?])?.remove(0))
    }
}

impl<A: Element, D: Dimension> Published for Array<A, D> {
    fn of(session: &Session, name: &str, kept: &Expr) -> Result<Self> {
        let (what, got) = (name.to_owned(), kept.ndim());
        if matches!(kept.op(), Op::Values(_)) {
            return Err(Error::Kind { what, got: "a value", expected: "an array" });
        }
        if kept.dtype() != A::DTYPE {
            return Err(Error::DType { what, got: kept.dtype(), expected: A::DTYPE });
        }
        if let Some(expected) = D::NDIM.filter(|n| *n != got) {
            return Err(Error::Dimensions { what, got, expected });
        }
        Ok(Array::of_expr(session.persist(std::slice::from_ref(kept))?.remove(0)))
    }
}

/// Something that is kept under a name. Printed in a line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Named {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: NamedKind,
    /// Who published it: program, process, user and host.
    pub by: String,
    /// For how long it has been kept.
    pub age: Duration,
}

/// What is kept under a name. Printed in words.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum NamedKind {
    /// An array.
    Array {
        /// Its shape.
        shape: Vec<usize>,
        /// Its dtype.
        dtype: DType,
    },
    /// The value of a task.
    Value,
}

impl NamedKind {
    /// Of what an expression reads.
    pub(crate) fn of(kept: &Expr) -> NamedKind {
        match kept.op() {
            Op::Values(_) => NamedKind::Value,
            _ => NamedKind::Array { shape: kept.shape(), dtype: kept.dtype() },
        }
    }
}

impl fmt::Display for NamedKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NamedKind::Array { shape, dtype } = self else { return f.write_str("a value") };
        let size = shape.iter().product::<usize>() as u64 * dtype.size() as u64;
        let shape: Vec<String> = shape.iter().map(ToString::to_string).collect();
        let shape = if shape.is_empty() { "a scalar of".to_owned() } else { shape.join(" x ") };
        write!(f, "{shape} {dtype} ({})", bytes(size))
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Named { name, kind, by, .. } = self;
        write!(f, "{name}: {kind}, by {by}")
    }
}

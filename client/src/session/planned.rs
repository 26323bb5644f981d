//! From expressions to what can be run: their program, the literals that it reads and its plan, which are made once and handed
//! on to whoever runs them.
//!
//! Owns what takes the place of arrays and values that other sessions hold, and of functions that no worker has. Must not
//! know where it is run.

use super::Session;
use super::held::Held;
use super::values::Failure;
use crate::error::{ClusterError, Error, Result};
use crate::futures::HeldValue;
use crate::literal::Literal;
use std::cell::OnceCell;
use std::sync::Arc;
use std::time::Duration;
use tilework_expr::{Expr, Lowered, Op, Program, Values};

/// The literals of a program.
pub(super) type Literals = Vec<Arc<Literal>>;

/// A program, all that it reads of this process, and its plan.
pub(crate) struct Planned {
    pub(crate) program: Arc<Program>,
    pub(super) literals: Literals,
    pub(crate) lowered: Lowered,
}

impl Planned {
    /// Of a program that comes with its literals.
    ///
    /// # Errors
    /// A program that has no plan.
    pub(crate) fn of(program: Program, literals: Vec<Arc<Literal>>) -> Result<Planned> {
        let lowered = Lowered::of(&program)?;
        Ok(Planned { program: Arc::new(program), literals, lowered })
    }

    /// What computes the expressions on a session, or on none. Where no worker is there of whom it depends what becomes of
    /// functions, it waits so long for one.
    ///
    /// # Errors
    /// Where an array that the session's workers kept is lost; expressions that have no plan.
    pub(super) fn on(on: Option<&Session>, outputs: &[Expr], wait: Duration) -> Result<Planned> {
        let (program, literals) = program(outputs, on, wait)?;
        Planned::of(program, literals)
    }

    /// With more literals, which other parts of the program read.
    pub(crate) fn with(mut self, literals: impl IntoIterator<Item = Arc<Literal>>) -> Planned {
        self.literals.extend(literals);
        self
    }

    /// Whether this process puts something of what it reads.
    pub(super) fn puts(&self) -> bool {
        !self.literals.is_empty()
    }
}

/// The program that computes the expressions on a session, or on none, and its literals.
fn program(outputs: &[Expr], on: Option<&Session>, wait: Duration) -> Result<(Program, Literals)> {
    let (mut literals, mut lost) = (Vec::new(), None);
    let has_own_workers = OnceCell::new();
    let foreign = |s: &Session| !has_own_workers.get_or_init(|| s.has_own_workers(wait));
    let program = Program::replacing(outputs, |e| {
        let attachment = e.attachment()?;
        if let Some(value) = attachment.downcast_ref::<HeldValue>() {
            if on.is_some_and(|session| value.is_of(session)) {
                lost = lost.take().or_else(|| value.lost().map(value_lost));
                return None;
            }
            let id = value.literal().id;
            literals.push(Arc::clone(value.literal()));
            return Some(Op::Values(Values::Client { id }));
        }
        if let (Op::Values(_), Some(held)) = (e.op(), attachment.downcast_ref::<Held>()) {
            if on.is_some_and(|session| held.is_of(session)) {
                lost = lost.take().or_else(|| held.lost().map(|why| gone(&why)));
                return None;
            }
            let id = held.literal().id;
            literals.push(Arc::clone(held.literal()));
            return Some(Op::Values(Values::Client { id }));
        }
        if let (Op::Values(_), Some(literal)) = (e.op(), Literal::of(attachment)) {
            literals.push(literal);
            return None;
        }
        let literal = match (e.op(), attachment.downcast_ref::<Held>()) {
            (Op::Held { .. }, Some(held)) if on.is_none_or(|session| !held.is_of(session)) => {
                Arc::clone(held.literal())
            }
            (Op::Held { .. }, Some(held)) => {
                lost = lost.take().or_else(|| held.lost().map(|why| gone(&why)));
                return None;
            }
            (Op::Literal { .. }, _) => Literal::of(attachment)?,
            // A function of the index gives the same chunks here, where the workers do not have it.
            _ if e.op().kernel().is_some() && on.is_some_and(foreign) => Literal::of(attachment)?,
            _ => return None,
        };
        if let (Some(session), Some(function)) = (on, literal.function()) {
            session.called_here(function);
        }
        let id = literal.id;
        literals.push(literal);
        Some(Op::Literal { id })
    });
    lost.map_or(Ok((program, literals)), Err)
}

/// Of what the workers kept, as long as there was a connection.
fn gone(why: &ClusterError) -> Error {
    let text = format!(
        "what the workers kept (`persist`) went with the connection to the scheduler ({why}): make it again"
    );
    ClusterError::Gone(text).into()
}

/// Of a value whose job has ended.
fn value_lost(why: Failure) -> Error {
    match why {
        Failure::Cluster(why) => gone(&why),
        its_own => its_own.into(),
    }
}

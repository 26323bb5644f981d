//! Results that are kept under a name, whatever becomes of the program that made them.
//!
//! Owns what is asked about names. Must not know what the results are.

use super::Session;
use super::jobs::Jobs;
use super::route::session_for;
use super::wait::wait_for;
use crate::error::{ClusterError, Error, Result};
use crate::names::{Named, NamedKind, Publish, Published};
use std::collections::BTreeMap;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tilework_expr::{Attachment, DType, Expr, Op, Program, Values};
use tilework_plan::{Grid, JobId};
use tilework_proto::names::check_name;
use tilework_proto::{NameAnswer, NameError, NameRequest};

/// What was asked about names and not answered yet.
#[derive(Default)]
pub(super) struct Asked(Mutex<Open>);

/// The next number, and who asked, by theirs.
#[derive(Default)]
struct Open {
    next: u64,
    who: BTreeMap<u64, SyncSender<Result<NameAnswer>>>,
}

impl Asked {
    fn add(&self, who: SyncSender<Result<NameAnswer>>) -> u64 {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let ticket = asked.next;
        asked.next += 1;
        asked.who.insert(ticket, who);
        ticket
    }

    /// It was not asked.
    fn forget(&self, ticket: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).who.remove(&ticket);
    }

    /// The answer has come.
    pub(super) fn answered(&self, ticket: u64, answer: std::result::Result<NameAnswer, NameError>) {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(who) = asked.who.remove(&ticket) {
            // Err: whoever asked waits no more.
            let _ = who.send(answer.map_err(Error::from));
        }
    }

    /// No answer will come any more.
    pub(super) fn close(&self, why: &ClusterError) {
        let open = std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).who);
        for who in open.into_values() {
            // Err: as above.
            let _ = who.send(Err(why.clone().into()));
        }
    }
}

impl Jobs {
    /// Asks the scheduler about names, over a new connection where the one that there was is lost.
    fn ask(self: &Arc<Self>, request: &NameRequest) -> Result<NameAnswer> {
        let answer = self.over_a_connection(|link| {
            // For each attempt anew: with a connection, all that was asked over it ends.
            let (who, answer) = sync_channel(1);
            let ticket = self.asked.add(who);
            let sent = wait_for(link.ask(ticket, request.clone()));
            sent.inspect_err(|_| self.asked.forget(ticket)).map(|()| answer)
        })?;
        answer.recv().map_err(|_| ClusterError::Ended("the session has ended".to_owned()))?
    }
}

impl Session {
    /// Keeps an array, or the value of a task, on the cluster under a name, as long as its scheduler lives or until it is
    /// unpublished, whatever becomes of this program: others get it by the name ([`Session::get`]). It is computed if need
    /// be, and stays on the workers. What is lost there is made again; not what came out of a program's own memory, when that
    /// program is gone: then the name is lost, and the error of who asks for it says why.
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// let session = tilework::Session::embedded()?;
    /// let x: Array2<f64> = Array::in_chunks(100).ones((300, 200));
    /// session.publish("ones", &x)?;
    ///
    /// // In another program that is connected to the same cluster:
    /// let ones: Array2<f64> = session.get("ones")?;
    /// assert_eq!(ones.sum_axis(Axis(0)).try_compute_on(&session)?[0], 300.0);
    /// assert_eq!(session.list()?[0].to_string(), format!("ones: 300 x 200 f64 (480 kB), by {}", session.list()?[0].by));
    /// session.unpublish("ones")?;
    /// # Ok::<(), tilework::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`NameError`] where the name is taken, empty or longer than 255 bytes, has control characters, there are a thousand
    /// names already, an array has more than 4,096 listed chunk lengths, or within a task; as `try_persist`.
    pub fn publish<T: Publish + ?Sized>(&self, name: &str, what: &T) -> Result<()> {
        self.refuse_within_task()?;
        check_name(name)?;
        let kept = what.kept(self)?;
        let (job, program) = reader(&kept)?;
        let name = name.to_owned();
        self.0.jobs.ask(&NameRequest::Publish { job, name, program: Arc::new(program) })?;
        Ok(())
    }

    /// What is kept under a name: an array that is on the workers already, or the future of a value that is. It stays there
    /// as long as what is returned, also when it is unpublished meanwhile.
    ///
    /// # Errors
    /// [`NameError`] where nothing has the name, or what had it is lost; [`Error::Kind`], [`Error::DType`] and
    /// [`Error::Dimensions`] for something of another type. Whether a value is of the type is found when it is read.
    pub fn get<T: Published>(&self, name: &str) -> Result<T> {
        self.refuse_within_task()?;
        check_name(name)?;
        let NameAnswer::Found(program) = self.0.jobs.ask(&NameRequest::Get(name.to_owned()))? else {
            return Err(unexpected());
        };
        T::of(self, &format!("'{name}'"), &read_by(&program)?)
    }

    /// All that is kept under names on this session's cluster, by their names.
    ///
    /// # Errors
    /// A lost cluster.
    pub fn list(&self) -> Result<Vec<Named>> {
        let NameAnswer::All(all) = self.0.jobs.ask(&NameRequest::List)? else { return Err(unexpected()) };
        // What another client published in its own way is no result that this one could get.
        let named = all.into_iter().filter_map(|n| {
            let kind = NamedKind::of(&read_by(&n.program).ok()?);
            Some(Named { name: n.name, kind, by: n.by, age: Duration::from_micros(n.age_us) })
        });
        Ok(named.collect())
    }

    /// Takes a name away. What had it goes from the workers, once no program has it.
    ///
    /// # Errors
    /// [`NameError`] where nothing has the name, or what had it is lost.
    pub fn unpublish(&self, name: &str) -> Result<()> {
        check_name(name)?;
        self.0.jobs.ask(&NameRequest::Unpublish(name.to_owned())).map(drop)
    }

    /// No session works for a task, and what is under a name is a session's.
    fn refuse_within_task(&self) -> Result<()> {
        let why =
            "within a task: give it what it needs, return what it makes, and publish that in the program";
        let refused = || NameError::Refused(why.to_owned());
        Ok(session_for(Some(self))?.map(drop).ok_or_else(refused)?)
    }
}

/// The job that keeps a result, and what reads it, for others.
fn reader(kept: &Expr) -> Result<(JobId, Program)> {
    let (Op::Held { job, .. } | Op::Values(Values::Job { job, .. })) = *kept.op() else {
        return Err(unexpected());
    };
    Ok((JobId(job), Program::new(&[unguarded(kept.op(), kept.grid(), kept.dtype())?])))
}

/// What others are to read, as [`reader`] told them.
fn read_by(program: &Program) -> Result<Expr> {
    let node = program.outputs.first().and_then(|at| program.nodes.get(at.0 as usize));
    let node = node.ok_or_else(unexpected)?;
    unguarded(&node.op, &node.grid, node.dtype)
}

/// What reads the output of a job, and keeps nothing by itself.
fn unguarded(op: &Op, grid: &Grid, dtype: DType) -> Result<Expr> {
    let none: Attachment = Arc::new(());
    Ok(match *op {
        Op::Held { job, output } => Expr::held(job, output, grid.clone(), dtype, none)?,
        Op::Values(Values::Job { job, output }) => {
            Expr::held_values(job, output, grid.n_chunks() as usize, none)?
        }
        _ => return Err(unexpected()),
    })
}

fn unexpected() -> Error {
    ClusterError::Malformed("the scheduler keeps something under the name that is no result".to_owned())
        .into()
}

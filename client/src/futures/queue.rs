//! What was submitted and not sent yet, and how batches of calls become one program: a node for each function, line that
//! submits it, way to run it and level of dependence, of which those are outputs on which somebody has a handle.
//!
//! Must not know types, nor what becomes of jobs.

use super::argument::{Given, Written};
use super::clock::Clock;
use super::error::FutureError;
use super::future::{At, Place, Shared};
use crate::error::{Error, Result};
use crate::literal::{Literal, Provider};
use crate::session::{Failure, Session, ValuesJob};
use std::collections::BTreeMap;
use std::panic::Location;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tilework_expr::{Attachment, Calls, Expr, Kernel, Program};
use tilework_kernels::{Chunk, Plane};
use tilework_plan::{Region, Tags, Terms};

/// Bytes that wait at most for more of their kind.
const WAITING_BYTES_MAX: usize = 16 << 20;

/// An argument that is a value.
enum Arg {
    /// Of another batch of the queue.
    Queued { batch: usize, value: u64 },
    /// Of a job.
    At(At),
    /// Of this process.
    Put(Plane),
}

/// What is called, and how.
#[derive(Clone)]
pub(super) struct How {
    pub(super) kernel: Arc<Kernel>,
    /// The line of the program that submits it.
    pub(super) line: &'static Location<'static>,
    /// Absent where nothing is asked for.
    pub(super) terms: Option<Arc<Terms>>,
}

/// What calls of one batch have in common: the level, the places of the function and the line, and what is asked for.
type Kind = (u32, usize, usize, Option<Arc<Terms>>);

impl How {
    fn tags(&self) -> &Tags {
        &self.terms.as_deref().unwrap_or(Terms::NONE).tags
    }

    fn kind(&self, level: u32) -> Kind {
        let (kernel, line) = (Arc::as_ptr(&self.kernel) as usize, &raw const *self.line as usize);
        (level, kernel, line, self.terms.clone())
    }
}

/// Calls of one function, from one line and on the same terms.
pub(super) struct Batch {
    how: How,
    /// How many batches of the queue one waits for the other before it.
    level: u32,
    params: Vec<u8>,
    ends: Vec<u64>,
    args: Vec<Arg>,
    arg_ends: Vec<u64>,
    /// Of each call; none where they are made when the job is there.
    futures: Vec<Weak<Shared>>,
}

impl Batch {
    fn new(how: How, level: u32) -> Batch {
        let (params, ends, args, arg_ends, futures) = Default::default();
        Batch { how, level, params, ends, args, arg_ends, futures }
    }

    /// Ends the call whose bytes and values were appended.
    fn end_call(&mut self) {
        self.ends.push(self.params.len() as u64);
        self.arg_ends.push(self.args.len() as u64);
    }

    /// Whether anybody has a handle on one of its values.
    fn is_awaited(&self) -> bool {
        let awaits =
            |f: &Weak<Shared>| f.upgrade().is_some_and(|f| matches!(*f.place(), Place::Queued { .. }));
        self.futures.is_empty() || self.futures.iter().any(awaits)
    }
}

#[derive(Default)]
struct Queue {
    /// How often it was emptied.
    round: u64,
    batches: Vec<Batch>,
    /// Those that take further calls.
    open: BTreeMap<Kind, usize>,
    n_bytes: usize,
}

/// Where tasks are submitted.
#[derive(Default)]
pub(crate) struct Desk {
    queue: Mutex<Queue>,
    /// Held while what was taken from the queue is sent.
    sending: Mutex<()>,
    pub(super) clock: Arc<Clock>,
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.clock.end();
    }
}

/// The value that stands for a future among the arguments of a call, and the level that the call has by it.
fn arg_of(queue: &Queue, session: &Session, future: &Arc<Shared>) -> Result<Option<(Arg, u32)>> {
    match future.session() {
        Some(other) if !other.is(session) => return Err(FutureError::OtherSession.into()),
        _ => {}
    }
    Ok(Some(match &*future.place() {
        Place::Queued { round, batch, value } if *round == queue.round => {
            let level = queue.batches[*batch].level + 1;
            (Arg::Queued { batch: *batch, value: *value }, level)
        }
        // Another thread is sending it.
        Place::Queued { .. } => return Ok(None),
        Place::At(at) => match at.job.values.ended() {
            Some(why) => return Err(why.into()),
            None => (Arg::At(at.clone()), 0),
        },
        Place::Here(bytes) => (Arg::Put((**bytes).clone().map_err(Error::from)?), 0),
    }))
}

impl Desk {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The arguments of a call that are values, and the call's level. The queue stays as it is until it is let go.
    fn args(&self, session: &Session, given: &[Given]) -> Result<(MutexGuard<'_, Queue>, Vec<Arg>, u32)> {
        'again: loop {
            let queue = self.queue();
            let (mut args, mut highest) = (Vec::with_capacity(given.len()), 0);
            for given in given {
                let (arg, level) = match given {
                    Given::Put(value) => (Arg::Put(value.clone()), 0),
                    Given::Future(future) => match arg_of(&queue, session, future)? {
                        Some(found) => found,
                        None => {
                            drop(queue);
                            drop(self.sending.lock().unwrap_or_else(PoisonError::into_inner));
                            continue 'again;
                        }
                    },
                };
                args.push(arg);
                highest = highest.max(level);
            }
            return Ok((queue, args, highest));
        }
    }

    /// Puts a call into the queue.
    pub(super) fn submit(&self, session: &Session, how: How, call: Written) -> Result<Arc<Shared>> {
        let weak = session.downgrade();
        self.clock.start(move || {
            if let Some(session) = weak.upgrade() {
                session.flush();
            }
        })?;
        let (mut queue, args, level) = loop {
            let (queue, args, level) = self.args(session, &call.given)?;
            // A job's first tasks are all for the same workers.
            if queue.batches.last().is_none_or(|batch| batch.how.tags() == how.tags()) {
                break (queue, args, level);
            }
            drop(queue);
            session.flush();
        };
        let queue = &mut *queue;
        let next = queue.batches.len();
        let at = *queue.open.entry(how.kind(level)).or_insert(next);
        if at == next {
            queue.batches.push(Batch::new(how, level));
        }
        let batch = &mut queue.batches[at];
        queue.n_bytes += call.params.len();
        batch.params.extend(call.params);
        batch.args.extend(args);
        let place = Place::Queued { round: queue.round, batch: at, value: batch.ends.len() as u64 };
        batch.end_call();
        let future = Shared::new(Some(session.clone()), place);
        batch.futures.push(Arc::downgrade(&future));
        self.clock.submitted();
        Ok(future)
    }

    /// Whether more should not wait.
    pub(super) fn is_full(&self) -> bool {
        self.queue().n_bytes > WAITING_BYTES_MAX
    }

    fn send_all(&self, session: &Session) {
        let _one_at_a_time = self.sending.lock().unwrap_or_else(PoisonError::into_inner);
        let batches = {
            let mut queue = self.queue();
            queue.round += 1;
            queue.open.clear();
            queue.n_bytes = 0;
            std::mem::take(&mut queue.batches)
        };
        let awaited: Vec<bool> = batches.iter().map(Batch::is_awaited).collect();
        let sent = send(session, &batches, &awaited);
        for (i, batch) in batches.iter().enumerate() {
            let futures = batch.futures.iter().zip(0..).filter_map(|(f, value)| Some((f.upgrade()?, value)));
            for (future, value) in futures {
                let mut place = future.place();
                if !matches!(*place, Place::Queued { .. }) {
                    continue;
                }
                *place = match &sent {
                    Ok(sent) => sent.at(i, value),
                    Err(why) => Place::Here(Box::new(Err(Failure::NotSent(why.to_string())))),
                };
            }
        }
    }
}

/// Sends calls of one function as a batch of its own; `ends` says where each one's bytes and values end.
pub(super) fn send_batch(
    session: &Session,
    how: How,
    calls: Written,
    ends: &[(usize, usize)],
) -> Result<Vec<Arc<Shared>>> {
    if ends.is_empty() {
        return Ok(Vec::new());
    }
    // What was submitted before may be among the arguments.
    session.flush();
    let (queue, args, level) = session.desk().args(session, &calls.given)?;
    drop(queue);
    debug_assert_eq!(level, 0, "whatever waited was sent");
    let mut batch = Batch::new(how, 0);
    batch.params = calls.params;
    batch.args = args;
    batch.ends = ends.iter().map(|(end, _)| *end as u64).collect();
    batch.arg_ends = ends.iter().map(|(_, end)| *end as u64).collect();
    let sent = send(session, std::slice::from_ref(&batch), &[true])?;
    let future = |value| Shared::new(Some(session.clone()), sent.at(0, value));
    Ok((0..ends.len() as u64).map(future).collect())
}

/// Puts values of this process to the workers.
pub(super) fn put(session: &Session, values: Vec<Plane>) -> Result<Vec<Arc<Shared>>> {
    if values.is_empty() {
        return Ok(Vec::new());
    }
    let n = values.len();
    let (expr, literal) = given(values)?;
    let program = Program::new(&[expr]);
    let job = Arc::new(session.start_values(program, vec![literal], vec![n], &session.desk().clock)?);
    let at = |value| Place::At(At { job: Arc::clone(&job), output: 0, value });
    Ok((0..n as u64).map(|value| Shared::new(Some(session.clone()), at(value))).collect())
}

impl Session {
    /// Sends what was submitted and waits to be sent.
    pub(crate) fn flush(&self) {
        self.desk().send_all(self);
    }
}

/// Batches that were sent.
struct Sent {
    job: Option<Arc<ValuesJob>>,
    /// Which output each of them is.
    outputs: Vec<Option<usize>>,
}

impl Sent {
    fn at(&self, batch: usize, value: u64) -> Place {
        match (&self.job, self.outputs[batch]) {
            (Some(job), Some(output)) => Place::At(At { job: Arc::clone(job), output, value }),
            _ => Place::Here(Box::new(Err(Failure::Cancelled))),
        }
    }
}

/// Values that this process gives.
struct Puts(Vec<Plane>);

impl Provider for Puts {
    fn chunk(&self, region: &Region) -> Result<Chunk> {
        Ok(Chunk { planes: vec![self.0[region[0].start].clone()] })
    }
}

fn given(values: Vec<Plane>) -> Result<(Expr, Arc<Literal>)> {
    let n = values.len();
    let (id, attachment): (u64, Attachment) = Literal::attach(Puts(values));
    let literal = Literal::of(&attachment).expect("it is attached");
    Ok((Expr::values(n, id, attachment)?, literal))
}

/// Sends those batches of which something is awaited, and those that they read, as one job.
fn send(session: &Session, batches: &[Batch], awaited: &[bool]) -> Result<Sent> {
    let mut order: Vec<usize> = (0..batches.len()).collect();
    order.sort_by_key(|&i| batches[i].level);
    let mut needed = awaited.to_vec();
    for &i in order.iter().rev().filter(|&&i| batches[i].level > 0) {
        if needed[i] {
            let read = |arg: &Arg| if let Arg::Queued { batch, .. } = arg { Some(*batch) } else { None };
            batches[i].args.iter().filter_map(read).for_each(|batch| needed[batch] = true);
        }
    }
    let mut building = Building { exprs: BTreeMap::new(), literals: Vec::new(), read: BTreeMap::new() };
    for &i in order.iter().filter(|&&i| needed[i]) {
        let expr = building.expr(&batches[i])?;
        building.exprs.insert(i, expr);
    }
    let (mut outputs, mut lens, mut exprs) = (vec![None; batches.len()], Vec::new(), Vec::new());
    for (i, batch) in batches.iter().enumerate().filter(|(i, _)| awaited[*i]) {
        outputs[i] = Some(exprs.len());
        lens.push(batch.ends.len());
        exprs.push(building.exprs[&i].clone());
    }
    if exprs.is_empty() {
        return Ok(Sent { job: None, outputs });
    }
    let program = Program::new(&exprs);
    let job = session.start_values(program, building.literals, lens, &session.desk().clock)?;
    building.read.iter().for_each(|((_, output, value), job)| job.is_read((*output, *value)));
    Ok(Sent { job: Some(Arc::new(job)), outputs })
}

/// What a batch reads from.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Batch(usize),
    Output(u64, usize),
}

struct Building {
    exprs: BTreeMap<usize, Expr>,
    literals: Vec<Arc<Literal>>,
    /// Values of other jobs that are read.
    read: BTreeMap<(u64, usize, u64), Arc<ValuesJob>>,
}

impl Building {
    fn expr(&mut self, batch: &Batch) -> Result<Expr> {
        let (mut inputs, mut slots, mut puts) = (Vec::new(), BTreeMap::new(), Vec::new());
        let mut args = Vec::with_capacity(batch.args.len());
        for arg in &batch.args {
            let (source, value) = match arg {
                Arg::Put(value) => {
                    puts.push(value.clone());
                    args.push((u32::MAX, puts.len() as u64 - 1));
                    continue;
                }
                Arg::Queued { batch, value } => (Source::Batch(*batch), *value),
                Arg::At(at) => {
                    let name = (at.job.id().0, at.output, at.value);
                    self.read.entry(name).or_insert_with(|| Arc::clone(&at.job));
                    (Source::Output(name.0, name.1), name.2)
                }
            };
            let slot = match slots.get(&source) {
                Some(&slot) => slot,
                None => {
                    inputs.push(self.input(arg)?);
                    *slots.entry(source).or_insert(inputs.len() as u32 - 1)
                }
            };
            args.push((slot, value));
        }
        if !puts.is_empty() {
            let (expr, literal) = given(puts)?;
            self.literals.push(literal);
            args.iter_mut().filter(|a| a.0 == u32::MAX).for_each(|a| a.0 = inputs.len() as u32);
            inputs.push(expr);
        }
        let calls = Calls {
            kernel: Arc::clone(&batch.how.kernel),
            params: batch.params.as_slice().into(),
            ends: batch.ends.as_slice().into(),
            args: args.into(),
            arg_ends: batch.arg_ends.as_slice().into(),
            line: Some(batch.how.line.to_string().into()),
            terms: batch.how.terms.clone(),
        };
        Ok(Expr::calls(calls, &inputs)?)
    }

    fn input(&self, arg: &Arg) -> Result<Expr> {
        Ok(match arg {
            Arg::Queued { batch, .. } => self.exprs[batch].clone(),
            Arg::At(At { job, output, .. }) => {
                let guard: Attachment = Arc::clone(job) as _;
                Expr::held_values(job.id().0, *output as u32, job.lens[*output], guard)?
            }
            Arg::Put(_) => unreachable!("they are put together"),
        })
    }
}

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
use crate::session::{Failure, Planned, Reads, Session, ValuesJob};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::Location;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tilework_expr::{Attachment, Calls, Expr, Kernel, Program};
use tilework_kernels::{Chunk, Plane};
use tilework_plan::{Function, JobId, Region, Tags, Terms};

/// Bytes that wait at most for more of their kind.
const WAITING_BYTES_MAX: usize = 16 << 20;

/// Batches that wait at most: planning takes time for each, and so does each for what they read together.
const WAITING_BATCHES_MAX: usize = 1024;
/// Outputs of jobs that one batch reads at most, but for a call that reads more by itself: who reads which is looked up in
/// each of them.
const BATCH_SOURCES_MAX: usize = 64;

/// An argument that is a value.
enum Arg {
    /// Of another batch of the queue.
    Queued { batch: usize, value: u64 },
    /// Of a job; with a handle on it, which keeps it until the call is sent.
    At { at: At, _handle: Arc<Shared> },
    /// Of this process.
    Put(Plane),
    /// The only chunk of an array.
    Array(Expr),
}

impl Arg {
    fn array(&self) -> Option<&Expr> {
        if let Arg::Array(expr) = self { Some(expr) } else { None }
    }

    /// The output of a job whose value it is.
    fn source(&self) -> Option<(JobId, usize)> {
        match self {
            Arg::At { at, .. } => Some((at.job.id(), at.output)),
            Arg::Queued { .. } | Arg::Put(_) | Arg::Array(_) => None,
        }
    }
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
    /// The function, and the line that submits it.
    pub(super) fn in_words(&self) -> String {
        let line = Some(self.line.to_string().into());
        Function { line, ..Function::from(&*self.kernel) }.in_words()
    }

    /// What the tasks of a job have in common, for its first ones are given out together: where they may go, and how urgent
    /// they are.
    fn in_common(&self) -> (&Tags, i32) {
        let terms = self.terms.as_deref().unwrap_or(Terms::NONE);
        (&terms.tags, terms.priority)
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
    /// How many blocks each value is made of; 0 where it is none.
    gives: u32,
    params: Vec<u8>,
    ends: Vec<u64>,
    args: Vec<Arg>,
    arg_ends: Vec<u64>,
    /// The jobs and their outputs that it reads.
    sources: BTreeSet<(JobId, usize)>,
    /// Of each call; none where they are made when the job is there.
    futures: Vec<Weak<Shared>>,
}

impl Batch {
    fn new(how: How, level: u32) -> Batch {
        let (params, ends, args, arg_ends, sources, futures) = Default::default();
        Batch { how, level, gives: 0, params, ends, args, arg_ends, sources, futures }
    }

    /// Whether a call with these arguments is to be one of another batch.
    fn is_full_for(&self, args: &[Arg]) -> bool {
        let more = || args.iter().filter_map(Arg::source).filter(|source| !self.sources.contains(source));
        let few = self.sources.len() + args.len() <= BATCH_SOURCES_MAX;
        !few && !self.ends.is_empty() && self.sources.len() + more().count() > BATCH_SOURCES_MAX
    }

    /// Appends a call.
    fn push(&mut self, params: &[u8], args: impl IntoIterator<Item = Arg>) {
        self.params.extend_from_slice(params);
        for arg in args {
            self.sources.extend(arg.source());
            self.args.push(arg);
        }
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
    clock: Arc<Clock>,
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
            None => (Arg::At { at: at.clone(), _handle: Arc::clone(future) }, 0),
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
                    Given::Array(expr) => (Arg::Array(expr.clone()), 0),
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

    /// The clock of a session's values: a thread that sends what waits and says when time has passed, started by who asks for
    /// it first.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub(crate) fn clock(&self, session: &Session) -> Result<&Arc<Clock>> {
        let weak = session.downgrade();
        self.clock.start(move || {
            if let Some(session) = weak.upgrade() {
                session.flush();
            }
        })?;
        Ok(&self.clock)
    }

    /// Puts a call into the queue.
    pub(super) fn submit(&self, session: &Session, how: How, call: Written) -> Result<Arc<Shared>> {
        let clock = self.clock(session)?;
        let (mut queue, args, level) = loop {
            let (queue, args, level) = self.args(session, &call.given)?;
            if queue.batches.last().is_none_or(|batch| batch.how.in_common() == how.in_common()) {
                break (queue, args, level);
            }
            drop(queue);
            session.flush();
        };
        let queue = &mut *queue;
        let next = queue.batches.len();
        let open = queue.open.entry(how.kind(level)).or_insert(next);
        if queue.batches.get(*open).is_some_and(|batch| batch.is_full_for(&args)) {
            *open = next;
        }
        let at = *open;
        if at == next {
            queue.batches.push(Batch::new(how, level));
        }
        let batch = &mut queue.batches[at];
        queue.n_bytes += call.params.len();
        let place = Place::Queued { round: queue.round, batch: at, value: batch.ends.len() as u64 };
        batch.push(&call.params, args);
        let future = Shared::new(Some(session.clone()), place);
        batch.futures.push(Arc::downgrade(&future));
        clock.submitted();
        Ok(future)
    }

    /// Whether more should not wait.
    pub(super) fn is_full(&self) -> bool {
        let queue = self.queue();
        queue.n_bytes > WAITING_BYTES_MAX || queue.batches.len() > WAITING_BATCHES_MAX
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
            for (future, value) in batch.futures.iter().zip(0..) {
                let future = future.upgrade();
                let waits = future.as_ref().map(|f| f.place());
                let Some(mut place) = waits.filter(|place| matches!(**place, Place::Queued { .. })) else {
                    // It was given up while it waited to be sent.
                    if let Ok(Place::At(at)) = sent.as_ref().map(|sent| sent.at(i, value)) {
                        at.let_go();
                    }
                    continue;
                };
                *place = match &sent {
                    Ok(sent) => sent.at(i, value),
                    Err(why) => Place::Here(Box::new(Err(Failure::not_sent(why)))),
                };
            }
        }
    }
}

/// The arguments of calls that do not wait for more of their kind: what was submitted before, and may be among them, is sent.
fn args_sent(session: &Session, given: &[Given]) -> Result<Vec<Arg>> {
    session.flush();
    let (queue, args, level) = session.desk().args(session, given)?;
    drop(queue);
    debug_assert_eq!(level, 0, "whatever waited was sent");
    Ok(args)
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
    let args = args_sent(session, &calls.given)?;
    let batches = batches_of(&how, &calls.params, args, ends);
    let sent = send(session, &batches, &vec![true; batches.len()])?;
    let mut futures = Vec::with_capacity(ends.len());
    for (i, batch) in batches.iter().enumerate() {
        let future = |value| Shared::new(Some(session.clone()), sent.at(i, value));
        futures.extend((0..batch.ends.len() as u64).map(future));
    }
    Ok(futures)
}

/// Calls of one function, whose bytes and values end where `ends` says, as batches none of which reads too much.
fn batches_of(how: &How, params: &[u8], args: Vec<Arg>, ends: &[(usize, usize)]) -> Vec<Batch> {
    let mut batches = vec![Batch::new(how.clone(), 0)];
    let (mut args, mut from) = (args.into_iter(), (0, 0));
    for &to in ends {
        let mine: Vec<Arg> = args.by_ref().take(to.1 - from.1).collect();
        if batches.last().is_some_and(|last| last.is_full_for(&mine)) {
            batches.push(Batch::new(how.clone(), 0));
        }
        batches.last_mut().expect("there is one").push(&params[from.0..to.0], mine);
        from = to;
    }
    batches
}

/// Sends calls whose values are made of blocks, of which `ends` says where each one's bytes and values end, and with them as
/// many others as there are blocks, each of which is called with a list of its blocks, as one job; the values of the others.
pub(super) fn send_shuffle(
    session: &Session,
    (how, calls, ends): (How, &Written, &[(usize, usize)]),
    (taker, n_blocks): (How, usize),
) -> Result<Vec<Arc<Shared>>> {
    let args = args_sent(session, &calls.given)?;
    let mut building = Building::default();
    let mut inputs = Vec::new();
    for batch in batches_of(&how, &calls.params, args, ends) {
        inputs.push(building.expr(&Batch { gives: n_blocks as u32, ..batch })?);
    }
    let params = Written::of_list(ends.len());
    let takers = Calls {
        kernel: taker.kernel,
        params: params.repeat(n_blocks).into(),
        ends: (1..=n_blocks).map(|n| (n * params.len()) as u64).collect(),
        args: [].into(),
        arg_ends: vec![0; n_blocks].into(),
        line: Some(taker.line.to_string().into()),
        terms: taker.terms,
        gives: 0,
        takes: true,
    };
    let job = Arc::new(building.start(session, &[Expr::calls(takers, &inputs)?], vec![n_blocks])?);
    let at = |value| Place::At(At { job: Arc::clone(&job), output: 0, value });
    Ok((0..n_blocks as u64).map(|value| Shared::new(Some(session.clone()), at(value))).collect())
}

/// Puts values of this process to the workers.
pub(super) fn put(session: &Session, values: Vec<Plane>) -> Result<Vec<Arc<Shared>>> {
    if values.is_empty() {
        return Ok(Vec::new());
    }
    let n = values.len();
    let (expr, literal) = given(values)?;
    let planned = Planned::of(Program::new(&[expr]), vec![literal])?;
    let job = Arc::new(session.start_values(planned, vec![n], Reads::default())?);
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

    fn lends(&self) -> bool {
        true
    }
}

/// Values that this process gives, as an expression and what hangs on it.
pub(super) fn given(values: Vec<Plane>) -> Result<(Expr, Arc<Literal>)> {
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
    let mut building = Building::default();
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
    let job = building.start(session, &exprs, lens)?;
    Ok(Sent { job: Some(Arc::new(job)), outputs })
}

/// What a batch reads from.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Batch(usize),
    Output(u64, usize),
    /// An array, by its expression's address.
    Array(usize),
}

#[derive(Default)]
struct Building {
    exprs: BTreeMap<usize, Expr>,
    literals: Vec<Arc<Literal>>,
    /// Other jobs that are read.
    read: BTreeMap<JobId, Arc<ValuesJob>>,
    /// Arrays that are read.
    arrays: Vec<Expr>,
}

impl Building {
    /// Sends these as one job, with so many values each.
    fn start(self, session: &Session, exprs: &[Expr], lens: Vec<usize>) -> Result<ValuesJob> {
        let Building { literals, read, arrays, .. } = self;
        let planned = if arrays.is_empty() {
            Planned::of(Program::new(exprs), literals)?
        } else {
            session.planned(exprs)?.with(literals)
        };
        let read = Reads { jobs: read.into_values().collect(), arrays };
        session.start_values(planned, lens, read)
    }

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
                Arg::Array(expr) => (Source::Array(expr.address()), 0),
                Arg::At { at, .. } => {
                    let name = (at.job.id().0, at.output, at.value);
                    self.read.entry(at.job.id()).or_insert_with(|| Arc::clone(&at.job));
                    (Source::Output(name.0, name.1), name.2)
                }
            };
            let slot = match slots.get(&source) {
                Some(&slot) => slot,
                None => {
                    self.arrays.extend(arg.array().cloned());
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
            gives: batch.gives,
            takes: false,
        };
        Ok(Expr::calls(calls, &inputs)?)
    }

    fn input(&self, arg: &Arg) -> Result<Expr> {
        Ok(match arg {
            Arg::Queued { batch, .. } => self.exprs[batch].clone(),
            Arg::At { at: At { job, output, .. }, .. } => {
                let guard: Attachment = Arc::clone(job) as _;
                Expr::held_values(job.id().0, *output as u32, job.lens[*output], guard)?
            }
            Arg::Array(expr) => expr.clone(),
            Arg::Put(_) => unreachable!("they are put together"),
        })
    }
}

//! What a scheduler tells a client of its jobs.

use super::{DecodeError, Wire, addresses, all_from_wire, all_to_wire, cut, detail, required, text};
use crate::wire::{self, job_error, update};
use tilework_plan::{Figures, Holding, JobError, LeaseId, TaskRange, Update, WorkerId};

impl Wire for JobError {
    type Message = wire::JobError;

    fn to_wire(&self) -> wire::JobError {
        use job_error::Kind;
        let kind = match self {
            JobError::Operation { operation, chunk, message } => Kind::Operation(wire::OperationFailed {
                operation: cut(operation),
                chunk: *chunk,
                message: cut(message),
            }),
            JobError::Detailed { operation, chunk, message, detail } => {
                Kind::Detailed(wire::OperationDetailed {
                    operation: cut(operation),
                    chunk: *chunk,
                    message: cut(message),
                    detail: detail.clone().into(),
                })
            }
            JobError::Memory { operation, needed, limit, fits } => Kind::Memory(wire::ChunkTooLarge {
                operation: cut(operation),
                needed: *needed,
                limit: *limit,
                fits: *fits,
            }),
            JobError::Deadly { operation, chunk, deaths, last_words } => Kind::Deadly(wire::Deadly {
                operation: cut(operation),
                chunk: *chunk,
                deaths: *deaths,
                last_words: cut(last_words),
            }),
            JobError::Full { operation, needed, held, limit } => Kind::Full(wire::MemoryFull {
                operation: cut(operation),
                needed: *needed,
                held: *held,
                limit: *limit,
            }),
            JobError::NoWorker { waiting, waited_s, ended } => Kind::NoWorker(wire::NoWorker {
                waiting: cut(waiting),
                waited_s: *waited_s,
                ended: cut(ended),
            }),
            JobError::Foreign { function, build, workers } => Kind::Foreign(wire::ForeignFunction {
                function: cut(function),
                build: cut(build),
                workers: *workers,
            }),
            JobError::Program(message) => Kind::Program(cut(message)),
            JobError::Cancelled { by } => Kind::Cancelled(wire::Cancelled { by: cut(by) }),
        };
        wire::JobError { kind: Some(kind) }
    }

    fn from_wire(message: wire::JobError) -> Result<JobError, DecodeError> {
        use job_error::Kind;
        Ok(match message.kind.ok_or(DecodeError::Missing("error"))? {
            Kind::Operation(e) => JobError::Operation {
                operation: text("operation", e.operation)?,
                chunk: e.chunk,
                message: text("error", e.message)?,
            },
            Kind::Detailed(e) => JobError::Detailed {
                operation: text("operation", e.operation)?,
                chunk: e.chunk,
                message: text("error", e.message)?,
                detail: detail(e.detail)?,
            },
            Kind::Memory(e) => JobError::Memory {
                operation: text("operation", e.operation)?,
                needed: e.needed,
                limit: e.limit,
                fits: e.fits,
            },
            Kind::Deadly(e) => JobError::Deadly {
                operation: text("operation", e.operation)?,
                chunk: e.chunk,
                deaths: e.deaths,
                last_words: text("last words", e.last_words)?,
            },
            Kind::Full(e) => JobError::Full {
                operation: text("operation", e.operation)?,
                needed: e.needed,
                held: e.held,
                limit: e.limit,
            },
            Kind::NoWorker(e) => JobError::NoWorker {
                waiting: text("what waits", e.waiting)?,
                waited_s: e.waited_s,
                ended: text("last words", e.ended)?,
            },
            Kind::Foreign(e) => JobError::Foreign {
                function: text("function", e.function)?,
                build: text("build", e.build)?,
                workers: e.workers,
            },
            Kind::Program(message) => JobError::Program(text("error", message)?),
            Kind::Cancelled(e) => JobError::Cancelled { by: text("who cancelled", e.by)? },
        })
    }
}

impl Wire for Figures {
    type Message = wire::Figures;

    fn to_wire(&self) -> wire::Figures {
        wire::Figures {
            n_tasks: self.n_tasks,
            bytes_read: self.bytes_read,
            bytes_put: self.bytes_put,
            bytes_moved: self.bytes_moved,
            bytes_held_max: self.bytes_held_max,
            bytes_spilled: self.bytes_spilled,
            busy_us: self.busy_us,
            elapsed_us: self.elapsed_us,
        }
    }

    fn from_wire(message: wire::Figures) -> Result<Figures, DecodeError> {
        Ok(Figures {
            n_tasks: message.n_tasks,
            bytes_read: message.bytes_read,
            bytes_put: message.bytes_put,
            bytes_moved: message.bytes_moved,
            bytes_held_max: message.bytes_held_max,
            bytes_spilled: message.bytes_spilled,
            busy_us: message.busy_us,
            elapsed_us: message.elapsed_us,
        })
    }
}

/// Where workers listen.
type Addresses = Vec<(WorkerId, Vec<String>)>;

fn outputs_to_wire(outputs: &[Vec<Holding>], addresses: &Addresses) -> wire::Outputs {
    wire::Outputs {
        outputs: outputs.iter().map(|o| wire::Output { holdings: all_to_wire(o) }).collect(),
        addresses: (addresses.iter())
            .map(|(worker, addresses)| wire::Peer { worker: worker.0, addresses: addresses.clone() })
            .collect(),
        figures: None,
    }
}

fn outputs_from_wire(message: wire::Outputs) -> Result<(Vec<Vec<Holding>>, Addresses), DecodeError> {
    let outputs = message.outputs.into_iter().map(|o| all_from_wire(o.holdings)).collect::<Result<_, _>>()?;
    let peers = message.addresses.into_iter().map(|p| Ok((WorkerId(p.worker), addresses(p.addresses)?)));
    Ok((outputs, peers.collect::<Result<_, DecodeError>>()?))
}

impl Wire for Update {
    type Message = wire::Update;

    fn to_wire(&self) -> wire::Update {
        use update::Kind;
        let kind = match self {
            Update::Progress { done, total } => Kind::Progress(wire::Progress { done: *done, total: *total }),
            Update::Upload { lease, tasks, literal, worker, addresses } => Kind::Upload(wire::Upload {
                lease: lease.0,
                tasks: Some(tasks.to_wire()),
                literal: *literal,
                worker: worker.0,
                addresses: addresses.clone(),
            }),
            Update::Done { outputs, addresses, figures } => {
                let figures = Some(figures.to_wire());
                Kind::Done(wire::Outputs { figures, ..outputs_to_wire(outputs, addresses) })
            }
            Update::Made { outputs, addresses } => Kind::Made(outputs_to_wire(outputs, addresses)),
            Update::TasksFailed { output, values, error } => Kind::TasksFailed(wire::TasksFailed {
                output: *output,
                start: values.start,
                end: values.end,
                error: Some(error.to_wire()),
            }),
            Update::Lost { worker } => Kind::Lost(worker.0),
            Update::ChunksLost { tasks } => Kind::ChunksLost(tasks.to_wire()),
            Update::Failed(error) => Kind::Failed(error.to_wire()),
        };
        wire::Update { kind: Some(kind) }
    }

    fn from_wire(message: wire::Update) -> Result<Update, DecodeError> {
        use update::Kind;
        Ok(match message.kind.ok_or(DecodeError::Missing("update"))? {
            Kind::Progress(p) => Update::Progress { done: p.done, total: p.total },
            Kind::Upload(u) => Update::Upload {
                lease: LeaseId(u.lease),
                tasks: required(u.tasks, "tasks")?,
                literal: u.literal,
                worker: WorkerId(u.worker),
                addresses: addresses(u.addresses)?,
            },
            Kind::Done(mut d) => {
                let figures = required(d.figures.take(), "figures")?;
                let (outputs, addresses) = outputs_from_wire(d)?;
                Update::Done { outputs, addresses, figures }
            }
            Kind::Made(made) => {
                let (outputs, addresses) = outputs_from_wire(made)?;
                Update::Made { outputs, addresses }
            }
            Kind::TasksFailed(f) => {
                if f.start > f.end {
                    let why = format!("{} to {}", f.start, f.end);
                    return Err(DecodeError::Invalid { what: "values", why });
                }
                let error = required(f.error, "error")?;
                Update::TasksFailed { output: f.output, values: f.start..f.end, error }
            }
            Kind::Lost(worker) => Update::Lost { worker: WorkerId(worker) },
            Kind::ChunksLost(tasks) => Update::ChunksLost { tasks: TaskRange::from_wire(tasks)? },
            Kind::Failed(error) => Update::Failed(JobError::from_wire(error)?),
        })
    }
}

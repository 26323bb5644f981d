//! What a worker tells the scheduler.

use super::{DecodeError, Wire, addresses, cut, detail, required, tags, text};
use crate::wire::{self, report, task_error};
use tilework_plan::{Hello, JobId, LeaseId, Report, TaskError, TaskKey, WorkerId};

impl Wire for Hello {
    type Message = wire::Hello;

    fn to_wire(&self) -> wire::Hello {
        wire::Hello {
            name: self.name.clone(),
            incarnation: self.incarnation,
            threads: self.threads,
            memory_bytes: self.memory_bytes,
            spill_bytes: self.spill_bytes,
            addresses: self.addresses.clone(),
            build: self.build.clone(),
            tags: self.tags.iter().map(|tag| tag.to_string()).collect(),
        }
    }

    fn from_wire(message: wire::Hello) -> Result<Hello, DecodeError> {
        Ok(Hello {
            name: text("name", message.name)?,
            incarnation: message.incarnation,
            threads: message.threads,
            memory_bytes: message.memory_bytes,
            spill_bytes: message.spill_bytes,
            addresses: addresses(message.addresses)?,
            build: message.build.map(|build| text("build", build)).transpose()?,
            tags: tags(message.tags)?,
        })
    }
}

impl Wire for TaskError {
    type Message = wire::TaskError;

    fn to_wire(&self) -> wire::TaskError {
        use task_error::Kind;
        let kind = match self {
            TaskError::Operation(message) => Kind::Operation(cut(message)),
            TaskError::Memory { needed, limit } => {
                Kind::Memory(wire::MemoryShort { needed: *needed, limit: *limit })
            }
            TaskError::Worker(message) => Kind::Worker(cut(message)),
            TaskError::Detailed { message, detail, elsewhere } => Kind::Detailed(wire::TaskDetailed {
                message: cut(message),
                detail: detail.clone().into(),
                elsewhere: *elsewhere,
            }),
        };
        wire::TaskError { kind: Some(kind) }
    }

    fn from_wire(message: wire::TaskError) -> Result<TaskError, DecodeError> {
        use task_error::Kind;
        Ok(match message.kind.ok_or(DecodeError::Missing("error"))? {
            Kind::Operation(message) => TaskError::Operation(text("error", message)?),
            Kind::Memory(m) => TaskError::Memory { needed: m.needed, limit: m.limit },
            Kind::Worker(message) => TaskError::Worker(text("error", message)?),
            Kind::Detailed(e) => TaskError::Detailed {
                message: text("error", e.message)?,
                detail: detail(e.detail)?,
                elsewhere: e.elsewhere,
            },
        })
    }
}

impl Wire for Report {
    type Message = wire::Report;

    fn to_wire(&self) -> wire::Report {
        use report::Kind;
        let kind = match self {
            Report::Done { lease, tasks, busy_us, bytes_fetched, sizes } => Kind::Done(wire::ReportDone {
                lease: lease.0,
                tasks: Some(tasks.to_wire()),
                busy_us: *busy_us,
                bytes_fetched: *bytes_fetched,
                sizes: sizes.clone(),
            }),
            Report::Failed { lease, task, error } => Kind::Failed(wire::ReportFailed {
                lease: lease.0,
                task: Some(task.to_wire()),
                error: Some(error.to_wire()),
            }),
            Report::Unreachable { lease, task, input, peer, away, why } => {
                Kind::Unreachable(wire::ReportUnreachable {
                    lease: lease.0,
                    task: Some(task.to_wire()),
                    input: Some(input.to_wire()),
                    peer: peer.0,
                    away: *away,
                    why: cut(why),
                })
            }
            Report::Returned { lease, tasks } => {
                Kind::Returned(wire::ReportReturned { lease: lease.0, tasks: Some(tasks.to_wire()) })
            }
            Report::Alive { bytes_held, bytes_on_disk, bytes_resident } => Kind::Alive(wire::ReportAlive {
                bytes_held: *bytes_held,
                bytes_on_disk: *bytes_on_disk,
                bytes_resident: *bytes_resident,
            }),
            Report::Lost { task } => Kind::Lost(task.to_wire()),
            Report::Spilled { job, bytes } => {
                Kind::Spilled(wire::ReportSpilled { job: job.0, bytes: *bytes })
            }
            Report::Threads { stuck, longest_us } => {
                Kind::Threads(wire::ReportThreads { stuck: *stuck, longest_us: *longest_us })
            }
        };
        wire::Report { kind: Some(kind) }
    }

    fn from_wire(message: wire::Report) -> Result<Report, DecodeError> {
        use report::Kind;
        Ok(match message.kind.ok_or(DecodeError::Missing("report"))? {
            Kind::Done(r) => Report::Done {
                lease: LeaseId(r.lease),
                tasks: required(r.tasks, "tasks")?,
                busy_us: r.busy_us,
                bytes_fetched: r.bytes_fetched,
                sizes: r.sizes,
            },
            Kind::Failed(r) => Report::Failed {
                lease: LeaseId(r.lease),
                task: required(r.task, "task")?,
                error: required(r.error, "error")?,
            },
            Kind::Unreachable(r) => Report::Unreachable {
                lease: LeaseId(r.lease),
                task: required(r.task, "task")?,
                input: required(r.input, "input")?,
                peer: WorkerId(r.peer),
                away: r.away,
                why: text("reason", r.why)?,
            },
            Kind::Returned(r) => {
                Report::Returned { lease: LeaseId(r.lease), tasks: required(r.tasks, "tasks")? }
            }
            Kind::Alive(r) => Report::Alive {
                bytes_held: r.bytes_held,
                bytes_on_disk: r.bytes_on_disk,
                bytes_resident: r.bytes_resident,
            },
            Kind::Lost(task) => Report::Lost { task: TaskKey::from_wire(task)? },
            Kind::Spilled(r) => Report::Spilled { job: JobId(r.job), bytes: r.bytes },
            Kind::Threads(r) => Report::Threads { stuck: r.stuck, longest_us: r.longest_us },
        })
    }
}

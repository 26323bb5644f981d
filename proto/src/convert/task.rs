//! Task names, ranges, holdings, and what a scheduler tells a worker.

use super::{DecodeError, Wire, addresses, all_from_wire, all_to_wire, required};
use crate::wire::{self, instruction};
use tilework_plan::{ChunkIdx, Holding, Instruction, JobId, LeaseId, StageIdx, TaskKey, TaskRange, WorkerId};

impl Wire for TaskRange {
    type Message = wire::TaskRange;

    fn to_wire(&self) -> wire::TaskRange {
        let (start, end) = (self.chunks.start, self.chunks.end);
        wire::TaskRange { job: self.job.0, stage: self.stage.0, start, end }
    }

    fn from_wire(message: wire::TaskRange) -> Result<TaskRange, DecodeError> {
        let wire::TaskRange { job, stage, start, end } = message;
        if start > end {
            return Err(DecodeError::Invalid { what: "task range", why: format!("{start} to {end}") });
        }
        Ok(TaskRange { job: JobId(job), stage: StageIdx(stage), chunks: start..end })
    }
}

impl Wire for TaskKey {
    type Message = wire::TaskKey;

    fn to_wire(&self) -> wire::TaskKey {
        wire::TaskKey { job: self.job.0, stage: self.stage.0, chunk: self.chunk.0 }
    }

    fn from_wire(message: wire::TaskKey) -> Result<TaskKey, DecodeError> {
        let wire::TaskKey { job, stage, chunk } = message;
        Ok(TaskKey { job: JobId(job), stage: StageIdx(stage), chunk: ChunkIdx(chunk) })
    }
}

impl Wire for Holding {
    type Message = wire::Holding;

    fn to_wire(&self) -> wire::Holding {
        wire::Holding { chunks: Some(self.chunks.to_wire()), worker: self.worker.0 }
    }

    fn from_wire(message: wire::Holding) -> Result<Holding, DecodeError> {
        Ok(Holding { chunks: required(message.chunks, "chunks")?, worker: WorkerId(message.worker) })
    }
}

impl Wire for Instruction {
    type Message = wire::Instruction;

    fn to_wire(&self) -> wire::Instruction {
        use instruction::Kind;
        let kind = match self {
            Instruction::Define(job) => Kind::Define(job.0),
            Instruction::Lease { lease, tasks, elsewhere, priority } => Kind::Lease(wire::Lease {
                lease: lease.0,
                priority: *priority,
                tasks: Some(tasks.to_wire()),
                elsewhere: all_to_wire(elsewhere),
            }),
            Instruction::Holders { job, stage, bytes, holders } => Kind::Holders(wire::Holders {
                job: job.0,
                stage: stage.0,
                bytes: *bytes,
                holders: all_to_wire(holders),
            }),
            Instruction::Revoke { lease, tasks } => {
                Kind::Revoke(wire::Revoke { lease: lease.0, tasks: Some(tasks.to_wire()) })
            }
            Instruction::Drop(tasks) => Kind::Drop(tasks.to_wire()),
            Instruction::Forget(job) => Kind::Forget(job.0),
            Instruction::Peer { worker, addresses } => {
                Kind::Peer(wire::Peer { worker: worker.0, addresses: addresses.clone() })
            }
            Instruction::PeerGone(worker) => Kind::PeerGone(worker.0),
        };
        wire::Instruction { kind: Some(kind) }
    }

    fn from_wire(message: wire::Instruction) -> Result<Instruction, DecodeError> {
        use instruction::Kind;
        Ok(match message.kind.ok_or(DecodeError::Missing("instruction"))? {
            Kind::Define(job) => Instruction::Define(JobId(job)),
            Kind::Lease(l) => Instruction::Lease {
                lease: LeaseId(l.lease),
                tasks: required(l.tasks, "tasks")?,
                elsewhere: all_from_wire(l.elsewhere)?,
                priority: l.priority,
            },
            Kind::Holders(h) => Instruction::Holders {
                job: JobId(h.job),
                stage: StageIdx(h.stage),
                bytes: h.bytes,
                holders: all_from_wire(h.holders)?,
            },
            Kind::Revoke(r) => {
                Instruction::Revoke { lease: LeaseId(r.lease), tasks: required(r.tasks, "tasks")? }
            }
            Kind::Drop(tasks) => Instruction::Drop(TaskRange::from_wire(tasks)?),
            Kind::Forget(job) => Instruction::Forget(JobId(job)),
            Kind::Peer(p) => {
                Instruction::Peer { worker: WorkerId(p.worker), addresses: addresses(p.addresses)? }
            }
            Kind::PeerGone(worker) => Instruction::PeerGone(WorkerId(worker)),
        })
    }
}

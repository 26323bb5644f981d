//! The picture of the cluster.

use super::{DecodeError, Wire, addresses, all_from_wire, all_to_wire, cut, required, tags, text};
use crate::wire;
use tilework_plan::{
    ClientId, ClientSummary, ClusterState, JobNumber, JobState, StageCounts, StageIdx, WorkerId,
    WorkerSummary,
};

impl Wire for WorkerSummary {
    type Message = wire::WorkerState;

    fn to_wire(&self) -> wire::WorkerState {
        wire::WorkerState {
            worker: self.worker.0,
            name: self.name.clone(),
            threads: self.threads,
            memory_bytes: self.memory_bytes,
            spill_bytes: self.spill_bytes,
            bytes_held: self.bytes_held,
            bytes_on_disk: self.bytes_on_disk,
            leased: self.leased,
            running: self.running,
            ready: self.ready as u64,
            silent_us: self.silent_us,
            leaving: self.leaving,
            addresses: self.addresses.clone(),
            build: self.build.clone(),
            up_us: self.up_us,
            stuck: self.stuck,
            longest_us: self.longest_us,
            tags: self.tags.iter().map(|tag| tag.to_string()).collect(),
        }
    }

    fn from_wire(message: wire::WorkerState) -> Result<WorkerSummary, DecodeError> {
        Ok(WorkerSummary {
            worker: WorkerId(message.worker),
            name: text("name", message.name)?,
            addresses: addresses(message.addresses)?,
            threads: message.threads,
            memory_bytes: message.memory_bytes,
            spill_bytes: message.spill_bytes,
            bytes_held: message.bytes_held,
            bytes_on_disk: message.bytes_on_disk,
            leased: message.leased,
            running: message.running,
            ready: message.ready as usize,
            up_us: message.up_us,
            silent_us: message.silent_us,
            leaving: message.leaving,
            stuck: message.stuck,
            longest_us: message.longest_us,
            build: message.build.map(|build| text("build", build)).transpose()?,
            tags: tags(message.tags)?,
        })
    }
}

impl Wire for ClientSummary {
    type Message = wire::ClientState;

    fn to_wire(&self) -> wire::ClientState {
        wire::ClientState { client: self.client.0, hello: Some(self.hello.to_wire()), up_us: self.up_us }
    }

    fn from_wire(message: wire::ClientState) -> Result<ClientSummary, DecodeError> {
        let wire::ClientState { client, hello, up_us } = message;
        Ok(ClientSummary { client: ClientId(client), hello: required(hello, "hello")?, up_us })
    }
}

impl Wire for StageCounts {
    type Message = wire::StageState;

    fn to_wire(&self) -> wire::StageState {
        wire::StageState {
            stage: self.stage.0,
            operation: cut(&self.operation),
            total: self.total,
            done: self.done,
            leased: self.leased,
            held: self.held,
        }
    }

    fn from_wire(message: wire::StageState) -> Result<StageCounts, DecodeError> {
        let wire::StageState { operation, total, done, leased, held, stage } = message;
        let operation = text("operation", operation)?;
        Ok(StageCounts { stage: StageIdx(stage), operation, total, done, leased, held })
    }
}

impl Wire for JobState {
    type Message = wire::JobState;

    fn to_wire(&self) -> wire::JobState {
        wire::JobState {
            number: self.number.0,
            finished: self.finished,
            dormant: self.dormant,
            stages: all_to_wire(&self.stages),
            client: self.client.0,
            title: cut(&self.title),
            total: self.total,
            done: self.done,
            leased: self.leased,
            bytes_held: self.bytes_held,
            elapsed_us: self.elapsed_us,
            left_us: self.left_us,
            late_done: self.late_done,
            late_us: self.late_us,
            n_stages: self.n_stages,
        }
    }

    fn from_wire(message: wire::JobState) -> Result<JobState, DecodeError> {
        Ok(JobState {
            number: JobNumber(message.number),
            client: ClientId(message.client),
            title: text("title", message.title)?,
            finished: message.finished,
            dormant: message.dormant,
            total: message.total,
            done: message.done,
            leased: message.leased,
            bytes_held: message.bytes_held,
            elapsed_us: message.elapsed_us,
            left_us: message.left_us,
            late_done: message.late_done,
            late_us: message.late_us,
            n_stages: message.n_stages,
            stages: all_from_wire(message.stages)?,
        })
    }
}

impl Wire for ClusterState {
    type Message = wire::ClusterState;

    fn to_wire(&self) -> wire::ClusterState {
        wire::ClusterState {
            workers: all_to_wire(&self.workers),
            jobs: all_to_wire(&self.jobs),
            clients: all_to_wire(&self.clients),
            n_jobs: self.n_jobs,
            up_us: self.up_us,
        }
    }

    fn from_wire(message: wire::ClusterState) -> Result<ClusterState, DecodeError> {
        Ok(ClusterState {
            up_us: message.up_us,
            workers: all_from_wire(message.workers)?,
            clients: all_from_wire(message.clients)?,
            n_jobs: message.n_jobs,
            jobs: all_from_wire(message.jobs)?,
        })
    }
}

//! A cluster in this process, over any transport, and a client that computes programs on it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tilework_cluster::connection::ConnectionFile;
use tilework_cluster::door::Room;
use tilework_cluster::listen::{Bound, bind};
use tilework_cluster::security::Identity;
use tilework_expr::{DType, Node, NodeIdx, Op, Program};
use tilework_kernels::Chunk;
use tilework_plan::{Grid, Holding, JobError, JobId, TaskKey, Update, WorkerId};
use tilework_proto::{Inlined, ToClient};
use tilework_scheduler::{ClientSession, Limits, SchedulerHandle, Transport, grpc, remote};
use tilework_worker::{
    ChunkClient, ChunkService, Config, GrpcLink, LocalPeers, Spill, WorkerHandle, serve_chunks,
};

/// How messages go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    Direct,
    Encoded,
    Grpc,
}

pub const MODES: [Mode; 3] = [Mode::Direct, Mode::Encoded, Mode::Grpc];
/// Longer than anything here takes on a busy machine.
pub const LONG: Duration = Duration::from_secs(60);
const MEMORY: u64 = 1 << 30;

/// The chunk of a literal in a box.
pub type Fill = fn(&[std::ops::Range<usize>]) -> Chunk;

pub struct Cluster {
    pub scheduler: SchedulerHandle,
    pub workers: Vec<WorkerHandle>,
    pub session: ClientSession,
    pub file: ConnectionFile,
    chunks: Option<ChunkClient>,
    peers: Arc<LocalPeers>,
    /// Of each port.
    room: Option<Room>,
    pub literals: HashMap<u64, Fill>,
    memory_bytes: u64,
    spill: Spill,
    /// What came beside the last update.
    pub inlined: Vec<Inlined>,
}

/// Starts serving the scheduler over TLS.
pub fn serve(scheduler: &SchedulerHandle, bound: tilework_cluster::listen::Bound, identity: Identity) {
    let scheduler = scheduler.clone();
    tokio::spawn(async move { grpc::serve(bound, &identity, scheduler, std::future::pending()).await });
}

impl Cluster {
    pub async fn start(mode: Mode, n_workers: usize) -> Cluster {
        Cluster::start_with(mode, n_workers, None, MEMORY, &Spill::default()).await
    }

    /// With room for so many connections at each port, so much memory for each worker, and this disk.
    pub async fn start_with(
        mode: Mode,
        n_workers: usize,
        room: Option<Room>,
        memory_bytes: u64,
        spill: &Spill,
    ) -> Cluster {
        let transport = if mode == Mode::Encoded { Transport::Encoded } else { Transport::Direct };
        let scheduler = SchedulerHandle::start_with(Limits::default(), transport);
        let bound = with_room(bind("localhost:0").unwrap(), room);
        let file = ConnectionFile::create(bound.addresses().to_vec(), None, 0).unwrap();
        let (session, chunks) = if mode == Mode::Grpc {
            serve(&scheduler, bound, file.identity());
            let session = remote::session(&file, LONG).await.unwrap();
            (session, Some(ChunkClient::new(&file.identity())))
        } else {
            (scheduler.client().await.unwrap(), None)
        };
        let mut cluster = Cluster {
            scheduler,
            workers: Vec::new(),
            session,
            file,
            chunks,
            peers: Arc::default(),
            room,
            literals: HashMap::new(),
            memory_bytes,
            spill: spill.clone(),
            inlined: Vec::new(),
        };
        for i in 0..n_workers {
            let worker = cluster.worker(&format!("w{i}"));
            worker.joined().await.unwrap();
            cluster.workers.push(worker);
        }
        cluster
    }

    /// Another worker, which may not have joined yet.
    pub fn worker(&self, name: &str) -> WorkerHandle {
        self.worker_with(name, LONG)
    }

    /// The same with less patience.
    pub fn worker_with(&self, name: &str, patience: Duration) -> WorkerHandle {
        let mut config = Config::local(name, 2, self.memory_bytes);
        config.spill = self.spill.clone();
        config.patience = patience;
        if self.chunks.is_none() {
            let link = Arc::new(self.scheduler.clone());
            return WorkerHandle::start(&config, link, self.peers.clone()).unwrap();
        }
        let bound = with_room(bind("localhost:0").unwrap(), self.room);
        config.addresses = bound.addresses().to_vec();
        let identity = self.file.identity();
        let peers = Arc::new(ChunkClient::new(&identity));
        let link = Arc::new(GrpcLink::new(self.file.clone()));
        let worker = WorkerHandle::start(&config, link, peers).unwrap();
        let service = ChunkService::new(&worker, &identity, MEMORY as usize);
        tokio::spawn(async move { serve_chunks(bound, &identity, service, std::future::pending()).await });
        worker
    }

    pub async fn submit(&self, program: &Program) -> JobId {
        self.session.link.submit(Arc::new(program.clone())).await.unwrap()
    }

    /// The outputs of a program, each as the bytes of the whole array.
    pub async fn compute(&mut self, program: &Program) -> Result<Vec<Vec<u8>>, JobError> {
        let job = self.submit(program).await;
        let outputs = self.finish(program, job).await?;
        self.session.link.release(job).await.unwrap();
        Ok(outputs)
    }

    /// Waits for a job's next update that is not progress or an upload, and does those.
    pub async fn finish(&mut self, program: &Program, job: JobId) -> Result<Vec<Vec<u8>>, JobError> {
        loop {
            match self.next_update(program, job).await {
                Update::Done { outputs, addresses, .. } => {
                    let addresses: HashMap<_, _> = addresses.into_iter().collect();
                    let gathered = self.gather(program, &outputs, &addresses).await;
                    if let Some(arrays) = gathered {
                        return Ok(arrays);
                    }
                }
                Update::Failed(error) => return Err(error),
                Update::Progress { .. }
                | Update::Upload { .. }
                | Update::Lost { .. }
                | Update::Made { .. }
                | Update::TasksFailed { .. }
                | Update::ChunksLost { .. } => {}
            }
        }
    }

    /// The job's next update; an upload is done, unless the worker is gone: then it is asked for again.
    pub async fn next_update(&mut self, program: &Program, job: JobId) -> Update {
        let next = tokio::time::timeout(LONG, self.session.updates.recv()).await;
        let update = match next.expect("an update comes in time") {
            Some(ToClient::Update { job: of, update, inlined }) => {
                assert_eq!(of, job);
                self.inlined = inlined;
                update
            }
            other => panic!("expected an update, got {other:?}"),
        };
        if let Err(why) = self.upload(program, &update).await {
            let gone = matches!(&update, Update::Upload { worker, .. } if !self.is_alive(*worker).await);
            assert!(gone, "an upload failed: {why}");
        }
        update
    }

    async fn is_alive(&self, worker: WorkerId) -> bool {
        self.scheduler.state().await.unwrap().workers.iter().any(|w| w.worker == worker)
    }

    async fn upload(&self, program: &Program, update: &Update) -> Result<(), String> {
        let Update::Upload { lease, tasks, literal, worker, addresses } = update else { return Ok(()) };
        let node = (program.nodes.iter())
            .find(|n| matches!(n.op, Op::Literal { id } if id == *literal))
            .expect("the literal is in the program");
        for key in tasks.keys() {
            let chunk = self.literals[literal](&node.grid.region(key.chunk));
            match &self.chunks {
                Some(client) => {
                    client.put(addresses, *lease, key, &chunk).await.map_err(|e| e.to_string())?;
                }
                None => {
                    let worker = self.local(*worker).ok_or("the worker is gone")?;
                    worker.put_local((*lease, key), chunk, true).await.map_err(|e| e.to_string())?;
                }
            }
        }
        Ok(())
    }

    pub fn local(&self, worker: WorkerId) -> Option<&WorkerHandle> {
        self.workers.iter().find(|w| w.worker_id() == Some(worker))
    }

    async fn chunk(&self, worker: WorkerId, addresses: &[String], key: TaskKey) -> Option<Chunk> {
        match &self.chunks {
            Some(client) => client.get(addresses, key, None, usize::MAX).await.ok(),
            None => self.local(worker)?.get_local(key),
        }
    }

    /// The outputs' elements; `None` where a holder is gone (the scheduler will name others).
    pub async fn gather(
        &self,
        program: &Program,
        outputs: &[Vec<Holding>],
        addresses: &HashMap<WorkerId, Vec<String>>,
    ) -> Option<Vec<Vec<u8>>> {
        let mut arrays = Vec::new();
        for (holdings, idx) in outputs.iter().zip(&program.outputs) {
            let node = program.node(*idx);
            let (shape, itemsize) = (node.grid.shape(), node.dtype.size());
            let mut array = vec![0; shape.iter().product::<usize>() * itemsize];
            for Holding { chunks, worker } in holdings {
                for key in chunks.keys() {
                    let chunk = self.chunk(*worker, &addresses[worker], key).await?;
                    paste(&mut array, &shape, itemsize, (&chunk, &node.grid.region(key.chunk)));
                }
            }
            arrays.push(array);
        }
        Some(arrays)
    }
}

fn with_room(bound: Bound, room: Option<Room>) -> Bound {
    match room {
        Some(room) => bound.with_room(room),
        None => bound,
    }
}

fn paste(
    array: &mut [u8],
    shape: &[usize],
    itemsize: usize,
    (chunk, region): (&Chunk, &[std::ops::Range<usize>]),
) {
    let plane = chunk.planes[0].to_contiguous();
    let bytes = plane.contiguous_bytes().unwrap();
    for (i, element) in bytes.chunks_exact(itemsize).enumerate() {
        let (mut rest, mut at, mut stride) = (i, 0, 1);
        for (range, len) in region.iter().zip(shape).rev() {
            at += (range.start + rest % range.len()) * stride;
            rest /= range.len();
            stride *= len;
        }
        array[at * itemsize..][..itemsize].copy_from_slice(element);
    }
}

/// A program, built node by node.
#[derive(Default)]
pub struct Build(pub Program);

impl Build {
    pub fn node(&mut self, op: Op, inputs: &[NodeIdx], grid: &Grid, dtype: DType) -> NodeIdx {
        self.0.nodes.push(Node { op, inputs: inputs.to_vec(), grid: grid.clone(), dtype });
        NodeIdx(self.0.nodes.len() as u32 - 1)
    }

    pub fn output(mut self, node: NodeIdx) -> Program {
        self.0.outputs.push(node);
        self.0
    }
}

pub fn f64s(bytes: &[u8]) -> Vec<f64> {
    bytes.chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect()
}

pub fn of_f64s(values: &[f64], shape: &[usize]) -> Chunk {
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    Chunk::from_bytes(&[DType::F64], shape, &bytes).unwrap()
}

/// Waits until `condition` holds.
pub async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !condition().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, waiting).await.unwrap_or_else(|_| panic!("waited in vain for: {what}"));
}

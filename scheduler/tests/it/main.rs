//! Sessions, their limits and their ends, without workers; what is computed is tested with the workers.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tilework_cluster::connection::ConnectionFile;
use tilework_cluster::listen::bind;
use tilework_cluster::security::TokenAttach;
use tilework_cluster::transport::connect;
#[cfg(target_os = "linux")]
use tilework_cluster::who::process_of;
use tilework_expr::{DType, Node, NodeIdx, Op, Program, UnaryOp};
use tilework_plan::{Grid, JobError, Update};
use tilework_proto::fragment::{Item, StreamItem};
use tilework_proto::pump::{Resumption, opened};
use tilework_proto::wire::scheduler_client::SchedulerClient;
use tilework_proto::wire::worker_client::WorkerClient;
use tilework_proto::{FromClient, FromWorker, ToClient, ToWorker, Wire, wire};
use tilework_scheduler::remote::Monitor;
use tilework_scheduler::{
    Config, Hello, JobNumber, Limits, LinkError, RunError, SchedulerHandle, Transport, grpc, remote, run,
};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Code, Status};

/// Longer than anything here takes on a busy machine.
const LONG: Duration = Duration::from_secs(60);

type Tokened = InterceptedService<Channel, TokenAttach>;

struct Server {
    file: ConnectionFile,
}

impl Server {
    fn start() -> Server {
        Server::start_with(Limits::default())
    }

    fn start_with(limits: Limits) -> Server {
        let handle = SchedulerHandle::start(limits);
        let bound = bind("localhost:0").unwrap();
        let file = ConnectionFile::create(bound.addresses().to_vec(), None, 0).unwrap();
        let identity = file.identity();
        tokio::spawn(async move { grpc::serve(bound, &identity, handle, std::future::pending()).await });
        Server { file }
    }

    async fn channel(&self) -> Tokened {
        let identity = self.file.identity();
        let channel = connect(&self.file.addresses, &identity, LONG).await.unwrap();
        InterceptedService::new(channel, TokenAttach::new(&identity))
    }

    /// Sends these messages as a client, and returns what ends the connection.
    async fn session(&self, messages: Vec<wire::ClientMessage>) -> Result<Vec<ToClient>, Status> {
        // The client's half stays open: what ends the connection is the other side.
        let messages = tokio_stream::iter([opening()].into_iter().chain(messages));
        let stream = tokio_stream::StreamExt::chain(messages, tokio_stream::pending());
        let mut client = SchedulerClient::new(self.channel().await);
        let mut replies = client.session(stream).await?.into_inner();
        let mut all = Vec::new();
        opened(&mut replies).await.unwrap();
        while let Some(reply) = replies.message().await? {
            all.push(ToClient::from_wire(reply).unwrap());
        }
        Ok(all)
    }
}

/// What opens a new session.
fn opening<M: StreamItem>() -> M {
    M::of_item(Item::Resumption(Resumption::default().to_wire()))
}

fn nothing() -> Arc<Program> {
    Arc::new(Program::default())
}

fn hello(name: &str) -> Hello {
    let (incarnation, threads, memory_bytes) = (1, 1, 1 << 30);
    Hello {
        name: name.into(),
        incarnation,
        threads,
        memory_bytes,
        spill_bytes: 0,
        addresses: vec![],
        build: None,
        tags: tilework_plan::Tags::new(),
    }
}

#[tokio::test]
async fn a_job_of_nothing_is_done_and_a_bad_one_says_why() {
    for transport in [Transport::Direct, Transport::Encoded] {
        let scheduler = SchedulerHandle::start_with(Limits::default(), transport);
        let mut client = scheduler.client().await.unwrap();
        let good = client.link.submit(nothing()).await.unwrap();
        let node = |op, inputs| Node { op, inputs, grid: Grid::whole(&[1]), dtype: DType::F64 };
        let mut finished = false;
        while !finished {
            let Some(ToClient::Update { job, update, .. }) = client.updates.recv().await else {
                panic!("no update")
            };
            assert_eq!(job, good);
            finished = matches!(update, Update::Done { .. });
        }
        // A job that reads an output that nobody holds.
        let held = node(Op::Held { job: 77, output: 0 }, vec![]);
        let bad = Arc::new(Program { nodes: vec![held], outputs: vec![NodeIdx(0)] });
        let bad = client.link.submit(bad).await.unwrap();
        assert_ne!(bad, good);
        let Some(ToClient::Update { job, update: Update::Failed(JobError::Program(_)), .. }) =
            client.updates.recv().await
        else {
            panic!("expected a refusal");
        };
        assert_eq!(job, bad);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_are_not_allowed_end_the_session_with_the_reason() {
    let server = Server::start();
    let foreign = FromClient::Submit { job: tilework_plan::JobId(7), program: nothing() };
    let replies = server.session(vec![foreign.to_wire()]).await.unwrap();
    assert_eq!(replies.last(), Some(&ToClient::Closing("job 7 is not one that it may name".into())));

    let node = Node {
        op: Op::Unary(UnaryOp::Sin),
        inputs: vec![NodeIdx(0)],
        grid: Grid::whole(&[1]),
        dtype: DType::F64,
    };
    let program = Arc::new(Program { nodes: vec![node], outputs: vec![] });
    let malformed = FromClient::Submit { job: tilework_plan::JobId(1 << 32), program };
    let status = server.session(vec![malformed.to_wire()]).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(status.message(), "node 0 of the program: an input does not come before it");

    let data = vec![0; 5 << 20].into();
    let fragment = wire::Fragment { data, last: false };
    let large = wire::ClientMessage { kind: Some(wire::client_message::Kind::Fragment(fragment)) };
    let ended = server.session(vec![large]).await;
    // tonic refuses it on reading; the stream ends, the server goes on.
    assert!(!matches!(&ended, Ok(all) if all.len() > 1), "{ended:?}");
    assert!(remote::state(&server.file, LONG).await.unwrap().jobs.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_says_hello_first_and_once() {
    let server = Server::start();
    let mut client = WorkerClient::new(server.channel().await);
    let leaving = || FromWorker::Leaving.to_wire();
    for (first, expected) in [
        (vec![leaving()], "the session that the connection carries"),
        (vec![opening(), leaving()], "a hello"),
    ] {
        let mut replies = client.attach(tokio_stream::iter(first)).await.unwrap().into_inner();
        let status = replies.message().await.unwrap_err();
        let expected = format!("got another message, expected {expected}");
        assert_eq!((status.code(), status.message()), (Code::InvalidArgument, &*expected));
    }

    let hellos = [FromWorker::Hello(hello("a")), FromWorker::Hello(hello("b"))].map(|m| m.to_wire());
    let first = tokio_stream::iter([opening()].into_iter().chain(hellos));
    let stream = tokio_stream::StreamExt::chain(first, tokio_stream::pending());
    let mut replies = client.attach(stream).await.unwrap().into_inner();
    opened(&mut replies).await.unwrap();
    let mut all = Vec::new();
    while let Some(reply) = replies.message().await.unwrap() {
        all.push(ToWorker::from_wire(reply).unwrap());
    }
    assert!(matches!(all.first(), Some(ToWorker::Welcome(_))), "{all:?}");
    assert_eq!(all.last(), Some(&ToWorker::Closing("a second hello on one connection".into())));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_is_not_there_cannot_be_gone_on_with() {
    let server = Server::start();
    let mut client = SchedulerClient::new(server.channel().await);
    let first = |session: Vec<u8>| {
        let wire = wire::Resumption { session: session.into(), ..Resumption::default().to_wire() };
        tokio_stream::once(wire::ClientMessage::of_item(Item::Resumption(wire)))
    };
    let mut replies = client.session(first(vec![7; 16])).await.unwrap().into_inner();
    let status = replies.message().await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::NotFound, "the session is over"));
    let mut replies = client.session(first(vec![7; 15])).await.unwrap().into_inner();
    let status = replies.message().await.unwrap_err();
    let expected = "session: got 15 bytes, expected 16";
    assert_eq!((status.code(), status.message()), (Code::InvalidArgument, expected));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_that_comes_late_does_not_take_the_place_of_a_later_one() {
    let server = Server::start();
    let mut client = SchedulerClient::new(server.channel().await);
    let mut open = async |session, attempt| {
        let first = Resumption { session, attempt, ..Resumption::default() };
        let first = tokio_stream::once(wire::ClientMessage::of_item(Item::Resumption(first.to_wire())));
        let stream = tokio_stream::StreamExt::chain(first, tokio_stream::pending());
        client.session(stream).await.unwrap().into_inner()
    };
    let mut replies = open(None, 0).await;
    let session = opened(&mut replies).await.unwrap().session;
    assert!(session.is_some());
    let mut second = open(session, 2).await;
    assert_eq!(opened(&mut second).await.unwrap().session, session);
    for _ in 0..3 {
        let mut late = open(session, 1).await;
        let status = late.message().await.unwrap_err();
        let expected = "a later connection carries the session";
        assert_eq!((status.code(), status.message()), (Code::Aborted, expected));
    }
    // It goes on until a later one comes.
    let mut third = open(session, 3).await;
    assert_eq!(opened(&mut third).await.unwrap().session, session);
    assert!(second.message().await.unwrap().is_none());
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_ends_with_its_process_however_long_it_could_be_away() {
    let server = Server::start_with(Limits { silence_max_us: Some(1 << 60), ..Limits::default() });
    let mut process = std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
    let first = Resumption { process: process_of(process.id()).unwrap(), ..Resumption::default() };
    let said = FromClient::Hello(tilework_plan::ClientHello {
        program: "cat".into(),
        pid: process.id(),
        user: "anna".into(),
        host: "here".into(),
    });
    let file = server.file.clone();
    let mut monitor = Monitor::connect(&server.file, LONG).await.unwrap();
    // A runtime of its own, whose end closes the connection without a word.
    let opened_and_cut = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let server = Server { file };
            let first = wire::ClientMessage::of_item(Item::Resumption(first.to_wire()));
            let messages = tokio_stream::iter([first, said.to_wire()]);
            let stream = tokio_stream::StreamExt::chain(messages, tokio_stream::pending());
            let mut client = SchedulerClient::new(server.channel().await);
            let mut replies = client.session(stream).await.unwrap().into_inner();
            opened(&mut replies).await.unwrap();
            let mut monitor = Monitor::connect(&server.file, LONG).await.unwrap();
            while monitor.state().await.unwrap().clients.is_empty() {
                tokio::task::yield_now().await;
            }
            // Not dropped: the other end would be told.
            std::mem::forget((client, replies));
        });
        runtime.shutdown_background();
    });
    opened_and_cut.join().unwrap();
    assert_eq!(monitor.state().await.unwrap().clients.len(), 1);
    process.kill().unwrap();
    process.wait().unwrap();
    while !monitor.state().await.unwrap().clients.is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_takes_nothing_is_disconnected_and_holds_nobody_up() {
    let scheduler = SchedulerHandle::start(Limits::default());
    let slow = scheduler.client().await.unwrap();
    let submitted = async {
        loop {
            if let Err(error) = slow.link.submit(nothing()).await {
                return error;
            }
        }
    };
    assert_eq!(tokio::time::timeout(LONG, submitted).await.unwrap(), LinkError::Closed);
    let mut quick = scheduler.client().await.unwrap();
    quick.link.submit(nothing()).await.unwrap();
    assert!(matches!(quick.updates.recv().await, Some(ToClient::Update { .. })));
}

#[tokio::test]
async fn the_end_of_the_scheduler_is_the_end_of_all_sessions() {
    let scheduler = SchedulerHandle::start(Limits::default());
    let mut client = scheduler.client().await.unwrap();
    let mut worker = scheduler.attach(hello("w")).await.unwrap();
    scheduler.stop().await;
    assert_eq!(client.updates.recv().await, Some(ToClient::Closing("it was stopped".into())));
    assert_eq!(client.updates.recv().await, None);
    let mut last = None;
    while let Some(message) = worker.from_scheduler.recv().await {
        last = Some(message);
    }
    assert_eq!(last, Some(ToWorker::Ended));
    assert!(scheduler.state().await.is_err());
    assert!(scheduler.client().await.is_err());
}

#[tokio::test]
async fn the_scheduler_ends_with_its_last_handle() {
    let scheduler = SchedulerHandle::start(Limits::default());
    let mut client = scheduler.client().await.unwrap();
    drop(scheduler);
    assert_eq!(client.updates.recv().await, Some(ToClient::Closing("it was stopped".into())));
}

struct Process {
    running: tokio::task::JoinHandle<Result<(), RunError>>,
    stop: tokio::sync::oneshot::Sender<()>,
    file: ConnectionFile,
}

fn config(path: &Path) -> Config {
    Config {
        connection_file: path.to_owned(),
        listen: "localhost:0".into(),
        announce: Some("127.0.0.1".into()),
        job: Some("12".into()),
        restart_count: 3,
        replace: false,
        limits: Limits::default(),
    }
}

impl Process {
    async fn start(config: Config) -> Process {
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let (ready, is_ready) = tokio::sync::oneshot::channel();
        let ready = |f: &ConnectionFile| drop(ready.send(f.clone()));
        let running = tokio::spawn(run(config, ready, async { drop(stopped.await) }));
        Process { running, stop, file: is_ready.await.unwrap() }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scheduler_process_writes_its_file_and_removes_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("connection.json");
    let Process { running, stop, file } = Process::start(config(&path)).await;
    assert_eq!(ConnectionFile::read(&path).unwrap(), file);
    assert!(file.is_of_job(Some("12"), 3));
    let mut session = remote::session(&file, LONG).await.unwrap();
    drop(stop);
    running.await.unwrap().unwrap();
    assert!(!path.exists());
    let last = session.updates.recv().await;
    let at = &file.addresses[0];
    let expected = format!("the scheduler at {at} ended or cannot be reached (it was stopped)");
    assert_eq!(last, Some(ToClient::Closing(expected)));
    assert_eq!(session.updates.recv().await, None);
    let error = remote::state(&file, Duration::ZERO).await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("the scheduler at {at} ended or cannot be reached (")), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_schedulers_that_start_at_once_one_serves() {
    for _ in 0..3 {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/connection.json");
        let mut all = tokio::task::JoinSet::new();
        for _ in 0..4 {
            all.spawn(run(config(&path), |_| {}, std::future::pending()));
        }
        let mut named = Vec::new();
        for _ in 0..3 {
            match all.join_next().await.unwrap().unwrap() {
                Err(RunError::Running { at, .. }) => named.push(at),
                other => panic!("{other:?}"),
            }
        }
        let file = ConnectionFile::read(&path).unwrap();
        assert_eq!(named, vec![file.addresses[0].clone(); 3]);
        Monitor::connect(&file, LONG).await.unwrap().stop("the test").await.unwrap();
        all.join_next().await.unwrap().unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_scheduler_is_refused_or_takes_over() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("connection.json");
    let first = Process::start(config(&path)).await;
    let mut session = remote::session(&first.file, LONG).await.unwrap();
    let refused = run(config(&path), |_| panic!("it starts"), std::future::pending()).await;
    let Err(RunError::Running { at, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(at, first.file.addresses[0]);
    assert_eq!(ConnectionFile::read(&path).unwrap(), first.file);
    let second = Process::start(Config { replace: true, ..config(&path) }).await;
    first.running.await.unwrap().unwrap();
    assert_eq!(ConnectionFile::read(&path).unwrap(), second.file, "the first removes its own file only");
    let Some(ToClient::Closing(why)) = session.updates.recv().await else { panic!("no reason") };
    assert!(why.contains("it was stopped by the scheduler that takes its place, of "), "{why}");
    drop(second.stop);
    second.running.await.unwrap().unwrap();
    // What is left by one that is gone is no hindrance.
    second.file.write(&path).unwrap();
    let third = Process::start(config(&path)).await;
    drop((third.stop, first.stop));
    third.running.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_are_seen_and_jobs_are_cancelled_by_their_numbers() {
    let server = Server::start();
    let mut session = remote::session(&server.file, LONG).await.unwrap();
    let mut monitor = Monitor::connect(&server.file, LONG).await.unwrap();
    // Nobody is there to do it.
    let full = Node {
        op: Op::Full(tilework_expr::Scalar::new(1.0)),
        inputs: vec![],
        grid: Grid::whole(&[1]),
        dtype: DType::F64,
    };
    let program = Arc::new(Program { nodes: vec![full], outputs: vec![NodeIdx(0)] });
    let job = session.link.submit(program).await.unwrap();
    let (own, seen) = loop {
        let state = monitor.state().await.unwrap();
        if let [job] = &state.jobs[..] {
            break (state.clients[0].clone(), job.clone());
        }
    };
    assert_eq!((own.client, own.hello.pid), (session.link.client(), std::process::id()));
    assert_eq!((seen.client, seen.number, &*seen.title), (own.client, JobNumber(1), "1"));
    assert_eq!(seen.stages[0].operation, "1");
    assert!(!monitor.cancel(JobNumber(2), "anna").await.unwrap());
    assert!(monitor.cancel(JobNumber(1), "anna\n on login1").await.unwrap());
    let by = "anna on login1".to_owned();
    let failed = Update::Failed(JobError::Cancelled { by });
    let inlined = Vec::new();
    assert_eq!(session.updates.recv().await, Some(ToClient::Update { job, update: failed, inlined }));
    assert!(monitor.state().await.unwrap().jobs.is_empty());
    monitor.stop("anna").await.unwrap();
    let Some(ToClient::Closing(why)) = session.updates.recv().await else { panic!("no reason") };
    assert!(why.ends_with("(it was stopped by anna)"), "{why}");
    monitor.ended().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_without_the_token_see_and_steer_nothing() {
    let server = Server::start();
    let mut foreign = server.file.clone();
    foreign.token = ConnectionFile::create(vec![], None, 0).unwrap().token;
    let mut monitor = Monitor::connect(&foreign, LONG).await.unwrap();
    let refused = [
        monitor.state().await.map(drop),
        monitor.cancel(JobNumber(1), "mallory").await.map(drop),
        monitor.stop("mallory").await,
    ];
    let at = &server.file.addresses[0];
    for refused in refused {
        let text = refused.unwrap_err().to_string();
        let expected =
            format!("the scheduler at {at} refused the connection: the token does not match this cluster's");
        assert!(text.starts_with(&expected), "{text}");
    }
    assert!(remote::state(&server.file, LONG).await.is_ok());
}

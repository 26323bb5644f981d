//! A real server and real clients over TLS on loopback, real files and real processes.
//!
//! Owns: what the unit tests beside the code cannot show, because it takes two ends.
#![allow(clippy::unwrap_used, reason = "the helpers of tests fail as tests do")]

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::{Request, Response, Uri};
use tilework_cluster::connection::{ConnectionError, ConnectionFile};
use tilework_cluster::listen;
use tilework_cluster::process::{LocalProcess, Spec};
use tilework_cluster::security::{Identity, TokenAttach, TokenCheck};
use tilework_cluster::signals::{Shutdown, shutdown_signal};
use tilework_cluster::transport::{self, Cause, ConnectError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpSocket;
use tokio::sync::oneshot;
use tokio_stream::Stream;
use tonic::body::Body;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, server::Connected, server::TcpIncoming};
use tonic::{Code, Status};
use tower::{Service, ServiceExt};

#[path = "cluster/door.rs"]
mod door;

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(300);

/// A service that answers every request with "ok" and nothing else.
#[derive(Clone)]
struct Ping;

impl tonic::server::NamedService for Ping {
    const NAME: &'static str = "test.Ping";
}

impl Service<Request<Body>> for Ping {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        ready(Ok(Status::ok("pong").into_http()))
    }
}

/// Serves until the sender is dropped.
fn serve<C, I>(incoming: I, identity: &Identity) -> oneshot::Sender<()>
where
    C: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
    I: Stream<Item = std::io::Result<C>> + Send + 'static,
{
    let (stop, stopped) = oneshot::channel::<()>();
    let service = InterceptedService::new(Ping, TokenCheck::new(identity));
    let router = transport::server_builder(identity).unwrap().add_service(service);
    tokio::spawn(async move {
        router.serve_with_incoming_shutdown(incoming, async { drop(stopped.await) }).await.unwrap();
    });
    stop
}

/// A port that is ours, so that nobody else takes it, and at which nothing listens yet.
fn silent_port() -> (TcpSocket, String) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap().to_string();
    (socket, address)
}

async fn ping(channel: Channel, attach: Option<&TokenAttach>) -> Status {
    try_ping(channel, attach).await.unwrap()
}

/// The answer; none where the connection broke.
async fn try_ping(channel: Channel, attach: Option<&TokenAttach>) -> Option<Status> {
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = Uri::from_static("/test.Ping/Ping");
    *request.method_mut() = http::Method::POST;
    if let Some(attach) = attach {
        attach.attach(request.headers_mut());
    }
    let answer = channel.oneshot(request).await.ok()?;
    Some(Status::from_header_map(answer.headers()).unwrap())
}

#[tokio::test]
async fn a_scheduler_is_found_by_its_file_and_answers_to_its_token_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cluster.json");
    // The client waits before there is a file.
    let waiting = tokio::spawn({
        let path = path.clone();
        async move { ConnectionFile::wait(&path, LONG).await }
    });
    let bound = listen::bind("127.0.0.1:0").unwrap();
    let file = ConnectionFile::create(bound.addresses().to_vec(), None, 0).unwrap();
    let _server = serve(bound.into_incoming().unwrap(), &file.identity());
    file.write(&path).unwrap();

    let found = waiting.await.unwrap().unwrap();
    let channel = transport::connect(&found.addresses, &found.identity(), LONG).await.unwrap();
    let right = ping(channel.clone(), Some(&TokenAttach::new(&found.identity()))).await;
    assert_eq!((right.code(), right.message()), (Code::Ok, "pong"));

    let wrong = ping(channel.clone(), Some(&TokenAttach::new(&Identity::create().unwrap()))).await;
    assert_eq!(wrong.code(), Code::Unauthenticated);
    assert!(wrong.message().contains("use the connection file that this scheduler wrote"), "{wrong:?}");
    let absent = ping(channel, None).await;
    assert_eq!(absent.code(), Code::Unauthenticated);
    assert!(absent.message().contains("no token"), "{absent:?}");
}

#[tokio::test]
async fn a_foreign_certificate_is_refused_at_once_and_named() {
    let bound = listen::bind("127.0.0.1:0").unwrap();
    let addresses = bound.addresses().to_vec();
    let _server = serve(bound.into_incoming().unwrap(), &Identity::create().unwrap());
    let error = transport::connect(&addresses, &Identity::create().unwrap(), LONG).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&format!("{}: its certificate is not this cluster's", addresses[0])), "{text}");
    let ConnectError::Unreachable { tried_for, attempts } = error else { panic!("{text}") };
    assert_eq!(attempts[0].cause, Cause::ForeignCertificate);
    assert!(tried_for < LONG / 2, "{tried_for:?}");
}

#[tokio::test]
async fn the_next_address_is_tried_and_all_are_named_if_none_answers() {
    let (_dead_socket, dead) = silent_port();
    let identity = Identity::create().unwrap();
    let error = transport::connect(std::slice::from_ref(&dead), &identity, SHORT).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&format!("{dead}: connection refused")), "{text}");
    let ConnectError::Unreachable { tried_for, .. } = error else { panic!("{text}") };
    assert!(text.contains(&format!("tried for {tried_for:.1?}")), "{text}");

    // One that takes connections and never says a word.
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mute_address = mute.local_addr().unwrap().to_string();
    let both = [mute_address.clone(), dead.clone()];
    let text = transport::connect(&both, &identity, Duration::from_secs(1)).await.unwrap_err().to_string();
    assert!(text.contains(&format!("{mute_address}: timed out")), "{text}");
    assert!(text.contains(&format!("{dead}: connection refused")), "{text}");

    let bound = listen::bind("127.0.0.1:0").unwrap();
    let addresses = [dead, bound.addresses()[0].clone()];
    let _server = serve(bound.into_incoming().unwrap(), &identity);
    let channel = transport::connect(&addresses, &identity, LONG).await.unwrap();
    assert_eq!(ping(channel, Some(&TokenAttach::new(&identity))).await.code(), Code::Ok);
}

#[tokio::test]
async fn a_server_that_starts_late_is_reached() {
    let (socket, address) = silent_port();
    let addresses = [address];
    let identity = Identity::create().unwrap();
    let (connected, _server) = tokio::join!(transport::connect(&addresses, &identity, LONG), async {
        // The other future is polled first: it has begun to try.
        serve(TcpIncoming::from(socket.listen(16).unwrap()), &identity)
    });
    let status = ping(connected.unwrap(), Some(&TokenAttach::new(&identity))).await;
    assert_eq!(status.code(), Code::Ok);
}

#[tokio::test]
async fn what_is_no_server_of_ours_is_said_to_be_none() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            tokio::io::AsyncWriteExt::write_all(&mut socket, b"SSH-2.0-OpenSSH_9.6\r\n").await.unwrap();
        }
    });
    let identity = Identity::create().unwrap();
    let text = transport::connect(&[address], &identity, SHORT).await.unwrap_err().to_string();
    server.abort();
    assert!(text.contains("not a tilework server"), "{text}");
}

#[tokio::test]
async fn waiting_says_where_and_how_long_and_passes_over_an_earlier_run() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cluster.json");
    let error = ConnectionFile::wait(&path, SHORT).await.unwrap_err();
    let text = error.to_string();
    let ConnectionError::WaitedTooLong { waited, .. } = error else { panic!("{text}") };
    let expected = format!("waited {waited:.1?} for a connection file at {}", path.display());
    assert!(waited >= SHORT && text.starts_with(&expected), "{text}");

    let old = ConnectionFile::create(vec!["n1:1".into()], Some("17".into()), 0).unwrap();
    old.write(&path).unwrap();
    let of_this_run = |file: &ConnectionFile| file.is_of_job(Some("17"), 1);
    let text = ConnectionFile::wait_for(&path, SHORT, of_this_run).await.unwrap_err().to_string();
    assert!(text.contains("of an earlier run"), "{text}");
    let new = ConnectionFile { restart_count: 1, ..old };
    let (found, ()) = tokio::join!(ConnectionFile::wait_for(&path, LONG, of_this_run), async {
        new.write(&path).unwrap();
    });
    assert_eq!(found.unwrap(), new);

    // A file that others can read is no reason to go on waiting.
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
    let refused = ConnectionFile::wait(&path, LONG).await.unwrap_err();
    assert!(matches!(refused, ConnectionError::NotPrivate { mode: 0o644, .. }), "{refused}");
}

#[tokio::test]
async fn a_signal_that_comes_before_the_wait_is_not_lost() {
    let asked = shutdown_signal().unwrap();
    // SAFETY: raise has no preconditions; the handler above is in place, so that it does not end us.
    unsafe { libc::raise(libc::SIGTERM) };
    assert_eq!(tokio::time::timeout(LONG, asked).await.unwrap(), Shutdown::Terminate);
}

/// Not a test by itself: the process that the next test kills. Starts a child, says so, and waits.
#[test]
#[ignore = "run by a_child_ends_with_a_parent_that_is_killed"]
fn parent_of_a_child() {
    let script = "echo started; exec sleep 60";
    let args = vec!["-c".into(), script.into()];
    let _child =
        LocalProcess::spawn(&Spec { name: "child".into(), program: "sh".into(), args, ..Spec::default() })
            .unwrap();
    loop {
        std::thread::park();
    }
}

#[test]
fn a_child_ends_with_a_parent_that_is_killed() {
    let mut parent = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "parent_of_a_child"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = parent.stdout.take().unwrap();
    let mut said = String::new();
    while !said.contains("started") {
        let mut some = [0u8; 256];
        let n = out.read(&mut some).unwrap();
        assert_ne!(n, 0, "the parent ended: {said}");
        said.push_str(&String::from_utf8_lossy(&some[..n]));
    }
    parent.kill().unwrap();
    parent.wait().unwrap();
    // The child holds the other end of the pipe, which ends with it: now, not after its 60 s.
    let killed = Instant::now();
    out.read_to_end(&mut Vec::new()).unwrap();
    assert!(killed.elapsed() < LONG / 2, "the child lived on");
}

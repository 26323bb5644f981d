//! Strangers at a port, of every kind: what they take, and what those with the token still get.

use super::{LONG, Ping, ping};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::task::{Context, Poll};
use std::time::Duration;
use tilework_cluster::door::{Incoming, Room};
use tilework_cluster::listen::{self, Bound};
use tilework_cluster::security::{self, Identity, TokenAttach, TokenCheck};
use tilework_cluster::{limits, transport};
use tokio_stream::Stream;
use tonic::Code;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;

/// What a stranger does once it is there.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Nothing.
    Tcp,
    /// TLS, and nothing more.
    Tls,
    /// The beginning of a request.
    HalfARequest,
}

const KINDS: [Kind; 3] = [Kind::Tcp, Kind::Tls, Kind::HalfARequest];

/// HTTP/2's preface, its settings, and a frame of headers most of which never comes.
const HALF_A_REQUEST: &[u8] =
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x64\x01\0\0\0\0\x01\x82\x87";

impl Kind {
    /// Comes, does it, and says when the other side has hung up.
    fn come(self, address: &str, identity: &Identity, hung_up: mpsc::Sender<Kind>) {
        let (address, pem) = (address.to_owned(), identity.certificate_pem.clone());
        std::thread::spawn(move || {
            let mut tcp = TcpStream::connect(address).unwrap();
            let mut tls = tls(&pem);
            // The other side may hang up at any time.
            let said = match self {
                Kind::Tcp => Ok(()),
                Kind::Tls => tls.complete_io(&mut tcp).map(drop),
                Kind::HalfARequest => rustls::Stream::new(&mut tls, &mut tcp).write_all(HALF_A_REQUEST),
            };
            let mut bytes = [0; 4096];
            while said.is_ok() && tcp.read(&mut bytes).is_ok_and(|n| n > 0) {}
            // Err: the test has ended.
            let _ = hung_up.send(self);
        });
    }
}

fn tls(certificate_pem: &str) -> rustls::ClientConnection {
    use rustls::pki_types::{CertificateDer, pem::PemObject};
    security::install_crypto_provider();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(certificate_pem.as_bytes()).unwrap()).unwrap();
    let mut config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    rustls::ClientConnection::new(Arc::new(config), security::TLS_NAME.try_into().unwrap()).unwrap()
}

/// Counts how often it is asked for the next connection, and how often there was one.
struct Counted {
    incoming: Incoming,
    asked: Arc<AtomicUsize>,
    came: Arc<AtomicUsize>,
}

impl Stream for Counted {
    type Item = <Incoming as Stream>::Item;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let next = Pin::new(&mut self.incoming).poll_next(context);
        if matches!(next, Poll::Ready(Some(Ok(_)))) {
            self.came.fetch_add(1, Ordering::Relaxed);
        }
        next
    }
}

struct Server {
    identity: Identity,
    address: String,
    asked: Arc<AtomicUsize>,
    came: Arc<AtomicUsize>,
}

impl Server {
    fn start(bound: Bound, room: Room, identity: Identity) -> Server {
        let address = bound.addresses()[0].clone();
        let incoming = bound.with_room(room).into_incoming().unwrap();
        let counted = Counted { incoming, asked: Arc::default(), came: Arc::default() };
        let (asked, came) = (counted.asked.clone(), counted.came.clone());
        let service = InterceptedService::new(Ping, TokenCheck::new(&identity));
        let router = transport::server_builder(&identity).unwrap().add_service(service);
        tokio::spawn(async move { router.serve_with_incoming(counted).await.unwrap() });
        Server { identity, address, asked, came }
    }

    fn new(room: Room) -> Server {
        Server::start(listen::bind("127.0.0.1:0").unwrap(), room, Identity::create().unwrap())
    }

    /// A connection that has shown the token, over which it is shown again.
    async fn known(&self) -> Channel {
        known(&self.address, &self.identity).await
    }

    async fn answers(&self, channel: &Channel) -> bool {
        ping(channel.clone(), Some(&TokenAttach::new(&self.identity))).await.code() == Code::Ok
    }

    fn n_came(&self) -> usize {
        self.came.load(Ordering::Relaxed)
    }
}

/// Where the time or the room is short, more than one attempt may be needed.
async fn known(address: &str, identity: &Identity) -> Channel {
    let (addresses, token) = ([address.to_owned()], TokenAttach::new(identity));
    loop {
        let channel = transport::connect(&addresses, identity, LONG).await.unwrap();
        if super::try_ping(channel.clone(), Some(&token)).await.is_some_and(|s| s.code() == Code::Ok) {
            return channel;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_make_way_for_each_other_and_not_for_those_with_the_token() {
    const STRANGERS: usize = 60;
    let strangers_max = 8;
    let server = Server::new(Room { connections_max: 16, strangers_max, first_request_max: LONG });
    let before = server.known().await;
    let (hung_up, ends) = mpsc::channel();
    for i in 0..STRANGERS {
        KINDS[i % KINDS.len()].come(&server.address, &server.identity, hung_up.clone());
    }
    // One after another is turned out, until as many are left as there is room for.
    let ends = tokio::task::spawn_blocking(move || {
        for _ in 0..STRANGERS - strangers_max {
            ends.recv_timeout(LONG).unwrap();
        }
        ends
    });
    let ends = ends.await.unwrap();
    assert_eq!(server.n_came(), 1 + STRANGERS);
    assert!(ends.try_recv().is_err(), "a stranger was turned out for whom there was room");
    // Who was there before is there on the same connection, and who comes now is let in.
    assert!(server.answers(&before).await);
    assert_eq!(server.n_came(), 1 + STRANGERS);
    let after = server.known().await;
    assert!(server.answers(&after).await && server.answers(&before).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_has_so_long_to_show_the_token() {
    let first_request_max = Duration::from_millis(300);
    let server = Server::new(Room { connections_max: 16, strangers_max: 8, first_request_max });
    let known = server.known().await;
    let n_came = server.n_came();
    // One with another cluster's token is refused, which does not give it more time.
    let wrong =
        transport::connect(std::slice::from_ref(&server.address), &server.identity, LONG).await.unwrap();
    let token = TokenAttach::new(&Identity::create().unwrap());
    if let Some(status) = super::try_ping(wrong.clone(), Some(&token)).await {
        assert_eq!(status.code(), Code::Unauthenticated);
    }
    let (hung_up, ends) = mpsc::channel();
    KINDS.iter().for_each(|kind| kind.come(&server.address, &server.identity, hung_up.clone()));
    let all = tokio::task::spawn_blocking(move || KINDS.map(|_| ends.recv_timeout(LONG).unwrap()));
    all.await.unwrap();
    assert!(server.answers(&known).await);
    assert_eq!(server.n_came(), n_came + 1 + KINDS.len(), "the connection of one with the token was closed");
    // The refused one came before: its time is over too. A new connection is made by the channel itself.
    let _ = super::try_ping(wrong, Some(&token)).await;
    assert_eq!(server.n_came(), n_came + 2 + KINDS.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_have_what_those_with_the_token_leave() {
    const STRANGERS: usize = 200;
    let server = Server::new(Room { connections_max: 16, strangers_max: 12, first_request_max: LONG });
    let mut known = Vec::new();
    for _ in 0..12 {
        known.push(server.known().await);
    }
    let (hung_up, ends) = mpsc::channel();
    for i in 0..STRANGERS {
        KINDS[i % KINDS.len()].come(&server.address, &server.identity, hung_up.clone());
    }
    // One more than there is room for is there until it is known who it is.
    let all = tokio::task::spawn_blocking(move || {
        for _ in 0..STRANGERS - 5 {
            ends.recv_timeout(LONG).unwrap();
        }
        ends
    });
    let ends = all.await.unwrap();
    for channel in &known {
        assert!(server.answers(channel).await);
    }
    assert_eq!(server.n_came(), known.len() + STRANGERS);
    let asked = server.asked.load(Ordering::Relaxed);
    assert!(asked < 20 * (known.len() + STRANGERS), "asked {asked} times for the next connection");
    let newcomer = server.known().await;
    assert!(server.answers(&newcomer).await);
    drop(ends);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn known_connections_are_counted_and_more_wait_until_one_leaves() {
    let server = Server::new(Room { connections_max: 3, strangers_max: 2, first_request_max: LONG });
    let first = [server.known().await, server.known().await, server.known().await, server.known().await];
    let fifth = tokio::spawn({
        let (address, identity) = (server.address.clone(), server.identity.clone());
        async move { known(&address, &identity).await }
    });
    for channel in &first {
        assert!(server.answers(channel).await);
    }
    assert_eq!(server.n_came(), 4);
    drop(first);
    let fifth = fifth.await.unwrap();
    assert!(server.answers(&fifth).await);
}

/// Not a test by itself: a server that may have few descriptors, and takes as many connections as there are.
#[test]
#[ignore = "run by a_server_without_descriptors_rests_and_goes_on"]
fn server_with_few_descriptors() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let few = limits::descriptors_max();
        let more = limits::raise_descriptors_max();
        let (connections_max, strangers_max) = (1 << 20, 1 << 20);
        let room = Room { connections_max, strangers_max, first_request_max: LONG };
        let server = Server::new(room);
        let Identity { cluster_id, token, certificate_pem, key_pem } = server.identity.clone();
        let secrets = [&cluster_id, &token, &certificate_pem, &key_pem];
        println!("descriptors {few} {more}");
        println!("at {}", server.address);
        secrets.iter().for_each(|s| println!("secret {}", s.replace('\n', "|")));
        // Each line from the other side asks how often the next connection was asked for.
        for _ in std::io::stdin().lines() {
            println!("asked {} came {}", server.asked.load(Ordering::Relaxed), server.n_came());
        }
    });
}

struct FewDescriptors {
    child: Child,
    out: BufReader<std::process::ChildStdout>,
}

impl FewDescriptors {
    /// What follows this word in the next line that begins with it.
    fn said(&mut self, word: &str) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(self.out.read_line(&mut line).unwrap(), 0, "the server ended before {word}");
            if let Some(rest) = line.trim_end().strip_prefix(word).and_then(|r| r.strip_prefix(' ')) {
                return rest.to_owned();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_descriptors_rests_and_goes_on() {
    const STRANGERS: usize = 300;
    let script = "ulimit -Sn 48 && ulimit -Hn 64 && exec \"$0\" \"$@\"";
    let mut child = Command::new("sh")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "door::server_with_few_descriptors"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    let mut server = FewDescriptors { child, out };
    assert_eq!(server.said("descriptors"), "48 64");
    let address = server.said("at");
    let [cluster_id, token, certificate_pem, key_pem] =
        std::array::from_fn(|_| server.said("secret").replace('|', "\n"));
    let identity = Identity { cluster_id, token, certificate_pem, key_pem };
    // They stay, but for those that are turned out.
    let (hung_up, ends) = mpsc::channel();
    for _ in 0..STRANGERS {
        Kind::Tcp.come(&address, &identity, hung_up.clone());
    }
    // So many never fit: the system has said that there are no descriptors left.
    let ends = tokio::task::spawn_blocking(move || {
        for _ in 0..STRANGERS - 64 {
            ends.recv_timeout(LONG).unwrap();
        }
        ends
    });
    let ends = ends.await.unwrap();
    let channel = known(&address, &identity).await;
    assert_eq!(ping(channel, Some(&TokenAttach::new(&identity))).await.code(), Code::Ok);
    server.child.stdin.as_mut().unwrap().write_all(b"?\n").unwrap();
    let counts = server.said("asked");
    let (asked, came) = counts.split_once(" came ").unwrap();
    let (asked, came): (usize, usize) = (asked.parse().unwrap(), came.parse().unwrap());
    assert!(came > STRANGERS - 64 && asked < 20 * STRANGERS, "asked {asked} times for {came} connections");
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    drop(ends);
}

//! Connections that are lost although both ends live, and schedulers that others take the place of.

use crate::{Dir, Process, current_is_mine, output, scheduler, scheduler_with, worker};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tilework::ClusterError;
use tilework::ndarray;
use tilework::prelude::*;
use tilework_cluster::connection::ConnectionFile;

/// Hands on what comes to a port, as a firewall between two networks does, and can cut all of it.
struct Relay {
    at: String,
    open: Arc<Mutex<Vec<TcpStream>>>,
    /// Whether what comes is cut at once.
    is_shut: Arc<AtomicBool>,
    /// Bytes that a connection carries before it is cut.
    carries: Arc<AtomicU64>,
    /// Connections that were cut for that.
    n_cut: Arc<AtomicU64>,
}

impl Relay {
    fn to(address: String) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap().to_string();
        let open: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
        let is_shut = Arc::new(AtomicBool::new(false));
        let (carries, n_cut) = (Arc::new(AtomicU64::new(u64::MAX)), Arc::<AtomicU64>::default());
        let relay = Relay { at, open, is_shut, carries, n_cut };
        let (all, shut) = (relay.open.clone(), relay.is_shut.clone());
        let (carries, n_cut) = (relay.carries.clone(), relay.n_cut.clone());
        std::thread::spawn(move || {
            while let Ok((near, _)) = listener.accept() {
                if shut.load(Ordering::SeqCst) {
                    continue;
                }
                let Ok(far) = TcpStream::connect(&address) else { continue };
                // Before a byte goes through: who is connected can be cut.
                all.lock().unwrap().extend([near.try_clone().unwrap(), far.try_clone().unwrap()]);
                let carried = Arc::<AtomicU64>::default();
                for (from, to) in [(&near, &far), (&far, &near)] {
                    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let (carries, carried, n_cut) = (carries.clone(), carried.clone(), n_cut.clone());
                    std::thread::spawn(move || {
                        let mut bytes = [0; 1 << 12];
                        loop {
                            // Err, 0: one of the two has hung up.
                            let n = from.read(&mut bytes).unwrap_or(0);
                            let before = carried.fetch_add(n as u64, Ordering::SeqCst);
                            let is_over = before >= carries.load(Ordering::SeqCst);
                            if n == 0 || is_over || to.write_all(&bytes[..n]).is_err() {
                                n_cut.fetch_add(u64::from(is_over), Ordering::SeqCst);
                                break;
                            }
                        }
                        // Err: it is closed already.
                        let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
                    });
                }
            }
        });
        relay
    }

    /// Cuts what is open; how many connections those were.
    fn cut(&self) -> usize {
        let all = std::mem::take(&mut *self.open.lock().unwrap());
        // Err: it is closed already.
        all.iter().filter(|stream| stream.shutdown(Shutdown::Both).is_ok()).count() / 2
    }
}

/// A connection file that leads to the scheduler by way of a relay.
fn by_way_of_relay(dir: &Dir) -> (Relay, String) {
    let file = ConnectionFile::read(Path::new(dir.file())).unwrap();
    let relay = Relay::to(file.addresses[0].clone());
    let far = format!("{}-far", dir.file());
    ConnectionFile { addresses: vec![relay.at.clone()], ..file }.write(Path::new(&far)).unwrap();
    (relay, far)
}

/// 1600 numbers in square chunks.
fn numbered(len: usize) -> Array2<f64> {
    let elements = ndarray::Array2::from_shape_fn((40, 40), |(i, j)| (i * 40 + j) as f64);
    Array::from_ndarray(elements, len)
}

/// The numbers of the workers, as the scheduler knows them.
fn numbers(file: &str) -> String {
    let (ok, said, error) = output(&["workers", "--connection-file", file, "--output", "json"]);
    assert!(ok, "{error}");
    let numbers = said.match_indices("\"worker\":").map(|(at, _)| &said[at..at + 12]);
    numbers.collect()
}

#[test]
fn connections_that_break_cost_neither_jobs_nor_chunks() {
    let _mine = current_is_mine();
    let dir = Dir::new();
    let _scheduler = scheduler(dir.file());
    let (relay, far) = by_way_of_relay(&dir);
    let mut worker = worker(&far, "w");
    assert_eq!(worker.line(), "worker w joined");
    let before = numbers(dir.file());
    assert_ne!(before, "");
    let session = tilework::Session::connect(&far).unwrap();

    let x = numbered(2);
    let y = (&x + &x.t()).sum_axis(Axis(0));
    let expected = y.try_compute_on(&session).unwrap();
    let kept = (&x * 2.0).try_persist().unwrap();
    let twice = kept.sum_axis(Axis(0)).try_compute_on(&session).unwrap();
    // Some of a connection's first bytes are TLS' own.
    relay.carries.store(12 << 10, Ordering::SeqCst);
    for round in 0..20 {
        assert_eq!(y.try_compute_on(&session).unwrap(), expected, "round {round}");
        let of_kept = kept.sum_axis(Axis(0)).try_compute_on(&session).unwrap();
        assert_eq!(of_kept, twice, "round {round}");
    }
    assert!(relay.n_cut.load(Ordering::SeqCst) > 4, "connections carried all that there was");
    assert_eq!(numbers(dir.file()), before, "the worker is another one to the scheduler");
    tilework::Session::close_current();
}

#[test]
fn a_session_that_ends_says_so() {
    let _mine = current_is_mine();
    let dir = Dir::new();
    // Nobody would be taken for gone within the test.
    let _scheduler = scheduler_with(dir.file(), &["--silence-limit", "1000"]);
    let mut worker = worker(dir.file(), "w");
    assert_eq!(worker.line(), "worker w joined");
    let session = tilework::Session::connect(dir.file()).unwrap();
    let kept = Array1::<f64>::in_chunks(10).ones(100).sin().try_persist().unwrap();
    assert_eq!(session.n_tasks_done(), 10);
    drop((kept, session));
    tilework::Session::close_current();
    loop {
        let (ok, said, error) = output(&["state", "--connection-file", dir.file()]);
        assert!(ok, "{error}");
        if said.contains("0 B of 268 MB held; 0 clients, 0 jobs") {
            break;
        }
    }
}

#[test]
fn a_lost_connection_to_a_living_scheduler_is_made_again() {
    let _mine = current_is_mine();
    let dir = Dir::new();
    let _scheduler = scheduler_with(dir.file(), &["--silence-limit", "1"]);
    let mut worker = worker(dir.file(), "w");
    assert_eq!(worker.line(), "worker w joined");
    let (relay, far) = by_way_of_relay(&dir);
    let session = tilework::Session::connect(&far).unwrap();

    let x = numbered(10);
    let y = (&x + &x.t()).sum_axis(Axis(0));
    let expected = y.try_compute_on(&session).unwrap();
    let kept = (&x * 2.0).try_persist().unwrap();
    // For longer than the scheduler waits for somebody.
    relay.is_shut.store(true, Ordering::SeqCst);
    assert!(relay.cut() > 0, "there was no connection to cut");
    let lost = y.try_compute_on(&session).unwrap_err();
    assert!(matches!(lost.cluster(), Some(ClusterError::Lost(_))), "{lost}");
    assert!(lost.to_string().starts_with(&format!("the scheduler at {} ended or", relay.at)), "{lost}");
    relay.is_shut.store(false, Ordering::SeqCst);
    assert_eq!(y.try_compute_on(&session).unwrap(), expected);
    // What the scheduler kept for the connection is gone with it, and that is said.
    let gone = kept.sum_axis(Axis(0)).try_compute_on(&session).unwrap_err();
    assert!(matches!(gone.cluster(), Some(ClusterError::Gone(_))), "{gone}");
    let text = gone.to_string();
    assert!(text.starts_with("what the workers kept (`persist`) went with the connection"), "{text}");
    let kept = (&x * 2.0).try_persist().unwrap();
    assert_eq!(kept.sum_axis(Axis(0)).try_compute_on(&session).unwrap(), x.sum_axis(Axis(0)).compute() * 2.0);
    tilework::Session::close_current();
}

#[test]
fn workers_join_the_scheduler_that_takes_the_place_of_one_that_died() {
    let _mine = current_is_mine();
    let dir = Dir::new();
    let first = scheduler(dir.file());
    let before = std::fs::read(dir.file()).unwrap();
    let mut worker = worker(dir.file(), "w");
    assert_eq!(worker.line(), "worker w joined");
    let session = tilework::Session::connect(dir.file()).unwrap();
    first.signal(libc::SIGKILL);
    first.end();
    assert_eq!(std::fs::read(dir.file()).unwrap(), before, "a killed scheduler leaves its file behind");

    let second = scheduler(dir.file());
    assert_ne!(std::fs::read(dir.file()).unwrap(), before);
    let (ok, _, error) =
        output(&["wait", "--connection-file", dir.file(), "--workers", "1", "--timeout", "60"]);
    assert!(ok, "{error}");
    let x = Array1::<f64>::in_chunks(10).ones(100);
    let text = x.sin().try_compute_on(&session).unwrap_err().to_string();
    let hint = format!("; {} names another scheduler by now: connect to that one", dir.file());
    assert!(text.contains("; it cannot be reached again: ") && text.ends_with(&hint), "{text}");
    let session = tilework::Session::connect(dir.file()).unwrap();
    assert_eq!(x.try_compute_on(&session).unwrap().sum(), 100.0);
    tilework::Session::close_current();
    // It is told to leave as it would be by the first, and ends well.
    Process::signal(&worker, libc::SIGTERM);
    assert!(worker.end().0);
    drop(second);
}

//! Connections that are lost although both ends live, and schedulers that others take the place of.

use crate::{Dir, Process, current_is_mine, output, scheduler, worker};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use tilework::ndarray;
use tilework::prelude::*;
use tilework_cluster::connection::ConnectionFile;

/// Hands on what comes to a port, as a firewall between two networks does, and can cut all of it.
struct Relay {
    at: String,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Relay {
    fn to(address: String) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap().to_string();
        let open: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
        let all = open.clone();
        std::thread::spawn(move || {
            while let Ok((near, _)) = listener.accept() {
                let Ok(far) = TcpStream::connect(&address) else { continue };
                // Before a byte goes through: who is connected can be cut.
                all.lock().unwrap().extend([near.try_clone().unwrap(), far.try_clone().unwrap()]);
                for (from, to) in [(&near, &far), (&far, &near)] {
                    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    std::thread::spawn(move || {
                        // Err: one of the two has hung up.
                        let _ = std::io::copy(&mut from, &mut to);
                        let _ = to.shutdown(Shutdown::Both);
                    });
                }
            }
        });
        Relay { at, open }
    }

    /// Cuts what is open; how many connections those were.
    fn cut(&self) -> usize {
        let all = std::mem::take(&mut *self.open.lock().unwrap());
        // Err: it is closed already.
        all.iter().filter(|stream| stream.shutdown(Shutdown::Both).is_ok()).count() / 2
    }
}

#[test]
fn a_lost_connection_to_a_living_scheduler_is_made_again() {
    let _mine = current_is_mine();
    let dir = Dir::new();
    let _scheduler = scheduler(dir.file());
    let mut worker = worker(dir.file(), "w");
    assert_eq!(worker.line(), "worker w joined");
    let file = ConnectionFile::read(Path::new(dir.file())).unwrap();
    let relay = Relay::to(file.addresses[0].clone());
    let far = format!("{}-far", dir.file());
    ConnectionFile { addresses: vec![relay.at.clone()], ..file }.write(Path::new(&far)).unwrap();
    let session = tilework::Session::connect(&far).unwrap();

    let elements = ndarray::Array2::from_shape_fn((40, 40), |(i, j)| (i * 40 + j) as f64);
    let x = Array::from_ndarray(elements, 10);
    let y = (&x + &x.t()).sum_axis(Axis(0));
    let expected = y.try_compute_on(&session).unwrap();
    let kept = (&x * 2.0).try_persist().unwrap();
    for round in 0..3 {
        assert!(relay.cut() > 0, "round {round}: there was no connection to cut");
        // A run that begins before the loss is known fails with it; the next does not.
        let again = y.try_compute_on(&session).or_else(|error| {
            let text = error.to_string();
            assert!(text.starts_with(&format!("the scheduler at {} ended or", relay.at)), "{text}");
            y.try_compute_on(&session)
        });
        assert_eq!(again.unwrap(), expected, "round {round}");
    }
    // What the scheduler kept for the connection is gone with it, and that is said.
    let text = kept.sum_axis(Axis(0)).try_compute_on(&session).unwrap_err().to_string();
    assert!(
        text.starts_with("an array that the workers kept (`persist`) went with the connection"),
        "{text}"
    );
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

//! Results under names, between programs of one cluster: they outlive their client, and workers that are killed.

use crate::{Dir, current_is_mine, output, scheduler, worker};
use tilework::prelude::*;
use tilework::{Error, NameError, Session};

#[test]
fn what_is_published_outlives_its_client_and_its_workers() {
    let _mine = current_is_mine();
    let dir = Dir::new();
    let _scheduler = scheduler(dir.file());
    let mut workers = [worker(dir.file(), "a"), worker(dir.file(), "b")];
    workers.iter_mut().for_each(|w| assert!(w.line().ends_with(" joined")));
    let random: Array2<f64> = tilework::random::in_chunks([40, 50]).uniform((200, 300), 0.0..1.0, 5);
    let memory = Array::from_ndarray(tilework::ndarray::Array1::from_iter((0..1000).map(f64::from)), 100);
    let want = {
        let maker = Session::connect(dir.file()).unwrap();
        maker.publish("random", &random.sin()).unwrap();
        maker.publish("memory", &(&memory * 2.0)).unwrap();
        let want = random.sin().try_compute_on(&maker).unwrap();
        Session::close_current();
        want
    };

    let other = Session::connect(dir.file()).unwrap();
    let names: Vec<String> = other.list().unwrap().into_iter().map(|n| n.name).collect();
    assert_eq!(names, ["memory", "random"]);
    let (ok, jobs, _) = output(&["jobs", "--connection-file", dir.file()]);
    assert!(ok && jobs.contains("published as 'random'"), "{jobs}");
    let sum = |session: &Session| {
        let twice: Array1<f64> = session.get("memory")?;
        twice.lazy_sum().try_compute_on(session).map(|sum| sum[()])
    };
    assert_eq!(sum(&other).unwrap(), 999_000.0);
    let sines: Array2<f64> = other.get("random").unwrap();
    assert_eq!(sines.try_compute_on(&other).unwrap(), want);

    // All that workers had is lost, and one comes that has nothing.
    let mut third = worker(dir.file(), "c");
    assert_eq!(third.line(), "worker c joined");
    for w in workers {
        w.signal(libc::SIGKILL);
        w.end();
    }
    assert_eq!(sines.try_compute_on(&other).unwrap(), want, "what was had by its name is made again");
    let again: Array2<f64> = other.get("random").unwrap();
    assert_eq!(again.try_compute_on(&other).unwrap(), want);
    let lost = sum(&other).unwrap_err();
    assert!(matches!(&lost, Error::Name(NameError::Lost { .. })), "{lost}");
    let text = lost.to_string();
    assert!(text.starts_with("what was published as 'memory' is lost: "), "{text}");
    assert!(text.contains("its chunk was lost after the client had released it"), "{text}");
    let unpublish = |name| output(&["unpublish", name, "--connection-file", dir.file()]);
    let (ok, said, error) = unpublish("random");
    assert!(ok && said == "'random' is unpublished\n", "{said} {error}");
    let (ok, _, error) = unpublish("random");
    assert!(!ok && error.contains("nothing is published as 'random'; there is nothing"), "{error}");
    assert_eq!(again.try_compute_on(&other).unwrap(), want, "who has it keeps it");
    assert!(other.list().unwrap().is_empty());
    drop((sines, again));
    Session::close_current();
}

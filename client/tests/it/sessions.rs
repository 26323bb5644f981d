//! The same programs on every kind of session, and what happens when a part of one is lost or wrong.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use tilework::prelude::*;
use tilework::{ClusterError, EmbeddedOptions, Error, Session};

fn embedded(workers: usize, threads: usize, memory_bytes: Option<u64>) -> Session {
    let options =
        EmbeddedOptions { workers, threads_per_worker: Some(threads), memory_bytes_per_worker: memory_bytes };
    Session::embedded_with(&options).expect("an embedded session")
}

/// A sum whose last bits depend on the order of additions, over data from a literal and from random numbers.
fn delicate() -> Array1<f64> {
    let x = tilework::random::in_chunks([37, 90]).uniform((300, 500), 0.0..1.0, 7) as Array2<f64>;
    let data = ndarray::Array2::from_shape_fn((300, 500), |(i, j)| ((i * 31 + j * 17) % 101) as f64 * 1e-3);
    let y = Array::from_ndarray(data, [64, 500]);
    (&x.exp() * &y + x.t().slice(s![..300, ..;1]).sum_axis(Axis(1)).insert_axis(Axis(1))).sum_axis(Axis(0))
}

fn bits(a: &ndarray::Array1<f64>) -> Vec<u64> {
    a.iter().map(|x| x.to_bits()).collect()
}

#[test]
fn the_same_bits_on_any_number_of_workers() {
    let expr = delicate();
    let want = bits(&expr.try_compute_on(&embedded(1, 1, None)).expect("one worker"));
    for (workers, threads) in [(1, 4), (2, 1), (5, 2)] {
        let got = bits(&expr.try_compute_on(&embedded(workers, threads, None)).expect("several workers"));
        assert_eq!(got, want, "{workers} workers of {threads} threads");
    }
}

/// The worker processes of the sessions of this process, by name.
fn workers_of_this_process(name: &str) -> Vec<u32> {
    children_with(&format!("TILEWORK_ROLE_NAME={name}"))
}

/// The children of this process that were started with this in their environment.
pub(crate) fn children_with(variable: &str) -> Vec<u32> {
    let me = std::process::id().to_string();
    let is_child = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let after = stat.rsplit(')').next().unwrap_or_default().to_owned();
        after.split_whitespace().nth(1) == Some(me.as_str())
    };
    let is_of_role = |pid: &u32| {
        let env = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        env.split(|&b| b == 0).any(|v| v == variable.as_bytes())
    };
    let dir = std::fs::read_dir("/proc").expect("proc");
    let pids = dir.filter_map(|e| e.ok()?.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(is_child).filter(is_of_role).collect()
}

#[test]
fn a_worker_process_that_is_killed_costs_nothing_but_time() {
    let _mine = crate::support::processes_are_mine();
    // A test that runs beside this one may still use the session that was current when it began.
    let others = workers_of_this_process("worker-1");
    let session = Session::processes(2).expect("processes");
    let x: Array2<f64> = tilework::random::in_chunks([100, 100]).uniform((2000, 2000), 0.0..1.0, 3);
    let kept = x.sin().try_persist().expect("persisted");
    let sum = kept.lazy_sum();
    let want = sum.try_compute_on(&session).expect("before")[()];

    let mut victims = workers_of_this_process("worker-1");
    victims.retain(|pid| !others.contains(pid));
    assert_eq!(victims.len(), 1, "one worker of that name");
    // SAFETY: plain system call on a process that this test started.
    assert_eq!(unsafe { libc::kill(victims[0] as i32, libc::SIGKILL) }, 0);

    let got = sum.try_compute_on(&session).expect("after")[()];
    assert_eq!(got.to_bits(), want.to_bits());
    let all = kept.try_compute_on(&session).expect("the lost chunks again");
    assert_eq!(all.dim(), (2000, 2000));
    // Another one is started in its place.
    while !kept.try_explain_on(&session).expect("a plan").to_string().contains("on 2 workers,") {
        std::thread::yield_now();
    }
    assert!(workers_of_this_process("worker-1").iter().all(|&p| p != victims[0]) || is_dead(victims[0]));
    drop((kept, sum));
    Session::close_current();
}

#[test]
fn a_function_that_ends_workers_is_named_with_how_they_ended() {
    let _mine = crate::support::processes_are_mine();
    let session = Session::processes(2).expect("processes");
    let x: Array1<f64> = tilework::random::in_chunks(100).uniform(400, 0.0..1.0, 3);
    let deadly: Array1<f64> = x.map_blocks(|_| -> ndarray::Array1<f64> { std::process::abort() });
    let text = deadly.try_compute_on(&session).expect_err("it aborts").to_string();
    assert!(text.contains("map_blocks") && text.contains("workers died while they ran it"), "{text}");
    assert!(text.contains("(ended by signal 6: it aborted)"), "{text}");
    // Others can still be computed.
    let sum = x.lazy_sum().try_compute_on(&session).expect("workers are there again")[()];
    assert!((sum / 400.0 - 0.5).abs() < 0.1);
    Session::close_current();
}

#[test]
fn nothing_is_left_of_a_session_when_its_program_ends() {
    const CHILD: &str = "TILEWORK_TEST_ENDS_WITH_A_SESSION";
    if std::env::var_os(CHILD).is_some() {
        // The session is the current one, and stays so until the process ends.
        let _session = Session::processes(2).expect("processes");
        assert_eq!(Array1::<f64>::in_chunks(10).ones(100).sum(), 100.0);
        return;
    }
    let home = tempfile::tempdir().expect("a directory");
    let name = "sessions::nothing_is_left_of_a_session_when_its_program_ends";
    let mut child = std::process::Command::new(std::env::current_exe().expect("this test's program"));
    child.args(["--exact", name]).env(CHILD, "1").env("HOME", home.path()).env_remove("XDG_RUNTIME_DIR");
    let output = child.output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let base = home.path().join(".tilework");
    let started = std::time::Instant::now();
    let left = || std::fs::read_dir(&base).expect("the sessions' directory").count();
    while left() > 0 {
        assert!(started.elapsed() < std::time::Duration::from_secs(30), "{} sessions are left", left());
        std::thread::yield_now();
    }
}

#[test]
fn arrays_made_at_once_need_no_session() {
    const CHILD: &str = "TILEWORK_TEST_HAS_NO_SESSION";
    if std::env::var_os(CHILD).is_some() {
        assert!(Session::current().is_err());
        let a = Array1::<u64>::from_shape_fn(1 << 18, |i| i as u64);
        assert!(!a.is_lazy());
        assert_eq!(a[1000], 1000);
        return;
    }
    let name = "sessions::arrays_made_at_once_need_no_session";
    for (variable, value) in [("TILEWORK_CONNECTION", "no/such/file.json"), ("TILEWORK_PROCESSES", "some")] {
        let mut child = std::process::Command::new(std::env::current_exe().expect("this test's program"));
        let output = child.args(["--exact", name]).env(CHILD, "1").env(variable, value).output();
        let output = output.expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}

fn is_dead(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_none_or(|s| s.trim_start().starts_with('Z') || s.is_empty())
}

#[test]
fn a_session_of_processes_gives_the_same_bits() {
    let expr = delicate();
    let want = bits(&expr.try_compute_on(&embedded(1, 2, None)).expect("embedded"));
    let _mine = crate::support::processes_are_mine();
    let session = Session::processes(2).expect("processes");
    assert_eq!(session.n_workers(), 2);
    Session::close_current();
    assert_eq!(bits(&expr.try_compute_on(&session).expect("processes")), want);
}

#[test]
fn a_chunk_too_large_for_the_workers_says_what_fits() {
    let session = embedded(1, 1, Some(1 << 20));
    let x: Array1<f64> = tilework::random::in_chunks(1_000_000).uniform(1_000_000, 0.0..1.0, 1);
    let text = x.try_compute_on(&session).expect_err("too large").to_string();
    assert!(
        text.contains("needs 8.00 MB") && text.contains("1.05 MB") && text.contains("would fit"),
        "{text}"
    );
    let fits = tilework::random::in_chunks(20_000).uniform(1_000_000, 0.0..1.0, 1) as Array1<f64>;
    let sum = fits.lazy_sum().try_compute_on(&session).expect("small chunks fit")[()];
    assert!((sum / 1_000_000.0 - 0.5).abs() < 0.01);
}

#[test]
fn blocks_and_halos_count_as_memory() {
    let session = embedded(1, 1, Some(1 << 20));
    let x: Array1<f64> = tilework::random::in_chunks(40_000).uniform(40_000, 0.0..1.0, 1);
    // 320 kB of input and as many of result; a block of twice its length, and one that is returned, do not fit.
    let halved = x.map_blocks(|block| &block * 0.5);
    assert_eq!(halved.try_compute_on(&session).expect("a chunk is read where it lies").len(), 40_000);
    let wide = x.map_overlap(20_000, tilework::Boundary::Periodic, |block| &block * 0.5);
    let text = wide.try_compute_on(&session).expect_err("the block is too large").to_string();
    assert!(text.contains("needs 1.92 MB") && text.contains("1.05 MB"), "{text}");
    let narrow = x.map_overlap(10, tilework::Boundary::Periodic, |block| &block * 0.5).rechunk(10_000);
    let text = narrow.try_compute_on(&session).expect_err("the same in one chunk").to_string();
    assert!(text.contains("map_overlap") && text.contains("needs 1.28 MB"), "{text}");
    let x: Array1<f64> = tilework::random::in_chunks(10_000).uniform(40_000, 0.0..1.0, 1);
    let narrow = x.map_overlap(10, tilework::Boundary::Periodic, |block| &block * 0.5);
    assert_eq!(narrow.try_compute_on(&session).expect("small chunks fit").len(), 40_000);
}

#[test]
fn what_is_small_is_computed_by_the_thread_that_asks() {
    let (one, two) = (embedded(1, 1, None), embedded(2, 1, None));
    let x = Array1::<i64>::from_vec_chunked(vec![3, 0, 4], -1);
    let sum = (&x + 1).lazy_sum();
    for session in [&one, &two] {
        assert_eq!(sum.try_compute_on(session).expect("small")[()], 10);
        let plan = sum.try_explain_on(session).expect("a plan");
        assert_eq!(plan.run().map(|r| (r.n_tasks, r.bytes_put)), Some((2, 0)), "nothing was put anywhere");
    }
    // The same errors as ever.
    let text = (12 / &x).try_compute_on(&one).expect_err("by zero").to_string();
    assert_eq!(text, "elementwise, chunk 0: attempt to divide by zero");
    // More chunks, or more bytes, go to the workers.
    for (n, chunk) in [(5, 1), (40_000, -1)] {
        let x = Array1::<f64>::from_vec_chunked(vec![0.5; n], chunk);
        let sum = (&x + 1.0).lazy_sum();
        assert_eq!(sum.try_compute_on(&one).expect("larger")[()], 1.5 * n as f64);
        let plan = sum.try_explain_on(&one).expect("a plan");
        assert_eq!(plan.run().expect("it ran").bytes_put, 8 * n as u64);
    }
}

#[test]
fn results_above_the_limit_are_refused_before_anything_runs() {
    let session = embedded(1, 1, None);
    session.gather_bytes_max(1000);
    let text = Array1::<f64>::zeros(1000).try_compute_on(&session).expect_err("too large").to_string();
    assert!(text.contains("has 8.00 kB") && text.contains("1.00 kB") && text.contains("persist"), "{text}");
}

#[test]
fn held_arrays_are_fetched_from_their_session() {
    let (one, other) = (embedded(1, 1, None), embedded(2, 1, None));
    let _mine = crate::support::processes_are_mine();
    one.make_current();
    let numbers: Array2<i64> = tilework::random::in_chunks([7, 15]).integers((30, 40), 0..1000, 1);
    let want = numbers.try_compute_on(&one).expect("computed");
    let held = numbers.try_persist().expect("persisted");
    Session::close_current();
    assert_eq!(held.try_compute_on(&other).expect("another session"), want);
    let sums = (&held + &held.slice(s![.., ..;-1])).sum_axis(Axis(1));
    for session in [&one, &other] {
        let sums = sums.try_compute_on(session).expect("either session");
        assert_eq!(sums, want.sum_axis(Axis(1)) * 2);
    }
    let plan = sums.try_explain_on(&other).expect("a plan");
    assert!(plan.run().is_some_and(|run| run.bytes_put >= 8 * 30 * 40), "{plan}");
}

#[test]
fn what_a_lost_worker_held_is_made_again_for_another_session() {
    let _mine = crate::support::processes_are_mine();
    let others = workers_of_this_process("worker-1");
    let first = Session::processes(2).expect("processes");
    // The client has what the chunks are made of, and fetches as many at once as it can.
    let n = 64 * rayon::current_num_threads();
    let numbers = Array1::<u64>::from_vec_chunked((0..n as u64).collect(), 4);
    let held = numbers.mapv(|x| x * x).try_persist().expect("persisted");
    let mut victims = workers_of_this_process("worker-1");
    victims.retain(|pid| !others.contains(pid));
    assert_eq!(victims.len(), 1, "one worker of that name");
    // SAFETY: plain system call on a process that this test started.
    assert_eq!(unsafe { libc::kill(victims[0] as i32, libc::SIGKILL) }, 0);
    let got = held.try_compute_on(&embedded(4, 4, None)).expect("the lost chunks again");
    assert_eq!(got, ndarray::Array1::from_iter((0..n as u64).map(|x| x * x)));
    drop((held, first));
    Session::close_current();
}

#[test]
fn an_array_made_by_workers_outlasts_their_session() {
    let _mine = crate::support::processes_are_mine();
    let n = 1 << 18;
    let made = || {
        let a = Array1::<u64>::from_shape_fn(n, |i| (i as u64 * 7) % 1001);
        assert!(a.is_lazy(), "the workers have it");
        a
    };
    let want = ndarray::Array1::from_shape_fn(n, |i| (i as u64 * 7) % 1001);
    let all = || ["scheduler", "worker"].map(|role| children_with(&format!("TILEWORK_ROLE={role}"))).concat();
    let others = all();
    let first = Session::processes(2).expect("processes");
    let mut of_first = all();
    of_first.retain(|pid| !others.contains(pid));
    let (a, b, c) = (made(), made(), made());
    drop(first);
    // The next session reads it where it is.
    let next = embedded(1, 1, None);
    next.make_current();
    assert_eq!(a.sum(), want.sum());
    assert_eq!((&a + &made()).sum(), 2 * want.sum());
    let last = Session::processes(2).expect("processes");
    assert_eq!((&a - &a).sum(), 0);
    drop(last);
    Session::close_current();
    assert_eq!(b.into_ndarray(), want);
    // What nobody has any more is missed in words.
    drop(a);
    assert_eq!(of_first.len(), 3, "one session was started");
    for pid in of_first {
        // SAFETY: plain system call on a process that this test started.
        assert_eq!(unsafe { libc::kill(pid as i32, libc::SIGKILL) }, 0);
        while !is_dead(pid) {
            std::thread::yield_now();
        }
    }
    let text = c.try_compute_on(&next).expect_err("no worker has it").to_string();
    assert!(text.contains("another session") && text.contains("into_ndarray"), "{text}");
}

fn connection_error(change: impl FnOnce(&mut String), mode: u32) -> ClusterError {
    let file = tilework_cluster::connection::ConnectionFile::create(vec!["127.0.0.1:1".into()], None, 0);
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("connection.json");
    file.expect("an identity").write(&path).expect("written");
    let mut text = std::fs::read_to_string(&path).expect("read");
    change(&mut text);
    std::fs::File::create(&path).and_then(|mut f| f.write_all(text.as_bytes())).expect("changed");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("mode");
    kind(Session::connect(&path).expect_err("no cluster"))
}

#[track_caller]
fn kind(error: Error) -> ClusterError {
    error.cluster().cloned().unwrap_or_else(|| panic!("it is about the cluster: {error}"))
}

#[test]
fn connecting_says_what_is_wrong() {
    let in_file = |error: ClusterError| match error {
        ClusterError::ConnectionFile(text) => text,
        other => panic!("it is the file's: {other}"),
    };
    let text = in_file(kind(Session::connect(PathBuf::from("no/such/file.json")).expect_err("missing")));
    assert!(text.contains("no/such/file.json"), "{text}");
    let text = in_file(connection_error(|_| {}, 0o644));
    assert!(text.contains("644") && text.contains("chmod 600"), "{text}");
    let text = in_file(connection_error(|t| t.truncate(40), 0o600));
    assert!(text.contains("connection.json"), "{text}");
    // It gives up by itself, and says where it looked and how long.
    let nobody = connection_error(|_| {}, 0o600);
    assert!(matches!(&nobody, ClusterError::Unreachable(text) if text.contains("127.0.0.1:1")), "{nobody}");
}

#[test]
fn tags_that_are_none_are_a_mistake_before_anything_starts() {
    let wrong = Session::processes_with_tags(&["gpu", "two words"]).expect_err("no list of tags");
    assert!(matches!(&wrong, Error::Setting { got, .. } if got == "\"two words\""), "{wrong}");
    let text = wrong.to_string();
    assert!(text.contains("expected a list as in gpu,big: up to 64 letters"), "{text}");
}

#[test]
fn what_is_small_waits_for_no_other_thread() {
    let session = embedded(1, 1, None);
    let (ended, wait) =
        (std::sync::Mutex::new(()), std::sync::Barrier::new(rayon::current_num_threads() + 1));
    let busy = ended.lock().expect("nobody panicked");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            rayon::broadcast(|_| {
                wait.wait();
                drop(ended.lock());
            });
        });
        wait.wait();
        // All of rayon's threads wait for this one, which makes what has many parts.
        let wide = Array2::<u8>::in_chunks(-1).ones((3, 9000));
        let sums = wide.sum_axis(Axis(0)).try_compute_on(&session).expect("sums");
        let (a, b) = (Array2::<u8>::in_chunks(-1).ones((600, 9)), Array2::<u8>::in_chunks(-1).ones((9, 40)));
        let product = a.dot(&b).try_compute_on(&session).expect("a product");
        assert_eq!((sums[0], product[[599, 39]]), (3, 9));
        drop(busy);
    });
}

#[test]
fn a_chunk_that_nobody_needs_is_not_made() {
    let session = embedded(1, 1, None);
    let end = 5;
    let half = move |i: usize| if i < end { i as f64 } else { panic!("nobody asked for {i}") };
    let a = Array1::<f64>::in_chunks(5).from_shape_fn(10, half);
    let first = a.slice(s![..5]).lazy_sum();
    assert_eq!(first.try_compute_on(&session).expect("the first chunk alone")[()], 10.0);
}

#[test]
fn arrays_are_computed_on_all_of_rayons_threads_at_once() {
    use ndarray::parallel::prelude::*;
    let session = Session::embedded_with(&EmbeddedOptions::default()).expect("embedded");
    let n = 4 * rayon::current_num_threads();
    let sum = |i: usize| {
        let a = Array1::from_vec_chunked(vec![i as u64; 20], 5);
        (&a + 1).try_compute_on(&session).expect("computed").sum()
    };
    let sums: Vec<u64> = (0..n).into_par_iter().map(sum).collect();
    assert_eq!(sums, (0..n).map(|i| 20 * (i as u64 + 1)).collect::<Vec<_>>());
}

//! Own tasks end to end, on threads and on processes: their values, their order, what goes wrong, and what is left.

use crate::sessions::children_with;
use crate::support::processes_are_mine;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::future::IntoFuture;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use tilework::{EmbeddedOptions, Error, Future, FutureError, Session, When, as_completed, gather, wait};

pub(crate) fn embedded(workers: usize, threads: usize) -> Session {
    let options =
        EmbeddedOptions { workers, threads_per_worker: Some(threads), memory_bytes_per_worker: None };
    Session::embedded_with(&options).expect("an embedded session")
}

/// Does the same on threads and on processes.
pub(crate) fn on_each(f: impl Fn(&Session)) {
    f(&embedded(2, 2));
    let _mine = processes_are_mine();
    let session = Session::processes(2).expect("processes");
    f(&session);
    drop(session);
    Session::close_current();
}

#[derive(Clone, Serialize, Deserialize, PartialEq, Debug)]
struct Part {
    name: String,
    of: BTreeMap<u8, Option<f64>>,
}

fn part(name: String, k: u8) -> Part {
    Part { name, of: BTreeMap::from([(k, Some(f64::from(k) / 4.0)), (0, None)]) }
}

fn add(a: i64, b: i64) -> i64 {
    a + b
}

fn total(all: Vec<i64>) -> i64 {
    all.iter().sum()
}

#[test]
fn a_call_gives_its_value() {
    on_each(|session| {
        let made = session.submit(part, ("a".to_owned(), 3)).unwrap();
        assert_eq!(made.result().unwrap(), part("a".to_owned(), 3));
        // Again, and by another handle.
        assert_eq!(made.clone().result().unwrap(), made.result().unwrap());
        assert!(made.is_done());
        assert_eq!(made.try_result().expect("it is done").unwrap(), part("a".to_owned(), 3));
        let six =
            |a: u8, b: char, c: bool, d: f32, e: (), f: Option<i8>| format!("{a} {b} {c} {d} {e:?} {f:?}");
        let text = session.submit(six, (1, 'x', true, 0.5, (), None)).unwrap();
        assert_eq!(text.result().unwrap(), "1 x true 0.5 () None");
        let nothing = session.submit(|_: u8| (), (1,)).unwrap();
        nothing.result().unwrap();
    });
}

#[test]
fn calls_depend_on_each_other_within_a_batch_and_across_batches() {
    on_each(|session| {
        // A diamond whose parts are submitted together.
        let top = session.submit(add, (1, 2)).unwrap();
        let left = session.submit(add, (&top, 10)).unwrap();
        let right = session.submit(add, (20, &top)).unwrap();
        let bottom = session.submit(add, (&left, &right)).unwrap();
        assert_eq!(bottom.result().unwrap(), 36);
        // And one on each of them, now that they are there; the same twice.
        let sum = session.submit(total, (vec![top.clone(), left, right, bottom.clone()],)).unwrap();
        assert_eq!(sum.result().unwrap(), 3 + 13 + 23 + 36);
        assert_eq!(session.submit(add, (&bottom, &bottom)).unwrap().result().unwrap(), 72);
        // A chain, of which only the end is kept.
        let mut end = top;
        for _ in 0..50 {
            end = session.submit(add, (&end, 1)).unwrap();
        }
        assert_eq!(end.result().unwrap(), 53);
        // Sums of two at a time, by a `map` over futures.
        let mut sums = session.map(|x: i64| x, 0..64).unwrap();
        while let [_, _, ..] = sums[..] {
            let pairs = sums.chunks(2).map(|pair| session.submit(add, (&pair[0], &pair[1])).unwrap());
            sums = pairs.collect();
        }
        assert_eq!(sums[0].result().unwrap(), 63 * 32);
        let parts = session.map(|x: i64| 2 * x, &[sums[0].clone(), end]).unwrap();
        assert_eq!(gather(parts).unwrap(), [63 * 64, 106]);
        assert_eq!(session.submit(total, (Vec::<Future<i64>>::new(),)).unwrap().result().unwrap(), 0);
    });
}

#[test]
fn ten_thousand_calls_are_one_batch() {
    on_each(|session| {
        let before = session.n_tasks_done();
        let squares = session.map(|n: u64| n * n, 0..10_000).unwrap();
        let got = gather(&squares).unwrap();
        assert!(got.iter().zip(0..).all(|(&square, n): (_, u64)| square == n * n));
        assert!(session.map(|n: u64| n, Vec::<u64>::new()).unwrap().is_empty());
        drop(squares);
        while session.n_tasks_done() < before + 10_000 {
            std::thread::yield_now();
        }
    });
}

#[test]
fn one_value_beside_the_items_is_shared() {
    on_each(|session| {
        let table: Vec<i64> = (0..1000).map(|i| 3 * i).collect();
        let at = |i: usize, table: &Vec<i64>| table[i];
        let got = gather(session.map_with(at, table.clone(), [7, 0, 999]).unwrap()).unwrap();
        assert_eq!(got, [21, 0, 2997]);
        let shared = session.scatter(table).unwrap();
        assert_eq!(gather(session.map_with(at, &shared, [1, 2]).unwrap()).unwrap(), [3, 6]);
        let small = session.map_with(|i: i64, k: &i64| i * k, 5, 0..3).unwrap();
        assert_eq!(gather(small).unwrap(), [0, 5, 10]);
        let parts = session.map(|i: i64| i, 0..10).unwrap();
        let of_many = session.map_with(|i: usize, all: &Vec<i64>| all[i], &parts, [9, 3]).unwrap();
        assert_eq!(gather(of_many).unwrap(), [9, 3]);
    });
}

static TABLES_READ: AtomicUsize = AtomicUsize::new(0);

#[derive(Serialize)]
struct Table(Vec<u32>);

impl<'de> Deserialize<'de> for Table {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Table, D::Error> {
        TABLES_READ.fetch_add(1, Ordering::Relaxed);
        Vec::deserialize(deserializer).map(Table)
    }
}

#[test]
fn the_value_beside_the_items_is_read_once_for_all_calls() {
    let session = embedded(1, 1);
    let at = |i: usize, table: &Table| table.0[i];
    let got = gather(session.map_with(at, Table((0..1000).collect()), 0..1000).unwrap()).unwrap();
    assert!(got.into_iter().eq(0..1000));
    // Once more where the calls pause for seconds, as on a machine that does something else.
    let n_read = TABLES_READ.load(Ordering::Relaxed);
    assert!((1..=10).contains(&n_read), "read {n_read} times for 1000 calls");
}

#[test]
fn large_values_go_by_themselves() {
    on_each(|session| {
        let large: String = ('a'..='z').cycle().take(10_000_000).collect();
        let back = session.submit(|text: String| text, (large.clone(),)).unwrap();
        let count = |text: String| text.bytes().filter(|&b| b == b'c').count();
        let counted = session.submit(count, (&back,)).unwrap();
        assert_eq!(counted.result().unwrap(), count(large.clone()));
        assert!(back.result().unwrap() == large);
        let cut = |i: usize| large[3_000_000 * i..large.len().min(3_000_000 * (i + 1))].to_owned();
        let parts = session.scatter_all((0..4).map(cut)).unwrap();
        let lens = session.map(|text: String| text.len(), &parts).unwrap();
        assert_eq!(gather(lens).unwrap(), [3_000_000, 3_000_000, 3_000_000, 1_000_000]);
        assert!(parts[3].result().unwrap() == large[9_000_000..]);
    });
}

/// Ends when the file is there.
fn until_there(path: String) -> String {
    while !std::path::Path::new(&path).exists() {
        std::thread::sleep(Duration::from_millis(1));
    }
    path
}

#[test]
fn futures_complete_one_by_one() {
    // Threads enough for those that wait.
    let session = embedded(1, 4);
    let dir = tempfile::tempdir().unwrap();
    let path = |i: usize| dir.path().join(i.to_string()).to_str().unwrap().to_owned();
    let waiting = session.map(until_there, [path(0), path(1)]).unwrap();
    let quick = session.submit(add, (1, 1)).unwrap();
    assert_eq!(quick.result().unwrap(), 2);
    assert!(!waiting[0].is_done() && waiting[1].try_result().is_none());
    let none = wait(&waiting, When::Any, Some(Duration::from_millis(5))).unwrap();
    assert_eq!((none.done.len(), none.not_done.len()), (0, 2));
    let mut completed = as_completed(&waiting).unwrap();
    std::fs::write(path(1), "").unwrap();
    let (i, second) = completed.next().unwrap();
    assert_eq!((i, second.result().unwrap()), (1, path(1)));
    let any = wait(&waiting, When::Any, None).unwrap();
    assert_eq!(any.done[0].result().unwrap(), path(1));
    assert_eq!(any.not_done.len(), 1);
    std::fs::write(path(0), "").unwrap();
    assert_eq!(completed.next().unwrap().0, 0);
    assert!(completed.next().is_none());
    let all = wait(waiting, When::All, None).unwrap();
    assert_eq!((all.done.len(), all.not_done.len()), (2, 0));
    assert!(wait(Vec::<Future<u8>>::new(), When::Any, None).unwrap().done.is_empty());
}

#[test]
fn every_future_completes_once() {
    on_each(|session| {
        let futures = session.map(|x: u64| x + 1, 0..50).unwrap();
        assert!(!wait(&futures, When::Any, None).unwrap().done.is_empty());
        let mut seen = vec![0; 50];
        for (i, future) in as_completed(&futures).unwrap() {
            assert_eq!(future.result().unwrap(), i as u64 + 1);
            seen[i] += 1;
        }
        assert_eq!(seen, [1; 50]);
        assert_eq!(wait(&futures, When::All, Some(Duration::ZERO)).unwrap().done.len(), 50);
    });
}

#[test]
fn what_nobody_asks_for_is_sent_all_the_same() {
    on_each(|session| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("made").to_str().unwrap().to_owned();
        let write = |path: String| std::fs::write(path, "made").map_err(|e| e.to_string());
        let _kept = session.try_submit(write, (path.clone(),)).unwrap();
        until_there(path);
    });
}

/// Runs a future on this thread, which sleeps until it is woken.
fn block_on<F: IntoFuture>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread, AtomicUsize);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.1.fetch_add(1, Ordering::Relaxed);
            self.0.unpark();
        }
    }
    let unpark = Arc::new(Unpark(std::thread::current(), AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&unpark));
    let mut future = pin!(future.into_future());
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}

#[test]
fn futures_are_awaited_by_any_executor() {
    on_each(|session| {
        let one = session.submit(add, (1, 2)).unwrap();
        let sum = async {
            let three = (&one).await?;
            let next = session.submit(add, (&one, three))?;
            tilework::Result::Ok(next.await? + one.await?)
        };
        assert_eq!(block_on(sum).unwrap(), 9);
        let failed = session.submit(|x: i64| 1 / x, (0,)).unwrap();
        assert!(block_on(failed).unwrap_err().to_string().contains("divide by zero"));
    });
}

fn odd_ones_fail(x: i64) -> Result<i64, String> {
    if x % 2 == 0 { Ok(x) } else { Err(format!("{x} is odd")) }
}

#[test]
fn a_call_that_fails_fails_alone_with_those_that_read_it() {
    on_each(|session| {
        let all = session.try_map(odd_ones_fail, 0..6).unwrap();
        let more = session.map(|x: i64| 10 * x, &all).unwrap();
        for (i, (first, then)) in all.iter().zip(&more).enumerate() {
            if i % 2 == 0 {
                assert_eq!((first.result().unwrap(), then.result().unwrap()), (i as i64, 10 * i as i64));
            } else {
                let text = first.result().unwrap_err().to_string();
                let expected = format!("odd_ones_fail: {i} is odd");
                assert!(
                    text.starts_with(&format!("call {i} of its batch")) && text.ends_with(&expected),
                    "{text}"
                );
                assert!(then.result().unwrap_err().to_string().ends_with(&expected));
                assert!(first.is_done());
            }
        }
        assert!(gather(&all).unwrap_err().to_string().contains("is odd"));
        assert_eq!(wait(&all, When::All, None).unwrap().done.len(), 6);
        // Within one program, too.
        let failed = session.try_submit(odd_ones_fail, (7,)).unwrap();
        let reads = session.submit(add, (&failed, 1)).unwrap();
        let good = session.submit(add, (1, 1)).unwrap();
        assert!(reads.result().unwrap_err().to_string().contains("7 is odd"));
        assert_eq!(good.result().unwrap(), 2);
    });
}

#[test]
fn very_many_that_fail_each_for_its_own_reason_end_nothing_else() {
    on_each(|session| {
        let calm = session.submit(add, (40, 2)).unwrap();
        let all = session.try_map(odd_ones_fail, 0..6_001).unwrap();
        for (x, got) in (0..).zip(&all) {
            match got.result() {
                Ok(even) => assert_eq!((even, x % 2), (x, 0)),
                Err(error) => assert!(error.to_string().ends_with(&format!("{x} is odd")), "{error}"),
            }
        }
        assert_eq!(calm.result().unwrap(), 42);
    });
}

#[test]
fn a_panic_says_which_function_and_which_line() {
    on_each(|session| {
        let line = line!() + 1;
        let thirteen = |x: i64| if x == 13 { panic!("not {x}") } else { x };
        let got = session.map(thirteen, [12, 13]).unwrap();
        assert_eq!(got[0].result().unwrap(), 12);
        let error = got[1].result().unwrap_err();
        assert!(matches!(&error, Error::Future(FutureError::Failed { call: 1, .. })), "{error}");
        let text = error.to_string();
        assert!(text.contains("panic in the function") && text.contains("a_panic_says_which"), "{text}");
        assert!(text.contains("not 13") && text.contains(&format!("futures.rs:{line}:")), "{text}");
    });
}

#[derive(Debug)]
struct Odd;

impl Serialize for Odd {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("it is odd"))
    }
}

impl<'de> Deserialize<'de> for Odd {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Odd, D::Error> {
        u8::deserialize(deserializer).map(|_| Odd)
    }
}

/// Is written as a number, and is read as none.
#[derive(Debug)]
struct OneWay;

impl Serialize for OneWay {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(1)
    }
}

impl<'de> Deserialize<'de> for OneWay {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<OneWay, D::Error> {
        Err(serde::de::Error::custom("there is no way back"))
    }
}

#[test]
fn mistakes_are_told_at_once_or_as_the_task_s() {
    let (session, other) = (embedded(1, 2), embedded(1, 1));
    let text = |error: Error| error.to_string();
    let k = 3;
    let captures = session.submit(move |x: i64| x * k, (1,)).unwrap_err();
    assert!(matches!(&captures, Error::Function(_)), "{captures}");
    assert!(text(captures).contains("captures 8 bytes"));
    assert!(matches!(session.map(move |x: i64| x * k, [1]), Err(Error::Function(_))));
    let odd = session.submit(|a: i64, _: Odd| a, (1, Odd)).unwrap_err();
    assert_eq!(text(odd), "argument 2 cannot be written: it is odd");
    assert!(text(session.scatter(Odd).unwrap_err()).contains("Odd, cannot be written: it is odd"));
    let result = session.submit(|_: u8| Odd, (1,)).unwrap().result().unwrap_err();
    assert!(text(result).ends_with("Odd, cannot be written: it is odd"));
    let argument = session.submit(|_: OneWay| 1, (OneWay,)).unwrap().result().unwrap_err();
    assert!(text(argument).contains("argument 1 cannot be read as"));
    let back = session.submit(|_: u8| OneWay, (1,)).unwrap().result().unwrap_err();
    assert!(matches!(&back, Error::Future(FutureError::Deserialise { .. })), "{back}");
    let theirs = other.submit(add, (1, 2)).unwrap();
    let mixed = session.submit(add, (&theirs, 1)).unwrap_err();
    assert!(matches!(mixed, Error::Future(FutureError::OtherSession)), "{mixed}");
    assert!(matches!(session.map(|x: i64| x, [&theirs]), Err(Error::Future(FutureError::OtherSession))));
    assert_eq!(theirs.result().unwrap(), 3, "on its own session");
}

#[test]
fn a_cancelled_future_gives_nothing() {
    // Threads enough for the one that waits.
    let session = embedded(1, 4);
    let cancelled = |error: Error| matches!(error, Error::Future(FutureError::Cancelled));
    // Before it was sent.
    let future = session.submit(add, (1, 2)).unwrap();
    future.cancel();
    assert!(cancelled(future.result().unwrap_err()) && future.is_done());
    assert!(cancelled(session.submit(add, (&future, 2)).unwrap_err()));
    // While it runs; whoever waits is told.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("there").to_str().unwrap().to_owned();
    let running = session.submit(until_there, (path.clone(),)).unwrap();
    let sent = session.submit(add, (1, 2)).unwrap();
    assert_eq!(sent.result().unwrap(), 3);
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| running.result().unwrap_err());
        running.cancel();
        assert!(cancelled(waits.join().unwrap()));
    });
    std::fs::write(path, "").unwrap();
    // When it is done, and what has read it stays.
    let then = session.submit(add, (&sent, 1)).unwrap();
    sent.cancel();
    assert!(cancelled(gather([&sent]).unwrap_err()));
    assert_eq!(then.result().expect("nothing fails within the task"), 4);
}

/// Submits tasks and waits for them, as a task.
fn nested(n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let parts =
        [n - 1, n - 2].map(|n| tilework::submit(nested, (n,)).expect("nothing fails within the task"));
    let mapped = gather(tilework::map(|x: u64| x, &parts).expect("nothing fails within the task"))
        .expect("nothing fails within the task");
    let put = tilework::scatter(mapped).expect("nothing fails within the task");
    let session = Session::started();
    assert!(as_completed(&parts).expect("nothing fails within the task").count() == 2);
    let sum = |all: Vec<u64>| all.iter().sum::<u64>();
    match session {
        Some(session) => session
            .submit(sum, (put,))
            .expect("nothing fails within the task")
            .result()
            .expect("nothing fails within the task"),
        None => tilework::submit(sum, (put,))
            .expect("nothing fails within the task")
            .result()
            .expect("nothing fails within the task"),
    }
}

#[test]
fn tasks_submit_tasks_and_compute_arrays() {
    on_each(|session| {
        let numbers = session.map(nested, 0..12).unwrap();
        assert_eq!(gather(numbers).unwrap(), [0, 1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89]);
        let sums = session.map(|n: usize| tilework::Array1::<i64>::in_chunks(7).ones(n).sum(), [100, 50]);
        assert_eq!(gather(sums.unwrap()).unwrap(), [100, 50]);
        let failed =
            session.submit(|n: i64| tilework::submit(|x: i64| 1 / x, (n,)).unwrap().result().unwrap(), (0,));
        let text = failed.unwrap().result().unwrap_err().to_string();
        assert!(text.contains("divide by zero"), "{text}");
    });
}

/// Waits for a future that its session is to make on the very thread that runs this.
fn waits_for_what_is_outside(_: u8) -> String {
    use std::sync::OnceLock;
    static OUTSIDE: OnceLock<Future<i64>> = OnceLock::new();
    if let Some(future) = OUTSIDE.get() {
        return future.result().expect_err("nobody waits within a task").to_string();
    }
    let session = embedded(1, 1);
    OUTSIDE.get_or_init(|| session.submit(add, (1, 2)).expect("a task is submitted"));
    let future = session.submit(waits_for_what_is_outside, (1,)).expect("a task is submitted");
    future.result().expect("it gives the error's text")
}

#[test]
fn a_task_that_waits_for_what_is_outside_is_told_so() {
    assert!(waits_for_what_is_outside(0).contains("must not wait for a future"));
}

/// The processes of this name that this process has started since.
pub(crate) fn started_since(name: &str, before: &[u32]) -> Vec<u32> {
    let mut now = children_with(&format!("TILEWORK_ROLE_NAME={name}"));
    now.retain(|pid| !before.contains(pid));
    now
}

#[test]
fn a_worker_that_is_killed_costs_nothing_but_time() {
    let _mine = processes_are_mine();
    let before = children_with("TILEWORK_ROLE_NAME=worker-1");
    let session = Session::processes(2).expect("processes");
    let parts = session.scatter_all((0..20u64).map(|i| vec![i; 1000])).unwrap();
    let slow = |part: Vec<u64>| {
        std::thread::sleep(Duration::from_millis(2));
        part.iter().sum::<u64>()
    };
    let repeated: Vec<_> = (0..200).map(|i| parts[i % 20].clone()).collect();
    let sums = session.map(slow, &repeated).unwrap();
    let then = session.map(|x: u64| x + 1, &sums).unwrap();
    assert!(!wait(&sums, When::Any, None).unwrap().done.is_empty());
    let victims = started_since("worker-1", &before);
    assert_eq!(victims.len(), 1, "one worker of that name");
    // SAFETY: plain system call on a process that this test started.
    assert_eq!(unsafe { libc::kill(victims[0] as i32, libc::SIGKILL) }, 0);
    let want: Vec<u64> = (0..200).map(|i| i % 20 * 1000).collect();
    assert_eq!(gather(&sums).unwrap(), want);
    assert!(gather(&then).unwrap().iter().zip(&want).all(|(then, sum)| *then == sum + 1));
    assert!(gather(&parts).unwrap().iter().zip(0..).all(|(part, i)| *part == vec![i; 1000]));
    drop((parts, sums, then, session));
    Session::close_current();
}

#[test]
fn a_worker_that_is_killed_loses_no_argument_on_which_nobody_has_a_handle() {
    let _mine = processes_are_mine();
    let before = [0, 1].map(|n| children_with(&format!("TILEWORK_ROLE_NAME=worker-{n}")));
    let session = Session::processes(2).expect("processes");
    let slow = |i: u64, table: &Vec<u64>| {
        std::thread::sleep(Duration::from_millis(2));
        table[i as usize] + i
    };
    let table: Vec<u64> = (0..200_000).map(|i| i * i).collect();
    let looked_up = session.map_with(slow, table.clone(), 0..300).unwrap();
    let scattered = session.scatter(table.clone()).unwrap();
    let last = session.submit(|table: Vec<u64>| table[table.len() - 1], (&scattered,)).unwrap();
    drop(scattered);
    assert!(!wait(&looked_up, When::Any, None).unwrap().done.is_empty());
    // One after the other: whichever has the table.
    for (n, before) in [0, 1].into_iter().zip(&before) {
        let victims = started_since(&format!("worker-{n}"), before);
        // SAFETY: plain system call on a process that this test started.
        assert_eq!(unsafe { libc::kill(victims[0] as i32, libc::SIGKILL) }, 0);
    }
    let want: Vec<u64> = (0..300).map(|i| i * i + i).collect();
    assert_eq!(gather(&looked_up).unwrap(), want);
    assert_eq!(last.result().unwrap(), table[table.len() - 1]);
    drop((looked_up, last, session));
    Session::close_current();
}

#[test]
fn an_argument_does_not_wait_for_what_was_put_beside_it() {
    for session in [embedded(2, 2), embedded(1, 1)] {
        for _ in 0..20 {
            let parts = session.scatter_all([vec![1u8; 10], vec![2; 4 << 20]]).unwrap();
            let sum = session.submit(|part: Vec<u8>| part.len(), (&parts[0],)).unwrap();
            drop(parts);
            assert_eq!(sum.result().unwrap(), 10);
        }
    }
}

/// Where this is set, the test below is the program that it runs: without a disk.
const CHILD: &str = "TILEWORK_TEST_VALUES_RELEASED";

#[test]
fn values_without_handles_are_released() {
    if std::env::var_os(CHILD).is_none() {
        let mut child = std::process::Command::new(std::env::current_exe().expect("this program"));
        child.args(["--exact", "futures::values_without_handles_are_released"]);
        child.env(CHILD, "1").env("TILEWORK_SPILL_LIMIT", "0");
        let ended = child.output().expect("it starts");
        return assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stdout));
    }
    let (workers, memory) = (1, Some(64 << 20));
    let options = EmbeddedOptions { workers, threads_per_worker: Some(1), memory_bytes_per_worker: memory };
    let session = Session::embedded_with(&options).expect("an embedded session");
    let large = |c: char| String::from(c).repeat(4 << 20);
    let lens = |all: Vec<String>| all.iter().map(String::len).sum::<usize>();
    // Ten times what there is room for.
    for _ in 0..40 {
        let made = session.map(large, ['x'; 4]).unwrap();
        let len = session.submit(lens, (&made,)).unwrap();
        drop(made);
        assert_eq!(len.result().unwrap(), 16 << 20);
    }
    // Of each batch one value stays: the others go by themselves, dropped or given up.
    let mut kept = Vec::new();
    for batch in 0..6 {
        let mut made = session.map(large, ['y'; 4]).unwrap();
        assert!(wait(&made, When::All, None).unwrap().not_done.is_empty());
        made[1..].iter().filter(|_| batch % 2 == 0).for_each(Future::cancel);
        made.truncate(if batch % 2 == 0 { 4 } else { 1 });
        kept.push(made);
    }
    assert!(kept.iter().all(|made| made[0].result().unwrap().len() == 4 << 20));
    drop(kept);
    // If all of it is kept, there is none: so much for what would have been seen.
    let kept: Vec<_> = (0..40).map(|_| session.map(large, ['x'; 4]).unwrap()).collect();
    let full = kept.iter().flatten().find_map(|future| future.result().err()).expect("it is full");
    assert!(full.to_string().contains("the workers' memory is full"), "{full}");
}

#[test]
fn many_small_jobs_and_many_threads() {
    on_each(|session| {
        std::thread::scope(|scope| {
            for thread in 0..4i64 {
                scope.spawn(move || {
                    let mut sum = session.submit(add, (thread, 0)).unwrap();
                    for i in 0..50 {
                        sum = session.submit(add, (&sum, i)).unwrap();
                        if i % 7 == 0 {
                            assert_eq!(sum.result().unwrap(), thread + (0..=i).sum::<i64>());
                        }
                    }
                    assert_eq!(sum.result().unwrap(), thread + 49 * 25);
                });
            }
        });
        let one: Vec<Future<i64>> = (0..1000).map(|i| session.submit(add, (i, 1)).unwrap()).collect();
        assert_eq!(gather(one).unwrap().len(), 1000);
    });
}

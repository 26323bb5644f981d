//! What can be asked for when tasks are submitted, on threads and on processes.

use crate::futures::{embedded, on_each};
use crate::support::processes_are_mine;
use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tilework::{EmbeddedOptions, Error, FutureError, Session, gather};

/// A place that nothing is at.
fn place(dir: &tempfile::TempDir, name: &str) -> PathBuf {
    dir.path().join(name)
}

/// Notes at a place that somebody was there; how often that was done.
fn note(place: &Path) -> u64 {
    let mut file = OpenOptions::new().create(true).append(true).open(place).expect("a file of the test's");
    file.write_all(b"x").expect("a file of the test's");
    file.metadata().expect("a file of the test's").len()
}

/// Fails until it was called so many times with a place.
fn works_at_last((place, times): (PathBuf, u64)) -> Result<u64, String> {
    let n = note(&place);
    if n < times { Err(format!("call {n} is no good")) } else { Ok(n) }
}

fn panics_at_first((place, times): (PathBuf, u64)) -> u64 {
    works_at_last((place, times)).expect("it works")
}

/// Waits until something is at a place.
fn waits_for(place: PathBuf) {
    while !place.exists() {
        std::thread::yield_now();
    }
}

#[test]
fn what_fails_is_tried_again_as_often_as_is_asked_for() {
    on_each(|session| {
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = (place(&dir, "first"), place(&dir, "second"));
        let twice_more = session.tasks().retries(2);
        let works = twice_more.try_submit(works_at_last, ((first.clone(), 3),)).unwrap();
        assert_eq!(works.result().unwrap(), 3);
        // And once it works it is not called again.
        assert_eq!(note(&first), 4);
        let fails = twice_more.try_submit(works_at_last, ((second.clone(), 4),)).unwrap();
        let error = fails.result().unwrap_err();
        assert!(matches!(&error, Error::Future(FutureError::Failed { call: 0, .. })), "{error}");
        let text = error.to_string();
        assert!(text.contains("it failed in each of 3 attempts"), "{text}");
        for n in 1..=3 {
            assert!(text.contains(&format!("works_at_last: call {n} is no good")), "{text}");
        }
        assert_eq!(note(&second), 4);
        // What reads it fails with the same words, and nothing is asked for by default.
        let third = place(&dir, "third");
        let plain = session.try_submit(works_at_last, ((third.clone(), 2),)).unwrap();
        let reads = twice_more.submit(|n: u64| n, (&plain,)).unwrap();
        for text in [plain.result().unwrap_err().to_string(), reads.result().unwrap_err().to_string()] {
            assert!(
                text.ends_with("works_at_last: call 1 is no good") && !text.contains("attempts"),
                "{text}"
            );
        }
        assert_eq!(note(&third), 2);
    });
}

#[test]
fn panics_are_tried_again_too_one_by_one() {
    on_each(|session| {
        let dir = tempfile::tempdir().unwrap();
        let items: Vec<(PathBuf, u64)> = (0..20).map(|i| (place(&dir, &i.to_string()), 1 + i % 3)).collect();
        let made = session.tasks().retries(2).map(panics_at_first, items.clone()).unwrap();
        let want: Vec<u64> = items.iter().map(|(_, times)| *times).collect();
        assert_eq!(gather(made).unwrap(), want);
        items.iter().for_each(|(place, times)| assert_eq!(note(place), times + 1));
    });
}

#[test]
fn another_attempt_is_made_on_another_worker() {
    let _mine = processes_are_mine();
    let session = Session::processes(2).expect("processes");
    let whoami = |_: u8| Err::<(), _>(format!("not by {}", std::process::id()));
    let failed = session.tasks().retries(1).try_submit(whoami, (0,)).unwrap();
    let text = failed.result().unwrap_err().to_string();
    assert!(text.contains("on 'worker-0'") && text.contains("on 'worker-1'"), "{text}");
    drop((failed, session));
    Session::close_current();
}

#[test]
fn within_a_task_it_is_tried_again_at_once() {
    on_each(|session| {
        let dir = tempfile::tempdir().unwrap();
        let outer = |place: PathBuf| {
            let again =
                tilework::tasks().and_then(|tasks| tasks.retries(2).try_submit(works_at_last, ((place, 3),)));
            again.and_then(|made| made.result()).map_err(|e| e.to_string())
        };
        assert_eq!(session.try_submit(outer, (place(&dir, "a"),)).unwrap().result().unwrap(), 3);
    });
}

#[test]
fn what_runs_for_longer_than_it_may_fails_and_is_named() {
    on_each(|session| {
        let dir = tempfile::tempdir().unwrap();
        let (never, line) = (place(&dir, "never"), line!() + 2);
        let short = session.tasks().time_limit(Duration::from_millis(100));
        let late = short.submit(waits_for, (never.clone(),)).unwrap();
        let error = late.result().unwrap_err();
        assert!(matches!(&error, Error::Future(FutureError::Failed { call: 0, .. })), "{error}");
        let text = error.to_string();
        assert!(text.starts_with("call 0 of its batch failed"), "{text}");
        assert!(text.contains("waits_for") && text.contains(&format!("options.rs:{line}:")), "{text}");
        assert!(
            text.contains("has been running for") && text.ends_with("its time limit is 100.0 ms"),
            "{text}"
        );
        // Nothing else is concerned, and who ends in time has the value.
        let others =
            session.tasks().time_limit(Duration::from_secs(600)).map(|x: u64| x + 1, 0..100).unwrap();
        assert_eq!(gather(others).unwrap().len(), 100);
        std::fs::write(never, "").unwrap();
    });
}

#[test]
fn an_attempt_that_took_too_long_counts_and_another_may_be_in_time() {
    on_each(|session| {
        let dir = tempfile::tempdir().unwrap();
        let (counted, never) = (place(&dir, "counted"), place(&dir, "never"));
        let slow_at_first = |(counted, never): (PathBuf, PathBuf)| {
            let n = note(&counted);
            if n == 1 {
                waits_for(never);
            }
            n
        };
        // Many, for a busy machine may not even begin one in time.
        let tasks = session.tasks().time_limit(Duration::from_millis(100)).retries(50);
        let made = tasks.submit(slow_at_first, ((counted, never.clone()),)).unwrap();
        assert!(made.result().unwrap() >= 2);
        std::fs::write(never, "").unwrap();
    });
}

#[test]
fn attempts_that_never_end_come_to_an_end_all_the_same() {
    // On one worker: a second attempt waits for the first.
    let session = embedded(1, 2);
    let dir = tempfile::tempdir().unwrap();
    let never = place(&dir, "never");
    let tasks = session.tasks().retries(2).time_limit(Duration::from_millis(50));
    let text = tasks.submit(waits_for, (never.clone(),)).unwrap().result().unwrap_err().to_string();
    assert!(text.contains("it failed in each of 3 attempts"), "{text}");
    assert!(text.contains("for its last attempt, which does not stop"), "{text}");
    assert_eq!(session.submit(|x: u64| x, (5,)).unwrap().result().unwrap(), 5, "on the other thread");
    std::fs::write(never, "").unwrap();
}

#[test]
fn what_cannot_be_asked_for_is_told_at_once() {
    let session = embedded(1, 1);
    let error = session.tasks().time_limit(Duration::ZERO).submit(|x: u64| x, (1,)).unwrap_err();
    assert!(matches!(&error, Error::Future(FutureError::Asked { what: "time limit", .. })), "{error}");
    assert_eq!(error.to_string(), "time limit of a task: got 0ns, expected a microsecond or more");
}

/// The name of the worker process that calls this.
fn whoami(_: u64) -> String {
    std::env::var("TILEWORK_ROLE_NAME").expect("a worker process knows its name")
}

#[test]
fn tasks_go_to_the_workers_that_have_their_tags() {
    let _mine = processes_are_mine();
    let session = Session::processes_with_tags(&["gpu", "", "big, gpu"]).expect("processes");
    let (gpu, both) = (session.tasks().tag("gpu"), session.tasks().tag("gpu").tag("big"));
    let names = |futures| gather(futures).unwrap().into_iter().collect::<BTreeSet<String>>();
    let has_gpu = BTreeSet::from(["worker-0", "worker-2"].map(str::to_owned));
    assert!(names(gpu.map(whoami, 0..100).unwrap()).is_subset(&has_gpu));
    assert_eq!(names(both.map(whoami, 0..100).unwrap()), BTreeSet::from(["worker-2".to_owned()]));
    // One by one, by turns, with values from one to the other.
    let pair = |a: String, b: String| format!("{a} {b} {}", whoami(0));
    let plain: Vec<_> = (0..10).map(|i| session.submit(whoami, (i,)).unwrap()).collect();
    let big: Vec<_> = (0..10).map(|i| both.submit(whoami, (i,)).unwrap()).collect();
    let pairs = plain.iter().zip(&big).map(|(a, b)| both.submit(pair, (a, b)).unwrap());
    for text in gather(pairs.collect::<Vec<_>>()).unwrap() {
        assert!(text.ends_with(" worker-2 worker-2"), "{text}");
    }
    let error = session.tasks().tag("tpu").map(whoami, 0..2).unwrap_err();
    assert!(matches!(&error, Error::Future(FutureError::NoTag { .. })), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("has 'tpu'") && text.ends_with("there are workers with 'big' and 'gpu', with 'gpu'"),
        "{text}"
    );
    drop((plain, big, session));
    Session::close_current();
}

#[test]
fn a_task_waits_for_the_worker_with_its_tag_that_was_killed() {
    let _mine = processes_are_mine();
    let session = Session::processes_with_tags(&["", "gpu"]).expect("processes");
    let dir = tempfile::tempdir().unwrap();
    let (counted, tasks) = (place(&dir, "counted"), session.tasks().tag("gpu"));
    let ends_its_worker_once = |counted: PathBuf| {
        if note(&counted) == 1 {
            std::process::abort();
        }
        whoami(0)
    };
    assert_eq!(tasks.submit(ends_its_worker_once, (counted,)).unwrap().result().unwrap(), "worker-1");
    drop((tasks, session));
    Session::close_current();
}

#[test]
fn a_call_that_kills_is_told_from_those_beside_it() {
    let _mine = processes_are_mine();
    let session = Session::processes(2).expect("processes");
    let dies_at_5 = |n: u64| if n == 5 { std::process::abort() } else { n };
    let futures = session.map(dies_at_5, 0..10_u64).unwrap();
    let text = futures[5].result().unwrap_err().to_string();
    let function = "call 5 of its batch failed: it::options::a_call_that_kills_is_told_from_those_beside_it::{{closure}} \
                    (submitted at client/tests/it/options.rs:";
    let died = "): 3 workers died while they ran it; the last one: worker-";
    assert!(text.starts_with(function) && text.contains(died), "{text}");
    assert!(text.ends_with("(ended by signal 6: it aborted)"), "{text}");
    let others = futures.iter().enumerate().filter(|(n, _)| *n != 5).map(|(_, f)| f.result().unwrap());
    assert_eq!(others.collect::<Vec<_>>(), [0, 1, 2, 3, 4, 6, 7, 8, 9]);
    drop((futures, session));
    Session::close_current();
}

#[test]
fn a_tag_that_nobody_has_or_can_have_is_told_at_once() {
    let session = embedded(1, 1);
    let error = session.tasks().tag("gpu").submit(|x: u64| x, (1,)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no worker of this session has 'gpu', and no other will join it: its workers have no tags (`TILEWORK_TAGS` gives \
         them some)"
    );
    for tag in ["", "two words", "a,b", &"x".repeat(65)] {
        let error = session.tasks().tag(tag).submit(|x: u64| x, (1,)).unwrap_err();
        assert!(matches!(&error, Error::Future(FutureError::Asked { what: "tag", .. })), "{error}");
    }
    let many = (0..33).fold(session.tasks(), |tasks, i| tasks.tag(&i.to_string()));
    let error = many.submit(|x: u64| x, (1,)).unwrap_err();
    assert!(matches!(&error, Error::Future(FutureError::Asked { what: "tags", .. })), "{error}");
}

/// Tasks that run now, and the most that ran at once.
static RUNNING: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];

#[test]
fn no_more_tasks_run_at_once_than_there_is_memory_for() {
    let options =
        EmbeddedOptions { workers: 1, threads_per_worker: Some(4), memory_bytes_per_worker: Some(1 << 30) };
    let session = Session::embedded_with(&options).expect("an embedded session");
    let notes_how_many = |_: u64| {
        let [now, most] = &RUNNING;
        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        (0..1000).for_each(|_| std::thread::yield_now());
        now.fetch_sub(1, Ordering::SeqCst);
    };
    gather(session.tasks().memory(600 << 20).map(notes_how_many, 0..20).unwrap()).unwrap();
    assert_eq!(RUNNING[1].load(Ordering::SeqCst), 1);
    // What fits nowhere is told.
    let late = session.tasks().memory(2 << 30).submit(|x: u64| x, (1,)).unwrap();
    let text = late.result().unwrap_err().to_string();
    assert!(text.contains("2.15 GB") && text.contains("1.07 GB"), "{text}");
}

/// Is slow until the urgent task was there, and notes who it is; the urgent one is number 1000.
fn notes_its_turn((dir, number): (PathBuf, u32)) {
    let (urgent, begun) = (dir.join("urgent"), Instant::now());
    if number == 1000 {
        note(&urgent);
    }
    waits_for(dir.join("submitted"));
    while !urgent.exists() && begun.elapsed() < Duration::from_millis(20) {
        std::thread::yield_now();
    }
    let mut file = OpenOptions::new().create(true).append(true).open(dir.join("turns")).expect("a file");
    // In one piece: several may write at once.
    file.write_all(format!("{number}\n").as_bytes()).expect("a file of the test's");
}

/// The turns at which tasks came that were submitted with these priorities, one by one after 200 of priority 0.
fn turns(session: &Session, priorities: &[i32]) -> Vec<usize> {
    let dir = tempfile::tempdir().expect("a directory");
    let item = |number| (dir.path().to_owned(), number);
    let many = session.map(notes_its_turn, (0..200).map(item)).expect("they are submitted");
    let mut later = Vec::new();
    for (i, &priority) in (0..).zip(priorities) {
        let number = if priority == 10 { 1000 } else { 300 + i };
        let one = session
            .tasks()
            .priority(priority)
            .submit(notes_its_turn, (item(number),))
            .expect("it is submitted");
        // Whoever asks has it sent; all threads are busy.
        let _ = one.is_done();
        later.push((one, number));
    }
    note(&dir.path().join("submitted"));
    gather(&many).expect("they end");
    later.iter().for_each(|(one, _)| one.result().expect("it ends"));
    let turns = std::fs::read_to_string(dir.path().join("turns")).expect("a file of the test's");
    let turns: Vec<u32> = turns.lines().map(|line| line.parse().expect("a number")).collect();
    assert_eq!(turns.len(), 200 + priorities.len());
    let turn = |number: u32| turns.iter().position(|n| *n == number).expect("it had its turn");
    later.iter().map(|(_, number)| turn(*number)).collect()
}

#[test]
fn what_is_urgent_goes_before_what_was_submitted_earlier() {
    let check = |session: &Session| {
        let [low, high] = turns(session, &[-1, 10])[..] else { unreachable!("two turns") };
        assert!(high < 100, "it came after {high} others");
        assert!(low > 150, "it came after {low} others");
    };
    check(&embedded(1, 1));
    let _mine = processes_are_mine();
    let session = Session::processes(1).expect("processes");
    check(&session);
    drop(session);
    Session::close_current();
}

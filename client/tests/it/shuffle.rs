//! Shuffles end to end, on threads and on processes: what is merged, what goes wrong, and what a loss costs.

use crate::futures::{on_each, started_since};
use crate::sessions::children_with;
use crate::support::processes_are_mine;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tilework::{EmbeddedOptions, FutureError, Session, When, gather, part_of, wait};

type Counts = BTreeMap<String, u64>;

fn split_words(text: String, n_parts: usize) -> Vec<Counts> {
    let mut parts = vec![Counts::new(); n_parts];
    for word in text.split_whitespace() {
        *parts[part_of(word, n_parts)].entry(word.to_owned()).or_default() += 1;
    }
    parts
}

fn merge_words(parts: Vec<Counts>) -> Counts {
    let mut all = Counts::new();
    for (word, n) in parts.into_iter().flatten() {
        *all.entry(word).or_default() += n;
    }
    all
}

fn text(i: usize) -> String {
    (0..200).map(|k| format!("w{} ", (i * 31 + k * k * 7) % 97)).collect()
}

fn counted(n_texts: usize) -> Counts {
    merge_words((0..n_texts).flat_map(|i| split_words(text(i), 1)).collect())
}

/// Which item, and for which part: so that a block of another is not taken for it.
fn label(item: u64, n_parts: usize) -> Vec<(u64, usize, Vec<u8>)> {
    (0..n_parts).map(|part| (item, part, vec![item as u8; part * 37 % 101])).collect()
}

fn labels(parts: Vec<(u64, usize, Vec<u8>)>) -> Vec<(u64, usize, usize)> {
    parts.into_iter().map(|(item, part, bytes)| (item, part, bytes.len())).collect()
}

#[test]
fn every_part_is_merged_of_all_items_in_their_order() {
    on_each(|session| {
        for (n_items, n_parts) in [(1, 1), (3, 7), (40, 40), (9, 1), (1, 9)] {
            let merged = session.map_shuffle(label, 0..n_items, n_parts, labels).unwrap();
            assert_eq!(merged.len(), n_parts);
            let want =
                |part: usize| (0..n_items).map(|item| (item, part, part * 37 % 101)).collect::<Vec<_>>();
            let want: Vec<_> = (0..n_parts).map(want).collect();
            assert_eq!(gather(&merged).unwrap(), want, "{n_items} {n_parts}");
        }
        let merged = session.map_shuffle(split_words, (0..25).map(text), 8, merge_words).unwrap();
        let all: Counts = gather(&merged).unwrap().into_iter().flatten().collect();
        assert_eq!(all, counted(25));
        // Of nothing, there is nothing for each part.
        let none = session.map_shuffle(split_words, Vec::<String>::new(), 3, merge_words).unwrap();
        assert_eq!(gather(&none).unwrap(), vec![Counts::new(); 3]);
    });
}

#[test]
fn items_are_futures_or_large_and_blocks_are_large_or_empty() {
    on_each(|session| {
        let lens = session.map(|i: u64| i * 50_000, 0..6).unwrap();
        let cut = |len: u64, n: usize| (0..n).map(|part| vec![part as u8; (len as usize) * part]).collect();
        let sizes = |all: Vec<Vec<u8>>| all.iter().map(Vec::len).collect::<Vec<usize>>();
        let merged = session.map_shuffle(cut, &lens, 3, sizes).unwrap();
        drop(lens);
        let want = |part: usize| (0..6).map(|i| i * 50_000 * part).collect::<Vec<_>>();
        assert_eq!(gather(&merged).unwrap(), [want(0), want(1), want(2)]);
        // More than goes through the scheduler.
        let items = (0..5u8).map(|i| vec![i; 5 << 20]);
        let ends = |bytes: Vec<u8>, n: usize| vec![(bytes.len(), bytes[0]); n];
        let merged = session.map_shuffle(ends, items, 2, |all: Vec<(usize, u8)>| all).unwrap();
        let want: Vec<(usize, u8)> = (0..5).map(|i| (5 << 20, i)).collect();
        assert_eq!(gather(&merged).unwrap(), vec![want; 2]);
        // What is merged is split again.
        let first = session.map_shuffle(label, 0..4, 5, labels).unwrap();
        let by_item = |all: Vec<(u64, usize, usize)>, n: usize| {
            (0..n).map(|item| all.iter().filter(|l| l.0 == item as u64).map(|l| l.1).collect()).collect()
        };
        let second = session.map_shuffle(by_item, &first, 4, |all: Vec<Vec<usize>>| all.concat()).unwrap();
        assert_eq!(gather(&second).unwrap(), vec![vec![0, 1, 2, 3, 4]; 4]);
    });
}

#[test]
fn another_number_of_parts_is_an_error_that_names_the_function_and_the_line() {
    fn too_few(item: u64, n: usize) -> Vec<u64> {
        vec![item; n - usize::from(item == 2)]
    }
    on_each(|session| {
        let line = line!() + 1;
        let merged = session.map_shuffle(too_few, 0..5, 4, |all: Vec<u64>| all.len()).unwrap();
        for part in &merged {
            let error = part.result().unwrap_err().to_string();
            let names = error.contains("too_few") && error.contains(&format!("shuffle.rs:{line}:"));
            assert!(names && error.contains("call 2 of its batch"), "{error}");
            assert!(error.ends_with("it gave 3 parts, expected 4"), "{error}");
        }
    });
}

#[test]
fn what_fails_says_why_and_is_tried_again_where_that_is_asked_for() {
    static ATTEMPTS: AtomicU32 = AtomicU32::new(0);
    let session = Session::embedded().unwrap();
    let odd = |x: u64, n: usize| if x == 3 { Err("three is odd") } else { Ok(vec![x; n]) };
    let sum = |all: Vec<u64>| Ok::<_, String>(all.iter().sum::<u64>());
    let failed = session.try_map_shuffle(odd, 0..6, 3, sum).unwrap();
    for part in &failed {
        let error = part.result().unwrap_err().to_string();
        assert!(error.contains("call 3 of its batch") && error.ends_with("three is odd"), "{error}");
    }
    // One part fails, and the others do not.
    let none = |all: Vec<u64>| all.iter().position(|x| *x == 7).map_or(Ok(all.len()), |_| Err("a seven"));
    let of_four = |x: u64, n: usize| Ok::<_, String>((0..n as u64).map(|part| x + part).collect());
    let merged = session.try_map_shuffle(of_four, 0..4, 6, none).unwrap();
    let failed: Vec<bool> = merged.iter().map(|part| part.result().is_err()).collect();
    assert_eq!(failed, [false, false, false, false, true, true]);
    let flaky = |x: u64, n: usize| {
        assert!(x != 1 || ATTEMPTS.fetch_add(1, Ordering::Relaxed) > 0, "the first attempt");
        vec![x; n]
    };
    let add = |all: Vec<u64>| all.iter().sum::<u64>();
    let merged = session.tasks().retries(1).map_shuffle(flaky, 0..4, 2, add).unwrap();
    assert_eq!((gather(&merged).unwrap(), ATTEMPTS.load(Ordering::Relaxed)), (vec![6, 6], 2));
}

#[test]
fn what_cannot_be_asked_for_is_refused() {
    let session = Session::embedded().unwrap();
    let merged = |n_items: u64, n_parts| {
        let error = session.map_shuffle(label, 0..n_items, n_parts, labels).unwrap_err();
        match error {
            tilework::Error::Future(FutureError::Shuffle { what, got, .. }) => (what, got),
            other => panic!("{other}"),
        }
    };
    assert_eq!(merged(3, 0), ("number of parts", 0));
    assert_eq!(merged(3, 1 << 21), ("number of parts", 1 << 21));
    assert_eq!(merged((1 << 17) + 1, 1), ("number of items", (1 << 17) + 1));
    let by = 3u64;
    let captures = move |x: u64, n: usize| vec![x * by; n];
    assert!(session.map_shuffle(captures, 0..3, 2, |all: Vec<u64>| all.len()).is_err());
}

#[test]
fn a_shuffle_within_a_task_is_done_there() {
    let within = |n: u64| {
        let merged = tilework::map_shuffle(label, 0..n, 3, labels).unwrap();
        let bad = |x: u64, n: usize| vec![x; n + 1];
        let failed = tilework::map_shuffle(bad, 0..n, 3, |all: Vec<u64>| all.len()).unwrap();
        let error = failed[2].result().unwrap_err().to_string();
        assert!(error.contains("it gave 4 parts, expected 3"), "{error}");
        gather(&merged).unwrap().concat().len()
    };
    let session = Session::embedded().unwrap();
    assert_eq!(session.submit(within, (5,)).unwrap().result().unwrap(), 15);
}

#[test]
fn a_worker_that_is_killed_in_the_middle_changes_nothing() {
    let _mine = processes_are_mine();
    let before = children_with("TILEWORK_ROLE_NAME=worker-1");
    let session = Session::processes(3).expect("processes");
    let slow = |parts: Vec<(u64, usize, Vec<u8>)>| {
        std::thread::sleep(Duration::from_millis(5));
        labels(parts)
    };
    let merged = session.map_shuffle(label, 0..40, 40, slow).unwrap();
    // All items are split, and some parts are merged.
    assert!(!wait(&merged, When::Any, None).unwrap().done.is_empty());
    let victims = started_since("worker-1", &before);
    assert_eq!(victims.len(), 1, "one worker of that name");
    // SAFETY: plain system call on a process that this test started.
    assert_eq!(unsafe { libc::kill(victims[0] as i32, libc::SIGKILL) }, 0);
    let want = |part: usize| (0..40).map(|item| (item, part, part * 37 % 101)).collect::<Vec<_>>();
    assert_eq!(gather(&merged).unwrap(), (0..40).map(want).collect::<Vec<_>>());
    drop((merged, session));
    Session::close_current();
}

#[test]
fn a_tenth_of_the_memory_is_enough() {
    // 20 MB in 40 values of 40 parts; a part is in memory twice while it is merged.
    let cut = |item: u64, n: usize| (0..n as u64).map(|part| vec![(item * 7 + part) as u8; 12_500]).collect();
    let sum = |all: Vec<Vec<u8>>| {
        all.iter()
            .zip(1u64..)
            .map(|(block, i)| i * block.iter().map(|b| u64::from(*b)).sum::<u64>())
            .sum::<u64>()
    };
    let session = |workers: usize, memory_bytes_per_worker: Option<u64>| {
        let options = EmbeddedOptions { workers, threads_per_worker: Some(1), memory_bytes_per_worker };
        Session::embedded_with(&options).expect("a session")
    };
    let shuffled = |session: &Session| gather(session.map_shuffle(cut, 0..40, 40, sum).unwrap()).unwrap();
    let want = shuffled(&session(1, None));
    assert_eq!(shuffled(&session(1, Some(2_000_000))), want);
    assert_eq!(shuffled(&session(2, Some(2_000_000))), want);
}

//! Lists of what is asked for after each event.

use super::*;
use tilework_plan::{ChunkIdx, Holding, JobId, StageIdx, TaskKey, TaskRange, WorkerId};

const ONE: WorkerId = WorkerId(1);
const TWO: WorkerId = WorkerId(2);

fn holding(chunks: std::ops::Range<u64>, worker: WorkerId) -> Holding {
    Holding { chunks: TaskRange { job: JobId(1), stage: StageIdx(0), chunks }, worker }
}

fn located(holdings: Vec<Holding>) -> Event {
    Event::Located(vec![holdings])
}

struct Bench(Gather);

impl Bench {
    /// Eight chunks, two requests a worker.
    fn new() -> Bench {
        let limits = Limits { gets_per_worker_max: 2, ..Limits::default() };
        Bench(Gather::new(limits, &[8]))
    }

    fn handle(&mut self, now_us: u64, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        self.0.handle(now_us, event, &mut actions);
        self.0.check();
        actions
    }

    fn fail(&mut self, now_us: u64, get: u64) -> Vec<Action> {
        self.handle(now_us, Event::Failed { get: GetId(get), why: "refused".into() })
    }
}

fn get(get: u64, chunk: u64, from: WorkerId) -> Action {
    let key = TaskKey { job: JobId(1), stage: StageIdx(0), chunk: ChunkIdx(chunk) };
    Action::Get { get: GetId(get), output: 0, key, from }
}

#[test]
fn every_chunk_is_asked_for_once_and_then_all_is_complete() {
    let mut b = Bench::new();
    let first = b.handle(0, located(vec![holding(0..4, ONE), holding(4..8, TWO)]));
    assert_eq!(first, [get(0, 0, ONE), get(1, 1, ONE), get(2, 4, TWO), get(3, 5, TWO)]);
    assert_eq!(b.handle(1, Event::Got(GetId(2))), [get(4, 6, TWO)]);
    assert_eq!(b.handle(1, Event::Got(GetId(2))), []);
    assert_eq!(b.handle(1, Event::Got(GetId(3))), [get(5, 7, TWO)]);
    assert_eq!(b.handle(1, Event::Got(GetId(0))), [get(6, 2, ONE)]);
    assert_eq!(b.handle(1, Event::Got(GetId(1))), [get(7, 3, ONE)]);
    for id in 4..7 {
        assert_eq!(b.handle(2, Event::Got(GetId(id))), []);
    }
    assert_eq!(b.handle(3, Event::Got(GetId(7))), [Action::Complete]);
}

#[test]
fn one_attempt_tells_of_a_worker_that_fails_and_the_others_go_on() {
    let mut b = Bench::new();
    b.handle(0, located(vec![holding(0..6, ONE), holding(6..8, TWO)]));
    assert_eq!(b.fail(10, 0), []);
    assert_eq!(b.fail(20, 1), []);
    assert_eq!(b.handle(30, Event::Got(GetId(2))), []);
    let retry = b.0.next_wake_us().unwrap();
    assert_eq!(b.handle(retry, Event::Tick), [get(4, 1, ONE)]);
    assert_eq!(b.handle(retry + 1, Event::Got(GetId(4))), [get(5, 0, ONE), get(6, 2, ONE)]);
}

#[test]
fn what_the_scheduler_says_counts_at_once() {
    let mut b = Bench::new();
    b.handle(0, located(vec![holding(0..4, ONE), holding(4..8, TWO)]));
    assert_eq!(b.handle(1, Event::Lost(ONE)), [Action::Stop(GetId(0)), Action::Stop(GetId(1))]);
    assert_eq!(b.0.next_wake_us(), None);
    b.handle(2, Event::Got(GetId(2)));
    let again = b.handle(3, located(vec![holding(0..8, TWO)]));
    assert_eq!(again, []);
    assert_eq!(b.handle(4, Event::Got(GetId(3))), [get(5, 0, TWO)]);
    // The same without word of the loss, from a worker that says nothing.
    let mut b = Bench::new();
    b.handle(0, located(vec![holding(0..8, ONE)]));
    let again = b.handle(3, located(vec![holding(0..8, TWO)]));
    let stops = [Action::Stop(GetId(0)), Action::Stop(GetId(1))];
    assert_eq!(again, [&stops[..], &[get(2, 0, TWO), get(3, 1, TWO)]].concat());
}

#[test]
fn patience_ends_with_the_name_of_the_worker() {
    let mut b = Bench::new();
    b.handle(0, located(vec![holding(0..8, ONE)]));
    let (mut now, mut open, mut pauses) = (0, vec![0, 1], 0);
    loop {
        for id in std::mem::take(&mut open) {
            assert_eq!(b.fail(now, id), []);
        }
        now = b.0.next_wake_us().unwrap();
        pauses += 1;
        for action in b.handle(now, Event::Tick) {
            match action {
                Action::Get { get, .. } => open.push(get.0),
                Action::GiveUp { from, tried_us, why, .. } => {
                    assert_eq!((from, why.as_str()), (ONE, "refused"));
                    assert!(tried_us >= Limits::default().patience_us && pauses < 40, "{pauses}");
                    return;
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn one_chunk_of_many_can_be_asked_for() {
    let mut b = Bench(Gather::of_one(Limits::default(), (1, 5)));
    let outputs = vec![vec![holding(0..8, ONE)], vec![holding(0..5, ONE), holding(5..8, TWO)]];
    let asked = b.handle(0, Event::Located(outputs));
    assert!(matches!(&asked[..], [Action::Get { output: 1, key, from: TWO, .. }] if key.chunk.0 == 5));
    assert_eq!(b.handle(1, Event::Got(GetId(0))), [Action::Complete]);
}

#[test]
fn time_in_which_the_client_is_stopped_is_no_failure_of_a_worker() {
    let mut b = Bench::new();
    b.handle(0, located(vec![holding(0..8, ONE)]));
    b.fail(0, 0);
    b.fail(0, 1);
    let retry = b.0.next_wake_us().unwrap();
    assert_eq!(b.handle(retry, Event::Tick).len(), 1);
    // A request is under way, and so is the clock.
    assert_eq!(b.0.next_wake_us(), Some(retry + 1_000_000));
    let later = 3_600_000_000;
    assert_eq!(b.fail(later, 2), []);
    let retry = b.0.next_wake_us().unwrap();
    assert_eq!(b.handle(retry, Event::Tick).len(), 1);
    assert_eq!(b.handle(retry + 1, Event::Got(GetId(3))).len(), 2);
}

fn wanted(chunk: u64, from: WorkerId) -> Event {
    let key = TaskKey { job: JobId(1), stage: StageIdx(0), chunk: ChunkIdx(chunk) };
    Event::Wanted { output: 0, key, from }
}

/// Two requests a worker, for chunks that are wanted one by one.
fn of_wanted() -> Bench {
    Bench(Gather::of_wanted(Limits { gets_per_worker_max: 2, ..Limits::default() }))
}

#[test]
fn chunks_that_are_wanted_one_by_one_are_asked_for_as_often_as_they_are_wanted() {
    let mut b = of_wanted();
    assert_eq!(b.handle(0, Event::Tick), []);
    assert_eq!(b.handle(0, wanted(3, ONE)), [get(0, 3, ONE)]);
    assert_eq!(b.handle(1, wanted(3, ONE)), [], "it is asked for");
    assert_eq!(b.handle(1, wanted(4, ONE)), [get(1, 4, ONE)]);
    assert_eq!(b.handle(1, wanted(5, ONE)), []);
    assert_eq!(b.handle(1, wanted(5, ONE)), [], "it will be");
    assert_eq!(b.handle(2, Event::Got(GetId(0))), [get(2, 5, ONE)]);
    assert_eq!(b.handle(2, wanted(3, ONE)), [], "again, when there is room");
    assert_eq!(
        b.handle(3, Event::Unwanted { output: 0, chunk: 4 }),
        [Action::Stop(GetId(1)), get(3, 3, ONE)]
    );
    assert_eq!(b.handle(4, Event::Got(GetId(2))), []);
    assert_eq!(b.handle(4, Event::Got(GetId(3))), []);
    assert_eq!(b.handle(5, Event::Unwanted { output: 0, chunk: 7 }), []);
    assert_eq!(b.handle(5, wanted(7, TWO)), [get(4, 7, TWO)]);
}

#[test]
fn a_wanted_chunk_that_is_lost_is_asked_of_its_next_holder() {
    let mut b = of_wanted();
    (0..3).for_each(|chunk| drop(b.handle(0, wanted(chunk, ONE))));
    let stopped = b.handle(1, Event::Lost(ONE));
    assert_eq!(stopped, [Action::Stop(GetId(0)), Action::Stop(GetId(1))]);
    assert_eq!(b.handle(2, wanted(1, TWO)), [get(2, 1, TWO)]);
    // Without a word of the loss, too.
    let elsewhere = WorkerId(3);
    assert_eq!(b.handle(3, wanted(1, elsewhere)), [Action::Stop(GetId(2)), get(3, 1, elsewhere)]);
    assert_eq!(b.handle(3, wanted(2, TWO)), [get(4, 2, TWO)]);
}

#[test]
fn a_holder_that_is_given_up_is_tried_again_for_what_is_wanted_later() {
    let mut b = of_wanted();
    (0..3).for_each(|chunk| drop(b.handle(0, wanted(chunk, ONE))));
    let other = b.handle(0, wanted(8, TWO));
    assert_eq!(other, [get(2, 8, TWO)]);
    b.fail(10, 0);
    assert_eq!(b.fail(10, 1), []);
    let patience_us = Limits::default().patience_us;
    let given_up = loop {
        let now_us = b.0.next_wake_us().expect("one holder fails");
        match &b.handle(now_us, Event::Tick)[..] {
            [Action::Get { get, .. }] => drop(b.fail(now_us, get.0)),
            [] => {}
            [Action::GiveUp { from: ONE, .. }] => break now_us,
            other => panic!("{other:?}"),
        }
    };
    assert!(given_up >= patience_us, "{given_up}");
    assert_eq!(b.handle(given_up, Event::Got(GetId(2))), [], "the other one goes on");
    assert!(matches!(b.handle(given_up, wanted(1, ONE))[..], [Action::Get { from: ONE, .. }]));
}

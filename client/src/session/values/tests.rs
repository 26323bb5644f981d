//! What of values comes with the news of them, is kept, and is let go of.

use super::state::KEPT_BYTES_MAX;
use super::*;
use crate::session::data::{Taker, Upload};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use tilework_expr::DType;
use tilework_plan::{Holding, StageIdx, TaskRange, WorkerId};

const JOB: JobId = JobId(1);
const STAGE: StageIdx = StageIdx(3);
const WORKER: WorkerId = WorkerId(2);

/// Counts requests, and answers none.
#[derive(Default)]
struct Silent(AtomicUsize);

impl DataPlane for Silent {
    fn put(&self, _: &Holder, _: Upload) -> std::result::Result<(), String> {
        unreachable!("nothing is put")
    }

    fn get(&self, _: &Holder, _: TaskKey, _: Taker) -> Asked {
        self.0.fetch_add(1, Ordering::Relaxed);
        Asked::answered()
    }

    fn lost(&self, _: WorkerId) {}

    fn is_lost(&self, _: WorkerId) -> bool {
        false
    }
}

struct Rig {
    values: Arc<Values>,
    data: Arc<Silent>,
    kept: Arc<Kept>,
    got: Arc<Mutex<Vec<Vec<u8>>>>,
    alive: Arc<()>,
}

impl Rig {
    fn new(n: usize) -> Rig {
        let (data, kept) = (Arc::<Silent>::default(), Arc::<Kept>::default());
        let values = Values::new(&[n], Arc::clone(&data) as _, (Arc::default(), Arc::clone(&kept)));
        Rig { values, data, kept, got: Arc::default(), alive: Arc::new(()) }
    }

    fn ask(&self, value: u64) {
        let got = Arc::clone(&self.got);
        let sink = move |bytes: std::result::Result<Plane, Failure>| {
            let plane = bytes.ok().expect("there is a value");
            got.lock().unwrap().push(plane.contiguous_bytes().unwrap().to_vec());
        };
        self.values.when((0, value), Interest::new(What::Bytes(Box::new(sink)), &self.alive));
    }

    /// Values have come to exist, of which each has its number as bytes.
    fn made(&self, chunks: Range<u64>, inlined: Range<u64>) {
        self.made_on(WORKER, chunks, inlined);
    }

    fn made_on(&self, worker: WorkerId, chunks: Range<u64>, inlined: Range<u64>) {
        let tasks = |chunks| TaskRange { job: JOB, stage: STAGE, chunks };
        let (mut ends, mut bytes) = (Vec::new(), Vec::new());
        for value in inlined.clone() {
            bytes.extend(value.to_le_bytes());
            ends.push(bytes.len() as u32);
        }
        let came = Inlined { tasks: tasks(inlined), dtypes: vec![DType::U8], shape: vec![], ends, bytes };
        let outputs = vec![vec![Holding { chunks: tasks(chunks), worker }]];
        self.values.tell(Update::Made { outputs, addresses: Vec::new() }, &[came]);
    }

    fn n_asked(&self) -> usize {
        self.data.0.load(Ordering::Relaxed)
    }

    fn got(&self) -> Vec<u64> {
        let got = self.got.lock().unwrap();
        got.iter().map(|bytes| u64::from_le_bytes(bytes.as_slice().try_into().unwrap())).collect()
    }
}

#[test]
fn what_comes_with_the_news_is_not_asked_for() {
    let rig = Rig::new(9);
    rig.ask(4);
    rig.made(2..7, 3..6);
    assert_eq!((rig.got(), rig.n_asked()), (vec![4], 0), "who waited has it");
    rig.ask(5);
    // Whoever held it: it is here.
    rig.values.tell(Update::Lost { worker: WORKER }, &[]);
    rig.ask(3);
    rig.ask(4);
    assert_eq!((rig.got(), rig.n_asked()), (vec![4, 5, 3, 4], 0));
    // Of the others some are asked for, once they are there again.
    rig.ask(6);
    assert_eq!(rig.n_asked(), 0, "nobody has it");
    let other = WorkerId(WORKER.0 + 1);
    rig.made_on(other, 6..7, 6..6);
    assert_eq!(rig.n_asked(), 1);
    // And if it comes in the meantime, it is not waited for.
    rig.made_on(other, 6..7, 6..7);
    assert_eq!(rig.got(), [4, 5, 3, 4, 6]);
    assert!(rig.values.lock().open.is_empty());
}

#[test]
fn what_was_let_go_of_is_waited_for_until_it_is_made_and_is_not_to_be_had() {
    let rig = Rig::new(2);
    let told = Arc::new(AtomicUsize::new(0));
    let settled = |value| {
        let told = Arc::clone(&told);
        let count = move || {
            told.fetch_add(1, Ordering::Relaxed);
        };
        let what = What::Settled(Box::new(count));
        rig.values.when((0, value), Interest::new(what, &rig.alive));
    };
    rig.made(1..2, 1..2);
    assert_eq!(rig.kept.0.load(Ordering::Relaxed), 8 + Kept::EACH);
    rig.values.let_go((0, 0));
    rig.values.let_go((0, 1));
    assert_eq!(rig.kept.0.load(Ordering::Relaxed), 0);
    assert_eq!(rig.values.lock().let_go.waiting, [(0, 0..2)]);
    settled(1);
    settled(0);
    assert_eq!(told.load(Ordering::Relaxed), 1);
    rig.made(0..1, 0..1);
    assert_eq!((told.load(Ordering::Relaxed), rig.kept.0.load(Ordering::Relaxed)), (2, 0));
    let refused = Arc::new(AtomicUsize::new(0));
    let sink = {
        let refused = Arc::clone(&refused);
        move |bytes: std::result::Result<Plane, Failure>| {
            refused.fetch_add(usize::from(bytes.is_err()), Ordering::Relaxed);
        }
    };
    rig.values.when((0, 0), Interest::new(What::Bytes(Box::new(sink)), &rig.alive));
    assert_eq!((refused.load(Ordering::Relaxed), rig.n_asked()), (1, 0));
}

#[test]
fn what_is_kept_is_bounded_and_given_back() {
    let rig = Rig::new(4);
    rig.kept.0.store(KEPT_BYTES_MAX - 2 * (8 + Kept::EACH), Ordering::Relaxed);
    rig.made(0..4, 0..4);
    (0..4).for_each(|value| rig.ask(value));
    assert_eq!((rig.got(), rig.n_asked()), (vec![0, 1], 2), "there is room for two");
    let kept = Arc::clone(&rig.kept);
    drop(rig);
    assert_eq!(kept.0.load(Ordering::Relaxed), KEPT_BYTES_MAX - 2 * (8 + Kept::EACH));
}

//! Single tasks: their memory, their disk, their errors and their end.

use crate::data;
use bytes::Bytes;
use futures::StreamExt;
use std::io;
use std::sync::Arc;
use tilework_frame::{
    DataError, FrameError, Keep, PlanOptions, Room, Runner, RunnerOptions, Stop, TaskError, TaskInput,
    run_local,
};

const SORT: &str = "select l_comment, l_orderkey, l_linenumber from lineitem order by 1, 2, 3";

#[tokio::test]
async fn what_exceeds_the_grant_goes_to_the_disk_and_gives_the_same_rows() {
    let dir = tempfile::tempdir().unwrap();
    let options = RunnerOptions { n_threads: 2, spill_dir: dir.path().to_owned(), spill_bytes_max: 1 << 30 };
    let runner = Runner::new(options).unwrap();
    let mut rows = Vec::new();
    for grant_bytes in [64 << 20, 5 << 20] {
        let planner = data::planner(PlanOptions { grant_bytes, ..data::options(1) }).await;
        let planned = data::planned(&planner, SORT).await;
        let ran = run_local(&planned.graph, &planned.schema, &runner, Keep::Batches, 1).await.unwrap();
        assert_eq!(ran.spilled_bytes > 0, grant_bytes < 10 << 20, "{}", ran.spilled_bytes);
        rows.push(data::rows_of(&ran));
    }
    assert!(rows[0] == rows[1]);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

async fn failure(sql: &str, grant_bytes: u64, spill: RunnerOptions) -> TaskError {
    let options = PlanOptions { grant_bytes, ..data::options(1) };
    let (planner, runner) = (data::planner(options).await, Runner::new(spill).unwrap());
    let planned = data::planned(&planner, sql).await;
    match run_local(&planned.graph, &planned.schema, &runner, Keep::Batches, 1).await {
        Err(FrameError::Task { error, .. }) => error,
        other => panic!("{other:?}"),
    }
}

fn disk(spill_bytes_max: u64) -> RunnerOptions {
    RunnerOptions { n_threads: 1, spill_dir: std::env::temp_dir(), spill_bytes_max }
}

#[tokio::test]
async fn errors_say_whose_they_are() {
    let join = "select count(*) from orders a join orders b on a.o_comment = b.o_comment and a.o_orderkey < b.o_orderkey";
    let error = failure(join, 200 << 10, disk(1 << 30)).await;
    assert!(matches!(&error, TaskError::Memory { grant_bytes, .. } if *grant_bytes == 200 << 10), "{error}");
    let error = failure(SORT, 5 << 20, disk(1 << 20)).await;
    let here = std::env::temp_dir().display().to_string();
    assert!(matches!(&error, TaskError::DiskFull { dir, .. } if *dir == here), "{error:?}");
    let nowhere = RunnerOptions { spill_dir: "/nowhere/at/all".into(), ..disk(1 << 30) };
    let error = failure(SORT, 5 << 20, nowhere).await;
    assert!(matches!(&error, TaskError::Disk { dir, .. } if dir == "/nowhere/at/all"), "{error:?}");
    let error = failure("select 1 / (o_shippriority * 1) from orders", 64 << 20, disk(0)).await;
    assert!(matches!(&error, TaskError::Data(DataError::DivideByZero(_))), "{error:?}");
}

/// The second task of a sum: it reads what the first ones made.
async fn reader() -> TaskInput {
    let planner = data::planner(data::options(3)).await;
    let planned = data::planned(&planner, "select sum(l_quantity) from lineitem").await;
    let stage = planned.graph.stages.last().unwrap();
    assert_eq!(stage.inputs.len(), 1);
    let (payload, grant_bytes) = (stage.payload.clone(), stage.grant_bytes);
    TaskInput { payload, partition: 0, feeds: vec![Vec::new()], grant_bytes, room: Room::default() }
}

#[tokio::test]
async fn an_input_that_does_not_come_is_told_with_its_type() {
    let runner = data::runner();
    let lost = TaskError::Feed(Arc::new(io::Error::new(io::ErrorKind::ConnectionReset, "peer gone")));
    let mut task = reader().await;
    task.feeds = vec![vec![futures::stream::iter([Err(lost)]).boxed()]];
    match runner.run(task, Stop::never()).await {
        Err(TaskError::Feed(e)) => {
            assert_eq!(e.downcast_ref::<io::Error>().unwrap().kind(), io::ErrorKind::ConnectionReset);
        }
        other => panic!("{other:?}"),
    }
    let corrupt = tilework_frame::Piece::from_encoded(Bytes::from_static(b"none of ours"), 1, 8, 7);
    let mut task = reader().await;
    task.feeds = vec![vec![futures::stream::iter([Ok(corrupt)]).boxed()]];
    assert!(matches!(runner.run(task, Stop::never()).await, Err(TaskError::Corrupt(_))));
    // Nothing at all in the slot.
    assert!(matches!(runner.run(reader().await, Stop::never()).await, Err(TaskError::Payload(_))));
}

#[tokio::test]
async fn a_plan_that_is_none_is_an_error() {
    let (runner, task) = (data::runner(), reader().await);
    let payload = task.payload.clone();
    for cut in (0..payload.len()).step_by(7) {
        let task = TaskInput { payload: payload.slice(..cut), feeds: vec![vec![]], ..reader_of(&task) };
        assert!(runner.run(task, Stop::never()).await.is_err());
    }
    let task = TaskInput { partition: 1, ..reader_of(&task) };
    assert!(matches!(runner.run(task, Stop::never()).await, Err(TaskError::Payload(_))));
}

fn reader_of(task: &TaskInput) -> TaskInput {
    TaskInput {
        payload: task.payload.clone(),
        partition: task.partition,
        feeds: vec![vec![]],
        grant_bytes: task.grant_bytes,
        room: Room::default(),
    }
}

#[tokio::test]
async fn a_task_that_waits_stops_when_it_is_told_and_lets_go_of_its_input() {
    struct Gone(Option<tokio::sync::oneshot::Sender<()>>);
    impl Drop for Gone {
        fn drop(&mut self) {
            self.0.take().unwrap().send(()).unwrap();
        }
    }
    let runner = data::runner();
    for told in [true, false] {
        let (send, gone) = tokio::sync::oneshot::channel();
        let (started, wait) = tokio::sync::oneshot::channel();
        let held = Gone(Some(send));
        let mut started = Some(started);
        let never = futures::stream::poll_fn(move |_| {
            let _held = &held;
            if let Some(started) = started.take() {
                started.send(()).unwrap();
            }
            std::task::Poll::Pending
        });
        let mut task = reader().await;
        task.feeds = vec![vec![never.boxed()]];
        let (handle, stop) = Stop::pair();
        let running = tokio::spawn(runner.run(task, stop));
        wait.await.unwrap();
        if told {
            handle.stop();
            assert!(matches!(running.await.unwrap(), Err(TaskError::Stopped)));
        } else {
            running.abort();
        }
        gone.await.unwrap();
    }
}

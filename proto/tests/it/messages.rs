//! Random messages of every stream.

use crate::programs::programs;
use proptest::prelude::*;
use tilework_expr::{
    ChunkIdx, Figures, Holding, Instruction, JobError, JobId, LeaseId, Report, StageIdx, TaskError, TaskKey,
    TaskRange, Update, WorkerId,
};
use tilework_proto::fragment::through_wire;
use tilework_proto::{FromClient, FromWorker, ToClient, ToWorker, decode, encode};
use tilework_scheduler_core::{ClientId, ClusterState, Hello, JobState, StageCounts, WorkerSummary};

fn keys() -> impl Strategy<Value = TaskKey> {
    any::<(u64, u32, u64)>().prop_map(|(j, s, c)| TaskKey {
        job: JobId(j),
        stage: StageIdx(s),
        chunk: ChunkIdx(c),
    })
}

fn ranges() -> impl Strategy<Value = TaskRange> {
    any::<(u64, u32, u64, u64)>().prop_map(|(j, s, a, b)| TaskRange {
        job: JobId(j),
        stage: StageIdx(s),
        chunks: a.min(b)..a.max(b),
    })
}

fn holdings() -> impl Strategy<Value = Vec<Holding>> {
    let one = (ranges(), any::<u32>()).prop_map(|(chunks, w)| Holding { chunks, worker: WorkerId(w) });
    proptest::collection::vec(one, 0..4)
}

fn addresses() -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec("[a-z]{1,8}:[0-9]{1,5}", 0..3)
}

fn instructions() -> impl Strategy<Value = Instruction> {
    let lease = any::<u64>().prop_map(LeaseId);
    prop_oneof![
        (any::<u64>(), programs()).prop_map(|(j, program)| Instruction::Define { job: JobId(j), program }),
        (lease.clone(), ranges(), holdings()).prop_map(|(lease, tasks, elsewhere)| Instruction::Lease {
            lease,
            tasks,
            elsewhere
        }),
        (lease, ranges()).prop_map(|(lease, tasks)| Instruction::Revoke { lease, tasks }),
        ranges().prop_map(Instruction::Drop),
        any::<u64>().prop_map(|j| Instruction::Forget(JobId(j))),
        (any::<u32>(), addresses())
            .prop_map(|(w, addresses)| Instruction::Peer { worker: WorkerId(w), addresses }),
        any::<u32>().prop_map(|w| Instruction::PeerGone(WorkerId(w))),
    ]
}

fn task_errors() -> impl Strategy<Value = TaskError> {
    prop_oneof![
        ".*".prop_map(TaskError::Operation),
        any::<(u64, u64)>().prop_map(|(needed, limit)| TaskError::Memory { needed, limit }),
        ".*".prop_map(TaskError::Worker),
    ]
}

fn reports() -> impl Strategy<Value = Report> {
    let lease = any::<u64>().prop_map(LeaseId);
    prop_oneof![
        (lease.clone(), ranges(), any::<(u64, u64)>()).prop_map(
            |(lease, tasks, (busy_us, bytes_fetched))| {
                Report::Done { lease, tasks, busy_us, bytes_fetched }
            }
        ),
        (lease.clone(), keys(), task_errors()).prop_map(|(lease, task, error)| Report::Failed {
            lease,
            task,
            error
        }),
        (lease.clone(), keys(), keys(), any::<u32>()).prop_map(|(lease, task, input, w)| {
            Report::Unreachable { lease, task, input, peer: WorkerId(w) }
        }),
        (lease, ranges()).prop_map(|(lease, tasks)| Report::Returned { lease, tasks }),
        any::<u64>().prop_map(|bytes_held| Report::Alive { bytes_held }),
    ]
}

fn job_errors() -> impl Strategy<Value = JobError> {
    prop_oneof![
        (".*", any::<u64>(), ".*").prop_map(|(operation, chunk, message)| JobError::Operation {
            operation,
            chunk,
            message
        }),
        (".*", any::<(u64, u64, u64)>()).prop_map(|(operation, (needed, limit, fits))| {
            JobError::Memory { operation, needed, limit, fits }
        }),
        (".*", any::<(u64, u32)>(), ".*").prop_map(|(operation, (chunk, deaths), last_words)| {
            JobError::Deadly { operation, chunk, deaths, last_words }
        }),
        (".*", ".*", any::<u32>()).prop_map(|(function, build, workers)| JobError::Foreign {
            function,
            build,
            workers
        }),
        ".*".prop_map(JobError::Program),
        Just(JobError::Cancelled),
    ]
}

fn figures() -> impl Strategy<Value = Figures> {
    any::<[u64; 7]>().prop_map(
        |[n_tasks, bytes_read, bytes_put, bytes_moved, bytes_held_max, busy_us, elapsed_us]| Figures {
            n_tasks,
            bytes_read,
            bytes_put,
            bytes_moved,
            bytes_held_max,
            busy_us,
            elapsed_us,
        },
    )
}

fn updates() -> impl Strategy<Value = Update> {
    let outputs = proptest::collection::vec(holdings(), 0..3);
    let workers = proptest::collection::vec((any::<u32>().prop_map(WorkerId), addresses()), 0..3);
    prop_oneof![
        any::<(u64, u64)>().prop_map(|(done, total)| Update::Progress { done, total }),
        (any::<(u64, u64, u32)>(), ranges(), addresses()).prop_map(
            |((lease, literal, w), tasks, addresses)| {
                Update::Upload { lease: LeaseId(lease), tasks, literal, worker: WorkerId(w), addresses }
            }
        ),
        (outputs, workers, figures()).prop_map(|(outputs, addresses, figures)| Update::Done {
            outputs,
            addresses,
            figures
        }),
        job_errors().prop_map(Update::Failed),
    ]
}

fn hellos() -> impl Strategy<Value = Hello> {
    let build = proptest::option::of(".*");
    (".{1,20}", any::<(u64, u32, u64)>(), addresses(), build).prop_map(
        |(name, (incarnation, threads, memory_bytes), addresses, build)| Hello {
            name,
            incarnation,
            threads,
            memory_bytes,
            addresses,
            build,
        },
    )
}

fn states() -> impl Strategy<Value = ClusterState> {
    let worker = (any::<[u32; 4]>(), ".*", any::<[u64; 4]>(), any::<Option<bool>>()).prop_map(
        |(n, name, b, flags)| WorkerSummary {
            build: flags.map(|_| name.clone()),
            worker: WorkerId(n[0]),
            name,
            threads: n[1],
            memory_bytes: b[0],
            bytes_held: b[1],
            leased: n[2],
            running: n[3],
            ready: b[2] as usize,
            last_heard_us: b[3],
            leaving: flags.unwrap_or(true),
        },
    );
    let stage = any::<[u64; 4]>().prop_map(|n| StageCounts {
        name: "matrix product",
        total: n[0],
        done: n[1],
        leased: n[2],
        held: n[3],
    });
    let stages = proptest::collection::vec(stage, 0..3);
    let job = (any::<(u64, bool, bool)>(), stages).prop_map(|((j, finished, dormant), stages)| JobState {
        job: JobId(j),
        finished,
        dormant,
        stages,
    });
    (proptest::collection::vec(worker, 0..3), proptest::collection::vec(job, 0..3))
        .prop_map(|(workers, jobs)| ClusterState { workers, jobs })
}

fn all<T: std::fmt::Debug>(one: impl Strategy<Value = T>) -> impl Strategy<Value = Vec<T>> {
    proptest::collection::vec(one, 0..4)
}

proptest! {
    #[test]
    fn to_workers(all in all(instructions()), w in any::<u32>(), why in ".*") {
        for message in
            [ToWorker::Instructions(all), ToWorker::Welcome(WorkerId(w)), ToWorker::Closing(why), ToWorker::Ended]
        {
            prop_assert_eq!(through_wire(&message).unwrap(), message);
        }
    }

    #[test]
    fn from_workers(all in all(reports()), hello in hellos(), words in ".*") {
        for message in [
            FromWorker::Reports(all),
            FromWorker::Hello(hello),
            FromWorker::Leaving,
            FromWorker::LastWords(words),
        ] {
            prop_assert_eq!(through_wire(&message).unwrap(), message);
        }
    }

    #[test]
    fn to_clients(update in updates(), job in any::<u64>(), c in any::<u64>(), why in ".*") {
        for message in [
            ToClient::Update { job: JobId(job), update },
            ToClient::Welcome(ClientId(c)),
            ToClient::Closing(why),
        ] {
            prop_assert_eq!(through_wire(&message).unwrap(), message);
        }
    }

    #[test]
    fn from_clients(program in programs(), job in any::<u64>()) {
        for message in [FromClient::Submit { job: JobId(job), program }, FromClient::Release(JobId(job))] {
            prop_assert_eq!(through_wire(&message).unwrap(), message);
        }
    }

    #[test]
    fn pictures_of_the_cluster(state in states()) {
        prop_assert_eq!(decode::<ClusterState>(&encode(&state)).unwrap(), state);
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode::<ToWorker>(&bytes);
        let _ = decode::<FromWorker>(&bytes);
        let _ = decode::<ToClient>(&bytes);
        let _ = decode::<FromClient>(&bytes);
        let _ = decode::<ClusterState>(&bytes);
    }
}

//! Random messages of every stream.

use crate::programs::programs;
use proptest::collection::vec;
use proptest::prelude::*;
use tilework_expr::DType;
use tilework_plan::{
    ChunkIdx, ClientHello, ClientId, ClientSummary, ClusterState, Figures, Hello, Holding, Instruction,
    JobError, JobId, JobNumber, JobState, LeaseId, Report, StageCounts, StageIdx, TaskError, TaskKey,
    TaskRange, Update, WorkerId, WorkerSummary,
};
use tilework_proto::fragment::through_wire;
use tilework_proto::{
    FromClient, FromWorker, Inlined, NameAnswer, NameError, NameRequest, Named, ToClient, ToWorker, decode,
    encode,
};

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
        any::<u64>().prop_map(|job| Instruction::Define(JobId(job))),
        (lease.clone(), ranges(), holdings(), any::<i32>()).prop_map(
            |(lease, tasks, elsewhere, priority)| Instruction::Lease { lease, tasks, elsewhere, priority }
        ),
        any::<(u64, u32, u64)>().prop_flat_map(|(job, stage, bytes)| {
            let (job, stage) = (JobId(job), StageIdx(stage));
            holdings().prop_map(move |holders| Instruction::Holders { job, stage, bytes, holders })
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
        (".*", vec(any::<u8>(), 0..40), any::<bool>())
            .prop_map(|(message, detail, elsewhere)| { TaskError::Detailed { message, detail, elsewhere } }),
    ]
}

fn reports() -> impl Strategy<Value = Report> {
    let lease = any::<u64>().prop_map(LeaseId);
    prop_oneof![
        (lease.clone(), ranges(), any::<(u64, u64)>(), any::<Vec<u64>>()).prop_map(
            |(lease, tasks, (busy_us, bytes_fetched), sizes)| {
                Report::Done { lease, tasks, busy_us, bytes_fetched, sizes }
            }
        ),
        (lease.clone(), keys(), task_errors()).prop_map(|(lease, task, error)| Report::Failed {
            lease,
            task,
            error
        }),
        (lease.clone(), keys(), keys(), any::<(u32, bool)>(), ".*").prop_map(
            |(lease, task, input, (w, away), why)| {
                Report::Unreachable { lease, task, input, peer: WorkerId(w), away, why }
            }
        ),
        any::<(u32, u64)>().prop_map(|(stuck, longest_us)| Report::Threads { stuck, longest_us }),
        (lease, ranges()).prop_map(|(lease, tasks)| Report::Returned { lease, tasks }),
        any::<(u64, u64)>().prop_map(|(bytes_held, bytes_on_disk)| {
            let bytes_resident = bytes_held ^ bytes_on_disk;
            Report::Alive { bytes_held, bytes_on_disk, bytes_resident }
        }),
        keys().prop_map(|task| Report::Lost { task }),
        any::<(u64, u64)>().prop_map(|(job, bytes)| Report::Spilled { job: JobId(job), bytes }),
    ]
}

fn job_errors() -> impl Strategy<Value = JobError> {
    prop_oneof![
        (".*", any::<u64>(), ".*").prop_map(|(operation, chunk, message)| JobError::Operation {
            operation,
            chunk,
            message
        }),
        (".*", any::<u64>(), ".*", vec(any::<u8>(), 0..40)).prop_map(
            |(operation, chunk, message, detail)| JobError::Detailed { operation, chunk, message, detail }
        ),
        (".*", any::<(u64, u64, u64)>()).prop_map(|(operation, (needed, limit, fits))| {
            JobError::Memory { operation, needed, limit, fits }
        }),
        (".*", any::<(u64, u32)>(), ".*").prop_map(|(operation, (chunk, deaths), last_words)| {
            JobError::Deadly { operation, chunk, deaths, last_words }
        }),
        (".*", any::<[u64; 3]>()).prop_map(|(operation, [needed, held, limit])| JobError::Full {
            operation,
            needed,
            held,
            limit
        }),
        (".*", any::<u64>(), ".*").prop_map(|(waiting, waited_s, ended)| JobError::NoWorker {
            waiting,
            waited_s,
            ended
        }),
        (".*", ".*", any::<u32>()).prop_map(|(function, build, workers)| JobError::Foreign {
            function,
            build,
            workers
        }),
        ".*".prop_map(JobError::Program),
        ".*".prop_map(|by| JobError::Cancelled { by }),
    ]
}

fn figures() -> impl Strategy<Value = Figures> {
    any::<[u64; 8]>().prop_map(
        |[
            n_tasks,
            bytes_read,
            bytes_put,
            bytes_moved,
            bytes_held_max,
            bytes_spilled,
            busy_us,
            elapsed_us,
        ]| Figures {
            n_tasks,
            bytes_read,
            bytes_put,
            bytes_moved,
            bytes_held_max,
            bytes_spilled,
            busy_us,
            elapsed_us,
        },
    )
}

fn updates() -> impl Strategy<Value = Update> {
    let outputs = || proptest::collection::vec(holdings(), 0..3);
    let workers = || proptest::collection::vec((any::<u32>().prop_map(WorkerId), addresses()), 0..3);
    prop_oneof![
        any::<(u64, u64)>().prop_map(|(done, total)| Update::Progress { done, total }),
        (any::<(u64, u64, u32)>(), ranges(), addresses()).prop_map(
            |((lease, literal, w), tasks, addresses)| {
                Update::Upload { lease: LeaseId(lease), tasks, literal, worker: WorkerId(w), addresses }
            }
        ),
        (outputs(), workers()).prop_map(|(outputs, addresses)| Update::Made { outputs, addresses }),
        (any::<u32>(), ranges(), job_errors()).prop_map(|(output, tasks, error)| Update::TasksFailed {
            output,
            values: tasks.chunks,
            error
        }),
        (outputs(), workers(), figures()).prop_map(|(outputs, addresses, figures)| Update::Done {
            outputs,
            addresses,
            figures
        }),
        any::<u32>().prop_map(|w| Update::Lost { worker: WorkerId(w) }),
        ranges().prop_map(|tasks| Update::ChunksLost { tasks }),
        job_errors().prop_map(Update::Failed),
    ]
}

fn hellos() -> impl Strategy<Value = Hello> {
    let build = proptest::option::of(".*");
    let tags = proptest::collection::btree_set("[a-z0-9:]{1,9}", 0..3);
    (".{1,20}", any::<(u64, u32, u64, u64)>(), addresses(), build, tags).prop_map(
        |(name, (incarnation, threads, memory_bytes, spill_bytes), addresses, build, tags)| Hello {
            name,
            incarnation,
            threads,
            memory_bytes,
            spill_bytes,
            addresses,
            build,
            tags: tags.into_iter().map(Into::into).collect(),
        },
    )
}

fn client_hellos() -> impl Strategy<Value = ClientHello> {
    (".{0,20}", any::<u32>(), ".{0,20}", ".{0,20}").prop_map(|(program, pid, user, host)| ClientHello {
        program,
        pid,
        user,
        host,
    })
}

fn states() -> impl Strategy<Value = ClusterState> {
    let worker = (any::<[u32; 5]>(), ".*", any::<[u64; 8]>(), any::<Option<bool>>(), addresses()).prop_map(
        |(n, name, b, flags, addresses)| WorkerSummary {
            worker: WorkerId(n[0]),
            build: flags.map(|_| name.clone()),
            name,
            addresses,
            threads: n[1],
            memory_bytes: b[0],
            bytes_held: b[1],
            leased: n[2],
            running: n[3],
            ready: b[2] as usize,
            up_us: b[3],
            silent_us: b[4],
            spill_bytes: b[5],
            bytes_on_disk: b[6],
            leaving: flags.unwrap_or(true),
            stuck: n[4],
            longest_us: b[5],
            tags: flags.iter().filter(|f| **f).map(|_| "gpu:1".into()).collect(),
        },
    );
    let client = (any::<(u64, u64)>(), client_hellos()).prop_map(|((client, up_us), hello)| ClientSummary {
        client: ClientId(client),
        hello,
        up_us,
    });
    let stage = (any::<u32>(), ".*", any::<[u64; 4]>()).prop_map(|(stage, operation, n)| StageCounts {
        stage: StageIdx(stage),
        operation,
        total: n[0],
        done: n[1],
        leased: n[2],
        held: n[3],
    });
    let stages = proptest::collection::vec(stage, 0..3);
    let job = (any::<[u64; 10]>(), any::<[bool; 2]>(), any::<Option<u64>>(), ".*", stages).prop_map(
        |(n, [finished, dormant], left_us, title, stages)| JobState {
            number: JobNumber(n[0]),
            client: ClientId(n[1]),
            title,
            finished,
            dormant,
            total: n[2],
            done: n[3],
            leased: n[4],
            bytes_held: n[5],
            elapsed_us: n[6],
            left_us,
            late_done: n[7],
            late_us: n[8],
            n_stages: n[9],
            stages,
        },
    );
    let workers = proptest::collection::vec(worker, 0..3);
    let (clients, jobs) = (proptest::collection::vec(client, 0..3), proptest::collection::vec(job, 0..3));
    (any::<[u64; 2]>(), workers, clients, jobs).prop_map(|([up_us, n_jobs], workers, clients, jobs)| {
        ClusterState { up_us, workers, clients, n_jobs, jobs }
    })
}

fn all<T: std::fmt::Debug>(one: impl Strategy<Value = T>) -> impl Strategy<Value = Vec<T>> {
    proptest::collection::vec(one, 0..4)
}

/// Results beside a message: values, and chunks of a shape.
fn inlined() -> impl Strategy<Value = Vec<Inlined>> {
    let value = proptest::collection::vec(any::<u8>(), 0..9);
    let values = proptest::collection::vec(value, 0..5);
    let one = (ranges(), values, proptest::collection::vec(0..9usize, 0..3));
    all(one.prop_map(|(TaskRange { job, stage, chunks }, values, shape)| {
        let start = chunks.start.min(u64::MAX - 9);
        let tasks = TaskRange { job, stage, chunks: start..start + values.len() as u64 };
        let (mut ends, mut bytes) = (Vec::new(), Vec::new());
        for value in values {
            bytes.extend(value);
            ends.push(bytes.len() as u32);
        }
        Inlined { tasks, dtypes: vec![DType::U8, DType::F64], shape, ends, bytes }
    }))
}

proptest! {
    #[test]
    fn to_workers(
        instructions in all(instructions()),
        programs in all((any::<u64>().prop_map(JobId), programs())),
        w in any::<u32>(),
        why in ".*",
    ) {
        for message in [
            ToWorker::Instructions { programs, instructions },
            ToWorker::Welcome(WorkerId(w)),
            ToWorker::Closing(why.clone()),
            ToWorker::Refused(why),
            ToWorker::Ended,
        ] {
            prop_assert_eq!(through_wire(&message).unwrap(), message);
        }
    }

    #[test]
    fn from_workers(all in all(reports()), with in inlined(), hello in hellos(), words in ".*") {
        for message in [
            FromWorker::Reports { reports: all, inlined: with },
            FromWorker::Hello(hello),
            FromWorker::Leaving,
            FromWorker::LastWords(words),
        ] {
            prop_assert_eq!(through_wire(&message).unwrap(), message);
        }
    }

    #[test]
    fn to_clients(
        (update, program) in (updates(), programs()),
        inlined in inlined(),
        (job, c) in any::<(u64, u64)>(),
        (why, name) in (".*", "[a-zü]{1,9}"),
    ) {
        let there = vec![name.clone(), why.clone()];
        let named = Named { name: name.clone(), program: program.clone(), by: why.clone(), age_us: job };
        let answers = [
            Ok(NameAnswer::Done),
            Ok(NameAnswer::Found(program)),
            Ok(NameAnswer::All(vec![named.clone(), named])),
            Err(NameError::Taken { name: name.clone(), by: why.clone() }),
            Err(NameError::Unknown { name: name.clone(), there }),
            Err(NameError::Lost { name, why: why.clone() }),
            Err(NameError::Refused(why.clone())),
        ];
        for answer in answers {
            let message = ToClient::Named { ticket: c, answer };
            prop_assert_eq!(through_wire(&message).unwrap(), message);
        }
        for message in [
            ToClient::Update { job: JobId(job), update, inlined },
            ToClient::Welcome(ClientId(c)),
            ToClient::Closing(why),
        ] {
            prop_assert_eq!(through_wire(&message).unwrap(), message);
        }
    }

    #[test]
    fn from_clients(
        program in programs(),
        job in any::<u64>(),
        hello in client_hellos(),
        results in all((any::<u32>(), ranges().prop_map(|r| r.chunks))),
        (task, why) in (keys(), ".*"),
        ticket in any::<u64>(),
    ) {
        let named = |request| FromClient::Named { ticket, request };
        for message in [
            named(NameRequest::Publish { job: JobId(job), name: why.clone(), program: program.clone() }),
            named(NameRequest::Get(why.clone())),
            named(NameRequest::List),
            named(NameRequest::Unpublish(why.clone())),
            FromClient::Hello(hello),
            FromClient::Submit { job: JobId(job), program },
            FromClient::Release(JobId(job)),
            FromClient::LetGo { job: JobId(job), results },
            FromClient::PutFailed { lease: LeaseId(job), task, why },
        ] {
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

//! The faults that are played, and how often each was.
//!
//! Knows names and counts. Must not know how they are played.

use std::fmt;

/// A kind of fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each says what it is in `name`")]
pub enum Fault {
    Killed,
    KilledSilently,
    Cut,
    Partitioned,
    Joined,
    Rejoined,
    NameTaken,
    Left,
    Duplicated,
    Delayed,
    FetchFailed,
    FetchHung,
    TaskFailedOnWorker,
    BadOperation,
    DeadlyTask,
    TooLarge,
    Foreign,
    Released,
    Cancelled,
    ClientLost,
    LateReport,
    Revoked,
    LiteralAgain,
    OutputsAgain,
    Revived,
    PutFailed,
    PutElsewhere,
    ReadFailed,
    ReadHung,
    Inlined,
    LetGo,
    Deserted,
    MemoryFull,
    Spilled,
    SpillFailed,
    LoadFailed,
    Damaged,
    SchedulerStopped,
    SchedulerSlow,
    WorkerStopped,
    AllStopped,
    ClientsStopped,
    CameBack,
    NoWay,
    Overran,
    Replaced,
    FailedAlone,
    FailedWithInput,
}

impl Fault {
    /// Every kind.
    pub const ALL: [Fault; 48] = {
        use Fault::*;
        [
            Killed,
            KilledSilently,
            Cut,
            Partitioned,
            Joined,
            Rejoined,
            NameTaken,
            Left,
            Duplicated,
            Delayed,
            FetchFailed,
            FetchHung,
            TaskFailedOnWorker,
            BadOperation,
            DeadlyTask,
            TooLarge,
            Foreign,
            Released,
            Cancelled,
            ClientLost,
            LateReport,
            Revoked,
            LiteralAgain,
            OutputsAgain,
            Revived,
            PutFailed,
            PutElsewhere,
            ReadFailed,
            ReadHung,
            Inlined,
            LetGo,
            Deserted,
            MemoryFull,
            Spilled,
            SpillFailed,
            LoadFailed,
            Damaged,
            SchedulerStopped,
            SchedulerSlow,
            WorkerStopped,
            AllStopped,
            ClientsStopped,
            CameBack,
            NoWay,
            Overran,
            Replaced,
            FailedAlone,
            FailedWithInput,
        ]
    };

    /// What it is, in words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Fault::Killed => "worker killed, seen at once",
            Fault::KilledSilently => "worker killed, only silence",
            Fault::Cut => "connection cut, messages lost",
            Fault::Partitioned => "worker cut off without a sign",
            Fault::Joined => "worker joined late",
            Fault::Rejoined => "worker rejoined under its name",
            Fault::NameTaken => "worker with a name that is taken",
            Fault::Left => "worker said goodbye",
            Fault::Duplicated => "reports came twice",
            Fault::Delayed => "message much delayed",
            Fault::FetchFailed => "transfer failed",
            Fault::FetchHung => "transfer from a dead worker hung",
            Fault::TaskFailedOnWorker => "task failed on a worker",
            Fault::BadOperation => "job failed by its operation",
            Fault::DeadlyTask => "job failed by a deadly task",
            Fault::TooLarge => "job failed for memory",
            Fault::Foreign => "job failed for want of its program",
            Fault::Released => "job released while it ran",
            Fault::Cancelled => "job cancelled by another",
            Fault::ClientLost => "client lost",
            Fault::LateReport => "report of a lost worker",
            Fault::Revoked => "tasks taken back",
            Fault::LiteralAgain => "literal chunk put again",
            Fault::OutputsAgain => "finished outputs made again",
            Fault::Revived => "job came back for its readers",
            Fault::PutFailed => "put failed on a living worker",
            Fault::PutElsewhere => "put given up on a living worker",
            Fault::ReadFailed => "client's read failed",
            Fault::ReadHung => "client's read of a dead worker hung",
            Fault::LetGo => "values let go of one by one",
            Fault::Inlined => "result came to the client with the news of it",
            Fault::Deserted => "job failed without workers",
            Fault::MemoryFull => "job failed for full memory",
            Fault::Spilled => "chunk left memory for the disk",
            Fault::SpillFailed => "write to the disk failed",
            Fault::LoadFailed => "read from the disk failed",
            Fault::Damaged => "chunk on the disk found damaged",
            Fault::SchedulerStopped => "scheduler stopped for a while",
            Fault::SchedulerSlow => "scheduler slow for a while",
            Fault::WorkerStopped => "worker stopped for a while",
            Fault::AllStopped => "everything stopped for a while",
            Fault::ClientsStopped => "clients stopped for a while",
            Fault::CameBack => "stopped worker came back",
            Fault::NoWay => "no way between two workers",
            Fault::Overran => "job failed by a task without end",
            Fault::Replaced => "worker with lost threads replaced",
            Fault::FailedAlone => "task failed alone",
            Fault::FailedWithInput => "task failed with what it reads",
        }
    }
}

/// How often each fault was played.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FaultCounts([u64; Fault::ALL.len()]);

impl Default for FaultCounts {
    fn default() -> FaultCounts {
        FaultCounts([0; Fault::ALL.len()])
    }
}

impl FaultCounts {
    /// One more.
    pub fn add(&mut self, fault: Fault) {
        self.0[fault as usize] += 1;
    }

    /// How often.
    #[must_use]
    pub fn of(&self, fault: Fault) -> u64 {
        self.0[fault as usize]
    }

    /// Adds those of another run.
    pub fn merge(&mut self, other: &FaultCounts) {
        self.0.iter_mut().zip(other.0).for_each(|(a, b)| *a += b);
    }
}

impl fmt::Display for FaultCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Fault::ALL.iter().try_for_each(|k| writeln!(f, "  {:<34}{:>10}", k.name(), self.of(*k)))
    }
}

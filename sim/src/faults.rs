//! The faults that are played, and how often each was.
//!
//! Knows names and counts. Must not know how they are played.

use std::fmt;

/// Makes the kinds of faults, all of them and their words of one list.
macro_rules! faults {
    ($($fault:ident: $name:literal,)*) => {
        /// A kind of fault.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "each says what it is in `name`")]
        pub enum Fault {
            $($fault,)*
        }

        impl Fault {
            /// Every kind.
            pub const ALL: &[Fault] = &[$(Fault::$fault,)*];

            /// What it is, in words.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Fault::$fault => $name,)*
                }
            }
        }
    };
}

faults! {
    Killed: "worker killed, seen at once",
    KilledSilently: "worker killed, only silence",
    Cut: "session lost with its connection",
    Broken: "connection broken",
    Resumed: "worker went on over another connection",
    Partitioned: "worker cut off without a sign",
    Joined: "worker joined late",
    Rejoined: "worker rejoined under its name",
    NameTaken: "worker with a name that is taken",
    Left: "worker said goodbye",
    Duplicated: "reports came twice",
    Delayed: "message much delayed",
    FetchFailed: "transfer failed",
    FetchHung: "transfer from a dead worker hung",
    TaskFailedOnWorker: "task failed on a worker",
    BadOperation: "job failed by its operation",
    DeadlyTask: "job failed by a deadly task",
    TooLarge: "job failed for memory",
    Foreign: "job failed for want of its program",
    Released: "job released while it ran",
    Cancelled: "job cancelled by another",
    ClientLost: "client lost",
    LateReport: "report of a lost worker",
    Revoked: "tasks taken back",
    LiteralAgain: "literal chunk put again",
    OutputsAgain: "finished outputs made again",
    Revived: "job came back for its readers",
    PutFailed: "put failed on a living worker",
    PutElsewhere: "put given up on a living worker",
    ReadFailed: "client's read failed",
    ReadHung: "client's read of a dead worker hung",
    LetGo: "values let go of one by one",
    Inlined: "result came to the client with the news of it",
    Deserted: "job failed without workers",
    MemoryFull: "job failed for full memory",
    Spilled: "chunk left memory for the disk",
    SpillFailed: "write to the disk failed",
    LoadFailed: "read from the disk failed",
    Damaged: "chunk on the disk found damaged",
    SchedulerStopped: "scheduler stopped for a while",
    SchedulerSlow: "scheduler slow for a while",
    WorkerStopped: "worker stopped for a while",
    AllStopped: "everything stopped for a while",
    ClientsStopped: "clients stopped for a while",
    CameBack: "stopped worker came back",
    Overweight: "worker's process larger than it may be",
    NoWay: "no way between two workers",
    Overran: "job failed by a task without end",
    Replaced: "worker with lost threads replaced",
    FailedAlone: "task failed alone",
    FailedWithInput: "task failed with what it reads",
    Published: "outputs published, and let go",
    Flaky: "attempt at a task failed",
    OverranAlone: "task failed by its own time limit",
    BlockFetched: "block of a result fetched",
    ToldAnew: "worker told anew who has results",
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

//! How far a job is, and what its client has of it: two small machines that do not depend on one another.
//!
//! Knows the phases and which follow one another. Must not know what else a change of phase brings about.

use crate::event::JobEnd;
use crate::job::Job;
use tilework_plan::JobError;

/// How far the work of a job is, as of when that was last looked at.
///
/// ```text
///                all outputs exist              nobody wants them
///   ╭─────────╮ ──────────────────▶ ╭──────────╮ ───────────────▶ ╭─────────╮
/// ─▶│ Running │                     │ Finished │                  │ Dormant │
///   ╰─────────╯ ◀────────────────── ╰──────────╯                  ╰─────────╯
///     │     ▲    one is lost, or to be made again                   ▲     │
///     │     ╰──────── one is to be made again for a reader ─────────┼─────╯
///     ╰────────────── nobody wants them ────────────────────────────╯
///
///   each ──── it cannot go on, or is cancelled ────▶ Failed
/// ```
#[derive(Clone, Debug)]
pub(crate) enum JobPhase {
    /// Some outputs do not exist, and are being made, for the first time or again.
    Running,
    /// All outputs exist.
    Finished,
    /// All chunks were dropped. The record is kept, for jobs that refer to it may come to read its outputs: then these are
    /// made again.
    Dormant,
    /// It cannot go on, and all chunks were dropped. The record is kept for the jobs that refer to it, which are told why.
    Failed(JobError),
}

/// What the client that submitted a job has of it.
///
/// ```text
///              where all outputs are         the same of those that were made again
///   ╭───────╮ ──────────────────────▶ ╭──────╮ ──────╮
/// ─▶│ Waits │                         │ Told │       │
///   ╰───────╯                         ╰──────╯ ◀─────╯
///       │                                 │
///       ╰──── it lets go, is lost, or ────┴───▶ Gone
///             the job fails
/// ```
#[derive(Clone, Copy, Debug)]
pub(crate) enum ClientPhase {
    /// It waits for the outputs, and was not told of any end.
    Waits,
    /// It was told where all outputs are, at this time for the first time. It may be reading them, and some may be made again.
    Told { ended_us: u64 },
    /// It is to be told nothing more. When the job ended for it.
    Gone { ended_us: u64 },
}

impl ClientPhase {
    /// Whether it still wants the outputs.
    pub fn holds(self) -> bool {
        matches!(self, ClientPhase::Waits | ClientPhase::Told { .. })
    }

    /// When the job first ended for it.
    pub fn ended_us(self) -> Option<u64> {
        match self {
            ClientPhase::Waits => None,
            ClientPhase::Told { ended_us } | ClientPhase::Gone { ended_us } => Some(ended_us),
        }
    }
}

impl Job {
    /// Whether some outputs do not exist, and are being made.
    pub fn is_running(&self) -> bool {
        matches!(self.phase, JobPhase::Running)
    }

    /// Why it cannot go on.
    pub fn failed(&self) -> Option<&JobError> {
        match &self.phase {
            JobPhase::Failed(why) => Some(why),
            JobPhase::Running | JobPhase::Finished | JobPhase::Dormant => None,
        }
    }

    /// Whether everything of it was dropped, and nothing was begun again since.
    pub fn is_dropped(&self) -> bool {
        matches!(self.phase, JobPhase::Dormant | JobPhase::Failed(_))
    }

    /// Looks whether all outputs exist; whether they did not before.
    pub fn look_whether_finished(&mut self) -> bool {
        let was_running = self.is_running();
        match (&self.phase, self.outputs_left()) {
            (JobPhase::Running | JobPhase::Finished, 0) => self.phase = JobPhase::Finished,
            (JobPhase::Running | JobPhase::Finished, _) => self.phase = JobPhase::Running,
            (JobPhase::Dormant | JobPhase::Failed(_), _) => {}
        }
        was_running && !self.is_running()
    }

    /// An output is to be made, again or after all; whether none was before.
    pub fn resume(&mut self) -> bool {
        let rested = !self.is_running();
        if !matches!(self.phase, JobPhase::Failed(_)) {
            self.phase = JobPhase::Running;
        }
        rested
    }

    /// All of it was dropped.
    pub fn note_dropped(&mut self) {
        if self.failed().is_none() {
            self.phase = JobPhase::Dormant;
        }
    }

    /// It cannot go on; all of it is to be dropped.
    pub fn fail(&mut self, why: JobError) {
        self.phase = JobPhase::Failed(why);
    }

    /// It ends for its client; whether that is to be said, for it is the first end or a failure.
    pub fn end_for_client(&mut self, end: &JobEnd, now_us: u64) -> bool {
        let before = self.client_phase.ended_us();
        let ended_us = before.unwrap_or(now_us);
        self.client_phase = match end {
            JobEnd::Computed => ClientPhase::Told { ended_us },
            JobEnd::Failed(_) | JobEnd::Released | JobEnd::ClientLost => ClientPhase::Gone { ended_us },
        };
        before.is_none() || matches!(end, JobEnd::Failed(_))
    }

    /// Checks that what each phase says is so. Whether its client is being told where the outputs are is said.
    ///
    /// # Panics
    /// If it is not.
    pub fn check_phases(&self, is_announced: bool) {
        match &self.phase {
            JobPhase::Running => assert!(self.outputs_left() > 0, "it runs, and all outputs exist"),
            JobPhase::Finished => assert_eq!(self.outputs_left(), 0, "it is finished, and outputs are left"),
            JobPhase::Dormant => assert!(self.has_nothing(), "it is dormant and has chunks"),
            JobPhase::Failed(_) => {
                assert!(self.has_nothing(), "it has failed and has chunks");
                // Those who read it may want it yet, as long as they need nothing of it: what they do need fails them.
                let held = self.client_phase.holds() || self.is_published;
                assert!(!held, "it has failed, and its client or its name holds it");
            }
        }
        assert!(self.wanted() || self.is_dropped(), "nobody wants it, and it has chunks");
        match self.client_phase {
            ClientPhase::Waits => assert!(self.is_running() || is_announced, "its client waits for nothing"),
            ClientPhase::Told { .. } => assert!(!self.is_dropped(), "what its client was told of is gone"),
            ClientPhase::Gone { .. } => assert!(!is_announced, "nobody wants to know where the outputs are"),
        }
    }
}

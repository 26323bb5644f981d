//! What the scheduler's log says of jobs, clients and workers: a line each when one begins and ends.
//!
//! Owns the words, and how many lines there may be: a program of many small jobs must not fill a disk. Must not decide
//! anything.

use std::collections::BTreeMap;
use tilework_plan::quantities::{bytes, count, counted, time_us};
use tilework_plan::{ClientHello, ClientId, Figures, Hello, JobError, JobNumber, WorkerId};
use tilework_scheduler_core::JobEnd;
use tracing::{Level, info, warn};

/// Lines about jobs in a minute; what would be more is counted.
const JOB_LINES_MAX: u32 = 120;
/// A minute, microseconds.
const MINUTE_US: u64 = 60_000_000;

/// The way to the log.
#[derive(Default)]
pub(crate) struct Journal {
    clients: BTreeMap<ClientId, ClientHello>,
    workers: BTreeMap<WorkerId, String>,
    quota: Quota,
}

impl Journal {
    pub fn worker_joined(&mut self, worker: WorkerId, hello: &Hello) {
        let (threads, memory) = (counted(hello.threads.into(), "thread"), bytes(hello.memory_bytes));
        let at = hello.addresses.join(" or ");
        info!(
            "worker {} joined: {threads}, {memory} of memory{}{at}",
            hello.name,
            if at.is_empty() { "" } else { ", at " }
        );
        self.workers.insert(worker, hello.name.clone());
    }

    pub fn worker_lost(&mut self, worker: WorkerId, why: &str) {
        if let Some(name) = self.workers.remove(&worker) {
            info!("worker {name} is gone: {why}");
        }
    }

    pub fn client_joined(&mut self, client: ClientId, hello: ClientHello) {
        info!("client {hello} connected");
        self.clients.insert(client, hello);
    }

    pub fn client_left(&mut self, client: ClientId) {
        if let Some(hello) = self.clients.remove(&client) {
            info!("client {hello} has gone");
        }
    }

    /// A client, in words.
    pub fn client(&self, client: ClientId) -> String {
        self.clients.get(&client).map_or_else(|| format!("client {}", client.0), ToString::to_string)
    }

    /// A job began; `title` is asked only if somebody will read it.
    pub fn job_began(
        &mut self,
        now_us: u64,
        (number, client): (JobNumber, ClientId),
        n_tasks: u64,
        title: impl FnOnce() -> Option<String>,
    ) {
        if tracing::enabled!(Level::INFO) && self.quota.take(now_us) {
            let (tasks, title) = (counted(n_tasks, "task"), title().unwrap_or_default());
            let of = self.clients.get(&client).map(|c| format!(", for {c}")).unwrap_or_default();
            info!("job {} began: {title}, {tasks}{of}", number.0);
        }
    }

    pub fn job_ended(&mut self, now_us: u64, number: JobNumber, end: &JobEnd, figures: &Figures) {
        if !tracing::enabled!(Level::WARN) || !self.quota.take(now_us) {
            return;
        }
        let (n, text) = (number.0, ended(end, figures));
        match end {
            JobEnd::Failed(JobError::Cancelled { .. })
            | JobEnd::Computed
            | JobEnd::Released
            | JobEnd::ClientLost => {
                info!("job {n} {text}");
            }
            JobEnd::Failed(_) => warn!("job {n} {text}"),
        }
    }
}

/// How a job ended and what it took.
fn ended(end: &JobEnd, figures: &Figures) -> String {
    let after = time_us(figures.elapsed_us);
    let tasks = counted(figures.n_tasks, "task");
    match end {
        JobEnd::Computed => {
            let mut text = format!("is done after {after}: {tasks}, {} in them", time_us(figures.busy_us));
            for (n, what) in [
                (figures.bytes_read, "read from files"),
                (figures.bytes_put, "put by the client"),
                (figures.bytes_moved, "moved between workers"),
                (figures.bytes_held_max, "held at the peak"),
                (figures.bytes_spilled, "written to disks for want of memory"),
            ] {
                if n > 0 {
                    text.push_str(&format!(", {} {what}", bytes(n)));
                }
            }
            text
        }
        JobEnd::Failed(error @ JobError::Cancelled { .. }) => {
            format!("ended after {after} and {tasks}: {error}")
        }
        JobEnd::Failed(error) => format!("failed after {after} and {tasks}: {error}"),
        JobEnd::Released => format!("ended after {after} and {tasks}: its client let go of it"),
        JobEnd::ClientLost => format!("ended after {after} and {tasks}: its client is gone"),
    }
}

/// How many lines may still be written in this minute.
#[derive(Default)]
struct Quota {
    since_us: u64,
    n_lines: u32,
    n_left_out: u64,
}

impl Quota {
    /// Whether one more may be. Says, once a minute is over, how many were left out in it.
    fn take(&mut self, now_us: u64) -> bool {
        if now_us.saturating_sub(self.since_us) >= MINUTE_US {
            if self.n_left_out > 0 {
                info!("{} more lines about jobs were left out", count(self.n_left_out));
            }
            *self = Quota { since_us: now_us, ..Quota::default() };
        }
        let room = self.n_lines < JOB_LINES_MAX;
        self.n_lines += u32::from(room);
        self.n_left_out += u64::from(!room);
        room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_say_what_was_taken_and_why() {
        let figures = Figures {
            n_tasks: 1200,
            bytes_read: 3_000_000_000,
            bytes_held_max: 16 << 20,
            busy_us: 125_000_000,
            elapsed_us: 63_000_000,
            ..Figures::default()
        };
        let done = "is done after 1m 3s: 1,200 tasks, 2m 5s in them, 3.00 GB read from files, 16.8 MB held at the peak";
        assert_eq!(ended(&JobEnd::Computed, &figures), done);
        let failed = |error| ended(&JobEnd::Failed(error), &figures);
        let refused = failed(JobError::Program("it is empty".into()));
        assert_eq!(refused, "failed after 1m 3s and 1,200 tasks: the program was refused: it is empty");
        let cancelled = failed(JobError::Cancelled { by: "anna".into() });
        assert_eq!(cancelled, "ended after 1m 3s and 1,200 tasks: the job was cancelled by anna");
    }

    #[test]
    fn a_minute_has_so_many_lines_and_no_more() {
        let mut quota = Quota::default();
        let taken = |quota: &mut Quota, now_us| (0..1000).filter(|_| quota.take(now_us)).count();
        assert_eq!(taken(&mut quota, 5), JOB_LINES_MAX as usize);
        assert_eq!(quota.n_left_out, 1000 - u64::from(JOB_LINES_MAX));
        assert_eq!(taken(&mut quota, MINUTE_US - 1), 0);
        assert_eq!(taken(&mut quota, MINUTE_US), JOB_LINES_MAX as usize);
    }
}

//! Memory and processor time of processes, as Linux counts them under `/proc`. Elsewhere nothing is found, and nothing is reported.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

/// Time between two searches for new processes: each reads a file for every process of the machine, on a core that
/// may be measured.
const SEARCH_EVERY: Duration = Duration::from_secs(1);

/// A line of `/proc/PID/status` that is a number of kB, in bytes: `VmRSS` (resident now), `VmHWM` (at most so far).
#[must_use]
pub fn status_bytes(pid: u32, field: &str) -> Option<u64> {
    status_field(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?, field)
}

/// The child processes of `pid`, without theirs.
#[must_use]
pub fn children(pid: u32) -> Vec<u32> {
    all_parents().into_iter().filter(|(_, parent)| *parent == pid).map(|(child, _)| child).collect()
}

/// Whether `pid` was started with this `NAME=value` in its environment.
#[must_use]
pub fn started_with(pid: u32, setting: &str) -> bool {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment.split(|b| *b == 0).any(|e| e == setting.as_bytes())
}

/// The sum of the peaks of a process and of all that descend from it, each as seen in the last sample of it.
///
/// Processes need not peak at one time, and what they share counts in each: this is an upper bound of what they
/// had together.
#[derive(Clone, Debug, Default)]
pub struct PeakOfTree {
    peaks: BTreeMap<u32, u64>,
    tree: Vec<u32>,
    searched: Option<Instant>,
}

impl PeakOfTree {
    /// Looks at every process of the tree now, after a search for new ones where the last was a while ago.
    pub fn sample(&mut self, root: u32) {
        if self.searched.is_none_or(|at| at.elapsed() >= SEARCH_EVERY) {
            self.tree = tree(root, &all_parents());
            self.searched = Some(Instant::now());
        }
        for &pid in &self.tree {
            if let Some(peak) = status_bytes(pid, "VmHWM") {
                self.peaks.insert(pid, peak);
            }
        }
    }

    /// Bytes; 0 where nothing was seen.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.peaks.values().sum()
    }

    /// The processes seen.
    pub fn processes(&self) -> impl Iterator<Item = u32> {
        self.peaks.keys().copied()
    }
}

/// Ticks of the processor time under `/proc`, a second: the same on every machine that Linux runs on.
const TICKS: f64 = 100.0;

/// Seconds of processor time that a process and all that descend from it have taken, those that have ended and were waited
/// for among them.
#[must_use]
pub fn cpu_seconds(root: u32) -> f64 {
    let stat = |pid: &u32| fs::read_to_string(format!("/proc/{pid}/stat")).ok();
    tree(root, &all_parents()).iter().filter_map(stat).filter_map(|stat| cpu_ticks(&stat)).sum::<f64>()
        / TICKS
}

/// The processor time in the text of `/proc/PID/stat`, of the process and of the children that it has waited for.
fn cpu_ticks(stat: &str) -> Option<f64> {
    let fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11).take(4);
    fields.map(|field| field.parse::<f64>().ok()).sum()
}

/// Every process and its parent.
fn all_parents() -> Vec<(u32, u32)> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| Some((pid, parent(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?)))
        .collect()
}

fn tree(root: u32, parents: &[(u32, u32)]) -> Vec<u32> {
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&pid) = found.get(next) {
        next += 1;
        found.extend(parents.iter().filter(|(_, p)| *p == pid).map(|(child, _)| *child));
    }
    found
}

/// The parent in the text of `/proc/PID/stat`: the second field after the name, which is in parentheses and may
/// hold any character.
fn parent(stat: &str) -> Option<u32> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

fn status_field(status: &str, field: &str) -> Option<u64> {
    let value = status.lines().find_map(|l| l.strip_prefix(field)?.strip_prefix(':'))?;
    Some(value.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_is_read_by_the_whole_name() {
        let status = "Name:\tx\nVmHWMx:\t9 kB\nVmHWM:\t   2048 kB\nVmRSS:\t 1 kB\n";
        assert_eq!(status_field(status, "VmHWM"), Some(2048 * 1024));
        assert_eq!(status_field(status, "Vm"), None);
    }

    #[test]
    fn a_name_may_hold_parentheses() {
        assert_eq!(parent("12 (a) S (b) R 7 12 12 0"), Some(7));
        assert_eq!(parent("nothing"), None);
    }

    #[test]
    fn processor_time_is_that_of_the_process_and_its_children() {
        assert_eq!(cpu_ticks("7 (a b) S 1 7 7 0 -1 0 1 2 3 4 10 20 30 40 20 0"), Some(100.0));
        assert_eq!(cpu_ticks("7 (a) S 1"), Some(0.0));
    }

    #[test]
    fn the_tree_holds_children_of_children() {
        let parents = [(2, 1), (3, 2), (4, 1), (5, 9), (1, 0)];
        assert_eq!(tree(1, &parents), [1, 2, 4, 3]);
        assert_eq!(tree(5, &parents), [5]);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_child_is_found_with_its_environment_and_memory() {
        let mut command = std::process::Command::new("sleep");
        let mut child = command.arg("60").env("TILEWORK_TEST_OF_CHILDREN", "7").spawn().unwrap();
        assert!(children(std::process::id()).contains(&child.id()));
        // Until the new program's memory is set up, the system shows the old one's or none: `spawn` returns before.
        while !started_with(child.id(), "TILEWORK_TEST_OF_CHILDREN=7") {
            assert!(child.try_wait().unwrap().is_none(), "the child has ended");
            std::thread::yield_now();
        }
        assert!(!started_with(child.id(), "TILEWORK_TEST_OF_CHILDREN=8"));
        let mut peak = PeakOfTree::default();
        peak.sample(std::process::id());
        assert!(peak.processes().any(|p| p == child.id()));
        assert!(peak.bytes() > 0);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

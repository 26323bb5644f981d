//! How many processors, how much memory and how many descriptors this process may use.
//!
//! Owns: reading Slurm's variables, control groups' memory and the system's free memory, and taking the least; the
//! standard library knows the affinity mask and the quota of processors. Must not know: what the processors and the
//! memory are used for.
//!
//! A node is shared with strangers: the machine's own numbers are never the answer.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::path::Path;

/// The part of a memory limit that is left to what nobody counts (stacks, buffers, the allocator's slack).
pub const MEMORY_MARGIN_PERCENT: u64 = 10;
/// What is taken where nothing says how much memory there is.
pub const MEMORY_UNKNOWN_BYTES: u64 = 1 << 30;

/// Descriptors that a server's process asks for: connections of a large cluster, and files.
pub const DESCRIPTORS_WANTED: u64 = 65_536;
/// What is taken where the system sets no limit of descriptors.
const DESCRIPTORS_UNKNOWN: u64 = 1 << 20;

const CGROUP_ROOT: &str = "/sys/fs/cgroup";

/// A limit and who set it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Processors, or bytes.
    pub value: u64,
    /// Who set it, for a message.
    pub from: &'static str,
}

/// What the limits are read from: the environment and the files of the system.
#[derive(Clone, Copy)]
pub struct Host<'a> {
    /// A variable of the environment.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// A file's content.
    pub read: &'a dyn Fn(&Path) -> Option<String>,
    /// How many processors the affinity mask and the control groups' quotas allow.
    pub processors: u64,
}

/// How many threads this process should compute with; at least 1.
#[must_use]
pub fn cpus() -> usize {
    usize::try_from(with_this_host(cpus_of).value).unwrap_or(usize::MAX)
}

/// How many bytes this process may hold, the margin taken off.
#[must_use]
pub fn memory_bytes() -> u64 {
    memory().value
}

/// As [`memory_bytes`], with who set the limit.
#[must_use]
pub fn memory() -> Limit {
    with_this_host(memory_of)
}

/// How many descriptors this process may have.
#[must_use]
pub fn descriptors_max() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(DESCRIPTORS_UNKNOWN)
}

/// Raises that to [`DESCRIPTORS_WANTED`], or as far as this process may by itself; says how many they are. For processes
/// that are servers: what they start inherits it.
pub fn raise_descriptors_max() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(DESCRIPTORS_WANTED, |most| most.min(DESCRIPTORS_WANTED));
    if limit.current.is_some_and(|now| now < wanted) {
        // Err: it stays as it is, and is enough for smaller clusters.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), ..limit });
    }
    descriptors_max()
}

/// The processors of a process on this host: the least of what the system allows and Slurm's grant.
#[must_use]
pub fn cpus_of(host: &Host) -> Limit {
    let system = Limit { value: host.processors, from: "the CPU affinity mask or quota" };
    let mut limits = vec![system];
    if let Some(value) = host.number("SLURM_CPUS_PER_TASK") {
        limits.push(Limit { value, from: "SLURM_CPUS_PER_TASK" });
    } else if let Some(value) = host.number("SLURM_CPUS_ON_NODE") {
        limits.push(Limit { value: value / host.tasks_on_node(), from: "SLURM_CPUS_ON_NODE" });
    }
    let least = least(limits).unwrap_or(system);
    Limit { value: least.value.max(1), ..least }
}

/// The memory of a process on this host, in bytes.
///
/// The least of what Slurm granted, the control group's limit and what is available. What is given to the
/// node as a whole is divided by the tasks that Slurm started there.
#[must_use]
pub fn memory_of(host: &Host) -> Limit {
    let tasks = host.tasks_on_node();
    let mut limits = Vec::new();
    let mut add = |value: Option<u64>, from| limits.extend(value.map(|value| Limit { value, from }));
    add(host.slurm_mebibytes("SLURM_MEM_PER_NODE").map(|b| b / tasks), "SLURM_MEM_PER_NODE");
    let per_cpu = host.slurm_mebibytes("SLURM_MEM_PER_CPU");
    add(per_cpu.map(|bytes| bytes.saturating_mul(cpus_of(host).value)), "SLURM_MEM_PER_CPU");
    add(host.cgroup_memory().map(|b| b / tasks), "the control group's memory limit");
    add(host.available_memory().map(|b| b / tasks), "the memory available");
    let unknown = Limit { value: MEMORY_UNKNOWN_BYTES, from: "a guess" };
    let least = least(limits).unwrap_or(unknown);
    Limit { value: least.value - least.value / 100 * MEMORY_MARGIN_PERCENT, ..least }
}

/// The first of the least.
fn least(limits: Vec<Limit>) -> Option<Limit> {
    limits.into_iter().min_by_key(|limit| limit.value)
}

impl Host<'_> {
    /// A variable that is a positive number.
    fn number(&self, name: &str) -> Option<u64> {
        (self.env)(name)?.trim().parse().ok().filter(|n| *n > 0)
    }

    /// A memory variable of Slurm in bytes: mebibytes, or with a suffix. 0 is "all of the node", no limit.
    fn slurm_mebibytes(&self, name: &str) -> Option<u64> {
        let text = (self.env)(name)?;
        let text = text.trim();
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let shift = match text[digits.len()..].to_ascii_uppercase().as_str() {
            "K" | "KB" => 10,
            "" | "M" | "MB" => 20,
            "G" | "GB" => 30,
            "T" | "TB" => 40,
            _ => return None,
        };
        digits.parse::<u64>().ok()?.checked_mul(1 << shift).filter(|bytes| *bytes > 0)
    }

    /// How many tasks Slurm started on this node; 1 outside Slurm.
    ///
    /// The step's own list first: it is the one that this process is a task of.
    fn tasks_on_node(&self) -> u64 {
        let node = (self.env)("SLURM_NODEID").and_then(|n| n.trim().parse().ok()).unwrap_or(0);
        let listed = |name: &str| (self.env)(name).and_then(|list| task_count(&list, node));
        listed("SLURM_STEP_TASKS_PER_NODE")
            .or_else(|| self.number("SLURM_NTASKS_PER_NODE"))
            .or_else(|| listed("SLURM_TASKS_PER_NODE"))
            .unwrap_or(1)
    }

    fn available_memory(&self) -> Option<u64> {
        let meminfo = (self.read)(Path::new("/proc/meminfo"))?;
        let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
    }

    fn cgroup_memory(&self) -> Option<u64> {
        self.cgroup_least(|group| match group.version {
            2 => group.number("memory.max").into_iter().chain(group.number("memory.high")).min(),
            _ => group.number("memory.limit_in_bytes"),
        })
    }

    /// The least of a limit over our control groups and those above them, all of which apply.
    fn cgroup_least(&self, limit: impl Fn(&Group) -> Option<u64>) -> Option<u64> {
        let ours = (self.read)(Path::new("/proc/self/cgroup"))?;
        let mut found = None;
        for line in ours.lines() {
            let mut parts = line.splitn(3, ':').skip(1);
            let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
            let version = if controllers.is_empty() { 2 } else { 1 };
            let mount =
                if version == 2 { CGROUP_ROOT.to_owned() } else { format!("{CGROUP_ROOT}/{controllers}") };
            // In a container the path may be the outside's; then only the root is there, and it is ours.
            let mut path = path.trim_end_matches('/');
            loop {
                let group = Group { host: self, dir: format!("{mount}{path}"), version };
                found = found.into_iter().chain(limit(&group)).min();
                let Some((above, _)) = path.rsplit_once('/') else { break };
                path = above;
            }
        }
        found
    }
}

/// One control group.
struct Group<'a> {
    host: &'a Host<'a>,
    dir: String,
    version: u8,
}

impl Group<'_> {
    fn text(&self, file: &str) -> Option<String> {
        (self.host.read)(&Path::new(&self.dir).join(file))
    }

    /// `None` also for "max" and -1, which are no limits.
    fn number(&self, file: &str) -> Option<u64> {
        self.text(file)?.trim().parse().ok()
    }
}

/// The entry of a node in Slurm's list: `2(x3),1` is 2, 2, 2, 1. For a node beyond it, the most.
fn task_count(list: &str, node: u64) -> Option<u64> {
    let mut nodes_before = 0u64;
    let mut most = None;
    for part in list.trim().split(',') {
        let (count, times) = part.split_once("(x").unwrap_or((part, "1)"));
        let count: u64 = count.parse().ok().filter(|n| *n > 0)?;
        nodes_before = nodes_before.checked_add(times.strip_suffix(')')?.parse().ok()?)?;
        if node < nodes_before {
            return Some(count);
        }
        most = most.max(Some(count));
    }
    most
}

fn with_this_host<T>(ask: impl Fn(&Host) -> T) -> T {
    let env = |name: &str| std::env::var(name).ok();
    let read = |path: &Path| std::fs::read_to_string(path).ok();
    let processors = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    ask(&Host { env: &env, read: &read, processors })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    /// `NAME=value` is a variable, `/path=content` a file; `;` in a content is a new line.
    fn ask<T>(facts: &[&str], processors: u64, question: impl Fn(&Host) -> T) -> T {
        let find = |key: &str| {
            let of_it = |fact: &&&str| fact.split_once('=').is_some_and(|(name, _)| name == key);
            facts
                .iter()
                .find(of_it)
                .and_then(|fact| fact.split_once('='))
                .map(|(_, value)| value.replace(';', "\n"))
        };
        let (env, read) = (|name: &str| find(name), |path: &Path| find(path.to_str().unwrap()));
        question(&Host { env: &env, read: &read, processors })
    }

    #[test]
    fn processors_are_the_least_of_all_limits() {
        let cases: &[(&[&str], u64, u64, &str)] = &[
            (&[], 8, 8, "the CPU affinity mask or quota"),
            (&[], 0, 1, "the CPU affinity mask or quota"),
            (&["SLURM_CPUS_PER_TASK=4", "SLURM_CPUS_ON_NODE=2"], 64, 4, "SLURM_CPUS_PER_TASK"),
            (&["SLURM_CPUS_PER_TASK=4"], 2, 2, "the CPU affinity mask or quota"),
            (&["SLURM_CPUS_PER_TASK=0"], 2, 2, "the CPU affinity mask or quota"),
            (&["SLURM_CPUS_PER_TASK=many"], 2, 2, "the CPU affinity mask or quota"),
            (&["SLURM_CPUS_ON_NODE=16", "SLURM_NTASKS_PER_NODE=4"], 64, 4, "SLURM_CPUS_ON_NODE"),
            (&["SLURM_CPUS_ON_NODE=1", "SLURM_NTASKS_PER_NODE=4"], 64, 1, "SLURM_CPUS_ON_NODE"),
        ];
        for (facts, processors, value, from) in cases {
            assert_eq!(ask(facts, *processors, cpus_of), Limit { value: *value, from }, "{facts:?}");
        }
    }

    #[test]
    fn memory_is_the_least_of_all_limits_less_the_margin() {
        let free = "/proc/meminfo=MemTotal: 99999999 kB;MemAvailable:   67108864 kB;Buffers: 1 kB"; // 64 GiB
        let cases: &[(&[&str], u64, &str)] = &[
            (&[], GIB, "a guess"),
            (&[free], 64 * GIB, "the memory available"),
            (&[free, "SLURM_NTASKS_PER_NODE=4"], 16 * GIB, "the memory available"),
            (&[free, "SLURM_MEM_PER_NODE=8192"], 8 * GIB, "SLURM_MEM_PER_NODE"),
            (&[free, "SLURM_MEM_PER_NODE=8G"], 8 * GIB, "SLURM_MEM_PER_NODE"),
            (&[free, "SLURM_MEM_PER_NODE=0"], 64 * GIB, "the memory available"),
            (&[free, "SLURM_MEM_PER_NODE=99999999999999999T"], 64 * GIB, "the memory available"),
            (&[free, "SLURM_MEM_PER_NODE=8192", "SLURM_NTASKS_PER_NODE=2"], 4 * GIB, "SLURM_MEM_PER_NODE"),
            (
                &[free, "SLURM_MEM_PER_NODE=8192", "SLURM_TASKS_PER_NODE=4(x2),1", "SLURM_NODEID=2"],
                8 * GIB,
                "SLURM_MEM_PER_NODE",
            ),
            // The step's list is nearer than the job's.
            (
                &[
                    free,
                    "SLURM_MEM_PER_NODE=8192",
                    "SLURM_TASKS_PER_NODE=8",
                    "SLURM_NTASKS_PER_NODE=8",
                    "SLURM_STEP_TASKS_PER_NODE=2",
                ],
                4 * GIB,
                "SLURM_MEM_PER_NODE",
            ),
            // Per processor times our processors (2 of the 8 in the mask), whatever the tasks.
            (
                &[free, "SLURM_MEM_PER_CPU=1024", "SLURM_CPUS_PER_TASK=2", "SLURM_NTASKS_PER_NODE=4"],
                2 * GIB,
                "SLURM_MEM_PER_CPU",
            ),
            // The group above limits us as well.
            (
                &[
                    free,
                    "/proc/self/cgroup=0::/job/step",
                    "/sys/fs/cgroup/job/memory.max=4294967296",
                    "/sys/fs/cgroup/job/step/memory.max=max",
                    "/sys/fs/cgroup/job/step/memory.high=17179869184",
                ],
                4 * GIB,
                "the control group's memory limit",
            ),
            (
                &[
                    free,
                    "/proc/self/cgroup=9:memory:/slurm/job_7;0::/",
                    "/sys/fs/cgroup/memory/memory.limit_in_bytes=9223372036854771712",
                    "/sys/fs/cgroup/memory/slurm/job_7/memory.limit_in_bytes=2147483648",
                ],
                2 * GIB,
                "the control group's memory limit",
            ),
        ];
        for (facts, bytes, from) in cases {
            let got = ask(facts, 8, memory_of);
            assert_eq!(got, Limit { value: bytes - bytes / 100 * MEMORY_MARGIN_PERCENT, from }, "{facts:?}");
        }
    }

    #[test]
    fn a_list_of_tasks_is_read_as_slurm_writes_it() {
        let cases = [
            ("2", 0, Some(2)),
            ("2(x3),1", 2, Some(2)),
            ("2(x3),1", 3, Some(1)),
            ("1,4(x2)", 9, Some(4)),
            ("", 0, None),
            ("0", 0, None),
            ("2(x", 0, None),
            ("2(x3", 0, None),
            ("a,b", 0, None),
            ("1(x18446744073709551615),1(x9)", 0, Some(1)),
        ];
        for (list, node, expected) in cases {
            assert_eq!(task_count(list, node), expected, "{list} {node}");
        }
    }

    #[test]
    fn this_host_has_processors_and_memory() {
        let allowed = std::thread::available_parallelism().unwrap().get();
        assert!((1..=allowed).contains(&cpus()));
        assert!(memory_bytes() > 1 << 20);
    }
}

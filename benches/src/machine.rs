//! What a result needs beside it to mean something: the machine, and the command.

use crate::table;

/// This machine in one line: cores that this process may use, processor, widest vectors, memory. Parts that the
/// system does not tell are left out.
#[must_use]
pub fn facts() -> String {
    let read = |file| std::fs::read_to_string(file).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    describe(cores, &read("/proc/cpuinfo"), &read("/proc/meminfo"))
}

/// The command line that makes a benchmark's results again.
#[must_use]
pub fn command(bin: &str, options: &[(&str, String)]) -> String {
    let options = options.iter().map(|(name, value)| format!(" --{name} {value}"));
    format!("cargo run --release --bin {bin} --{}", options.collect::<String>())
}

fn describe(cores: usize, cpuinfo: &str, meminfo: &str) -> String {
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|l| l.split(':').next().is_some_and(|n| n.trim() == name))?;
        Some(line.split_once(':')?.1.trim().to_string())
    };
    let mut parts = vec![format!("{cores} {}", if cores == 1 { "core" } else { "cores" })];
    parts.extend(field(cpuinfo, "model name"));
    let flags = field(cpuinfo, "flags").unwrap_or_default();
    let has = |flag: &str| flags.split_whitespace().any(|f| f == flag);
    let vectors =
        [("avx512f", "AVX-512"), ("avx2", "AVX2"), ("avx", "AVX")].into_iter().find(|(flag, _)| has(flag));
    parts.extend(vectors.map(|(_, name)| name.to_string()));
    let kib = field(meminfo, "MemTotal").and_then(|m| m.split_whitespace().next()?.parse::<u64>().ok());
    parts.extend(kib.map(|kib| format!("{} of memory", table::bytes(kib * 1024))));
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_told_as_far_as_known() {
        let cpuinfo =
            "processor\t: 0\nmodel name\t: AMD EPYC\nflags\t\t: fpu avx avx2 fma\n\nprocessor\t: 1\n";
        let meminfo = "MemTotal:       24000000 kB\nMemFree: 1 kB\n";
        assert_eq!(describe(2, cpuinfo, meminfo), "2 cores, AMD EPYC, AVX2, 24.6 GB of memory");
        assert_eq!(describe(1, "", ""), "1 core");
    }

    #[test]
    fn the_command_can_be_pasted() {
        let options = [("n", "4000".to_string()), ("chunks", "250,500".to_string())];
        let expected = "cargo run --release --bin chunk-size -- --n 4000 --chunks 250,500";
        assert_eq!(command("chunk-size", &options), expected);
    }
}

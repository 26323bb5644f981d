//! Settings: defaults, then a TOML file, then the environment, then flags. Unknown keys in the file are errors.

use crate::args::Output;
use anyhow::{Context, bail};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tilework_cluster::{connection, limits};

/// One setting: its key, the variable that sets it, and what it means.
struct Key {
    key: &'static str,
    variable: &'static str,
    help: &'static str,
}

const fn key(key: &'static str, variable: &'static str, help: &'static str) -> Key {
    Key { key, variable, help }
}

const KEYS: [Key; 10] = [
    key("connection_file", "TILEWORK_CONNECTION", "the file that names the cluster"),
    key("scheduler.listen", "TILEWORK_SCHEDULER_LISTEN", "where the scheduler listens"),
    key("scheduler.announce", "TILEWORK_SCHEDULER_ANNOUNCE", "which addresses it announces; all when empty"),
    key("worker.name", "TILEWORK_WORKER_NAME", "the worker's name"),
    key("worker.listen", "TILEWORK_WORKER_LISTEN", "where the worker's chunk service listens"),
    key("worker.announce", "TILEWORK_WORKER_ANNOUNCE", "which addresses it announces; all when empty"),
    key("worker.threads", "TILEWORK_WORKER_THREADS", "threads that compute"),
    key("worker.memory", "TILEWORK_WORKER_MEMORY", "memory for chunks and tasks"),
    key("worker.wait", "TILEWORK_WORKER_WAIT", "seconds to wait for the connection file"),
    key("worker.patience", "TILEWORK_WORKER_PATIENCE", "seconds to look for a scheduler that is gone"),
];

/// A value and where it comes from.
#[derive(Clone, Debug)]
struct Setting {
    value: String,
    from: String,
}

/// All settings.
#[derive(Debug)]
pub(crate) struct Settings(BTreeMap<&'static str, Setting>);

impl Settings {
    /// Lays flags over environment over file over defaults.
    pub(crate) fn load(file: Option<&Path>, flags: &[(&'static str, String)]) -> anyhow::Result<Settings> {
        let mut settings = Settings(defaults()?);
        let (path, required) = match file {
            Some(path) => (Some(path.to_owned()), true),
            None => (default_file(), false),
        };
        if let Some(path) = path.filter(|p| required || p.exists()) {
            let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            settings.lay_file(&text).with_context(|| format!("in {}", path.display()))?;
        }
        for Key { key, variable, .. } in &KEYS {
            if let Some(value) = std::env::var(variable).ok().filter(|v| !v.is_empty()) {
                settings.set(key, value, format!("environment {variable}"));
            }
        }
        for (key, value) in flags {
            settings.set(key, value.clone(), "flag".into());
        }
        Ok(settings)
    }

    fn set(&mut self, key: &'static str, value: String, from: String) {
        self.0.insert(key, Setting { value, from });
    }

    fn lay_file(&mut self, text: &str) -> anyhow::Result<()> {
        let table: toml::Table = text.parse()?;
        let mut flat: Vec<(String, toml::Value)> = Vec::new();
        for (name, value) in table {
            match value {
                toml::Value::Table(inner) => flat.extend(inner.into_iter().map(|(k, v)| (format!("{name}.{k}"), v))),
                other => flat.push((name, other)),
            }
        }
        for (name, value) in flat {
            let Some(Key { key, .. }) = KEYS.iter().find(|k| k.key == name) else {
                let known: Vec<&str> = KEYS.iter().map(|k| k.key).collect();
                bail!("unknown setting `{name}`; known are {}", known.join(", "));
            };
            let value = match value {
                toml::Value::String(s) => s,
                toml::Value::Integer(i) => i.to_string(),
                other => bail!("setting `{name}`: got {other}, expected text or a whole number"),
            };
            self.set(key, value, "file".into());
        }
        Ok(())
    }

    fn get(&self, key: &'static str) -> &Setting {
        &self.0[key]
    }

    /// A setting's text.
    pub(crate) fn text(&self, key: &'static str) -> String {
        self.get(key).value.clone()
    }

    /// A setting's text, none where it is empty.
    pub(crate) fn optional(&self, key: &'static str) -> Option<String> {
        Some(self.text(key)).filter(|t| !t.is_empty())
    }

    /// A whole number of at least `least`.
    pub(crate) fn number(&self, key: &'static str, least: u64) -> anyhow::Result<u64> {
        let Setting { value, from } = self.get(key);
        let bad = || format!("{key} = {value} ({from}): expected a whole number of at least {least}");
        let number: u64 = value.parse().with_context(bad)?;
        anyhow::ensure!(number >= least, bad());
        Ok(number)
    }

    /// A number of bytes.
    pub(crate) fn bytes(&self, key: &'static str) -> anyhow::Result<u64> {
        let Setting { value, from } = self.get(key);
        parse_bytes(value).with_context(|| format!("{key} = {value} ({from}): expected bytes, such as 4GiB or 500MB"))
    }
}

fn defaults() -> anyhow::Result<BTreeMap<&'static str, Setting>> {
    let file = connection::default_dir()?.join("connection.json");
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_else(|_| "host".into());
    let memory = limits::memory();
    let plain = |value: &str| Setting { value: value.into(), from: "default".into() };
    Ok(BTreeMap::from([
        ("connection_file", plain(&file.display().to_string())),
        ("scheduler.listen", plain("*:0")),
        ("scheduler.announce", plain("")),
        ("worker.name", plain(&format!("{}-{}", host.trim(), std::process::id()))),
        ("worker.listen", plain("*:0")),
        ("worker.announce", plain("")),
        ("worker.threads", plain(&limits::cpus().to_string())),
        ("worker.memory", Setting { value: memory.value.to_string(), from: format!("default: {}", memory.from) }),
        ("worker.wait", plain("60")),
        ("worker.patience", plain("15")),
    ]))
}

fn default_file() -> Option<PathBuf> {
    let base = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
    let base = base.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".config")))?;
    Some(base.join("tilework/config.toml"))
}

/// `4GiB`, `500 MB`, `1024`.
fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let scale: u64 = match unit.trim() {
        "" | "B" => 1,
        "kB" | "KB" => 1000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "K" | "KiB" => 1 << 10,
        "M" | "MiB" => 1 << 20,
        "G" | "GiB" => 1 << 30,
        "T" | "TiB" => 1 << 40,
        _ => return None,
    };
    let bytes = match number.parse::<u64>() {
        Ok(whole) => whole.checked_mul(scale)?,
        Err(_) => (number.parse::<f64>().ok()? * scale as f64) as u64,
    };
    (bytes > 0).then_some(bytes)
}

/// Prints every setting, its value and where that comes from.
pub(crate) fn show(settings: &Settings, output: Output) -> anyhow::Result<()> {
    match output {
        Output::Quiet => {}
        Output::Json => {
            let entry = |s: &Setting| serde_json::json!({ "value": s.value, "from": s.from });
            let all: serde_json::Map<_, _> = settings.0.iter().map(|(k, s)| ((*k).to_owned(), entry(s))).collect();
            println!("{}", serde_json::to_string_pretty(&all)?);
        }
        Output::Human => {
            for Key { key, variable, help } in &KEYS {
                let Setting { value, from } = settings.get(key);
                println!("{key} = {value:?}\n    {help}; from: {from}; set it by {variable}");
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_as_people_write_them() {
        for (text, want) in [("1024", 1024), ("4GiB", 4 << 30), ("500 MB", 500_000_000), ("1.5K", 1536)] {
            assert_eq!(parse_bytes(text), Some(want), "{text}");
        }
        for bad in ["", "GiB", "4 Gigs", "-1", "0", "99999999999GiB"] {
            assert_eq!(parse_bytes(bad), None, "{bad}");
        }
    }

    #[test]
    fn files_lie_over_defaults_and_unknown_keys_are_errors() {
        let mut settings = Settings(defaults().unwrap());
        settings.lay_file("connection_file = 'a'\n[worker]\nthreads = 3\n").unwrap();
        assert_eq!(settings.number("worker.threads", 1).unwrap(), 3);
        assert_eq!(settings.text("connection_file"), "a");
        let text = settings.lay_file("[worker]\nthread = 3\n").unwrap_err().to_string();
        assert!(text.contains("`worker.thread`") && text.contains("worker.threads"), "{text}");
        settings.set("worker.threads", "0".into(), "flag".into());
        let text = settings.number("worker.threads", 1).unwrap_err().to_string();
        assert!(text.contains("worker.threads = 0 (flag)"), "{text}");
    }
}

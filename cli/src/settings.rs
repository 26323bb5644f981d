//! Settings in four layers: defaults, the configuration file, the environment, flags; the later one wins.
//!
//! Owns the list of settings and the refusal of unknown ones. Must not know what they are for.

use anyhow::{Context, anyhow, bail};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tilework_cluster::connection::default_dir;
use tilework_cluster::limits;
use tilework_plan::quantities::bytes_in;
use tilework_plan::{Tags, tags_of};
use tilework_scheduler::Limits;
use tilework_worker::process::{self, STOP_LIMIT, TASK_LIMIT};

/// Where a setting came from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    Default,
    File(PathBuf),
    Environment(&'static str),
    Flag,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File(path) => write!(f, "file {}", path.display()),
            Origin::Environment(name) => write!(f, "environment {name}"),
            Origin::Flag => f.write_str("flag"),
        }
    }
}

/// One setting that there is.
struct Known {
    key: &'static str,
    variable: &'static str,
    default: fn() -> anyhow::Result<String>,
}

const KNOWN: [Known; 17] = [
    Known { key: "connection-file", variable: "TILEWORK_CONNECTION", default: default_file },
    Known { key: "scheduler.announce", variable: "TILEWORK_SCHEDULER_ANNOUNCE", default: nothing },
    Known { key: "scheduler.listen", variable: "TILEWORK_SCHEDULER_LISTEN", default: anywhere },
    Known {
        key: "scheduler.silence-limit",
        variable: "TILEWORK_SCHEDULER_SILENCE_LIMIT",
        default: || Ok((Limits::default().silence_max_us.unwrap_or_default() / 1_000_000).to_string()),
    },
    Known { key: "worker.announce", variable: "TILEWORK_WORKER_ANNOUNCE", default: nothing },
    Known { key: "worker.listen", variable: "TILEWORK_WORKER_LISTEN", default: anywhere },
    Known {
        key: "worker.memory",
        variable: "TILEWORK_WORKER_MEMORY",
        default: || Ok(limits::memory_bytes().to_string()),
    },
    Known { key: "worker.name", variable: "TILEWORK_WORKER_NAME", default: worker_name },
    Known { key: "worker.program", variable: "TILEWORK_WORKER_PROGRAM", default: nothing },
    Known { key: "worker.patience", variable: "TILEWORK_WORKER_PATIENCE", default: || Ok("30".into()) },
    Known { key: "worker.spill-dir", variable: "TILEWORK_WORKER_SPILL_DIR", default: nothing },
    Known { key: "worker.spill-limit", variable: "TILEWORK_WORKER_SPILL_LIMIT", default: nothing },
    Known {
        key: "worker.stop-limit",
        variable: "TILEWORK_WORKER_STOP_LIMIT",
        default: || Ok(STOP_LIMIT.as_secs().to_string()),
    },
    Known { key: "worker.tags", variable: "TILEWORK_WORKER_TAGS", default: nothing },
    Known {
        key: "worker.task-limit",
        variable: "TILEWORK_WORKER_TASK_LIMIT",
        default: || Ok(TASK_LIMIT.as_secs().to_string()),
    },
    Known {
        key: "worker.threads",
        variable: "TILEWORK_WORKER_THREADS",
        default: || Ok(limits::cpus().to_string()),
    },
    Known { key: "worker.wait", variable: "TILEWORK_WORKER_WAIT", default: || Ok("60".into()) },
];

/// Variables of these groups are settings; one that is none of them is an error.
const GROUPS: [&str; 2] = ["TILEWORK_SCHEDULER_", "TILEWORK_WORKER_"];
/// Save these, which belong to the batch script.
const OF_OTHERS: [&str; 2] = ["TILEWORK_SCHEDULER_ARGS", "TILEWORK_WORKER_ARGS"];
/// Says that workers are this program.
const NO_PROGRAM: &str = "none";
/// Names the configuration file.
const FILE_VARIABLE: &str = "TILEWORK_CONFIG";

fn nothing() -> anyhow::Result<String> {
    Ok(String::new())
}

fn anywhere() -> anyhow::Result<String> {
    Ok("*:0".into())
}

fn default_file() -> anyhow::Result<String> {
    Ok(default_dir()?.join("connection.json").display().to_string())
}

fn worker_name() -> anyhow::Result<String> {
    Ok(format!("{}-{}", tilework_cluster::who::host(), std::process::id()))
}

/// The variables of this process that may concern us.
pub fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
        .filter(|(k, _)| k.starts_with("TILEWORK_") || k == "XDG_CONFIG_HOME" || k == "HOME")
        .collect()
}

/// All settings, and where each came from.
#[derive(Debug)]
pub struct Settings {
    values: BTreeMap<&'static str, (String, Origin)>,
}

impl Settings {
    /// Puts the layers together.
    ///
    /// # Errors
    /// A configuration file that was named and is not there or is none; an unknown key.
    pub fn load(
        named: Option<&Path>,
        flags: &[(&'static str, String)],
        env: &BTreeMap<String, String>,
    ) -> anyhow::Result<Settings> {
        let mut values = BTreeMap::new();
        for known in &KNOWN {
            // A default that cannot be had matters only where it is asked for.
            let default = (known.default)().unwrap_or_default();
            values.insert(known.key, (default, Origin::Default));
        }
        if let Some(path) = file_of(named, env) {
            for (key, value) in read_file(&path)? {
                values.insert(key, (value, Origin::File(path.clone())));
            }
        }
        for (name, value) in env {
            if let Some(known) = KNOWN.iter().find(|k| k.variable == name) {
                values.insert(known.key, (value.clone(), Origin::Environment(known.variable)));
            } else if GROUPS.iter().any(|g| name.starts_with(g)) && !OF_OTHERS.contains(&name.as_str()) {
                let known: Vec<_> = KNOWN.iter().map(|k| k.variable).collect();
                bail!("unknown variable {name}, expected one of {}", known.join(", "));
            }
        }
        for (key, value) in flags {
            values.insert(key, (value.clone(), Origin::Flag));
        }
        Ok(Settings { values })
    }

    /// All of them: key, value, origin.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &str, &Origin)> {
        self.values.iter().map(|(key, (value, origin))| (*key, value.as_str(), origin))
    }

    /// The text of a setting.
    ///
    /// # Panics
    /// If there is no such setting.
    pub fn text(&self, key: &str) -> &str {
        &self.values[key].0
    }

    /// The text of a setting that may be empty.
    pub fn optional(&self, key: &str) -> Option<String> {
        Some(self.text(key).to_owned()).filter(|t| !t.is_empty())
    }

    /// The program that workers are, where it is not this one.
    pub fn program(&self) -> Option<&str> {
        Some(self.text("worker.program")).filter(|name| !["", NO_PROGRAM].contains(name))
    }

    /// The path of the connection file.
    pub fn connection_file(&self) -> anyhow::Result<PathBuf> {
        match self.text("connection-file") {
            "" => Err(anyhow!("no connection file: HOME is not set; name one with --connection-file")),
            path => Ok(PathBuf::from(path)),
        }
    }

    /// A setting that says how much memory.
    pub fn bytes(&self, key: &str) -> anyhow::Result<u64> {
        self.parsed(key, "a size as in 4GiB", |t| bytes_in(t).filter(|&b| b > 0))
    }

    /// A setting that says how much of something, or nothing.
    pub fn bytes_or_none(&self, key: &str) -> anyhow::Result<Option<u64>> {
        if self.text(key).is_empty() {
            return Ok(None);
        }
        self.parsed(key, "a size as in 40GiB, or 0", bytes_in).map(Some)
    }

    /// A setting that counts something.
    pub fn count(&self, key: &str) -> anyhow::Result<usize> {
        self.parsed(key, "a number above 0", |t| t.parse().ok().filter(|&n| n > 0))
    }

    /// A setting that says how many seconds.
    pub fn seconds(&self, key: &str) -> anyhow::Result<Duration> {
        self.parsed(key, "a number of seconds", |t| Duration::try_from_secs_f64(t.parse().ok()?).ok())
    }

    /// A setting that says how many seconds at most; any number where it says `none`.
    pub fn limit(&self, key: &str) -> anyhow::Result<Option<Duration>> {
        self.parsed(key, "a number of seconds, or none", process::limit)
    }

    /// A setting that is a list of tags.
    pub fn tags(&self, key: &str) -> anyhow::Result<Tags> {
        self.parsed(key, "a list as in gpu,big", tags_of)
    }

    fn parsed<T>(&self, key: &str, expected: &str, parse: impl Fn(&str) -> Option<T>) -> anyhow::Result<T> {
        let (text, origin) = &self.values[key];
        parse(text).ok_or_else(|| anyhow!("{key} ({origin}): got {text:?}, expected {expected}"))
    }
}

/// The configuration file, if one is named or the usual one exists.
fn file_of(named: Option<&Path>, env: &BTreeMap<String, String>) -> Option<PathBuf> {
    if let Some(path) = named.map(Path::to_owned).or_else(|| env.get(FILE_VARIABLE).map(PathBuf::from)) {
        return Some(path);
    }
    let dir = match env.get("XDG_CONFIG_HOME").filter(|d| d.starts_with('/')) {
        Some(dir) => PathBuf::from(dir),
        None => Path::new(env.get("HOME")?).join(".config"),
    };
    Some(dir.join("tilework/config.toml")).filter(|path| path.is_file())
}

fn read_file(path: &Path) -> anyhow::Result<Vec<(&'static str, String)>> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
    let table: toml::Table = text.parse().with_context(|| format!("{shown} is no TOML"))?;
    let mut found = Vec::new();
    flatten("", &table, &mut found);
    let known = |key: &str| KNOWN.iter().find(|k| k.key == key).map(|k| k.key);
    let settings = found.into_iter().map(|(key, value)| match (known(&key), value) {
        (Some(key), Some(value)) => Ok((key, value)),
        (Some(key), None) => Err(anyhow!("{shown}: {key} is neither text nor a number")),
        (None, _) => {
            let all: Vec<_> = KNOWN.iter().map(|k| k.key).collect();
            Err(anyhow!("{shown}: unknown key {key}, expected one of {}", all.join(", ")))
        }
    });
    settings.collect()
}

/// Keys with the tables they stand in; a value that is neither text nor a number has none.
fn flatten(prefix: &str, table: &toml::Table, out: &mut Vec<(String, Option<String>)>) {
    for (key, value) in table {
        let key = format!("{prefix}{key}");
        match value {
            toml::Value::Table(inner) => flatten(&format!("{key}."), inner, out),
            toml::Value::String(text) => out.push((key, Some(text.clone()))),
            toml::Value::Integer(n) => out.push((key, Some(n.to_string()))),
            toml::Value::Float(n) => out.push((key, Some(n.to_string()))),
            _ => out.push((key, None)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        std::fs::write(&path, text).unwrap();
        (dir, path)
    }

    #[test]
    fn the_later_layer_wins_and_is_named() {
        let (_dir, path) =
            file("connection-file = '/a'\n[worker]\nthreads = 3\nwait = 1.5\nmemory = '1GiB'\n");
        let env =
            env(&[("TILEWORK_WORKER_THREADS", "4"), ("TILEWORK_WORKER_MEMORY", "2GiB"), ("TILEWORK_X", "")]);
        let flags = [("worker.memory", "3GiB".to_owned())];
        let settings = Settings::load(Some(&path), &flags, &env).unwrap();
        let origin = |key| settings.values[key].1.clone();
        assert_eq!(settings.text("scheduler.listen"), "*:0");
        assert_eq!(origin("scheduler.listen"), Origin::Default);
        assert_eq!(settings.connection_file().unwrap(), Path::new("/a"));
        assert_eq!(settings.seconds("worker.wait").unwrap(), Duration::from_millis(1500));
        assert_eq!(origin("worker.wait"), Origin::File(path));
        assert_eq!(settings.count("worker.threads").unwrap(), 4);
        assert_eq!(origin("worker.threads"), Origin::Environment("TILEWORK_WORKER_THREADS"));
        assert_eq!(settings.bytes("worker.memory").unwrap(), 3 << 30);
        assert_eq!(origin("worker.memory"), Origin::Flag);
    }

    #[test]
    fn unknown_keys_and_bad_values_are_named() {
        let fails = |text: &str, vars: &[(&str, &str)]| {
            let (_dir, path) = file(text);
            let error = Settings::load(Some(&path), &[], &env(vars)).unwrap_err();
            format!("{error:#}").replace(&path.display().to_string(), "FILE")
        };
        assert!(
            fails("[worker]\nthread = 3", &[])
                .starts_with("FILE: unknown key worker.thread, expected one of")
        );
        assert_eq!(fails("worker.threads = true", &[]), "FILE: worker.threads is neither text nor a number");
        assert!(fails("]", &[]).starts_with("FILE is no TOML"));
        let error = fails("", &[("TILEWORK_WORKER_THREAD", "1")]);
        assert!(error.starts_with("unknown variable TILEWORK_WORKER_THREAD, expected one of"), "{error}");
        let settings = Settings::load(None, &[("worker.memory", "4 apples".into())], &env(&[])).unwrap();
        let error = settings.bytes("worker.memory").unwrap_err().to_string();
        assert_eq!(error, "worker.memory (flag): got \"4 apples\", expected a size as in 4GiB");
        let settings = Settings::load(None, &[("worker.task-limit", "none".into())], &env(&[])).unwrap();
        assert_eq!(settings.limit("worker.task-limit").unwrap(), None);
        assert_eq!(settings.limit("worker.stop-limit").unwrap(), Some(STOP_LIMIT));
    }
}

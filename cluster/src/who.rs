//! Who a process is, in words for people: the owner of a job, who cancelled one.
//!
//! Owns where the words come from. Must not know who asks. Nobody is trusted for what is said here: the token decides.

use std::fmt;
use std::io::ErrorKind;

/// A process, as its cluster's other users are told of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Who {
    /// The name of its program.
    pub program: String,
    /// Its number on its host.
    pub pid: u32,
    /// The user that it runs as: the name in `USER` or `LOGNAME`, else the number. The system's directory of users is
    /// not asked: on a cluster it may be a slow or absent server.
    pub user: String,
    /// Its host.
    pub host: String,
}

impl Who {
    /// This process.
    #[must_use]
    pub fn this_process() -> Who {
        let program = std::env::args_os().next();
        let program = program.as_ref().and_then(|p| std::path::Path::new(p).file_name());
        let named = ["USER", "LOGNAME"]
            .into_iter()
            .find_map(|name| std::env::var(name).ok().filter(|u| !u.is_empty()));
        Who {
            program: program.map_or_else(|| "a program".to_owned(), |p| p.to_string_lossy().into_owned()),
            pid: std::process::id(),
            user: named.unwrap_or_else(|| format!("user {}", rustix::process::geteuid().as_raw())),
            host: host(),
        }
    }
}

/// A user and where: `anna on login1`.
impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.user, self.host)
    }
}

/// This machine since its start and its space of process numbers, in words that no other has; none where the system does
/// not tell.
#[must_use]
pub fn machine() -> Option<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let processes = std::fs::read_link("/proc/self/ns/pid").ok()?;
    // One that was mounted in another space of numbers tells of other processes.
    let this = std::fs::read_link("/proc/self").ok()?;
    if this.to_str() != Some(&*std::process::id().to_string()) {
        return None;
    }
    Some(format!("{} {}", boot.trim(), processes.display()))
}

/// This process, in words that no other ever had; none where the system does not tell.
#[must_use]
pub fn process() -> Option<String> {
    process_of(std::process::id())
}

/// [`process`] of another one on this machine; none where there is none of this number.
#[must_use]
pub fn process_of(pid: u32) -> Option<String> {
    let (_, started) = stat(pid)?;
    Some(format!("{} {pid} {started}", machine()?))
}

/// Whether a process that [`process`] named has ended; none where that cannot be told from here, as that of another
/// machine.
#[must_use]
pub fn has_ended(process: &str) -> Option<bool> {
    let (rest, started) = process.rsplit_once(' ')?;
    let (machine_there, pid) = rest.rsplit_once(' ')?;
    if machine_there != machine()? {
        return None;
    }
    let stat = match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(text) => parsed(&text)?,
        // Of other errors, as where others' processes are hidden, nothing follows.
        Err(e) => return (e.kind() == ErrorKind::NotFound && can_see_others()).then_some(true),
    };
    let (state, at) = stat;
    Some(at != started || matches!(state, 'Z' | 'X'))
}

/// Whether the processes of other users are shown, as the first process of the machine is another's.
fn can_see_others() -> bool {
    std::fs::metadata("/proc/1/stat").is_ok()
}

/// The state of a process, and when it was started.
fn stat(pid: u32) -> Option<(char, String)> {
    parsed(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn parsed(text: &str) -> Option<(char, String)> {
    // The name of its program stands in brackets and may have any characters.
    let mut fields = text[text.rfind(')')? + 1..].split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.to_owned()))
}

/// The name of this host.
#[must_use]
pub fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    Some(name.trim().to_owned()).filter(|n| !n.is_empty()).unwrap_or_else(|| "this host".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_process_that_has_ended_is_told_from_one_that_has_not() {
        use std::process::{Command, Stdio};
        let this = process().unwrap();
        assert_eq!(has_ended(&this), Some(false));
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let there = process_of(child.id()).unwrap();
        assert_eq!(has_ended(&there), Some(false));
        child.kill().unwrap();
        // Until somebody asks how it ended, it has its number still.
        while has_ended(&there) == Some(false) {
            std::thread::yield_now();
        }
        assert_eq!(stat(child.id()).map(|(state, _)| state), Some('Z'));
        child.wait().unwrap();
        assert_eq!(has_ended(&there), Some(true));
        // A number that another process has by now.
        let (words, _) = this.rsplit_once(' ').unwrap();
        assert_eq!(has_ended(&format!("{words} 1")), Some(true));
        for elsewhere in ["", "a b", "another machine 1 1"] {
            assert_eq!(has_ended(elsewhere), None, "{elsewhere:?}");
        }
    }

    #[test]
    fn this_process_has_a_name_a_user_and_a_host() {
        let who = Who::this_process();
        assert_eq!(who.pid, std::process::id());
        assert!(who.program.starts_with("tilework_cluster"), "{who:?}");
        assert!(!who.user.is_empty() && !who.host.contains('\n'), "{who:?}");
        assert_eq!(who.to_string(), format!("{} on {}", who.user, who.host));
    }
}

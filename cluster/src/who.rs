//! Who a process is, in words for people: the owner of a job, who cancelled one.
//!
//! Owns where the words come from. Must not know who asks. Nobody is trusted for what is said here: the token decides.

use std::fmt;

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
    fn this_process_has_a_name_a_user_and_a_host() {
        let who = Who::this_process();
        assert_eq!(who.pid, std::process::id());
        assert!(who.program.starts_with("tilework_cluster"), "{who:?}");
        assert!(!who.user.is_empty() && !who.host.contains('\n'), "{who:?}");
        assert_eq!(who.to_string(), format!("{} on {}", who.user, who.host));
    }
}

//! The connection file: the one small file by which the parts of a cluster find and trust each other.
//!
//! Owns: what the file says, how it is written (whole or not at all, readable by its owner alone) and what
//! is refused on reading. Must not know: sockets, or what the scheduler and the workers say to each other.
//!
//! Whoever can read the file can join and command the cluster, and nobody else can: the file **is** the
//! authority. It travels by its path, never by its content in an argument or in the environment.

use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::security::{self, Identity, IdentityError};

/// The version of the file's format that this build writes and reads.
pub const VERSION: u32 = 1;
/// The largest connection file that is read, in bytes.
pub const FILE_BYTES_MAX: u64 = 64 * 1024;
/// The most addresses that a connection file may name.
pub const ADDRESSES_MAX: usize = 64;
/// The first pause between two looks for a file that is not there yet.
pub const WAIT_PAUSE_MIN: Duration = Duration::from_millis(10);
/// The longest pause between two looks for a file that is not there yet.
pub const WAIT_PAUSE_MAX: Duration = Duration::from_secs(1);

const FILE_MODE: u32 = 0o600;
const DIR_MODE: u32 = 0o700;
/// Permission bits of group and others: none of them may be set.
const MODE_OF_STRANGERS: u32 = 0o077;

/// Why a connection file could not be made, written, found or believed.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// There is no such file.
    #[error("no connection file at {path}: is the scheduler running, and did it write this path?")]
    Missing {
        /// The path looked at.
        path: PathBuf,
    },
    /// The file did not appear, or not the wanted one, within the time given.
    #[error("waited {waited:.1?} for a connection file at {path}: {why}")]
    WaitedTooLong {
        /// The path looked at.
        path: PathBuf,
        /// How long it was waited for.
        waited: Duration,
        /// What was there at the last look.
        why: &'static str,
    },
    /// Group or others may read or write the file.
    #[error(
        "connection file {path} has mode {mode:04o}, expected 0600: others may read or change it; \
         if nobody else should have, run: chmod 600 {path}"
    )]
    NotPrivate {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file belongs to another user.
    #[error("connection file {path} belongs to user id {owner_uid}, expected {our_uid} (ours)")]
    NotOurs {
        /// The file.
        path: PathBuf,
        /// Who owns it.
        owner_uid: u32,
        /// Who reads it.
        our_uid: u32,
    },
    /// It is a directory, a pipe or something else that is no file.
    #[error("connection file {path} is not a regular file")]
    NotAFile {
        /// The path looked at.
        path: PathBuf,
    },
    /// The file is larger than any connection file is.
    #[error("connection file {path} has more than {bytes_max} bytes: not a connection file")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// [`FILE_BYTES_MAX`].
        bytes_max: u64,
    },
    /// The file is no connection file.
    #[error("connection file {path} is malformed: {why}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, without a word of what the file says.
        why: String,
    },
    /// The file was written by another release.
    #[error("connection file {path} has version {got}, expected {VERSION}: use the same release everywhere")]
    Version {
        /// The file.
        path: PathBuf,
        /// The version that it says.
        got: u32,
    },
    /// The operating system refused.
    #[error("cannot {act} {path}")]
    Io {
        /// What was being done.
        act: &'static str,
        /// To which file or directory.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The new cluster's certificate or secrets could not be made.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// There is no place for the file.
    #[error("no directory for the connection file: HOME is not set; name a path")]
    NoHome,
}

/// What a connection file says.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tilework_cluster::connection::ConnectionFile;
///
/// let dir = tempfile::tempdir()?;
/// let path = dir.path().join("cluster.json");
/// let written = ConnectionFile::create(vec!["10.98.0.1:9000".into()], None, 0)?;
/// written.write(&path)?;
/// assert_eq!(ConnectionFile::read(&path)?.cluster_id, written.cluster_id);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionFile {
    /// The format: [`VERSION`].
    pub version: u32,
    /// 128 random bits in hex: tells this cluster from every other.
    pub cluster_id: String,
    /// Where the scheduler listens, `host:port`, to be tried in this order.
    pub addresses: Vec<String>,
    /// The Slurm job that the scheduler runs in.
    #[serde(default)]
    pub job: Option<String>,
    /// How often that job was requeued: it keeps its id then, so that the id alone may name a dead cluster.
    #[serde(default)]
    pub restart_count: u32,
    /// The certificate of every server of this cluster, PEM.
    pub certificate_pem: String,
    /// The private key of that certificate, PEM.
    pub key_pem: String,
    /// 256 random bits in hex: sent with every request.
    pub token: String,
}

/// Shows the public part only: a connection file in a log must not be a key to the cluster.
impl fmt::Debug for ConnectionFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionFile")
            .field("version", &self.version)
            .field("cluster_id", &self.cluster_id)
            .field("addresses", &self.addresses)
            .field("job", &self.job)
            .field("restart_count", &self.restart_count)
            .finish_non_exhaustive()
    }
}

impl ConnectionFile {
    /// A new cluster: fresh id, token, certificate and key. Nothing is written yet.
    ///
    /// # Errors
    /// [`ConnectionError::Identity`] if the system has no randomness to give.
    pub fn create(
        addresses: Vec<String>,
        job: Option<String>,
        restart_count: u32,
    ) -> Result<Self, ConnectionError> {
        let Identity { cluster_id, token, certificate_pem, key_pem } = Identity::create()?;
        Ok(Self {
            version: VERSION,
            cluster_id,
            addresses,
            job,
            restart_count,
            certificate_pem,
            key_pem,
            token,
        })
    }

    /// What a server of this cluster proves itself with, and a client checks.
    #[must_use]
    pub fn identity(&self) -> Identity {
        Identity {
            cluster_id: self.cluster_id.clone(),
            token: self.token.clone(),
            certificate_pem: self.certificate_pem.clone(),
            key_pem: self.key_pem.clone(),
        }
    }

    /// Writes the file so that a reader sees all of it or the one before it, and only its owner sees it.
    ///
    /// Whatever the umask, the file has mode 0600; directories that are missing are made with mode 0700.
    /// The file is written under an exclusive temporary name beside `path`, synced, and renamed.
    ///
    /// # Errors
    /// [`ConnectionError::Io`] with the step that failed; nothing is left behind then.
    pub fn write(&self, path: &Path) -> Result<(), ConnectionError> {
        let dir = dir_of(path);
        create_private_dir(dir)?;
        let name = path.file_name().ok_or_else(|| ConnectionError::NotAFile { path: path.into() })?;
        let mut prefix = std::ffi::OsString::from(".");
        prefix.push(name);
        prefix.push(".");
        let mut temp = tempfile::Builder::new()
            .prefix(&prefix)
            .tempfile_in(dir)
            .map_err(|source| io_error("create a file in", dir, source))?;
        // A umask can take bits away from the mode that a file is made with.
        temp.as_file()
            .set_permissions(PermissionsExt::from_mode(FILE_MODE))
            .and_then(|()| temp.write_all(&self.text()))
            .and_then(|()| temp.as_file().sync_all())
            .map_err(|source| io_error("write", temp.path(), source))?;
        temp.persist(path).map_err(|e| io_error("rename to", path, e.error))?;
        // The name is durable once the directory is; some file systems cannot sync one, and the file is there.
        if let Ok(dir) = File::open(dir) {
            let _ = dir.sync_all();
        }
        Ok(())
    }

    fn text(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec_pretty(self).expect("strings and numbers become JSON");
        text.push(b'\n');
        text
    }

    /// Reads a connection file and believes it only if nobody but this user could have read or written it.
    ///
    /// # Errors
    /// [`ConnectionError`]: missing, not private, not ours, too large, malformed, of another version.
    pub fn read(path: &Path) -> Result<Self, ConnectionError> {
        // NONBLOCK: a named pipe in the place of the file must not hold us.
        let opened = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path);
        let file = opened.map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => ConnectionError::Missing { path: path.into() },
            _ => io_error("open", path, source),
        })?;
        // Asked of the open file, not of the path: what was checked is what is read.
        let meta = file.metadata().map_err(|source| io_error("examine", path, source))?;
        if !meta.is_file() {
            return Err(ConnectionError::NotAFile { path: path.into() });
        }
        let our_uid = rustix::process::geteuid().as_raw();
        check_owner_and_mode(path, meta.uid(), meta.mode(), our_uid)?;
        let mut text = Vec::new();
        file.take(FILE_BYTES_MAX + 1)
            .read_to_end(&mut text)
            .map_err(|source| io_error("read", path, source))?;
        if text.len() as u64 > FILE_BYTES_MAX {
            return Err(ConnectionError::TooLarge { path: path.into(), bytes_max: FILE_BYTES_MAX });
        }
        decode(path, &text)
    }

    /// Waits until there is a connection file at `path`, and reads it.
    ///
    /// A file that is there but cannot be believed is an error at once.
    ///
    /// # Errors
    /// [`ConnectionError::WaitedTooLong`] after `timeout`; otherwise as [`ConnectionFile::read`].
    pub async fn wait(path: &Path, timeout: Duration) -> Result<Self, ConnectionError> {
        Self::wait_for(path, timeout, |_| true).await
    }

    /// Waits until there is a connection file at `path` that `wanted` accepts.
    ///
    /// With `|file| file.is_of_job(job, restart_count)` a worker in a requeued Slurm job passes over the
    /// file of the run before.
    ///
    /// # Errors
    /// As [`ConnectionFile::wait`].
    pub async fn wait_for(
        path: &Path,
        timeout: Duration,
        wanted: impl Fn(&Self) -> bool,
    ) -> Result<Self, ConnectionError> {
        let started = Instant::now();
        let mut pause = WAIT_PAUSE_MIN;
        loop {
            let why = match Self::read(path) {
                Ok(file) if wanted(&file) => return Ok(file),
                Ok(_) => "the file there is of another job or of an earlier run",
                Err(ConnectionError::Missing { .. }) => "it did not appear; is the scheduler running?",
                Err(error) => return Err(error),
            };
            let waited = started.elapsed();
            if waited >= timeout {
                return Err(ConnectionError::WaitedTooLong { path: path.into(), waited, why });
            }
            tokio::time::sleep(pause.min(timeout - waited)).await;
            pause = (pause * 2).min(WAIT_PAUSE_MAX);
            // NFS remembers that a name is absent; listing the directory makes it ask the server again.
            if let Some(dir) = path.parent() {
                let _ = std::fs::read_dir(dir).map(|mut entries| entries.next().is_some());
            }
        }
    }

    /// Whether this file was written in this run of this job, not in another one.
    #[must_use]
    pub fn is_of_job(&self, job: Option<&str>, restart_count: u32) -> bool {
        self.job.as_deref() == job && self.restart_count == restart_count
    }

    /// Removes the file at `path` if it is of this cluster and this run; says whether it did.
    ///
    /// A scheduler calls it as it leaves: the file of one that came after it stays.
    ///
    /// # Errors
    /// As [`ConnectionFile::read`], save that a missing file is no error.
    pub fn remove_if_ours(&self, path: &Path) -> Result<bool, ConnectionError> {
        match Self::read(path) {
            Ok(there) if there.cluster_id == self.cluster_id && there.restart_count == self.restart_count => {
            }
            Ok(_) | Err(ConnectionError::Missing { .. }) => return Ok(false),
            Err(error) => return Err(error),
        }
        match std::fs::remove_file(path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(io_error("remove", path, source)),
        }
    }
}

/// The turn of one that looks at a connection file and may write it: of two that start at once, the second sees what the
/// first has written. Held until it is dropped, and by nobody who is dead.
#[derive(Debug)]
pub struct Turn {
    _dir: File,
}

impl Turn {
    /// The turn at the files of a directory, that of `path`; `None` while another has it.
    ///
    /// # Errors
    /// [`ConnectionError::Io`] where the directory cannot be made or used, or its file system has no locks.
    pub fn try_take(path: &Path) -> Result<Option<Turn>, ConnectionError> {
        let dir = dir_of(path);
        create_private_dir(dir)?;
        let open = File::open(dir).map_err(|source| io_error("open directory", dir, source))?;
        match rustix::fs::flock(&open, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Turn { _dir: open })),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(io_error("lock directory", dir, error.into())),
        }
    }
}

fn dir_of(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}

/// Where connection files are kept when no path is named: `$XDG_RUNTIME_DIR/tilework`, else `~/.tilework`.
///
/// Inside a Slurm job always `~/.tilework`: a runtime directory is of one host, and the other nodes must see
/// the file. The directory is not made here; [`ConnectionFile::write`] makes it, with mode 0700.
///
/// # Errors
/// [`ConnectionError::NoHome`] if neither variable helps.
pub fn default_dir() -> Result<PathBuf, ConnectionError> {
    default_dir_from(&|name| std::env::var(name).ok(), &|dir| dir.is_dir())
}

/// As [`default_dir`], with the environment and the test for a directory given.
fn default_dir_from(
    env: &dyn Fn(&str) -> Option<String>,
    is_dir: &dyn Fn(&Path) -> bool,
) -> Result<PathBuf, ConnectionError> {
    let absolute = |name: &str| env(name).map(PathBuf::from).filter(|dir| dir.is_absolute());
    let runtime = absolute("XDG_RUNTIME_DIR").filter(|dir| env("SLURM_JOB_ID").is_none() && is_dir(dir));
    if let Some(dir) = runtime {
        return Ok(dir.join("tilework"));
    }
    absolute("HOME").map(|home| home.join(".tilework")).ok_or(ConnectionError::NoHome)
}

/// Makes a directory, and those above it that are missing, for this user alone; leaves one that exists.
///
/// # Errors
/// [`ConnectionError::Io`] if it cannot be made.
pub fn create_private_dir(dir: &Path) -> Result<(), ConnectionError> {
    DirBuilder::new()
        .recursive(true)
        .mode(DIR_MODE)
        .create(dir)
        .map_err(|source| io_error("create directory", dir, source))
}

fn io_error(act: &'static str, path: &Path, source: io::Error) -> ConnectionError {
    ConnectionError::Io { act, path: path.into(), source }
}

fn check_owner_and_mode(path: &Path, owner_uid: u32, mode: u32, our_uid: u32) -> Result<(), ConnectionError> {
    if owner_uid != our_uid {
        return Err(ConnectionError::NotOurs { path: path.into(), owner_uid, our_uid });
    }
    if mode & MODE_OF_STRANGERS != 0 {
        return Err(ConnectionError::NotPrivate { path: path.into(), mode: mode & 0o7777 });
    }
    Ok(())
}

fn decode(path: &Path, text: &[u8]) -> Result<ConnectionFile, ConnectionError> {
    /// The part that every version has.
    #[derive(Deserialize)]
    struct Head {
        version: u32,
    }
    let malformed = |why: String| ConnectionError::Malformed { path: path.into(), why };
    let head: Head = serde_json::from_slice(text).map_err(|e| malformed(say(&e)))?;
    if head.version != VERSION {
        return Err(ConnectionError::Version { path: path.into(), got: head.version });
    }
    let file: ConnectionFile = serde_json::from_slice(text).map_err(|e| malformed(say(&e)))?;
    check_content(&file).map_err(malformed)?;
    Ok(file)
}

/// What a JSON error says about the place, but not about the content, which may be the token.
fn say(error: &serde_json::Error) -> String {
    let text = error.to_string();
    if text.starts_with("missing field") || error.is_eof() {
        return text;
    }
    format!("not the expected JSON at line {} column {}", error.line(), error.column())
}

fn check_content(file: &ConnectionFile) -> Result<(), String> {
    check_hex("cluster_id", &file.cluster_id, security::CLUSTER_ID_BYTES)?;
    check_hex("token", &file.token, security::TOKEN_BYTES)?;
    if file.addresses.is_empty() || file.addresses.len() > ADDRESSES_MAX {
        return Err(format!("it has {} addresses, expected 1 to {ADDRESSES_MAX}", file.addresses.len()));
    }
    for address in &file.addresses {
        let port = address.rsplit_once(':').and_then(|(host, port)| {
            (!host.is_empty()).then_some(port).and_then(|port| port.parse::<u16>().ok())
        });
        if port.is_none() {
            return Err(format!("address {address:?} is not host:port"));
        }
    }
    Ok(())
}

fn check_hex(field: &str, value: &str, bytes: usize) -> Result<(), String> {
    if value.len() == 2 * bytes && value.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(());
    }
    Err(format!("{field} is not {} hex digits", 2 * bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> ConnectionFile {
        ConnectionFile::create(vec!["10.98.0.1:9000".into(), "[::1]:9000".into()], Some("17".into()), 2)
            .unwrap()
    }

    fn write_raw(path: &Path, text: &[u8]) {
        let mut raw =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).unwrap();
        raw.write_all(text).unwrap();
    }

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/deep/cluster.json");
        let written = file();
        written.write(&path).unwrap();
        assert_eq!(ConnectionFile::read(&path).unwrap(), written);
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        for made in ["new", "new/deep"] {
            assert_eq!(std::fs::metadata(dir.path().join(made)).unwrap().mode() & 0o7777, 0o700);
        }
        // Written again over itself, and no temporary is left.
        written.write(&path).unwrap();
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn two_clusters_share_nothing() {
        let (a, b) = (file(), file());
        assert_ne!(a.cluster_id, b.cluster_id);
        assert_ne!(a.token, b.token);
        assert_ne!(a.key_pem, b.key_pem);
    }

    #[test]
    fn debug_shows_no_secret() {
        let file = file();
        for text in [format!("{file:?}"), format!("{:?}", file.identity())] {
            assert!(text.contains(&file.cluster_id), "{text}");
            assert!(!text.contains(&file.token), "{text}");
            assert!(!text.contains("PRIVATE KEY"), "{text}");
        }
    }

    #[test]
    fn a_file_that_others_may_read_is_refused_with_the_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cluster.json");
        file().write(&path).unwrap();
        for mode in [0o640, 0o604, 0o620, 0o644] {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            let text = ConnectionFile::read(&path).unwrap_err().to_string();
            assert!(text.contains(&format!("mode {mode:04o}")), "{text}");
            assert!(text.contains(&format!("chmod 600 {}", path.display())), "{text}");
        }
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o400)).unwrap();
        ConnectionFile::read(&path).unwrap();
    }

    #[test]
    fn a_file_of_another_user_is_refused() {
        let text = check_owner_and_mode(Path::new("/x"), 1001, 0o100_600, 1000).unwrap_err().to_string();
        assert_eq!(text, "connection file /x belongs to user id 1001, expected 1000 (ours)");
    }

    #[test]
    fn what_is_no_connection_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cluster.json");
        let good = serde_json::to_value(file()).unwrap();
        let with = |key: &str, value: serde_json::Value| {
            let mut changed = good.clone();
            changed[key] = value;
            serde_json::to_vec(&changed).unwrap()
        };
        let mut without_token = good.clone();
        without_token.as_object_mut().unwrap().remove("token");
        let cases = [
            (b"".to_vec(), "EOF while parsing"),
            (b"hello".to_vec(), "line 1 column 1"),
            (with("version", 2.into()), "has version 2, expected 1"),
            (serde_json::to_vec(&without_token).unwrap(), "missing field `token`"),
            (with("token", "abc".into()), "token is not 64 hex digits"),
            (with("cluster_id", "../../etc".into()), "cluster_id is not 32 hex digits"),
            (with("addresses", serde_json::json!([])), "has 0 addresses, expected 1 to 64"),
            (with("addresses", serde_json::json!(["node7"])), "\"node7\" is not host:port"),
            (vec![b' '; FILE_BYTES_MAX as usize + 1], "more than 65536 bytes"),
        ];
        for (text, expected) in cases {
            write_raw(&path, &text);
            let got = ConnectionFile::read(&path).unwrap_err().to_string();
            assert!(got.contains(expected), "got {got:?}, expected {expected:?}");
            assert!(got.contains(path.to_str().unwrap()), "{got}");
        }
    }

    #[test]
    fn an_error_does_not_quote_the_token() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cluster.json");
        let mut value = serde_json::to_value(file()).unwrap();
        value["restart_count"] = value["token"].clone();
        write_raw(&path, &serde_json::to_vec(&value).unwrap());
        let got = ConnectionFile::read(&path).unwrap_err().to_string();
        assert!(!got.contains(value["token"].as_str().unwrap()), "{got}");
    }

    #[test]
    fn a_directory_and_a_pipe_are_no_files() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        let name = std::ffi::CString::new(pipe.to_str().unwrap()).unwrap();
        // SAFETY: `name` is a C string that lives through the call.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
        for path in [dir.path(), &pipe] {
            assert!(matches!(ConnectionFile::read(path), Err(ConnectionError::NotAFile { .. })));
        }
    }

    #[test]
    fn only_our_own_file_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cluster.json");
        let (ours, theirs) = (file(), file());
        assert!(!ours.remove_if_ours(&path).unwrap());
        theirs.write(&path).unwrap();
        assert!(!ours.remove_if_ours(&path).unwrap());
        let requeued = ConnectionFile { restart_count: 3, ..ours.clone() };
        requeued.write(&path).unwrap();
        assert!(!ours.remove_if_ours(&path).unwrap());
        ours.write(&path).unwrap();
        assert!(ours.remove_if_ours(&path).unwrap());
        assert!(!path.exists());
    }

    #[test]
    fn the_default_directory_follows_the_environment() {
        type Case<'a> = (&'a [(&'a str, &'a str)], Option<&'a str>);
        let cases: [Case; 6] = [
            (&[("XDG_RUNTIME_DIR", "/run/user/7"), ("HOME", "/home/a")], Some("/run/user/7/tilework")),
            (&[("XDG_RUNTIME_DIR", "/gone"), ("HOME", "/home/a")], Some("/home/a/.tilework")),
            (&[("XDG_RUNTIME_DIR", "relative"), ("HOME", "/home/a")], Some("/home/a/.tilework")),
            (
                &[("XDG_RUNTIME_DIR", "/run/user/7"), ("HOME", "/home/a"), ("SLURM_JOB_ID", "4")],
                Some("/home/a/.tilework"),
            ),
            (&[("HOME", "")], None),
            (&[], None),
        ];
        for (vars, expected) in cases {
            let env = |name: &str| vars.iter().find(|(key, _)| *key == name).map(|(_, v)| (*v).to_owned());
            let got = default_dir_from(&env, &|dir| dir != Path::new("/gone")).ok();
            assert_eq!(got.as_deref(), expected.map(Path::new), "{vars:?}");
        }
    }
}

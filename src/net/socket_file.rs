//! The files of Unix sockets: created, also in place of a file on which no server answers, checked for existence, and
//! removed at the end.
//!
//! Checking a path and then changing it would be a race between two servers. Each holds a lock on the directory
//! meanwhile (flock(2)), so that of two servers that start on one path, the second finds the first one live.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use rustix::fs::{FlockOperation, Mode, fchmod, flock};

use crate::control::client::{is_answered, socket_address};

/// Attempts to lock a directory: ten seconds.
const LOCK_ATTEMPTS: u32 = 1_000;
/// The time between two attempts.
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// Why a Unix socket cannot have its path.
#[derive(Debug, thiserror::Error)]
pub enum Obstacle {
    /// Another server answers on it.
    #[error("a server answers there")]
    Live,
    /// The file is not a socket.
    #[error("what is there is no socket")]
    NoSocket,
    /// Another process holds the lock on the directory.
    #[error("another process holds the lock on its directory")]
    Locked,
    /// The system refused.
    #[error(transparent)]
    System(#[from] io::Error),
}

/// Whether to wait for the lock on a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// At the start of the server.
    Wait,
    /// In the loop, which must not wait.
    None,
}

/// The file of a Unix socket. Its path does not identify it: another file may have that path later.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    identity: Identity,
}

/// Device, inode, and the time of birth where the file system has it: a freed inode is used again.
type Identity = (u64, u64, Option<SystemTime>);

fn identity(found: &Metadata) -> Identity {
    (found.dev(), found.ino(), found.created().ok())
}

impl SocketFile {
    /// Binds `socket` to `path` with a file of this mode, and listens.
    pub(super) fn bind(
        socket: &socket2::Socket,
        path: &Path,
        mode: u32,
        backlog: i32,
        patience: Patience,
    ) -> Result<Self, Obstacle> {
        let _lock = lock_directory(path, patience)?;
        remove_stale(path)?;
        // On Linux the file gets the mode of the socket, less the umask: at no time may other users connect.
        fchmod(socket, Mode::from_raw_mode(mode)).map_err(io::Error::from)?;
        socket.bind(&socket_address(path)?)?;
        let listens = set_mode(path, mode)
            .and_then(|()| socket.set_nonblocking(true))
            .and_then(|()| socket.listen(backlog))
            .and_then(|()| fs::symlink_metadata(path));
        match listens {
            Ok(found) => Ok(Self { path: path.to_owned(), identity: identity(&found) }),
            Err(error) => {
                // A file that cannot be removed is replaced by the next start.
                let _ = fs::remove_file(path);
                Err(error.into())
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether its path still leads to it. A path that cannot be checked counts as present.
    pub(super) fn is_there(&self) -> bool {
        match fs::symlink_metadata(&self.path) {
            Ok(found) => identity(&found) == self.identity,
            Err(error) => !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory),
        }
    }

    /// Removes the file. Must be called while its socket still listens, because no other server replaces it before.
    pub(super) fn remove(&self) {
        let found = fs::symlink_metadata(&self.path);
        if found.is_ok_and(|found| identity(&found) == self.identity) {
            // A file that cannot be removed is replaced by the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Creates the directory of `path`, if it is gone.
pub(super) fn make_directory(path: &Path, mode: u32) -> io::Result<()> {
    match path.parent() {
        Some(parent) => fs::DirBuilder::new().recursive(true).mode(mode).create(parent),
        None => Ok(()),
    }
}

/// Locks the directory of `path` until the returned file is dropped. There is no lock if the directory may not be read,
/// or if its file system has none.
fn lock_directory(path: &Path, patience: Patience) -> Result<Option<File>, Obstacle> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let directory = match File::open(directory) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(None),
        opened => opened?,
    };
    let attempts = if patience == Patience::Wait { LOCK_ATTEMPTS } else { 1 };
    for _ in 0..attempts {
        match flock(&directory, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(Some(directory)),
            Err(error) if io::Error::from(error).kind() == io::ErrorKind::WouldBlock => {
                thread::park_timeout(LOCK_PAUSE);
            }
            Err(_) => return Ok(None),
        }
    }
    Err(Obstacle::Locked)
}

/// Removes a socket on which no server answers.
fn remove_stale(path: &Path) -> Result<(), Obstacle> {
    let Ok(found) = fs::symlink_metadata(path) else { return Ok(()) };
    if !found.file_type().is_socket() {
        return Err(Obstacle::NoSocket);
    }
    if is_answered(path)? {
        return Err(Obstacle::Live);
    }
    Ok(fs::remove_file(path)?)
}

/// Sets the bits of the mode that the umask removed. In a directory that other users can write, the path may lead to
/// another file by now: only a socket is changed.
fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    let found = fs::symlink_metadata(path)?;
    if found.permissions().mode() & 0o777 == mode {
        return Ok(());
    }
    if !found.file_type().is_socket() {
        return Err(io::Error::other("its file was replaced"));
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::sync::Barrier;

    use socket2::{Domain, Type};

    use super::*;

    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("chatops-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn bind(path: &Path, patience: Patience) -> Result<(socket2::Socket, SocketFile), Obstacle> {
        let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        let file = SocketFile::bind(&socket, path, 0o666, 16, patience)?;
        Ok((socket, file))
    }

    #[test]
    fn one_of_several_servers_that_start_on_a_stale_path_gets_it() {
        const STARTS: usize = 8;
        let directory = Directory::new("race");
        let path = directory.0.join("a.sock");
        for _ in 0..25 {
            drop(UnixListener::bind(&path).unwrap());
            let together = Barrier::new(STARTS);
            let results: Vec<_> = thread::scope(|scope| {
                let start = || {
                    together.wait();
                    bind(&path, Patience::Wait)
                };
                let threads: Vec<_> = (0..STARTS).map(|_| scope.spawn(start)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            let won: Vec<_> = results.iter().filter_map(|result| result.as_ref().ok()).collect();
            assert_eq!(won.len(), 1, "{results:?}");
            assert!(won[0].1.is_there());
            let lost = results.iter().filter(|result| matches!(result, Err(Obstacle::Live)));
            assert_eq!(lost.count(), STARTS - 1, "{results:?}");
            won[0].1.remove();
        }
    }

    #[test]
    fn only_a_start_waits_for_the_lock() {
        let directory = Directory::new("lock");
        let path = directory.0.join("a.sock");
        let held = lock_directory(&path, Patience::Wait).unwrap();
        assert!(held.is_some());
        assert!(matches!(bind(&path, Patience::None), Err(Obstacle::Locked)));
        thread::scope(|scope| {
            let start = scope.spawn(|| bind(&path, Patience::Wait).map(|_| ()));
            drop(held);
            start.join().unwrap().expect("the lock is free");
        });
    }

    #[test]
    fn a_missing_file_is_noticed_and_the_file_of_another_socket_is_kept() {
        let directory = Directory::new("missed");
        let path = directory.0.join("a.sock");
        let (_socket, file) = bind(&path, Patience::Wait).unwrap();
        assert!(file.is_there());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o666, "whatever the umask");
        fs::remove_file(&path).unwrap();
        assert!(!file.is_there());
        let _other = UnixListener::bind(&path).unwrap();
        assert!(!file.is_there() || file.identity.2.is_none());
        if file.identity.2.is_some() {
            file.remove();
            assert!(path.exists(), "the file of another socket stays");
        }
        fs::remove_dir_all(&directory.0).unwrap();
        assert!(!file.is_there());
    }
}

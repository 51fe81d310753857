//! Files of Unix sockets: made in place of one on which nobody answers, missed when they are gone, removed at the end.
//!
//! To look at a path and then act on it is a race between two servers. Each holds a lock on the directory meanwhile
//! (flock(2)), so that of two that start on one path the second finds the first one live.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use rustix::fs::{FlockOperation, Mode, fchmod, flock};

use crate::control::client::{is_answered, socket_address};

/// Looks at the lock of a directory before it is given up: ten seconds.
const LOCK_LOOKS: u32 = 1_000;
/// The time between two looks.
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// What keeps a Unix socket from its path.
#[derive(Debug, thiserror::Error)]
pub enum Obstacle {
    /// A server answers there.
    #[error("a server answers there")]
    Live,
    /// There is something other than a socket.
    #[error("what is there is no socket")]
    NoSocket,
    /// Another process holds the lock on the directory.
    #[error("another process holds the lock on its directory")]
    Locked,
    /// The system refused.
    #[error(transparent)]
    System(#[from] io::Error),
}

/// Whether the lock on a directory is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// A start may take a moment.
    Wait,
    /// The loop goes on.
    None,
}

/// The file of a Unix socket. It is known by more than its path: another's may stand there later.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    identity: Identity,
}

/// Device, inode and, since a freed inode is used again, the time of birth where the file system keeps it.
type Identity = (u64, u64, Option<SystemTime>);

fn identity(found: &Metadata) -> Identity {
    (found.dev(), found.ino(), found.created().ok())
}

impl SocketFile {
    /// Binds `socket` to `path`, with a file of this mode, and listens.
    pub(super) fn bind(
        socket: &socket2::Socket,
        path: &Path,
        mode: u32,
        backlog: i32,
        patience: Patience,
    ) -> Result<Self, Obstacle> {
        let _lock = lock_directory(path, patience)?;
        make_way(path)?;
        // The file is made with the mode of the socket, less the umask (Linux): at no time may more connect.
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

    /// Whether its path still leads to it. What cannot be looked at counts as there.
    pub(super) fn is_there(&self) -> bool {
        match fs::symlink_metadata(&self.path) {
            Ok(found) => identity(&found) == self.identity,
            Err(error) => !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory),
        }
    }

    /// Removes it, while its socket still listens: nobody else replaces it before.
    pub(super) fn remove(&self) {
        let found = fs::symlink_metadata(&self.path);
        if found.is_ok_and(|found| identity(&found) == self.identity) {
            // A file that cannot be removed is replaced by the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Makes the directory that `path` is to stand in, if it is gone.
pub(super) fn make_directory(path: &Path, mode: u32) -> io::Result<()> {
    match path.parent() {
        Some(parent) => fs::DirBuilder::new().recursive(true).mode(mode).create(parent),
        None => Ok(()),
    }
}

/// Keeps other servers from this directory's sockets for as long as the file is open. There is no lock where the
/// directory may not be read or its file system knows none.
fn lock_directory(path: &Path, patience: Patience) -> Result<Option<File>, Obstacle> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let directory = match File::open(directory) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(None),
        opened => opened?,
    };
    let looks = if patience == Patience::Wait { LOCK_LOOKS } else { 1 };
    for _ in 0..looks {
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

/// Makes way for a socket: one on which nobody answers is removed.
fn make_way(path: &Path) -> Result<(), Obstacle> {
    let Ok(found) = fs::symlink_metadata(path) else { return Ok(()) };
    if !found.file_type().is_socket() {
        return Err(Obstacle::NoSocket);
    }
    if is_answered(path)? {
        return Err(Obstacle::Live);
    }
    Ok(fs::remove_file(path)?)
}

/// Gives the file the mode that the umask took away. Its path may lead elsewhere by now in a directory that others can
/// write: only a socket is changed.
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
    fn of_several_starts_on_one_stale_path_one_wins_and_stays_reachable() {
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
    fn a_start_waits_for_the_lock_and_the_loop_does_not() {
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
    fn a_file_is_missed_and_never_taken_for_another() {
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
            assert!(path.exists(), "it is another's");
        }
        fs::remove_dir_all(&directory.0).unwrap();
        assert!(!file.is_there());
    }
}

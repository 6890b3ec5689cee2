//! Lines of JSON over a socket in the home.

use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};

/// The longest line, in bytes: an answer that was cut, and one more event, whose
/// content of at most 1 MiB takes six times as much if it is all controls.
const MAX_LINE: u64 = 32 << 20;

/// One end of a connection.
pub(super) struct Lines {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
}

impl Lines {
    pub(super) fn new(stream: UnixStream) -> Self {
        let (reader, writer) = stream.into_split();
        Self {
            reader: BufReader::new(reader),
            writer,
        }
    }

    pub(super) async fn connect(home: &Path) -> io::Result<Self> {
        let folder = Folder::open(home)?;
        UnixStream::connect(folder.socket()).await.map(Self::new)
    }

    /// The process at the other end, where the system tells.
    pub(super) fn peer(&self) -> Option<i32> {
        self.writer.as_ref().peer_cred().ok()?.pid()
    }

    pub(super) async fn write(&mut self, message: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        self.writer.write_all(&line).await
    }

    /// The next message; `None` at the end.
    pub(super) async fn read<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        let mut line = Vec::new();
        let mut limited = (&mut self.reader).take(MAX_LINE);
        limited.read_until(b'\n', &mut line).await?;
        match line.last() {
            None => Ok(None),
            Some(b'\n') => Ok(Some(serde_json::from_slice(&line)?)),
            Some(_) => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// Listens in a home, in the place of whoever did before.
pub(super) fn listen(home: &Path) -> io::Result<UnixListener> {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::open(home)?;
    match std::fs::remove_file(folder.socket()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(folder.socket())?;
    std::fs::set_permissions(folder.socket(), std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Whether a process of the same user is at the other end: a home that others may
/// enter does not let them speak for its owner.
pub(super) fn is_own(stream: &UnixStream) -> bool {
    use std::os::unix::fs::MetadataExt;
    let me = std::fs::metadata("/proc/self").map(|process| process.uid());
    match (stream.peer_cred(), me) {
        (Ok(peer), Ok(me)) => peer.uid() == me,
        // Elsewhere the socket's mode says who may connect.
        (peer, Err(_)) => peer.is_ok(),
        (Err(_), _) => false,
    }
}

/// An open folder: a socket's path takes at most 107 bytes, and a home's may be
/// longer.
struct Folder {
    path: PathBuf,
    #[cfg(target_os = "linux")]
    _file: std::fs::File,
}

impl Folder {
    #[cfg(target_os = "linux")]
    fn open(home: &Path) -> io::Result<Self> {
        use std::os::fd::AsRawFd;
        let file = std::fs::File::open(home)?;
        let path = format!("/proc/self/fd/{}", file.as_raw_fd()).into();
        Ok(Self { path, _file: file })
    }

    #[cfg(not(target_os = "linux"))]
    fn open(home: &Path) -> io::Result<Self> {
        Ok(Self {
            path: home.to_owned(),
        })
    }

    fn socket(&self) -> PathBuf {
        self.path.join("socket")
    }
}

//! The place where the face is shown: an address of this machine, or a Unix socket.

use std::fmt;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::input::text;

use super::request::Hosts;

/// The permissions of a Unix socket: its owner and its group may ask.
const MODE: u32 = 0o660;

/// A place, as a person writes it: `127.0.0.1:8642` or `unix:/run/hermitcrab/face.sock`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Address(SocketAddr),
    Socket(PathBuf),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            let is_path = path.starts_with('/');
            return if is_path {
                Ok(Self::Socket(path.into()))
            } else {
                Err("a socket has an absolute path".to_owned())
            };
        }
        let address = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
        let address =
            address.strip_prefix("localhost:").map_or_else(|| address.to_owned(), |p| format!("127.0.0.1:{p}"));
        let form =
            || "write an address with its port, e.g. `127.0.0.1:8642`, or `unix:/run/hermitcrab/face.sock`".to_owned();
        address.parse().map(Self::Address).map_err(|_| form())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "http://{address}"),
            Self::Socket(path) => write!(f, "unix:{}", text::path(path)),
        }
    }
}

impl Place {
    /// Says whether others than this machine may reach it.
    pub fn is_beyond_this_machine(&self) -> bool {
        matches!(self, Self::Address(address) if !address.ip().is_loopback())
    }

    /// Listens there. `names` are those by which callers may ask, beside this machine's own.
    pub async fn listen(&self, names: Vec<String>) -> io::Result<Listening> {
        Ok(match self {
            Self::Address(address) => Listening::Address(TcpListener::bind(address).await?, Hosts::Named(names)),
            Self::Socket(path) => {
                free(path)?;
                let listener = UnixListener::bind(path)?;
                let socket = Socket { path: path.clone() };
                fs::set_permissions(path, fs::Permissions::from_mode(MODE))?;
                Listening::Socket(listener, socket)
            }
        })
    }
}

/// Removes a socket that a daemon has left behind which does not live any more. Nothing else is ever removed.
fn free(path: &Path) -> io::Result<()> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(found) if !found.file_type().is_socket() => {
            Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is something else than a socket"))
        }
        Ok(_) => match std::os::unix::net::UnixStream::connect(path) {
            Ok(_) => Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens there")),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
            Err(error) => Err(error),
        },
    }
}

/// A place that is listened at.
pub enum Listening {
    Address(TcpListener, Hosts),
    Socket(UnixListener, Socket),
}

/// The file of a Unix socket, which goes when nobody listens there any more.
pub struct Socket {
    path: PathBuf,
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Another daemon removes one that stays.
        let _ = fs::remove_file(&self.path);
    }
}

impl Listening {
    /// Tells where it listens. An address whose port was 0 has the one that the system chose.
    pub fn place(&self) -> io::Result<Place> {
        Ok(match self {
            Self::Address(listener, _) => Place::Address(listener.local_addr()?),
            Self::Socket(_, socket) => Place::Socket(socket.path.clone()),
        })
    }

    pub(super) fn hosts(&self) -> &Hosts {
        match self {
            Self::Address(_, hosts) => hosts,
            Self::Socket(..) => &Hosts::Any,
        }
    }

    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        Ok(match self {
            Self::Address(listener, _) => Accepted::Address(listener.accept().await?.0),
            Self::Socket(listener, _) => Accepted::Socket(listener.accept().await?.0),
        })
    }
}

/// One connection.
pub(super) enum Accepted {
    Address(TcpStream),
    Socket(UnixStream),
}

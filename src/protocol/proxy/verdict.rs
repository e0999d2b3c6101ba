//! What came of a request: the errno of a connection that failed, in the few
//! words that the three protocols have for it.
//!
//! Each protocol's own numbers are in its file.

use std::io;
use std::net::SocketAddr;

/// What came of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is done; the proxy's own address in it.
    Granted(SocketAddr),
    /// It is not.
    Refused(Cause),
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// Rules forbid it.
    #[error("not allowed by the rules")]
    Denied,
    /// There is no way to its network.
    #[error("network unreachable")]
    NetworkUnreachable,
    /// There is no way to it, or nobody knows its name.
    #[error("host unreachable")]
    HostUnreachable,
    /// It did not answer in time.
    #[error("timed out")]
    TimedOut,
    /// Nobody listens there.
    #[error("connection refused")]
    ConnectionRefused,
    /// The command is unknown, or not done here.
    #[error("command not supported")]
    CommandUnsupported,
    /// The kind of address is unknown.
    #[error("address type not supported")]
    AddressUnsupported,
    /// A password is needed, or this one is wrong.
    #[error("a password is needed")]
    Unauthorized,
    /// The request is none.
    #[error("malformed request")]
    Malformed,
    /// Anything else.
    #[error("general failure")]
    Failure,
}

impl Cause {
    /// What the kernel's answer to connect(2) means for whoever asked.
    pub fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::ConnectionRefused,
            io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => {
                Self::NetworkUnreachable
            }
            io::ErrorKind::HostUnreachable => Self::HostUnreachable,
            io::ErrorKind::TimedOut => Self::TimedOut,
            io::ErrorKind::PermissionDenied => Self::Denied,
            _ => Self::Failure,
        }
    }
}

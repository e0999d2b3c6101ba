//! What a proxy and its clients say to each other, up to the moment from which
//! bytes are only passed on: SOCKS5 (RFC 1928, RFC 1929), SOCKS4 and SOCKS4a,
//! and HTTP's CONNECT (RFC 9110 section 9.3.6).
//!
//! Pure and bounded: bytes in any pieces, messages and what came beyond them
//! out. Looks up no name and judges no destination; the sockets are
//! [`app::proxy`](crate::app::proxy)'s.

pub mod balance;
mod credentials;
pub mod datagram;
mod destination;
pub mod handshake;
mod http;
mod reader;
mod socks4;
mod socks5;
pub mod upstream;
mod verdict;

pub use credentials::{Credentials, Users, UsersError};
pub use destination::{Destination, Host, Name, NameError};
pub use verdict::{Cause, Verdict};

use std::fmt;

/// Which of the protocols a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// SOCKS4: addresses only.
    Socks4,
    /// SOCKS4a: names too.
    Socks4a,
    /// SOCKS5.
    Socks5,
    /// HTTP's CONNECT.
    HttpConnect,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// A connection to the destination.
    Connect,
    /// A connection from the destination.
    Bind,
    /// Datagrams to and fro.
    Associate,
}

/// What a client asked for, once its handshake is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// In which protocol.
    pub method: Method,
    /// What.
    pub command: Command,
    /// To or from where. For [`Command::Associate`]: from where the client's
    /// datagrams will come, where it knows.
    pub destination: Destination,
    /// Who asked, where a password was asked for.
    pub user: Option<String>,
}

impl Method {
    /// The reply that says what came of a request.
    pub fn reply(self, verdict: Verdict) -> Vec<u8> {
        match self {
            Method::Socks4 | Method::Socks4a => socks4::reply(verdict),
            Method::Socks5 => socks5::reply(verdict),
            Method::HttpConnect => http::reply(verdict),
        }
    }

    /// The code in last words that are no reply to a request: the refusal of a
    /// greeting or of a password, or what HTTP has for it.
    pub fn code_in(self, words: &[u8]) -> Option<u16> {
        match self {
            Method::HttpConnect => http::answered(words).ok().map(|(status, _)| status),
            _ => words.get(1).copied().map(u16::from),
        }
    }

    /// That reply's code, as the protocol numbers it.
    pub fn code(self, verdict: Verdict) -> u16 {
        match self {
            Method::Socks4 | Method::Socks4a => socks4::code(verdict).into(),
            Method::Socks5 => socks5::code(verdict).into(),
            Method::HttpConnect => http::status(verdict).0,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Method::Socks4 => "SOCKS4",
            Method::Socks4a => "SOCKS4a",
            Method::Socks5 => "SOCKS5",
            Method::HttpConnect => "HTTP",
        })
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Command::Connect => "CONNECT",
            Command::Bind => "BIND",
            Command::Associate => "UDP ASSOCIATE",
        })
    }
}

//! The sockets of a listener: opened, bound and listening on every address
//! (bind(2), listen(2), RFC 3493).
//!
//! Owns what is asked for of them; whoever connects is [`Door`](super::listen::Door)'s.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use nix::errno::Errno;

use crate::address::Admission;
use crate::error::Error;
use crate::event::{SocketName, Told};
use crate::flow::{Family, Kind};
pub(crate) use crate::pipe::say;
use crate::recorder::Recorder;
use crate::socket::options::{self, Moment, Role, SocketOption, Target};
use crate::socket::{Listener, is_without_ipv6};

/// How to listen.
#[derive(Debug, Clone)]
pub struct Listen {
    /// The addresses to listen on.
    pub addresses: Vec<SocketAddr>,
    /// Whether IPv6 sockets take IPv4 too (RFC 3493 section 5.3).
    pub stack: Stack,
    /// Options to set.
    pub options: Vec<SocketOption>,
    /// Connections that may wait to be accepted; the kernel caps it at
    /// net.core.somaxconn.
    pub backlog: i32,
    /// Who is let in.
    pub admission: Admission,
    /// What happens after the first conversation.
    pub after: After,
    /// Most clients at once.
    pub most: usize,
    /// How long to wait while nobody is there.
    pub timeout: Option<Duration>,
    /// Whether clients' names are looked up.
    pub names: bool,
}

/// Whether an IPv6 socket takes IPv4 too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stack {
    /// It does.
    Dual,
    /// One family a socket.
    Single,
}

/// What happens after a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// It is over.
    Leave,
    /// The next client is waited for.
    KeepOpen,
}

/// The backlog where nothing else is asked for.
pub const BACKLOG: i32 = 4096;

impl Listen {
    /// Binds every address, and listens.
    pub(crate) fn open(&self, recorder: &Recorder) -> Result<Vec<Listener>, Error> {
        let mut listeners: Vec<Listener> = Vec::new();
        for address in &self.addresses {
            let name = match listeners.len() {
                0 => SocketName::from("listener"),
                before => SocketName::from(format!("listener {}", before + 1)),
            };
            let mut address = *address;
            if let (0, Some(first)) = (address.port(), listeners.first()) {
                // One port for all of a name's addresses.
                let first = first.local_address();
                address.set_port(first.map_or(0, |first| first.port()));
            }
            let listener = self.listen_on(address, name.clone(), recorder);
            listeners.push(match listener {
                Err(error) if self.stack == Stack::Dual && is_without_ipv6(&error) => {
                    let v4 = (Ipv4Addr::UNSPECIFIED, address.port()).into();
                    self.listen_on(v4, name, recorder)?
                }
                listener => listener?,
            });
        }
        Ok(listeners)
    }

    fn listen_on(
        &self,
        address: SocketAddr,
        name: SocketName,
        recorder: &Recorder,
    ) -> Result<Listener, Error> {
        let failed =
            |operation: &'static str| move |error: io::Error| Error::new(operation, address, error);
        let listener = Listener::open(recorder, name, address).map_err(failed("socket for"))?;
        listener
            .set_option("SO_REUSEADDR, 1", |socket| socket.set_reuse_address(true))
            .map_err(failed("setsockopt SO_REUSEADDR for"))?;
        if address.is_ipv6() {
            let only = self.stack == Stack::Single;
            listener
                .set_option(format_args!("IPV6_V6ONLY, {}", u8::from(only)), |socket| {
                    socket.set_only_v6(only)
                })
                .map_err(failed("setsockopt IPV6_V6ONLY for"))?;
        }
        let applied = options::apply(&self.options, Moment::Opened, target(address), &listener)?;
        listener
            .bind(address)
            .map_err(|error| unbound(address, error))?;
        listener
            .set_nonblocking(true)
            .map_err(failed("fcntl for"))?;
        listener
            .listen(self.backlog)
            .map_err(|error| unbound(address, error))?;
        for option in applied {
            let text = option.to_string();
            say(recorder, "listener", Told::Option { text });
        }
        let local = listener.local_address().map_err(failed("getsockname of"))?;
        say(recorder, "listener", Told::Listening { local });
        Ok(listener)
    }
}

pub(crate) fn target(address: SocketAddr) -> Target {
    Target {
        kind: Kind::Tcp,
        family: Family::of(address.ip()),
        role: Role::Listening,
    }
}

fn unbound(address: SocketAddr, error: io::Error) -> Error {
    let port = address.port();
    let remedy = match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EADDRINUSE) => {
            format!(
                "another program has this port: `ss -ltnp sport = {port}` names it; or take another port"
            )
        }
        Some(Errno::EACCES) => {
            "ports below 1024 need CAP_NET_BIND_SERVICE; try one above, such as 8080".into()
        }
        Some(Errno::EADDRNOTAVAIL) => {
            "this host has no such address; `ip address` lists them".into()
        }
        _ => return Error::new("bind", address, error),
    };
    Error::new("bind", address, error).remedy(remedy)
}

//! `--prometheus ADDR`: the running figures for whoever scrapes them over HTTP.
//!
//! Owns the address, the listener and the thread. The port is bound before
//! privileges are dropped, in the machine's own network; the thread starts
//! after.

mod answer;
mod server;

use std::io::{self, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::str::FromStr;
use std::sync::Arc;
use std::thread::JoinHandle;

use nix::errno::Errno;

use crate::error::Error;
use crate::recorder::Clock;
use crate::report::ping::prometheus::Metrics;

/// Where to listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ScrapeAddress {
    /// On this address.
    One(SocketAddr),
    /// On every address, IPv6 and IPv4, at this port.
    Every(u16),
}

impl FromStr for ScrapeAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || {
            "expected ADDRESS:PORT, such as 127.0.0.1:9427, [::1]:9427, or :9427 for every address"
                .to_owned()
        };
        match text.strip_prefix(':') {
            Some(port) => port.parse().map(Self::Every).map_err(|_| wrong()),
            None => text.parse().map(Self::One).map_err(|_| wrong()),
        }
    }
}

impl ScrapeAddress {
    pub(super) fn bind(self) -> Result<TcpListener, Error> {
        let (target, listener) = match self {
            Self::One(address) => (address.to_string(), TcpListener::bind(address)),
            Self::Every(port) => {
                let six = TcpListener::bind((Ipv6Addr::UNSPECIFIED, port));
                // The kernel may have been started without IPv6.
                let listener = match six {
                    Err(error) if error.raw_os_error() == Some(Errno::EAFNOSUPPORT as i32) => {
                        TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))
                    }
                    six => six,
                };
                (format!("[::]:{port}"), listener)
            }
        };
        listener.map_err(|cause| {
            let remedy = match cause.kind() {
                io::ErrorKind::AddrInUse => "something listens there; take another port",
                io::ErrorKind::PermissionDenied => {
                    "ports below 1024 need CAP_NET_BIND_SERVICE; take a higher one"
                }
                io::ErrorKind::AddrNotAvailable => {
                    "it is not an address of this host; `ip address` lists them"
                }
                _ => "take another address",
            };
            Error::new("bind --prometheus", target, cause).remedy(remedy)
        })
    }
}

/// A thread that answers scrapes until it is dropped.
pub(super) struct Scrape {
    metrics: Arc<Metrics>,
    /// Closing it ends the thread.
    end: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl Scrape {
    /// Answers what comes to `listener`; `clock` is the run's.
    pub(super) fn serve(listener: TcpListener, clock: Clock) -> Result<Self, Error> {
        let failed = |cause: io::Error| Error::new("serve --prometheus", "", cause);
        let metrics =
            Metrics::new().map_err(|cause| Error::new("serve --prometheus", "", cause))?;
        let metrics = Arc::new(metrics);
        let address = listener.local_addr().map_err(failed)?;
        let (end, ended) = UnixStream::pair().map_err(failed)?;
        let shown = Arc::clone(&metrics);
        let mut server = server::Server::new(listener, ended).map_err(failed)?;
        let thread = std::thread::Builder::new()
            .name("scrape".into())
            .spawn(move || server.run(&|| shown.text(clock.now())))
            .map_err(failed)?;
        let _ = writeln!(io::stderr(), "socklab: figures at http://{address}/metrics");
        Ok(Self {
            metrics,
            end: Some(end),
            thread: Some(thread),
        })
    }

    /// What takes the events.
    pub(super) fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.metrics)
    }
}

impl Drop for Scrape {
    fn drop(&mut self) {
        self.end = None;
        if let Some(thread) = self.thread.take() {
            // A panic was printed by its thread.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let one = |text: &str| ScrapeAddress::One(text.parse().unwrap());
        for (text, address) in [
            (":9427", ScrapeAddress::Every(9427)),
            ("127.0.0.1:9427", one("127.0.0.1:9427")),
            ("[::1]:0", one("[::1]:0")),
        ] {
            assert_eq!(text.parse(), Ok(address), "{text}");
        }
        for text in ["", ":", "9427", ":70000", "127.0.0.1", "::1:9427", "host:1"] {
            let error = text.parse::<ScrapeAddress>().unwrap_err();
            assert!(error.contains("127.0.0.1:9427"), "{text}: {error}");
        }
    }
}

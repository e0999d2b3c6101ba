//! The congestion control of the programs' TCP sockets: a network namespace
//! begins with the machine's, which decides what a queue or a loss looks like
//! (tcp(7), `tcp_congestion_control`).

use std::fs;

use crate::error::{Error, Exit};
use crate::link::Link;

const SYSCTL: &str = "/proc/sys/net/ipv4/tcp_congestion_control";
const ALLOWED: &str = "/proc/sys/net/ipv4/tcp_available_congestion_control";

/// Sets it on both hosts, where a name is given, and tells which it is.
pub fn congestion_control(link: &Link, name: Option<&str>) -> Result<String, Error> {
    for host in [link.client(), link.server()] {
        let Some(name) = name.map(str::to_owned) else {
            continue;
        };
        let asked = name.clone();
        host.run(move || fs::write(SYSCTL, asked))
            .map_err(|error| {
                let known = fs::read_to_string(ALLOWED).unwrap_or_default();
                Error::new("choose congestion control", name, error)
                    .remedy(format!("this kernel has {}", known.trim()))
                    .exiting(Exit::Other)
            })?;
    }
    let name = link.client().run(|| fs::read_to_string(SYSCTL));
    Ok(name.map_or_else(|_| "unknown".to_owned(), |name| name.trim().to_owned()))
}

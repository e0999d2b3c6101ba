//! What remote control tells, at either end.
//!
//! Pure values. Nothing here formats a line of output.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::Serialize;

use crate::protocol::remote::{Output, Why};
use crate::units::nanoseconds;

/// A step of remote control.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "remote", rename_all = "snake_case")]
pub enum Remote {
    /// The server is ready.
    Serving {
        /// Its key's fingerprint.
        fingerprint: String,
        /// Clients that are authorised.
        clients: usize,
        /// Commands that may be run.
        commands: usize,
    },
    /// The handshake is done: each end has the key that it should have.
    Greeted {
        /// The other end.
        peer: SocketAddr,
        /// Its key's fingerprint.
        fingerprint: String,
        /// Its name in the list of keys.
        name: String,
        /// How long the handshake took.
        #[serde(rename = "took_ns", serialize_with = "nanoseconds")]
        took: Duration,
    },
    /// The connection was closed because of what came on it.
    Broken {
        /// The other end.
        peer: SocketAddr,
        /// Why.
        cause: String,
    },
    /// Somebody was sent away before a handshake.
    TurnedAway {
        /// Who.
        peer: SocketAddr,
        /// Why.
        reason: String,
    },
    /// Somebody failed too often.
    LockedOut {
        /// Who; of IPv6 the whole /64 network.
        source: IpAddr,
        /// For how long.
        #[serde(rename = "for_ns", serialize_with = "nanoseconds")]
        time: Duration,
    },
    /// What is allowed was asked for.
    Listed {
        /// By whom.
        peer: SocketAddr,
        /// How many commands there are.
        commands: usize,
    },
    /// A run was asked for.
    Asked {
        /// Which command.
        id: String,
        /// Its parameters.
        parameters: Vec<String>,
    },
    /// It is not run.
    Refused {
        /// Which command.
        id: String,
        /// The kind of refusal.
        why: Why,
        /// In words.
        reason: String,
    },
    /// It runs.
    Begun {
        /// The run's number in the server's audit log.
        run: u64,
        /// Which command.
        id: String,
    },
    /// It is asked to end (SIGTERM), and will be killed if it does not.
    Ending {
        /// The run's number.
        run: u64,
        /// Why.
        reason: String,
    },
    /// It is killed (SIGKILL), and whatever it started with it.
    Killed {
        /// The run's number.
        run: u64,
        /// Why.
        reason: String,
    },
    /// The command printed a line on standard error. Only where standard error
    /// is for events alone.
    Stderr {
        /// The line, without its end; what is no UTF-8 is replaced.
        text: String,
    },
    /// It has ended.
    Ended {
        /// The run's number.
        run: u64,
        /// Which command.
        id: String,
        /// How: `exit code 0`, `signal 15`.
        outcome: String,
        /// Bytes on standard output.
        #[serde(rename = "stdout_bytes")]
        stdout: u64,
        /// Bytes on standard error.
        #[serde(rename = "stderr_bytes")]
        stderr: u64,
        /// Bytes that were more than it may print.
        #[serde(rename = "left_out_bytes")]
        left_out: u64,
        /// How long it ran.
        #[serde(rename = "took_ns", serialize_with = "nanoseconds")]
        took: Duration,
    },
    /// More was printed than may be.
    Capped {
        /// The run's number.
        run: u64,
        /// Where.
        output: Output,
        /// How much may be.
        #[serde(rename = "most_bytes")]
        most: u64,
    },
}

//! The chat room: its host and its members, over a stream, over datagrams, or
//! over a multicast group without a host.
//!
//! Owns the sockets and the tasks; what is said is the protocol's
//! ([`protocol::chat`](crate::protocol::chat)), and where lines are typed and
//! shown is the caller's ([`Console`]).

mod console;
mod farewell;
mod group;
mod host;
mod host_datagrams;
mod join;
mod join_datagrams;
mod mailbox;
mod reading;
mod scene;

pub use console::Console;
pub use group::{Gathered, Gathering, gather};
pub use host::{Hosting, Patience, host};
pub use host_datagrams::{Post, host_datagrams};
pub use join::{Joining, Parted, join};
pub use join_datagrams::{Passed, join_datagrams};
pub use scene::{Carrier, Scene, Told, Turn, Way, demonstrate};

use crate::socket::options::SocketOption;

/// What every chat socket is told: lines are short, and each is to go at once
/// (`TCP_NODELAY`).
pub fn at_once() -> Vec<SocketOption> {
    "nodelay".parse().into_iter().collect()
}

/// The same for a member's connection at the host. Who reads slowly is to fill
/// the room's queue, which is counted, and not the kernel's buffers; one whose
/// machine is gone is found out.
pub fn members_options() -> Vec<SocketOption> {
    let options = ["nodelay", "sndbuf=64k", "keepalive=60,15,4"];
    options.iter().flat_map(|option| option.parse()).collect()
}

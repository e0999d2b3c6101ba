//! A server that knows its clients: each has a handle, a name, an address, and
//! an account of what went to and fro.
//!
//! Who is there is kept by [`Roster`], what the operator types is read by
//! [`Order`], what clients send is cut into [`Lines`]: all pure. [`host()`] joins
//! them to the sockets in one epoll loop, and tells what happens as
//! [`Happening`]s; it never prints.
//!
//! ```text
//!  clients ══ sockets ══► Lines ──► Happening::Said ──► whoever shows it
//!     ▲                     │
//!     ╚═══ queues ◄── Order ◄── the console        Roster: who is there
//! ```

mod host;
mod inbox;
mod lines;
mod order;
mod roster;

use std::net::SocketAddr;

use serde::Serialize;

pub use host::{House, host};
pub use inbox::Console;
pub use lines::Lines;
pub use order::{HELP, Order};
pub use roster::{Client, Counts, Handle, Roster};

/// What happened, for whoever shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Happening {
    /// A client came in.
    Joined {
        /// Its handle from now on.
        handle: Handle,
        /// Where it comes from.
        address: SocketAddr,
        /// How many are there now,
        online: usize,
        /// and how many there may be.
        most: usize,
    },
    /// There was no room for one.
    Refused {
        /// Where it came from.
        address: SocketAddr,
        /// How many there may be.
        most: usize,
    },
    /// A client has a name: it said so, or its address has it.
    Named {
        /// Which.
        handle: Handle,
        /// The name.
        name: String,
    },
    /// A client said something: one line, or as much as a line may have.
    Said {
        /// Which.
        handle: Handle,
        /// What, without its end of line; invalid UTF-8 as U+FFFD.
        text: String,
    },
    /// A client was told something.
    Told {
        /// Which.
        handle: Handle,
        /// In so many bytes.
        bytes: usize,
    },
    /// A client has not taken what it was told before, and is told no more.
    Deaf {
        /// Which.
        handle: Handle,
        /// Bytes that wait for it.
        waiting: usize,
    },
    /// A client is gone.
    Left {
        /// Its account.
        client: Client,
        /// How it went: `ended`, `kicked`, or an errno's name.
        how: String,
    },
    /// Who is there, and who was.
    List {
        /// In the order of their handles.
        clients: Vec<Client>,
    },
    /// The sums.
    Stats {
        /// Of all clients that ever were.
        #[serde(flatten)]
        counts: Counts,
        /// How many are there.
        online: usize,
        /// How many there may be.
        most: usize,
    },
    /// What the operator can say.
    Help,
    /// An order that could not be carried out.
    Misunderstood {
        /// Why.
        why: String,
    },
}

//! The sockets of the applications: recorded, never blocking, waited for by
//! tokio.
//!
//! [`Door`] lets clients in, [`connect()`] reaches a server (RFC 8305), and either
//! gives a [`Connection`]. Owns no protocol.

mod connect;
mod connection;
mod door;
mod watch;

pub use connect::{connect, resolve};
pub use connection::{Connection, Reader, Writer};
pub use door::{Door, Doorway};

pub use crate::tcp::connect::Connect;
pub use crate::tcp::listen::Stack;

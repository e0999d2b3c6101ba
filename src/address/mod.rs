//! Where a conversation is to go: endpoints as typed, names and services looked
//! up, and which networks may take part.
//!
//! [`Endpoint`], [`Network`] and [`Attempts`] are values in, values out. Only [`lookup`] asks the
//! system's resolver (`getaddrinfo(3)`, `getnameinfo(3)`), and [`Search`] does it
//! on threads beside. Opens no socket.

mod attempts;
mod endpoint;
pub mod lookup;
mod network;
mod search;

pub use attempts::{Attempts, STAGGER};
pub use endpoint::{Endpoint, EndpointError, Service};
pub use lookup::{Question, name_of, resolve};
pub use network::{Admission, Network, NetworkError, canonical};
pub use search::{RESOLUTION_DELAY, Search};

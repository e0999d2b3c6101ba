//! Remote control: keys, frames, the Noise handshake, requests and replies, the
//! allow-list, and who has failed too often.
//!
//! Owns what is asked and what is allowed; starts no program and opens no
//! socket. Nothing is kept that a stranger can make grow.

pub mod allow;
mod authorised;
mod channel;
mod frame;
mod guard;
mod key;
mod message;
mod session;

pub use authorised::{Authorised, Known, LineError};
pub use channel::{Broken, HELLO_BYTES, Salt, Seen, VERSION};
pub use frame::{Frames, LARGEST_FRAME, framed};
pub use guard::{Guard, Limits, Verdict};
pub use key::{KeyError, Public, Secret};
pub use message::{
    Amount, Ask, CHUNK, Ending, Entry, LONGEST_PARAMETER, MOST_PARAMETERS, Malformed, Outcome,
    Output, Reply, Why,
};
pub use session::{Client, Heard, Server, Told};

//! The chat room's lines, and the room itself as a state machine: bytes in,
//! addressed lines out.
//!
//! Owns who is called what and who hears what; no socket, no clock. Everything
//! that a member can make grow has a limit.

mod clean;
mod command;
mod datagram;
mod history;
mod line;
mod nick;
mod outbox;
mod pace;
mod peers;
mod room;
mod ticket;
mod words;

pub use clean::{clean, clean_line};
pub use command::Input;
pub use datagram::{Numbered, Numbering, Sequence, Turn, numbers};
pub use line::{LONGEST_ANSWER, LONGEST_LINE, Piece, Splitter};
pub use nick::{Nick, NickError};
pub use outbox::Outbox;
pub use pace::Pace;
pub use peers::{Act, Heard, Notice, Peers, Said};
pub use room::{Account, MemberId, Order, Receipt, Room, Settings};
pub use ticket::{Ticket, Tickets, is_knock};
pub use words::{counted, duration, transcript};

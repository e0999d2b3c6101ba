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
pub use guard::{Guard, Limits, Verdict, network};
pub use key::{KeyError, Public, Secret};
pub use message::{
    Amount, Ask, CHUNK, Ending, Entry, LONGEST_PARAMETER, MOST_PARAMETERS, Malformed, Outcome,
    Output, Reply, Why,
};
pub use session::{Client, Heard, Server, Told};

/// A text from somebody else as it may be shown: what a terminal would obey, or
/// what would turn the order of the letters, is escaped.
pub fn harmless(text: &str) -> String {
    let is_harmful = |letter: char| {
        letter.is_control()
            || matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if is_harmful(letter) {
            shown.extend(letter.escape_unicode());
        } else {
            shown.push(letter);
        }
    }
    shown
}

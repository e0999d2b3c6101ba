//! File transfer: the lines between the two ends, the bytes between the lines,
//! and what each end may say when.
//!
//! Owns no file and no socket. A plain hash proves that nothing was damaged on
//! the way; it proves nothing about who sent it.
//!
//! Whoever listens is the server, whichever way the files go:
//!
//! ```text
//!   server                                   client
//!   HELLO version=1 role= name= address=  →
//!                                         ←  HELLO version=1 role= name=
//!   sender                                   receiver
//!   MANIFEST files= directories= bytes=   →
//!   DIR name= mode= mtime=                →
//!   FILE name= size= mode= mtime=
//!        block= hash=                     →
//!                                         ←  MADE | SKIP reason=       (to DIR)
//!                                         ←  SEND offset= block= prefix-hash=
//!                                            | CHECK | SKIP reason=    (to FILE)
//!   DATA offset= length=, then the bytes  →                       (after SEND)
//!   END bytes= hash=
//!   | FAIL code=changed                   →              (after SEND or CHECK)
//!                                         ←  OK | FAIL code=        (to END)
//!   DONE files= bytes=                    →
//!                                         ←  DONE files= bytes=
//! ```
//!
//! Up to [`AHEAD`] entries may wait for their answer, so that many small files
//! cost no round trip each. Either end may say `WAIT` while its disk is busy,
//! and `BYE code=` to end it all. The sender's `DONE` counts the files that it
//! sent to their end and the bytes of their data: the receiver compares.

mod fields;
mod hash;
mod inbox;
mod line;
mod name;
mod receiving;
mod sending;
mod words;

pub use hash::{Algorithm, Digest, Hasher};
pub use inbox::{Inbox, Violation};
pub use line::{Entry, Line, Malformed, Modified, Role};
pub use name::{Escaped, Name, NameError};
pub use receiving::{Intake, Received};
pub use sending::{Answered, Offers};
pub use words::{Code, Reason};

/// The version that both ends must speak.
pub const VERSION: u64 = 1;
/// The longest line in bytes, its end included.
pub const LONGEST_LINE: usize = 4096;
/// The block's size where none was asked for.
pub const BLOCK: u64 = 2048;
/// The largest block.
pub const LARGEST_BLOCK: u64 = 1 << 20;
/// Entries that may wait for their answer.
pub const AHEAD: usize = 256;
/// Entries that were answered and may wait to be confirmed.
pub const UNCONFIRMED: usize = 4096;

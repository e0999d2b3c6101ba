//! The lines of a chat room.
//!
//! Values in, text out; knows no colour and no layout.

use crate::event::Chat;
use crate::report::talk::Detail;

/// What is said of a step, at this detail.
pub(in crate::report) fn lines(step: &Chat, _: Detail) -> Vec<String> {
    match *step {}
}

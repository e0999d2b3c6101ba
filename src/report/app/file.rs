//! The lines of a file transfer.
//!
//! Values in, text out; knows no colour and no layout.

use crate::event::File;
use crate::report::talk::Detail;

/// What is said of a step, at this detail.
pub(in crate::report) fn lines(step: &File, _: Detail) -> Vec<String> {
    match *step {}
}

//! The lines of remote control.
//!
//! Values in, text out; knows no colour and no layout.

use crate::event::Remote;
use crate::report::talk::Detail;

/// What is said of a step, at this detail.
pub(in crate::report) fn lines(step: &Remote, _: Detail) -> Vec<String> {
    match *step {}
}

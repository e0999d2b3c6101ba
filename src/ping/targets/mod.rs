//! Whom a sweep is for: operands, files and ranges as targets, without a string
//! or an address kept for each target of a range.
//!
//! [`Spec`] is what was typed, [`Targets`] what it amounts to, [`Lookups`] asks
//! the resolver for what lies between. Never sends anything.

mod lookups;
mod read;
mod spec;
mod table;

pub use lookups::{Answer, Lookups, Question, Wanted};
pub use read::{read, read_file};
pub use spec::{MOST, Span, Spec};
pub use table::{Label, Targets};

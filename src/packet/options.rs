//! The kind-length-value options that IPv4 and TCP share (RFC 791 section 3.1,
//! RFC 9293 section 3.1): kind 0 ends the list, kind 1 is one byte, every other
//! kind is followed by a length that counts both.
//!
//! Knows no kind's meaning: that is the caller's.

use super::cursor::Cursor;

/// How a protocol calls its options.
pub(super) struct Naming {
    /// The key of an option's kind.
    pub kind: &'static str,
    /// The key of an option's length.
    pub length: &'static str,
    /// An option's own key and label.
    pub option: fn(u8) -> (&'static str, &'static str),
}

/// Reads all options up to the cursor's end. `value` reads what follows an
/// option's kind and length, told how many bytes that is.
pub(super) fn walk<T>(
    c: &mut Cursor<'_>,
    naming: &Naming,
    mut value: impl FnMut(&mut Cursor<'_>, u8, usize) -> T,
) -> Vec<T> {
    let mut options = Vec::new();
    while let Some(kind) = c.peek(0) {
        let name = (naming.option)(kind);
        let length = match (kind, c.peek(1)) {
            (0 | 1, _) => 1,
            (_, Some(length)) => usize::from(length),
            (_, None) => 2,
        };
        if (kind > 1 && length < 2) || length > c.remaining() {
            c.fault_option(kind, name.1, length);
            c.rest("", name.1);
            c.meaning("impossible length");
            break;
        }
        options.push(c.group(length, name, |c| {
            c.u8(naming.kind, "kind");
            if kind > 1 {
                c.u8(naming.length, "length");
            }
            value(c, kind, length.saturating_sub(2))
        }));
        if kind == 0 {
            c.rest("", "padding after the options");
            break;
        }
    }
    options
}

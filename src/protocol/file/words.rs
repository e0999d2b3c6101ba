//! The words of a refusal: why a file is not taken, what became of one that
//! was, and why it all ends.
//!
//! A word that a later version may know is kept as it is, as far as it is
//! harmless.

use std::fmt;

use serde::{Serialize, Serializer};

/// Declares an enumeration of words with one for all others.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal, $says:literal;)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum $name {
            $($(#[$doc])* $variant,)*
            /// A word that this version does not know.
            Unknown(String),
        }

        impl $name {
            /// The word as it is sent.
            pub fn word(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)*
                    Self::Unknown(word) => word,
                }
            }

            /// Reads a word: lower-case letters and hyphens, 32 at most.
            pub fn read(word: &str) -> Option<Self> {
                let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
                match word {
                    $($word => Some(Self::$variant),)*
                    _ if !word.is_empty() && word.len() <= 32 && word.bytes().all(is_letter) => {
                        Some(Self::Unknown(word.to_owned()))
                    }
                    _ => None,
                }
            }

            /// All that have a meaning here.
            #[cfg(test)]
            pub(super) fn all() -> Vec<Self> {
                vec![$(Self::$variant),*]
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Self::$variant => $says,)*
                    Self::Unknown(word) => word,
                })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.word())
            }
        }
    };
}

words! {
    /// Why a receiver does not take a file.
    Reason {
        /// Something of that name is there.
        Exists = "exists", "something of that name is there";
        /// Another transfer writes it.
        Busy = "busy", "another transfer is writing it";
        /// Not enough room on the disk.
        Space = "space", "there is not enough room on the receiver's disk";
        /// Larger, or more, than the receiver allows.
        TooLarge = "too-large", "it is more than the receiver takes";
        /// What stands in its way is a link, a device or somebody else's.
        Unsafe = "unsafe", "a link or something else that is no folder stands in its way";
        /// Its name begins with a dot, or a folder's on the way does.
        Hidden = "hidden", "the receiver takes hidden files only with --hidden";
        /// The receiver's disk said no.
        Disk = "disk", "the receiver cannot write it";
        /// Only a rehearsal.
        DryRun = "dry-run", "the receiver only rehearses";
    }
}

words! {
    /// What went wrong with a file that was sent, or with the conversation.
    Code {
        /// The hash of what arrived is another one.
        Hash = "hash", "what arrived is not what was sent";
        /// Something of that name came there in the meantime.
        Exists = "exists", "something else of that name is there";
        /// The disk is full.
        Space = "space", "the receiver's disk is full";
        /// The disk said no.
        Disk = "disk", "the receiver cannot write it";
        /// The file became shorter, or cannot be read any more.
        Changed = "changed", "the file changed while it was sent";
        /// What was said makes no sense.
        Protocol = "protocol", "the other end broke the protocol";
        /// Both want to send, or both to receive, or another version.
        Role = "role", "both ends want the same part";
        /// More than was announced or is allowed.
        TooLarge = "too-large", "it is more than the receiver takes";
        /// Nothing moved for too long.
        Idle = "idle", "nothing moved for too long";
        /// Somebody asked to stop.
        Stopped = "stopped", "the other end was stopped";
        /// All places are taken.
        Full = "full", "all places are taken";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back_and_unknown_ones_are_kept() {
        for reason in Reason::all() {
            assert_eq!(Reason::read(reason.word()), Some(reason));
        }
        for code in Code::all() {
            assert_eq!(Code::read(code.word()), Some(code));
        }
        assert_eq!(
            Code::read("moonlight"),
            Some(Code::Unknown("moonlight".into()))
        );
        for wrong in ["", "UPPER", "a b", "\u{1b}", &"a".repeat(33)] {
            assert_eq!(Code::read(wrong), None, "{wrong:?}");
        }
    }
}

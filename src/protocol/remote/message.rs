//! What is asked and answered inside the sealed messages: a byte that says what
//! it is, then its fields; numbers with the highest byte first, texts with two
//! bytes of length before them.
//!
//! Parse and emit together; whatever has more or less than its fields is refused.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The most parameters of a run.
pub const MOST_PARAMETERS: usize = 32;
/// The longest of them, in bytes.
pub const LONGEST_PARAMETER: usize = 1024;
/// The most output in one message.
pub const CHUNK: usize = 16 << 10;
/// The longest text of any other field.
const LONGEST_TEXT: usize = 4096;

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// What may be run?
    List,
    /// Run this.
    Run {
        /// Which command.
        id: String,
        /// Its parameters, in order.
        parameters: Vec<String>,
    },
    /// End what runs.
    End,
}

/// What a server answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// One command that may be run.
    Entry(Entry),
    /// There are no more.
    Listed,
    /// It runs.
    Begun {
        /// The run's number in the audit log.
        run: u64,
    },
    /// It printed something.
    Output {
        /// Where.
        output: Output,
        /// What; at most [`CHUNK`] bytes.
        bytes: Vec<u8>,
    },
    /// It has ended.
    Ended(Ending),
    /// It is not run.
    Refused {
        /// The kind of refusal.
        why: Why,
        /// In words.
        reason: String,
    },
}

/// A command that may be run.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Entry {
    /// By what it is called.
    pub id: String,
    /// Its parameters, such as `FOLDER(home|etc)`.
    pub usage: String,
    /// What it does.
    pub summary: String,
}

/// Where a program prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Output {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Why something is not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// There is no such command, or its parameters are not allowed.
    NotAllowed,
    /// Too much runs already.
    Busy,
    /// It could not be started.
    Failed,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    /// How the program ended.
    pub outcome: Outcome,
    /// What it printed on standard output.
    pub stdout: Amount,
    /// What it printed on standard error.
    pub stderr: Amount,
    /// How long it ran.
    pub took: Duration,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// By itself, with this code.
    Exited(u8),
    /// By a signal.
    Signalled(u8),
    /// It was ended because its time was over.
    TimedOut,
    /// It was ended because the client asked for it, or left.
    Stopped,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Exited(code) => write!(f, "exit code {code}"),
            Outcome::Signalled(signal) => write!(f, "ended by signal {signal}"),
            Outcome::TimedOut => f.write_str("ended because its time was over"),
            Outcome::Stopped => f.write_str("ended because it was asked to"),
        }
    }
}

/// How much a program printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Amount {
    /// Bytes that were sent to the client.
    pub sent: u64,
    /// Bytes beyond what the command may print.
    pub left_out: u64,
}

/// A message that has no meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the message has no meaning")]
pub struct Malformed;

impl Ask {
    /// The message's bytes.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Ask::List => vec![1],
            Ask::Run { id, parameters } => {
                let mut out = vec![2];
                put_text(&mut out, id);
                let count = parameters.len().min(MOST_PARAMETERS);
                out.push(u8::try_from(count).unwrap_or_default());
                for parameter in parameters.iter().take(count) {
                    put_text(&mut out, parameter);
                }
                out
            }
            Ask::End => vec![3],
        }
    }

    /// Reads a message.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut fields = Fields(bytes);
        let ask = match fields.byte()? {
            1 => Ask::List,
            2 => {
                let id = fields.text(LONGEST_TEXT)?;
                let count = usize::from(fields.byte()?);
                if count > MOST_PARAMETERS {
                    return Err(Malformed);
                }
                let parameters = (0..count).map(|_| fields.text(LONGEST_PARAMETER));
                Ask::Run {
                    id,
                    parameters: parameters.collect::<Result<_, _>>()?,
                }
            }
            3 => Ask::End,
            _ => return Err(Malformed),
        };
        fields.end(ask)
    }
}

impl Reply {
    /// The message's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Reply::Entry(Entry { id, usage, summary }) => {
                out.push(1);
                for text in [id, usage, summary] {
                    put_text(&mut out, text);
                }
            }
            Reply::Listed => out.push(2),
            Reply::Begun { run } => {
                out.push(3);
                out.extend_from_slice(&run.to_be_bytes());
            }
            Reply::Output { output, bytes } => {
                out.push(match output {
                    Output::Stdout => 4,
                    Output::Stderr => 5,
                });
                out.extend_from_slice(bytes);
            }
            Reply::Ended(ending) => {
                out.push(6);
                ending.encode(&mut out);
            }
            Reply::Refused { why, reason } => {
                out.extend_from_slice(&[7, *why as u8]);
                put_text(&mut out, reason);
            }
        }
        out
    }

    /// Reads a message.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut fields = Fields(bytes);
        let reply = match fields.byte()? {
            1 => Reply::Entry(Entry {
                id: fields.text(LONGEST_TEXT)?,
                usage: fields.text(LONGEST_TEXT)?,
                summary: fields.text(LONGEST_TEXT)?,
            }),
            2 => Reply::Listed,
            3 => Reply::Begun {
                run: fields.number()?,
            },
            tag @ (4 | 5) => Reply::Output {
                output: if tag == 4 {
                    Output::Stdout
                } else {
                    Output::Stderr
                },
                bytes: fields.chunk()?,
            },
            6 => Reply::Ended(Ending::decode(&mut fields)?),
            7 => Reply::Refused {
                why: match fields.byte()? {
                    0 => Why::NotAllowed,
                    1 => Why::Busy,
                    2 => Why::Failed,
                    _ => return Err(Malformed),
                },
                reason: fields.text(LONGEST_TEXT)?,
            },
            _ => return Err(Malformed),
        };
        fields.end(reply)
    }
}

impl Ending {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&match self.outcome {
            Outcome::Exited(code) => [0, code],
            Outcome::Signalled(signal) => [1, signal],
            Outcome::TimedOut => [2, 0],
            Outcome::Stopped => [3, 0],
        });
        let took = u64::try_from(self.took.as_nanos()).unwrap_or(u64::MAX);
        let (stdout, stderr) = (self.stdout, self.stderr);
        let counts = [stdout.sent, stdout.left_out, stderr.sent, stderr.left_out];
        for number in counts.into_iter().chain([took]) {
            out.extend_from_slice(&number.to_be_bytes());
        }
    }

    fn decode(fields: &mut Fields<'_>) -> Result<Self, Malformed> {
        let outcome = match (fields.byte()?, fields.byte()?) {
            (0, code) => Outcome::Exited(code),
            (1, signal) => Outcome::Signalled(signal),
            (2, 0) => Outcome::TimedOut,
            (3, 0) => Outcome::Stopped,
            _ => return Err(Malformed),
        };
        let mut amount = || {
            Ok(Amount {
                sent: fields.number()?,
                left_out: fields.number()?,
            })
        };
        let (stdout, stderr) = (amount()?, amount()?);
        Ok(Self {
            outcome,
            stdout,
            stderr,
            took: Duration::from_nanos(fields.number()?),
        })
    }
}

/// A text, cut where it is longer than any may be.
fn put_text(out: &mut Vec<u8>, text: &str) {
    let mut end = text.len().min(LONGEST_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    // At most LONGEST_TEXT, which fits.
    let length = u16::try_from(end).unwrap_or_default();
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&text.as_bytes()[..end]);
}

/// The fields that are left.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn byte(&mut self) -> Result<u8, Malformed> {
        let (byte, rest) = self.0.split_first().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*byte)
    }

    fn number(&mut self) -> Result<u64, Malformed> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(Malformed)?;
        self.0 = rest;
        Ok(u64::from_be_bytes(*bytes))
    }

    fn text(&mut self, most: usize) -> Result<String, Malformed> {
        let (length, rest) = self.0.split_first_chunk().ok_or(Malformed)?;
        let length = usize::from(u16::from_be_bytes(*length));
        if length > most {
            return Err(Malformed);
        }
        let (text, rest) = rest.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        String::from_utf8(text.to_vec()).map_err(|_| Malformed)
    }

    fn chunk(&mut self) -> Result<Vec<u8>, Malformed> {
        if self.0.is_empty() || self.0.len() > CHUNK {
            return Err(Malformed);
        }
        Ok(std::mem::take(&mut self.0).to_vec())
    }

    fn end<T>(self, value: T) -> Result<T, Malformed> {
        if self.0.is_empty() {
            Ok(value)
        } else {
            Err(Malformed)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn asks() -> impl Strategy<Value = Ask> {
        let run = (".{0,40}", vec(".{0,40}", 0..MOST_PARAMETERS))
            .prop_map(|(id, parameters)| Ask::Run { id, parameters });
        prop_oneof![Just(Ask::List), run, Just(Ask::End)]
    }

    fn replies() -> impl Strategy<Value = Reply> {
        let outcome = prop_oneof![
            any::<u8>().prop_map(Outcome::Exited),
            any::<u8>().prop_map(Outcome::Signalled),
            Just(Outcome::TimedOut),
            Just(Outcome::Stopped),
        ];
        let amount = || (any::<u64>(), any::<u64>());
        let ended =
            (outcome, amount(), amount(), any::<u64>()).prop_map(|(outcome, a, b, took)| {
                Reply::Ended(Ending {
                    outcome,
                    stdout: Amount {
                        sent: a.0,
                        left_out: a.1,
                    },
                    stderr: Amount {
                        sent: b.0,
                        left_out: b.1,
                    },
                    took: Duration::from_nanos(took),
                })
            });
        let output = prop_oneof![Just(Output::Stdout), Just(Output::Stderr)];
        let output = (output, vec(any::<u8>(), 1..CHUNK))
            .prop_map(|(output, bytes)| Reply::Output { output, bytes });
        let entry = (".{0,40}", ".{0,40}", ".{0,40}")
            .prop_map(|(id, usage, summary)| Reply::Entry(Entry { id, usage, summary }));
        let why = prop_oneof![Just(Why::NotAllowed), Just(Why::Busy), Just(Why::Failed)];
        let refused = (why, ".{0,40}").prop_map(|(why, reason)| Reply::Refused { why, reason });
        let begun = any::<u64>().prop_map(|run| Reply::Begun { run });
        prop_oneof![ended, output, entry, refused, begun, Just(Reply::Listed)]
    }

    #[test]
    fn a_text_that_is_too_long_is_cut_between_letters() {
        let reason = "é".repeat(LONGEST_TEXT);
        let why = Why::Busy;
        let bytes = Reply::Refused { why, reason }.encode();
        let Ok(Reply::Refused { reason, .. }) = Reply::decode(&bytes) else {
            panic!("it reads");
        };
        assert_eq!(reason, "é".repeat(LONGEST_TEXT / 2));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_and_nothing_shorter_or_longer(ask in asks(), reply in replies()) {
            let bytes = ask.encode();
            prop_assert_eq!(Ask::decode(&bytes), Ok(ask));
            prop_assert_eq!(Ask::decode(&bytes[..bytes.len() - 1]), Err(Malformed));
            prop_assert_eq!(Ask::decode(&[&bytes[..], &[0]].concat()), Err(Malformed));
            prop_assert_eq!(Reply::decode(&reply.encode()), Ok(reply));
        }

        #[test]
        fn what_is_read_is_written_again(bytes: Vec<u8>) {
            if let Ok(ask) = Ask::decode(&bytes) {
                prop_assert_eq!(ask.encode(), &bytes[..]);
            }
            if let Ok(reply) = Reply::decode(&bytes) {
                prop_assert_eq!(reply.encode(), bytes);
            }
        }
    }
}

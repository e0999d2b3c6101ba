//! One setsockopt(2) and the getsockopt(2) after it: the bytes that go in, what
//! the kernel says it has, and how the two read side by side.
//!
//! Every call is recorded. Decides nothing: which call is made, and on which
//! socket, is the caller's choice.

use std::cmp::Ordering;
use std::fmt;
use std::io;
use std::os::fd::AsFd;

use nix::libc;

use super::catalogue::{Knob, On};
use super::group::{Group, interface_index};
use super::value::{Form, Value, grouped};
use crate::recorder::Returned;
use crate::socket::handle::Handle;
use crate::socket::kernel::{option_bytes, set_option_bytes};

/// An option that was set, with what the kernel has now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The option's name.
    pub name: &'static str,
    /// Each call that it took.
    pub readings: Vec<Reading>,
}

/// What was asked for by one call, and what the kernel answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The kernel's name for it.
    pub constant: &'static str,
    /// What was asked for.
    pub asked: String,
    /// What the kernel says it has; `None` where it cannot be asked.
    pub kernel: Option<String>,
    /// Both, of a size in bytes.
    sizes: Option<(i64, i64)>,
}

/// `rcvbuf: asked 65,536, the kernel doubles it to 131,072`.
impl fmt::Display for Applied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.name)?;
        if let [reading] = self.readings.as_slice() {
            return write!(f, "{reading}");
        }
        for (index, reading) in self.readings.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{} {reading}", reading.constant)?;
        }
        Ok(())
    }
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let asked = &self.asked;
        let Some(kernel) = self.kernel.as_ref().filter(|kernel| *kernel != asked) else {
            return f.write_str(asked);
        };
        let does = match (self.constant, self.sizes) {
            ("SO_RCVBUF" | "SO_SNDBUF" | "SO_RCVBUFFORCE" | "SO_SNDBUFFORCE", Some((one, two))) => {
                match two.cmp(&one.saturating_mul(2)) {
                    Ordering::Equal => "doubles it to",
                    Ordering::Less => "caps it at",
                    Ordering::Greater => "raises it to",
                }
            }
            _ => "has",
        };
        write!(f, "asked {asked}, the kernel {does} {kernel}")?;
        match (does, self.constant) {
            ("caps it at", "SO_RCVBUF") => f.write_str(", twice net.core.rmem_max"),
            ("caps it at", "SO_SNDBUF") => f.write_str(", twice net.core.wmem_max"),
            _ => Ok(()),
        }
    }
}

/// One call, ready to be made.
pub(super) struct Turn {
    knob: Knob,
    form: Form,
    argument: Argument,
    pub(super) asked: String,
}

/// What setsockopt(2) takes.
enum Argument {
    Number(i64),
    Linger(Option<u16>),
    Text(String),
    Interface(String),
    Group(Group),
}

impl Turn {
    /// The call for the option's knob of this index; `None` where the value
    /// leaves it as it is.
    pub(super) fn of(value: &Value, form: Form, knob: Knob, index: usize) -> Option<Self> {
        let turn = match value {
            Value::Number(number) => Self::number(knob, form, connecting(knob, *number)),
            Value::Keepalive(None) if index == 0 => Self::number(knob, Form::Switch, 0),
            Value::Keepalive(None) => return None,
            Value::Keepalive(Some(_)) if index == 0 => Self::number(knob, Form::Switch, 1),
            Value::Keepalive(Some(parts)) => {
                let number = *parts.get(index - 1)?;
                Self::number(knob, form, number?.into())
            }
            Value::Linger(seconds) => Self {
                asked: linger(*seconds),
                argument: Argument::Linger(*seconds),
                knob,
                form,
            },
            Value::Text(text) => Self {
                asked: text.clone(),
                argument: Argument::Text(text.clone()),
                knob,
                form,
            },
            Value::Interface(interface) => Self {
                asked: interface.clone(),
                argument: Argument::Interface(interface.clone()),
                knob,
                form,
            },
            Value::Group(group) => Self {
                asked: group.to_string(),
                argument: Argument::Group(group.clone()),
                knob: Knob {
                    level: if group.address.is_ipv4() {
                        libc::SOL_IP
                    } else {
                        libc::SOL_IPV6
                    },
                    ..knob
                },
                form,
            },
        };
        Some(turn)
    }

    fn number(knob: Knob, form: Form, number: i64) -> Self {
        Self {
            knob,
            form,
            argument: Argument::Number(number),
            asked: form.show(number),
        }
    }

    /// setsockopt(), then getsockopt() where the kernel has an answer.
    pub(super) fn make(&self, socket: &Handle) -> io::Result<Reading> {
        let Knob {
            constant,
            level,
            number,
            ..
        } = self.knob;
        socket.set_option(format_args!("{constant}, {}", self.asked), |socket| {
            set_option_bytes(socket.as_fd(), level, number, &self.bytes()?)
        })?;
        let reading = match self.argument {
            Argument::Group(_) | Argument::Interface(_) => None,
            _ => Some(self.read_back(socket)?),
        };
        Ok(Reading {
            constant,
            asked: self.asked.clone(),
            sizes: match (&self.argument, &reading) {
                (Argument::Number(asked), Some((_, kernel))) => Some((*asked, *kernel)),
                _ => None,
            },
            kernel: reading.map(|(text, _)| text),
        })
    }

    fn bytes(&self) -> io::Result<Vec<u8>> {
        match &self.argument {
            Argument::Number(number) => Ok(int(*number)),
            Argument::Linger(seconds) => {
                let on = int(seconds.is_some().into());
                Ok([on, int(seconds.unwrap_or_default().into())].concat())
            }
            Argument::Text(text) => Ok(text.as_bytes().to_vec()),
            Argument::Group(group) => group.bytes(),
            Argument::Interface(interface) => {
                let index = interface_index(interface)?.to_ne_bytes();
                match self.knob.level {
                    // struct ip_mreqn: two addresses that are not given, and
                    // the interface.
                    libc::SOL_IP => Ok([&[0; 8][..], &index].concat()),
                    _ => Ok(index.to_vec()),
                }
            }
        }
    }

    fn read_back(&self, socket: &Handle) -> io::Result<(String, i64)> {
        let level = self.knob.level;
        // What was forced is read by the plain name.
        let (constant, number) = match self.knob.number {
            libc::SO_RCVBUFFORCE if level == libc::SOL_SOCKET => ("SO_RCVBUF", libc::SO_RCVBUF),
            libc::SO_SNDBUFFORCE if level == libc::SOL_SOCKET => ("SO_SNDBUF", libc::SO_SNDBUF),
            number => (self.knob.constant, number),
        };
        socket.recorder.call(
            &socket.name,
            "getsockopt",
            constant,
            || {
                let mut buffer = [0; 64];
                let length = option_bytes(socket.as_fd(), level, number, &mut buffer)?;
                Ok(self.decode(buffer.get(..length).unwrap_or_default()))
            },
            |(text, _)| Returned::with(text),
        )
    }

    fn decode(&self, bytes: &[u8]) -> (String, i64) {
        let int = |at: usize| match (bytes.get(at..at + 4), bytes.get(at)) {
            (Some(four), _) => four.try_into().map_or(0, i32::from_ne_bytes),
            // An option of one byte, such as IP_MULTICAST_TTL.
            (None, Some(byte)) => i32::from(*byte),
            (None, None) => 0,
        };
        match self.argument {
            Argument::Linger(_) => {
                let seconds = u16::try_from(int(4)).unwrap_or(u16::MAX);
                (linger((int(0) != 0).then_some(seconds)), 0)
            }
            Argument::Text(_) => {
                let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
                (String::from_utf8_lossy(text).into_owned(), 0)
            }
            _ => {
                let number = match self.form {
                    // Unsigned, as a mark is.
                    Form::Code(..) => i64::from(u32::from_ne_bytes(int(0).to_ne_bytes())),
                    _ => i64::from(int(0)),
                };
                (self.form.show(number), number)
            }
        }
    }
}

/// A C int; a mark uses all its bits.
fn int(number: i64) -> Vec<u8> {
    let narrow = i32::try_from(number).map(i32::to_ne_bytes);
    let bytes = narrow.or_else(|_| u32::try_from(number).map(u32::to_ne_bytes));
    bytes.unwrap_or_default().to_vec()
}

/// The number that a knob is turned to: the client's fast open is a switch,
/// where the listener's is a queue's length.
fn connecting(knob: Knob, number: i64) -> i64 {
    match knob.on {
        On::Connecting => number.min(1),
        _ => number,
    }
}

fn linger(seconds: Option<u16>) -> String {
    match seconds {
        None => "off".into(),
        Some(seconds) => format!("{} s", grouped(seconds.into())),
    }
}

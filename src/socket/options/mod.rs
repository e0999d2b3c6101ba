//! Socket options by name: `nodelay`, `rcvbuf=64k`, `keepalive=30,5,3`
//! (setsockopt(2), socket(7), tcp(7), udp(7), ip(7), ipv6(7)).
//!
//! Owns what may be asked for, which sockets have it and when it is set; sets
//! it through [`Handle::set_option`], so that each call is recorded, and reads
//! back what the kernel made of it. Never sets what was not asked for.

mod catalogue;
mod group;
mod turn;
mod value;

use std::fmt;
use std::io;
use std::str::FromStr;

use nix::errno::Errno;
use nix::libc;
use thiserror::Error as ThisError;

use super::handle::Handle;
use crate::error::{Error, Exit};
use crate::flow::{Family, Kind};

use catalogue::{ALL, Entry, Knob, On};
use turn::Turn;
use value::Value;

pub use turn::{Applied, Reading};

/// An option with its value, as asked for by name.
#[derive(Debug, Clone)]
pub struct SocketOption {
    entry: &'static Entry,
    value: Value,
}

/// When an option is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Between socket() and bind() or connect(). What accept() returns inherits
    /// it from the listening socket.
    Opened,
    /// After connect() or accept().
    Connected,
}

/// What the socket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// listen(), or a datagram socket that others write to.
    Listening,
    /// connect(), or a datagram socket that writes first.
    Connecting,
}

/// The socket that options are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// TCP or UDP.
    pub kind: Kind,
    /// The address family.
    pub family: Family,
    /// What it does.
    pub role: Role,
}

/// Which sockets have an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sockets {
    Both,
    Tcp,
    Udp,
}

/// Text that is no option.
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
pub enum OptionError {
    /// No option has this name.
    #[error("there is no option {name:?}; {hint}")]
    Unknown {
        /// What was typed.
        name: String,
        /// What may have been meant.
        hint: String,
    },
    /// It needs a value and has none.
    #[error("{name} needs a value: {name}= and {expected}")]
    NoValue {
        /// The option.
        name: &'static str,
        /// What may follow.
        expected: String,
    },
    /// The value is none of its own.
    #[error("{name}={value:?} is not {expected}")]
    BadValue {
        /// The option.
        name: &'static str,
        /// What was typed.
        value: String,
        /// What may be typed.
        expected: String,
    },
}

/// One option of the catalogue, for a list of them.
#[derive(Debug, Clone, Copy)]
pub struct Described {
    /// Its name.
    pub name: &'static str,
    /// What follows the name, such as `=BYTES`.
    pub value: &'static str,
    /// The sockets that have it: `tcp`, `udp` or `both`.
    pub sockets: &'static str,
    /// What it does, in one clause.
    pub about: &'static str,
}

/// Every option there is.
pub fn catalogue() -> impl Iterator<Item = Described> {
    ALL.iter().map(|entry| Described {
        name: entry.name,
        value: entry.form.metavariable(),
        sockets: match entry.sockets {
            Sockets::Both => "both",
            Sockets::Tcp => "tcp",
            Sockets::Udp => "udp",
        },
        about: entry.about,
    })
}

/// Refuses options that `target` does not have, before any socket is opened.
pub fn check(options: &[SocketOption], target: Target) -> Result<(), Error> {
    options.iter().try_for_each(|option| option.check(target))
}

/// Sets those of `options` whose moment this is, in the order in which they
/// were given, and reads each back.
pub fn apply(
    options: &[SocketOption],
    moment: Moment,
    target: Target,
    socket: &Handle,
) -> Result<Vec<Applied>, Error> {
    let due = options
        .iter()
        .filter(|option| option.entry.moment == moment);
    due.map(|option| option.set(target, socket)).collect()
}

impl SocketOption {
    /// The option's name.
    pub fn name(&self) -> &'static str {
        self.entry.name
    }

    /// When it is set.
    pub fn moment(&self) -> Moment {
        self.entry.moment
    }

    /// Refuses what `target` does not have.
    pub fn check(&self, target: Target) -> Result<(), Error> {
        let wanted = match (self.entry.sockets, target.kind) {
            (Sockets::Tcp, Kind::Udp | Kind::Raw) => "TCP sockets only",
            (Sockets::Udp, Kind::Tcp) => "UDP sockets only",
            _ if self.knobs(target).next().is_some() => return Ok(()),
            _ if self.entry.knobs.iter().any(|knob| knob.on == On::V6) => "IPv6 sockets only",
            _ if self.entry.knobs.iter().any(|knob| knob.on == On::Listening) => {
                "listening sockets only"
            }
            _ => "a group of the socket's own address family",
        };
        Err(Error::new("option", self, format!("it is for {wanted}")).exiting(Exit::Other))
    }

    fn knobs(&self, target: Target) -> impl Iterator<Item = Knob> {
        let is_turned = move |knob: &Knob| match knob.on {
            On::Any => true,
            On::V6 => target.family == Family::Ipv6,
            On::Listening => target.role == Role::Listening,
            On::Connecting => target.role == Role::Connecting,
        };
        let is_of_group = move |knob: &Knob| match &self.value {
            Value::Group(group) => {
                let is_sourced = knob.number == libc::MCAST_JOIN_SOURCE_GROUP;
                let is_reached = group.address.is_ipv4() || target.family == Family::Ipv6;
                is_sourced == group.source.is_some() && is_reached
            }
            _ => true,
        };
        let knobs = self.entry.knobs.iter().copied();
        knobs.filter(is_turned).filter(is_of_group)
    }

    fn set(&self, target: Target, socket: &Handle) -> Result<Applied, Error> {
        self.check(target)?;
        let mut readings = Vec::new();
        for (index, knob) in self.knobs(target).enumerate() {
            let Some(turn) = Turn::of(&self.value, self.entry.form, knob, index) else {
                continue;
            };
            let reading = turn.make(socket).map_err(|error| {
                let operation = format!("setsockopt {}, {} on", knob.constant, turn.asked);
                let help = self.remedy(&error);
                let failure = Error::new(operation, socket.name(), error).exiting(Exit::Other);
                match help {
                    Some(help) => failure.remedy(help),
                    None => failure,
                }
            })?;
            readings.push(reading);
        }
        Ok(Applied {
            name: self.entry.name,
            readings,
        })
    }

    fn remedy(&self, error: &io::Error) -> Option<String> {
        match Errno::from_raw(error.raw_os_error()?) {
            Errno::EPERM => Some(format!("{} needs CAP_NET_ADMIN", self.name())),
            Errno::ENODEV => Some("`ip link` lists the interfaces".into()),
            Errno::ENOENT if self.name() == "congestion" => {
                const KNOWN: &str = "/proc/sys/net/ipv4/tcp_available_congestion_control";
                let known = std::fs::read_to_string(KNOWN).ok()?;
                Some(format!("this kernel has {} loaded", known.trim()))
            }
            _ => None,
        }
    }
}

impl FromStr for SocketOption {
    type Err = OptionError;

    fn from_str(text: &str) -> Result<Self, OptionError> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        let entry = catalogue::find(name).ok_or_else(|| OptionError::Unknown {
            name: name.to_owned(),
            hint: hint(name),
        })?;
        let parsed = entry.form.read(value);
        parsed
            .map(|value| Self { entry, value })
            .ok_or_else(|| match value {
                Some(value) => OptionError::BadValue {
                    name: entry.name,
                    value: value.to_owned(),
                    expected: entry.form.expected(),
                },
                None => OptionError::NoValue {
                    name: entry.name,
                    expected: entry.form.expected(),
                },
            })
    }
}

fn hint(typed: &str) -> String {
    let near = catalogue::nearest(typed).map(|name| format!("did you mean {name}?"));
    near.unwrap_or_else(|| {
        let names: Vec<&str> = ALL.iter().map(|entry| entry.name).collect();
        format!("those are {}", names.join(", "))
    })
}

/// As it is typed.
impl fmt::Display for SocketOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=", self.entry.name)?;
        self.entry.form.write(&self.value, f)
    }
}

impl PartialEq for SocketOption {
    fn eq(&self, other: &Self) -> bool {
        self.entry.name == other.entry.name && self.value == other.value
    }
}

impl Eq for SocketOption {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<String, String> {
        let option = text.parse::<SocketOption>();
        option
            .map(|option| option.to_string())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn options_are_read_by_name() {
        for (typed, meant) in [
            ("nodelay", "nodelay=on"),
            ("TCP_NODELAY=0", "nodelay=off"),
            ("so-rcvbuf=64k", "rcvbuf=65536"),
            ("keepalive", "keepalive=on"),
            ("keepalive=30,5,3", "keepalive=30,5,3"),
            ("keepalive=,,3", "keepalive=,,3"),
            ("linger=0", "linger=0"),
            ("tos=0x10", "tos=0x10"),
            ("tos=16", "tos=0x10"),
            ("user-timeout=1500ms", "user-timeout=1.5s"),
            ("congestion=reno", "congestion=reno"),
            ("pmtudisc=DO", "pmtudisc=do"),
            ("fastopen", "fastopen=16"),
            ("join=239.1.2.3@eth0", "join=239.1.2.3@eth0"),
            ("mark=0xffffffff", "mark=0xffffffff"),
        ] {
            assert_eq!(parse(typed).as_deref(), Ok(meant), "{typed}");
        }
    }

    #[test]
    fn what_is_no_option_is_told_what_would_be() {
        for (typed, told) in [
            (
                "nodely",
                "there is no option \"nodely\"; did you mean nodelay?",
            ),
            (
                "rcvbuf",
                "rcvbuf needs a value: rcvbuf= and a size below 2gb, such as 64k",
            ),
            ("ttl=0", "ttl=\"0\" is not a number from 1 to 255"),
            ("ttl=+5", "ttl=\"+5\" is not a number from 1 to 255"),
            ("nodelay=maybe", "nodelay=\"maybe\" is not on or off"),
            (
                "user-timeout=1500",
                "user-timeout=\"1500\" is not a time in whole milliseconds, such as 5ms",
            ),
            (
                "pmtudisc=never",
                "pmtudisc=\"never\" is not one of dont, want, do, probe, interface, omit",
            ),
        ] {
            assert_eq!(parse(typed), Err(told.into()), "{typed}");
        }
        let unlike = parse("x").expect_err("no option");
        assert!(
            unlike.contains("those are reuseaddr, reuseport"),
            "{unlike}"
        );
    }

    #[test]
    fn an_option_of_other_sockets_is_refused() {
        let option = |text: &str| text.parse::<SocketOption>().expect(text);
        let target = |kind, family, role| Target { kind, family, role };
        let client = target(Kind::Udp, Family::Ipv4, Role::Connecting);
        let told = |text: &str, target| option(text).check(target).map_err(|e| e.to_string());
        assert_eq!(
            told("nodelay", client),
            Err("option nodelay=on: it is for TCP sockets only".into())
        );
        assert_eq!(
            told("v6only", client),
            Err("option v6only=on: it is for IPv6 sockets only".into())
        );
        assert_eq!(
            told("join=ff02::1", client),
            Err("option join=ff02::1: it is for a group of the socket's own address family".into())
        );
        let client = target(Kind::Tcp, Family::Ipv6, Role::Connecting);
        assert_eq!(
            told("defer-accept=1s", client),
            Err("option defer-accept=1s: it is for listening sockets only".into())
        );
        assert_eq!(told("tos=1", client), Ok(()));
    }

    fn any_value() -> impl Strategy<Value = String> {
        prop_oneof![
            "[0-9]{1,6}(k|ms|s|us)?",
            "0x[0-9a-f]{1,8}",
            "on|off|do|want|reno|lo|eth0",
            "[0-9]{0,3},[0-9]{0,3},[0-9]{0,3}",
            "239\\.[0-9]\\.1\\.1(@eth[0-9])?(/10\\.0\\.0\\.[0-9])?",
        ]
    }

    proptest! {
        #[test]
        fn what_is_displayed_parses_to_the_same(index in 0..ALL.len(), value in any_value()) {
            let text = format!("{}={value}", ALL[index].name);
            if let Ok(option) = text.parse::<SocketOption>() {
                prop_assert_eq!(option.to_string().parse(), Ok(option));
            }
        }

        #[test]
        fn nothing_panics(text in "\\PC*", index in 0..ALL.len(), value in "\\PC*") {
            let _ = text.parse::<SocketOption>();
            let _ = format!("{}={value}", ALL[index].name).parse::<SocketOption>();
        }
    }
}

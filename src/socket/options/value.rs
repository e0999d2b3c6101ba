//! The values of socket options: how each form is typed, what bytes the kernel
//! takes for it, and how the kernel's answer reads (setsockopt(2)).
//!
//! Never makes a call. What is displayed parses to the same value.

use std::fmt;
use std::time::Duration;

use super::group::Group;
use crate::units::{ByteSize, Time};

/// What a value looks like.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    /// `on` (also when left out) or `off`.
    Switch,
    /// A number within bounds.
    Number(i64, i64),
    /// A number within bounds that is shown in hexadecimal.
    Code(i64, i64),
    /// A size in bytes.
    Size,
    /// A time, counted in this unit.
    Time(Duration),
    /// One of these words.
    Word(&'static [(&'static str, i32)]),
    /// Text, of what it names.
    Text(&'static str),
    /// Seconds, or `off`.
    Linger,
    /// `off`, or idle time, interval and count, each of which may be left out.
    Keepalive,
    /// How many may wait; may be left out.
    Queue,
    /// An interface's name or number.
    Interface,
    /// A multicast group.
    Group,
}

/// A value of some form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Number(i64),
    Text(String),
    /// Seconds to wait in close(), where it lingers.
    Linger(Option<u16>),
    /// Idle seconds, interval and count, where it is on.
    Keepalive(Option<[Option<u16>; 3]>),
    Interface(String),
    Group(Group),
}

/// How many connections may wait with data in their SYN where no number is
/// given.
const FASTOPEN_QUEUE: i64 = 16;

impl Form {
    /// Reads a value; `None` where it is not of this form.
    pub(super) fn read(self, typed: Option<&str>) -> Option<Value> {
        let number = |lowest, highest| {
            let number = whole(typed?)?;
            (lowest..=highest)
                .contains(&number)
                .then_some(Value::Number(number))
        };
        match self {
            Form::Switch => switch(typed).map(|on| Value::Number(on.into())),
            Form::Number(lowest, highest) | Form::Code(lowest, highest) => number(lowest, highest),
            Form::Queue if typed.is_none() => Some(Value::Number(FASTOPEN_QUEUE)),
            Form::Queue => number(0, i32::MAX.into()),
            Form::Size => {
                let size = typed?.parse::<ByteSize>().ok()?;
                i32::try_from(size.0).ok()?;
                i64::try_from(size.0).ok().map(Value::Number)
            }
            Form::Time(unit) => in_units(typed?.parse::<Time>().ok()?.0, unit).map(Value::Number),
            Form::Word(words) => {
                let typed = typed?.to_ascii_lowercase();
                let word = words.iter().find(|(word, _)| *word == typed)?;
                Some(Value::Number(word.1.into()))
            }
            Form::Text(_) => name(typed?).map(Value::Text),
            Form::Interface => name(typed?).map(Value::Interface),
            Form::Linger => match typed? {
                "off" => Some(Value::Linger(None)),
                seconds => Some(Value::Linger(Some(u16::try_from(whole(seconds)?).ok()?))),
            },
            Form::Keepalive => keepalive(typed),
            Form::Group => typed?.parse().ok().map(Value::Group),
        }
    }

    /// What may be typed after `name=`.
    pub(super) fn expected(self) -> String {
        match self {
            Form::Switch => "on or off".into(),
            Form::Number(lowest, highest) => format!("a number from {lowest} to {highest}"),
            Form::Code(lowest, highest) => {
                format!("a number from {lowest:#x} to {highest:#x}")
            }
            Form::Size => "a size below 2gb, such as 64k".into(),
            Form::Time(unit) => format!(
                "a time in whole {}, such as {}",
                match unit.as_nanos() {
                    1_000 => "microseconds",
                    1_000_000 => "milliseconds",
                    _ => "seconds",
                },
                Time(unit * 5)
            ),
            Form::Word(words) => {
                let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                format!("one of {}", words.join(", "))
            }
            Form::Text("interface") | Form::Interface => "an interface, such as eth0".into(),
            Form::Text(what) => format!("an {what}'s name"),
            Form::Linger => "seconds from 0 to 65535, or off".into(),
            Form::Keepalive => {
                "off, or idle seconds, interval and count, such as 30,5,3 or ,,3".into()
            }
            Form::Queue => "how many may wait, or nothing".into(),
            Form::Group => {
                "GROUP[@INTERFACE][/SOURCE], such as 239.1.2.3@eth0 or ff02::5073@2".into()
            }
        }
    }

    /// The form as it is written in a list: `on|off`, `BYTES`.
    pub(super) fn metavariable(self) -> &'static str {
        match self {
            Form::Switch => "[=on|off]",
            Form::Number(..) => "=N",
            Form::Code(..) => "=0xN",
            Form::Size => "=BYTES",
            Form::Time(_) => "=TIME",
            Form::Word(_) => "=WORD",
            Form::Text("interface") | Form::Interface => "=INTERFACE",
            Form::Text(_) => "=NAME",
            Form::Linger => "=SECONDS|off",
            Form::Keepalive => "[=IDLE,INTERVAL,COUNT]",
            Form::Queue => "[=N]",
            Form::Group => "=GROUP[@INTERFACE][/SOURCE]",
        }
    }

    /// A number of this form as people read it.
    pub(super) fn show(self, number: i64) -> String {
        match self {
            Form::Switch => if number == 0 { "off" } else { "on" }.into(),
            Form::Code(..) => format!("{number:#x}"),
            Form::Size => grouped(number),
            Form::Time(unit) => {
                let count = u32::try_from(number).unwrap_or_default();
                Time(unit.saturating_mul(count)).to_string()
            }
            Form::Word(words) => words
                .iter()
                .find(|(_, value)| i64::from(*value) == number)
                .map_or_else(|| number.to_string(), |(word, _)| (*word).into()),
            _ => number.to_string(),
        }
    }

    /// The value as it is typed after `name=`.
    pub(super) fn write(self, value: &Value, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match value {
            Value::Number(number) => match self {
                // In digits alone, so that it can be typed again.
                Form::Size => write!(f, "{number}"),
                _ => f.write_str(&self.show(*number)),
            },
            Value::Text(text) | Value::Interface(text) => f.write_str(text),
            Value::Linger(Some(seconds)) => write!(f, "{seconds}"),
            Value::Linger(None) | Value::Keepalive(None) => f.write_str("off"),
            Value::Keepalive(Some(parts)) => {
                let parts = parts.map(|part| part.map_or_else(String::new, |n| n.to_string()));
                match parts.concat().as_str() {
                    "" => f.write_str("on"),
                    _ => f.write_str(parts.join(",").trim_end_matches(',')),
                }
            }
            Value::Group(group) => write!(f, "{group}"),
        }
    }
}

/// A whole number in digits, as `65,536`.
pub(super) fn grouped(number: i64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) && digit.is_ascii_digit() {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn whole(typed: &str) -> Option<i64> {
    let hexadecimal = typed
        .strip_prefix("0x")
        .or_else(|| typed.strip_prefix("0X"));
    let (digits, radix) = hexadecimal.map_or((typed, 10), |digits| (digits, 16));
    // A sign is no digit.
    let is_number = digits.chars().all(|digit| digit.is_digit(radix));
    is_number
        .then(|| i64::from_str_radix(digits, radix).ok())
        .flatten()
}

fn switch(typed: Option<&str>) -> Option<bool> {
    match typed.map(str::to_ascii_lowercase).as_deref() {
        None | Some("on" | "1" | "yes" | "true") => Some(true),
        Some("off" | "0" | "no" | "false") => Some(false),
        Some(_) => None,
    }
}

/// The time in whole units; `None` where it has a rest or the kernel's int
/// cannot hold it.
fn in_units(time: Duration, unit: Duration) -> Option<i64> {
    let (time, unit) = (time.as_nanos(), unit.as_nanos());
    let count = i32::try_from(time / unit).ok()?;
    time.is_multiple_of(unit).then_some(count.into())
}

fn keepalive(typed: Option<&str>) -> Option<Value> {
    /// The kernel's own limits on the three (tcp(7)).
    const HIGHEST: [u16; 3] = [32_767, 32_767, 127];
    let typed = match typed {
        None | Some("on") => return Some(Value::Keepalive(Some([None; 3]))),
        Some("off") => return Some(Value::Keepalive(None)),
        Some(typed) => typed,
    };
    let mut parts = [None; 3];
    for (index, part) in typed.split(',').enumerate() {
        let highest = *HIGHEST.get(index)?;
        if !part.is_empty() {
            let number = u16::try_from(whole(part)?).ok()?;
            parts[index] = Some(Some(number).filter(|n| (1..=highest).contains(n))?);
        }
    }
    Some(Value::Keepalive(Some(parts)))
}

/// A name that the kernel keeps in 16 bytes, the closing zero included.
fn name(typed: &str) -> Option<String> {
    let fits = (1..16).contains(&typed.len());
    let is_name = typed.chars().all(|letter| letter.is_ascii_graphic());
    (fits && is_name).then(|| typed.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_groups_of_three() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (65_536, "65,536"),
            (-1000, "-1,000"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }
}

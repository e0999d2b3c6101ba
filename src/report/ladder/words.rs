//! The words that say a call: its name and arguments, what it answered, and how
//! long it took, in as much detail as a form asks for.
//!
//! Knows no columns; never drops a failure.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use super::Host;
use super::story::Part;
use crate::event::{Call, Outcome};
use crate::packet::{Charset, Protocol};
use crate::report::glyph;
use crate::report::style::Paint;

/// What a phrase is said to, and in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context<'a> {
    /// Columns.
    pub(super) room: usize,
    /// How the socket is called, where that must be said.
    pub(super) socket: Option<&'a str>,
    /// The hosts' names and addresses.
    pub(super) hosts: &'a [Host],
    /// Whether hosts are called by their names from the first.
    pub(super) by_name: bool,
    pub(super) charset: Charset,
}

/// How much of a call is said.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form {
    pub(super) addresses: Addresses,
    pub(super) arguments: bool,
    pub(super) detail: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Addresses {
    Full,
    Names,
    Ports,
    /// Whom data came from is not said.
    Senderless,
}

impl Form {
    pub(super) const LEAST: Self = Self {
        addresses: Addresses::Senderless,
        arguments: false,
        detail: false,
    };
}

/// A word: lines break only before words.
pub(super) struct Word {
    pub(super) text: String,
    pub(super) paint: Paint,
    /// Whether a space stands before it where the line does not break.
    pub(super) spaced: bool,
    /// Whether a line may well begin with it: an answer, or the arguments.
    pub(super) leads: bool,
}

impl Word {
    fn new(text: impl Into<String>, paint: Paint, spaced: bool) -> Self {
        Self {
            text: glyph::clean(&text.into()).into_owned(),
            paint,
            spaced,
            leads: false,
        }
    }
}

pub(super) fn words(call: &Call, part: Part, form: Form, context: Context<'_>) -> Vec<Word> {
    let mut words = Vec::new();
    if part != Part::Return {
        said(&mut words, call, form, context);
    }
    if part != Part::Start {
        let before = words.len();
        answered(&mut words, call, form, context);
        lead(&mut words, before);
    }
    for word in words.iter_mut().filter(|word| word.text.contains('"')) {
        word.text = glyph::spelled_out(&word.text, context.charset).into_owned();
    }
    if part == Part::Return || (part == Part::Whole && call.took >= Duration::from_millis(1)) {
        let took = format!("in {}", milliseconds(call.took));
        words.push(Word::new(took, Paint::Faint, true));
    }
    words
}

/// `socket.name(arguments)`.
fn said(words: &mut Vec<Word>, call: &Call, form: Form, context: Context<'_>) {
    let mut open = format!("{}(", call.name);
    // What makes a socket has none to be called on.
    if let Some(socket) = context.socket.filter(|_| call.name != "socket") {
        words.push(Word::new(socket, Paint::Plain, false));
        open.insert(0, '.');
    }
    let arguments = split(&call.arguments, true);
    let Some((last, others)) = arguments.split_last() else {
        return words.push(Word::new(open + ")", Paint::Plain, false));
    };
    if !form.arguments {
        let length = match sent(call) {
            Some(1) => "1 byte".to_owned(),
            Some(bytes) => format!("{bytes} bytes"),
            None => "…".to_owned(),
        };
        return words.push(Word::new(open + &length + ")", Paint::Plain, false));
    }
    words.push(Word::new(open, Paint::Plain, false));
    let before = words.len();
    for (index, argument) in others.iter().enumerate() {
        let argument = named(argument, form.addresses, context.hosts);
        words.push(Word::new(argument, Paint::Plain, index > 0));
    }
    let last = named(last, form.addresses, context.hosts);
    words.push(Word::new(last + ")", Paint::Plain, !others.is_empty()));
    lead(words, before);
}

/// How many bytes a sending call was given, where its first argument tells.
fn sent(call: &Call) -> Option<usize> {
    if !call.name.starts_with("send") {
        return None;
    }
    let first = split(&call.arguments, true).into_iter().next()?;
    let first = first.trim_end_matches(',');
    if let Some(count) = first.strip_suffix(" bytes") {
        return count.parse().ok();
    }
    let text = first.strip_prefix('"')?.strip_suffix('"')?;
    (!text.contains(['\\', '…'])).then_some(text.len())
}

/// Says that a line may well begin here.
fn lead(words: &mut [Word], at: usize) {
    if let Some(word) = words.get_mut(at) {
        word.leads = at > 0;
    }
}

/// `= 3 "one"`, `→ connection` or `✗ ECONNREFUSED`.
fn answered(words: &mut Vec<Word>, call: &Call, form: Form, context: Context<'_>) {
    /// Calls whose answer is not a number.
    const GIVING: [&str; 6] = [
        "accept",
        "accept4",
        "getpeername",
        "getsockname",
        "getsockopt",
        "socket",
    ];
    let (returned, detail) = match &call.outcome {
        Outcome::Failed { errno } => {
            return words.push(Word::new(format!("✗ {errno}"), Paint::Failure, true));
        }
        Outcome::Returned { returned, detail } => (*returned, detail.as_deref()),
    };
    let mut details = split(detail.unwrap_or_default(), false).into_iter();
    if call.name == "socket" && context.socket.is_none() {
        // The only one: nobody asks which.
        return;
    }
    if detail.is_some() && returned == 0 && GIVING.contains(&call.name) {
        // Its name is the answer, so it stays in the shortest form.
        let first = details.next().unwrap_or_default();
        let first = named(&first, form.addresses, context.hosts);
        words.push(Word::new(
            format!("{} {first}", context.charset.arrow()),
            Paint::Plain,
            true,
        ));
    } else {
        words.push(Word::new(format!("= {returned}"), Paint::Plain, true));
    }
    if !form.detail {
        return;
    }
    // `= 4000 4000 bytes` would say it twice.
    let count = format!("{returned} bytes");
    let skip = detail.is_some_and(|detail| detail.starts_with(&count));
    for detail in details.skip(if skip { 2 } else { 0 }) {
        if form.addresses == Addresses::Senderless && detail.starts_with("from ") {
            continue;
        }
        let paint = if detail.starts_with('"') {
            Paint::Layer(Protocol::Data)
        } else {
            Paint::Plain
        };
        let detail = named(&detail, form.addresses, context.hosts);
        words.push(Word::new(detail, paint, true));
    }
}

/// A duration in the gutter's unit.
pub(super) fn milliseconds(time: Duration) -> String {
    let microseconds = time.as_micros();
    format!("{}.{:03} ms", microseconds / 1000, microseconds % 1000)
}

/// The text in words, quoted strings whole; `only_commas` breaks after commas
/// alone. A short preposition stays with what follows.
fn split(text: &str, only_commas: bool) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    let (mut quoted, mut escaped) = (false, false);
    for glyph in text.chars() {
        match glyph {
            '"' if !escaped => quoted = !quoted,
            ' ' if !quoted && (!only_commas || word.ends_with(',')) => {
                if ["from", "cut", "cut to"].contains(&word.as_str()) {
                    word.push(' ');
                } else if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                continue;
            }
            _ => {}
        }
        escaped = glyph == '\\' && !escaped;
        word.push(glyph);
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// The word with the address in it, if it is one, as the form has it.
fn named(word: &str, form: Addresses, hosts: &[Host]) -> String {
    let (before, rest) = match word.strip_prefix("from ") {
        Some(rest) => ("from ", rest),
        None => ("", word),
    };
    let end = rest.trim_end_matches(',');
    let comma = &rest[end.len()..];
    let Ok(address) = end.parse::<SocketAddr>() else {
        return word.to_owned();
    };
    let mut out = String::from(before);
    let mut owners = hosts
        .iter()
        .filter(|host| host.address == Some(address.ip()));
    let _ = match (form, owners.next(), owners.next()) {
        (Addresses::Names, Some(host), None) => write!(out, "{}:{}", host.name, address.port()),
        (Addresses::Ports | Addresses::Senderless, _, _) => write!(out, ":{}", address.port()),
        _ => write!(out, "{address}"),
    };
    out + comma
}

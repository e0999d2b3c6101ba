//! What is shown and where it goes, as typed: JSON Lines, pcapng, hex dumps,
//! sequence numbers, colour.

use std::ffi::OsString;
use std::fmt::Display;
use std::fs::File;
use std::io::{BufWriter, Stdout, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::ValueEnum;
use clap::builder::{OsStringValueParser, StringValueParser, TypedValueParser};
use serde::Serialize;

use crate::error::Error;
use crate::event::{Event, Recording, Sink, Tee, What};
use crate::link::Account;
use crate::packet::hexdump::Mode;
use crate::packet::{Conversations, summary};
use crate::recorder::{Clock, Relay};
use crate::report::dump::{self, Extent, Subject};
use crate::report::json::{Environment, JsonLines};
use crate::report::pcap::PcapFile;
use crate::report::{ColourChoice, Stream, Style};

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Colour {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always, in a pipe too.
    Always,
    /// Never.
    Never,
}

impl Colour {
    /// The style of standard output. A terminal that is too narrow for any
    /// layout is told so.
    pub(super) fn style(self) -> Style {
        if let Some(columns) = Style::too_narrow(Stream::Out) {
            let needed = Style::NARROWEST;
            note!("the terminal has {columns} columns, and {needed} are needed: lines will break");
        }
        self.style_of(Stream::Out)
    }

    /// The style of a stream.
    pub(super) fn style_of(self, stream: Stream) -> Style {
        let choice = match self {
            Colour::Auto => ColourChoice::Auto,
            Colour::Always => ColourChoice::Always,
            Colour::Never => ColourChoice::Never,
        };
        Style::detect(stream, choice)
    }
}

/// How much of each packet's bytes to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Hex {
    /// None.
    None,
    /// Sixteen bytes a line, with the header they belong to.
    Short,
    /// Field by field.
    Full,
}

/// Options of every command that runs on sockets.
#[derive(Debug, clap::Args)]
pub(super) struct OutputArgs {
    /// Print JSON Lines: one event a line, the result last.
    #[arg(long)]
    pub(super) json: bool,

    /// Write the packets to FILE as pcapng, for Wireshark.
    #[arg(long, value_name = "FILE")]
    pcap: Option<PathBuf>,
}

/// Options of the demonstrations, which draw a ladder.
#[derive(Debug, clap::Args)]
pub(super) struct LadderArgs {
    /// Show the packets' bytes.
    #[arg(long, value_name = "HOW", default_value = "none")]
    hex: Hex,
}

impl LadderArgs {
    /// Dumps every packet's bytes, where that was asked for.
    pub(super) fn dump(
        &self,
        out: &mut impl Write,
        events: &[Event<'_>],
        style: &Style,
    ) -> std::io::Result<()> {
        let mode = match self.hex {
            Hex::None => return Ok(()),
            Hex::Short => Mode::Short,
            Hex::Full => Mode::Annotated,
        };
        let extent = Extent { mode, data: None };
        let mut conversations = Conversations::new();
        for event in events {
            let What::Packet(packet) = &event.what else {
                continue;
            };
            let mut dissection = packet.dissect();
            conversations.observe(&dissection);
            let line = summary::line(&dissection, &conversations, summary::Style::default());
            conversations.explain(&mut dissection);
            let subject = Subject {
                title: &format!("#{} {line}", packet.id),
                dissection: &dissection,
                bytes: &packet.bytes,
            };
            writeln!(out)?;
            dump::packet(out, &subject, extent, style)?;
        }
        Ok(())
    }
}

/// The sinks of one run, and how they end.
pub(super) struct Sinks {
    command: &'static str,
    clock: Clock,
    recording: Option<Arc<Recording>>,
    json: Option<Arc<JsonLines<Stdout>>>,
    pcap: Option<Pcap>,
    own: Option<Arc<dyn Sink>>,
    place: Option<String>,
}

impl OutputArgs {
    /// A packet file where there are no packets.
    pub(super) fn refuse_packets(&self, why: &str) -> Result<(), Error> {
        match &self.pcap {
            None => Ok(()),
            Some(path) => Err(Error::new("--pcap", path.display(), why)),
        }
    }

    /// Opens what the run will write to, before anything runs.
    pub(super) fn open(&self, command: &'static str, clock: Clock) -> Result<Sinks, Error> {
        let pcap = match &self.pcap {
            Some(path) => Some((Arc::new(create_pcap(path, clock)?), path.clone())),
            None => None,
        };
        // The demonstrations end by themselves; a reader who has seen enough is
        // noticed at the end.
        let stop = Arc::new(AtomicBool::new(false));
        let json = JsonLines::new(std::io::stdout(), stop);
        Ok(Sinks {
            command,
            clock,
            recording: None,
            json: self.json.then(|| Arc::new(json)),
            pcap,
            own: None,
            place: None,
        })
    }
}

impl Sinks {
    /// Keeps the events for a rendering at the end, unless they go out as JSON.
    #[must_use]
    pub(super) fn recording(mut self) -> Self {
        self.recording = self.json.is_none().then(|| Arc::new(Recording::new()));
        self
    }

    /// Says where it was played, where that was neither link nor loopback.
    #[must_use]
    pub(super) fn played_at(mut self, place: Option<String>) -> Self {
        self.place = place;
        self
    }

    /// Adds a sink of the command's own.
    #[must_use]
    pub(super) fn with(mut self, sink: Arc<dyn Sink>) -> Self {
        self.own = Some(sink);
        self
    }

    /// All of them as one. JSON is written by a thread of its own, so that the
    /// wire and the programs do not wait for standard output.
    pub(super) fn tee(&self) -> Result<Arc<dyn Sink>, Error> {
        let mut sinks: Vec<Arc<dyn Sink>> = Vec::new();
        sinks.extend(self.own.clone());
        if let Some(recording) = &self.recording {
            sinks.push(recording.clone());
        }
        if let Some(json) = &self.json {
            let relay = Relay::to(json.clone())
                .map_err(|error| Error::new("start a thread for", "standard output", error))?;
            sinks.push(Arc::new(relay));
        }
        if let Some((pcap, _)) = &self.pcap {
            sinks.push(pcap.clone());
        }
        Ok(Arc::new(Tee::new(sinks)))
    }

    /// Finishes the files of a run that failed: without its last line of JSON.
    pub(super) fn abandon(self) -> Finished {
        let pcap = finish_pcap(self.pcap);
        let is_text = self.json.is_none();
        let events = self.recording.map(|kept| kept.take()).unwrap_or_default();
        let events = is_text.then_some(events);
        Finished { events, pcap }
    }

    /// Finishes the files, and the JSON with its last line. Every stage that
    /// feeds the sinks must have ended.
    ///
    /// A packet file that cannot be finished is told in the answer, so that the
    /// report is shown first.
    pub(super) fn conclude(
        self,
        result: &impl Serialize,
        account: Option<&Account>,
    ) -> Result<Finished, Error> {
        let pcap = finish_pcap(self.pcap);
        let Some(json) = self.json else {
            let events = self.recording.map(|kept| kept.take());
            return Ok(Finished {
                events: Some(events.unwrap_or_default()),
                pcap,
            });
        };
        let stage = match (self.place, account) {
            (Some(place), _) => place,
            (None, Some(account)) => format!("link ({})", account.device),
            (None, None) => "loopback".to_owned(),
        };
        json.result(self.command, &environment(self.clock, stage), result);
        if let Some(json) = Arc::into_inner(json) {
            json.into_result().map_err(unwritten)?;
        }
        Ok(Finished { events: None, pcap })
    }
}

/// How the sinks ended.
#[must_use]
pub(super) struct Finished {
    /// The events for a rendering, or `None` where they went out as JSON.
    pub(super) events: Option<Vec<Event<'static>>>,
    /// Whether the packet file is whole.
    pub(super) pcap: Result<(), Error>,
}

type Pcap = (Arc<PcapFile<BufWriter<File>>>, PathBuf);

fn finish_pcap(pcap: Option<Pcap>) -> Result<(), Error> {
    let Some((pcap, path)) = pcap else {
        return Ok(());
    };
    match Arc::into_inner(pcap).map(PcapFile::finish) {
        Some(Err(error)) => Err(Error::new("write", path.display(), error)),
        _ => Ok(()),
    }
}

/// Standard output that takes no more, as an error in the house form.
pub(super) fn unwritten(error: std::io::Error) -> Error {
    Error::new("write", "standard output", error)
}

/// Where and when this run takes place.
pub(super) fn environment(clock: Clock, stage: impl Into<String>) -> Environment {
    Environment::new(clock, kernel_release(), stage)
}

fn kernel_release() -> Option<String> {
    let name = nix::sys::utsname::uname().ok()?;
    Some(name.release().to_string_lossy().into_owned())
}

fn create_pcap(path: &Path, clock: Clock) -> Result<PcapFile<BufWriter<File>>, Error> {
    File::create(path)
        .and_then(|file| PcapFile::begin(BufWriter::new(file), clock, None))
        .map_err(|error| {
            Error::new("create", path.display(), error)
                .remedy("--pcap needs a path in a folder that you may write to")
        })
}

/// A value parser for text that must be UTF-8, with an error that says so.
pub(super) fn text() -> impl TypedValueParser<Value = String> {
    OsStringValueParser::new().try_map(|value: OsString| {
        value.into_string().map_err(|bytes| {
            // Escaped, so that the terminal shows which bytes they are.
            let escaped = bytes.as_encoded_bytes().escape_ascii();
            format!("a message is text, and \"{escaped}\" is not valid UTF-8")
        })
    })
}

/// A value parser for a number of bytes.
pub(super) fn bytes(least: usize, most: usize) -> impl TypedValueParser<Value = usize> {
    StringValueParser::new().try_map(move |text| ranged(&text, least, most, " bytes"))
}

/// A value parser for a whole number from `least` to `most`.
pub(super) fn whole<Number>(least: Number, most: Number) -> impl TypedValueParser<Value = Number>
where
    Number: TryFrom<i128> + PartialOrd + Display + Copy + Send + Sync + 'static,
{
    StringValueParser::new().try_map(move |text| ranged(&text, least, most, ""))
}

/// The one wording of every range.
fn ranged<Number>(text: &str, least: Number, most: Number, unit: &str) -> Result<Number, String>
where
    Number: TryFrom<i128> + PartialOrd + Display + Copy,
{
    let Ok(number) = text.parse::<i128>() else {
        return Err(match unit {
            "" => "not a whole number".to_owned(),
            unit => format!("not a number of{unit}"),
        });
    };
    Number::try_from(number)
        .ok()
        .filter(|number| (&least..=&most).contains(&number))
        .ok_or_else(|| format!("must be {least} to {most}{unit}"))
}

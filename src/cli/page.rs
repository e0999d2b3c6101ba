//! The page that `--html FILE` asks for: what a run must keep for it, and how
//! the file is written at the end.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::output::environment;
use crate::error::Error;
use crate::event::{Sink, Tee};
use crate::recorder::Clock;
use crate::report::compare::Shown;
use crate::report::html::{self, Capture, Excerpt, Source};
use crate::report::pcap::PcapFile;

/// A page in the making.
pub(super) struct PageFile {
    path: PathBuf,
    file: File,
    excerpt: Arc<Excerpt>,
    packets: Arc<PcapFile<Capture>>,
}

impl PageFile {
    /// Creates the file, before anything runs.
    pub(super) fn create(path: &Path, clock: Clock) -> Result<Self, Error> {
        let failed = |error| {
            Error::new("create", path.display(), error)
                .remedy("--html needs a path in a folder that you may write to")
        };
        let packets = PcapFile::begin(Capture::default(), clock, None).map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            file: File::create(path).map_err(failed)?,
            excerpt: Arc::default(),
            packets: Arc::new(packets),
        })
    }

    /// Adds to `sink` what the page must know.
    pub(super) fn beside(&self, sink: Arc<dyn Sink>) -> Arc<dyn Sink> {
        let (excerpt, packets) = (self.excerpt.clone(), self.packets.clone());
        Arc::new(Tee::new(vec![sink, excerpt, packets]))
    }

    /// Writes the page of a comparison. Every stage that feeds the sinks must
    /// have ended; `plan` is what the link did to packets.
    pub(super) fn write_comparison(
        self,
        shown: Shown<'_>,
        clock: Clock,
        (plan, place): (Option<&str>, Option<String>),
    ) -> Result<(), Error> {
        let failed = |error| Error::new("write", self.path.display(), error);
        let packets = Arc::into_inner(self.packets).map(PcapFile::finish);
        let capture = packets.transpose().map_err(failed)?;
        let stage = place.unwrap_or_else(|| match shown.link {
            Some(account) => format!("link ({})", account.device),
            None => "loopback".to_owned(),
        });
        let congestion_control = congestion_control();
        let source = Source {
            shown,
            kept: &self.excerpt.take(),
            capture: capture.as_ref(),
            environment: &environment(clock, stage),
            plan,
            congestion_control: congestion_control.as_deref(),
            command: &command(shown.link.map(|link| link.seed)),
        };
        let mut out = BufWriter::new(self.file);
        html::write(&mut out, &source).map_err(failed)?;
        out.flush().map_err(failed)
    }
}

/// The congestion control that a stream has unless it asks for another
/// (tcp(7)).
fn congestion_control() -> Option<String> {
    const PATH: &str = "/proc/sys/net/ipv4/tcp_congestion_control";
    let name = std::fs::read_to_string(PATH).ok()?;
    Some(name.trim().to_owned())
}

/// The command that started this process, as a shell reads it; `seed` is added
/// where none was given, so that it does the same again.
fn command(seed: Option<u64>) -> String {
    let mut words: Vec<String> = std::env::args_os()
        .map(|word| quoted(&word.to_string_lossy()))
        .collect();
    if let Some(first) = words.first_mut() {
        "socklab".clone_into(first);
    }
    let is_given = words
        .iter()
        .any(|word| word.starts_with("--seed") || word.contains("seed "));
    if let Some(seed) = seed.filter(|_| !is_given) {
        words.push(format!("--seed {seed}"));
    }
    words.join(" ")
}

/// A word as a POSIX shell reads it.
fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:=,%+@#".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_as_a_shell_needs_them() {
        for (word, text) in [
            ("--delay=20ms", "--delay=20ms"),
            ("udp.lost <= 2%", "'udp.lost <= 2%'"),
            ("it's", r"'it'\''s'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(word), text);
        }
    }
}

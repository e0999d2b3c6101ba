//! What is kept and said of a lab's packets, as typed: the fates, the packet
//! file, the account, how punctual the wire must be.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::cli::output::Colour;
use crate::error::{Error, Exit};
use crate::event::{Sink, Tee};
use crate::link::{Account, Config, Offload};
use crate::recorder::Clock;
use crate::report::Stream;
use crate::report::account;
use crate::report::fates::{self, FatesFile};
use crate::report::pcap::{PcapFile, Vantage};
use crate::units::Time;

/// Options about a lab's packets.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Packets")]
pub(super) struct WatchArgs {
    /// Write the packets to FILE as pcapng, each fate as a comment
    #[arg(long, value_name = "FILE")]
    pcap: Option<PathBuf>,

    /// Where the packet file is recorded: wire, client, server or both
    #[arg(
        long,
        value_name = "WHERE",
        default_value = "wire",
        requires = "pcap",
        hide_short_help = true
    )]
    pcap_at: Vantage,

    /// Write every packet's fate to FILE, a line of JSON each
    #[arg(long, value_name = "FILE")]
    fates: Option<PathBuf>,

    /// Leave the account out
    #[arg(short, long)]
    quiet: bool,

    /// Fail (exit code 1) unless 99 of 100 held packets left within TIME of
    /// being due
    #[arg(long, value_name = "TIME", hide_short_help = true)]
    strict: Option<Time>,

    /// Watch the clock for the last TIME before a packet is due, such as 80us:
    /// more punctual, and a busy processor
    #[arg(long, value_name = "TIME", hide_short_help = true)]
    spin: Option<Time>,

    /// Let packets of up to 64 KiB cross uncut: fast, and nothing can be done to
    /// them or be recorded
    #[arg(long, conflicts_with_all = ["pcap", "fates"], hide_short_help = true)]
    fast: bool,
}

/// The files that are being written.
pub(super) struct Watch {
    pcap: Option<(Arc<PcapFile<BufWriter<File>>>, PathBuf)>,
    fates: Option<(Arc<FatesFile<BufWriter<File>>>, PathBuf)>,
}

impl WatchArgs {
    /// Adds to a link's configuration what was typed here.
    pub(super) fn configure(&self, config: &mut Config) {
        if let Some(Time(spin)) = self.spin {
            config.spin = spin;
        }
        if self.fast {
            config.offload = Offload::On;
        }
    }

    /// Opens the files.
    pub(super) fn open(&self, config: &Config, clock: Clock) -> Result<Watch, Error> {
        let plan = config.plan.to_string();
        let pcap = match &self.pcap {
            Some(path) => {
                let begin = |file| {
                    let comment = format!("socklab lab; link: {plan}");
                    PcapFile::begin_at(self.pcap_at, BufWriter::new(file), clock, Some(&comment))
                };
                Some((Arc::new(create("--pcap", path, begin)?), path.clone()))
            }
            None => None,
        };
        let fates = match &self.fates {
            Some(path) => {
                let run = fates::Run {
                    seed: config.plan.seed,
                    plan: &plan,
                };
                let begin = |file| FatesFile::begin(BufWriter::new(file), run);
                Some((Arc::new(create("--fates", path, begin)?), path.clone()))
            }
            None => None,
        };
        Ok(Watch { pcap, fates })
    }

    /// Says what was carried, and whether all is as it must be.
    pub(super) fn judge(&self, account: &Account, colour: Colour) -> Result<Verdict, Error> {
        let mut err = io::stderr().lock();
        if !self.quiet {
            let style = colour.style_of(Stream::Err);
            account::render(&mut err, account, &style)
                .and_then(|()| err.flush())
                .map_err(|error| Error::new("write", "standard error", error))?;
        }
        let mut verdict = Verdict::Sound;
        if !account.is_conserved() || account.unmodelled_loss() > 0 {
            eprintln!("socklab: the link lost packets that it was not told to lose");
            verdict = Verdict::Unsound;
        }
        let late = account.count.lateness.p99;
        if let Some(Time(bound)) = self.strict
            && late > bound
        {
            let late = Time(round(late));
            eprintln!(
                "socklab: --strict {}: 1 of 100 packets left {late} or more after it was due",
                Time(bound)
            );
            verdict = Verdict::Unsound;
        }
        Ok(verdict)
    }
}

/// Whether a lab's figures can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Sound,
    Unsound,
}

impl Watch {
    /// What the link's events go to.
    pub(super) fn sink(&self) -> Arc<dyn Sink> {
        let mut sinks: Vec<Arc<dyn Sink>> = Vec::new();
        if let Some((pcap, _)) = &self.pcap {
            sinks.push(pcap.clone());
        }
        if let Some((fates, _)) = &self.fates {
            sinks.push(fates.clone());
        }
        Arc::new(Tee::new(sinks))
    }

    /// Finishes the files. The link must have ended, and its sink be gone.
    pub(super) fn finish(self) -> Result<(), Error> {
        let unwritten = |path: &Path| {
            let path = path.display().to_string();
            move |error| Error::new("write", path, error).exiting(Exit::Other)
        };
        if let Some((pcap, path)) = self.pcap
            && let Some(pcap) = Arc::into_inner(pcap)
        {
            pcap.finish().map_err(unwritten(&path))?;
        }
        if let Some((fates, path)) = self.fates
            && let Some(fates) = Arc::into_inner(fates)
        {
            fates.finish().map_err(unwritten(&path))?;
        }
        Ok(())
    }
}

fn create<T>(
    option: &str,
    path: &Path,
    begin: impl FnOnce(File) -> io::Result<T>,
) -> Result<T, Error> {
    File::create(path).and_then(begin).map_err(|error| {
        Error::new("create", path.display(), error).remedy(format!(
            "{option} needs a path in a folder that you may write to"
        ))
    })
}

/// To whole microseconds, as far as anybody reads.
fn round(time: Duration) -> Duration {
    Duration::from_micros(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
}

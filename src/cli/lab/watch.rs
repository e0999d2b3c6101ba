//! What is kept and said of a lab's packets, as typed: the fates, the packet
//! file, the account, how punctual the wire must be.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};

use crate::cli::output::Colour;
use crate::error::{Error, Exit};
use crate::event::{Sink, Tee};
use crate::link::{Account, Config, Offload};
use crate::recorder::{Clock, Relay};
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

    /// Do not sleep for the last TIME before a packet is due, such as 80us, nor
    /// for as long after one: more punctual, and a busy processor
    #[arg(long, value_name = "TIME", hide_short_help = true)]
    spin: Option<Time>,

    /// Let packets of up to 64 KiB cross uncut: fast, and nothing can be done to
    /// them or be recorded
    #[arg(long, conflicts_with_all = ["pcap", "fates"], hide_short_help = true)]
    fast: bool,
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
        let mut watch = Watch::default();
        if let Some(path) = &self.pcap {
            let comment = format!("socklab lab; link: {plan}");
            watch.pcap = Some(Output::open("--pcap", path, |file| {
                PcapFile::begin_at(self.pcap_at, BufWriter::new(file), clock, Some(&comment))
            })?);
        }
        if let Some(path) = &self.fates {
            let run = fates::Run {
                seed: config.plan.seed,
                plan: &plan,
            };
            watch.fates = Some(Output::open("--fates", path, |file| {
                FatesFile::begin(BufWriter::new(file), run)
            })?);
            if let Some(pcap) = &self.pcap
                && is_same(pcap, path)
            {
                return Err(Error::new(
                    "write",
                    path.display(),
                    "it is both --pcap's file and --fates'",
                )
                .exiting(Exit::Other));
            }
        }
        Ok(watch)
    }

    /// Says what was carried, and whether all is as it must be.
    pub(super) fn judge(&self, account: &Account, congestion: &str, colour: Colour) -> Verdict {
        if !self.quiet {
            let (mut err, style) = (io::stderr().lock(), colour.style_of(Stream::Err));
            // Where nobody takes it, the program's exit code says what matters.
            let _ = account::render(&mut err, account, &style);
            let _ = writeln!(err, "TCP's congestion control: {congestion}.");
            let _ = err.flush();
        }
        let mut verdict = Verdict::Sound;
        if !account.is_conserved() || account.unmodelled_loss() > 0 {
            note!("the link lost packets that it was not told to lose");
            verdict = Verdict::Unsound;
        }
        let late = account.count.lateness.p99;
        if let Some(Time(bound)) = self.strict
            && late > bound
        {
            let late = Time(round(late));
            let packets = account.count.lateness.packets;
            note!(
                "--strict {}: of {packets} held packets the 99th percentile left {late} late",
                Time(bound)
            );
            verdict = Verdict::Unsound;
        }
        verdict
    }
}

/// Whether a lab's figures can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Sound,
    Unsound,
}

/// The files that are being written.
#[derive(Default)]
pub(super) struct Watch {
    pcap: Option<Output<PcapFile<BufWriter<File>>>>,
    fates: Option<Output<FatesFile<BufWriter<File>>>>,
}

impl Watch {
    /// What the link's events go to.
    pub(super) fn sink(&self) -> Arc<dyn Sink> {
        let pcap = self.pcap.as_ref().map(Output::sink);
        let fates = self.fates.as_ref().map(Output::sink);
        Arc::new(Tee::new(pcap.into_iter().chain(fates).collect()))
    }

    /// Finishes the files, each whatever becomes of the other. The link must have
    /// ended, and its sink be gone.
    pub(super) fn finish(self) -> Result<(), Error> {
        let pcap = self
            .pcap
            .map_or(Ok(()), |output| output.finish(PcapFile::finish));
        let fates = self
            .fates
            .map_or(Ok(()), |output| output.finish(FatesFile::finish));
        pcap.and(fates)
    }
}

/// A file that events are written to. Where it is none that takes all at once (a
/// pipe, a terminal), a thread of its own writes it, so that a slow reader does
/// not hold up the wire.
struct Output<Written> {
    path: PathBuf,
    written: Arc<Written>,
    relay: Option<Arc<Relay>>,
}

impl<Written: Sink + 'static> Output<Written> {
    fn open(
        option: &str,
        path: &Path,
        begin: impl FnOnce(File) -> io::Result<Written>,
    ) -> Result<Self, Error> {
        if path == Path::new("-") {
            let cause = "standard output is the program's";
            return Err(Error::new("write", option, cause)
                .remedy(format!("name a file or a FIFO: {option} FILE"))
                .exiting(Exit::Other));
        }
        let create = || {
            let file = writable(path)?;
            let is_file = file.metadata()?.is_file();
            let written = Arc::new(begin(file)?);
            let relay = if is_file {
                None
            } else {
                Some(Arc::new(Relay::without_waiting(written.clone())?))
            };
            Ok(Self {
                path: path.to_owned(),
                written,
                relay,
            })
        };
        create().map_err(|error: io::Error| {
            let remedy = match error.raw_os_error() {
                Some(nix::libc::ENXIO) => format!("start the reader of {} first", path.display()),
                _ => format!("{option} needs a path in a folder that you may write to"),
            };
            Error::new("create", path.display(), error).remedy(remedy)
        })
    }

    fn sink(&self) -> Arc<dyn Sink> {
        match &self.relay {
            Some(relay) => relay.clone(),
            None => self.written.clone(),
        }
    }

    fn finish<Out>(self, finish: impl FnOnce(Written) -> io::Result<Out>) -> Result<(), Error> {
        /// How long a reader may take for what is left.
        const PATIENCE: Duration = Duration::from_secs(2);
        let unwritten = |cause: String| {
            Err(Error::new("write", self.path.display(), cause).exiting(Exit::Other))
        };
        if let Some(mut relay) = self.relay.and_then(Arc::into_inner) {
            if !relay.end_within(PATIENCE) {
                return unwritten("its reader does not read on".into());
            }
            if relay.missed() > 0 {
                let missed = relay.missed();
                return unwritten(format!(
                    "its reader is too slow: {missed} packets are missing"
                ));
            }
        }
        let Some(written) = Arc::into_inner(self.written) else {
            return Ok(());
        };
        match finish(written) {
            Ok(_) => Ok(()),
            Err(error) => Err(Error::new("write", self.path.display(), error).exiting(Exit::Other)),
        }
    }
}

/// Opens a file for writing. A FIFO must have a reader by now: waiting for one
/// would be waiting for ever (fifo(7)).
fn writable(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .custom_flags(nix::libc::O_NONBLOCK)
        .open(path)?;
    let flags = OFlag::from_bits_truncate(fcntl(&file, FcntlArg::F_GETFL)?);
    fcntl(&file, FcntlArg::F_SETFL(flags - OFlag::O_NONBLOCK))?;
    Ok(file)
}

/// Whether both paths are one file.
fn is_same(one: &Path, other: &Path) -> bool {
    let identity = |path: &Path| {
        let metadata = std::fs::metadata(path).ok()?;
        metadata.is_file().then(|| (metadata.dev(), metadata.ino()))
    };
    identity(one).is_some_and(|one| Some(one) == identity(other))
}

/// To whole microseconds, as far as anybody reads.
fn round(time: Duration) -> Duration {
    Duration::from_micros(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
}

//! The bar on a terminal: how much of it is there, at which rate, and how long
//! the rest will take. In a pipe there is none.
//!
//! Owns the bar and the thread that moves it. Lines that are told meanwhile are
//! written above it.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::app::file::Gauge;
use crate::event::{Event, Sink, Topic};
use crate::recorder::Recorder;

/// How often it moves.
const TICK: Duration = Duration::from_millis(100);
/// What it looks like.
const LOOKS: &str =
    "{bar:24} {percent:>3} %  {bytes} of {total_bytes}  {bytes_per_sec}  {eta} left";

/// A bar that is drawn until this is dropped.
pub(super) struct Progress {
    bar: ProgressBar,
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// Draws `gauge` where standard error is a terminal that nothing else is
    /// told on.
    pub(super) fn begin(gauge: &Arc<Gauge>, is_quiet: bool) -> Option<Self> {
        if is_quiet || !io::stderr().is_terminal() {
            return None;
        }
        let bar = ProgressBar::new(0);
        let signs = if is_utf8() { "━╸─" } else { "#>-" };
        let style = ProgressStyle::with_template(LOOKS).ok()?;
        bar.set_style(style.progress_chars(signs));
        let (end, ended) = channel();
        let (gauge, moving) = (Arc::clone(gauge), bar.clone());
        let thread = thread::Builder::new()
            .name("progress".into())
            .spawn(move || {
                while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(TICK) {
                    if gauge.total() > 0 {
                        moving.set_length(gauge.total());
                        moving.set_position(gauge.settled());
                    }
                }
            });
        Some(Self {
            bar,
            end: Some(end),
            thread: thread.ok(),
        })
    }

    /// A recorder whose lines are written above the bar.
    pub(super) fn above(&self, recorder: Recorder) -> Recorder {
        let (place, clock) = (recorder.place(), recorder.clock());
        let bar = self.bar.clone();
        Recorder::new(place, clock, Arc::new(Above { recorder, bar }))
    }
}

fn is_utf8() -> bool {
    let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let locale = set("LC_ALL")
        .or_else(|| set("LC_CTYPE"))
        .or_else(|| set("LANG"));
    locale.is_some_and(|locale| {
        let locale = locale.to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end = None;
        if let Some(thread) = self.thread.take() {
            // A panic was printed by the thread.
            let _ = thread.join();
        }
        self.bar.finish_and_clear();
    }
}

struct Above {
    recorder: Recorder,
    bar: ProgressBar,
}

impl Sink for Above {
    fn wants(&self, topic: Topic) -> bool {
        self.recorder.wants(topic)
    }

    fn record(&self, event: &Event<'_>) {
        let record = || self.recorder.record(event.at, event.what.clone());
        match event.topic() {
            // Most steps make no line.
            Topic::App | Topic::Routine | Topic::Note | Topic::Talk => self.bar.suspend(record),
            _ => record(),
        }
    }
}

//! Where whoever takes part types and reads: a line editor that incoming lines do
//! not tear, or plain lines where there is no terminal.
//!
//! Owns a thread that waits for the keyboard and one that writes, so that
//! neither ever holds up the room.

use std::io::{self, IsTerminal, Read, StdinLock};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::aside::{Aside, Show};
use super::editor::{Editor, NUDGE, Print, Settings, write};
use crate::app::Stop;
use crate::app::chat::Console;
use crate::error::Error;
use crate::protocol::chat::{LONGEST_LINE, Piece, Splitter, clean};

/// Lines that wait to be shown, before more are left out.
const WAITING: usize = 10_000;
/// Lines typed that wait to be sent: a large paste, so that the editor is not kept
/// from showing what comes meanwhile.
const TYPED: usize = 1 << 16;
/// How long showing the last lines may take.
const LAST: Duration = Duration::from_millis(500);

/// How it is to be.
#[derive(Clone, Default)]
pub(super) struct Taste {
    /// What is told besides on the same terminal.
    pub(super) aside: Aside,
    /// Where typed lines are kept for the next time.
    pub(super) history: Option<PathBuf>,
}

/// A terminal, or pipes.
pub(super) struct Desk {
    lines: Option<SyncSender<String>>,
    shown: Receiver<()>,
    left_out: Arc<AtomicU64>,
    aside: Aside,
    /// Undone last.
    _settings: Option<Settings>,
}

impl Desk {
    /// Sits down. Where nobody reads the output any more, `stop` is asked.
    pub(super) fn open(taste: &Taste, stop: &Stop) -> Result<(Self, Console), Error> {
        let (typed, typing) = mpsc::channel(TYPED);
        let (lines, showing) = sync_channel::<String>(WAITING);
        let (done, shown) = sync_channel(1);
        let failed = |error: io::Error| Error::new("start", "the line editor", error);
        let (ask, left_out) = (stop.clone(), Arc::new(AtomicU64::new(0)));
        let show = shower(lines.clone(), Arc::clone(&left_out));
        let settings = if let Some((editor, print)) = editor(taste)? {
            let settings = Settings::begin()?;
            spawn("writing", move || {
                show_all(&showing, print, &ask, &done, &[NUDGE, NUDGE]);
            })
            .map_err(failed)?;
            spawn("typing", move || editor.edit(&typed)).map_err(failed)?;
            if io::stderr().is_terminal() {
                taste.aside.lead(Some(Arc::clone(&show)));
            }
            Some(settings)
        } else {
            spawn("writing", move || {
                show_all(&showing, write, &ask, &done, &[]);
            })
            .map_err(failed)?;
            spawn("typing", move || read(io::stdin().lock(), &typed)).map_err(failed)?;
            None
        };
        let desk = Self {
            lines: Some(lines),
            shown,
            left_out,
            aside: taste.aside.clone(),
            _settings: settings,
        };
        let typed = typing;
        Ok((desk, Console { typed, show }))
    }

    /// Shows what still waits; the console must be gone.
    pub(super) fn leave(mut self) {
        self.lines = None;
        self.aside.lead(None);
        // A reader that has stopped reading holds nobody up.
        let _ = self.shown.recv_timeout(LAST);
        let left_out = self.left_out.load(Ordering::Relaxed);
        if left_out > 0 {
            note!("{left_out} lines were not shown: standard output was too slow");
        }
    }
}

/// The line editor and what prints beside it, on a terminal that can do that.
fn editor(taste: &Taste) -> Result<Option<(Editor, Print)>, Error> {
    if !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
        return Ok(None);
    }
    let mut editor = Editor::open(taste.history.clone())?;
    let printer = editor.printer();
    Ok(printer.map(|printer| (editor, printer)))
}

/// Hands lines over to be shown, and counts those that there is no room for.
fn shower(lines: SyncSender<String>, left_out: Arc<AtomicU64>) -> Show {
    Arc::new(move |line: &str| {
        if let Err(TrySendError::Full(_)) = lines.try_send(line.to_owned()) {
            left_out.fetch_add(1, Ordering::Relaxed);
        }
    })
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name(name.into()).spawn(work)?;
    Ok(())
}

/// Shows lines as they come, until there are no more or nobody takes them; then
/// what pushes the last of them out.
fn show_all(
    lines: &Receiver<String>,
    mut print: impl FnMut(String) -> io::Result<()>,
    stop: &Stop,
    done: &SyncSender<()>,
    push: &[&str],
) {
    let push = push.iter().map(|line| (*line).to_owned());
    for line in lines.iter().chain(push) {
        if print(line).is_err() {
            stop.ask();
            break;
        }
    }
    let _ = done.send(());
}

/// Reads lines as a member's are read: of any encoding, and none without end.
fn read(mut input: StdinLock<'_>, typed: &mpsc::Sender<String>) {
    let mut splitter = Splitter::new(LONGEST_LINE);
    let mut bytes = [0; 4096];
    loop {
        let count = match input.read(&mut bytes) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => 0,
        };
        let mut pieces = Vec::new();
        splitter.push(Instant::now(), &bytes[..count], |piece| pieces.push(piece));
        if count == 0 {
            pieces.extend(splitter.finish());
        }
        for piece in pieces {
            match piece {
                Piece::Line(line) if typed.blocking_send(clean(&line)).is_err() => return,
                Piece::Line(_) => {}
                Piece::TooLong(length) => too_long(length),
            }
        }
        if count == 0 {
            return;
        }
    }
}

pub(super) fn too_long(length: usize) {
    note!("a line of {length} bytes was not sent: {LONGEST_LINE} are allowed");
}

//! Where whoever takes part types and reads: a line editor that incoming lines do
//! not tear, or plain lines where there is no terminal.
//!
//! Owns a thread that waits for the keyboard and one that writes, so that
//! neither ever holds up the room.

use std::io::{self, IsTerminal, Read, StdinLock, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};
use rustyline::error::ReadlineError;
use rustyline::{DefaultEditor, ExternalPrinter};
use tokio::sync::mpsc;

use crate::app::Stop;
use crate::app::chat::Console;
use crate::error::Error;
use crate::protocol::chat::{LONGEST_LINE, Piece, Splitter, clean};

/// Lines that wait to be shown, before more are left out.
const WAITING: usize = 10_000;
/// Lines typed that wait to be sent.
const TYPED: usize = 64;
/// How long showing the last lines may take.
const LAST: Duration = Duration::from_millis(500);

/// The editor shows a line when its thread comes to it, and takes the next one
/// only then: once it has taken two more, the last line is on the screen. These
/// move the cursor up, and down again.
const PUSH: &[&str] = &["\x1b[A", "\x1b[A"];

/// How it is to be.
#[derive(Debug, Clone, Default)]
pub(super) struct Taste {
    /// Whether steps are told on the same terminal: then lines are not edited,
    /// for they would be torn.
    pub(super) tells_steps: bool,
    /// Where typed lines are kept for the next time.
    pub(super) history: Option<PathBuf>,
}

/// A terminal, or pipes.
pub(super) struct Desk {
    lines: Option<SyncSender<String>>,
    shown: Receiver<()>,
    left_out: Arc<AtomicU64>,
    before: Option<Termios>,
}

impl Desk {
    /// Sits down. Where nobody reads the output any more, `stop` is asked.
    pub(super) fn open(taste: &Taste, stop: &Stop) -> Result<(Self, Console), Error> {
        let is_terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
        let (typed, typing) = mpsc::channel(TYPED);
        let (lines, showing) = sync_channel::<String>(WAITING);
        let (done, shown) = sync_channel(1);
        let failed = |error: io::Error| Error::new("start", "the line editor", error);
        let stop = stop.clone();
        let before = if is_terminal && !taste.tells_steps {
            let before = tcgetattr(io::stdin().as_fd()).ok();
            let mut editor = Editor::open(taste.history.clone())?;
            let mut printer = editor.printer()?;
            let print = move |line: String| printer.print(line + "\n").map_err(io::Error::other);
            let write = move || show(&showing, print, &stop, &done, PUSH);
            spawn("writing", write).map_err(failed)?;
            spawn("typing", move || editor.edit(&typed)).map_err(failed)?;
            before
        } else {
            let write = move || show(&showing, write, &stop, &done, &[]);
            spawn("writing", write).map_err(failed)?;
            spawn("typing", move || read(io::stdin().lock(), &typed)).map_err(failed)?;
            None
        };
        let left_out = Arc::new(AtomicU64::new(0));
        let desk = Self {
            lines: Some(lines.clone()),
            shown,
            left_out: Arc::clone(&left_out),
            before,
        };
        let show = move |line: &str| {
            if let Err(TrySendError::Full(_)) = lines.try_send(line.to_owned()) {
                left_out.fetch_add(1, Ordering::Relaxed);
            }
        };
        let show = Arc::new(show);
        Ok((
            desk,
            Console {
                typed: typing,
                show,
            },
        ))
    }

    /// Shows what still waits; the console must be gone.
    pub(super) fn leave(mut self) {
        self.lines = None;
        // A reader that has stopped reading holds nobody up.
        let _ = self.shown.recv_timeout(LAST);
        let left_out = self.left_out.load(Ordering::Relaxed);
        if left_out > 0 {
            note!("{left_out} lines were not shown: standard output was too slow");
        }
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        // The editor's thread may still wait for a key, in raw mode.
        if let Some(before) = &self.before
            && let Ok(now) = tcgetattr(io::stdin().as_fd())
            && now != *before
        {
            let _ = tcsetattr(io::stdin().as_fd(), SetArg::TCSANOW, before);
            // The prompt's line ends.
            let _ = writeln!(io::stdout());
        }
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name(name.into()).spawn(work)?;
    Ok(())
}

/// Shows lines as they come, until there are no more or nobody takes them; then
/// what pushes the last of them out.
fn show(
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

fn write(line: String) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all((line + "\n").as_bytes())?;
    out.flush()
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

fn too_long(length: usize) {
    note!("a line of {length} bytes was not sent: {LONGEST_LINE} are allowed");
}

struct Editor {
    editor: DefaultEditor,
    history: Option<PathBuf>,
}

impl Editor {
    fn open(history: Option<PathBuf>) -> Result<Self, Error> {
        let mut editor = DefaultEditor::new().map_err(unusable)?;
        if let Some(path) = &history
            && let Err(error) = editor.load_history(path)
            && !matches!(&error, ReadlineError::Io(error) if error.kind() == io::ErrorKind::NotFound)
        {
            return Err(Error::new("read", path.display(), error.to_string()));
        }
        Ok(Self { editor, history })
    }

    fn printer(&mut self) -> Result<impl ExternalPrinter + Send + use<>, Error> {
        self.editor.create_external_printer().map_err(unusable)
    }

    /// Lets lines be typed until there are no more: Ctrl-C and Ctrl-D both end.
    fn edit(mut self, typed: &mpsc::Sender<String>) {
        while let Ok(line) = self.editor.readline("> ") {
            // History is a comfort: where it cannot be kept, talk goes on.
            let _ = self.editor.add_history_entry(&line);
            if line.len() > LONGEST_LINE {
                too_long(line.len());
            } else if typed.blocking_send(line).is_err() {
                break;
            }
        }
        if let Some(path) = &self.history
            && let Err(error) = self.editor.save_history(path)
        {
            note!("the history is not kept: write {}: {error}", path.display());
        }
    }
}

fn unusable(error: ReadlineError) -> Error {
    match error {
        ReadlineError::Io(error) => Error::new("use", "the terminal", error),
        other => Error::new("use", "the terminal", other.to_string()),
    }
}

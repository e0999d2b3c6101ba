//! The line editor on a terminal: keys to lines, and incoming lines above what is
//! being typed.
//!
//! Keys that come together, as a paste does, or while a line is being sent, are
//! neither lost nor echoed: what was read ahead is kept from one line to the
//! next, and the terminal is not given back to its own line discipline between
//! them (termios(3)).

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use nix::sys::termios::{
    InputFlags, LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr,
};
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, ExternalPrinter, Helper};
use tokio::sync::mpsc;

use super::desk::too_long;
use crate::error::Error;
use crate::protocol::chat::LONGEST_LINE;

/// The editor shows a line when its thread comes to it, and takes the next one
/// only then: once it has taken two of these more, the last line is on the
/// screen. It moves the cursor up, and down again.
pub(super) const NUDGE: &str = "\x1b[A";

/// Prints a line.
pub(super) type Print = Box<dyn FnMut(String) -> io::Result<()> + Send>;

/// The editor, and where typed lines are kept.
pub(super) struct Editor {
    keys: rustyline::Editor<Watcher, FileHistory>,
    history: Option<PathBuf>,
    gate: Gate,
}

impl Editor {
    /// With the lines that were typed before.
    pub(super) fn open(history: Option<PathBuf>) -> Result<Self, Error> {
        let mut keys = rustyline::Editor::new().map_err(unusable)?;
        let gate = Gate::default();
        keys.set_helper(Some(Watcher(gate.clone())));
        if let Some(path) = &history
            && let Err(error) = keys.load_history(path)
            && !matches!(&error, ReadlineError::Io(error) if error.kind() == io::ErrorKind::NotFound)
        {
            return Err(Error::new("read", path.display(), error.to_string()));
        }
        Ok(Self {
            keys,
            history,
            gate,
        })
    }

    /// What prints a line above what is being typed; none where the terminal
    /// cannot do that (`TERM=dumb`).
    pub(super) fn printer(&mut self) -> Option<Print> {
        let mut printer = self.keys.create_external_printer().ok()?;
        let gate = self.gate.clone();
        Some(Box::new(move |line: String| {
            let taken = match gate.wait() {
                Phase::Gone => Err(ReadlineError::Eof),
                _ => printer.print(line.clone() + "\n"),
            };
            match taken {
                Ok(()) => Ok(()),
                // It may have gone while the line was being handed over.
                Err(_) if gate.wait() == Phase::Gone && line == NUDGE => Ok(()),
                Err(_) if gate.wait() == Phase::Gone => write(line),
                Err(error) => Err(io::Error::other(error)),
            }
        }))
    }

    /// Lets lines be typed until there are no more: Ctrl-C and Ctrl-D both end.
    pub(super) fn edit(mut self, typed: &mpsc::Sender<String>) {
        while let Ok(text) = self.keys.readline("> ") {
            // History is a comfort: where it cannot be kept, talk goes on.
            let _ = self.keys.add_history_entry(&text);
            if !hand_over(&text, typed) {
                break;
            }
        }
        if let Some(path) = &self.history
            && let Err(error) = self.keys.save_history(path)
        {
            note!("the history is not kept: write {}: {error}", path.display());
        }
        let gate = self.gate.clone();
        // Nobody waits for it to print any more.
        drop(self);
        gate.turn(Phase::Gone);
    }
}

/// What was typed, a line each where it is a paste of several; false where
/// nobody takes it.
fn hand_over(text: &str, typed: &mpsc::Sender<String>) -> bool {
    let mut lines = text.split('\n');
    lines.all(|line| {
        if line.len() > LONGEST_LINE {
            too_long(line.len());
            return true;
        }
        typed.blocking_send(line.to_owned()).is_ok()
    })
}

pub(super) fn write(line: String) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all((line + "\n").as_bytes())?;
    out.flush()
}

fn unusable(error: ReadlineError) -> Error {
    match error {
        ReadlineError::Io(error) => Error::new("use", "the terminal", error),
        other => Error::new("use", "the terminal", other.to_string()),
    }
}

/// Where the editor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Between two lines: what is printed now could stand beside what was typed.
    Between,
    /// At the prompt, and clears it away for what is printed.
    AtPrompt,
    /// Gone: nothing is typed any more.
    Gone,
}

/// Lets lines through when the editor is where it can take them.
#[derive(Clone)]
struct Gate(Arc<(Mutex<Phase>, Condvar)>);

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new((Mutex::new(Phase::Between), Condvar::new())))
    }
}

impl Gate {
    fn turn(&self, to: Phase) {
        let (phase, turned) = &*self.0;
        let mut phase = phase.lock().unwrap_or_else(PoisonError::into_inner);
        if *phase != to {
            *phase = to;
            turned.notify_all();
        }
    }

    fn wait(&self) -> Phase {
        let (phase, turned) = &*self.0;
        let phase = phase.lock().unwrap_or_else(PoisonError::into_inner);
        let phase = turned.wait_while(phase, |phase| *phase == Phase::Between);
        *phase.unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sees where the editor is: it asks for hints when it has shown the prompt, and
/// for an opinion before it takes a line.
struct Watcher(Gate);

impl Hinter for Watcher {
    type Hint = String;

    fn hint(&self, _: &str, _: usize, _: &Context<'_>) -> Option<String> {
        self.0.turn(Phase::AtPrompt);
        None
    }
}

impl Validator for Watcher {
    fn validate(&self, _: &mut ValidationContext) -> rustyline::Result<ValidationResult> {
        self.0.turn(Phase::Between);
        Ok(ValidationResult::Valid(None))
    }
}

impl Completer for Watcher {
    type Candidate = String;
}

impl Highlighter for Watcher {}

impl Helper for Watcher {}

/// The terminal's settings before, and those between two lines: keys wait as they
/// are, and nobody echoes them. Ctrl-C is a signal there, so that it ends what
/// cannot be sent.
pub(super) struct Settings {
    before: Termios,
    between: Termios,
}

impl Settings {
    /// Sets those between two lines; they are undone when this is dropped.
    pub(super) fn begin() -> Result<Self, Error> {
        let failed = |errno| Error::new("tcsetattr of", "the terminal", io::Error::from(errno));
        let before = tcgetattr(io::stdin().as_fd()).map_err(failed)?;
        let mut between = before.clone();
        between.local_flags &= !(LocalFlags::ECHO | LocalFlags::ICANON | LocalFlags::IEXTEN);
        between.input_flags &= !(InputFlags::ICRNL | InputFlags::IXON | InputFlags::ISTRIP);
        between.control_chars[SpecialCharacterIndices::VMIN as usize] = 1;
        between.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
        tcsetattr(io::stdin().as_fd(), SetArg::TCSANOW, &between).map_err(failed)?;
        Ok(Self { before, between })
    }
}

impl Drop for Settings {
    fn drop(&mut self) {
        let stdin = io::stdin();
        let is_at_prompt = tcgetattr(stdin.as_fd()).is_ok_and(|now| now != self.between);
        let _ = tcsetattr(stdin.as_fd(), SetArg::TCSANOW, &self.before);
        if is_at_prompt {
            // The prompt's line ends.
            let _ = writeln!(io::stdout());
        }
    }
}

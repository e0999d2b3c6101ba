//! One run of a lab: the server's program until it listens, the errand until it
//! ends, and the server's end.

use std::collections::HashSet;
use std::ffi::OsString;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::program::{Ending, Errand, code_of_signal, start_server};
use super::ready::{Progress, Ready, Row, remedy, sockets};
use super::terminal::{has_terminal, resume};
use super::warden::{Happening, Warden, pass_on};
use crate::error::{Error, Exit};
use crate::link::Link;

/// How often the socket tables are read while something is waited for that the
/// kernel does not announce.
const GLANCE: Duration = Duration::from_millis(5);
/// How long open connections may take to end after the errand.
const LONGEST_CLOSING: Duration = Duration::from_secs(2);
/// How long the server's program may take to end after SIGTERM.
const LONGEST_FAREWELL: Duration = Duration::from_secs(1);

/// What a lab runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// What is run to its end.
    pub errand: Errand,
    /// What runs on the server before.
    pub server: Option<Server>,
}

/// A program that runs on the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// A shell's command line.
    pub line: OsString,
    /// When it is ready.
    pub ready: Ready,
    /// How long to wait for that.
    pub patience: Duration,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// The errand's exit code, or 128 and the number of the signal that ended it
    /// or the wait for the server.
    pub code: u8,
    /// How the server's program ended, where it failed before the errand ended.
    pub server: Option<Ending>,
}

/// Runs the server's program and the errand.
pub fn run(config: &Config, link: &Link, warden: &mut Warden) -> Result<Ended, Error> {
    let mut run = Run {
        link,
        warden,
        server: None,
    };
    if let Some(server) = &config.server
        && let Await::Interrupted(signal) = run.serve(server)?
    {
        return Ok(Ended {
            code: code_of_signal(signal),
            server: None,
        });
    }
    link.start_schedule()?;
    let ending = run.attend(&config.errand)?;
    let server = run.server.as_ref().and_then(|server| server.ended);
    run.close()?;
    Ok(Ended {
        code: ending.code(),
        server: server.filter(|ending| *ending != Ending::Exited(0)),
    })
}

struct Run<'a> {
    link: &'a Link,
    warden: &'a mut Warden,
    server: Option<Serving>,
}

struct Serving {
    process: Pid,
    ended: Option<Ending>,
}

enum Await {
    Ready,
    Interrupted(Signal),
}

impl Run<'_> {
    /// Starts the server's program and waits until it listens.
    fn serve(&mut self, server: &Server) -> Result<Await, Error> {
        let before = sockets(self.link.server());
        let process = start_server(&server.line, self.link.server())?;
        self.server = Some(Serving {
            process,
            ended: None,
        });
        let deadline = Instant::now() + server.patience;
        loop {
            let found = match server.ready.judge(&before, &sockets(self.link.server())) {
                Progress::Listens => return Ok(Await::Ready),
                Progress::Waits(found) => found,
            };
            if let Some(ending) = self.gone() {
                return Err(ended_early(server, ending));
            }
            if Instant::now() >= deadline {
                return Err(never_listened(server, &found));
            }
            let glance = deadline.min(Instant::now() + GLANCE);
            if let Some(Happening::Signal(signal, _)) = self.next(Some(glance))?
                && asks_to_end(signal)
            {
                return Ok(Await::Interrupted(signal));
            }
        }
    }

    /// Runs the errand to its end.
    fn attend(&mut self, errand: &Errand) -> Result<Ending, Error> {
        let host = self.link.host(errand.place());
        let process = errand.start(host, self.warden.seat())?;
        loop {
            match self.next(None)? {
                Some(Happening::Ended(ended, ending)) if ended == process => return Ok(ending),
                // Stopped by SIGSTOP it is an experiment rather than put aside,
                // unless it is a shell that was told to suspend.
                Some(Happening::Stopped(stopped, signal))
                    if stopped == process
                        && (signal != Signal::SIGSTOP || has_terminal(process)) =>
                {
                    self.warden.tell_stopped();
                }
                Some(Happening::Resumed) => resume(process),
                Some(Happening::Signal(signal, origin)) => {
                    // An interactive shell ignores SIGTERM.
                    let signal = match signal {
                        Signal::SIGTERM if errand.is_shell() => Signal::SIGHUP,
                        signal => signal,
                    };
                    pass_on(signal, origin, process);
                }
                _ => {}
            }
        }
    }

    /// Lets the server's program take what is on its way to it, and ends it.
    fn close(&mut self) -> Result<(), Error> {
        if self.server.is_none() {
            return Ok(());
        }
        let deadline = Instant::now() + LONGEST_CLOSING;
        while self.conversation_goes_on() && Instant::now() < deadline {
            if let Some(Happening::Signal(signal, _)) = self.next(Some(Instant::now() + GLANCE))?
                && asks_to_end(signal)
            {
                break;
            }
        }
        let Some(process) = self.running_server() else {
            return Ok(());
        };
        // The whole of its group: a shell may stand before the server. Where
        // that is gone by itself, so much the better.
        let _ = killpg(process, Signal::SIGTERM);
        let _ = killpg(process, Signal::SIGCONT);
        let deadline = Instant::now() + LONGEST_FAREWELL;
        while self.running_server().is_some() && Instant::now() < deadline {
            self.next(Some(deadline))?;
        }
        Ok(())
    }

    /// Waits for the next thing to happen, and remembers the server's end.
    fn next(&mut self, deadline: Option<Instant>) -> Result<Option<Happening>, Error> {
        let happening = self.warden.next(deadline)?;
        if let (Some(Happening::Ended(process, ending)), Some(server)) =
            (happening, &mut self.server)
            && process == server.process
        {
            server.ended = Some(ending);
        }
        Ok(happening)
    }

    /// How the server's program ended, where nothing can listen any more: a
    /// daemon's first process ends well, and its children live on.
    fn gone(&self) -> Option<Ending> {
        let ending = self.server.as_ref()?.ended?;
        (ending != Ending::Exited(0) || Warden::is_alone()).then_some(ending)
    }

    fn running_server(&self) -> Option<Pid> {
        let server = self.server.as_ref()?;
        server.ended.is_none().then_some(server.process)
    }

    fn conversation_goes_on(&self) -> bool {
        let open = |rows: HashSet<Row>, is_open: fn(&Row) -> bool| rows.iter().any(is_open);
        let is_under_way = || {
            let count = self.link.count();
            count.is_ok_and(|count| count.under_way > 0)
        };
        self.running_server().is_some()
            && (is_under_way()
                || open(sockets(self.link.server()), Row::is_held)
                || open(sockets(self.link.client()), Row::is_unfinished))
    }
}

fn asks_to_end(signal: Signal) -> bool {
    matches!(
        signal,
        Signal::SIGINT | Signal::SIGTERM | Signal::SIGHUP | Signal::SIGQUIT
    )
}

fn waiting_for(server: &Server, cause: String) -> Error {
    let target = match server.ready {
        Ready::At(_) => format!("the server's program to listen on {}", server.ready),
        _ => "the server's program to listen".to_owned(),
    };
    Error::new("wait for", target, cause).exiting(Exit::Other)
}

fn ended_early(server: &Server, ending: Ending) -> Error {
    waiting_for(server, format!("it ended {ending}"))
        .remedy("`socklab lab --shell server` is a place to try it by hand")
}

fn never_listened(server: &Server, found: &[Row]) -> Error {
    let patience = server.patience.as_secs_f64();
    waiting_for(server, format!("it did not within {patience} s")).remedy(remedy(found))
}

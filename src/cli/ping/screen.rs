//! The terminal that `--graph` is drawn on: the other screen, keys, size.
//!
//! A thread of its own draws about ten times a second from a view that it takes;
//! the run never waits for the terminal. The screen is given back when this is
//! dropped, whatever ended the run.

use std::io::{self, Stdout};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::getpid;
use ratatui_core::terminal::Terminal;
use ratatui_crossterm::CrosstermBackend;
use ratatui_crossterm::crossterm::cursor::{Hide, Show};
use ratatui_crossterm::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui_crossterm::crossterm::execute;
use ratatui_crossterm::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use signal_hook::consts::SIGTERM;
use signal_hook::flag;

use crate::error::Error;
use crate::event::Sink;
use crate::recorder::Clock;
use crate::report::Style;
use crate::report::ping::graph::{self, Graph, View};

/// From one picture to the next.
const PICTURE: Duration = Duration::from_millis(100);

/// The graph on the screen, until it is dropped.
pub(super) struct Screen {
    graph: Arc<Graph>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Screen {
    /// Takes the screen over; `clock` is the run's.
    pub(super) fn open(clock: Clock, style: Style) -> Result<Self, Error> {
        let failed = |cause: io::Error| {
            Error::new("draw", "--graph", cause).remedy("--csv FILE needs no terminal")
        };
        let graph = Arc::new(Graph::default());
        let ended = Arc::new(AtomicBool::new(false));
        let terminated = Arc::new(AtomicBool::new(false));
        flag::register(SIGTERM, Arc::clone(&terminated)).map_err(failed)?;
        let taken = Taken::take().map_err(failed)?;
        let terminal = Terminal::new(CrosstermBackend::new(io::stdout())).map_err(failed)?;
        let mut artist = Artist {
            terminal,
            graph: Arc::clone(&graph),
            ended: Arc::clone(&ended),
            terminated,
            clock,
            style,
            paused: None,
            _taken: taken,
        };
        let thread = std::thread::Builder::new()
            .name("graph".into())
            .spawn(move || artist.run())
            .map_err(failed)?;
        Ok(Self {
            graph,
            ended,
            thread: Some(thread),
        })
    }

    /// What takes the events.
    pub(super) fn sink(&self) -> Arc<dyn Sink> {
        Arc::clone(&self.graph) as Arc<dyn Sink>
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic was printed by its thread.
            let _ = thread.join();
        }
    }
}

/// The terminal in the state that drawing needs.
struct Taken;

impl Taken {
    fn take() -> io::Result<Self> {
        enable_raw_mode()?;
        // From here on, dropping it gives everything back.
        let taken = Self;
        execute!(io::stdout(), EnterAlternateScreen, Hide)?;
        Ok(taken)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing back.
        let _ = execute!(io::stdout(), LeaveAlternateScreen, Show);
        let _ = disable_raw_mode();
    }
}

struct Artist {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    graph: Arc<Graph>,
    ended: Arc<AtomicBool>,
    terminated: Arc<AtomicBool>,
    clock: Clock,
    style: Style,
    paused: Option<View>,
    _taken: Taken,
}

impl Artist {
    fn run(&mut self) {
        while !self.ended.load(Ordering::Relaxed) {
            if self.draw().is_err() || self.terminated.load(Ordering::Relaxed) {
                end_the_run();
                return;
            }
            self.wait();
        }
    }

    fn draw(&mut self) -> io::Result<()> {
        let now = self.clock.now();
        let view = self.paused.clone();
        let view = view.unwrap_or_else(|| self.graph.view(now));
        let (is_paused, style) = (self.paused.is_some(), self.style);
        self.terminal.draw(|frame| {
            graph::draw(&view, is_paused, style, frame.area(), frame.buffer_mut());
        })?;
        Ok(())
    }

    /// Takes keys until the next picture is due.
    fn wait(&mut self) {
        let due = Instant::now() + PICTURE;
        loop {
            let left = due.saturating_duration_since(Instant::now());
            match event::poll(left) {
                Ok(true) => {}
                Ok(false) => return,
                // Nobody types; there is still something to see.
                Err(_) => return std::thread::sleep(left),
            }
            match event::read() {
                Ok(Event::Key(key)) if key.kind == KeyEventKind::Press => {
                    let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
                    match key.code {
                        KeyCode::Char('c') if is_control => end_the_run(),
                        KeyCode::Char('q') | KeyCode::Esc => end_the_run(),
                        KeyCode::Char(' ') => self.turn_pause(),
                        _ => {}
                    }
                    return;
                }
                // The next picture has the new size.
                Ok(Event::Resize(..)) => return,
                Ok(_) => {}
                Err(_) => return std::thread::sleep(left),
            }
        }
    }

    fn turn_pause(&mut self) {
        self.paused = match self.paused {
            Some(_) => None,
            None => Some(self.graph.view(self.clock.now())),
        };
    }
}

/// As Ctrl-C does where the terminal is not in raw mode: the signal also wakes
/// whoever waits for packets.
fn end_the_run() {
    // A process can always signal itself.
    let _ = kill(getpid(), Signal::SIGINT);
}

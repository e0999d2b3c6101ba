//! A command that runs for a client: its output goes there as it comes, and it
//! ends with its time, with the client's wish, or with the client.
//!
//! ```text
//! runs ──exit──► drains its pipes ──► told
//!   └─time, wish, gone──► SIGTERM ──grace──► SIGKILL ──► drains ──► told
//! ```
//!
//! Both pipes are read to their ends whatever may be printed, so that no program
//! waits for us; only what fits is kept.

use std::io;
use std::sync::atomic::Ordering;
use std::time::Instant;

use nix::sys::signal::Signal;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::sync::SemaphorePermit;
use tokio::time::sleep_until;

use super::audit::{Entry, Who};
use super::process::Process;
use super::server::House;
use super::tell;
use super::visit::{Gone, STALL, Visit};
use crate::app::Stop;
use crate::error::explain;
use crate::event::Remote;
use crate::protocol::remote::allow::{Bounds, Prepared};
use crate::protocol::remote::{
    Amount, Ask, Broken, CHUNK, Ending, Heard, Outcome, Output, Reply, Why,
};

/// Nothing more is read for a client while this much waits to be sent to it.
const WAITING: usize = 4 * CHUNK;

/// A command that runs.
pub(super) struct Run<'a> {
    house: &'a House,
    number: u64,
    id: String,
    bounds: Bounds,
    process: Process,
    began: Instant,
    /// How it ended, once it has.
    ended: Option<Outcome>,
    /// Why it was made to end: the first reason.
    stopped: Option<Stopped>,
    /// Whether nobody is there any more to take what it prints.
    is_alone: bool,
    /// When the next step comes: its time is over, the grace is over.
    due: Instant,
    is_killed: bool,
    amounts: [Amount; 2],
    outbox: Vec<u8>,
    /// When something was last sent, or there was nothing to send.
    moved: Instant,
    _place: SemaphorePermit<'a>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stopped {
    /// Its time was over.
    Late,
    /// The client asked for it.
    Wished,
    /// The client is gone.
    Alone,
    /// The server stops.
    Closing,
}

impl Stopped {
    fn reason(self) -> &'static str {
        match self {
            Stopped::Late => "its time is over",
            Stopped::Wished => "the client asks for it",
            Stopped::Alone => "the client is gone",
            Stopped::Closing => "the server stops",
        }
    }
}

/// What happens while a command runs.
enum Event {
    Heard(io::Result<usize>),
    Sent(io::Result<usize>),
    Printed(Output, io::Result<usize>),
    Ended(Outcome),
    Due,
    Closing,
}

struct Buffers {
    heard: Vec<u8>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl<'a> Run<'a> {
    /// Writes down who runs what, and starts it.
    ///
    /// # Errors
    ///
    /// Why it is not run, in a sentence for the client.
    pub(super) fn begin(
        house: &'a House,
        who: &Who,
        (id, parameters): (&str, &[String]),
        prepared: &Prepared,
    ) -> Result<Self, (Why, String)> {
        let Ok(place) = house.running.try_acquire() else {
            let most = house.config.list.concurrent;
            return Err((Why::Busy, format!("{most} commands run already")));
        };
        let number = house.runs.fetch_add(1, Ordering::Relaxed) + 1;
        let written = house.config.audit.write(&Entry::Begin {
            run: number,
            who,
            id,
            parameters,
            program: prepared.program.to_string(),
            arguments: &prepared.arguments,
        });
        if let Err(error) = written {
            house.recorder.note(error);
            let reason = "the audit log cannot be written, and nothing is run without it";
            return Err((Why::Failed, reason.into()));
        }
        let began = Instant::now();
        let process = Process::start(prepared, &house.config.own).map_err(|error| {
            let reason = format!("{id} could not be started: {}", explain(&error));
            house.log(&ended_entry(number, &reason, [Amount::default(); 2], began));
            (Why::Failed, reason)
        })?;
        let id = id.to_owned();
        tell(&house.recorder, || Remote::Begun {
            run: number,
            id: id.clone(),
        });
        Ok(Self {
            house,
            number,
            id,
            bounds: prepared.bounds,
            process,
            began,
            ended: None,
            stopped: None,
            is_alone: false,
            due: began + prepared.bounds.timeout,
            is_killed: false,
            amounts: [Amount::default(); 2],
            outbox: Vec::new(),
            moved: began,
            _place: place,
        })
    }

    /// Stays with it until it has ended and the client knows.
    pub(super) async fn attend(
        mut self,
        visit: &mut Visit<'_>,
        wants_end: bool,
        stop: &Stop,
    ) -> Result<(), Gone> {
        let mut buffers = Buffers {
            heard: vec![0; 1024],
            stdout: vec![0; CHUNK],
            stderr: vec![0; CHUNK],
        };
        let mut gone = self.answer(visit, &Reply::Begun { run: self.number }).err();
        if wants_end {
            self.stop(Stopped::Wished);
        }
        if gone.is_some() {
            self.stop(Stopped::Alone);
        }
        while !self.is_over() {
            let event = self.next(visit, &mut buffers, gone.is_none(), stop).await;
            if let Err(now_gone) = self.handle(event, visit, &buffers)
                && gone.is_none()
            {
                gone = Some(now_gone);
                self.outbox.clear();
                self.stop(Stopped::Alone);
            }
        }
        self.end(visit, gone).await
    }

    /// Whether it has ended, and nothing that it printed is still in its pipes.
    fn is_over(&self) -> bool {
        let are_closed = self.process.stdout.is_none() && self.process.stderr.is_none();
        self.ended.is_some() && are_closed
    }

    async fn next(
        &mut self,
        visit: &mut Visit<'_>,
        buffers: &mut Buffers,
        is_heard: bool,
        stop: &Stop,
    ) -> Event {
        let has_room = self.outbox.len() < WAITING;
        // What is left out takes no room.
        let may_print = |amount: Amount| has_room || amount.sent >= self.bounds.output;
        let [may_out, may_err] = self.amounts.map(may_print);
        let has_ended = self.ended.is_some();
        let is_ending = has_ended || self.stopped.is_some();
        let stalled = self.moved + STALL;
        let due = if self.outbox.is_empty() {
            self.due
        } else {
            self.due.min(stalled)
        };
        let Process { stdout, stderr, .. } = &mut self.process;
        let (mut stdout, mut stderr) = (stdout.take(), stderr.take());
        let event = tokio::select! {
            count = visit.reader.read(&mut buffers.heard), if is_heard => Event::Heard(count),
            count = visit.writer.write(&self.outbox), if is_heard && !self.outbox.is_empty() => {
                Event::Sent(count)
            }
            count = print(&mut stdout, &mut buffers.stdout), if may_out => {
                Event::Printed(Output::Stdout, count)
            }
            count = print(&mut stderr, &mut buffers.stderr), if may_err => {
                Event::Printed(Output::Stderr, count)
            }
            outcome = self.process.ended(), if !has_ended => Event::Ended(outcome),
            () = sleep_until(due.into()) => Event::Due,
            () = stop.asked(), if !is_ending => Event::Closing,
        };
        self.process.stdout = stdout;
        self.process.stderr = stderr;
        event
    }

    fn handle(
        &mut self,
        event: Event,
        visit: &mut Visit<'_>,
        buffers: &Buffers,
    ) -> Result<(), Gone> {
        match event {
            Event::Heard(count) => match count? {
                0 => Err(Gone::Left),
                count => self.hear(visit, &buffers.heard[..count]),
            },
            Event::Sent(count) => {
                self.outbox.drain(..count?);
                self.moved = Instant::now();
                Ok(())
            }
            Event::Printed(output, count) => {
                // A pipe that cannot be read has nothing more.
                let count = count.unwrap_or(0);
                let bytes = match output {
                    Output::Stdout => &buffers.stdout[..count],
                    Output::Stderr => &buffers.stderr[..count],
                };
                self.print(output, bytes, visit)
            }
            Event::Ended(outcome) => {
                self.ended = Some(outcome);
                // What it left running has so long to close the pipes.
                self.due = Instant::now() + self.bounds.grace;
                Ok(())
            }
            Event::Due => self.advance(),
            Event::Closing => {
                self.stop(Stopped::Closing);
                Ok(())
            }
        }
    }

    fn hear(&mut self, visit: &mut Visit<'_>, bytes: &[u8]) -> Result<(), Gone> {
        let heard = {
            let mut seen = self.house.seen();
            visit.session.handle_bytes(bytes, &mut seen)
        }?;
        for one in heard {
            match one {
                Heard::Asked(Ask::End) => self.stop(Stopped::Wished),
                _ => return Err(Gone::Broken(Broken::Order)),
            }
        }
        Ok(())
    }

    /// Sends on what was printed, as far as it may be.
    fn print(&mut self, output: Output, bytes: &[u8], visit: &mut Visit<'_>) -> Result<(), Gone> {
        if bytes.is_empty() {
            match output {
                Output::Stdout => self.process.stdout = None,
                Output::Stderr => self.process.stderr = None,
            }
            return Ok(());
        }
        let most = self.bounds.output;
        let amount = &mut self.amounts[output as usize];
        let room = usize::try_from(most - amount.sent).unwrap_or(usize::MAX);
        let (kept, rest) = bytes.split_at(room.min(bytes.len()));
        if !rest.is_empty() && amount.left_out == 0 {
            let run = self.number;
            tell(&self.house.recorder, || Remote::Capped {
                run,
                output,
                most,
            });
        }
        amount.sent += kept.len() as u64;
        amount.left_out += rest.len() as u64;
        let is_wanted = !kept.is_empty() && !self.is_alone;
        if is_wanted {
            let bytes = kept.to_vec();
            return self.answer(visit, &Reply::Output { output, bytes });
        }
        Ok(())
    }

    fn answer(&mut self, visit: &mut Visit<'_>, reply: &Reply) -> Result<(), Gone> {
        let frame = visit.session.answer(reply)?;
        if self.outbox.is_empty() {
            self.moved = Instant::now();
        }
        self.outbox.extend(frame);
        Ok(())
    }

    /// Asks it to end, and gives it some time.
    fn stop(&mut self, why: Stopped) {
        self.is_alone |= why == Stopped::Alone;
        if self.ended.is_some() || self.stopped.is_some() {
            return;
        }
        self.process.signal(Signal::SIGTERM);
        self.due = Instant::now() + self.bounds.grace;
        let run = self.number;
        tell(&self.house.recorder, || Remote::Ending {
            run,
            reason: why.reason().into(),
        });
        self.stopped = Some(why);
    }

    /// A time has come: its own, or that of whoever does not take its output.
    fn advance(&mut self) -> Result<(), Gone> {
        let now = Instant::now();
        if now < self.due {
            return Err(Gone::Late);
        }
        if self.stopped.is_none() && self.ended.is_none() {
            self.stop(Stopped::Late);
            return Ok(());
        }
        if self.is_killed {
            // Something left the group and keeps the pipes: it is not ours any
            // more, and not waited for.
            self.process.stdout = None;
            self.process.stderr = None;
        } else {
            self.kill();
        }
        self.due = now + self.bounds.grace;
        Ok(())
    }

    fn kill(&mut self) {
        self.is_killed = true;
        self.process.signal(Signal::SIGKILL);
        let reason = match self.ended {
            Some(_) => "something that it started holds its output open",
            None => "it did not end when it was asked to",
        };
        let run = self.number;
        tell(&self.house.recorder, || Remote::Killed {
            run,
            reason: reason.into(),
        });
    }

    /// Tells everybody how it ended.
    async fn end(mut self, visit: &mut Visit<'_>, gone: Option<Gone>) -> Result<(), Gone> {
        let outcome = match (self.stopped, self.ended) {
            (Some(Stopped::Late), _) => Outcome::TimedOut,
            (Some(_), _) => Outcome::Stopped,
            (None, ended) => ended.unwrap_or(Outcome::Signalled(0)),
        };
        let took = self.began.elapsed();
        let [stdout, stderr] = self.amounts;
        let words = outcome.to_string();
        self.house
            .log(&ended_entry(self.number, &words, self.amounts, self.began));
        tell(&self.house.recorder, || Remote::Ended {
            run: self.number,
            id: self.id.clone(),
            outcome: words.clone(),
            stdout: stdout.sent,
            stderr: stderr.sent,
            left_out: stdout.left_out + stderr.left_out,
            took,
        });
        if let Some(gone) = gone {
            return Err(gone);
        }
        let ending = Ending {
            outcome,
            stdout,
            stderr,
            took,
        };
        self.answer(visit, &Reply::Ended(ending))?;
        let outbox = std::mem::take(&mut self.outbox);
        // Nothing of it is left when the client hears of its end.
        drop(self);
        match tokio::time::timeout(STALL, visit.writer.write_all(&outbox)).await {
            Ok(sent) => Ok(sent?),
            Err(_) => Err(Gone::Late),
        }
    }
}

fn ended_entry(
    run: u64,
    outcome: &str,
    [stdout, stderr]: [Amount; 2],
    began: Instant,
) -> Entry<'_> {
    Entry::End {
        run,
        outcome,
        stdout_bytes: stdout.sent,
        stderr_bytes: stderr.sent,
        left_out_bytes: stdout.left_out + stderr.left_out,
        took_ns: began.elapsed(),
    }
}

/// Reads what a program printed; never ends where there is no pipe.
async fn print(pipe: &mut Option<impl AsyncRead + Unpin>, buffer: &mut [u8]) -> io::Result<usize> {
    match pipe {
        Some(pipe) => pipe.read(buffer).await,
        None => std::future::pending().await,
    }
}

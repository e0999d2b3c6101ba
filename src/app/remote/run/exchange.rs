//! What passes between a command that runs and its client: what it prints goes
//! there as it comes, as far as it may; what the client says is heard.
//!
//! Owns no decision of when it ends: that is [`run`](super)'s.

use std::io;
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::time::sleep_until;

use super::{Run, Stopped};
use crate::app::Stop;
use crate::app::remote::process::Process;
use crate::app::remote::tell;
use crate::app::remote::visit::{Gone, STALL, Visit};
use crate::event::Remote;
use crate::protocol::remote::{Amount, Ask, Broken, CHUNK, Heard, Outcome, Output, Reply};

/// Nothing more is read for a client while this much waits to be sent to it.
const WAITING: usize = 4 * CHUNK;

/// What happens while a command runs.
pub(super) enum Event {
    Heard(io::Result<usize>),
    Sent(io::Result<usize>),
    Printed(Output, io::Result<usize>),
    Ended(Outcome),
    Due,
    Closing,
}

/// What is read, before it is somebody's.
pub(super) struct Buffers {
    heard: Vec<u8>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Buffers {
    pub(super) fn new() -> Self {
        Self {
            heard: vec![0; 1024],
            stdout: vec![0; CHUNK],
            stderr: vec![0; CHUNK],
        }
    }
}

impl Run<'_> {
    /// Waits for what happens next.
    pub(super) async fn next(
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

    pub(super) fn handle(
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

    pub(super) fn answer(&mut self, visit: &mut Visit<'_>, reply: &Reply) -> Result<(), Gone> {
        let frame = visit.session.answer(reply)?;
        if self.outbox.is_empty() {
            self.moved = Instant::now();
        }
        self.outbox.extend(frame);
        Ok(())
    }
}

/// Reads what a program printed; never ends where there is no pipe.
async fn print(pipe: &mut Option<impl AsyncRead + Unpin>, buffer: &mut [u8]) -> io::Result<usize> {
    match pipe {
        Some(pipe) => pipe.read(buffer).await,
        None => std::future::pending().await,
    }
}

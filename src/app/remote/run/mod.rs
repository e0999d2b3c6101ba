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

mod exchange;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::sync::SemaphorePermit;

use self::exchange::Buffers;
use super::audit::{Entry, Who};
use super::process::Process;
use super::server::House;
use super::tell;
use super::visit::{Gone, STALL, Visit};
use crate::app::Stop;
use crate::error::explain;
use crate::event::Remote;
use crate::protocol::remote::allow::{Bounds, Prepared};
use crate::protocol::remote::{Amount, Ending, Outcome, Reply, Why};

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

impl<'a> Run<'a> {
    /// Writes down who runs what, and starts it.
    ///
    /// # Errors
    ///
    /// Why it is not run, in a sentence for the client.
    pub(super) async fn begin(
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
        let started = Process::start(prepared, &house.config.own).await;
        let process = started.map_err(|error| {
            let reason = format!("{id} could not be started: {}", explain(&error));
            house.log(&ended_entry(
                number,
                &reason,
                [Amount::default(); 2],
                began.elapsed(),
            ));
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
        let mut buffers = Buffers::new();
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

    /// Asks it to end, and gives it some time.
    fn stop(&mut self, why: Stopped) {
        self.is_alone |= why == Stopped::Alone;
        if self.ended.is_some() || self.stopped.is_some() {
            return;
        }
        self.process.ask();
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
            // Something that cannot be killed keeps the pipes: it is not waited
            // for.
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
        self.process.kill();
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

    /// Kills whatever it started, before anybody hears that it has ended.
    async fn leave_nothing(&mut self) {
        let left = self.process.finish().await;
        let run = self.number;
        if left.killed > 0 && !self.is_killed {
            tell(&self.house.recorder, || Remote::Killed {
                run,
                reason: "something that it started runs still".into(),
            });
        }
        if left.alive > 0 {
            self.house.recorder.note(format_args!(
                "run {run}: something that it started cannot be killed, and runs still"
            ));
        }
    }

    /// Tells everybody how it ended.
    async fn end(mut self, visit: &mut Visit<'_>, gone: Option<Gone>) -> Result<(), Gone> {
        let outcome = match (self.stopped, self.ended) {
            (Some(Stopped::Late), _) => Outcome::TimedOut,
            (Some(_), _) => Outcome::Stopped,
            (None, ended) => ended.unwrap_or(Outcome::Signalled(0)),
        };
        let took = self.began.elapsed();
        self.leave_nothing().await;
        let [stdout, stderr] = self.amounts;
        let words = outcome.to_string();
        self.house
            .log(&ended_entry(self.number, &words, self.amounts, took));
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
        // Its place is free when the client hears of its end.
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
    took_ns: Duration,
) -> Entry<'_> {
    Entry::End {
        run,
        outcome,
        stdout_bytes: stdout.sent,
        stderr_bytes: stderr.sent,
        left_out_bytes: stdout.left_out + stderr.left_out,
        took_ns,
    }
}

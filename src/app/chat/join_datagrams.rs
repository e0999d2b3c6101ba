//! A member of a room over datagrams: knocks until it is let in, numbers what it
//! says, and shows what is missing of what it hears.
//!
//! Owns the socket. Sends nothing again but its knocking and its farewell.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::select;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::console::Console;
use super::host_datagrams::{BEAT, BUFFER, SILENCE};
use super::join::Joining;
use super::mailbox::{Mailbox, Place};
use crate::app::Stop;
use crate::error::{Error, Exit};
use crate::event::{Chat, Topic, What};
use crate::protocol::chat::{
    Input, LONGEST_ANSWER, Numbered, Numbering, Sequence, Ticket, Turn, clean, numbers,
};
use crate::recorder::Recorder;
use crate::socket::options::Role;

/// How often it knocks, and says goodbye.
const KNOCK: Duration = Duration::from_millis(500);
/// How long an answer to the goodbye is waited for.
const PARTING: Duration = Duration::from_secs(2);

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Passed {
    /// Messages that were sent.
    pub sent_messages: u64,
    /// Messages that came.
    pub received_messages: u64,
    /// Messages of the room that are missing.
    pub missing_messages: u64,
}

/// Takes part until one side ends.
///
/// # Errors
///
/// Nobody is there, or nobody answers within `patience`, or the room lets nobody
/// in.
pub async fn join_datagrams(
    (address, patience): (SocketAddr, Duration),
    config: &Joining,
    mut console: Console,
    stop: &Stop,
    recorder: &Recorder,
) -> Result<Passed, Error> {
    let mut guest = Guest::open("member", address, recorder)?;
    let come_in = timeout(patience, guest.knock(&console));
    let is_in = select! {
        come_in = come_in => come_in,
        () = stop.asked() => return Ok(guest.passed()),
    };
    match is_in {
        Ok(result) => result?,
        Err(_) => return Err(guest.silence(patience)),
    }
    if let Some(nick) = &config.nick {
        guest.say(&Input::Nick(nick.as_str()).to_string()).await?;
    }
    guest.converse(&mut console, stop).await?;
    Ok(guest.passed())
}

pub(super) struct Guest {
    mailbox: Mailbox,
    address: SocketAddr,
    said: Numbering,
    heard: Sequence,
    received: u64,
    buffer: Vec<u8>,
    last: Instant,
    recorder: Recorder,
}

/// What a datagram means for us.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// We are in, or still there.
    In,
    /// We must say this first.
    Asked(Ticket),
    /// We are out.
    Out,
    /// Nothing.
    None,
}

impl Guest {
    pub(super) fn open(
        name: &'static str,
        address: SocketAddr,
        recorder: &Recorder,
    ) -> Result<Self, Error> {
        let place = Place {
            address,
            name,
            options: &[],
            role: Role::Connecting,
        };
        Ok(Self {
            mailbox: Mailbox::connect(&place, recorder)?,
            address,
            said: Numbering::default(),
            heard: Sequence::default(),
            received: 0,
            buffer: vec![0; BUFFER],
            last: Instant::now(),
            recorder: recorder.clone(),
        })
    }

    /// Knocks until it is let in.
    async fn knock(&mut self, console: &Console) -> Result<(), Error> {
        let mut knocking = interval(KNOCK);
        let mut words = Numbered::Alive { last: 0 }.write();
        loop {
            select! {
                _ = knocking.tick() => self.send(&words).await?,
                received = receive(&self.mailbox, &mut self.buffer) => {
                    let count = received.map_err(|error| self.failed(error))?;
                    match self.hear(count, console) {
                        Sign::In => return Ok(()),
                        Sign::Asked(ticket) => {
                            let ticket = ticket.to_string();
                            let answer = Numbered::Plain(ticket.as_bytes()).write();
                            if words != answer {
                                words = answer;
                                knocking.reset_immediately();
                            }
                        }
                        Sign::Out => return Err(self.refused()),
                        Sign::None => {}
                    }
                }
            }
        }
    }

    async fn converse(&mut self, console: &mut Console, stop: &Stop) -> Result<(), Error> {
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            let line = select! {
                () = stop.asked() => None,
                typed = console.typed.recv() => typed,
                received = receive(&self.mailbox, &mut self.buffer) => {
                    let count = received.map_err(|error| self.failed(error))?;
                    match self.hear(count, console) {
                        Sign::Out => return Ok(()),
                        Sign::Asked(_) => return Err(self.forgotten()),
                        Sign::In | Sign::None => continue,
                    }
                }
                _ = beat.tick() => {
                    if self.last.elapsed() >= SILENCE {
                        return Err(self.silence(SILENCE));
                    }
                    let last = self.said.last();
                    self.send(&Numbered::Alive { last }.write()).await?;
                    continue;
                }
            };
            match line.as_deref().map(Input::read) {
                None | Some(Input::Leave) => return self.leave(console).await,
                Some(_) => self.say(&line.unwrap_or_default()).await?,
            }
        }
    }

    /// Says goodbye until that is answered.
    async fn leave(&mut self, console: &Console) -> Result<(), Error> {
        let number = self.said.take();
        let text = Input::Leave.to_string();
        let goodbye = Numbered::Message {
            number,
            text: text.as_bytes(),
        };
        let goodbye = goodbye.write();
        let mut saying = interval(KNOCK);
        let parting = async {
            loop {
                select! {
                    _ = saying.tick() => self.send(&goodbye).await?,
                    received = receive(&self.mailbox, &mut self.buffer) => {
                        let count = received.map_err(|error| self.failed(error))?;
                        if matches!(self.hear(count, console), Sign::Out | Sign::Asked(_)) {
                            return Ok(());
                        }
                    }
                }
            }
        };
        // A room that is gone does not answer.
        timeout(PARTING, parting).await.unwrap_or(Ok(()))
    }

    /// What is there already, shown, and what each datagram means.
    pub(super) fn hear_at_once(&mut self, console: &Console) -> Result<Vec<Sign>, Error> {
        let mut signs = Vec::new();
        loop {
            let received = self.mailbox.receive_at_once(&mut self.buffer);
            match received.map_err(|error| self.failed(error))? {
                Some(received) => signs.push(self.hear(received.bytes, console)),
                None => return Ok(signs),
            }
        }
    }

    /// The numbers that were given, and those that were heard.
    pub(super) fn numbers(&mut self) -> (&mut Numbering, Sequence) {
        (&mut self.said, self.heard)
    }

    /// Where it is.
    pub(super) fn local(&self) -> Result<SocketAddr, Error> {
        let local = self.mailbox.local();
        local.map_err(|error| Error::new("getsockname of", "a member", error))
    }

    /// What came, shown; and what it means.
    fn hear(&mut self, count: usize, console: &Console) -> Sign {
        self.last = Instant::now();
        let (text, turn, number) = match Numbered::read(&self.buffer[..count]) {
            Numbered::Plain(text) => {
                let line = clean(text);
                if let Some(ticket) = Ticket::in_answer(&line) {
                    return Sign::Asked(ticket);
                }
                self.show(&line, console);
                return if is_last(&line) {
                    Sign::Out
                } else {
                    Sign::None
                };
            }
            Numbered::Alive { last } => {
                if let Some((from, to)) = self.heard.learn(last) {
                    self.miss(from, to, console);
                }
                return Sign::In;
            }
            Numbered::Message { number, text } => (clean(text), self.heard.hear(number), number),
        };
        match turn {
            Turn::Next => {}
            Turn::After(from, to) => self.miss(from, to, console),
            Turn::Astray => {
                let number = numbers(number, number);
                console.show(&format!("* the room numbers anew: {number}"));
            }
            Turn::Late | Turn::Again => self.tell(Chat::Stray {
                member: 0,
                nick: "server".into(),
                number,
                again: turn == Turn::Again,
            }),
        }
        if turn == Turn::Again {
            return Sign::In;
        }
        self.received += 1;
        let late = if turn == Turn::Late { " (late)" } else { "" };
        self.show(&format!("{text}{late}"), console);
        if is_last(&text) { Sign::Out } else { Sign::In }
    }

    fn miss(&mut self, from: u64, to: u64, console: &Console) {
        console.show(&format!("* lost on the way here: {}", numbers(from, to)));
        self.tell(Chat::Missing {
            member: 0,
            nick: "server".into(),
            from,
            to,
        });
    }

    fn show(&self, line: &str, console: &Console) {
        if line.len() > LONGEST_ANSWER {
            let left_out = format!("* a line of {} bytes was left out", line.len());
            return self.show(&left_out, console);
        }
        console.show(line);
        self.tell(Chat::Heard { line: line.into() });
    }

    pub(super) async fn say(&mut self, line: &str) -> Result<(), Error> {
        let number = self.said.take();
        let text = line.as_bytes();
        self.send(&Numbered::Message { number, text }.write())
            .await?;
        self.tell(Chat::Sent { line: line.into() });
        Ok(())
    }

    pub(super) async fn send(&self, datagram: &[u8]) -> Result<(), Error> {
        let sent = self.mailbox.send(datagram).await;
        sent.map_err(|error| self.failed(error))
    }

    fn failed(&self, error: io::Error) -> Error {
        let is_refused = error.kind() == io::ErrorKind::ConnectionRefused;
        let error = Error::new("converse with", self.address, error);
        if is_refused {
            // The host's kernel said so by ICMP (udp(7)).
            error.remedy("the host is there, and nothing listens on this port for datagrams")
        } else {
            error
        }
    }

    fn silence(&self, patience: Duration) -> Error {
        let cause = format!("nothing heard for {patience:?}");
        Error::new("join", self.address, cause).exiting(Exit::Network)
    }

    fn refused(&self) -> Error {
        let cause = "the room did not let us in";
        Error::new("join", self.address, cause).exiting(Exit::Network)
    }

    fn forgotten(&self) -> Error {
        let cause = "the room does not know us any more";
        Error::new("converse with", self.address, cause).exiting(Exit::Network)
    }

    fn passed(&self) -> Passed {
        Passed {
            sent_messages: self.said.last(),
            received_messages: self.received,
            missing_messages: self.heard.missing(),
        }
    }

    fn tell(&self, step: Chat) {
        if self.recorder.wants(Topic::App) {
            let now = self.recorder.clock().now();
            self.recorder.record(now, What::Chat(step));
        }
    }
}

/// Whether the room says nothing after this line.
fn is_last(line: &str) -> bool {
    line == "* bye"
        || [
            "* the room closes",
            "* the room is full",
            "* you are cut off",
        ]
        .iter()
        .any(|last| line.starts_with(last))
}

async fn receive(mailbox: &Mailbox, buffer: &mut [u8]) -> io::Result<usize> {
    mailbox.receive(buffer).await.map(|received| received.bytes)
}

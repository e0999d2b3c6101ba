//! The room's host over datagrams: each line has a number for each receiver, so
//! that what is lost shows at either end.
//!
//! Who comes in has answered at the address they claim
//! ([`Tickets`]); who falls silent is gone. Owns one socket for all.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::select;
use tokio::time::{MissedTickBehavior, interval};

use super::Hosting;
use super::console::Console;
use super::mailbox::{Mailbox, Place};
use crate::address::{Admission, canonical};
use crate::app::Stop;
use crate::error::Error;
use crate::event::{Chat, Departure, Topic, What};
use crate::protocol::chat::{
    Account, LONGEST_LINE, MemberId, Numbered, Numbering, Order, Outbox, Pace, Piece, Room,
    Sequence, Splitter, Ticket, Tickets, Turn, clean, is_knock, numbers, transcript,
};
use crate::recorder::Recorder;
use crate::socket::options::Role;

/// How often each end says that it is there.
pub(super) const BEAT: Duration = Duration::from_secs(15);
/// How long after the last sign of life somebody is gone.
pub(super) const SILENCE: Duration = Duration::from_secs(60);
/// The same for members who give no signs of life.
const BARE_SILENCE: Duration = Duration::from_secs(300);
/// How often it is looked who is gone.
const GLANCE: Duration = Duration::from_secs(1);
/// Strangers who are answered a second, and at once: enough for a crowd, and too
/// few for anybody who would have us send for them.
const STRANGERS: (u32, u32) = (100, 400);
/// Room for the longest datagram (RFC 768): none is cut, so that what is too long
/// can be told by its number.
pub(super) const BUFFER: usize = 1 << 16;

/// A bound socket, and who may come in.
pub struct Post {
    mailbox: Mailbox,
    admission: Admission,
    tickets: Tickets,
}

impl Post {
    /// Binds `address`; `key` is what tickets are made with, and nobody else may
    /// know it. Must be called within a runtime.
    pub fn open(
        address: SocketAddr,
        admission: Admission,
        key: [u8; 32],
        recorder: &Recorder,
    ) -> Result<Self, Error> {
        let place = Place {
            address,
            name: "room",
            options: &[],
            role: Role::Listening,
        };
        Ok(Self {
            mailbox: Mailbox::bind(&place, recorder)?,
            admission,
            tickets: Tickets::new(key),
        })
    }

    /// Where it is.
    pub fn address(&self) -> Result<SocketAddr, Error> {
        let local = self.mailbox.local();
        local.map_err(|error| Error::new("getsockname of", "the room", error))
    }
}

/// Hosts a room until it is asked to stop, and says what happened in it.
///
/// # Errors
///
/// The socket fails for good.
pub async fn host_datagrams(
    post: Post,
    config: &Hosting,
    mut console: Console,
    stop: &Stop,
    recorder: &Recorder,
) -> Result<Account, Error> {
    let mut office = Office::new(post, config, recorder.clone());
    let mut glance = interval(GLANCE);
    glance.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut buffer = vec![0; BUFFER];
    loop {
        select! {
            () = stop.asked() => break,
            received = office.post.mailbox.receive(&mut buffer) => match received {
                Ok(received) => {
                    let bytes = &buffer[..received.bytes];
                    office.take(Instant::now(), received.from, bytes, &console).await;
                }
                // An error that a datagram of ours came back with.
                Err(error) => office.recorder.note(Error::new("receive at", "the room", error)),
            },
            line = console.next() => console.speak(&line, &mut office.room),
            _ = glance.tick() => office.look(Instant::now()).await,
        }
        office.settle(&console).await;
    }
    office.room.close(Instant::now());
    office.settle(&console).await;
    Ok(office.room.account())
}

/// The room, and who gets its lines where.
pub(super) struct Office {
    post: Post,
    room: Room,
    hosting: Hosting,
    peers: HashMap<SocketAddr, Peer>,
    addresses: HashMap<MemberId, SocketAddr>,
    come: MemberId,
    /// How fast strangers are answered.
    answers: Pace,
    recorder: Recorder,
}

struct Peer {
    id: MemberId,
    heard: Sequence,
    said: Numbering,
    /// Whether they number their messages.
    counts: bool,
    last: Instant,
    beat: Instant,
    pace: Pace,
}

impl Office {
    pub(super) fn new(post: Post, config: &Hosting, recorder: Recorder) -> Self {
        let (rate, burst) = STRANGERS;
        Self {
            post,
            answers: Pace::new(rate, burst, Instant::now()),
            room: Room::new(config.room.clone()),
            hosting: config.clone(),
            peers: HashMap::new(),
            addresses: HashMap::new(),
            come: 0,
            recorder,
        }
    }

    /// A datagram came.
    async fn take(&mut self, now: Instant, from: SocketAddr, bytes: &[u8], console: &Console) {
        if !self.post.admission.admits(canonical(from).ip()) {
            return;
        }
        let Some(peer) = self.peers.get_mut(&from) else {
            if let Some(answer) = self.meet(now, from, bytes) {
                self.send(&Numbered::Plain(answer.as_bytes()).write(), from)
                    .await;
            }
            return;
        };
        peer.last = now;
        let id = peer.id;
        // Too fast is as good as lost: the sender is told so by the number.
        if !peer.pace.take(now) {
            return;
        }
        let text = match Numbered::read(bytes) {
            // Sent again, because the greeting took its time or was lost.
            Numbered::Plain(text) if Ticket::read(&clean(text)).is_some() => {
                let last = peer.said.last();
                return self.send(&Numbered::Alive { last }.write(), from).await;
            }
            Numbered::Plain(text) => text,
            Numbered::Alive { last } => {
                peer.counts = true;
                if let Some((from, to)) = peer.heard.learn(last) {
                    self.miss(now, id, from, to);
                }
                return;
            }
            Numbered::Message { number, text } => {
                peer.counts = true;
                let turn = peer.heard.hear(number);
                self.judge(now, id, number, turn);
                if turn == Turn::Again { &[] } else { text }
            }
        };
        self.hear(now, from, text, console).await;
    }

    /// The lines of a datagram, one by one: each costs its sender what a datagram
    /// does, and is sent on before the next, so that no datagram fills anybody's
    /// outbox.
    async fn hear(&mut self, now: Instant, from: SocketAddr, text: &[u8], console: &Console) {
        for (index, piece) in pieces(now, text).into_iter().enumerate() {
            let Some(peer) = self.peers.get_mut(&from) else {
                return;
            };
            let id = peer.id;
            if index > 0 && !peer.pace.take(now) {
                let text = "too many lines at once: the rest was left out";
                return self.room.notice(now, id, text);
            }
            self.room.hear(now, id, &piece);
            self.settle(console).await;
        }
    }

    /// A datagram from somebody unknown, and the answer where there is one.
    fn meet(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) -> Option<String> {
        let ticket = self.post.tickets.of(from);
        let line = clean(bytes);
        if Ticket::read(&line) != Some(ticket) {
            let is_answered = is_knock(&line) && self.answers.take(now);
            return is_answered.then(|| ticket.asked_for());
        }
        self.come += 1;
        let id = self.come;
        if let Err(refusal) = self.room.enter(now, id, canonical(from)) {
            return Some(refusal.trim_end().to_owned());
        }
        let patience = &self.hosting.patience;
        let peer = Peer {
            id,
            heard: Sequence::default(),
            said: Numbering::default(),
            counts: false,
            last: now,
            beat: now,
            pace: Pace::new(patience.rate, patience.burst, now),
        };
        self.peers.insert(from, peer);
        self.addresses.insert(id, from);
        None
    }

    fn judge(&mut self, now: Instant, id: MemberId, number: u64, turn: Turn) {
        match turn {
            Turn::Next => {}
            Turn::After(from, to) => self.miss(now, id, from, to),
            Turn::Astray => {
                let text = format!("you number anew: {}", numbers(number, number));
                self.room.notice(now, id, &text);
            }
            Turn::Late | Turn::Again => self.tell(Chat::Stray {
                member: id,
                nick: self.room.nick(id).unwrap_or_default().to_owned(),
                number,
                again: turn == Turn::Again,
            }),
        }
    }

    fn miss(&mut self, now: Instant, id: MemberId, from: u64, to: u64) {
        let text = format!("lost on the way here: {}", numbers(from, to));
        self.room.notice(now, id, &text);
        self.tell(Chat::Missing {
            member: id,
            nick: self.room.nick(id).unwrap_or_default().to_owned(),
            from,
            to,
        });
    }

    /// Takes what is there already; how many datagrams.
    pub(super) async fn take_at_once(&mut self, console: &Console) -> io::Result<usize> {
        let mut buffer = vec![0; BUFFER];
        let mut count = 0;
        while let Some(received) = self.post.mailbox.receive_at_once(&mut buffer)? {
            let bytes = &buffer[..received.bytes];
            self.take(Instant::now(), received.from, bytes, console)
                .await;
            self.settle(console).await;
            count += 1;
        }
        Ok(count)
    }

    /// The last number that whoever is at an address was told, and what was
    /// heard of theirs.
    pub(super) fn numbers(&self, address: SocketAddr) -> Option<(u64, Sequence)> {
        let peer = self.peers.get(&address)?;
        Some((peer.said.last(), peer.heard))
    }

    /// Tells whoever counts that the room is there.
    pub(super) async fn beat(&self) {
        for (address, peer) in &self.peers {
            let last = peer.said.last();
            self.send(&Numbered::Alive { last }.write(), *address).await;
        }
    }

    /// What happened altogether.
    pub(super) fn account(&self) -> Account {
        self.room.account()
    }

    /// Who is gone, and who is to be told that the room is there.
    async fn look(&mut self, now: Instant) {
        let idle = self.hosting.patience.idle;
        let mut beats = Vec::new();
        for (address, peer) in &mut self.peers {
            let bare = idle.map_or(BARE_SILENCE, |idle| idle.min(BARE_SILENCE));
            let silence = if peer.counts { SILENCE } else { bare };
            if now.duration_since(peer.last) >= silence {
                self.room.leave(now, peer.id, Departure::Idle);
            } else if peer.counts && now.duration_since(peer.beat) >= BEAT {
                peer.beat = now;
                let last = peer.said.last();
                beats.push((Numbered::Alive { last }.write(), *address));
            }
        }
        for (beat, address) in beats {
            self.send(&beat, address).await;
        }
    }

    /// Sends what waits, and carries out what the room orders.
    async fn settle(&mut self, console: &Console) {
        loop {
            while let Some(order) = self.room.poll_order() {
                match order {
                    Order::Tell(step) => {
                        if let Some(line) = transcript(&step) {
                            console.show(&line);
                        }
                        self.tell(step);
                    }
                    Order::Close {
                        member, mut outbox, ..
                    } => {
                        if let Some(address) = self.addresses.remove(&member)
                            && let Some(mut peer) = self.peers.remove(&address)
                        {
                            let datagrams = datagrams(&mut outbox, &mut peer.said);
                            self.send_all(&datagrams, address).await;
                        }
                    }
                }
            }
            let dirty = self.room.take_dirty();
            if dirty.is_empty() {
                return;
            }
            for id in dirty {
                if let Some(address) = self.addresses.get(&id).copied()
                    && let Some(peer) = self.peers.get_mut(&address)
                    && let Some(outbox) = self.room.outbox(id)
                {
                    let datagrams = datagrams(outbox, &mut peer.said);
                    self.send_all(&datagrams, address).await;
                }
            }
        }
    }

    async fn send_all(&self, datagrams: &[Vec<u8>], address: SocketAddr) {
        for datagram in datagrams {
            self.send(datagram, address).await;
        }
    }

    /// What cannot be sent is lost, as what is lost on the way: its number says
    /// so.
    async fn send(&self, datagram: &[u8], address: SocketAddr) {
        let _ = self.post.mailbox.send_to(datagram, address).await;
    }

    fn tell(&self, step: Chat) {
        if self.recorder.wants(Topic::App) {
            let now = self.recorder.clock().now();
            self.recorder.record(now, What::Chat(step));
        }
    }
}

/// What waits, a datagram each line.
fn datagrams(outbox: &mut Outbox, numbering: &mut Numbering) -> Vec<Vec<u8>> {
    let mut datagrams = Vec::new();
    while let Some(line) = outbox.first() {
        let length = line.len();
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        let number = numbering.take();
        datagrams.push(Numbered::Message { number, text }.write());
        outbox.advance(length);
    }
    datagrams
}

/// The lines of a datagram.
fn pieces(now: Instant, text: &[u8]) -> Vec<Piece> {
    let mut splitter = Splitter::new(LONGEST_LINE);
    let mut pieces = Vec::new();
    splitter.push(now, text, |piece| pieces.push(piece));
    pieces.extend(splitter.finish());
    pieces
}

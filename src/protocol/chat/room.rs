//! The room: who is in it, what each is called, and which lines wait for whom.
//!
//! ```text
//!  enter ──► member ──hear──► lines in the others' outboxes
//!              │
//!              └─leave, or an outbox over its limit──► Order::Close
//! ```
//!
//! Sans-I/O: the caller hands over what members send, sends what waits in the
//! [`Outbox`] of each [dirty](Room::take_dirty) member, and carries out orders.

mod delivery;
mod member;
mod settings;
mod talk;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use super::clean::clean;
use super::command::Input;
use super::history::History;
use super::line::{LONGEST_LINE, Piece};
use super::nick::Nick;
use super::outbox::{OVERHEAD, Outbox};
use super::words::{HELP, counted, reason};
use crate::event::Chat;

pub use crate::event::Departure;
use delivery::shared;
use member::Member;
pub use settings::{Account, Order, Receipt, Settings};

/// A member's number in the room, from 1.
pub type MemberId = u64;

/// A room.
#[derive(Debug)]
pub struct Room {
    settings: Settings,
    members: BTreeMap<MemberId, Member>,
    by_name: HashMap<String, MemberId>,
    history: History,
    orders: VecDeque<Order>,
    dirty: Vec<MemberId>,
    account: Account,
}

impl Room {
    /// An empty room.
    pub fn new(settings: Settings) -> Self {
        Self {
            history: History::of(settings.history),
            settings,
            members: BTreeMap::new(),
            by_name: HashMap::new(),
            orders: VecDeque::new(),
            dirty: Vec::new(),
            account: Account::default(),
        }
    }

    /// Somebody comes, with a number that nobody had before.
    ///
    /// # Errors
    ///
    /// The room is full: the line that says so.
    pub fn enter(&mut self, now: Instant, id: MemberId, address: SocketAddr) -> Result<(), String> {
        if self.members.len() >= self.settings.most {
            self.account.refused += 1;
            let reason = format!("the room is full: {} are here", self.members.len());
            let line = format!("* {reason}\n");
            self.tell(Chat::Refused { address, reason });
            return Err(line);
        }
        let nick = self.guest(id);
        self.by_name.insert(nick.folded(), id);
        let others = self.members.len();
        self.tell(Chat::Joined {
            member: id,
            nick: nick.to_string(),
            address,
        });
        self.tell_all(now, &format!("* {nick} joined"), None);
        let greeting = match others {
            0 => format!("* you are {nick}; nobody else is here; /help tells the commands"),
            1 => format!("* you are {nick}; 1 other is here; /help tells the commands"),
            _ => format!("* you are {nick}; {others} others are here; /help tells the commands"),
        };
        self.members.insert(id, Member::new(nick, address, now));
        self.account.members += 1;
        self.account.most_at_once = self.account.most_at_once.max(self.members.len());
        self.replay(now, id);
        self.tell_one(now, id, &greeting);
        Ok(())
    }

    /// A member sent a line. One that is not here any more is not heard.
    pub fn hear(&mut self, now: Instant, id: MemberId, piece: &Piece) {
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        member.heard(now, piece);
        let text = match piece {
            Piece::TooLong(length) => return self.refuse_length(now, id, *length),
            Piece::Line(bytes) => clean(bytes),
        };
        // Each byte that is no UTF-8 has become three.
        if text.len() > LONGEST_LINE {
            return self.refuse_length(now, id, text.len());
        }
        match Input::read(&text) {
            Input::Nothing => {}
            Input::Say(text) => self.say(now, id, text),
            Input::Tell { to, text } => self.whisper(now, id, to, text),
            Input::Nick(name) => self.rename(now, id, name),
            Input::Who => self.who(now, id),
            Input::Help => {
                for line in HELP {
                    self.tell_one(now, id, &format!("* {line}"));
                }
            }
            Input::Leave => self.part(now, id, Departure::Exit),
            Input::Incomplete(usage) => self.deny(now, id, format!("that is written {usage}")),
            Input::Unknown(name) => {
                let reason = format!("there is no /{name}; /help tells the commands");
                self.deny(now, id, reason);
            }
        }
    }

    /// A member is gone, or must go.
    pub fn leave(&mut self, now: Instant, id: MemberId, why: Departure) {
        if self.members.contains_key(&id) {
            self.part(now, id, why);
        }
    }

    /// Something about a member's lines that the others need not know.
    pub fn notice(&mut self, now: Instant, id: MemberId, text: &str) {
        self.tell_one(now, id, &format!("* {text}"));
    }

    /// The room itself says something.
    pub fn announce(&mut self, now: Instant, text: &str) {
        let text = clean(text.as_bytes());
        let line = shared(&format!("<server> {text}"));
        let heard_by = self.spread(now, &line, None);
        self.history.push(line);
        self.account.messages += 1;
        self.tell(Chat::Said {
            member: 0,
            nick: "server".into(),
            text,
            heard_by,
        });
    }

    /// Everybody is told, and must go.
    pub fn close(&mut self, now: Instant) {
        self.tell_all(now, "* the room closes", None);
        let members: Vec<MemberId> = self.members.keys().copied().collect();
        for id in members {
            self.remove(now, id, Departure::Closed);
        }
    }

    /// The next order.
    pub fn poll_order(&mut self) -> Option<Order> {
        self.orders.pop_front()
    }

    /// The members for whom something new waits, each once; taken out.
    pub fn take_dirty(&mut self) -> Vec<MemberId> {
        let dirty = std::mem::take(&mut self.dirty);
        for id in &dirty {
            if let Some(member) = self.members.get_mut(id) {
                member.is_dirty = false;
            }
        }
        dirty
    }

    /// What waits for a member.
    pub fn outbox(&mut self, id: MemberId) -> Option<&mut Outbox> {
        self.members.get_mut(&id).map(|member| &mut member.outbox)
    }

    /// What a member is called.
    pub fn nick(&self, id: MemberId) -> Option<&str> {
        self.members.get(&id).map(|member| member.nick.as_str())
    }

    /// How many are here.
    pub fn count(&self) -> usize {
        self.members.len()
    }

    /// What happened altogether.
    pub fn account(&self) -> Account {
        self.account
    }

    /// The register, as whoever keeps the room sees it: a line each.
    pub fn register(&self, now: Instant) -> impl Iterator<Item = String> {
        let members = self.members.iter();
        members.map(move |(id, member)| member.entry(*id, now))
    }

    fn guest(&self, id: MemberId) -> Nick {
        let mut numbers = (id..).map(Nick::guest);
        let free = numbers.find(|nick| !self.by_name.contains_key(&nick.folded()));
        // Numbers do not run out.
        free.unwrap_or_else(|| Nick::guest(id))
    }

    /// The last lines, as many as leave half of the outbox free: long ones must
    /// not keep newcomers out.
    fn replay(&mut self, now: Instant, id: MemberId) {
        let mut room = self.settings.queue / 2;
        let newest = self.history.lines().rev().take_while(|line| {
            let left = room.checked_sub(line.len() + OVERHEAD);
            room = left.unwrap_or_default();
            left.is_some()
        });
        let mut lines: Vec<Arc<[u8]>> = newest.cloned().collect();
        if lines.is_empty() {
            return;
        }
        lines.reverse();
        let count = counted(lines.len() as u64, "line");
        self.tell_one(now, id, &format!("* {count} from before you came:"));
        for line in lines {
            self.put(now, id, line);
        }
    }

    /// Takes a member out, and tells the others.
    fn part(&mut self, now: Instant, id: MemberId, why: Departure) {
        let farewell = match why {
            Departure::Exit => Some("bye".to_owned()),
            Departure::Idle => Some("you are cut off: nothing came for too long".into()),
            Departure::Unfinished => Some("you are cut off: a line took too long".into()),
            _ => None,
        };
        if let Some(farewell) = farewell {
            self.notice(now, id, &farewell);
        }
        if let Some(nick) = self.remove(now, id, why) {
            let reason = reason(why);
            self.tell_all(now, &format!("* {nick} left{reason}"), None);
        }
    }

    fn remove(&mut self, now: Instant, id: MemberId, why: Departure) -> Option<Nick> {
        let mut member = self.members.remove(&id)?;
        self.by_name.remove(&member.nick.folded());
        let mut dropped_lines = 0;
        if why == Departure::TooSlow {
            self.account.too_slow += 1;
            let last = "* you are cut off: you do not read what is said";
            dropped_lines = member.outbox.replace(shared(last)) as u64;
        }
        self.orders.push_back(Order::Close {
            member: id,
            outbox: std::mem::take(&mut member.outbox),
            why,
        });
        self.tell(Chat::Left {
            member: id,
            nick: member.nick.to_string(),
            why,
            lines: member.lines,
            received: member.received,
            dropped_lines,
            stayed: now.duration_since(member.joined),
        });
        Some(member.nick)
    }

    fn tell(&mut self, step: Chat) {
        self.orders.push_back(Order::Tell(step));
    }
}

#[cfg(test)]
mod tests;

//! What a member's line does in the room: said to all, to one, a new name, a
//! question, or nothing that can be done.
//!
//! Owns the answers; lines reach outboxes by the room's delivery.

use std::time::Instant;

use super::delivery::shared;
use super::{MemberId, Receipt, Room};
use crate::event::Chat;
use crate::protocol::chat::line::LONGEST_LINE;
use crate::protocol::chat::nick::Nick;
use crate::protocol::chat::words::counted;

impl Room {
    pub(super) fn say(&mut self, now: Instant, id: MemberId, text: &str) {
        let Some(member) = self.members.get(&id) else {
            return;
        };
        let nick = member.nick.to_string();
        let line = shared(&format!("<{nick}> {text}"));
        let heard_by = self.spread(now, &line, Some(id));
        self.history.push(line);
        self.account.messages += 1;
        self.tell(Chat::Said {
            member: id,
            nick,
            text: text.to_owned(),
            heard_by,
        });
        self.receipt(now, id, text.len(), heard_by);
    }

    pub(super) fn whisper(&mut self, now: Instant, id: MemberId, to: &str, text: &str) {
        let target = Nick::new(to).ok();
        let target = target.and_then(|nick| self.by_name.get(&nick.folded()).copied());
        let (Some(target), Some(member)) = (target, self.members.get(&id)) else {
            return self.deny(now, id, format!("nobody here is called {to}"));
        };
        let nick = member.nick.to_string();
        self.tell_one(now, target, &format!("[{nick} to you] {text}"));
        self.account.whispers += 1;
        self.tell(Chat::Whispered {
            member: id,
            nick,
            to: to.to_owned(),
            bytes: text.len(),
        });
        self.receipt(now, id, text.len(), 1);
    }

    fn receipt(&mut self, now: Instant, id: MemberId, bytes: usize, heard_by: usize) {
        if self.settings.receipt == Receipt::Each {
            let bytes = counted(bytes as u64, "byte");
            let line = format!("* received {bytes}, passed on to {heard_by}");
            self.tell_one(now, id, &line);
        }
    }

    pub(super) fn rename(&mut self, now: Instant, id: MemberId, name: &str) {
        let nick = match Nick::new(name) {
            Ok(nick) => nick,
            Err(error) => return self.deny(now, id, error.to_string()),
        };
        if self
            .by_name
            .get(&nick.folded())
            .is_some_and(|other| *other != id)
        {
            return self.deny(now, id, format!("{nick} is taken"));
        }
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        if member.nick == nick {
            return self.notice(now, id, &format!("you are {nick}"));
        }
        self.by_name.remove(&member.nick.folded());
        self.by_name.insert(nick.folded(), id);
        let from = std::mem::replace(&mut member.nick, nick.clone());
        self.tell_all(now, &format!("* {from} is now {nick}"), Some(id));
        self.tell_one(now, id, &format!("* you are {nick}"));
        self.tell(Chat::Renamed {
            member: id,
            from: from.to_string(),
            to: nick.to_string(),
        });
    }

    pub(super) fn who(&mut self, now: Instant, id: MemberId) {
        /// As many as fit on a screen, and in an outbox.
        const SHOWN: usize = 50;
        let count = self.members.len();
        let verb = if count == 1 { "is" } else { "are" };
        let mut lines = vec![format!("* {count} {verb} here")];
        let members = self.members.values().take(SHOWN);
        lines.extend(members.map(|member| format!("*   {}", member.line(now))));
        if count > SHOWN {
            lines.push(format!("*   and {} more", count - SHOWN));
        }
        for line in lines {
            self.tell_one(now, id, &line);
        }
    }

    pub(super) fn refuse_length(&mut self, now: Instant, id: MemberId, length: usize) {
        let reason =
            format!("a line has at most {LONGEST_LINE} bytes; {length} were not passed on");
        self.deny(now, id, reason);
    }

    pub(super) fn deny(&mut self, now: Instant, id: MemberId, reason: String) {
        self.tell_one(now, id, &format!("* {reason}"));
        if let Some(member) = self.members.get(&id) {
            let nick = member.nick.to_string();
            self.tell(Chat::Denied {
                member: id,
                nick,
                reason,
            });
        }
    }
}

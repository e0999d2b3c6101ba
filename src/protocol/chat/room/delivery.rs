//! Lines into outboxes: to one, or to all but one. Who has no room for a line is
//! cut off, after everybody else has got it.
//!
//! A line is made once and shared by all it is for.

use std::sync::Arc;
use std::time::Instant;

use super::{Departure, MemberId, Room};

impl Room {
    pub(super) fn tell_all(&mut self, now: Instant, text: &str, except: Option<MemberId>) {
        self.spread(now, &shared(text), except);
    }

    /// A line to all but one; how many it was for. Who has no room for it is cut
    /// off, after everybody else has got it.
    pub(super) fn spread(
        &mut self,
        now: Instant,
        line: &Arc<[u8]>,
        except: Option<MemberId>,
    ) -> usize {
        let mut slow = Vec::new();
        let mut heard_by = 0;
        for (id, member) in &mut self.members {
            if Some(*id) == except {
                continue;
            }
            if !member.outbox.push(Arc::clone(line), self.settings.queue) {
                slow.push(*id);
                continue;
            }
            heard_by += 1;
            if !member.is_dirty {
                member.is_dirty = true;
                self.dirty.push(*id);
            }
        }
        self.account.deliveries += heard_by as u64;
        for id in slow {
            self.leave(now, id, Departure::TooSlow);
        }
        heard_by
    }

    pub(super) fn tell_one(&mut self, now: Instant, id: MemberId, text: &str) {
        self.put(now, id, shared(text));
    }

    pub(super) fn put(&mut self, now: Instant, id: MemberId, line: Arc<[u8]>) {
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        if !member.outbox.push(line, self.settings.queue) {
            return self.leave(now, id, Departure::TooSlow);
        }
        self.account.deliveries += 1;
        if !member.is_dirty {
            member.is_dirty = true;
            self.dirty.push(id);
        }
    }
}

/// A line as it goes out.
pub(super) fn shared(text: &str) -> Arc<[u8]> {
    let mut line = Vec::with_capacity(text.len() + 1);
    line.extend_from_slice(text.as_bytes());
    line.push(b'\n');
    line.into()
}

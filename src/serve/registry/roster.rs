//! Who is there: clients by their handles, and the sums of what they did.
//!
//! Pure: times are handed in. Of those who have left, the last few are kept, so
//! that a server that runs for a year does not remember a year.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;

use crate::units::nanoseconds;

/// A client's number: given once, from 1, and never again.
pub type Handle = u32;

/// Those who have left and are remembered.
const REMEMBERED: usize = 20;
/// Characters of a name.
const NAME: usize = 32;

/// One client, as far as the server knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Client {
    /// Its handle.
    pub handle: Handle,
    /// Its name, where it has said one or its address has one.
    pub name: Option<String>,
    /// Whether it chose that name itself.
    #[serde(skip)]
    has_chosen: bool,
    /// Where it comes from.
    pub address: SocketAddr,
    /// Whether it is there.
    pub online: bool,
    /// When it came, counted from the server's start.
    #[serde(rename = "since_ns", serialize_with = "nanoseconds")]
    pub since: Duration,
    /// How long it has been there, or was.
    #[serde(rename = "stayed_ns", serialize_with = "nanoseconds")]
    pub stayed: Duration,
    /// Bytes that it sent.
    pub bytes_in: u64,
    /// Bytes that it was sent.
    pub bytes_out: u64,
}

/// Sums over all clients that ever were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Clients that came in.
    pub joined: u64,
    /// Clients that found no room.
    pub refused: u64,
    /// Clients that have left.
    pub left: u64,
    /// Bytes that they sent.
    pub bytes_in: u64,
    /// Bytes that they were sent.
    pub bytes_out: u64,
}

/// All of them.
#[derive(Debug)]
pub struct Roster {
    most: usize,
    clients: BTreeMap<Handle, Client>,
    online: usize,
    counts: Counts,
    last: Handle,
}

impl Roster {
    /// A roster with room for `most` at once.
    pub fn new(most: usize) -> Self {
        Self {
            most,
            clients: BTreeMap::new(),
            online: 0,
            counts: Counts::default(),
            last: 0,
        }
    }

    /// Enters a client that came at `now`; `None` where there is no room.
    pub fn admit(&mut self, address: SocketAddr, now: Duration) -> Option<Handle> {
        if self.online >= self.most {
            self.counts.refused += 1;
            return None;
        }
        self.online += 1;
        self.counts.joined += 1;
        self.last += 1;
        let client = Client {
            handle: self.last,
            name: None,
            has_chosen: false,
            address,
            online: true,
            since: now,
            stayed: Duration::ZERO,
            bytes_in: 0,
            bytes_out: 0,
        };
        self.clients.insert(self.last, client);
        Some(self.last)
    }

    /// The client has gone at `now`: its account. `None` where it was not there.
    pub fn leave(&mut self, handle: Handle, now: Duration) -> Option<Client> {
        let client = self.there(handle)?;
        client.online = false;
        client.stayed = now.saturating_sub(client.since);
        let account = client.clone();
        self.online -= 1;
        self.counts.left += 1;
        if self.clients.len() - self.online > REMEMBERED {
            let mut gone = self.clients.values().filter(|client| !client.online);
            if let Some(oldest) = gone.next().map(|client| client.handle) {
                self.clients.remove(&oldest);
            }
        }
        Some(account)
    }

    /// The client sent so many bytes.
    pub fn received(&mut self, handle: Handle, bytes: usize) {
        if let Some(client) = self.there(handle) {
            client.bytes_in += bytes as u64;
            self.counts.bytes_in += bytes as u64;
        }
    }

    /// The client was sent so many bytes.
    pub fn sent(&mut self, handle: Handle, bytes: usize) {
        if let Some(client) = self.there(handle) {
            client.bytes_out += bytes as u64;
            self.counts.bytes_out += bytes as u64;
        }
    }

    /// The client says its name: what is left of it without control characters,
    /// cut to a length that fits a line. `None` where nothing is left.
    pub fn choose_name(&mut self, handle: Handle, name: &str) -> Option<String> {
        let name = presentable(name)?;
        let client = self.there(handle)?;
        client.has_chosen = true;
        client.name = Some(name.clone());
        Some(name)
    }

    /// The client's address has a name. One that it chose itself stays.
    pub fn find_name(&mut self, handle: Handle, name: &str) -> Option<String> {
        let name = presentable(name)?;
        let client = self.there(handle)?;
        if client.has_chosen {
            return None;
        }
        client.name = Some(name.clone());
        Some(name)
    }

    /// Everybody who is there, and the last of those who were, as of `now`.
    pub fn list(&self, now: Duration) -> Vec<Client> {
        let up_to_now = |client: &Client| {
            let mut client = client.clone();
            if client.online {
                client.stayed = now.saturating_sub(client.since);
            }
            client
        };
        self.clients.values().map(up_to_now).collect()
    }

    /// The handles of those who are there.
    pub fn handles(&self) -> Vec<Handle> {
        let there = self.clients.values().filter(|client| client.online);
        there.map(|client| client.handle).collect()
    }

    /// How many are there.
    pub fn online(&self) -> usize {
        self.online
    }

    /// How many there may be.
    pub fn most(&self) -> usize {
        self.most
    }

    /// The sums.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    fn there(&mut self, handle: Handle) -> Option<&mut Client> {
        self.clients.get_mut(&handle).filter(|client| client.online)
    }
}

fn presentable(name: &str) -> Option<String> {
    let letters = name.trim().chars().filter(|letter| !letter.is_control());
    let name: String = letters.take(NAME).collect();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn address() -> SocketAddr {
        ([127, 0, 0, 1], 40_000).into()
    }

    #[test]
    fn a_chosen_name_stays() {
        let mut roster = Roster::new(10);
        let handle = roster.admit(address(), Duration::ZERO).expect("room");
        assert_eq!(
            roster.find_name(handle, "localhost").as_deref(),
            Some("localhost")
        );
        assert_eq!(
            roster.choose_name(handle, " \u{1b}[31mEve\n ").as_deref(),
            Some("[31mEve")
        );
        assert_eq!(roster.find_name(handle, "localhost"), None);
        assert_eq!(roster.choose_name(handle, "\u{7}"), None);
        assert_eq!(
            roster.list(Duration::ZERO)[0].name.as_deref(),
            Some("[31mEve")
        );
    }

    #[test]
    fn who_has_left_is_remembered_for_a_while() {
        let mut roster = Roster::new(10);
        for second in 0..100 {
            let now = Duration::from_secs(second);
            let handle = roster.admit(address(), now).expect("room");
            let account = roster.leave(handle, now + Duration::from_millis(5));
            assert_eq!(
                account.expect("it was there").stayed,
                Duration::from_millis(5)
            );
        }
        let list = roster.list(Duration::from_secs(200));
        assert_eq!(list.len(), REMEMBERED);
        assert_eq!(list.last().map(|client| client.handle), Some(100));
        assert!(list.iter().all(|client| !client.online));
        assert_eq!(roster.counts().left, 100);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Admit,
        Leave(Handle),
        Receive(Handle, usize),
        Send(Handle, usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            Just(Step::Admit),
            (0_u32..40).prop_map(Step::Leave),
            (0_u32..40, 0_usize..1000).prop_map(|(handle, bytes)| Step::Receive(handle, bytes)),
            (0_u32..40, 0_usize..1000).prop_map(|(handle, bytes)| Step::Send(handle, bytes)),
        ]
    }

    proptest! {
        /// Whatever happens: never more than there is room for, no handle twice,
        /// and the sums are those of the clients.
        #[test]
        fn the_books_balance(steps in prop::collection::vec(step(), 0..200), most in 1_usize..6) {
            let mut roster = Roster::new(most);
            let mut seen = HashSet::new();
            let (mut bytes_in, mut bytes_out) = (0, 0);
            for (second, step) in steps.into_iter().enumerate() {
                let now = Duration::from_secs(second as u64);
                let there = roster.handles();
                match step {
                    Step::Admit => {
                        let admitted = roster.admit(address(), now);
                        prop_assert_eq!(admitted.is_none(), there.len() == most);
                        prop_assert!(admitted.is_none_or(|handle| seen.insert(handle)));
                    }
                    Step::Leave(handle) => {
                        let left = roster.leave(handle, now);
                        prop_assert_eq!(left.is_some(), there.contains(&handle));
                    }
                    Step::Receive(handle, bytes) => {
                        roster.received(handle, bytes);
                        bytes_in += if there.contains(&handle) { bytes as u64 } else { 0 };
                    }
                    Step::Send(handle, bytes) => {
                        roster.sent(handle, bytes);
                        bytes_out += if there.contains(&handle) { bytes as u64 } else { 0 };
                    }
                }
                let counts = roster.counts();
                prop_assert!(roster.online() <= most);
                prop_assert_eq!(roster.online(), roster.handles().len());
                prop_assert_eq!(counts.joined - counts.left, roster.online() as u64);
                prop_assert_eq!((counts.bytes_in, counts.bytes_out), (bytes_in, bytes_out));
            }
        }
    }
}

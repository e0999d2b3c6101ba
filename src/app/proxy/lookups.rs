//! Turns at the resolver, which has a thread for each look-up while it lasts.
//!
//! Owns how many there are, and each client's share of them, so that one client's
//! slow names keep nobody else waiting; looks up nothing itself.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

/// Look-ups at the same time.
const ALL: usize = 64;
/// Of one client's.
const SHARE: usize = 8;

/// Whose turn it is.
pub(super) struct Lookups {
    all: Semaphore,
    shares: Mutex<HashMap<IpAddr, Arc<Semaphore>>>,
}

/// A turn, for as long as it is held.
pub(super) struct Turn<'a> {
    _all: Option<SemaphorePermit<'a>>,
    _share: Option<Share<'a>>,
}

/// A client's place among its own look-ups.
struct Share<'a> {
    owner: &'a Lookups,
    client: IpAddr,
    own: Option<Arc<Semaphore>>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Lookups {
    pub(super) fn new() -> Self {
        Self {
            all: Semaphore::new(ALL),
            shares: Mutex::default(),
        }
    }

    /// The next turn of this client's; of the proxy's own where there is none.
    pub(super) async fn turn(&self, client: Option<IpAddr>) -> Turn<'_> {
        let share = match client {
            Some(client) => Some(self.share(client).await),
            None => None,
        };
        // It is never closed.
        let all = self.all.acquire().await.ok();
        Turn {
            _all: all,
            _share: share,
        }
    }

    async fn share(&self, client: IpAddr) -> Share<'_> {
        let client = network(client);
        let fresh = || Arc::new(Semaphore::new(SHARE));
        let own = Arc::clone(self.shares().entry(client).or_insert_with(fresh));
        // Made first: whoever gives up waiting leaves nothing behind.
        let mut share = Share {
            owner: self,
            client,
            own: Some(Arc::clone(&own)),
            permit: None,
        };
        share.permit = own.acquire_owned().await.ok();
        share
    }

    fn shares(&self) -> MutexGuard<'_, HashMap<IpAddr, Arc<Semaphore>>> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        let mut shares = self.owner.shares();
        self.permit = None;
        self.own = None;
        let is_last = |own: &Arc<Semaphore>| Arc::strong_count(own) == 1;
        if shares.get(&self.client).is_some_and(is_last) {
            shares.remove(&self.client);
        }
    }
}

/// What stands for a client: of IPv6, the network of which it may choose any
/// address (RFC 4291 section 2.5.1).
fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{Future, poll_fn};
    use std::pin::pin;
    use std::task::Poll;

    /// What comes at once; none where it has to wait.
    async fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
        let mut future = pin!(future);
        poll_fn(|context| {
            Poll::Ready(match future.as_mut().poll(context) {
                Poll::Ready(value) => Some(value),
                Poll::Pending => None,
            })
        })
        .await
    }

    #[tokio::test]
    async fn who_has_its_share_waits_for_itself_and_nobody_else_for_it() {
        let lookups = Lookups::new();
        let slow = Some("2001:db8::1".parse().expect("an address"));
        let near = Some("2001:db8::2".parse().expect("an address"));
        let other = Some("2001:db8:0:1::1".parse().expect("an address"));
        let mut turns = Vec::new();
        for _ in 0..SHARE {
            turns.push(at_once(lookups.turn(slow)).await.expect("its share"));
        }
        assert!(at_once(lookups.turn(slow)).await.is_none());
        assert!(
            at_once(lookups.turn(near)).await.is_none(),
            "the same network"
        );
        assert!(at_once(lookups.turn(other)).await.is_some());
        assert!(
            at_once(lookups.turn(None)).await.is_some(),
            "the proxy's own"
        );
        turns.pop();
        assert!(at_once(lookups.turn(near)).await.is_some());
        turns.clear();
        assert!(lookups.shares().is_empty(), "nobody is remembered");
    }

    #[tokio::test]
    async fn all_together_have_no_more_than_there_are() {
        let lookups = Lookups::new();
        let clients = (0..).map(|last| Some(IpAddr::from([192, 0, 2, last])));
        let mut turns = Vec::new();
        for client in clients.take(ALL) {
            turns.push(at_once(lookups.turn(client)).await.expect("a turn"));
        }
        assert!(at_once(lookups.turn(None)).await.is_none());
    }
}

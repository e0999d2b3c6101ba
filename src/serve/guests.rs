//! The clients that blocking threads are talking with, so that somebody else can
//! end their conversations: a thread inside read(2) hears no flag, but
//! shutdown(2) on its socket makes the read return the end of the stream.

use std::collections::HashMap;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

/// Who is there.
#[derive(Default)]
pub(super) struct Guests {
    seats: Mutex<Seats>,
    left: Condvar,
}

#[derive(Default)]
struct Seats {
    next: u64,
    taken: HashMap<u64, Weak<TcpStream>>,
    /// Nobody stays any more.
    is_closing: bool,
}

/// One client's place; leaving it is dropping it.
pub(super) struct Seat<'a> {
    guests: &'a Guests,
    number: u64,
}

impl Guests {
    /// A place for a client.
    pub(super) fn seat(&self, client: &Arc<TcpStream>) -> Seat<'_> {
        let mut seats = self.seats();
        let number = seats.next;
        seats.next += 1;
        seats.taken.insert(number, Arc::downgrade(client));
        if seats.is_closing {
            shut([client], Shutdown::Read);
        }
        Seat {
            guests: self,
            number,
        }
    }

    /// How many are there.
    pub(super) fn count(&self) -> usize {
        self.seats().taken.len()
    }

    /// Waits until fewer than `most` are there, but no longer than `patience`.
    pub(super) fn await_fewer_than(&self, most: usize, patience: Duration) {
        let seats = self.seats();
        let is_full = |seats: &mut Seats| seats.taken.len() >= most;
        // Whether it came to that, the caller asks again.
        let _ = self.left.wait_timeout_while(seats, patience, is_full);
    }

    /// Ends every conversation: no more is read, what is owed may still be sent
    /// for as long as `patience`.
    pub(super) fn see_off(&self, patience: Duration) {
        self.seats().is_closing = true;
        self.shut_all(Shutdown::Read);
        self.await_fewer_than(1, patience);
        self.shut_all(Shutdown::Both);
    }

    fn shut_all(&self, how: Shutdown) {
        let seats = self.seats();
        let clients: Vec<_> = seats.taken.values().filter_map(Weak::upgrade).collect();
        shut(&clients, how);
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn shut<'a>(clients: impl IntoIterator<Item = &'a Arc<TcpStream>>, how: Shutdown) {
    for client in clients {
        // One that is gone already needs no ending.
        let _ = client.shutdown(how);
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.guests.seats().taken.remove(&self.number);
        self.guests.left.notify_all();
    }
}

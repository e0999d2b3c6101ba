//! A thread for each client: the conversation is written as if there were no
//! other, and the kernel's scheduler turns from one to the next.
//!
//! Each client costs a stack and a place in the scheduler, and each of its
//! messages a switch to its thread.

use std::net::TcpStream;
use std::sync::Arc;
use std::thread::{Builder, Scope};

use crate::error::Error;
use crate::serve::conversation::converse;
use crate::serve::door::{Arrival, Door, PAUSE};
use crate::serve::guests::{Guests, Seat};
use crate::serve::tale::Witness;

/// Address space for a thread's stack, of which only the pages it touches become
/// memory. The default would be 2 MiB.
const STACK: usize = 64 << 10;

pub(super) fn serve(door: &Door<'_>) -> Result<(), Error> {
    let guests = Guests::default();
    std::thread::scope(|scope| {
        let served = receive(door, &guests, scope);
        guests.see_off(door.terms.patience);
        served
    })
}

fn receive<'scope>(
    door: &'scope Door<'_>,
    guests: &'scope Guests,
    scope: &'scope Scope<'scope, '_>,
) -> Result<(), Error> {
    while let Some(Arrival { client, tale, .. }) = door.next()? {
        let client = Arc::new(client);
        // Taken here and not by the thread, which may begin later: the next
        // client is counted after this one.
        let seat = guests.seat(&client);
        let thread = Builder::new().stack_size(STACK);
        let spawned = thread.spawn_scoped(scope, move || talk(door, seat, (&client, tale)));
        if let Err(error) = spawned {
            // The kernel gives no more threads: this client is closed.
            door.terms.journal.exhausted(&error);
        }
        while guests.count() >= door.terms.most && !door.terms.stop.is_asked() {
            guests.await_fewer_than(door.terms.most, PAUSE);
        }
    }
    Ok(())
}

pub(super) fn talk(door: &Door<'_>, seat: Seat<'_>, client: (&TcpStream, Witness)) {
    // How one conversation failed is no matter of another's.
    let _ = converse(client, door.terms, || Ok(true));
    drop(seat);
}

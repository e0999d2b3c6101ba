//! A fixed number of threads, started beforehand: each accepts a client, talks
//! with it to the end, and accepts the next.
//!
//! The server can never be overrun, and as many clients as it has threads can
//! keep all others out by staying. All threads wait at one door, so each client
//! wakes all that are free, and all but one find nobody.

use std::sync::Arc;
use std::thread::Builder;

use super::thread::talk;
use crate::error::Error;
use crate::serve::door::{Arrival, Door};
use crate::serve::guests::Guests;

pub(super) fn serve(door: &Door<'_>) -> Result<(), Error> {
    let guests = Guests::default();
    std::thread::scope(|scope| {
        let begin = |_| Builder::new().spawn_scoped(scope, || work(door, &guests));
        let threads: Result<Vec<_>, _> = (0..door.terms.workers).map(begin).collect();
        // Those that began end with the stop, whatever became of the others.
        if threads.is_err() {
            door.terms.stop.ask();
        }
        let waited = door.wait_for_stop();
        guests.see_off(door.terms.patience);
        let threads = threads.map_err(|error| Error::new("start", "a worker", error))?;
        let results = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
        waited.and(results.filter_map(Result::ok).collect())
    })
}

fn work(door: &Door<'_>, guests: &Guests) -> Result<(), Error> {
    loop {
        match door.next() {
            Ok(Some(Arrival { client, tale, .. })) => {
                let client = Arc::new(client);
                talk(door, guests.seat(&client), (&client, tale));
            }
            Ok(None) => return Ok(()),
            Err(error) => {
                // What is wrong with the door is so for all of them.
                door.terms.stop.ask();
                return Err(error);
            }
        }
    }
}

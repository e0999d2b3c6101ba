//! Several epoll loops, each with a listener of its own on the same port
//! (`SO_REUSEPORT`, socket(7)): the kernel gives each connection to one of them
//! by a hash of its addresses and ports.
//!
//! Nothing is shared, not even a queue, so the loops never wait for each other.
//! The hash is blind: one loop may have many clients while another has none.

use std::thread::Builder;

use super::epoll::Loop;
use crate::error::Error;
use crate::serve::door::Door;

pub(super) fn serve(doors: &[Door<'_>]) -> Result<(), Error> {
    // All are there before the first takes a client's descriptor.
    let loops = doors
        .iter()
        .map(Loop::open)
        .collect::<Result<Vec<_>, _>>()?;
    std::thread::scope(|scope| {
        let turn = |own: Loop, door: &Door<'_>| {
            let result = own.run(door);
            // What ends one loop ends all.
            door.terms.stop.ask();
            result
        };
        let begin = |(own, door)| Builder::new().spawn_scoped(scope, move || turn(own, door));
        let threads: Result<Vec<_>, _> = loops.into_iter().zip(doors).map(begin).collect();
        // Those that began end with the stop, whatever became of the others.
        if threads.is_err() {
            for door in doors {
                door.terms.stop.ask();
            }
        }
        let threads = threads.map_err(|error| Error::new("start", "a worker", error))?;
        let results = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
        results.filter_map(Result::ok).collect()
    })
}

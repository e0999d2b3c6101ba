//! Several epoll loops, each with a listener of its own on the same port
//! (`SO_REUSEPORT`, socket(7)): the kernel gives each connection to one of them
//! by a hash of its addresses and ports.
//!
//! Nothing is shared, not even a queue, so the loops never wait for each other.
//! The hash is blind: one loop may have many clients while another has none.

use std::net::TcpListener;
use std::thread::Builder;

use super::{Model, Served, Terms, epoll};
use crate::error::Error;
use crate::serve::bind;
use crate::serve::door::Door;

pub(super) fn serve(listener: &TcpListener, terms: &Terms<'_>) -> Result<Served, Error> {
    let failed = |error| Error::new("listen with", "SO_REUSEPORT", error);
    let address = listener.local_addr().map_err(failed)?;
    let others = (1..terms.workers).map(|_| bind(address, Model::Reuseport));
    let others: Vec<TcpListener> = others.collect::<Result<_, _>>()?;
    let listeners = std::iter::once(listener).chain(&others);
    let doors: Vec<Door<'_>> = listeners.map(|own| Door::new(own, terms)).collect();
    std::thread::scope(|scope| {
        let begin = |door| Builder::new().spawn_scoped(scope, move || epoll::serve(door));
        let threads: Result<Vec<_>, _> = doors.iter().map(begin).collect();
        // Those that began end with the stop, whatever became of the others.
        if threads.is_err() {
            terms.stop.ask();
        }
        let threads = threads.map_err(|error| Error::new("start", "a worker", error))?;
        let results = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
        results.filter_map(Result::ok).collect::<Result<(), _>>()
    })?;
    Ok(Served {
        accepted: doors.iter().map(Door::accepted).collect(),
    })
}

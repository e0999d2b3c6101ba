//! Reaching a server at one of several addresses (connect(2), RFC 8305), and
//! asking for those addresses, without holding up any other task.
//!
//! The attempts are [`tcp::connect`](crate::tcp::connect)'s; here is only how
//! they are waited for.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use tokio::io::unix::AsyncFd;
use tokio::time::timeout_at;

use super::{Connect, Connection, watch};
use crate::address::{self, Endpoint, Question};
use crate::error::Error;
use crate::recorder::Recorder;
use crate::socket::Stream;
use crate::tcp::connect::{Opens, Race};

/// Connects. Whoever wants to stop before drops the future; `config.stop` is
/// not looked at.
///
/// # Errors
///
/// No address could be reached, or the source address or an option cannot be
/// had.
pub async fn connect(config: &Connect, recorder: &Recorder) -> Result<Connection, Error> {
    let failed = |error: io::Error| Error::new("wait for", &config.endpoint, error);
    let mut race = Race::begin(config, recorder, Opens::Nonblocking)?;
    let mut watched: Vec<AsyncFd<Arc<Stream>>> = Vec::new();
    loop {
        let due = race.advance(Instant::now())?;
        for socket in race.sockets().skip(watched.len()) {
            watched.push(watch::connection(Arc::clone(socket)).map_err(failed)?);
        }
        if let Some(index) = race.connected_at_once() {
            let won = race.win(index)?;
            let io = watched.remove(index);
            return Ok(Connection::watched(io, Some(won.local), won.remote));
        }
        let ended = poll_fn(|context| {
            let mut attempts = watched.iter();
            match attempts.position(|attempt| attempt.poll_write_ready(context).is_ready()) {
                Some(index) => Poll::Ready(index),
                None => Poll::Pending,
            }
        });
        let ended = match due {
            Some(due) => timeout_at(due.into(), ended).await.ok(),
            None => Some(ended.await),
        };
        let Some(index) = ended else { continue };
        // Watched on as the connection's, where it is one.
        let io = watched.remove(index);
        if let Some(won) = race.conclude(index)? {
            return Ok(Connection::watched(io, Some(won.local), won.remote));
        }
    }
}

/// The addresses of `endpoint`, asked for on a thread of its own.
pub async fn resolve(endpoint: Endpoint, question: Question) -> Result<Vec<SocketAddr>, Error> {
    let host = endpoint.host.clone().unwrap_or_default();
    let asked = tokio::task::spawn_blocking(move || address::resolve(&endpoint, question)).await;
    asked.unwrap_or_else(|gone| Err(Error::new("look up", host, gone.to_string())))
}

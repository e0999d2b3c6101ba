//! Two programs of a scripted scene, each on its own host of a
//! [`Stage`]: what is opened by the one belongs to
//! the server's namespace, what by the other to the client's.
//!
//! Owns no script: those are the applications'.

use std::future::Future;
use std::panic::resume_unwind;
use std::thread;

use crate::app::runtime;
use crate::error::Error;
use crate::recorder::Recorder;
use crate::stage::{Seat, Stage};

/// Runs both to their ends, at the same time.
///
/// # Errors
///
/// A runtime cannot be started; or the server's error, or the client's.
pub fn on_both<A, B, S, C>(
    stage: &Stage,
    server: impl FnOnce(Recorder) -> S + Send + 'static,
    client: impl FnOnce(Recorder) -> C + Send + 'static,
) -> Result<(A, B), Error>
where
    A: Send + 'static,
    B: Send + 'static,
    S: Future<Output = Result<A, Error>>,
    C: Future<Output = Result<B, Error>>,
{
    let (server_seat, client_seat) = (stage.server(), stage.client());
    thread::scope(|scope| {
        let serving = scope.spawn(move || run(server_seat, server));
        let asking = scope.spawn(move || run(client_seat, client));
        let answered = serving.join().unwrap_or_else(|panic| resume_unwind(panic));
        let asked = asking.join().unwrap_or_else(|panic| resume_unwind(panic));
        Ok((answered?, asked?))
    })
}

fn run<T, F>(
    seat: Seat<'_>,
    program: impl FnOnce(Recorder) -> F + Send + 'static,
) -> Result<T, Error>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Error>>,
{
    let recorder = seat.recorder().clone();
    seat.run(move || runtime(0)?.block_on(program(recorder)))
}

//! A task for each client: written like a thread, run like a loop. At each
//! `await` the task gives its thread back, and the runtime (tokio) goes on with
//! another whose socket epoll(7) found ready.
//!
//! A client costs what its task must remember across an `await`, which is why
//! the buffer is small.

use std::io;
use std::time::SystemTime;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::runtime;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::error::Error;
use crate::serve::Session;
use crate::serve::door::{Door, Knock, PAUSE};
use crate::serve::tale::{Tale, Witness};

/// Bytes of a task's buffer.
const BLOCK: usize = 1024;

pub(super) fn serve(door: &Door<'_>) -> Result<(), Error> {
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(door.terms.workers)
        .enable_all()
        .build()
        .map_err(|error| Error::new("start", "the runtime", error))?;
    runtime.block_on(receive(door))
}

async fn receive(door: &Door<'_>) -> Result<(), Error> {
    let failed = |error| door.failure("epoll", error);
    let listener = door.listener.try_clone().and_then(TcpListener::from_std);
    let listener = listener.map_err(failed)?;
    let stop = door.terms.stop.ear().and_then(UnixStream::from_std);
    let stop = stop.map_err(failed)?;
    let (end, ending) = watch::channel(false);
    let mut tasks = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            _ = stop.readable() => break,
            Some(_) = tasks.join_next() => continue,
            accepted = listener.accept(), if tasks.len() < door.terms.most => accepted,
        };
        match door.judge(|| accepted)? {
            Knock::Client(arrival) => {
                let session = door.terms.service.begin(SystemTime::now());
                let client = (arrival.client, arrival.tale);
                tasks.spawn(converse(client, session, ending.clone()));
            }
            Knock::Nobody | Knock::Gone => {}
            Knock::Full => tokio::time::sleep(PAUSE).await,
        }
    }
    drop(listener);
    // Whoever heard it ends; who does not take its last bytes is cut off when
    // the tasks are dropped.
    end.send_replace(true);
    let all = async { while tasks.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(door.terms.patience, all).await;
    Ok(())
}

async fn converse(
    (mut client, mut tale): (TcpStream, Witness),
    mut session: Session,
    mut ending: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut buffer = [0; BLOCK];
    loop {
        while !session.poll_output().is_empty() {
            let written = client.write(session.poll_output()).await;
            let count = written.inspect_err(|error| failed(tale.as_deref(), error))?;
            if let Some(tale) = &mut tale {
                tale.said(&session.poll_output()[..count]);
            }
            session.handle_sent(count);
            if *ending.borrow() {
                session.handle_end();
            }
        }
        if session.is_over() {
            // What has arrived unread would make close(2) send a reset.
            while matches!(client.try_read(&mut buffer), Ok(1..)) {}
            return Ok(());
        }
        let count = tokio::select! {
            count = client.read(&mut buffer) => {
                let count = count.inspect_err(|error| failed(tale.as_deref(), error))?;
                if let Some(tale) = &mut tale {
                    tale.heard(&buffer[..count]);
                }
                count
            }
            _ = ending.wait_for(|is_ending| *is_ending) => 0,
        };
        match count {
            0 => session.handle_end(),
            count => session.handle_data(&buffer[..count]),
        }
    }
}

fn failed(tale: Option<&Tale>, error: &io::Error) {
    if let Some(tale) = tale {
        tale.failed(error);
    }
}

//! The handshake with a client, and leaving it with last words.
//!
//! Owns how bytes are moved for it; what they mean is
//! [`Handshake`]'s.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::app::net::Connection;
use crate::protocol::proxy::handshake::{Handshake, Refusal, Step};
use crate::protocol::proxy::{Method, Request, Users};

/// How a handshake ended.
pub(super) enum Greeted {
    /// The client wants this, and sent that already.
    Asked(Request, Vec<u8>),
    /// It was refused, with this code where there was any.
    Refused(Option<(Method, Option<u16>)>, Refusal),
    /// It left before.
    Left,
}

/// Bytes of a handshake that are read at once.
const PIECE: usize = 1024;

/// Goes through the handshake.
pub(super) async fn greet(
    client: &mut Connection,
    users: Option<Arc<Users>>,
) -> io::Result<Greeted> {
    let mut handshake = Handshake::new(users);
    let mut piece = vec![0; PIECE];
    loop {
        match handshake.poll() {
            Step::Wait => match client.read(&mut piece).await? {
                0 => return Ok(Greeted::Left),
                count => handshake.handle_bytes(&piece[..count]),
            },
            Step::Say(bytes) => client.write_all(&bytes).await?,
            Step::Asked(request) => return Ok(Greeted::Asked(request, handshake.into_rest())),
            Step::Refused { method, say, why } => {
                client.write_all(&say).await?;
                let spoken = method.map(|method| (method, method.code_in(&say)));
                return Ok(Greeted::Refused(spoken, why));
            }
        }
    }
}

/// Ends a connection so that the last words arrive: closing one with unread
/// bytes resets it, and a reset overtakes them.
pub(super) async fn part(mut client: Connection) {
    const PATIENCE: Duration = Duration::from_secs(1);
    const MOST: usize = 64;
    if client.shutdown().await.is_err() {
        return;
    }
    let mut piece = vec![0; PIECE];
    let drained = async {
        for _ in 0..MOST {
            match client.read(&mut piece).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
    };
    // Who has not left by then is left.
    let _ = timeout(PATIENCE, drained).await;
}

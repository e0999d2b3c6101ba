//! How a connection ends: what waits is sent as far as it goes, then the FIN, and
//! the last line arrives because what the peer still sends is read.
//!
//! Bounded in time: who takes nothing is reset.

use std::io;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::app::net::Writer;
use crate::event::{Departure, Told};
use crate::protocol::chat::Outbox;

/// How long the last lines may take.
const SENDING: Duration = Duration::from_secs(5);
/// How long the peer may take to end its side.
const ENDING: Duration = Duration::from_secs(2);

/// Ends a connection whose reading half is `reading`'s.
pub(super) async fn farewell(
    mut writer: Writer,
    outbox: Outbox,
    why: Departure,
    mut reading: JoinHandle<()>,
) {
    if !matches!(why, Departure::Reset | Departure::Failed) {
        let mut rest = Vec::new();
        outbox.gather(&mut rest, usize::MAX);
        match timeout(SENDING, last_words(&mut writer, &rest)).await {
            Ok(Ok(())) => {
                // It ends with the peer's FIN, or not.
                let _ = timeout(ENDING, &mut reading).await;
            }
            _ => {
                // What the kernel holds for it is thrown away.
                let _ = writer.reset_on_close();
            }
        }
    }
    reading.abort();
    writer.tell(|| Told::Over(Box::new(writer.figures())));
}

async fn last_words(writer: &mut Writer, rest: &[u8]) -> io::Result<()> {
    writer.write_all(rest).await?;
    writer.shutdown().await
}

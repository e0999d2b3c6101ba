//! One member's lines from their connection to the room, no faster than the pace
//! allows, and an eye on the time.
//!
//! Owns the reading half. Keeps no bytes but the line that is not yet whole.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::mpsc::Sender;
use tokio::time::{sleep, timeout_at};

use crate::app::net::Reader;
use crate::event::Departure;
use crate::protocol::chat::{LONGEST_LINE, MemberId, Pace, Piece, Splitter};

/// How long, and how fast.
#[derive(Debug, Clone)]
pub struct Patience {
    /// How long a member may do nothing.
    pub idle: Option<Duration>,
    /// How long a line may take from its first byte to its end.
    pub line: Duration,
    /// Lines a second in the long run; 0 is no limit.
    pub rate: u32,
    /// Lines at once.
    pub burst: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            idle: Some(Duration::from_secs(3600)),
            line: Duration::from_secs(60),
            rate: 50,
            burst: 200,
        }
    }
}

/// What a member's connection brings.
pub(super) enum News {
    /// A line.
    Line(MemberId, Piece),
    /// Nothing more.
    Gone(MemberId, Departure),
}

/// Bytes that are read at once.
const CHUNK: usize = 4096;

/// Reads until there is nothing more to read, or nobody who wants it.
pub(super) async fn read(
    mut reader: Reader,
    id: MemberId,
    news: Sender<News>,
    patience: &Patience,
) {
    let why = lines(&mut reader, id, &news, patience).await;
    if let Some(why) = why
        && news.send(News::Gone(id, why)).await.is_ok()
        && matches!(why, Departure::Idle | Departure::Unfinished)
    {
        // The last line would not arrive if bytes were left unread (RFC 2525
        // section 2.17); whoever closes ends this task.
        discard(&mut reader).await;
    }
}

/// Reads what nobody wants, to its end.
pub(super) async fn discard(reader: &mut Reader) {
    while let Ok(1..) = chunk(reader, |_| {}).await {}
}

async fn lines(
    reader: &mut Reader,
    id: MemberId,
    news: &Sender<News>,
    patience: &Patience,
) -> Option<Departure> {
    let mut splitter = Splitter::new(LONGEST_LINE);
    let mut pace = Pace::new(patience.rate, patience.burst, Instant::now());
    let mut last = Instant::now();
    // Bytes since the last end of a line.
    let mut endless = 0;
    loop {
        let partial = splitter.partial_since().map(|since| since + patience.line);
        let idle = patience.idle.map(|idle| last + idle);
        let mut bytes = Vec::new();
        let received = chunk(reader, |chunk| bytes.extend_from_slice(chunk));
        let received = match [partial, idle].into_iter().flatten().min() {
            None => received.await,
            Some(deadline) => match timeout_at(deadline.into(), received).await {
                Ok(received) => received,
                Err(_) if partial == Some(deadline) => return Some(Departure::Unfinished),
                Err(_) => return Some(Departure::Idle),
            },
        };
        match received {
            Ok(0) => {
                if let Some(piece) = splitter.finish() {
                    news.send(News::Line(id, piece)).await.ok()?;
                }
                return Some(Departure::Ended);
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                return Some(Departure::Reset);
            }
            Err(_) => return Some(Departure::Failed),
        }
        last = Instant::now();
        // Line by line: what waits for its turn are bytes, and no more of them
        // than were read.
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let mut piece = None;
            splitter.push(Instant::now(), part, |line| piece = Some(line));
            endless += part.len();
            match piece {
                // Where nobody takes it any more, the room is closed.
                Some(piece) => news.send(News::Line(id, piece)).await.ok()?,
                // What is no line at all costs its reader time too.
                None if endless < CHUNK => continue,
                None => {}
            }
            endless = 0;
            let wait = pace.spend(Instant::now());
            if !wait.is_zero() {
                sleep(wait).await;
            }
        }
    }
}

/// Reads once, into memory that is held no longer than the call: a member who
/// says nothing costs no buffer.
async fn chunk(reader: &mut Reader, mut take: impl FnMut(&[u8])) -> io::Result<usize> {
    poll_fn(|context| {
        let mut bytes = [0; CHUNK];
        let mut buffer = ReadBuf::new(&mut bytes);
        ready!(Pin::new(&mut *reader).poll_read(context, &mut buffer))?;
        take(buffer.filled());
        Poll::Ready(Ok(buffer.filled().len()))
    })
    .await
}

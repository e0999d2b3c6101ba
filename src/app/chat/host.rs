//! The room's host over a stream: everybody's lines in, everybody's lines out.
//!
//! ```text
//!  door ─► accepting ─┐                      ┌─► member's socket, at once
//!  member's reading ──┼─► the room's one task┤
//!  console ───────────┘                      └─► when it has room again
//! ```
//!
//! One task owns the room and writes to every socket that takes it; a socket
//! that does not is tried again when the kernel says so, and delays nobody.

use std::collections::{BTreeSet, HashMap};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::AsyncWrite;
use tokio::select;
use tokio::sync::mpsc;
use tokio::task::coop::unconstrained;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use super::console::Console;
use super::farewell::farewell;
use super::reading::{News, discard, read};
use crate::app::Stop;
use crate::app::net::{Connection, Door, Writer};
use crate::event::{Departure, Topic, What};
use crate::protocol::chat::{Account, MemberId, Order, Outbox, Room, Settings, transcript};
use crate::recorder::Recorder;

pub use super::reading::Patience;

/// How a room is hosted.
#[derive(Debug, Clone, Default)]
pub struct Hosting {
    /// The room.
    pub room: Settings,
    /// How long and how fast members may be.
    pub patience: Patience,
}

/// How many happenings are taken before lines are sent: what comes together
/// goes out together.
const BATCH: usize = 256;
/// Bytes that are sent at once.
const CHUNK: usize = 16 << 10;
/// How many who are leaving are waited for, besides as many as may be in the room.
const MOST_LEAVING: usize = 1000;
/// How long all of them may take when the room closes.
const CLOSING: Duration = Duration::from_secs(3);

/// Hosts a room until it is asked to stop, and says what happened in it.
pub async fn host(
    door: Door,
    config: &Hosting,
    mut console: Console,
    stop: &Stop,
    recorder: &Recorder,
) -> Account {
    let (sender, mut happenings) = mpsc::channel(BATCH);
    let (arriving, mut arrivals) = mpsc::channel(BATCH);
    let accepting = tokio::spawn(accept(door, arriving));
    let mut house = House::new(config, sender, recorder.clone());
    loop {
        select! {
            () = stop.asked() => break,
            Some(connection) = arrivals.recv() => house.receive(connection),
            Some(news) = happenings.recv() => house.take(news),
            line = console.next() => console.speak(&line, &mut house.room),
            () = unconstrained(house.unblocked()) => {}
        }
        for _ in 0..BATCH {
            if let Ok(connection) = arrivals.try_recv() {
                house.receive(connection);
            } else if let Ok(news) = happenings.try_recv() {
                house.take(news);
            } else {
                break;
            }
        }
        house.settle(&console).await;
    }
    // Whoever comes now is refused by the kernel.
    accepting.abort();
    house.close(&console).await
}

async fn accept(door: Door, arriving: mpsc::Sender<Connection>) {
    while arriving.send(door.accept().await).await.is_ok() {}
}

/// The room, and the connections of those who are in it.
struct House {
    room: Room,
    seats: HashMap<MemberId, Seat>,
    /// Those whose sockets take nothing for now.
    blocked: BTreeSet<MemberId>,
    leaving: JoinSet<()>,
    most_leaving: usize,
    scratch: Vec<u8>,
    news: mpsc::Sender<News>,
    patience: Arc<Patience>,
    recorder: Recorder,
}

struct Seat {
    writer: Writer,
    reading: JoinHandle<()>,
}

impl House {
    fn new(config: &Hosting, news: mpsc::Sender<News>, recorder: Recorder) -> Self {
        Self {
            room: Room::new(config.room.clone()),
            seats: HashMap::new(),
            blocked: BTreeSet::new(),
            leaving: JoinSet::new(),
            most_leaving: MOST_LEAVING + config.room.most,
            scratch: Vec::new(),
            news,
            patience: Arc::new(config.patience.clone()),
            recorder,
        }
    }

    /// Somebody has connected.
    fn receive(&mut self, connection: Connection) {
        let id = number(&connection);
        let entered = self.room.enter(Instant::now(), id, connection.peer());
        let (mut reader, writer) = connection.into_split();
        match entered {
            Ok(()) => {
                let (news, patience) = (self.news.clone(), Arc::clone(&self.patience));
                let reading = async move { read(reader, id, news, &patience).await };
                let reading = tokio::spawn(reading);
                self.seats.insert(id, Seat { writer, reading });
            }
            Err(refusal) => {
                let reading = tokio::spawn(async move { discard(&mut reader).await });
                let seat = Seat { writer, reading };
                self.part(seat, Outbox::of(&refusal), Departure::Closed);
            }
        }
    }

    fn take(&mut self, news: News) {
        let now = Instant::now();
        match news {
            News::Line(id, piece) => self.room.hear(now, id, &piece),
            News::Gone(id, why) => self.room.leave(now, id, why),
        }
    }

    /// Sends what waits, and carries out what the room orders, until there is
    /// nothing more of either.
    async fn settle(&mut self, console: &Console) {
        loop {
            self.obey(console);
            let dirty = self.room.take_dirty();
            if dirty.is_empty() {
                break;
            }
            let send = poll_fn(|context| {
                for id in &dirty {
                    if !self.blocked.contains(id) && self.send(*id, context).is_pending() {
                        self.blocked.insert(*id);
                    }
                }
                Poll::Ready(())
            });
            unconstrained(send).await;
        }
        while self.leaving.try_join_next().is_some() {}
    }

    /// Carries out what the room orders.
    fn obey(&mut self, console: &Console) {
        while let Some(order) = self.room.poll_order() {
            match order {
                Order::Tell(step) => {
                    if let Some(line) = transcript(&step) {
                        console.show(&line);
                    }
                    if self.recorder.wants(Topic::App) {
                        let now = self.recorder.clock().now();
                        self.recorder.record(now, What::Chat(step));
                    }
                }
                Order::Close {
                    member,
                    outbox,
                    why,
                } => {
                    self.blocked.remove(&member);
                    if let Some(seat) = self.seats.remove(&member) {
                        self.part(seat, outbox, why);
                    }
                }
            }
        }
    }

    /// Ends a connection in its own time. Nobody can make the room hold a crowd of
    /// those who came and went: beyond a number they are closed at once.
    fn part(&mut self, seat: Seat, outbox: Outbox, why: Departure) {
        let Seat { writer, reading } = seat;
        if self.leaving.len() < self.most_leaving {
            self.leaving.spawn(farewell(writer, outbox, why, reading));
        } else {
            reading.abort();
        }
    }

    /// Waits until somebody's socket that took nothing takes something.
    async fn unblocked(&mut self) {
        poll_fn(|context| {
            let before = self.blocked.len();
            for id in self.blocked.clone() {
                if self.send(id, context).is_ready() {
                    self.blocked.remove(&id);
                }
            }
            if self.blocked.len() < before {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    /// Sends what waits for a member, as far as the kernel takes it.
    fn send(&mut self, id: MemberId, context: &mut Context<'_>) -> Poll<()> {
        let (Some(seat), Some(outbox)) = (self.seats.get_mut(&id), self.room.outbox(id)) else {
            return Poll::Ready(());
        };
        while !outbox.is_empty() {
            self.scratch.clear();
            outbox.gather(&mut self.scratch, CHUNK);
            match Pin::new(&mut seat.writer).poll_write(context, &self.scratch) {
                Poll::Ready(Ok(count)) => outbox.advance(count),
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => {
                    self.room.leave(Instant::now(), id, departure(&error));
                    return Poll::Ready(());
                }
            }
        }
        Poll::Ready(())
    }

    /// Tells everybody, and ends their connections.
    async fn close(mut self, console: &Console) -> Account {
        self.room.close(Instant::now());
        self.settle(console).await;
        let leaving = &mut self.leaving;
        let all = async move { while leaving.join_next().await.is_some() {} };
        // Who takes longer is reset with the process.
        let _ = timeout(CLOSING, all).await;
        self.room.account()
    }
}

fn departure(error: &io::Error) -> Departure {
    match error.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Departure::Reset,
        _ => Departure::Failed,
    }
}

/// The member's number: that of the client's socket.
fn number(connection: &Connection) -> MemberId {
    let name = &connection.name().0;
    let number = name.rsplit(' ').next();
    // The door names clients by number.
    number
        .and_then(|number| number.parse().ok())
        .unwrap_or_default()
}

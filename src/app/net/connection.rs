//! One connection as tokio reads and writes it, each call recorded, its bytes
//! counted and shown where anybody looks (recv(2), send(2), shutdown(2)).
//!
//! Never blocks and never buffers. Dropping it closes the socket; half-close is
//! [`AsyncWriteExt::shutdown`](tokio::io::AsyncWriteExt::shutdown).

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};

use super::watch;
use crate::address::canonical;
use crate::event::{Figures, SocketName, Told, Way};
use crate::pipe;
use crate::recorder::Recorder;
use crate::socket::{Stream, TcpInfo};

/// A connection.
pub struct Connection(Arc<Shared>);

/// Its reading half.
pub struct Reader(Arc<Shared>);

/// Its writing half. Dropping it alone closes nothing.
pub struct Writer(Arc<Shared>);

struct Shared {
    io: AsyncFd<Arc<Stream>>,
    local: OnceLock<SocketAddr>,
    peer: SocketAddr,
    since: Instant,
    sent: AtomicU64,
    received: AtomicU64,
}

impl Connection {
    /// Takes a connected socket that never blocks. Must be called within a
    /// runtime.
    pub(super) fn new(stream: Stream, peer: SocketAddr) -> io::Result<Self> {
        let io = watch::connection(Arc::new(stream))?;
        Ok(Self::watched(io, None, peer))
    }

    /// Takes one that is waited for already, with this end's address where it is
    /// known.
    pub(super) fn watched(
        io: AsyncFd<Arc<Stream>>,
        local: Option<SocketAddr>,
        peer: SocketAddr,
    ) -> Self {
        Self(Arc::new(Shared {
            io,
            local: local.map_or_else(OnceLock::new, OnceLock::from),
            peer,
            since: Instant::now(),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
        }))
    }

    /// `setsockopt(TCP_NODELAY)`: small writes are passed on at once.
    pub fn send_at_once(&self) -> io::Result<()> {
        self.0
            .stream()
            .set_option("TCP_NODELAY, 1", |socket| socket.set_tcp_nodelay(true))
    }

    /// Both halves, for two tasks: one reads, one writes.
    pub fn into_split(self) -> (Reader, Writer) {
        (Reader(Arc::clone(&self.0)), Writer(self.0))
    }
}

/// What all three know of the socket.
macro_rules! knows_its_socket {
    ($($half:ident),*) => {$(
        impl $half {
            /// This end.
            pub fn local(&self) -> SocketAddr {
                self.0.local()
            }

            /// The other end.
            pub fn peer(&self) -> SocketAddr {
                self.0.peer
            }

            /// The socket's name in this run.
            pub fn name(&self) -> &SocketName {
                self.0.stream().name()
            }

            /// Who records its calls.
            pub fn recorder(&self) -> &Recorder {
                self.0.stream().recorder()
            }

            /// Bytes that the kernel took from us.
            pub fn sent(&self) -> u64 {
                self.0.sent.load(Ordering::Relaxed)
            }

            /// Bytes that came from the peer.
            pub fn received(&self) -> u64 {
                self.0.received.load(Ordering::Relaxed)
            }

            /// How long it has been there.
            pub fn lasted(&self) -> Duration {
                self.0.since.elapsed()
            }

            /// What the kernel knows of it (`TCP_INFO`).
            pub fn info(&self) -> io::Result<TcpInfo> {
                self.0.stream().info()
            }

            /// What the kernel and we know of it, in figures.
            pub fn figures(&self) -> Figures {
                let moved = (self.sent(), self.received());
                pipe::figures(self.0.stream(), self.lasted(), moved)
            }

            /// Tells something of it, where anybody listens.
            pub fn tell(&self, told: impl FnOnce() -> Told<'static>) {
                pipe::tell(self.0.stream(), told);
            }

            /// Waits until there is something to read, or the peer has ended.
            pub async fn readable(&self) -> io::Result<()> {
                self.0.io.readable().await?.retain_ready();
                Ok(())
            }

            /// The socket itself, for calls that are not recv(2) or send(2): one
            /// that gives `EWOULDBLOCK` is made again when the socket is ready.
            pub async fn ready<T>(
                &self,
                interest: Interest,
                call: impl FnMut(&Stream) -> io::Result<T>,
            ) -> io::Result<T> {
                let mut call = call;
                self.0.io.async_io(interest, |socket| call(socket)).await
            }

            /// Says that `count` bytes went one way by such a call.
            pub fn moved(&self, way: Way, count: u64) {
                match way {
                    Way::Sent => self.0.sent.fetch_add(count, Ordering::Relaxed),
                    Way::Received => self.0.received.fetch_add(count, Ordering::Relaxed),
                };
            }

            /// `setsockopt(SO_LINGER, 0)`: closing it will send a reset.
            pub fn reset_on_close(&self) -> io::Result<()> {
                self.0.stream().set_option("SO_LINGER, on, 0 s", |socket| {
                    socket.set_linger(Some(Duration::ZERO))
                })
            }
        }

        impl AsFd for $half {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.0.stream().as_fd()
            }
        }
    )*};
}

knows_its_socket!(Connection, Reader, Writer);

impl Shared {
    fn stream(&self) -> &Stream {
        self.io.get_ref()
    }

    /// Asked of the kernel where somebody wants to know.
    fn local(&self) -> SocketAddr {
        *self.local.get_or_init(|| {
            let none = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0);
            self.stream().local_address().map_or(none, canonical)
        })
    }

    fn read(&self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            let mut ready = ready!(self.io.poll_read_ready(context))?;
            let room = buffer.initialize_unfilled();
            let count = match self.stream().recv(room) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready.clear_ready();
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => result?,
            };
            if 0 < count && count < room.len() {
                // All has been read: epoll(7) tells when there is more.
                ready.clear_ready();
            }
            let before = self.received.fetch_add(count as u64, Ordering::Relaxed);
            if count > 0 {
                pipe::show(self.stream(), Way::Received, before, &room[..count]);
            }
            buffer.advance(count);
            return Poll::Ready(Ok(()));
        }
    }

    fn write(&self, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut ready = ready!(self.io.poll_write_ready(context))?;
            match self.stream().send(data) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready.clear_ready(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
                Ok(count) => {
                    let before = self.sent.fetch_add(count as u64, Ordering::Relaxed);
                    pipe::show(self.stream(), Way::Sent, before, &data[..count]);
                    return Poll::Ready(Ok(count));
                }
            }
        }
    }

    /// A half-close of what is gone already is none.
    fn shutdown(&self) -> io::Result<()> {
        match self.stream().shutdown(Shutdown::Write) {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            result => result,
        }
    }
}

macro_rules! reads {
    ($($half:ident),*) => {$(
        impl AsyncRead for $half {
            fn poll_read(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
                buffer: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                self.0.read(context, buffer)
            }
        }
    )*};
}

macro_rules! writes {
    ($($half:ident),*) => {$(
        impl AsyncWrite for $half {
            fn poll_write(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
                data: &[u8],
            ) -> Poll<io::Result<usize>> {
                self.0.write(context, data)
            }

            fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(self.0.shutdown())
            }
        }
    )*};
}

reads!(Connection, Reader);
writes!(Connection, Writer);

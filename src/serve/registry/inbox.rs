//! What reaches the host's loop from beside it: orders from the console, and names
//! from the resolver. Both may wait as long as they like, on threads of their
//! own; the loop is woken when something has come.

use std::io::{self, BufRead};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use mio::Waker;

use super::order::Order;
use super::roster::Handle;
use crate::address::name_of;

/// Where orders come from, and how they are read.
pub struct Console {
    /// The lines.
    pub lines: Box<dyn BufRead + Send>,
    /// What one of them means.
    pub read: fn(&str) -> Result<Option<Order>, String>,
}

/// What has come.
pub(super) enum News {
    /// What the operator said, or why it is not understood.
    Order(Result<Order, String>),
    /// The name of a client's address.
    Name(Handle, String),
}

/// Orders and names that may wait to be seen to.
const BACKLOG: usize = 64;

/// Where they wait.
pub(super) struct Inbox {
    sender: SyncSender<News>,
    receiver: Receiver<News>,
    waker: Arc<Waker>,
    /// Addresses whose names are wanted.
    names: Option<SyncSender<(Handle, SocketAddr)>>,
}

impl Inbox {
    pub(super) fn open(waker: Waker) -> Self {
        let (sender, receiver) = sync_channel(BACKLOG);
        Self {
            sender,
            receiver,
            waker: Arc::new(waker),
            names: None,
        }
    }

    /// The next that has come, if any has.
    pub(super) fn next(&self) -> Option<News> {
        self.receiver.try_recv().ok()
    }

    /// Reads the console. At its end the server goes on: whoever started it in
    /// the background gave it none.
    pub(super) fn listen_to(&self, console: Console) -> io::Result<()> {
        let (news, waker) = (self.sender.clone(), Arc::clone(&self.waker));
        let Console { mut lines, read } = console;
        let listen = move || {
            let mut line = Vec::new();
            while matches!(lines.read_until(b'\n', &mut line), Ok(1..)) {
                let order = read(String::from_utf8_lossy(&line).trim_end()).transpose();
                line.clear();
                let Some(order) = order else {
                    continue;
                };
                if news.send(News::Order(order)).is_err() || waker.wake().is_err() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("console".into());
        thread.spawn(listen).map(drop)
    }

    /// Begins to ask for the names of addresses.
    pub(super) fn ask_for_names(&mut self) -> io::Result<()> {
        let (ask, asked) = sync_channel::<(Handle, SocketAddr)>(BACKLOG);
        let (news, waker) = (self.sender.clone(), Arc::clone(&self.waker));
        let look_up = move || {
            for (handle, address) in asked {
                let Some(name) = name_of(address) else {
                    continue;
                };
                if news.send(News::Name(handle, name)).is_err() || waker.wake().is_err() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("names".into());
        thread.spawn(look_up)?;
        self.names = Some(ask);
        Ok(())
    }

    /// Asks for a name; while many wait, those who come go without.
    pub(super) fn ask_for_name(&self, handle: Handle, address: SocketAddr) {
        if let Some(names) = &self.names {
            let _ = names.try_send((handle, address));
        }
    }
}

//! The fastest that plain reads and writes can be: two TUN devices, each in a
//! namespace of its own, and a loop that moves packets from one to the other
//! and knows nothing of them.

#![expect(unsafe_code, reason = "the TUN ioctl")]

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::eventfd::EventFd;

nix::ioctl_write_ptr_bad!(set_interface, libc::TUNSETIFF, libc::ifreq);

const SERVER: &str = "10.77.0.2:5073";

/// The loop, and the two ends of a connection over it.
pub struct Loop {
    ends: Option<(TcpStream, TcpStream)>,
    stop: Arc<EventFd>,
    thread: Option<JoinHandle<()>>,
}

impl Loop {
    /// Builds both hosts, starts the loop, and connects over it.
    pub fn start() -> Self {
        let (client_tun, client_jobs) = host("10.77.0.1/24");
        let (server_tun, server_jobs) = host("10.77.0.2/24");
        let stop = Arc::new(EventFd::new().expect("an eventfd"));
        let bell = Arc::clone(&stop);
        let thread = std::thread::spawn(move || forward(client_tun, server_tun, &bell));
        let (listening, listener) = channel();
        let listen = move || drop(listening.send(TcpListener::bind(SERVER).expect("bind")));
        server_jobs
            .send(Box::new(listen))
            .expect("the server's thread");
        let listener = listener.recv().expect("a listener");
        let (connected, client) = channel();
        let connect = move || drop(connected.send(TcpStream::connect(SERVER).expect("connect")));
        client_jobs
            .send(Box::new(connect))
            .expect("the client's thread");
        let client = client.recv().expect("a connection");
        let (server, _) = listener.accept().expect("accept");
        Self {
            ends: Some((client, server)),
            stop,
            thread: Some(thread),
        }
    }

    /// The connection: the client's end and the server's.
    pub fn connection(&self) -> (TcpStream, TcpStream) {
        let (client, server) = self.ends.as_ref().expect("it was made");
        let copy = |stream: &TcpStream| stream.try_clone().expect("a descriptor");
        (copy(client), copy(server))
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        self.ends = None;
        self.stop.write(1).expect("the bell");
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the loop ends");
        }
    }
}

type Job = Box<dyn FnOnce() + Send>;

/// A thread in a namespace of its own that runs what it is sent, and the TUN
/// device of that namespace.
fn host(address: &'static str) -> (File, Sender<Job>) {
    let (jobs, queue): (Sender<Job>, Receiver<Job>) = channel();
    let (made, tun) = channel();
    std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace");
        made.send(device(address)).expect("the caller waits");
        for job in queue {
            job();
        }
    });
    (tun.recv().expect("a device"), jobs)
}

fn device(address: &str) -> File {
    let tun = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open("/dev/net/tun")
        .expect("open TUN");
    let mut name = [0; libc::IFNAMSIZ];
    for (slot, byte) in name.iter_mut().zip(b"wire0") {
        *slot = libc::c_char::from_ne_bytes([*byte]);
    }
    let request = libc::ifreq {
        ifr_name: name,
        ifr_ifru: libc::__c_anonymous_ifr_ifru {
            ifru_flags: libc::c_short::try_from(libc::IFF_TUN | libc::IFF_NO_PI).expect("it fits"),
        },
    };
    // SAFETY: `request` is a valid ifreq, and the descriptor is open.
    unsafe { set_interface(tun.as_raw_fd(), &raw const request) }.expect("TUNSETIFF");
    let address = format!("addr add {address} dev wire0");
    for arguments in [address.as_str(), "link set wire0 txqueuelen 10000 up"] {
        let status = Command::new("ip").args(arguments.split(' ')).status();
        assert!(status.expect("ip(8) runs").success(), "ip {arguments}");
    }
    tun
}

fn forward(mut client: File, mut server: File, stop: &EventFd) {
    let mut buffer = vec![0; 65_536];
    loop {
        let mut waiting = [client.as_fd(), server.as_fd(), stop.as_fd()]
            .map(|descriptor| PollFd::new(descriptor, PollFlags::POLLIN));
        poll(&mut waiting, PollTimeout::NONE).expect("poll");
        if waiting[2].any() == Some(true) {
            return;
        }
        turn(&mut client, &mut server, &mut buffer);
        turn(&mut server, &mut client, &mut buffer);
    }
}

fn turn(from: &mut File, to: &mut File, buffer: &mut [u8]) {
    for _ in 0..64 {
        let Ok(length) = from.read(buffer) else {
            return;
        };
        // What the other side refuses is TCP's to send again.
        let _ = to.write(&buffer[..length]);
    }
}

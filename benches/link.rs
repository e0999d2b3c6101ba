//! What the link costs: building and tearing down, and one TCP flow at MTU 1500
//! through it, silent and recorded, on each kind of device in the same run.
//!
//! `cargo bench --bench link`. Every transfer also checks that the link lost
//! nothing: what was offered was delivered, and no device dropped a packet.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use divan::Bencher;
use divan::counter::BytesCount;
use socklab::compare::WireTally;
use socklab::event::{Event, Recording, Silence, Sink, Topic};
use socklab::link::{Config, DeviceKind, Link, enter_private_user_namespace};
use socklab::recorder::Clock;
use socklab::report::pcap::PcapFile;

fn main() {
    enter_private_user_namespace().expect("a link can be built here");
    divan::main();
}

const DEVICES: [DeviceKind; 2] = [DeviceKind::Tun, DeviceKind::Veth];

fn build(device: DeviceKind, sink: Arc<dyn Sink>) -> Link {
    let config = Config {
        device: Some(device),
        ..Config::default()
    };
    Link::build(&config, Clock::start(), sink).expect("the link is built")
}

#[divan::bench(args = DEVICES, sample_count = 50, sample_size = 1)]
fn build_and_tear_down(device: DeviceKind) {
    build(device, Arc::new(Silence))
        .finish()
        .expect("the link is torn down");
}

/// Keeps every packet whole in memory, and nothing else.
struct Packets(Recording);

impl Sink for Packets {
    fn wants(&self, topic: Topic) -> bool {
        topic == Topic::Packet
    }

    fn record(&self, event: &Event<'_>) {
        self.0.record(event);
    }
}

#[divan::bench(args = DEVICES, sample_count = 8, sample_size = 1)]
fn one_tcp_flow_silent(bencher: Bencher, device: DeviceKind) {
    carry(bencher, device, || Arc::new(Silence));
}

#[divan::bench(args = DEVICES, sample_count = 8, sample_size = 1)]
fn one_tcp_flow_dissected_and_counted(bencher: Bencher, device: DeviceKind) {
    carry(bencher, device, || Arc::new(WireTally::default()));
}

#[divan::bench(args = DEVICES, sample_count = 8, sample_size = 1)]
fn one_tcp_flow_recorded_in_memory(bencher: Bencher, device: DeviceKind) {
    carry(bencher, device, || Arc::new(Packets(Recording::new())));
}

/// As `--pcap` records: every packet whole, with its times and fate, in constant
/// memory; the file itself costs what the disk costs.
#[divan::bench(args = DEVICES, sample_count = 8, sample_size = 1)]
fn one_tcp_flow_recorded_as_pcapng(bencher: Bencher, device: DeviceKind) {
    carry(bencher, device, || {
        let file = PcapFile::begin(std::io::sink(), Clock::start(), None);
        Arc::new(file.expect("nothing can fail"))
    });
}

const SIZE: usize = 256 << 20;

fn carry(bencher: Bencher, device: DeviceKind, sink: impl Fn() -> Arc<dyn Sink> + Sync) {
    bencher
        .counter(BytesCount::new(SIZE))
        .with_inputs(|| Connection::open(build(device, sink())))
        .bench_local_refs(Connection::transfer);
}

struct Connection {
    link: Option<Link>,
    client: TcpStream,
    server: TcpStream,
}

impl Connection {
    fn open(link: Link) -> Self {
        let address = SocketAddr::from((link.server().addresses().v4, 5073));
        let listener = link
            .server()
            .run(move || TcpListener::bind(address))
            .expect("bind");
        let client = link
            .client()
            .run(move || TcpStream::connect(address))
            .expect("connect");
        let (server, _) = listener.accept().expect("accept");
        Self {
            link: Some(link),
            client,
            server,
        }
    }

    fn transfer(&mut self) {
        let block = vec![7; 256 << 10];
        let (client, server) = (&mut self.client, &mut self.server);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut buffer = vec![0; 256 << 10];
                let mut missing = SIZE;
                while missing > 0 {
                    missing -= server.read(&mut buffer).expect("read");
                }
            });
            for _ in 0..SIZE / block.len() {
                client.write_all(&block).expect("write");
            }
        });
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(link) = self.link.take() {
            let account = link.finish().expect("the link is torn down");
            assert_eq!(account.unmodelled_loss(), 0, "{account:?}");
            let wire = &account.count.wire;
            for traffic in [&wire.client_to_server, &wire.server_to_client] {
                assert_eq!(traffic.offered, traffic.delivered, "{account:?}");
            }
        }
    }
}

//! What the link costs: building and tearing down, and one TCP flow at MTU 1500
//! through it, silent, impaired and recorded, on each kind of device; beside a
//! bare loop that reads one TUN device and writes the other, in the same run.
//!
//! `cargo bench --bench link`. Every transfer also checks that the link lost
//! nothing: what was offered was delivered, and no device dropped a packet.

mod bare;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use divan::Bencher;
use divan::counter::BytesCount;
use socklab::compare::{self, WireTally};
use socklab::event::{Event, Recording, Silence, Sink, Topic};
use socklab::impair::{
    Bottleneck, Capacity, Chance, Course, Delay, Discipline, Framing, Loss, Plan, Server, Settings,
};
use socklab::link::{Config, DeviceKind, Link, Offload, enter_private_user_namespace};
use socklab::recorder::Clock;
use socklab::report::pcap::PcapFile;
use socklab::units::{Probability, Rate};

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

fn build_impaired(device: DeviceKind) -> Link {
    let settings = Settings {
        delay: Delay {
            base: Duration::from_micros(200),
            ..Delay::default()
        },
        loss: Loss::Random(Chance {
            probability: Probability::new(1e-9).expect("a probability"),
            correlation: Probability::NEVER,
        }),
        bottleneck: Some(Bottleneck {
            server: Server::Rate {
                rate: Rate(40_000_000_000),
                framing: Framing::default(),
            },
            capacity: Capacity::Packets(100_000),
            discipline: Discipline::DropTail,
            ecn: false,
        }),
        ..Settings::default()
    };
    let course = Course {
        first: settings,
        changes: Vec::new(),
    };
    let config = Config {
        device: Some(device),
        plan: Plan {
            seed: 1,
            up: course.clone(),
            down: course,
        },
        ..Config::default()
    };
    Link::build(&config, Clock::start(), Arc::new(Silence)).expect("the link is built")
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

/// What is to be reached: nothing but read and write.
#[divan::bench(sample_count = 8, sample_size = 1)]
fn one_tcp_flow_through_a_bare_loop(bencher: Bencher) {
    bencher
        .counter(BytesCount::new(SIZE))
        .with_inputs(Connection::through_a_bare_loop)
        .bench_local_refs(Connection::transfer);
}

#[divan::bench(args = DEVICES, sample_count = 8, sample_size = 1)]
fn one_tcp_flow_silent(bencher: Bencher, device: DeviceKind) {
    carry(bencher, device, || Arc::new(Silence));
}

/// Delay, loss and rate set, none of which limits the flow by itself: what the
/// wire's own work costs.
#[divan::bench(args = DEVICES, sample_count = 8, sample_size = 1)]
fn one_tcp_flow_impaired(bencher: Bencher, device: DeviceKind) {
    bencher
        .counter(BytesCount::new(SIZE))
        .with_inputs(|| Connection::open(build_impaired(device)))
        .bench_local_refs(Connection::transfer);
}

/// Packets of up to 64 KiB, which no wire would carry.
#[divan::bench(sample_count = 8, sample_size = 1)]
fn one_tcp_flow_with_offloads(bencher: Bencher) {
    let fast = || {
        let config = Config {
            offload: Offload::On,
            ..Config::default()
        };
        Link::build(&config, Clock::start(), Arc::new(Silence)).expect("the link is built")
    };
    bencher
        .counter(BytesCount::new(SIZE))
        .with_inputs(|| Connection::open(fast()))
        .bench_local_refs(Connection::transfer);
}

#[divan::bench(args = DEVICES, sample_count = 8, sample_size = 1)]
fn one_tcp_flow_dissected_and_counted(bencher: Bencher, device: DeviceKind) {
    carry(bencher, device, || {
        Arc::new(WireTally::new(&compare::Config::default()))
    });
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
    _bare: Option<bare::Loop>,
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
            _bare: None,
            client,
            server,
        }
    }

    fn through_a_bare_loop() -> Self {
        let bare = bare::Loop::start();
        let (client, server) = bare.connection();
        Self {
            link: None,
            _bare: Some(bare),
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
            link.settle().expect("the wire is quiet");
            let account = link.finish().expect("the link is torn down");
            assert_eq!(account.unmodelled_loss(), 0, "{account:?}");
            let wire = &account.count.wire;
            for traffic in [&wire.client_to_server, &wire.server_to_client] {
                assert_eq!(traffic.offered, traffic.delivered, "{account:?}");
            }
        }
    }
}

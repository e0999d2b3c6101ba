//! What a packet costs in the impairments alone: offered, kept, polled. No
//! kernel, no clock; buffers come round again, as a wire's do.
//!
//! `cargo bench --bench impair`. The wire's own target is 200 ns a packet with
//! delay, loss and rate set.

use std::collections::VecDeque;
use std::time::Duration;

use divan::Bencher;
use divan::counter::ItemsCount;
use socklab::flow::Direction;
use socklab::impair::{
    Bottleneck, Capacity, Chance, Course, Delay, Discipline, Distribution, Framing, Loss, Medium,
    Plan, Server, Settings,
};
use socklab::units::{Probability, Rate};

fn main() {
    divan::main();
}

const PACKETS: u32 = 100_000;

fn delay(jitter: Duration) -> Settings {
    Settings {
        delay: Delay {
            base: Duration::from_millis(10),
            jitter,
            distribution: Distribution::Normal,
            ..Delay::default()
        },
        ..Settings::default()
    }
}

fn delay_loss_rate(discipline: Discipline) -> Settings {
    Settings {
        loss: Loss::Random(Chance {
            probability: Probability::new(0.01).unwrap_or_default(),
            ..Chance::default()
        }),
        bottleneck: Some(Bottleneck {
            server: Server::Rate {
                rate: Rate(11_000_000_000),
                framing: Framing::default(),
            },
            capacity: Capacity::default(),
            discipline,
            ecn: false,
        }),
        ..delay(Duration::ZERO)
    }
}

#[divan::bench]
fn delay_alone(bencher: Bencher) {
    carry(bencher, &delay(Duration::ZERO), 1);
}

#[divan::bench]
fn delay_loss_and_rate(bencher: Bencher) {
    carry(bencher, &delay_loss_rate(Discipline::DropTail), 1);
}

#[divan::bench]
fn delay_loss_and_rate_of_eight_flows(bencher: Bencher) {
    carry(bencher, &delay_loss_rate(Discipline::DropTail), 8);
}

#[divan::bench]
fn delay_loss_and_rate_with_codel(bencher: Bencher) {
    carry(bencher, &delay_loss_rate(Discipline::CODEL), 1);
}

#[divan::bench]
fn jitter_that_reorders(bencher: Bencher) {
    carry(bencher, &delay(Duration::from_millis(2)), 1);
}

/// A packet of 1500 bytes every 1.2 µs: 10 Gbit/s.
fn carry(bencher: Bencher, settings: &Settings, flows: u16) {
    let pause = Duration::from_nanos(1200);
    bencher
        .counter(ItemsCount::new(PACKETS))
        .with_inputs(|| {
            let plan = Plan {
                seed: 1,
                up: Course {
                    first: settings.clone(),
                    changes: Vec::new(),
                },
                down: Course::default(),
            };
            // As many as are under way at a time, and some.
            let buffers: VecDeque<Vec<u8>> =
                (0..12_000).map(|number| segment(number, flows)).collect();
            (Medium::new(plan), buffers)
        })
        .bench_local_values(|(mut medium, mut buffers)| {
            let mut now = Duration::ZERO;
            for _ in 0..PACKETS {
                now += pause;
                while let Some(outcome) = medium.poll(now) {
                    buffers.push_back(outcome.parcel.sent);
                }
                let buffer = buffers.pop_front().expect("one is free");
                medium.offer(Direction::ClientToServer, now, buffer);
            }
            (medium, buffers)
        });
}

/// A TCP segment over IPv4 of 1500 bytes.
fn segment(number: u32, flows: u16) -> Vec<u8> {
    let mut bytes = vec![0; 1500];
    bytes[..20].copy_from_slice(&[
        0x45, 0, 0x05, 0xdc, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 77, 0, 1, 10, 77, 0, 2,
    ]);
    let port = 40_000 + u16::try_from(number % u32::from(flows)).unwrap_or_default();
    bytes[20..22].copy_from_slice(&port.to_be_bytes());
    bytes[22..24].copy_from_slice(&5073_u16.to_be_bytes());
    bytes[24..28].copy_from_slice(&(number * 1460).to_be_bytes());
    bytes[32..34].copy_from_slice(&[0x50, 0x10]);
    bytes
}

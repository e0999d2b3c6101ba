//! What packets under way cost in memory, as the kernel counts it. A process of
//! its own, so that nothing else grows meanwhile.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use socklab::flow::Direction;
use socklab::impair::{Course, Delay, Distribution, Medium, Plan, Settings, Verdict};

/// Bytes that this process has in memory (proc_pid_status(5), `VmRSS`).
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("procfs");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .expect("VmRSS");
    let kilobytes = line.trim().trim_end_matches(" kB");
    kilobytes.parse::<u64>().expect("a number") * 1024
}

fn medium(jitter: Duration) -> Medium {
    let held = Settings {
        delay: Delay {
            base: Duration::from_secs(10),
            jitter,
            distribution: Distribution::Uniform,
            ..Delay::default()
        },
        ..Settings::default()
    };
    let course = Course {
        first: held,
        changes: Vec::new(),
    };
    Medium::new(Plan {
        seed: 1,
        up: course.clone(),
        down: course,
    })
}

/// A UDP datagram of 64 bytes of payload.
fn datagram() -> Vec<u8> {
    let mut packet = vec![0; 92];
    packet[0] = 0x45;
    packet[2..4].copy_from_slice(&92_u16.to_be_bytes());
    packet[9] = 17;
    packet[12..20].copy_from_slice(&[10, 77, 0, 1, 10, 77, 0, 2]);
    packet[20..24].copy_from_slice(&[0x13, 0xd1, 0x13, 0xd1]);
    packet
}

/// One test at a time: they share the process that is measured.
static ALONE: Mutex<()> = Mutex::new(());

const PACKETS: u64 = 1_000_000;

#[test]
fn a_million_packets_under_way_take_little() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    // With jitter they are kept in an order that is not that of arrival.
    for jitter in [Duration::ZERO, Duration::from_secs(5)] {
        let mut medium = medium(jitter);
        let before = resident();
        for number in 0..PACKETS {
            let now = Duration::from_micros(number);
            medium.offer(Direction::ClientToServer, now, datagram());
        }
        assert_eq!(medium.in_flight() as u64, PACKETS);
        let each = (resident() - before) / PACKETS;
        assert!(each < 2048 + 92, "{each} bytes a packet of 92");
        let mut delivered = 0;
        while let Some(outcome) = medium.poll(Duration::from_secs(60)) {
            assert_eq!(outcome.verdict, Verdict::Deliver);
            delivered += 1;
        }
        assert_eq!(delivered, PACKETS);
    }
}

/// What is over leaves nothing behind.
#[test]
fn memory_does_not_grow_with_the_length_of_a_run() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut medium = medium(Duration::ZERO);
    let mut carry = |packets: std::ops::Range<u64>| {
        for number in packets {
            let now = Duration::from_millis(number);
            while medium.poll(now).is_some() {}
            medium.offer(Direction::ClientToServer, now, datagram());
        }
        resident()
    };
    // Ten seconds hold 10,000 packets at a time.
    let after_a_while = carry(0..100_000);
    let after_long = carry(100_000..1_000_000);
    let grown = after_long.saturating_sub(after_a_while);
    assert!(grown < 1 << 20, "{grown} bytes more");
}

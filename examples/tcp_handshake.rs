//! One TCP connection, and what each packet of its handshake says.
//!
//! `cargo run --example tcp_handshake`

use std::sync::Arc;

use socklab::event::{Recording, What};
use socklab::link::{self, enter_private_user_namespace};
use socklab::packet::dissect;
use socklab::recorder::Clock;
use socklab::stage::Stage;
use socklab::tcp;

fn main() -> anyhow::Result<()> {
    enter_private_user_namespace()?;
    let recording = Arc::new(Recording::new());
    let stage = Stage::link(&link::Config::default(), Clock::start(), recording.clone())?;
    let outcome = tcp::demonstrate(&tcp::Config::default(), &stage)?;
    stage.finish()?;

    println!("connect() took {:?}", outcome.connect);
    for event in recording.take() {
        match event.what {
            What::Packet(packet) if packet.id <= 3 => {
                let dissection = dissect(packet.link, &packet.bytes);
                if let Some(tcp) = dissection.tcp() {
                    let (sequence, acknowledgment) = (tcp.sequence, tcp.acknowledgment);
                    println!("{} seq={sequence} ack={acknowledgment}", tcp.flags);
                }
            }
            What::State(change) if event.at < outcome.connect * 20 => {
                println!("  {}: {} → {}", event.host, change.from, change.to);
            }
            _ => {}
        }
    }
    Ok(())
}

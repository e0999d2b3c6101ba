//! Three datagrams sent, three received: UDP keeps message boundaries, and a
//! buffer that is too short loses the tail.
//!
//! `cargo run --example udp_boundaries`

use std::sync::Arc;

use socklab::event::Silence;
use socklab::link::{Config, Link, enter_private_user_namespace};
use socklab::recorder::Clock;
use socklab::socket::Datagram;

fn main() -> anyhow::Result<()> {
    enter_private_user_namespace()?;
    let link = Link::build(&Config::default(), Clock::start(), Arc::new(Silence))?;
    let address = (link.server().addresses().v6, 5073).into();
    let recorder = link.server().recorder().clone();
    let server = link
        .server()
        .run(move || Datagram::open(&recorder, "server", address))?;
    server.bind(address)?;
    let recorder = link.client().recorder().clone();
    let client = link
        .client()
        .run(move || Datagram::open(&recorder, "client", address))?;

    for text in ["one", "two", "a longer message"] {
        client.send_to(text.as_bytes(), address)?;
    }
    let mut buffer = [0; 8];
    for _ in 0..3 {
        let datagram = server.recv_from(&mut buffer)?;
        let text = String::from_utf8_lossy(&buffer[..datagram.bytes]);
        let (got, sent) = (datagram.bytes, datagram.length);
        println!("{text:?} from {}: {got} of {sent} bytes", datagram.from);
    }
    Ok(())
}

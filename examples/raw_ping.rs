//! An ICMP echo request made by hand, sent through a raw socket on the private
//! link (so without root), and the kernel's reply taken apart.
//!
//! `cargo run --example raw_ping`

use std::sync::Arc;

use socklab::event::Silence;
use socklab::link::{Config, Link, enter_private_user_namespace};
use socklab::packet::{LinkType, checksum, dissect};
use socklab::recorder::Clock;
use socklab::socket::Raw;

fn main() -> anyhow::Result<()> {
    enter_private_user_namespace()?;
    let link = Link::build(&Config::default(), Clock::start(), Arc::new(Silence))?;
    let server = (link.server().addresses().v4, 0).into();
    let recorder = link.client().recorder().clone();
    let open = move || Raw::open(&recorder, "raw", server);
    let socket = link.client().run(open)?;

    // Type 8, code 0, checksum, identifier 7, sequence number 1, data.
    let mut request = *b"\x08\x00\x00\x00\x00\x07\x00\x01hello";
    let sum = checksum::checksum(&request).to_be_bytes();
    request[2..4].copy_from_slice(&sum);
    socket.send_to(&request, server)?;

    // A raw IPv4 socket hands over the IP header too.
    let mut buffer = [0; 1500];
    let reply = socket.recv_from(&mut buffer)?;
    let dissection = dissect(LinkType::Raw, &buffer[..reply.bytes]);
    for field in dissection.layers.iter().flat_map(|layer| &layer.fields) {
        println!("{field}");
    }
    Ok(())
}

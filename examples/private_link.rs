//! Two hosts in one process, without root: run anything on either.
//!
//! `cargo run --example private_link`

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use socklab::event::Recording;
use socklab::link::{Config, Link, enter_private_user_namespace};
use socklab::recorder::Clock;

fn main() -> anyhow::Result<()> {
    enter_private_user_namespace()?;
    let recording = Arc::new(Recording::new());
    let link = Link::build(&Config::default(), Clock::start(), recording.clone())?;
    let address = SocketAddr::from((link.server().addresses().v4, 80));

    // Each closure runs in its host's own network namespace.
    let listener = link.server().run(move || TcpListener::bind(address))?;
    let mut client = link.client().run(move || TcpStream::connect(address))?;
    let (mut connection, peer) = listener.accept()?;
    client.write_all(b"hello")?;
    let mut buffer = [0; 5];
    connection.read_exact(&mut buffer)?;
    println!("{peer} said {:?}", String::from_utf8_lossy(&buffer));

    let account = link.finish()?;
    println!(
        "{} packets went up the wire, {} came down, {} were lost by the link",
        account.count.wire.client_to_server.delivered.packets,
        account.count.wire.server_to_client.delivered.packets,
        account.unmodelled_loss()
    );
    println!("{} events were recorded", recording.take().len());
    Ok(())
}

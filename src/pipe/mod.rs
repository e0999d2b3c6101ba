//! Standard input and output joined to a socket.
//!
//! Owns the conversation from its first byte to its last; which socket, and what
//! is shown of it, is the caller's business.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};

use crate::error::Error;

/// What `input` gives goes to the peer, its end included; what the peer sends
/// goes to `output`, to its end.
pub fn join(
    mut stream: TcpStream,
    mut input: impl Read + Send + 'static,
    mut output: impl Write,
) -> Result<(), Error> {
    let mut sending = stream
        .try_clone()
        .map_err(|error| Error::new("dup", "the socket", error))?;
    std::thread::spawn(move || {
        // The reading side tells what became of the connection.
        let _ = io::copy(&mut input, &mut sending);
        let _ = sending.shutdown(Shutdown::Write);
    });
    io::copy(&mut stream, &mut output)
        .and_then(|_| output.flush())
        .map_err(|error| Error::new("receive", "", error))
}

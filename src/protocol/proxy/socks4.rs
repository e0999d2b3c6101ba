//! SOCKS4 and SOCKS4a: the request and its reply, parse beside emit (the
//! protocol's own memoranda; it has no RFC).
//!
//! ```text
//! request: 04 CMD PORT PORT IP IP IP IP USER… 00 [NAME… 00 where IP is 0.0.0.x]
//! reply:   00 CODE PORT PORT IP IP IP IP
//! ```

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::handshake::Refusal;
use super::reader::{Fault, Reader};
use super::{Command, Destination, Host, Method, Name, Request, Verdict};

pub(super) const VERSION: u8 = 4;
/// The most bytes of the user's name, which nobody proves and nobody uses.
const LONGEST_USER: usize = 255;

const GRANTED: u8 = 0x5a;
const REFUSED: u8 = 0x5b;

/// Reads a request, and how many bytes it has.
pub(super) fn request(bytes: &[u8]) -> Result<(Request, usize), Fault> {
    let mut reader = Reader::new(bytes);
    reader.byte()?;
    let command = reader.byte()?;
    let port = reader.port()?;
    let ip = reader.ipv4()?;
    reader.ended(LONGEST_USER)?;
    let (method, host) = match ip.octets() {
        [0, 0, 0, last] if last != 0 => {
            let name = reader.ended(Name::LONGEST)?;
            (Method::Socks4a, Host::read(name).map_err(Refusal::Name)?)
        }
        _ => (Method::Socks4, Host::Ip(ip.into())),
    };
    let command = match command {
        1 => Command::Connect,
        2 => Command::Bind,
        other => return Err(Refusal::Command(other).into()),
    };
    let request = Request {
        method,
        command,
        destination: Destination { host, port },
        user: None,
    };
    Ok((request, reader.taken()))
}

pub(super) fn code(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Granted(_) => GRANTED,
        Verdict::Refused(_) => REFUSED,
    }
}

pub(super) fn reply(verdict: Verdict) -> Vec<u8> {
    let bound = match verdict {
        Verdict::Granted(bound) => bound,
        Verdict::Refused(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
    };
    // An IPv6 address has no room here.
    let ip = match bound.ip().to_canonical() {
        IpAddr::V4(ip) => ip,
        IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
    };
    let [high, low] = bound.port().to_be_bytes();
    let [a, b, c, d] = ip.octets();
    vec![0, code(verdict), high, low, a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::proxy::{Cause, NameError};

    fn read(bytes: &[u8]) -> Result<(String, usize), Fault> {
        let (request, taken) = request(bytes)?;
        let Request {
            method,
            command,
            destination,
            ..
        } = request;
        Ok((format!("{method} {command} {destination}"), taken))
    }

    #[test]
    fn addresses_and_names_are_read() {
        let by_address = b"\x04\x01\x00\x50\xc0\x00\x02\x01ann\x00more";
        let expected = "SOCKS4 CONNECT 192.0.2.1:80".to_owned();
        assert_eq!(read(by_address), Ok((expected, 12)));
        let by_name = b"\x04\x02\x00\x50\x00\x00\x00\x01\x00example.org\x00";
        let expected = "SOCKS4a BIND example.org:80".to_owned();
        assert_eq!(read(by_name), Ok((expected, by_name.len())));
    }

    #[test]
    fn what_is_no_request_is_refused() {
        let empty = b"\x04\x01\x00\x50\x00\x00\x00\x01\x00\x00";
        let expected = Fault::from(Refusal::Name(NameError::Empty));
        assert_eq!(read(empty), Err(expected));
        let strange = b"\x04\x09\x00\x50\xc0\x00\x02\x01\x00";
        assert_eq!(read(strange), Err(Refusal::Command(9).into()));
        let endless = [&b"\x04\x01\x00\x50\xc0\x00\x02\x01"[..], &[b'x'; 300]].concat();
        assert_eq!(read(&endless), Err(Refusal::TooLong.into()));
        assert_eq!(read(&endless[..100]), Err(Fault::Incomplete));
    }

    #[test]
    fn a_reply_has_its_code_and_the_address() {
        let bound = "192.0.2.7:258".parse().expect("an address");
        assert_eq!(
            reply(Verdict::Granted(bound)),
            [0, 0x5a, 1, 2, 192, 0, 2, 7]
        );
        let refused = Verdict::Refused(Cause::Denied);
        assert_eq!(reply(refused), [0, 0x5b, 0, 0, 0, 0, 0, 0]);
    }
}

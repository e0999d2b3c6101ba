//! SOCKS5's messages, parse beside emit (RFC 1928, RFC 1929).
//!
//! ```text
//! greeting: 05 N METHOD×N           choice: 05 METHOD
//! password: 01 N USER×N N PASS×N    answer: 01 STATUS
//! request:  05 CMD 00 ATYP ADDR PORT PORT
//! reply:    05 CODE 00 ATYP ADDR PORT PORT
//! ```

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::handshake::Refusal;
use super::reader::{Fault, Reader};
use super::{Cause, Command, Credentials, Destination, Host, Verdict};

pub(super) const VERSION: u8 = 5;
pub(super) const NO_PASSWORD: u8 = 0;
pub(super) const PASSWORD: u8 = 2;
const NONE_OF_THEM: u8 = 0xff;
const PASSWORD_VERSION: u8 = 1;

/// The ways to prove who one is that a client offers.
pub(super) fn greeting(bytes: &[u8]) -> Result<(&[u8], usize), Fault> {
    let mut reader = Reader::new(bytes);
    version(&mut reader, VERSION)?;
    let methods = reader.counted()?;
    Ok((methods, reader.taken()))
}

/// The answer to a greeting.
pub(super) fn choice(method: Option<u8>) -> Vec<u8> {
    vec![VERSION, method.unwrap_or(NONE_OF_THEM)]
}

/// A user's name and password.
pub(super) type Proof<'a> = (&'a [u8], &'a [u8]);

pub(super) fn password(bytes: &[u8]) -> Result<(Proof<'_>, usize), Fault> {
    let mut reader = Reader::new(bytes);
    version(&mut reader, PASSWORD_VERSION)?;
    let (user, password) = (reader.counted()?, reader.counted()?);
    Ok(((user, password), reader.taken()))
}

/// The answer to a password.
pub(super) fn password_answer(is_right: bool) -> Vec<u8> {
    vec![PASSWORD_VERSION, u8::from(!is_right)]
}

/// What is asked for.
pub(super) fn request(bytes: &[u8]) -> Result<((Command, Destination), usize), Fault> {
    let mut reader = Reader::new(bytes);
    version(&mut reader, VERSION)?;
    let command = reader.byte()?;
    reader.byte()?;
    let destination = address(&mut reader)?;
    let command = match command {
        1 => Command::Connect,
        2 => Command::Bind,
        3 => Command::Associate,
        other => return Err(Refusal::Command(other).into()),
    };
    Ok(((command, destination), reader.taken()))
}

fn version(reader: &mut Reader<'_>, own: u8) -> Result<(), Fault> {
    match reader.byte()? {
        byte if byte == own => Ok(()),
        byte => Err(Refusal::Version(byte).into()),
    }
}

/// ATYP, ADDR and PORT.
pub(super) fn address(reader: &mut Reader<'_>) -> Result<Destination, Fault> {
    let host = match reader.byte()? {
        1 => Host::Ip(reader.ipv4()?.into()),
        3 => {
            let name = reader.counted()?;
            let port = reader.port()?;
            let host = Host::read(name).map_err(Refusal::Name)?;
            return Ok(Destination { host, port });
        }
        4 => Host::Ip(reader.ipv6()?.into()),
        other => return Err(Refusal::AddressType(other).into()),
    };
    let port = reader.port()?;
    Ok(Destination { host, port })
}

/// Writes ATYP, ADDR and PORT.
pub(super) fn put_address(out: &mut Vec<u8>, destination: &Destination) {
    match &destination.host {
        Host::Ip(IpAddr::V4(ip)) => {
            out.push(1);
            out.extend(ip.octets());
        }
        Host::Ip(IpAddr::V6(ip)) => {
            out.push(4);
            out.extend(ip.octets());
        }
        Host::Name(name) => {
            let name = name.as_str().as_bytes();
            out.push(3);
            // A name has at most 255 bytes.
            out.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
            out.extend(name);
        }
    }
    out.extend(destination.port.to_be_bytes());
}

pub(super) fn code(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Granted(_) => 0,
        Verdict::Refused(cause) => match cause {
            Cause::Denied => 2,
            Cause::NetworkUnreachable => 3,
            Cause::HostUnreachable | Cause::TimedOut => 4,
            Cause::ConnectionRefused => 5,
            Cause::CommandUnsupported => 7,
            Cause::AddressUnsupported => 8,
            Cause::Unauthorized | Cause::Malformed | Cause::Failure => 1,
        },
    }
}

pub(super) fn reply(verdict: Verdict) -> Vec<u8> {
    let bound = match verdict {
        Verdict::Granted(bound) => SocketAddr::new(bound.ip().to_canonical(), bound.port()),
        Verdict::Refused(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
    };
    let mut out = vec![VERSION, code(verdict), 0];
    put_address(&mut out, &bound.into());
    out
}

/// The greeting of a client that may have a password.
pub(super) fn hello(has_password: bool) -> Vec<u8> {
    if has_password {
        vec![VERSION, 2, NO_PASSWORD, PASSWORD]
    } else {
        vec![VERSION, 1, NO_PASSWORD]
    }
}

/// The method that the server chose; none of those offered where it is none.
pub(super) fn chosen(bytes: &[u8]) -> Result<(u8, usize), Fault> {
    let mut reader = Reader::new(bytes);
    version(&mut reader, VERSION)?;
    Ok((reader.byte()?, reader.taken()))
}

pub(super) fn put_password(credentials: &Credentials) -> Vec<u8> {
    let mut out = vec![PASSWORD_VERSION];
    for text in [&credentials.user, &credentials.password] {
        // Credentials have at most 255 bytes.
        out.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
        out.extend(text.as_bytes());
    }
    out
}

/// Whether the password was right.
pub(super) fn judged(bytes: &[u8]) -> Result<(bool, usize), Fault> {
    let mut reader = Reader::new(bytes);
    version(&mut reader, PASSWORD_VERSION)?;
    Ok((reader.byte()? == 0, reader.taken()))
}

pub(super) fn put_request(command: Command, destination: &Destination) -> Vec<u8> {
    let command = match command {
        Command::Connect => 1,
        Command::Bind => 2,
        Command::Associate => 3,
    };
    let mut out = vec![VERSION, command, 0];
    put_address(&mut out, destination);
    out
}

/// A reply's code and address.
pub(super) fn replied(bytes: &[u8]) -> Result<((u8, Destination), usize), Fault> {
    let mut reader = Reader::new(bytes);
    version(&mut reader, VERSION)?;
    let code = reader.byte()?;
    reader.byte()?;
    let bound = address(&mut reader);
    match bound {
        Ok(bound) => Ok(((code, bound), reader.taken())),
        // Some name no address where they refuse.
        Err(Fault::Refused(_)) if code != 0 => {
            let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)).into();
            Ok(((code, nowhere), reader.taken()))
        }
        Err(fault) => Err(fault),
    }
}

/// What a reply's code means.
pub(super) fn meaning(code: u8) -> Cause {
    match code {
        2 => Cause::Denied,
        3 => Cause::NetworkUnreachable,
        4 | 6 => Cause::HostUnreachable,
        5 => Cause::ConnectionRefused,
        7 => Cause::CommandUnsupported,
        8 => Cause::AddressUnsupported,
        _ => Cause::Failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::proxy::NameError;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_request_is_refused() {
        for (bytes, refusal) in [
            (&b"\x05\x01\x00\x09"[..], Refusal::AddressType(9)),
            (b"\x05\x09\x00\x01\x7f\0\0\x01\0\x50", Refusal::Command(9)),
            (b"\x05\x01\0\x03\0\0\x50", Refusal::Name(NameError::Empty)),
            (
                b"\x05\x01\0\x03\x03a\0b\0\x50",
                Refusal::Name(NameError::Nul),
            ),
            (b"\x06\x01\0\x01", Refusal::Version(6)),
        ] {
            assert_eq!(request(bytes), Err(refusal.into()), "{bytes:x?}");
        }
    }

    #[test]
    fn every_failure_has_its_code() {
        use std::io::Error;
        // Linux's numbers: ECONNREFUSED, ENETUNREACH, EHOSTUNREACH, ETIMEDOUT,
        // EACCES, ECONNRESET.
        for (errno, expected) in [(111, 5), (101, 3), (113, 4), (110, 4), (13, 2), (104, 1)] {
            let cause = Cause::of(&Error::from_raw_os_error(errno));
            assert_eq!(code(Verdict::Refused(cause)), expected, "errno {errno}");
        }
    }

    fn destination() -> impl Strategy<Value = Destination> {
        let name = "[a-z0-9.-]{1,255}".prop_map(|name| Host::read(name.as_bytes()).expect("fits"));
        let ip = any::<IpAddr>().prop_map(Host::Ip);
        (prop_oneof![name, ip], any::<u16>()).prop_map(|(host, port)| Destination { host, port })
    }

    proptest! {
        #[test]
        fn a_request_reads_back(to in destination(), rest: Vec<u8>) {
            let bytes = put_request(Command::Connect, &to);
            let with_rest = [&bytes[..], &rest].concat();
            prop_assert_eq!(request(&with_rest), Ok(((Command::Connect, to), bytes.len())));
        }

        #[test]
        fn a_reply_reads_back(bound: SocketAddr) {
            let bytes = reply(Verdict::Granted(bound));
            let expected = SocketAddr::new(bound.ip().to_canonical(), bound.port());
            prop_assert_eq!(replied(&bytes), Ok(((0, expected.into()), bytes.len())));
        }

        #[test]
        fn a_password_reads_back(user in ".{1,60}", secret in ".{1,60}") {
            let one = Credentials { user: user.clone(), password: secret.clone() };
            let bytes = put_password(&one);
            let expected = (user.as_bytes(), secret.as_bytes());
            prop_assert_eq!(password(&bytes), Ok((expected, bytes.len())));
        }
    }
}

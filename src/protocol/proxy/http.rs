//! HTTP's CONNECT: the request's head and the answers, parse beside emit
//! (RFC 9110 section 9.3.6, RFC 9112, RFC 7617).
//!
//! Takes no other method: this proxy passes bytes on and reads no pages.

use std::fmt::Write;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::handshake::Refusal;
use super::reader::Fault;
use super::{Cause, Credentials, Destination, Verdict};

/// The most bytes of a head.
pub(super) const LONGEST: usize = 8 << 10;
/// The most fields of a head.
const MOST_FIELDS: usize = 64;

/// What a head says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) destination: Destination,
    /// The user's name and password, where they are there.
    pub(super) proof: Option<(Vec<u8>, Vec<u8>)>,
}

/// Reads a request's head, and how many bytes it has.
pub(super) fn request(bytes: &[u8]) -> Result<(Head, usize), Fault> {
    let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
    let mut parsed = httparse::Request::new(&mut fields);
    let taken = whole(parsed.parse(bytes), bytes)?;
    let method = parsed.method.unwrap_or_default();
    if method != "CONNECT" {
        return Err(Refusal::HttpMethod(method.chars().take(16).collect()).into());
    }
    let destination = Destination::read(parsed.path.unwrap_or_default(), None);
    let destination = destination.ok_or(Refusal::Authority)?;
    let mut fields = parsed.headers.iter();
    let proof = fields.find(|field| field.name.eq_ignore_ascii_case("Proxy-Authorization"));
    let proof = proof.and_then(|field| basic(field.value));
    Ok((Head { destination, proof }, taken))
}

/// How long the head is, once it is whole.
fn whole(parsed: httparse::Result<usize>, bytes: &[u8]) -> Result<usize, Fault> {
    use httparse::Status;
    match parsed {
        Ok(Status::Complete(taken)) if taken <= LONGEST => Ok(taken),
        Ok(Status::Complete(_)) | Err(httparse::Error::TooManyHeaders) => {
            Err(Refusal::TooLong.into())
        }
        Ok(Status::Partial) if bytes.len() >= LONGEST => Err(Refusal::TooLong.into()),
        Ok(Status::Partial) => Err(Fault::Incomplete),
        Err(_) => Err(Refusal::NotHttp.into()),
    }
}

/// A name and a password in the Basic scheme.
fn basic(value: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (scheme, encoded) = value.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let mut proof = STANDARD.decode(encoded.trim_ascii()).ok()?;
    let colon = proof.iter().position(|byte| *byte == b':')?;
    let password = proof.split_off(colon + 1);
    proof.pop();
    Some((proof, password))
}

/// The status and its reason.
pub(super) fn status(verdict: Verdict) -> (u16, &'static str) {
    match verdict {
        Verdict::Granted(_) => (200, "Connection established"),
        Verdict::Refused(cause) => match cause {
            Cause::Malformed | Cause::AddressUnsupported => (400, "Bad Request"),
            Cause::Denied => (403, "Forbidden"),
            Cause::CommandUnsupported => (405, "Method Not Allowed"),
            Cause::Unauthorized => (407, "Proxy Authentication Required"),
            Cause::TimedOut => (504, "Gateway Timeout"),
            Cause::NetworkUnreachable
            | Cause::HostUnreachable
            | Cause::ConnectionRefused
            | Cause::Failure => (502, "Bad Gateway"),
        },
    }
}

pub(super) fn reply(verdict: Verdict) -> Vec<u8> {
    let (code, reason) = status(verdict);
    let mut head = format!("HTTP/1.1 {code} {reason}\r\n");
    let Verdict::Refused(cause) = verdict else {
        // No length: what follows is the tunnel (RFC 9110 section 9.3.6).
        head.push_str("\r\n");
        return head.into();
    };
    match cause {
        Cause::Unauthorized => head.push_str("Proxy-Authenticate: Basic realm=\"socklab\"\r\n"),
        Cause::CommandUnsupported => head.push_str("Allow: CONNECT\r\n"),
        _ => {}
    }
    let body = format!("{cause}\n");
    let length = body.len();
    // A String takes everything.
    let _ = write!(
        head,
        "Content-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    head.into()
}

/// A request to another proxy.
pub(super) fn put_request(destination: &Destination, credentials: Option<&Credentials>) -> Vec<u8> {
    let mut head = format!("CONNECT {destination} HTTP/1.1\r\nHost: {destination}\r\n");
    if let Some(Credentials { user, password }) = credentials {
        let proof = STANDARD.encode(format!("{user}:{password}"));
        // A String takes everything.
        let _ = write!(head, "Proxy-Authorization: Basic {proof}\r\n");
    }
    head.push_str("\r\n");
    head.into()
}

/// Another proxy's status, and how many bytes its head has.
pub(super) fn answered(bytes: &[u8]) -> Result<(u16, usize), Fault> {
    let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
    let mut parsed = httparse::Response::new(&mut fields);
    let taken = whole(parsed.parse(bytes), bytes)?;
    Ok((parsed.code.unwrap_or_default(), taken))
}

/// What another proxy's status means, where it means one thing: 502 is what
/// each has for a host that refused and for one that could not be found.
pub(super) fn meaning(status: u16) -> Option<Cause> {
    match status {
        403 => Some(Cause::Denied),
        407 => Some(Cause::Unauthorized),
        504 => Some(Cause::TimedOut),
        _ => None,
    }
}

/// The answer to what never was a request.
pub(super) fn too_long() -> Vec<u8> {
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_and_what_follows_is_left() {
        let bytes = b"CONNECT [2001:db8::1]:443 HTTP/1.0\r\nHost: x\r\n\
                      proxy-authorization: bAsIc YW5uOnM6dA==\r\n\r\nhello";
        let (head, taken) = request(bytes).expect("a request");
        assert_eq!(head.destination.to_string(), "[2001:db8::1]:443");
        assert_eq!(head.proof, Some((b"ann".to_vec(), b"s:t".to_vec())));
        assert_eq!(&bytes[taken..], b"hello");
    }

    #[test]
    fn what_is_no_connect_is_refused() {
        let get = b"GET http://example.org/ HTTP/1.1\r\n\r\n";
        assert_eq!(request(get), Err(Refusal::HttpMethod("GET".into()).into()));
        for authority in ["example.org", "example.org:0x50", "/", "a b:80", "[::1"] {
            let head = format!("CONNECT {authority} HTTP/1.1\r\n\r\n");
            request(head.as_bytes()).expect_err(authority);
        }
        let nul = b"CONNECT example\0.org:80 HTTP/1.1\r\n\r\n";
        assert_eq!(request(nul), Err(Refusal::NotHttp.into()));
        let endless = [&b"CONNECT a:1 HTTP/1.1\r\nx: "[..], &[b'y'; LONGEST]].concat();
        assert_eq!(request(&endless), Err(Refusal::TooLong.into()));
    }

    #[test]
    fn refusals_say_how_long_they_are() {
        for cause in [Cause::Denied, Cause::Unauthorized, Cause::TimedOut] {
            let reply = reply(Verdict::Refused(cause));
            let (status, taken) = answered(&reply).expect("a response");
            let text = String::from_utf8(reply.clone()).expect("ASCII");
            let length = reply.len() - taken;
            assert!(
                text.contains(&format!("Content-Length: {length}\r\n")),
                "{text}"
            );
            assert_eq!(meaning(status), Some(cause));
        }
    }
}

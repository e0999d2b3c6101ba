//! Handshakes of every protocol, whole and in pieces, hostile ones among them.

use super::*;
use crate::protocol::proxy::{Destination, socks5};
use proptest::prelude::*;

fn users() -> Arc<Users> {
    Arc::new(Users::read("ann:secret").expect("a user"))
}

/// Who may come in, a whole handshake, and what it comes to.
type Whole = (Option<Arc<Users>>, Vec<u8>, Vec<Step>);

/// What is said and decided where the bytes arrive in these pieces, and what is
/// left.
fn play<'a>(
    users: Option<Arc<Users>>,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Step>, Vec<u8>) {
    let mut handshake = Handshake::new(users);
    let mut steps = Vec::new();
    for piece in pieces {
        handshake.handle_bytes(piece);
        loop {
            match handshake.poll() {
                Step::Wait => break,
                step => steps.push(step),
            }
        }
    }
    (steps, handshake.into_rest())
}

fn request(method: Method, command: Command, to: &str, user: Option<&str>) -> Step {
    Step::Asked(Request {
        method,
        command,
        destination: Destination::read(to, None).expect("a destination"),
        user: user.map(str::to_owned),
    })
}

/// Whole handshakes, each with `more` behind it, and what they come to.
fn handshakes() -> Vec<Whole> {
    let connect = b"\x05\x01\0\x03\x0bexample.org\x01\xbb";
    let asked = |user| request(Method::Socks5, Command::Connect, "example.org:443", user);
    vec![
        (
            None,
            [&b"\x05\x02\x00\x02"[..], connect].concat(),
            vec![Step::Say(vec![5, 0]), asked(None)],
        ),
        (
            Some(users()),
            [&b"\x05\x02\x00\x02\x01\x03ann\x06secret"[..], connect].concat(),
            vec![
                Step::Say(vec![5, 2]),
                Step::Say(vec![1, 0]),
                asked(Some("ann")),
            ],
        ),
        (
            None,
            b"\x04\x01\x01\xbb\0\0\0\x01ann\0example.org\0".to_vec(),
            vec![request(
                Method::Socks4a,
                Command::Connect,
                "example.org:443",
                None,
            )],
        ),
        (
            Some(users()),
            b"CONNECT example.org:443 HTTP/1.1\r\nProxy-Authorization: Basic YW5uOnNlY3JldA==\r\n\r\n"
                .to_vec(),
            vec![request(
                Method::HttpConnect,
                Command::Connect,
                "example.org:443",
                Some("ann"),
            )],
        ),
        (
            None,
            b"\r\nCONNECT a:1 HTTP/1.1\r\n\r\n".to_vec(),
            vec![request(Method::HttpConnect, Command::Connect, "a:1", None)],
        ),
        (
            None,
            b"\x05\x01\x00\x05\x03\x00\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec(),
            vec![
                Step::Say(vec![5, 0]),
                request(Method::Socks5, Command::Associate, "[::]:0", None),
            ],
        ),
    ]
}

#[test]
fn a_handshake_cut_at_every_byte_is_the_same_and_what_follows_is_left() {
    const MORE: &[u8] = b"\x05the first words";
    for (users, handshake, expected) in handshakes() {
        let bytes = [&handshake[..], MORE].concat();
        for cut in 0..=bytes.len() {
            let (head, tail) = bytes.split_at(cut);
            let (steps, rest) = play(users.clone(), [head, tail]);
            assert_eq!(steps, expected, "cut at {cut}");
            assert_eq!(rest, MORE, "cut at {cut}");
        }
        let (steps, rest) = play(users, bytes.chunks(1));
        assert_eq!((steps, &rest[..]), (expected, MORE), "byte by byte");
    }
}

fn refused(users: Option<Arc<Users>>, bytes: &[u8]) -> (Vec<u8>, Refusal) {
    let (steps, _) = play(users, [bytes]);
    match steps.last() {
        Some(Step::Refused { say, why, .. }) => (say.clone(), why.clone()),
        other => panic!("{bytes:x?} came to {other:?}"),
    }
}

#[test]
fn each_refusal_has_its_reply() {
    let http = |status: &str| format!("HTTP/1.1 {status}\r\n").into_bytes();
    for (users, bytes, say, why) in [
        (None, &b"\x16\x03\x01"[..], vec![], Refusal::Unknown(0x16)),
        (None, b"\x05\x01\x02", vec![5, 0xff], Refusal::NoMethod),
        (
            Some(users()),
            b"\x05\x01\x00",
            vec![5, 0xff],
            Refusal::NoMethod,
        ),
        (None, b"\x05\x00", vec![5, 0xff], Refusal::NoMethod),
        (
            Some(users()),
            b"\x05\x01\x02\x01\x03ann\x05wrong",
            vec![1, 1],
            Refusal::WrongPassword,
        ),
        (
            Some(users()),
            b"\x05\x01\x02\x05\x03ann\x05wrong",
            vec![],
            Refusal::Version(5),
        ),
        (
            Some(users()),
            b"\x04\x01\0\x50\x7f\0\0\x01ann\0",
            vec![0, 0x5b, 0, 0, 0, 0, 0, 0],
            Refusal::NeedsPassword,
        ),
        (
            Some(users()),
            b"CONNECT a:1 HTTP/1.1\r\n\r\n",
            http("407 Proxy Authentication Required"),
            Refusal::NeedsPassword,
        ),
        (
            None,
            b"GET / HTTP/1.1\r\n\r\n",
            http("405 Method Not Allowed"),
            Refusal::HttpMethod("GET".into()),
        ),
        (
            None,
            b"\x05\x01\0\x05\x01\0\x09",
            socks5::reply(Verdict::Refused(Cause::AddressUnsupported)),
            Refusal::AddressType(9),
        ),
        (
            None,
            b"\x05\x01\0\x05\x01\0\x03\x03a\0b\0\x50",
            socks5::reply(Verdict::Refused(Cause::Malformed)),
            Refusal::Name(NameError::Nul),
        ),
    ] {
        let (said, reason) = refused(users, bytes);
        assert_eq!(reason, why);
        assert!(said.starts_with(&say), "{why}: {said:x?}");
        assert_eq!(said.is_empty(), say.is_empty(), "{why}");
    }
}

#[test]
fn one_empty_line_is_passed_over_and_only_before_http() {
    for (bytes, byte) in [
        (&b"\r\n\x05\x01\0"[..], 5),
        (b"\r\n\r\nCONNECT a:1 HTTP/1.1\r\n\r\n", b'\r'),
        (b"\rCONNECT", b'\r'),
        (b"\nCONNECT", b'\n'),
    ] {
        assert_eq!(refused(None, bytes), (vec![], Refusal::Unknown(byte)));
    }
}

/// What was said, all in one, and what it came to.
fn sum(steps: Vec<Step>) -> (Vec<u8>, Option<Step>) {
    let mut said = Vec::new();
    for step in steps {
        match step {
            Step::Say(bytes) => said.extend(bytes),
            other => return (said, Some(other)),
        }
    }
    (said, None)
}

fn beginnings() -> impl Strategy<Value = Vec<u8>> {
    let some = handshakes().into_iter().map(|(_, bytes, _)| bytes);
    let known = prop::sample::select(some.collect::<Vec<_>>());
    let noise = prop::collection::vec(any::<u8>(), 0..600);
    (known, any::<prop::sample::Index>(), any::<u8>(), noise).prop_map(
        |(mut bytes, place, byte, noise)| {
            let place = place.index(bytes.len());
            bytes[place] = byte;
            bytes.extend(noise);
            bytes
        },
    )
}

proptest! {
    /// However the bytes are cut, the same comes of them.
    #[test]
    fn cuts_change_nothing(
        bytes in prop_oneof![beginnings(), prop::collection::vec(any::<u8>(), 0..600)],
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        asks: bool,
    ) {
        let users = || if asks { Some(users()) } else { None };
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        ends.sort_unstable();
        let mut pieces = Vec::new();
        let mut from = 0;
        for end in ends {
            pieces.push(&bytes[from..end]);
            from = end;
        }
        pieces.push(&bytes[from..]);
        let (cut, cut_rest) = play(users(), pieces);
        let (whole, rest) = play(users(), [&bytes[..]]);
        prop_assert_eq!(cut_rest, rest);
        prop_assert_eq!(sum(cut), sum(whole));
    }
}

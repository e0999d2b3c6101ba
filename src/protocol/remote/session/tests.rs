//! Both ends against each other, and against everything that somebody between
//! them could do: every bit changed, every message cut, repeated, left out, put
//! elsewhere.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::protocol::remote::{Amount, Ending, Outcome, Output};

struct Keys {
    server: Secret,
    client: Secret,
    authorised: Authorised,
}

impl Keys {
    fn new() -> Self {
        let (server, client) = (Secret::from_bytes([1; 32]), Secret::from_bytes([2; 32]));
        let mut authorised = Authorised::default();
        for (number, name) in [(3, "another"), (2, "client"), (4, "a third")] {
            let key = Secret::from_bytes([number; 32]).public();
            authorised.add(key, name).expect("a new key");
        }
        Self {
            server,
            client,
            authorised,
        }
    }

    fn server(&self) -> Server<'_> {
        Server::new(&self.server, &self.authorised)
    }

    fn client(&self, salt: u8) -> (Client, Vec<u8>) {
        Client::begin(&self.client, &self.server.public(), [salt; 16]).expect("it begins")
    }

    /// Both ends after the handshake.
    fn open(&self) -> (Client, Server<'_>) {
        let ((mut client, hello), mut server) = (self.client(0), self.server());
        let reply = greeting(server.handle_bytes(&hello, &mut Seen::last(8)));
        let told = client.handle_bytes(&reply).expect("the right keys");
        assert_eq!(told, [Told::Greeted]);
        (client, server)
    }
}

fn greeting(heard: Result<Vec<Heard>, Broken>) -> Vec<u8> {
    match heard.expect("the right keys").as_slice() {
        [Heard::Greeted { reply, .. }] => reply.clone(),
        other => panic!("no greeting: {other:?}"),
    }
}

fn run() -> Ask {
    Ask::Run {
        id: "greet".into(),
        parameters: vec!["world".into()],
    }
}

fn replies() -> Vec<Reply> {
    let bytes = b"hello\n".to_vec();
    let output = Output::Stdout;
    vec![
        Reply::Begun { run: 7 },
        Reply::Output { output, bytes },
        Reply::Ended(Ending {
            outcome: Outcome::Exited(3),
            stdout: Amount {
                sent: 6,
                left_out: 0,
            },
            stderr: Amount::default(),
            took: Duration::from_millis(5),
        }),
    ]
}

/// Every frame of one run, each way: the client's two, the server's four.
fn conversation(keys: &Keys) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let ((mut client, hello), mut server) = (keys.client(0), keys.server());
    let seen = &mut Seen::last(8);
    let mut answers = vec![greeting(server.handle_bytes(&hello, seen))];
    client.handle_bytes(&answers[0]).expect("greeted");
    let ask = client.ask(&run()).expect("it is open");
    server.handle_bytes(&ask, seen).expect("heard");
    answers.extend(
        replies()
            .iter()
            .map(|reply| server.answer(reply).expect("open")),
    );
    (vec![hello, ask], answers)
}

#[test]
fn a_run_from_the_greeting_to_its_end() {
    let keys = Keys::new();
    let (mut client, mut server) = keys.open();
    let seen = &mut Seen::last(8);
    let ask = client.ask(&run()).expect("open");
    assert_eq!(
        server.handle_bytes(&ask, seen),
        Ok(vec![Heard::Asked(run())])
    );
    for reply in replies() {
        assert!(!client.is_over());
        let frame = server.answer(&reply).expect("open");
        assert_eq!(client.handle_bytes(&frame), Ok(vec![Told::Reply(reply)]));
    }
    assert!(client.is_over());
    let end = client.ask(&Ask::End).expect("asked before");
    assert_eq!(
        server.handle_bytes(&end, seen),
        Ok(vec![Heard::Asked(Ask::End)])
    );
}

#[test]
fn nothing_is_asked_or_answered_before_the_handshake_is_done() {
    let keys = Keys::new();
    let ((mut client, _), mut server) = (keys.client(0), keys.server());
    assert_eq!(client.ask(&run()), Err(Broken::Order));
    assert_eq!(server.answer(&Reply::Listed), Err(Broken::Closed));
    assert!(!server.is_open());
    // Whoever begins with a message is no client.
    let (_, ask) = {
        let (frames, _) = conversation(&keys);
        (frames[0].clone(), frames[1].clone())
    };
    let broken = server.handle_bytes(&ask, &mut Seen::last(8));
    assert_eq!(broken, Err(Broken::Foreign));
}

#[test]
fn a_wrong_key_at_either_end_is_refused() {
    let keys = Keys::new();
    let stranger = Secret::from_bytes([9; 32]);
    let (_, hello) = Client::begin(&stranger, &keys.server.public(), [0; 16]).expect("it begins");
    let seen = &mut Seen::last(8);
    let broken = keys.server().handle_bytes(&hello, seen);
    assert_eq!(broken, Err(Broken::Stranger));
    // The client expects another server's key.
    let (_, hello) = Client::begin(&keys.client, &stranger.public(), [0; 16]).expect("begins");
    assert_eq!(
        keys.server().handle_bytes(&hello, seen),
        Err(Broken::Stranger)
    );
    // A server that says it is another one: it knows the public keys only.
    let (mut client, hello) = keys.client(0);
    let broken = Server::new(&stranger, &keys.authorised).handle_bytes(&hello, seen);
    assert_eq!(broken, Err(Broken::Stranger));
    assert_eq!(client.handle_bytes(&[0, 48]), Ok(vec![]));
    assert_eq!(client.handle_bytes(&[7; 48]), Err(Broken::Handshake));
}

#[test]
fn who_takes_an_authorised_hint_without_its_key_is_refused() {
    let keys = Keys::new();
    let (_, real) = keys.client(0);
    let stranger = Secret::from_bytes([9; 32]);
    let (_, forged) = Client::begin(&stranger, &keys.server.public(), [0; 16]).expect("it begins");
    // The real client's salt and hint before the stranger's handshake.
    let mixed = [
        &real[..2 + HELLO_BYTES - 48],
        &forged[2 + HELLO_BYTES - 48..],
    ]
    .concat();
    let broken = keys.server().handle_bytes(&mixed, &mut Seen::last(8));
    assert_eq!(broken, Err(Broken::Handshake));
}

#[test]
fn a_handshake_played_again_is_refused() {
    let keys = Keys::new();
    let (_, hello) = keys.client(0);
    let seen = &mut Seen::last(8);
    greeting(keys.server().handle_bytes(&hello, seen));
    assert_eq!(
        keys.server().handle_bytes(&hello, seen),
        Err(Broken::Replayed)
    );
}

#[test]
fn a_whole_run_played_again_to_a_server_that_has_forgotten_it_is_refused() {
    let keys = Keys::new();
    let (asked, _) = conversation(&keys);
    let mut server = keys.server();
    let seen = &mut Seen::last(8);
    // The answer is of no use to whoever has no key: the run is not heard.
    greeting(server.handle_bytes(&asked[0], seen));
    assert_eq!(server.handle_bytes(&asked[1], seen), Err(Broken::Message));
    assert!(!server.is_open());
}

#[test]
fn a_server_remembers_a_bounded_number_of_greetings() {
    let (keys, mut seen) = (Keys::new(), Seen::last(2));
    let hellos: Vec<Vec<u8>> = (0..3).map(|salt| keys.client(salt).1).collect();
    for hello in &hellos {
        greeting(keys.server().handle_bytes(hello, &mut seen));
    }
    let again = |hello, seen: &mut Seen| keys.server().handle_bytes(hello, seen);
    assert_eq!(again(&hellos[2], &mut seen), Err(Broken::Replayed));
    assert_eq!(again(&hellos[1], &mut seen), Err(Broken::Replayed));
    again(&hellos[0], &mut seen).expect("forgotten");
}

/// Each bit of each frame, the length before it too.
#[test]
fn every_bit_of_every_message_is_protected() {
    let keys = Keys::new();
    let (asked, answered) = conversation(&keys);
    let mut count = 0;
    for (bytes, own) in [(&asked[0], 0), (&asked[1], 1)] {
        for bit in 0..bytes.len() * 8 {
            let mut server = keys.server();
            let seen = &mut Seen::last(8);
            let mut client = None;
            if own == 1 {
                let (mut other, hello) = keys.client(0);
                let reply = greeting(server.handle_bytes(&hello, seen));
                other.handle_bytes(&reply).expect("greeted");
                client = Some(other.ask(&run()).expect("open"));
            }
            let mut flipped = client.unwrap_or_else(|| bytes.clone());
            flipped[bit / 8] ^= 1 << (bit % 8);
            // A longer frame is waited for and is refused when it has come.
            let came = server.handle_bytes(&flipped, seen);
            let came = came.and_then(|heard| match heard.as_slice() {
                [] => server.handle_bytes(&vec![0; LARGEST_FRAME], seen),
                _ => Ok(heard),
            });
            assert!(
                came.is_err(),
                "bit {bit} of the client's message {own}: {came:?}"
            );
            assert_eq!(server.handle_bytes(&[], seen), Err(Broken::Closed));
            count += 1;
        }
    }
    for (own, bytes) in answered.iter().enumerate() {
        for bit in 0..bytes.len() * 8 {
            let (mut client, frame) = before(&keys, own);
            let mut flipped = frame;
            flipped[bit / 8] ^= 1 << (bit % 8);
            let came = client.handle_bytes(&flipped);
            let came = came.and_then(|told| match told.as_slice() {
                [] => client.handle_bytes(&vec![0; LARGEST_FRAME]),
                _ => Ok(told),
            });
            assert!(
                came.is_err(),
                "bit {bit} of the server's message {own}: {came:?}"
            );
            assert_eq!(client.handle_bytes(&[]), Err(Broken::Closed));
            count += 1;
        }
    }
    let all: usize = asked.iter().chain(&answered).map(Vec::len).sum();
    assert_eq!(count, all * 8);
}

/// A client before the server's message of this number, and that message.
fn before(keys: &Keys, number: usize) -> (Client, Vec<u8>) {
    let ((mut client, hello), mut server) = (keys.client(0), keys.server());
    let seen = &mut Seen::last(8);
    let reply = greeting(server.handle_bytes(&hello, seen));
    if number == 0 {
        return (client, reply);
    }
    client.handle_bytes(&reply).expect("greeted");
    let ask = client.ask(&run()).expect("open");
    server.handle_bytes(&ask, seen).expect("heard");
    let mut frames = replies()
        .into_iter()
        .map(|reply| server.answer(&reply).expect("open"));
    for earlier in frames.by_ref().take(number - 1) {
        client.handle_bytes(&earlier).expect("in order");
    }
    (client, frames.next().expect("there is one"))
}

/// Each message is cut at each byte, its length made to fit.
#[test]
fn a_truncated_message_is_refused() {
    let keys = Keys::new();
    for length in 0..HELLO_BYTES {
        let (_, hello) = keys.client(0);
        let cut = framed(&hello[2..2 + length]).expect("short");
        let heard = keys.server().handle_bytes(&cut, &mut Seen::last(8));
        heard.expect_err("too short");
    }
    for number in 0..=replies().len() {
        let (_, frame) = before(&keys, number);
        for length in 0..frame.len() - 2 {
            let (mut client, frame) = before(&keys, number);
            let cut = framed(&frame[2..2 + length]).expect("short");
            client.handle_bytes(&cut).expect_err("too short");
        }
    }
}

#[test]
fn a_message_repeated_left_out_or_put_elsewhere_is_refused() {
    let keys = Keys::new();
    let frames = || {
        let (mut client, mut server) = keys.open();
        let ask = client.ask(&run()).expect("open");
        server
            .handle_bytes(&ask, &mut Seen::last(8))
            .expect("heard");
        let answers = replies()
            .into_iter()
            .map(|reply| server.answer(&reply).expect("open"));
        (client, answers.collect::<Vec<_>>())
    };
    for order in [&[0, 0][..], &[1], &[0, 2], &[0, 1, 1], &[0, 1, 0], &[2]] {
        let (mut client, answers) = frames();
        let (last, first) = order.split_last().expect("some");
        for index in first {
            client.handle_bytes(&answers[*index]).expect("in order");
        }
        let told = client.handle_bytes(&answers[*last]);
        assert_eq!(told, Err(Broken::Message), "{order:?}");
        // Not even the message that would have been right.
        assert_eq!(client.handle_bytes(&answers[0]), Err(Broken::Closed));
    }
    let (mut client, mut server) = keys.open();
    let seen = &mut Seen::last(8);
    let ask = client.ask(&run()).expect("open");
    server.handle_bytes(&ask, seen).expect("heard");
    assert_eq!(server.handle_bytes(&ask, seen), Err(Broken::Message));
}

#[test]
fn a_message_of_another_connection_or_direction_is_refused() {
    let keys = Keys::new();
    let (mut client, mut server) = keys.open();
    let (mut other, _) = keys.open();
    let seen = &mut Seen::last(8);
    let theirs = other.ask(&run()).expect("open");
    assert_eq!(server.handle_bytes(&theirs, seen), Err(Broken::Message));
    let own = client.ask(&run()).expect("open");
    assert_eq!(client.handle_bytes(&own), Err(Broken::Message));
}

#[test]
fn one_thing_is_asked_and_only_its_end_may_follow() {
    let keys = Keys::new();
    let (mut client, _) = keys.open();
    assert_eq!(client.ask(&Ask::End), Err(Broken::Order));
    client.ask(&Ask::List).expect("the first");
    assert_eq!(client.ask(&run()), Err(Broken::Order));
    // A client that does not keep to it.
    for (first, second) in [(Ask::End, None), (Ask::List, Some(run()))] {
        let (mut client, mut server) = keys.open();
        let seen = &mut Seen::last(8);
        let ClientPhase::Open(channel) = &mut client.phase else {
            panic!("it is open");
        };
        let mut send = |ask: &Ask| framed(&channel.seal(&ask.encode()).expect("open"));
        let mut heard = server.handle_bytes(&send(&first).expect("short"), seen);
        if let Some(second) = second {
            heard.expect("the first is heard");
            heard = server.handle_bytes(&send(&second).expect("short"), seen);
        }
        assert_eq!(heard, Err(Broken::Order));
    }
}

#[test]
fn another_version_and_another_protocol_are_named() {
    let keys = Keys::new();
    let (_, hello) = keys.client(0);
    let mut newer = hello.clone();
    newer[5] = 2;
    let seen = &mut Seen::last(8);
    let broken = keys.server().handle_bytes(&newer, seen);
    assert_eq!(broken, Err(Broken::Version(2)));
    let http = keys.server().handle_bytes(b"GET / HTTP/1.1\r\n\r\n", seen);
    assert_eq!(http, Err(Broken::Foreign));
    let (mut client, _) = keys.client(0);
    let ssh = client.handle_bytes(b"SSH-2.0-OpenSSH_9.2\r\n");
    assert_eq!(ssh, Err(Broken::Foreign));
}

/// The server in whatever order its answers come, sealed by itself.
#[test]
fn a_server_that_answers_out_of_place_is_not_believed() {
    let keys = Keys::new();
    for (ask, answers) in [
        (run(), vec![Reply::Listed]),
        (run(), vec![replies().remove(1)]),
        (Ask::List, vec![Reply::Begun { run: 1 }]),
        (Ask::List, vec![Reply::Listed, Reply::Listed]),
        (run(), vec![replies().remove(0), replies().remove(0)]),
    ] {
        let (mut client, mut server) = keys.open();
        let asked = client.ask(&ask).expect("open");
        server
            .handle_bytes(&asked, &mut Seen::last(8))
            .expect("heard");
        let told: Result<Vec<_>, _> = answers
            .iter()
            .map(|reply| client.handle_bytes(&server.answer(reply).expect("open")))
            .collect();
        assert_eq!(told, Err(Broken::Order), "{answers:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_cut_of_the_bytes_is_heard_alike(cuts in vec(0_usize..400, 0..6)) {
        let keys = Keys::new();
        let (mut client, mut server) = keys.open();
        let seen = &mut Seen::last(8);
        let ask = client.ask(&run()).expect("open");
        let ends = [ask, client.ask(&Ask::End).expect("asked")].concat();
        let mut heard = Vec::new();
        for piece in pieces(&ends, &cuts) {
            heard.extend(server.handle_bytes(piece, seen).expect("whole"));
        }
        prop_assert_eq!(heard, [Heard::Asked(run()), Heard::Asked(Ask::End)]);
        let frames: Vec<u8> = replies()
            .iter()
            .flat_map(|reply| server.answer(reply).expect("open"))
            .collect();
        let mut told = Vec::new();
        for piece in pieces(&frames, &cuts) {
            told.extend(client.handle_bytes(piece).expect("whole"));
        }
        let expected: Vec<Told> = replies().into_iter().map(Told::Reply).collect();
        prop_assert_eq!(told, expected);
    }

    #[test]
    fn no_bytes_make_either_end_panic_or_hear(bytes: Vec<u8>) {
        let keys = Keys::new();
        let heard = keys.server().handle_bytes(&bytes, &mut Seen::last(8));
        prop_assert!(heard.is_err() || heard == Ok(vec![]));
        let (mut client, _) = keys.client(0);
        let told = client.handle_bytes(&bytes);
        prop_assert!(told.is_err() || told == Ok(vec![]));
        let (mut client, mut server) = keys.open();
        let heard = server.handle_bytes(&bytes, &mut Seen::last(8));
        prop_assert!(heard.is_err() || heard == Ok(vec![]));
        let told = client.handle_bytes(&bytes);
        prop_assert!(told.is_err() || told == Ok(vec![]));
    }
}

/// The bytes cut at these places.
fn pieces<'a>(bytes: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| (*cut).min(bytes.len())).collect();
    cuts.sort_unstable();
    cuts.push(bytes.len());
    let mut from = 0;
    cuts.into_iter()
        .map(|to| &bytes[std::mem::replace(&mut from, to)..to])
        .collect()
}

//! Any bytes at either end of remote control, in any pieces: nothing is heard of
//! a stranger; what is read of a message is written again as it was; and behind a
//! true handshake what was said is heard as it was said, until somebody between
//! the ends meddles: then nothing is.

#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use socklab::protocol::remote::allow::AllowList;
use socklab::protocol::remote::{
    Amount, Ask, Authorised, Broken, Client, Ending, Entry, Heard, Known, Outcome, Output, Reply,
    Secret, Seen, Server, Told, Why,
};

fuzz_target!(|bytes: &[u8]| {
    let (own, other) = (Secret::from_bytes([1; 32]), Secret::from_bytes([2; 32]));
    let mut authorised = Authorised::default();
    authorised.add(other.public(), "other").expect("a new key");
    let server = Server::new(&own, &authorised);
    let (client, hello) = Client::begin(&other, &own.public(), [0; 16]).expect("it begins");
    match bytes.split_first() {
        Some((0x80.., script)) => converse(server, client, &hello, script),
        _ => strangers(server, client, bytes),
    }
    texts(bytes);
});

/// The first byte says how long the pieces are.
fn strangers(mut server: Server<'_>, mut client: Client, bytes: &[u8]) {
    let mut seen = Seen::last(4);
    let size = usize::from(bytes.first().copied().unwrap_or(1)).max(1);
    for piece in bytes.chunks(size) {
        if let Ok(heard) = server.handle_bytes(piece, &mut seen) {
            assert!(heard.is_empty(), "{heard:?}");
        }
        if let Ok(told) = client.handle_bytes(piece) {
            assert!(told.is_empty(), "{told:?}");
        }
    }
}

/// Both ends say what the script has them say, each byte a step.
fn converse(mut server: Server<'_>, mut client: Client, hello: &[u8], script: &[u8]) {
    let mut seen = Seen::last(4);
    let heard = server
        .handle_bytes(hello, &mut seen)
        .expect("the right key");
    let [Heard::Greeted { reply, .. }] = heard.as_slice() else {
        panic!("no greeting: {heard:?}");
    };
    assert_eq!(client.handle_bytes(reply), Ok(vec![Told::Greeted]));
    for (step, byte) in script.iter().enumerate() {
        let rest = &script[step + 1..];
        let is_well = match byte % 16 {
            what @ 0..=3 => match client.ask(&question(what, rest)) {
                Ok(frame) => {
                    let heard = deliver(&frame, byte >> 4, |piece| {
                        server.handle_bytes(piece, &mut seen)
                    });
                    check(heard, byte >> 4, Heard::Asked(question(what, rest)))
                }
                Err(broken) => broken == Broken::Order,
            },
            what => match server.answer(&answer(what, rest)) {
                Ok(frame) => {
                    let told = deliver(&frame, byte >> 4, |piece| client.handle_bytes(piece));
                    check(told, byte >> 4, Told::Reply(answer(what, rest)))
                }
                Err(broken) => broken == Broken::Closed,
            },
        };
        if !is_well {
            return;
        }
    }
}

/// Whether it goes on: what was said was heard, or had no place there.
fn check<T: PartialEq + std::fmt::Debug>(
    heard: Result<Vec<T>, Broken>,
    meddling: u8,
    said: T,
) -> bool {
    match (heard, meddling) {
        (Ok(heard), 0..=11) => {
            assert_eq!(heard, [said]);
            true
        }
        // What was left out or cut off leaves nothing to hear.
        (Ok(heard), 12 | 13) => {
            assert!(heard.is_empty(), "{heard:?}");
            false
        }
        (Ok(heard), _) => panic!("meddled with, and heard: {heard:?}"),
        (Err(broken), 0..=11) => {
            assert_eq!(broken, Broken::Order);
            false
        }
        (Err(_), _) => false,
    }
}

/// Delivers a frame in pieces, or not as it was.
fn deliver<T>(
    frame: &[u8],
    meddling: u8,
    mut take: impl FnMut(&[u8]) -> Result<Vec<T>, Broken>,
) -> Result<Vec<T>, Broken> {
    let mut frame = frame.to_vec();
    let last = frame.len() - 1;
    match meddling {
        12 => return Ok(Vec::new()),
        13 => frame.truncate(last),
        14 => frame[last] ^= 1,
        15 => {
            take(&frame)?;
        }
        _ => {}
    }
    let size = usize::from(meddling).max(1);
    let mut heard = Vec::new();
    for piece in frame.chunks(size) {
        heard.extend(take(piece)?);
    }
    Ok(heard)
}

fn question(what: u8, rest: &[u8]) -> Ask {
    match what {
        0 => Ask::List,
        1 => Ask::End,
        _ => Ask::Run {
            id: words(rest),
            parameters: rest.chunks(3).take(4).map(words).collect(),
        },
    }
}

fn answer(what: u8, rest: &[u8]) -> Reply {
    let output = if what.is_multiple_of(2) {
        Output::Stdout
    } else {
        Output::Stderr
    };
    match what {
        4 => Reply::Listed,
        5 => Reply::Entry(Entry {
            id: words(rest),
            usage: words(rest),
            summary: words(rest),
        }),
        6 => Reply::Refused {
            why: Why::Busy,
            reason: words(rest),
        },
        7 | 8 => Reply::Begun {
            run: rest.len() as u64,
        },
        // Never nothing: that is no message.
        9..=13 => Reply::Output {
            output,
            bytes: rest.iter().copied().chain([what]).take(100).collect(),
        },
        _ => Reply::Ended(Ending {
            outcome: Outcome::Exited(what),
            stdout: Amount::default(),
            stderr: Amount::default(),
            took: Duration::from_millis(1),
        }),
    }
}

fn words(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(20)]).into_owned()
}

fn texts(bytes: &[u8]) {
    if let Ok(ask) = Ask::decode(bytes) {
        assert_eq!(ask.encode(), bytes);
    }
    if let Ok(reply) = Reply::decode(bytes) {
        assert_eq!(reply.encode(), bytes);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        if let Ok(list) = Authorised::parse(text) {
            assert_eq!(Authorised::parse(&list.to_file()), Ok(list));
        }
        if let Ok(list) = Known::parse(text) {
            assert_eq!(Known::parse(&list.to_file()), Ok(list));
        }
        if let Ok(list) = AllowList::parse(text) {
            let _ = list.prepare("info", &[text.to_owned()]);
        }
    }
}

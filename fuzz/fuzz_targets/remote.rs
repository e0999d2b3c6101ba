//! Any bytes at either end of remote control, in any pieces: nothing is heard of
//! a stranger, and what is read of a message is written again as it was.

#![no_main]

use libfuzzer_sys::fuzz_target;
use socklab::protocol::remote::allow::AllowList;
use socklab::protocol::remote::{Ask, Authorised, Client, Known, Reply, Secret, Seen, Server};

fuzz_target!(|bytes: &[u8]| {
    let (own, other) = (Secret::from_bytes([1; 32]), Secret::from_bytes([2; 32]));
    let mut authorised = Authorised::default();
    authorised.add(other.public(), "other").expect("a new key");
    let mut server = Server::new(&own, &authorised);
    let (mut client, _) = Client::begin(&other, &own.public(), [0; 16]).expect("it begins");
    let mut seen = Seen::last(4);
    // The first byte says how long the pieces are.
    let size = usize::from(bytes.first().copied().unwrap_or(1)).max(1);
    for piece in bytes.chunks(size) {
        if let Ok(heard) = server.handle_bytes(piece, &mut seen) {
            assert!(heard.is_empty(), "{heard:?}");
        }
        if let Ok(told) = client.handle_bytes(piece) {
            assert!(told.is_empty(), "{told:?}");
        }
    }
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
});

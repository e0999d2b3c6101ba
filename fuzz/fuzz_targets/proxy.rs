//! A proxy's handshake, cut anywhere: the same comes of it, and what lies beyond
//! it is given back; and the header of a datagram.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use socklab::protocol::proxy::handshake::{Handshake, Step};
use socklab::protocol::proxy::upstream::{self, Asking, Scheme};
use socklab::protocol::proxy::{Destination, Users, datagram};

fuzz_target!(|input: (bool, u16, &[u8])| {
    let (asks, cut, bytes) = input;
    let users = asks.then(|| Arc::new(Users::read("ann:secret").expect("a user")));
    let (head, tail) = bytes.split_at(bytes.len().min(cut.into()));
    assert_eq!(play(users.clone(), &[head, tail]), play(users, &[bytes]));
    for scheme in [Scheme::Socks5, Scheme::Http] {
        let to = Destination::read("a:1", None).expect("a destination");
        let mut asking = Asking::new(scheme, to, None);
        asking.handle_bytes(bytes);
        while let upstream::Step::Say(_) = asking.poll() {}
        assert!(bytes.ends_with(&asking.into_rest()));
    }
    if let Some(datagram) = datagram::read(bytes) {
        assert!(bytes.ends_with(datagram.data));
    }
});

fn play(users: Option<Arc<Users>>, pieces: &[&[u8]]) -> (Vec<u8>, Option<Step>, Vec<u8>) {
    let mut handshake = Handshake::new(users);
    let (mut said, mut end) = (Vec::new(), None);
    for piece in pieces {
        handshake.handle_bytes(piece);
        loop {
            match handshake.poll() {
                Step::Wait => break,
                Step::Say(bytes) => said.extend(bytes),
                step => end = Some(step),
            }
        }
    }
    (said, end, handshake.into_rest())
}

//! Any bytes as what members and strangers send: lines are the same however they
//! are cut, and what comes out is clean.

#![no_main]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use socklab::protocol::chat::{
    Input, LONGEST_LINE, Numbered, Order, Peers, Piece, Room, Said, Settings, Splitter, clean,
    clean_line,
};

fuzz_target!(|bytes: &[u8]| {
    let now = Instant::now();
    let whole = lines(now, &[bytes]);
    let (head, tail) = bytes.split_at(bytes.len() / 2);
    assert_eq!(lines(now, &[head, tail]), whole);

    let text = clean(bytes);
    assert_eq!(clean_line(&text), text);
    let input = Input::read(&text);
    assert_eq!(Input::read(&input.to_string()), input);

    let datagram = Numbered::read(bytes);
    assert_eq!(Numbered::read(&datagram.write()), datagram);
    let address = SocketAddr::from(([192, 0, 2, 1], 1));
    if let Some(said) = Said::read(bytes) {
        assert_eq!(Said::read(said.write().as_bytes()), Some(said.clone()));
        let mut peers = Peers::new(Duration::from_secs(60));
        for notice in peers.hear(now, address, said) {
            let line = notice.line();
            assert_eq!(clean_line(&line), line);
        }
    }
    play(now, address, &whole);
});

fn lines(now: Instant, cuts: &[&[u8]]) -> Vec<Piece> {
    let mut splitter = Splitter::new(LONGEST_LINE);
    let mut lines = Vec::new();
    for cut in cuts {
        splitter.push(now, cut, |line| lines.push(line));
    }
    lines.extend(splitter.finish());
    lines
}

/// Two members say these lines in turn, and nobody reads.
fn play(now: Instant, address: SocketAddr, lines: &[Piece]) {
    let settings = Settings {
        queue: 20_000,
        ..Settings::default()
    };
    let limit = settings.queue;
    let mut room = Room::new(settings);
    for id in [1, 2] {
        room.enter(now, id, address).expect("there is room");
    }
    for (line, id) in lines.iter().zip([1, 2].into_iter().cycle()) {
        room.hear(now, id, line);
        while let Some(order) = room.poll_order() {
            if let Order::Close { outbox, .. } = order {
                assert!(outbox.waiting() <= limit + 8192);
            }
        }
    }
    for id in [1, 2] {
        if let Some(outbox) = room.outbox(id) {
            let mut bytes = Vec::new();
            outbox.gather(&mut bytes, usize::MAX);
            let text = String::from_utf8(bytes).expect("UTF-8");
            for line in text.lines() {
                assert_eq!(clean_line(line), line);
            }
        }
    }
}

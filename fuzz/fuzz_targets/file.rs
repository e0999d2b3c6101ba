//! Any bytes as a file transfer's conversation, at both ends: what comes out
//! does not depend on how it was cut, a line reads back, no name leads elsewhere.

#![no_main]

use libfuzzer_sys::fuzz_target;
use socklab::protocol::file::{Answered, Inbox, Intake, Line, Offers, Received};

fuzz_target!(|bytes: &[u8]| {
    let whole = read(bytes, bytes.len().max(1));
    assert_eq!(whole, read(bytes, 1));
    assert_eq!(whole, read(bytes, 7));
    answer(bytes);
});

/// What a receiver makes of it when it comes in pieces of this size.
fn read(mut bytes: &[u8], piece: usize) -> Vec<String> {
    let (mut inbox, mut intake) = (Inbox::new(0), Intake::default());
    let (mut out, mut left) = (Vec::new(), 0);
    loop {
        if left > 0 && !inbox.is_empty() {
            let count = inbox.data(left).len();
            inbox.taken(count);
            left -= count as u64;
            continue;
        }
        if left == 0 {
            match inbox.line() {
                Err(violation) => {
                    out.push(violation.to_string());
                    return out;
                }
                Ok(Some(line)) => {
                    assert_eq!(Line::read(line.to_string().as_bytes()), Ok(line.clone()));
                    let received = intake.handle(line);
                    out.push(format!("{received:?}"));
                    match received {
                        Err(_) => return out,
                        Ok(Received::Data { length, .. }) => left = length,
                        Ok(Received::Offer { size, hash, .. }) => {
                            intake.wants(size, hash, size / 2)
                        }
                        Ok(_) => {}
                    }
                    continue;
                }
                Ok(None) => {}
            }
        }
        if bytes.is_empty() {
            return out;
        }
        let room = inbox.room();
        let count = piece.min(room.len()).min(bytes.len());
        room[..count].copy_from_slice(&bytes[..count]);
        inbox.filled(count);
        bytes = &bytes[count..];
    }
}

/// What a sender makes of it, line by line.
fn answer(bytes: &[u8]) {
    let mut offers = Offers::default();
    offers.directory(0);
    for number in 1..4 {
        offers.file(number, u64::from(number) * 1000);
    }
    for line in bytes.split(|byte| *byte == b'\n') {
        let Ok(line) = Line::read(line) else { return };
        match offers.handle(line) {
            Ok(Answered::Wanted { file, offset, .. }) => {
                assert!(offset <= u64::from(file) * 1000);
                offers.sent(file);
            }
            Ok(Answered::Checked(file)) => offers.sent(file),
            Ok(_) => {}
            Err(_) => return,
        }
    }
}

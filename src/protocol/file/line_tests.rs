//! That lines read back, and what is none is refused.

use super::super::LARGEST_BLOCK;
use super::*;
use proptest::prelude::*;

fn read(text: &str) -> Result<Line, Malformed> {
    Line::read(text.as_bytes())
}

fn entry() -> impl Strategy<Value = Entry> {
    let name = proptest::collection::vec(any::<u8>(), 1..80)
        .prop_filter_map("a name", |bytes| Name::new(bytes).ok());
    let modified = (any::<i32>(), 0..1_000_000_000_u32);
    (name, 0..0o1000_u32, modified).prop_map(|(name, mode, (seconds, nanoseconds))| Entry {
        name,
        mode,
        modified: Modified {
            seconds: seconds.into(),
            nanoseconds,
        },
    })
}

pub(in crate::protocol::file) fn line() -> impl Strategy<Value = Line> {
    let role = prop_oneof![Just(Role::Send), Just(Role::Receive)];
    let hash = prop_oneof![Just(Algorithm::Blake3), Just(Algorithm::Sha256)];
    let digest =
        (hash.clone(), any::<u64>()).prop_map(|(hash, seed)| Digest::of(hash, &seed.to_be_bytes()));
    let block = 1..=LARGEST_BLOCK;
    let codes = proptest::sample::select(Code::all());
    prop_oneof![
        (
            any::<u64>(),
            role,
            any::<[u8; 9]>(),
            any::<Option<std::net::SocketAddrV4>>()
        )
            .prop_map(|(version, role, name, address)| Line::Hello {
                version,
                role,
                name: name.to_vec(),
                address: address.map(SocketAddr::V4),
            }),
        any::<[u64; 3]>().prop_map(|[files, directories, bytes]| Line::Manifest {
            files,
            directories,
            bytes,
        }),
        entry().prop_map(Line::Dir),
        (entry(), any::<u64>(), block.clone(), hash).prop_map(|(entry, size, block, hash)| {
            Line::File {
                entry,
                size,
                block,
                hash,
            }
        }),
        (any::<u64>(), block, digest.clone()).prop_map(|(offset, block, prefix)| Line::Send {
            offset,
            block,
            prefix,
        }),
        proptest::sample::select(Reason::all()).prop_map(Line::Skip),
        Just(Line::Made),
        Just(Line::Check),
        any::<[u64; 2]>().prop_map(|[offset, length]| Line::Data { offset, length }),
        (any::<u64>(), digest).prop_map(|(bytes, hash)| Line::End { bytes, hash }),
        Just(Line::Ok),
        codes.clone().prop_map(Line::Fail),
        any::<[u64; 2]>().prop_map(|[files, bytes]| Line::Done { files, bytes }),
        Just(Line::Wait),
        codes.prop_map(Line::Bye),
    ]
}

#[test]
fn a_file_is_offered_like_this() {
    let line = read(
        "FILE name=holiday/photo%201.jpg mode=104755 mtime=-1.5 size=5 block=2048 hash=blake3 later=yes",
    );
    assert_eq!(line, Err(Malformed::Value("mode")));
    let line = read(
        "FILE name=holiday/photo%201.jpg mode=4755 mtime=-1.5 size=5 block=2048 hash=blake3 later=yes",
    )
    .expect("a line");
    assert_eq!(
        line.to_string(),
        "FILE name=holiday/photo%201.jpg mode=755 mtime=-1.500000000 size=5 block=2048 hash=blake3"
    );
}

#[test]
fn what_is_no_line_is_told_so() {
    for (text, expected) in [
        ("", Malformed::Verb),
        ("send offset=0", Malformed::Verb),
        ("DATA offset=0", Malformed::Key("length")),
        ("DATA offset=0 length=1 offset=0", Malformed::Key("offset")),
        ("DATA offset=-1 length=1", Malformed::Value("offset")),
        ("DATA offset=+1 length=1", Malformed::Value("offset")),
        ("DATA offset= length=1", Malformed::Value("offset")),
        (
            "DATA offset=18446744073709551616 length=1",
            Malformed::Value("offset"),
        ),
        ("DATA offset=0 length", Malformed::Word),
        ("OK \u{1b}[2J", Malformed::Word),
        ("SKIP reason=%1b[2J", Malformed::Value("reason")),
        (
            "DIR name=%2e%2e/x mode=755 mtime=0",
            Malformed::Name(crate::protocol::file::NameError::Dots),
        ),
        ("DIR name=a%0 mode=755 mtime=0", Malformed::Value("name")),
        (
            "SEND offset=0 block=0 prefix-hash=blake3:00",
            Malformed::Value("block"),
        ),
    ] {
        assert_eq!(read(text), Err(expected), "{text:?}");
    }
}

proptest! {
    #[test]
    fn lines_read_back(line in line()) {
        let text = line.to_string();
        prop_assert!(text.len() < LONGEST_LINE);
        prop_assert!(text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()));
        prop_assert_eq!(read(&text), Ok(line));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>, verb in "(HELLO|DIR|FILE|SEND|END) ") {
        let _ = Line::read(&bytes);
        let _ = Line::read(&[verb.as_bytes(), &bytes].concat());
    }
}

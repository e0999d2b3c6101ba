//! What routers append to an ICMP error after the packet it quotes: RFC 4884's
//! extension structure, and the MPLS labels in it (RFC 4950).
//!
//! Pure. Unknown objects are kept as they are. Whatever the bytes are, nothing
//! here panics, and what is not a whole structure with a right checksum is none.

use serde::Serialize;

use super::checksum::checksum;
use crate::units::hexadecimal;

/// Version, reserved bits, checksum.
const HEADER: usize = 4;
/// Length, class, type.
const OBJECT_HEADER: usize = 4;
/// An ICMP error before the packet it quotes.
const MESSAGE_HEADER: usize = 8;
const VERSION: u8 = 2;
const MPLS: u8 = 1;
const INCOMING_STACK: u8 = 1;

/// One object of an extension structure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "extension", rename_all = "snake_case")]
pub enum Extension {
    /// The label stack the packet arrived with (RFC 4950).
    Mpls {
        /// Outermost first.
        labels: Vec<MplsLabel>,
    },
    /// Anything else, by its numbers.
    Unknown {
        /// The class.
        class: u8,
        /// The type within the class.
        kind: u8,
        /// What is in it.
        #[serde(rename = "payload_hex", serialize_with = "hexadecimal")]
        payload: Vec<u8>,
    },
}

/// An entry of an MPLS label stack (RFC 3032).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct MplsLabel {
    /// The label, 20 bits.
    pub label: u32,
    /// The traffic class, 3 bits (RFC 5462).
    pub class: u8,
    /// Whether it is the last of the stack.
    pub bottom: bool,
    /// Its time to live.
    pub ttl: u8,
}

/// The structure that `bytes` is, and nothing else; `None` if it is none.
pub fn parse(bytes: &[u8]) -> Option<Vec<Extension>> {
    let (header, mut rest) = bytes.split_at_checked(HEADER)?;
    let stated = [header[2], header[3]];
    // Zero says that there is no checksum.
    if header[0] >> 4 != VERSION || (stated != [0, 0] && checksum(bytes) != 0) {
        return None;
    }
    let mut objects = Vec::new();
    while !rest.is_empty() {
        let head = rest.get(..OBJECT_HEADER)?;
        let length = usize::from(u16::from_be_bytes([head[0], head[1]]));
        let payload = rest.get(OBJECT_HEADER..length)?;
        objects.push(object(head[2], head[3], payload));
        rest = &rest[length..];
    }
    Some(objects)
}

/// The structure at the end of what follows an ICMP error's header, or of a
/// part of that. It begins where the error says, in bytes; older routers, and
/// kernels that pass on no more than the quoted packet, say nothing, and then a
/// structure with a right checksum that reaches to the last byte is one.
pub fn find(bytes: &[u8], stated: Option<usize>) -> Vec<Extension> {
    if let Some(at) = stated {
        return bytes.get(at..).and_then(parse).unwrap_or_default();
    }
    let begins = (0..bytes.len()).step_by(OBJECT_HEADER);
    let mut candidates = begins.filter_map(|at| {
        let checked = bytes.get(at + 2..at + HEADER)? != [0, 0];
        parse(&bytes[at..]).filter(|objects| checked && !objects.is_empty())
    });
    candidates.next().unwrap_or_default()
}

/// What is appended to this ICMP or ICMPv6 error, from its type on. The sixth
/// or fifth byte says where, in words of four or eight bytes (RFC 4884 section
/// 4); zero says nothing.
pub fn of_message(message: &[u8], ipv6: bool) -> Vec<Extension> {
    let (place, unit) = if ipv6 { (4, 8) } else { (5, 4) };
    let (Some(&words), Some(body)) = (message.get(place), message.get(MESSAGE_HEADER..)) else {
        return Vec::new();
    };
    let stated = (words > 0).then_some(usize::from(words) * unit);
    find(body, stated)
}

/// The structure with these objects, checksum included.
pub fn emit(objects: &[Extension]) -> Vec<u8> {
    let mut bytes = vec![VERSION << 4, 0, 0, 0];
    for object in objects {
        let (class, kind, payload) = match object {
            Extension::Mpls { labels } => (MPLS, INCOMING_STACK, stack(labels)),
            Extension::Unknown {
                class,
                kind,
                payload,
            } => (*class, *kind, payload.clone()),
        };
        let length = u16::try_from(OBJECT_HEADER + payload.len()).unwrap_or(u16::MAX);
        bytes.extend(length.to_be_bytes());
        bytes.extend([class, kind]);
        bytes.extend(payload);
    }
    let sum = checksum(&bytes).to_be_bytes();
    bytes[2..HEADER].copy_from_slice(&sum);
    bytes
}

fn object(class: u8, kind: u8, payload: &[u8]) -> Extension {
    let whole = payload.len().is_multiple_of(4) && !payload.is_empty();
    if (class, kind) == (MPLS, INCOMING_STACK) && whole {
        let labels = payload.as_chunks().0.iter().map(|&entry| label(entry));
        let labels = labels.collect();
        return Extension::Mpls { labels };
    }
    Extension::Unknown {
        class,
        kind,
        payload: payload.to_vec(),
    }
}

fn label(entry: [u8; 4]) -> MplsLabel {
    MplsLabel {
        label: u32::from_be_bytes(entry) >> 12,
        class: entry[2] >> 1 & 7,
        bottom: entry[2] & 1 == 1,
        ttl: entry[3],
    }
}

fn stack(labels: &[MplsLabel]) -> Vec<u8> {
    let entry = |label: &MplsLabel| {
        let upper = (label.label & 0x000f_ffff) << 12;
        let lower = u32::from(label.class & 7) << 9 | u32::from(label.bottom) << 8;
        (upper | lower | u32::from(label.ttl)).to_be_bytes()
    };
    labels.iter().flat_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_label_stack_is_read() {
        // Two labels: 24015, class 0, not the last, TTL 1; 16, class 5, the last.
        let bytes = hex::decode("2000ddd3000c0101 05dcf001 00010b40".replace(' ', "")).unwrap();
        let labels = vec![
            MplsLabel {
                label: 24_015,
                class: 0,
                bottom: false,
                ttl: 1,
            },
            MplsLabel {
                label: 16,
                class: 5,
                bottom: true,
                ttl: 64,
            },
        ];
        let mpls = [Extension::Mpls { labels }];
        assert_eq!(hex::encode(emit(&mpls)), hex::encode(&bytes));
        assert_eq!(parse(&bytes).unwrap(), mpls);
    }

    #[test]
    fn what_is_cut_or_spoilt_is_none() {
        let whole = emit(&[Extension::Unknown {
            class: 9,
            kind: 1,
            payload: vec![1, 2, 3, 4],
        }]);
        for cut in 0..whole.len() {
            assert!(
                parse(&whole[..cut]).is_none_or(|found| found.is_empty()),
                "{cut}"
            );
        }
        for bit in 0..whole.len() * 8 {
            let mut spoilt = whole.clone();
            spoilt[bit / 8] ^= 1 << (bit % 8);
            assert!(parse(&spoilt).is_none_or(|found| found != parse(&whole).unwrap()) || bit < 8);
        }
    }

    fn extension() -> impl Strategy<Value = Extension> {
        let label = (0..1_u32 << 20, 0..8_u8, any::<bool>(), any::<u8>());
        let label = label.prop_map(|(label, class, bottom, ttl)| MplsLabel {
            label,
            class,
            bottom,
            ttl,
        });
        let labels = proptest::collection::vec(label, 1..6);
        let payload = proptest::collection::vec(any::<u8>(), 0..40);
        prop_oneof![
            labels.prop_map(|labels| Extension::Mpls { labels }),
            (2..=u8::MAX, any::<u8>(), payload).prop_map(|(class, kind, payload)| {
                Extension::Unknown {
                    class,
                    kind,
                    payload,
                }
            }),
        ]
    }

    proptest! {
        #[test]
        fn what_is_emitted_is_parsed_and_found(
            objects in proptest::collection::vec(extension(), 1..5),
            quoted in 0..40_usize,
        ) {
            let bytes = emit(&objects);
            prop_assert_eq!(parse(&bytes), Some(objects.clone()));
            let mut message = vec![0xff; quoted * 4];
            message.extend(&bytes);
            prop_assert_eq!(find(&message, Some(quoted * 4)), objects.clone());
            prop_assert_eq!(find(&message, None), objects);
        }

        #[test]
        fn arbitrary_bytes_never_panic(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..200),
            stated in proptest::option::of(0..300_usize),
        ) {
            let _ = find(&bytes, stated);
            let _ = (of_message(&bytes, false), of_message(&bytes, true));
            if let Some(first) = bytes.first_mut() {
                *first = VERSION << 4;
            }
            // Without checksum, so that the objects are looked at.
            bytes.iter_mut().skip(2).take(2).for_each(|byte| *byte = 0);
            let _ = parse(&bytes);
        }
    }
}

//! Hex dumps: whole dumps as snapshots, and for all packets the promise that
//! every byte is shown exactly once, within the width.

mod support;

use proptest::prelude::*;
use socklab::packet::hexdump::{self, Layout, Mode};
use socklab::packet::{Charset, LinkType, dissect};
use support::fixtures;

fn dump(name: &str, layout: Layout) -> String {
    let fixture = fixtures::named(name);
    let dissection = dissect(fixture.link, &fixture.bytes);
    hexdump::render(&hexdump::rows(&dissection, &fixture.bytes, layout), layout)
}

#[test]
fn short_rows_name_their_header() {
    insta::assert_snapshot!(dump("data", Layout::default()));
}

#[test]
fn quoted_headers_stand_in_brackets() {
    insta::assert_snapshot!(dump("port_unreachable_v6", Layout::default()));
}

#[test]
fn two_dumps_fit_side_by_side() {
    let layout = Layout {
        width: 38,
        ..Layout::default()
    };
    insta::assert_snapshot!(dump("data", layout));
}

#[test]
fn a_row_for_every_field() {
    let layout = Layout {
        mode: Mode::Annotated,
        ..Layout::default()
    };
    insta::assert_snapshot!(dump("syn", layout));
}

#[test]
fn a_narrow_row_for_every_field() {
    let layout = Layout {
        mode: Mode::Annotated,
        width: 38,
        charset: Charset::Ascii,
        ..Layout::default()
    };
    insta::assert_snapshot!(dump("mld_report", layout));
}

#[test]
fn data_beyond_the_limit_is_counted() {
    for mode in [Mode::Short, Mode::Annotated] {
        let layout = Layout {
            mode,
            data: Some(3),
            ..Layout::default()
        };
        let dump = dump("data", layout);
        assert!(
            dump.contains("68656c") || dump.contains("6865 6c"),
            "{dump}"
        );
        assert!(dump.ends_with("2 more bytes\n"), "{dump}");
    }
}

/// Fails unless the rows show every byte once, in order, and fit.
fn check(link: LinkType, bytes: &[u8], layout: Layout) {
    let dissection = dissect(link, bytes);
    let rows = hexdump::rows(&dissection, bytes, layout);
    let mut at = 0;
    for row in &rows {
        let layer = &dissection.layers[row.layer];
        assert_eq!(row.protocol, layer.protocol);
        for span in &row.spans {
            assert_eq!(span.range.start, at, "every byte once");
            assert!(layer.range.contains(&span.range.start));
            assert!(span.range.end <= layer.range.end);
            at = span.range.end;
            let digits: String = span.hex.split(' ').collect();
            assert_eq!(digits, hex::encode(&bytes[span.range.clone()]));
            assert_eq!(span.text.len(), span.range.len());
        }
    }
    assert_eq!(at, bytes.len(), "every byte is shown");
    for line in hexdump::render(&rows, layout).lines() {
        assert!(line.chars().count() <= layout.width, "{line:?} fits");
    }
}

fn layouts() -> impl Iterator<Item = Layout> {
    [34, 38, 47, 57, 80, 120].into_iter().flat_map(|width| {
        [Mode::Short, Mode::Annotated].map(|mode| Layout {
            mode,
            width,
            ..Layout::default()
        })
    })
}

#[test]
fn every_byte_of_every_fixture_is_shown_once() {
    for fixture in fixtures::all() {
        for layout in layouts() {
            check(fixture.link, &fixture.bytes, layout);
        }
    }
}

proptest! {
    #[test]
    fn every_byte_of_anything_is_shown_once(
        which in any::<prop::sample::Index>(),
        length in any::<prop::sample::Index>(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
    ) {
        let fixtures = fixtures::all();
        let fixture = which.get(&fixtures);
        let mut bytes = fixture.bytes.clone();
        for (place, value) in changes {
            *place.get_mut(&mut bytes) = value;
        }
        bytes.truncate(length.index(bytes.len() + 1));
        for layout in layouts() {
            check(fixture.link, &bytes, layout);
        }
    }
}

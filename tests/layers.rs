//! The import law of `src/lib.rs`: imports point down only, pure rooms stay
//! pure, unsafe code stays at the kernel's edge, and only the rooms that face
//! the user print.

use std::fs;
use std::path::{Path, PathBuf};

/// The rooms from the ground up; a room imports only from floors below its own.
const FLOORS: &[&[&str]] = &[
    &[
        "flow",
        "packet",
        "event",
        "probe",
        "stats",
        "units",
        "conversation",
        "impair",
        "protocol",
    ],
    &["error"],
    &["address"],
    &["recorder"],
    &["socket"],
    &["pipe"],
    &["capture"],
    &["link"],
    &["stage"],
    &["tcp", "udp", "ping", "serve", "lab"],
    &["app"],
    &["compare"],
    &["report"],
    &["cli"],
    &["main"],
];

/// The files that may hold unsafe code.
const KERNEL_EDGE: &[&str] = &[
    "src/app/net/watch.rs",
    "src/app/remote/bounds.rs",
    "src/lab/nest.rs",
    "src/lab/terminal.rs",
    "src/link/namespace.rs",
    "src/link/tun.rs",
    "src/link/veth.rs",
    "src/serve/model/fork.rs",
    "src/serve/model/uring.rs",
    "src/socket/icmp/batch.rs",
    "src/socket/icmp/control.rs",
    "src/socket/icmp/mod.rs",
    "src/socket/kernel.rs",
    "src/socket/packet.rs",
];

struct Source {
    path: PathBuf,
    room: String,
    code: String,
}

impl Source {
    /// Its code without its tests, which may look at the clock.
    fn own_code(&self) -> &str {
        if self.path.ends_with("tests.rs") {
            return "";
        }
        let code = self.code.split("#[cfg(test)]\nmod tests {").next();
        code.unwrap_or_default()
    }
}

#[test]
fn imports_point_down() {
    let mut offences = Vec::new();
    for source in sources() {
        assert!(
            !source.code.contains("crate::{"),
            "{} groups imports by crate, which this test cannot read",
            source.path.display()
        );
        let own = floor(&source.room);
        for imported in imports(&source.code) {
            let allowed = imported == source.room
                || source.room == "lib"
                || match (own, floor(&imported)) {
                    // Pure rooms may lean on each other.
                    (Some(0), Some(other)) => other == 0,
                    (Some(own), Some(other)) => other < own,
                    _ => false,
                };
            if !allowed {
                offences.push(format!("{} imports {imported}", source.path.display()));
            }
        }
    }
    assert!(offences.is_empty(), "against the import law: {offences:#?}");
}

#[test]
fn every_room_has_a_floor() {
    let rooms: Vec<String> = sources().into_iter().map(|source| source.room).collect();
    assert!(rooms.len() > 20, "the sources were found");
    for room in rooms {
        assert!(
            room == "lib" || floor(&room).is_some(),
            "{room} stands on no floor: add it to the map in src/lib.rs and here"
        );
    }
}

#[test]
fn pure_rooms_touch_nothing_outside() {
    const OUTSIDE: &[&str] = &[
        "Instant::now",
        "SystemTime::now",
        "std::env",
        "std::fs",
        "std::thread",
        "std::process",
        "UdpSocket",
        "TcpStream",
        "socket2",
        "nix::",
        "libc::",
    ];
    for source in sources() {
        if floor(&source.room) == Some(0) {
            for word in OUTSIDE {
                assert!(
                    !source.own_code().contains(word),
                    "{} is pure and says {word}",
                    source.path.display()
                );
            }
        }
    }
}

#[test]
fn unsafe_code_stays_at_the_kernels_edge() {
    for source in sources() {
        let path = source.path.to_string_lossy();
        // However rustfmt breaks the attribute's lines.
        let code: String = source.code.split_whitespace().collect();
        if code.contains("expect(unsafe_code") || code.contains("allow(unsafe_code") {
            assert!(
                KERNEL_EDGE.contains(&path.as_ref()),
                "{path} holds unsafe code"
            );
        }
    }
}

#[test]
fn only_the_rooms_that_face_the_user_print() {
    for source in sources() {
        if ["main", "cli", "report"].contains(&source.room.as_str()) {
            continue;
        }
        for word in ["println!(", "eprintln!(", "print!(", "dbg!("] {
            assert!(
                !source.code.contains(word),
                "{} prints",
                source.path.display()
            );
        }
    }
}

#[test]
fn every_file_opens_with_what_it_owns() {
    for source in sources() {
        assert!(
            source.code.starts_with("//! "),
            "{} does not say what it owns",
            source.path.display()
        );
    }
}

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

/// Every room named after `crate::`, in code rather than in prose.
fn imports(code: &str) -> Vec<String> {
    code.lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .flat_map(|line| line.split("crate::").skip(1))
        .map(|rest| {
            rest.chars()
                .take_while(|letter| letter.is_ascii_lowercase() || *letter == '_')
                .collect::<String>()
        })
        .filter(|room| !room.is_empty())
        .collect()
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    collect(root, &root.join("src"), &mut sources);
    sources
}

fn collect(root: &Path, folder: &Path, sources: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).expect("src is readable") {
        let path = entry.expect("src is readable").path();
        if path.is_dir() {
            collect(root, &path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let inside = path.strip_prefix(root).expect("it is below the root");
            let top = inside.iter().nth(1).expect("src/ROOM");
            sources.push(Source {
                room: top.to_string_lossy().trim_end_matches(".rs").into(),
                path: inside.to_path_buf(),
                code: fs::read_to_string(&path).expect("a source is text"),
            });
        }
    }
}

//! `socklab remote --demo`: the whole of what both ends do, the same each time.
//!
//! How packets cross on the wire, and how many pieces a stream comes in, is the
//! kernels' affair and differs from run to run: of the ladder the snapshot has
//! every heading, every call of the client in its order, and every call of the
//! server for each of its clients, with pieces that follow each other as one.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::ground::{socklab, text};
use crate::support;
use crate::support::program::{As, Program};

/// What is shown, on lines that are long enough.
fn demonstrate(options: &[&str]) -> String {
    let output = socklab(&[&["--demo"], options].concat())
        .env("COLUMNS", "200")
        .output()
        .expect("it runs");
    let told = text(&output.stderr);
    assert!(output.status.success(), "{options:?}: {told}");
    text(&output.stdout)
}

#[test]
fn the_scene_is_played_the_same_each_time() {
    if !support::may_make_namespaces("remote --demo") {
        return;
    }
    let plain = story(&demonstrate(&[]));
    insta::assert_snapshot!("demonstration", plain);
    assert_eq!(story(&demonstrate(&["-6"])), plain);
    // What is lost makes chapters of the ladder so long that it leaves rows out.
    for options in [
        ["-4", "--loss", "5%", "--seed", "1"],
        ["-6", "--duplicate", "5%", "--seed", "2"],
    ] {
        assert_eq!(table(&demonstrate(&options)), table(&plain), "{options:?}");
    }
}

#[test]
fn an_ordinary_user_can_play_it() {
    let program = Program::new();
    let Some(output) = program.run(As::NobodyWithTun, &["remote", "--demo"]) else {
        return;
    };
    assert!(output.status.success(), "{}", text(&output.stderr));
    let shown = text(&output.stdout);
    assert!(
        shown.contains("✓ \"hello world\\n\", exit code 0"),
        "{shown}"
    );
    assert!(shown.contains("The server let in whom it knew"), "{shown}");
}

/// All of it but for what the network's luck decides.
fn story(shown: &str) -> String {
    let (ladder, _) = shown.split_once(TABLE).expect("a table");
    let mut lines = ladder.lines();
    let mut heads = lines.by_ref().skip_while(|line| !line.contains('│'));
    let head = heads.next().expect("who is there");
    let borders: Vec<usize> = head
        .chars()
        .enumerate()
        .filter_map(|(column, letter)| (letter == '│').then_some(column))
        .collect();
    let [left, right] = borders[..] else {
        panic!("no two lanes: {head}");
    };
    let (mut client, mut server) = (Lane::default(), Lane::default());
    let mut story = String::new();
    for line in lines {
        if let Some(heading) = line.strip_prefix("── ") {
            story += &client.told();
            let _ = writeln!(story, "── {}", heading.trim_end_matches(['─', ' ']));
            continue;
        }
        let letters: Vec<char> = line.chars().collect();
        client.take(letters.get(..left).unwrap_or_default());
        server.take(letters.get(right + 1..).unwrap_or_default());
    }
    let client = client.told();
    let server = server.told();
    format!("{story}{client}── the server\n{server}{}", table(shown))
}

const TABLE: &str = "── what was asked";

/// What is said after the ladder, but for the link's own account.
fn table(shown: &str) -> String {
    let (_, table) = shown.split_once(TABLE).expect("a table");
    let (table, _) = table.split_once("\nThe link").unwrap_or((table, ""));
    format!("{TABLE}{}\n", table.replace('─', "").trim_end())
}

/// The calls at one end, by the socket that they were made on.
#[derive(Default)]
struct Lane {
    calls: BTreeMap<String, Vec<Call>>,
    /// What was called and has not yet come back.
    open: Option<String>,
}

struct Call {
    /// Without its arguments, where it is called for pieces of a stream.
    words: String,
    /// Bytes, where it came back with a number.
    bytes: Option<u64>,
}

impl Lane {
    fn take(&mut self, letters: &[char]) {
        let line: String = letters.iter().collect();
        let line = line.trim_start_matches(|letter: char| {
            letter.is_ascii_digit() || matches!(letter, ' ' | '.' | '│')
        });
        // A call that takes longer is in brackets: left of the client's, right of
        // the server's.
        let line = line.trim_end_matches([' ', '│']);
        let is_open = line.starts_with('┌') || line.ends_with('┐');
        let is_back = line.starts_with('└') || line.ends_with('┘');
        let line = line.trim_matches(['┌', '┐', '└', '┘', ' ']);
        let line = line.rsplit_once(" in ").map_or(line, |(head, _)| head);
        if is_open {
            self.open = Some(line.to_owned());
        } else if is_back {
            let call = self.open.take().expect("it was called");
            self.note(&format!("{call} {line}"));
        } else if line.contains('(') {
            self.note(line);
        }
    }

    fn note(&mut self, line: &str) {
        // How often it looks when nothing is there, and whether a farewell comes
        // in time, is the scheduler's affair; and one option is IPv6's alone.
        let is_luck = line.ends_with("EAGAIN") || line.contains("recv(1024)");
        if is_luck || line.contains("IPV6_V6ONLY") {
            return;
        }
        let (head, rest) = line.split_once('(').expect("a call");
        let (socket, name) = head.rsplit_once('.').unwrap_or(("", head));
        let bytes = match name {
            "send" | "recv" => rest
                .rsplit_once("= ")
                .and_then(|(_, count)| count.parse().ok()),
            _ => None,
        };
        let words = match bytes {
            Some(_) => name.to_owned(),
            None => format!("{name}({}", masked(rest)),
        };
        let calls = self.calls.entry(socket.to_owned()).or_default();
        match calls.last_mut() {
            Some(last) if bytes.is_some() && last.words == words => {
                last.bytes = last.bytes.zip(bytes).map(|(one, other)| one + other);
            }
            _ => calls.push(Call { words, bytes }),
        }
    }

    /// All calls since it was last asked.
    fn told(&mut self) -> String {
        let mut told = String::new();
        for (socket, calls) in std::mem::take(&mut self.calls) {
            for Call { words, bytes } in calls {
                let bytes = bytes.map_or(String::new(), |bytes| format!(" {bytes} bytes"));
                let line = format!("{socket:8} {words}{bytes}");
                let _ = writeln!(told, "{}", line.trim_end());
            }
        }
        told
    }
}

/// Addresses and ports are another family's, and another run's.
fn masked(text: &str) -> String {
    let mut text = text.to_owned();
    for (own, name) in [
        ("10.77.0.1", "client"),
        ("10.77.0.2", "server"),
        ("[fd77::1]", "client"),
        ("[fd77::2]", "server"),
        ("AF_INET6", "family"),
        ("AF_INET", "family"),
    ] {
        text = text.replace(own, name);
    }
    match text.split_once("client:") {
        Some((head, rest)) => {
            let rest = rest.trim_start_matches(|letter: char| letter.is_ascii_digit());
            format!("{head}client:…{rest}")
        }
        None => text,
    }
}

//! A user without any privilege hosts, joins and sees the demonstrations; and
//! packets beside the talk, where capture is allowed.

use crate::stage::{Running, alone};
use crate::support;
use crate::support::program::{As, Program};

/// `setpriv`'s arguments that leave nothing.
const NOBODY: [&str; 6] = [
    "--reuid=65534",
    "--regid=65534",
    "--clear-groups",
    "--bounding-set=-all",
    "--inh-caps=-all",
    "--",
];

#[test]
fn an_ordinary_user_sees_the_demonstrations() {
    let program = Program::new();
    for carrier in [&[][..], &["--udp"], &["--multicast"]] {
        for who in [As::NobodyWithTun, As::NobodyWithoutTun] {
            let arguments = [&["chat", "--demo"], carrier].concat();
            let Some(output) = program.run(who, &arguments) else {
                return;
            };
            let shown = String::from_utf8_lossy(&output.stdout);
            let told = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{who:?} {carrier:?}: {told}");
            let verdict = "✓ every line reached everybody";
            assert!(shown.contains(verdict), "{who:?} {carrier:?}: {shown}");
        }
    }
}

#[test]
fn an_ordinary_user_hosts_and_joins() {
    let program = Program::new();
    alone("an ordinary user's room", move || {
        let path = program.path();
        let path = path.to_str().expect("UTF-8");
        let nobody = |arguments: &[&str]| {
            let all = [&NOBODY[..], &[path, "chat"], arguments].concat();
            Running::start("setpriv", &all)
        };
        for way in [&[][..], &["--udp"]] {
            let mut host = nobody(&[&["host"], way].concat());
            host.told("listening on");
            let mut ann = nobody(&[&["join", "127.0.0.1", "--nick", "ann"], way].concat());
            ann.sees("* you are ann");
            let mut bob = nobody(&[&["join", "127.0.0.1", "--nick", "bob"], way].concat());
            bob.sees("* you are bob");
            ann.say("hello");
            bob.sees("<ann> hello");
            for member in [ann, bob] {
                member.interrupt();
                assert_eq!(member.end().2, 0);
            }
            host.interrupt();
            let (_, told, code) = host.end();
            assert_eq!(code, 0, "{told}");
        }
        let mut eve = nobody(&["join", "--multicast", "239.255.50.73", "-i", "net0"]);
        eve.sees("* you are");
        eve.interrupt();
        assert_eq!(eve.end().2, 0);
    });
}

#[test]
fn packets_are_shown_beside_the_talk() {
    if !support::may_make_namespaces("packets of a room") {
        return;
    }
    alone("packets", || {
        for (way, words) in [
            (&[][..], ["TCP SYN seq=0", "TCP PSH,ACK"]),
            (&["--udp"], ["UDP len=3", "UDP len=9"]),
        ] {
            let mut host = Running::host(&[way, &["--packets", "127.0.0.1"]].concat());
            let mut ann = Running::join(&[way, &["127.0.0.1", "--packets"]].concat());
            ann.sees("* you are guest1");
            ann.say("hello");
            host.sees("<guest1> hello");
            ann.interrupt();
            let (_, told, code) = ann.end();
            assert_eq!(code, 0, "{told}");
            host.interrupt();
            let (_, hosted, code) = host.end();
            assert_eq!(code, 0, "{hosted}");
            for (who, told) in [("the member", told), ("the host", hosted)] {
                for words in words {
                    assert!(told.contains(words), "{who}: no {words:?} in {told}");
                }
            }
        }
    });
}

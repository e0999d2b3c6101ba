//! Who runs it: an ordinary user can do all of it; whoever may see packets sees
//! them.

use crate::ground::{Fifo, Ground, knock, text};
use crate::support::alone::alone;

#[test]
fn an_ordinary_user_serves_and_runs() {
    alone("remote as an ordinary user", || {
        let ground = Ground::of_nobody("");
        let fifo = Fifo::new(&ground);
        let list = fifo.list(
            "setsid sh -c \"trap : TERM HUP; sleep 1000; sleep 1000\" >/dev/null 2>&1 & \
             echo here; exit $(($(id -u) == 65534 ? 7 : 1))",
            "",
        );
        ground.write("server/remote.toml", &list);
        let server = ground.serve(&[]);
        let (client, _out) = Fifo::start(&ground);
        let output = client.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(7), "{output:?}");
        assert!(fifo.is_over(), "none of it is left");
        let info = ground.run(&["info"]);
        assert!(info.status.success(), "{info:?}");
        let ended = server.stop();
        assert_eq!(ended.code, 0, "{ended:?}");
        assert_eq!(
            ended.out,
            "2 connections, 0 of them closed; 2 commands run, 0 refused\n"
        );
    });
}

/// Of the handshake each end sees what both say.
#[test]
fn packets_are_shown_at_both_ends() {
    alone("remote --packets", || {
        for host in ["127.0.0.1", "[::1]"] {
            let ground = Ground::new("");
            let server = ground.serve(&["--packets"]);
            let words = ["--packets", host, "info"];
            let run = ground.client("run", &words).output().expect("it runs");
            assert!(run.status.success(), "{run:?}");
            drop(knock());
            let ended = server.stop();
            for told in [text(&run.stderr), ended.told] {
                for packet in [
                    format!(" → {host}:5073 TCP SYN seq=0 "),
                    format!(" → {host}:5073 TCP PSH,ACK seq=1 ack=1 "),
                    "len=86\n".to_owned(),
                    "len=50\n".to_owned(),
                ] {
                    assert!(told.contains(&packet), "no {packet:?} in {told}");
                }
            }
        }
    });
}

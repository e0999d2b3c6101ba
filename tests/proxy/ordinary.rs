//! Who has no privilege runs the proxy and its scene as root does.

use std::io::Write;
use std::net::Shutdown;
use std::process::Command;

use crate::stand::{Proxy, alone, echo_late, rest, serve};
use crate::support::program::{As, Program};

const NOBODY: [&str; 7] = [
    "--reuid=65534",
    "--regid=65534",
    "--clear-groups",
    "--bounding-set",
    "-all",
    "--inh-caps",
    "-all",
];

#[test]
fn an_ordinary_user_serves_plainly_and_in_a_user_namespace() {
    alone("an ordinary user's proxy", || {
        let server = serve("127.0.0.1:0", echo_late);
        let program = Program::new();
        for namespace in [&[][..], &["unshare", "--user", "--map-root-user"]] {
            let mut command = Command::new("setpriv");
            command.args(NOBODY).args(namespace).arg(program.path());
            command.args(["proxy", "serve", "127.0.0.1:0", "-v"]);
            let mut proxy = Proxy::begin(command);
            let mut stream = proxy.tunnel(server);
            stream.write_all(b"hello").expect("written");
            stream.shutdown(Shutdown::Write).expect("ended");
            assert_eq!(rest(&mut stream), b"hello", "{namespace:?}");
            let ended = "8/8 ended       the client ended, then the destination";
            proxy.running.until(ended);
            let (told, out, code) = proxy.running.interrupt();
            assert_eq!(code, 0, "{namespace:?}: {told}");
            assert!(out.starts_with("1 client: 1 granted, 0 refused"), "{out}");
        }
    });
}

#[test]
fn an_ordinary_user_sees_the_scene_with_its_packets() {
    let program = Program::new();
    for (who, device) in [(As::NobodyWithoutTun, "veth"), (As::NobodyWithTun, "tun")] {
        let Some(lines) = program.json(who, &["proxy", "--demo"]) else {
            return;
        };
        let last = lines.last().expect("a result");
        assert_eq!(last["result"]["served"]["granted"], 2, "{who:?}: {last}");
        assert_eq!(last["result"]["link"]["device"], device, "{who:?}: {last}");
        let is_packet = |line: &&serde_json::Value| line["type"] == "packet";
        assert!(lines.iter().filter(is_packet).count() > 30, "{who:?}");
    }
}

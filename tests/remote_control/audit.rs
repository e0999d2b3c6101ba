//! The audit log.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::ground::{Ground, script, text};
use crate::support::alone::alone;

#[test]
fn everything_is_written_down_before_and_after() {
    alone("remote audit", || {
        let list = script("echo $0; exit 4", "");
        let ground = Ground::new(&list);
        let _server = ground.serve(&[]);
        ground.run(&["x"]);
        ground.run(&["x", "\u{1b}[2J\n\"}"]);
        ground.run(&["nothing"]);
        let mode = fs::metadata(ground.path("server/remote-audit.jsonl")).expect("it is there");
        assert_eq!(mode.permissions().mode() & 0o777, 0o600);
        let audit = ground.audit();
        let field = |index: usize, name: &str| audit[index][name].clone();
        assert_eq!(audit.len(), 4, "{audit:?}");
        assert_eq!(field(0, "audit"), "begin");
        assert_eq!(
            (field(0, "id"), field(0, "name")),
            ("x".into(), "tester".into())
        );
        assert_eq!(field(0, "program"), "/bin/sh");
        assert_eq!(
            field(0, "arguments"),
            serde_json::json!(["-c", "echo $0; exit 4"])
        );
        assert_eq!(field(1, "outcome"), "exit code 4");
        assert_eq!(
            (field(1, "run"), field(1, "stdout_bytes")),
            (field(0, "run"), 8.into())
        );
        assert_eq!(field(2, "audit"), "refused");
        assert_eq!(
            field(2, "parameters"),
            serde_json::json!(["\u{1b}[2J\n\"}"])
        );
        assert_eq!(field(3, "reason"), "there is no command \"nothing\"");
    });
}

#[test]
fn what_cannot_be_written_down_is_not_run() {
    alone("remote audit full", || {
        let ground = Ground::new(&script("echo ran", ""));
        let mut server = ground.serve(&["--audit", "/dev/full"]);
        let output = ground.run(&["x"]);
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert_eq!(text(&output.stdout), "");
        assert!(told.contains("nothing is run without it"), "{told}");
        server.until("ENOSPC");
    });
}

//! The folder of keys.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::ground::{must, socklab, text};

fn fails(arguments: &[&str], words: &str) {
    let output = socklab(arguments).output().expect("it runs");
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {told}");
    assert!(told.contains(words), "{arguments:?}: {told}");
}

#[test]
fn keys_that_others_could_have_read_or_written_are_not_used() {
    let folder = tempfile::tempdir().expect("a folder");
    let keys = folder.path().join("keys");
    let keys = keys.to_str().expect("UTF-8");
    fails(
        &["keys", "show", "--keys", keys],
        &format!("socklab remote keys generate --keys {keys} makes one"),
    );
    fails(&["serve", "--keys", keys], "there is no key");
    let output = socklab(&["keys", "generate", "--keys", keys])
        .output()
        .expect("runs");
    assert!(output.status.success(), "{output:?}");
    let key = text(&output.stdout).trim().to_owned();
    let path = |name: &str| Path::new(keys).join(name);
    let mode = |path: &Path| {
        fs::metadata(path)
            .expect("it is there")
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(mode(&path("remote-key")), 0o600);
    assert_eq!(mode(Path::new(keys)), 0o700);
    let before = fs::read(path("remote-key")).expect("a key");
    fails(
        &["keys", "generate", "--keys", keys],
        "there is a key already",
    );
    assert_eq!(fs::read(path("remote-key")).expect("a key"), before);
    fails(&["serve", "--keys", keys], "no key is authorised");
    let added = must(&["keys", "authorize", &key, "me", "--keys", keys]);
    let told = text(&added.stderr);
    assert!(told.contains("that is this machine's own key"), "{told}");
    let other = "CQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let added = must(&["keys", "authorize", other, "me", "--keys", keys]);
    let told = text(&added.stderr);
    assert!(told.contains("me is the name of SHA256:"), "{told}");
    assert!(!told.contains("own key"), "{told}");
    fails(
        &["serve", "--commands", keys, "--keys", keys],
        "it is a folder (EISDIR); name the file in it",
    );
    fails(
        &["keys", "authorize", &key, "--keys", keys],
        "is here already",
    );
    fails(
        &["keys", "authorize", "AAAA", "--keys", keys],
        "a key is 32 bytes in base64",
    );
    let zero = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    fails(
        &["keys", "authorize", zero, "--keys", keys],
        "anybody could use it",
    );
}

#[test]
fn a_folder_that_others_could_change_is_not_trusted() {
    let folder = tempfile::tempdir().expect("a folder");
    let keys = folder.path().join("keys");
    let keys = keys.to_str().expect("UTF-8");
    let key = must(&["keys", "generate", "--keys", keys]);
    let key = text(&key.stdout).trim().to_owned();
    must(&["keys", "authorize", &key, "me", "--keys", keys]);
    let path = |name: &str| Path::new(keys).join(name);
    let open = |name: &str, mode| {
        fs::set_permissions(path(name), Permissions::from_mode(mode)).expect("chmod");
    };
    open("remote-authorised", 0o622);
    fails(
        &["serve", "--keys", keys],
        "it can be written by others: its mode is 622; chmod 644",
    );
    open("remote-authorised", 0o644);
    open("remote-key", 0o640);
    fails(
        &["serve", "--keys", keys],
        "it can be read by others: its mode is 640; chmod 600",
    );
    fails(
        &["keys", "show", "--keys", keys],
        "it can be read by others",
    );
    open("remote-key", 0o600);
    fs::write(path("remote.toml"), "[builtin]\nshell = true\n").expect("written");
    fails(
        &["serve", "--keys", keys],
        "line 2, column 1: unknown field `shell`, expected",
    );
}

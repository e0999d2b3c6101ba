//! Ordinary clients: curl, ncat, proxychains and ssh.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::stand::{PAGE, Proxy, Running, alone, echo_late, printed, run, serve, sh, web};

const SCHEMES: [&str; 5] = ["socks4", "socks4a", "socks5", "socks5h", "http"];

fn curl(proxy: &str, more: &[&str], url: &str) -> std::process::Output {
    let common = [
        "-sS",
        "--fail",
        "--noproxy",
        "",
        "--proxytunnel",
        "-m",
        "20",
    ];
    let arguments = [&common[..], &["-x", proxy], more, &[url]].concat();
    run("curl", &arguments, b"")
}

fn fetches(proxy: &str, more: &[&str], url: &str) {
    let output = curl(proxy, more, url);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{proxy} {url}: {told}");
    assert_eq!(output.stdout, PAGE.as_bytes(), "{proxy} {url}");
}

#[test]
fn curl_in_each_protocol_by_address_and_by_name() {
    alone("curl", || {
        let (four, six) = (serve("127.0.0.1:0", web), serve("[::1]:0", web));
        for listen in ["127.0.0.1:0", "[::1]:0"] {
            let proxy = Proxy::start(&[listen]);
            for scheme in SCHEMES {
                let through = format!("{scheme}://{}", proxy.address);
                fetches(&through, &[], &format!("http://{four}/"));
                fetches(&through, &[], &format!("http://four.test:{}/", four.port()));
                if scheme != "socks4" && scheme != "socks4a" {
                    fetches(&through, &[], &format!("http://{six}/"));
                }
                if scheme != "socks4" {
                    fetches(&through, &[], &format!("http://six.test:{}/", six.port()));
                }
            }
        }
    });
}

#[test]
fn curl_with_a_password_and_with_a_wrong_one() {
    alone("curl's password", || {
        let server = serve("127.0.0.1:0", web);
        let url = format!("http://four.test:{}/", server.port());
        let mut command = Command::new(crate::stand::SOCKLAB);
        command.args(["proxy", "serve", "127.0.0.1:0", "--users-env", "WHO"]);
        let proxy = Proxy::begin({
            command.env("WHO", "ann:a secret: with colons");
            command
        });
        for scheme in ["socks5h", "http"] {
            let through = format!("{scheme}://{}", proxy.address);
            let right = ["--proxy-user", "ann:a secret: with colons"];
            fetches(&through, &right, &url);
            for wrong in [&["--proxy-user", "ann:a secret"][..], &[]] {
                let output = curl(&through, wrong, &url);
                assert!(!output.status.success(), "{scheme} {wrong:?}");
            }
        }
        let asked = curl(
            &format!("http://{}", proxy.address),
            &[
                "--proxy-anyauth",
                "--proxy-user",
                "ann:a secret: with colons",
            ],
            &url,
        );
        assert_eq!(asked.stdout, PAGE.as_bytes(), "407 says what is wanted");
        let socks4 = curl(&format!("socks4a://{}", proxy.address), &[], &url);
        assert!(!socks4.status.success(), "it has no passwords");
    });
}

#[test]
fn ncat_in_each_protocol() {
    alone("ncat", || {
        let server = serve("127.0.0.1:0", echo_late);
        let port = server.port().to_string();
        let users = tempfile::NamedTempFile::new().expect("a file");
        fs::write(users.path(), "ann:secret\n").expect("written");
        let open = Proxy::start(&["127.0.0.1:0"]);
        let path = users.path().display().to_string();
        let closed = Proxy::start(&["127.0.0.1:0", "--users", &path]);
        for kind in ["socks4", "socks5", "http"] {
            let at = open.address.to_string();
            let arguments = ["--proxy", &at, "--proxy-type", kind, "127.0.0.1", &port];
            assert_eq!(printed("ncat", &arguments, b"hello"), "hello", "{kind}");
        }
        for kind in ["socks5", "http"] {
            let at = closed.address.to_string();
            let through = [
                "--proxy",
                &at,
                "--proxy-type",
                kind,
                "--proxy-auth",
                "ann:secret",
            ];
            let arguments = [&through[..], &["127.0.0.1", &port]].concat();
            assert_eq!(printed("ncat", &arguments, b"hello"), "hello", "{kind}");
        }
    });
}

#[test]
fn proxychains_in_each_protocol() {
    alone("proxychains", || {
        let server = serve("127.0.0.1:0", web);
        let proxy = Proxy::start(&["127.0.0.1:0"]);
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("chain.conf");
        for kind in ["socks4", "socks5", "http"] {
            let port = proxy.address.port();
            let text = format!("strict_chain\n[ProxyList]\n{kind} 127.0.0.1 {port}\n");
            fs::write(&file, text).expect("written");
            let url = format!("http://{server}/");
            let config = file.display().to_string();
            let arguments = ["-q", "-f", &config, "curl", "-sS", "-m", "20", &url];
            assert_eq!(printed("proxychains4", &arguments, b""), PAGE, "{kind}");
        }
    });
}

/// Keys that are thrown away with the folder.
fn keys(folder: &Path) {
    for name in ["host", "user"] {
        let file = folder.join(name).display().to_string();
        sh(&format!("ssh-keygen -q -t ed25519 -N '' -f {file}"));
    }
    fs::copy(folder.join("user.pub"), folder.join("authorized")).expect("copied");
}

#[test]
fn ssh_through_the_proxy() {
    alone("ssh", || {
        sh("mount -t tmpfs tmpfs /run && mkdir -p /run/sshd");
        let folder = tempfile::tempdir().expect("a folder");
        keys(folder.path());
        let at = folder.path().display().to_string();
        let config = format!(
            "ListenAddress 127.0.0.1:2222\nHostKey {at}/host\nAuthorizedKeysFile {at}/authorized\n\
             StrictModes no\nUsePAM no\nPermitRootLogin yes\nPidFile none\n"
        );
        let file = folder.path().join("sshd_config");
        fs::write(&file, config).expect("written");
        let mut server = Running::start(
            "/usr/sbin/sshd",
            &["-D", "-e", "-f", &file.to_string_lossy()],
        );
        server.until("Server listening on 127.0.0.1 port 2222");
        let proxy = Proxy::start(&["127.0.0.1:0"]);
        for kind in ["socks5", "http"] {
            let command = format!(
                "ProxyCommand=ncat --proxy {} --proxy-type {kind} %h %p",
                proxy.address
            );
            let key = format!("{at}/user");
            let known = format!("UserKnownHostsFile={at}/known");
            let arguments = [
                "-F",
                "none",
                "-i",
                &key,
                "-o",
                &command,
                "-o",
                &known,
                "-o",
                "BatchMode=yes",
                "-o",
                "StrictHostKeyChecking=accept-new",
                "-p",
                "2222",
                "root@127.0.0.1",
                "wc -c",
            ];
            let counted = printed("ssh", &arguments, &[b'x'; 300_000]);
            assert_eq!(counted.trim(), "300000", "{kind}");
        }
    });
}

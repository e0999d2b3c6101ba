//! What `file send` and `file receive` cost beside `nc < file > file` with the
//! same hashing afterwards, and beside `tar | nc | tar` and `scp -r` for many
//! small files, in the same run over loopback.
//!
//! `cargo bench --bench file`. Medians of several rounds, taken in turn. The
//! files are in the folder that `SOCKLAB_BENCH_DIR` names, /dev/shm where it
//! names none: on a disk, what is measured is that nc and tar do not wait for
//! it and socklab does.
//!
//! `cargo bench --bench file -- killed` runs 200 transfers over a link with 5 %
//! loss, in which either end is killed and started again, and fails where a file
//! is not whole at the end: minutes, not figures.

#[allow(
    dead_code,
    reason = "the tests' stage, of which one play is given here"
)]
#[path = "../tests/file/killed.rs"]
mod killed;
#[allow(dead_code, reason = "as above")]
#[path = "../tests/file/scene.rs"]
mod scene;
#[path = "../tests/support/mod.rs"]
mod support;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

const SOCKLAB: &str = env!("CARGO_BIN_EXE_socklab");
/// Bytes of the large file.
const LARGE: u64 = 1 << 30;
/// Folders of the tree, and files of each.
const TREE: (usize, usize) = (100, 1000);
/// Rounds of each.
const ROUNDS: usize = 5;
/// Of those folders, how many scp gets: it is slow, and its rate is what counts.
const FOLDERS_OF_SCP: usize = 10;
/// Transfers in which somebody is killed.
const KILLED: u64 = 200;

fn main() {
    // `cargo test --benches` wants to know that it runs, not how fast.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    if std::env::args().any(|argument| argument == "killed") {
        let kills = killed::transfers(0..KILLED);
        println!("{KILLED} transfers, {kills} ends killed: every file whole and equal");
        return;
    }
    // A loopback interface that nobody else uses, where that is allowed.
    if unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).is_ok() {
        let (nothing, private) = (None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE);
        mount(nothing, "/", nothing, private, nothing).expect("it may be private");
        let up = Command::new("ip")
            .args(["link", "set", "lo", "up"])
            .status();
        assert!(up.expect("ip runs").success());
    }
    let parent = std::env::var_os("SOCKLAB_BENCH_DIR").unwrap_or("/dev/shm".into());
    let root = tempfile::tempdir_in(parent).expect("a folder");
    large(root.path());
    small(root.path());
    memory(root.path());
}

/// A pair of programs that move something from one folder to another.
struct Way {
    name: &'static str,
    /// Runs to the end of it.
    run: fn(&Path, &Path),
}

fn large(root: &Path) {
    let (from, to) = (root.join("large"), root.join("to"));
    fill(&from, LARGE);
    let ways = [
        Way {
            name: "socklab",
            run: |from, to| socklab(from, to),
        },
        Way {
            name: "nc, then the hashes",
            run: |from, to| {
                nc(from, &to.join("large"));
                let other = from.to_owned();
                let theirs = thread::spawn(move || hash(&other));
                let ours = hash(&to.join("large"));
                assert_eq!(ours, theirs.join().expect("it hashes"), "nc lost something");
            },
        },
    ];
    let times = rounds(&ways, &from, &to, ROUNDS);
    println!("one file of {} MiB, hashed at both ends:", LARGE >> 20);
    report(&ways, &times, LARGE, "GB/s", 1e9);
    fs::remove_file(&from).expect("it was there");
}

#[expect(clippy::cast_precision_loss, reason = "figures to be read")]
fn small(root: &Path) {
    let (from, to) = (root.join("tree"), root.join("to"));
    let (folders, files) = TREE;
    for folder in 0..folders {
        let folder = from.join(format!("folder-{folder}"));
        fs::create_dir_all(&folder).expect("a folder");
        for file in 0..files {
            let bytes = vec![b'a'; 200 + file * 7 % 1800];
            fs::write(folder.join(format!("file-{file}.txt")), bytes).expect("room");
        }
    }
    let ways = [
        Way {
            name: "socklab",
            run: |from, to| socklab(from, to),
        },
        Way {
            name: "tar | nc | tar",
            run: |from, to| tar(from, to),
        },
    ];
    let times = rounds(&ways, &from, &to, ROUNDS);
    let count = (folders * files) as u64;
    println!("{count} files of 1 KiB or so:");
    report(&ways, &times, count, "thousand files/s", 1e3);
    // The last of them stays for scp.
    for folder in FOLDERS_OF_SCP..folders {
        fs::remove_dir_all(from.join(format!("folder-{folder}"))).expect("it was there");
    }
    let fewer = FOLDERS_OF_SCP * files;
    let took = scp(&from, &to, root);
    let rate = |files: usize, took: Duration| files as f64 / took.as_secs_f64() / 1e3;
    let (theirs, ours) = (rate(fewer, took), rate(folders * files, times[0]));
    println!(
        "  {:20} {theirs:6.2} thousand files/s; socklab is {:.2} times as fast",
        format!("scp -r, of {fewer}"),
        ours / theirs
    );
    fs::remove_dir_all(&from).expect("it was there");
}

/// Most memory that either end ever held, for a small file and a large one.
fn memory(root: &Path) {
    println!("most memory (VmHWM) of sender and receiver:");
    for size in [1 << 20, LARGE] {
        let (from, to) = (root.join("file"), root.join("to"));
        fill(&from, size);
        fs::create_dir(&to).expect("a folder");
        let (mut sender, port) = offer(&from);
        let mut receiver = fetch(&port, &to);
        let before = [&sender, &receiver].map(|child| high_water(child.id()));
        let mut most = before;
        while receiver.try_wait().expect("it runs").is_none() {
            for (most, child) in most.iter_mut().zip([&sender, &receiver]) {
                *most = high_water(child.id()).max(*most);
            }
        }
        assert!(sender.wait().expect("it runs").success());
        println!("  {:5} MiB: {} KiB, {} KiB", size >> 20, most[0], most[1]);
        fs::remove_dir_all(&to).expect("it was there");
        fs::remove_file(&from).expect("it was there");
    }
}

fn high_water(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let digits = line.and_then(|line| line.split_whitespace().next());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

fn rounds(ways: &[Way], from: &Path, to: &Path, count: usize) -> Vec<Duration> {
    let mut times = vec![Vec::new(); ways.len()];
    for _ in 0..count {
        for (way, times) in ways.iter().zip(&mut times) {
            fs::create_dir(to).expect("a folder");
            let begun = Instant::now();
            (way.run)(from, to);
            times.push(begun.elapsed());
            fs::remove_dir_all(to).expect("it was there");
        }
    }
    let median = |times: &mut Vec<Duration>| {
        times.sort();
        times[times.len() / 2]
    };
    times.iter_mut().map(median).collect()
}

#[expect(clippy::cast_precision_loss, reason = "figures to be read")]
fn report(ways: &[Way], times: &[Duration], amount: u64, unit: &str, scale: f64) {
    for (way, time) in ways.iter().zip(times) {
        let rate = amount as f64 / time.as_secs_f64() / scale;
        let ratio = time.as_secs_f64() / times[0].as_secs_f64();
        let name = way.name;
        println!("  {name:20} {rate:6.2} {unit}; socklab is {ratio:.2} times as fast");
    }
}

fn socklab(from: &Path, to: &Path) {
    let (mut sender, port) = offer(from);
    let mut receiver = fetch(&port, to);
    assert!(receiver.wait().expect("it runs").success());
    assert!(sender.wait().expect("it runs").success());
}

/// A sender that waits, and its port.
fn offer(from: &Path) -> (Child, String) {
    let mut sender = Command::new(SOCKLAB)
        .args(["file", "send", "--listen", "--once", "--port", "0", "-4"])
        .arg(from)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("socklab runs");
    let mut told = BufReader::new(sender.stderr.take().expect("piped"));
    let mut line = String::new();
    told.read_line(&mut line).expect("it says where");
    let port = line.trim().rsplit(':').next().expect("a port").to_owned();
    (sender, port)
}

fn fetch(port: &str, to: &Path) -> Child {
    Command::new(SOCKLAB)
        .args(["file", "receive", &format!("127.0.0.1:{port}"), "--into"])
        .arg(to)
        .stdout(Stdio::null())
        .spawn()
        .expect("socklab runs")
}

fn nc(from: &Path, to: &Path) {
    let mut receiver = Command::new("nc")
        .args(["-l", "127.0.0.1", "7001"])
        .stdin(Stdio::null())
        .stdout(File::create(to).expect("a file"))
        .spawn()
        .expect("nc runs");
    listens(7001);
    let sent = Command::new("nc")
        .args(["-N", "127.0.0.1", "7001"])
        .stdin(File::open(from).expect("a file"))
        .stdout(Stdio::null())
        .status();
    assert!(sent.expect("nc runs").success());
    assert!(receiver.wait().expect("nc runs").success());
}

fn tar(from: &Path, to: &Path) {
    let mut receiver = Command::new("sh")
        .arg("-c")
        .arg(format!(
            "nc -l 127.0.0.1 7002 </dev/null | tar xf - -C {}",
            to.display()
        ))
        .spawn()
        .expect("sh runs");
    listens(7002);
    let sent = Command::new("sh")
        .arg("-c")
        .arg(format!(
            "tar cf - -C {} . | nc -N 127.0.0.1 7002",
            from.display()
        ))
        .stdout(Stdio::null())
        .status();
    assert!(sent.expect("sh runs").success());
    assert!(receiver.wait().expect("sh runs").success());
}

/// How long scp takes through an sshd of its own, with keys for once.
fn scp(from: &Path, to: &Path, root: &Path) -> Duration {
    const PORT: &str = "7003";
    let keys = root.join("keys");
    fs::create_dir(&keys).expect("a folder");
    let (host, user) = (keys.join("host"), keys.join("user"));
    for key in [&host, &user] {
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(key)
            .status();
        assert!(made.expect("ssh-keygen runs").success());
    }
    let config = keys.join("config");
    let lines = [
        "ListenAddress 127.0.0.1".into(),
        format!("Port {PORT}"),
        format!("HostKey {}", host.display()),
        format!("AuthorizedKeysFile {}.pub", user.display()),
        "StrictModes no".into(),
        "UsePAM no".into(),
        "PidFile none".into(),
        "PermitRootLogin yes".into(),
        "Subsystem sftp internal-sftp\n".into(),
    ];
    fs::write(&config, lines.join("\n")).expect("room");
    if !Path::new("/run/sshd").exists() {
        // sshd wants an empty folder there, and nobody else sees this one.
        let (tmpfs, nothing) = (Some("tmpfs"), None::<&str>);
        mount(tmpfs, "/run", tmpfs, MsFlags::empty(), nothing).expect("it may be mounted");
        fs::create_dir("/run/sshd").expect("a folder");
    }
    // It insists on being called by its whole path.
    let mut server = Command::new("/usr/sbin/sshd")
        .args(["-D", "-e", "-f"])
        .arg(&config)
        .stderr(Stdio::null())
        .spawn()
        .expect("sshd runs");
    listens(7003);
    let name = nix::unistd::User::from_uid(nix::unistd::geteuid());
    let name = name.expect("known").expect("a name").name;
    fs::create_dir(to).expect("a folder");
    let begun = Instant::now();
    let copied = Command::new("scp")
        .args(["-rqF/dev/null", "-P", PORT, "-oStrictHostKeyChecking=no"])
        .args(["-oUserKnownHostsFile=/dev/null", "-oLogLevel=ERROR", "-i"])
        .arg(&user)
        .arg(from)
        .arg(format!("{name}@127.0.0.1:{}", to.display()))
        .status();
    let took = begun.elapsed();
    server.kill().expect("it is ours");
    server.wait().expect("it ends");
    assert!(copied.expect("scp runs").success());
    fs::remove_dir_all(to).expect("it was there");
    took
}

/// Waits until something listens there: the kernel's own list says so.
fn listens(port: u16) {
    let wanted = format!(":{port:04X} 00000000:0000 0A");
    while !fs::read_to_string("/proc/thread-self/net/tcp").is_ok_and(|list| list.contains(&wanted))
    {
        thread::yield_now();
    }
}

/// Bytes that no two blocks have in common.
fn fill(path: &PathBuf, size: u64) {
    let mut file = File::create(path).expect("room");
    let mut random = blake3::Hasher::new_derive_key("socklab bench").finalize_xof();
    let mut piece = vec![0; 1 << 20];
    for _ in 0..size >> 20 {
        random.fill(&mut piece);
        file.write_all(&piece).expect("room");
    }
}

fn hash(path: &Path) -> blake3::Hash {
    let mut file = File::open(path).expect("a file");
    let mut hasher = blake3::Hasher::new();
    let mut piece = vec![0; 256 << 10];
    loop {
        match file.read(&mut piece).expect("readable") {
            0 => return hasher.finalize(),
            count => hasher.update(&piece[..count]),
        };
    }
}

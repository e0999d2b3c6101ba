//! Running the socklab binary: as root, as an ordinary user, with `/dev/net/tun`
//! open to everyone or to nobody, or where no namespace can be made. Whoever is
//! not plainly `Myself` has a network namespace of its own.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// Who runs the program, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum As {
    /// The user who runs the tests.
    Myself,
    /// The same with a loopback interface of its own, whose every port is free
    /// whatever else this machine runs.
    MyselfOnOwnLoopback,
    /// A user without any privilege, and `/dev/net/tun` for root only.
    NobodyWithoutTun,
    /// A user without any privilege, and `/dev/net/tun` for everyone, as udev
    /// leaves it on most distributions.
    NobodyWithTun,
    /// In a user namespace that may hold no other namespaces than the network
    /// namespace it has.
    WithoutNamespaces,
}

/// A copy of the binary that every user may run, and that goes with the value.
pub struct Program {
    folder: tempfile::TempDir,
}

impl Program {
    pub fn new() -> Self {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a temporary folder");
        // By a process of its own: a descriptor of ours, open for writing, could
        // be inherited by a child of another test, and the copy would be busy.
        let copied = Command::new("cp")
            .arg(env!("CARGO_BIN_EXE_socklab"))
            .arg(folder.path().join("socklab"))
            .status()
            .expect("cp runs");
        assert!(copied.success(), "the binary is copied");
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(folder.path(), open).expect("chmod");
        Self { folder }
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("socklab")
    }

    /// The program with these arguments, to be started by `who`; `None`, said
    /// loudly, where this process cannot become that user.
    pub fn command(&self, who: As, arguments: &[&str]) -> Option<Command> {
        const NOBODY: &str = "exec setpriv --reuid 65534 --regid 65534 --clear-groups \
             --bounding-set -all --inh-caps -all \"$@\"";
        let script = match who {
            As::Myself => {
                let mut command = Command::new(self.path());
                command.args(arguments);
                return Some(plain(command));
            }
            As::MyselfOnOwnLoopback => "exec \"$@\"".to_owned(),
            As::NobodyWithoutTun => format!("{}\n{NOBODY}", own_tun("0600")),
            As::NobodyWithTun => format!("{}\n{NOBODY}", own_tun("0666")),
            As::WithoutNamespaces => {
                "echo 0 >/proc/sys/user/max_net_namespaces\nexec \"$@\"".into()
            }
        };
        if !nix::unistd::geteuid().is_root() {
            super::skipped(&format!("running as {who:?}"), "root");
            return None;
        }
        let mut command = Command::new("unshare");
        match who {
            As::WithoutNamespaces => command.args(["--net", "--user", "--map-root-user"]),
            _ => command.args(["--net", "--mount", "--propagation", "private"]),
        };
        command
            .args(["sh", "-ec", &format!("ip link set lo up\n{script}"), "sh"])
            .arg(self.path())
            .args(arguments);
        Some(plain(command))
    }

    /// Runs it to its end.
    pub fn run(&self, who: As, arguments: &[&str]) -> Option<Output> {
        let mut command = self.command(who, arguments)?;
        Some(command.output().expect("the program starts"))
    }

    /// Runs it with `--json` and gives its lines.
    pub fn json(&self, who: As, arguments: &[&str]) -> Option<Vec<Value>> {
        let arguments: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
        let output = self.run(who, &arguments)?;
        assert!(
            output.status.success(),
            "{who:?} {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let text = String::from_utf8(output.stdout).expect("JSON is UTF-8");
        let parse = |line: &str| serde_json::from_str(line).expect("each line is JSON");
        Some(text.lines().map(parse).collect())
    }
}

/// Mounts a `/dev/net/tun` with this mode over the machine's own.
fn own_tun(mode: &str) -> String {
    format!(
        "mount -t tmpfs tmpfs /mnt\nmknod -m {mode} /mnt/tun c 10 200\n\
         mount --bind /mnt/tun /dev/net/tun"
    )
}

fn plain(mut command: Command) -> Command {
    command
        .env("LC_ALL", "C.UTF-8")
        .env_remove("NO_COLOR")
        .env_remove("CLICOLOR_FORCE")
        .env_remove("COLUMNS")
        .stdin(Stdio::null());
    command
}

/// What a program printed.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("output is UTF-8")
}

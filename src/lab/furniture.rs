//! What a private host sees of the file system: its own names, processes and
//! devices (mount_namespaces(7)).
//!
//! All of it is mounted in private mount namespaces and nothing outside changes.
//! Where something may not be mounted, the lab goes on without.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::sethostname;

use super::names::{RESOLV_CONF, hosts_file, name_service_switch};
use crate::error::Error;
use crate::link::{Config, Host};

/// Folders that may be covered for a moment, seen by this process alone.
const COVERED: [&str; 3] = ["/tmp", "/mnt", "/var/tmp"];

/// Takes a mount namespace for the whole process, with a /proc of its own and
/// with files that know the hosts' names. Tells what could not be had and would
/// be missed.
///
/// Comes before the link is built: the hosts see what their process sees.
pub fn furnish(config: &Config) -> Vec<Error> {
    let own = unshare(CloneFlags::CLONE_NEWNS)
        .map_err(|errno| Error::new("unshare(CLONE_NEWNS)", "", errno))
        .and_then(|()| make_private());
    if let Err(error) = own {
        return vec![unnamed(error)];
    }
    // Without it, programs see the processes outside, and cannot find themselves
    // by number.
    let _ = mount_new("proc", Path::new("/proc"));
    hide_name_cache();
    name_hosts(config).err().map(unnamed).into_iter().collect()
}

/// Gives a host its own host name and its own devices under /sys, where that is
/// allowed.
pub fn dress(host: &Host) {
    let name = host.place().to_string();
    host.run(move || {
        if unshare(CloneFlags::CLONE_NEWUTS).is_ok() {
            let _ = sethostname(name);
        }
        if unshare(CloneFlags::CLONE_NEWNS).is_ok() {
            let _ = renew_sys();
        }
    });
}

fn make_private() -> Result<(), Error> {
    let flags = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, flags, None::<&str>)
        .map_err(|errno| Error::new("make private", "the mounts of /", errno))
}

fn mount_new(kind: &str, target: &Path) -> nix::Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some(kind), target, Some(kind), flags, None::<&str>)
}

fn bind(source: &Path, target: &Path) -> nix::Result<()> {
    let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
    mount(Some(source), target, None::<&str>, flags, None::<&str>)
}

/// A new /sys that shows the calling thread's network devices, with the control
/// groups kept: programs read their memory limit there.
fn renew_sys() -> nix::Result<()> {
    let (sys, groups) = (Path::new("/sys"), Path::new("/sys/fs/cgroup"));
    let aside = Path::new(COVERED[1]);
    let kept = bind(groups, aside).is_ok();
    let renewed = mount_new("sysfs", sys);
    if kept && renewed.is_ok() {
        // Where it cannot move it stays hidden; the program that reads its
        // limits there finds none.
        let _ = mount(
            Some(aside),
            groups,
            None::<&str>,
            MsFlags::MS_MOVE,
            None::<&str>,
        );
    } else if kept {
        let _ = umount2(aside, MntFlags::MNT_DETACH);
    }
    renewed
}

/// The name service cache would answer with what the machine's own hosts file
/// says; without its socket, programs look for themselves.
fn hide_name_cache() {
    let folder = Path::new("/run/nscd");
    if folder.exists() {
        let _ = mount_new("tmpfs", folder);
    }
}

/// Binds generated files over those that say who is who.
fn name_hosts(config: &Config) -> Result<(), Error> {
    let outside = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let hosts = hosts_file(config, &outside("/etc/hosts"));
    let switch = name_service_switch(&outside("/etc/nsswitch.conf"));
    let files = [
        ("/etc/nsswitch.conf", switch),
        ("/etc/resolv.conf", RESOLV_CONF.to_owned()),
        ("/etc/hosts", hosts),
    ];
    // Where they really are, before anything is covered.
    let targets: Vec<Option<PathBuf>> = files
        .iter()
        .map(|(path, _)| fs::canonicalize(path).ok())
        .collect();
    let folder = Covered::choose(&targets)?;
    for ((path, text), target) in files.iter().zip(&targets) {
        let bound = match target {
            Some(target) => folder.bind(text, target),
            None => Err(io::Error::from(nix::errno::Errno::ENOENT)),
        };
        // A machine may have no resolv.conf or nsswitch.conf, and then look-ups
        // end just so; the hosts file is the one that holds our names.
        if *path == "/etc/hosts" {
            bound.map_err(|error| Error::new("bind", path, error))?;
        }
    }
    Ok(())
}

fn unnamed(error: Error) -> Error {
    error.remedy(
        "programs will not know the names client and server: use the addresses that --hosts prints",
    )
}

/// A folder with a file system of our own over it, until it is dropped. What is
/// bound from there stays.
struct Covered(PathBuf);

impl Covered {
    /// Covers a folder that holds none of `targets`.
    fn choose(targets: &[Option<PathBuf>]) -> Result<Self, Error> {
        let holds = |folder: &Path| {
            targets
                .iter()
                .flatten()
                .any(|path| path.starts_with(folder))
        };
        let mut refusal = Error::new("mount", "a tmpfs", nix::errno::Errno::ENOENT);
        for folder in COVERED.map(Path::new) {
            if holds(folder) {
                continue;
            }
            match mount_new("tmpfs", folder) {
                Ok(()) => return Ok(Self(folder.to_path_buf())),
                Err(errno) => {
                    refusal = Error::new("mount a tmpfs on", folder.display(), errno);
                }
            }
        }
        Err(refusal)
    }

    /// Puts `text` over the file `target`.
    fn bind(&self, text: &str, target: &Path) -> io::Result<()> {
        let file = self.0.join(target.file_name().unwrap_or_default());
        fs::write(&file, text)?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644))?;
        Ok(bind(&file, target)?)
    }
}

impl Drop for Covered {
    fn drop(&mut self) {
        // It was mounted by us and nobody else sees it.
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

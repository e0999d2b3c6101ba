//! What the built-in commands report of this machine: its name and load, what
//! runs, the room on its disks (proc(5), statvfs(3)).
//!
//! Reads, and changes nothing. Names that others chose are escaped.

use std::fmt::Write;
use std::fs;
use std::time::Duration;

use nix::sys::statvfs::statvfs;
use nix::unistd::{SysconfVar, gethostname, sysconf};

use crate::error::Error;
use crate::protocol::remote::harmless;

/// Processes that are listed.
const MOST_PROCESSES: usize = 1000;

/// The report of this name; none where there is no such report.
pub fn report(name: &str) -> Option<Result<String, Error>> {
    Some(match name {
        "info" => info(),
        "processes" => processes(),
        "disks" => disks(),
        "reboot" => Ok("dry run: /sbin/reboot would be started; nothing was done\n".into()),
        _ => return None,
    })
}

fn read(path: &str) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|error| Error::new("read", path, error))
}

fn info() -> Result<String, Error> {
    let name = gethostname().map_err(|error| Error::new("gethostname", "", error))?;
    let kernel = read("/proc/sys/kernel/osrelease")?;
    let uptime = read("/proc/uptime")?;
    let uptime = uptime.split('.').next().and_then(|text| text.parse().ok());
    let uptime = Duration::from_secs(uptime.unwrap_or_default());
    let load = read("/proc/loadavg")?;
    let load: Vec<&str> = load.split_whitespace().take(3).collect();
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let memory = read("/proc/meminfo")?;
    let kilobytes = |field: &str| {
        let mut lines = memory.lines();
        lines
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
            .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok())
            .unwrap_or_default()
    };
    let rows = [
        ("name", harmless(&name.to_string_lossy())),
        ("kernel", format!("Linux {}", harmless(kernel.trim()))),
        ("up", days(uptime)),
        ("processors", processors.to_string()),
        ("load", load.join(" ")),
        (
            "memory",
            format!(
                "{} of {} free",
                size(kilobytes("MemAvailable") << 10),
                size(kilobytes("MemTotal") << 10)
            ),
        ),
    ];
    Ok(rows.iter().fold(String::new(), |mut text, (what, value)| {
        // To a string, which takes all.
        let _ = writeln!(text, "{what:<12}{value}");
        text
    }))
}

struct Process {
    number: u32,
    state: String,
    resident: u64,
    name: String,
}

fn processes() -> Result<String, Error> {
    let failed = |error| Error::new("read", "/proc", error);
    let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
    let page = page
        .and_then(|size| u64::try_from(size).ok())
        .unwrap_or(4096);
    let mut all = Vec::new();
    for entry in fs::read_dir("/proc").map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let number = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        // One that ends meanwhile is none any more.
        let process = number.and_then(|number| {
            let text = fs::read(entry.path().join("stat")).ok()?;
            stat(number, &String::from_utf8_lossy(&text), page)
        });
        all.extend(process);
    }
    all.sort_by_key(|process| (std::cmp::Reverse(process.resident), process.number));
    let mut text = format!("{:>8}  {:<5}  {:>10}  NAME\n", "PID", "STATE", "MEMORY");
    for process in all.iter().take(MOST_PROCESSES) {
        // To a string, which takes all.
        let _ = writeln!(
            text,
            "{:>8}  {:<5}  {:>10}  {}",
            process.number,
            process.state,
            size(process.resident),
            harmless(&process.name)
        );
    }
    if all.len() > MOST_PROCESSES {
        let _ = writeln!(text, "and {} more", all.len() - MOST_PROCESSES);
    }
    Ok(text)
}

/// Reads `/proc/PID/stat`, where the name may hold blanks and brackets.
fn stat(number: u32, text: &str, page: u64) -> Option<Process> {
    let (head, tail) = text.rsplit_once(')')?;
    let name = head.split_once('(')?.1;
    let mut fields = tail.split_whitespace();
    let state = fields.next()?.to_owned();
    // The 24th field in all.
    let resident: u64 = fields.nth(20)?.parse().ok()?;
    Some(Process {
        number,
        state,
        resident: resident * page,
        name: name.to_owned(),
    })
}

fn disks() -> Result<String, Error> {
    let mounts = read("/proc/self/mounts")?;
    let mut text = format!(
        "{:>10}  {:>10}  {:>4}  MOUNTED ON\n",
        "SIZE", "FREE", "USED"
    );
    for line in mounts.lines() {
        let Some(point) = line.split(' ').nth(1).map(unescaped) else {
            continue;
        };
        // What may not be looked at is left out, and what has no blocks is none.
        let Some(room) = statvfs(point.as_str())
            .ok()
            .filter(|room| room.blocks() > 0)
        else {
            continue;
        };
        let unit = room.fragment_size();
        let (all, free) = (room.blocks() * unit, room.blocks_available() * unit);
        let used = 100 - free * 100 / all.max(1);
        let _ = writeln!(
            text,
            "{:>10}  {:>10}  {used:>3}%  {}",
            size(all),
            size(free),
            harmless(&point)
        );
    }
    Ok(text)
}

/// A mount point as `/proc/mounts` writes it: blanks as `\040`.
fn unescaped(text: &str) -> String {
    let plain = text.replace("\\040", " ").replace("\\011", "\t");
    plain.replace("\\012", "\n").replace("\\134", "\\")
}

/// Three digits or so, in powers of 1024.
fn size(bytes: u64) -> String {
    let mut scaled = bytes;
    let mut rest = 0;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if scaled < 1024 {
            return match (unit, scaled) {
                ("B", _) | (_, 100..) => format!("{scaled} {unit}"),
                _ => format!("{scaled}.{} {unit}", rest * 10 / 1024),
            };
        }
        (scaled, rest) = (scaled / 1024, scaled % 1024);
    }
    format!("{scaled}.{} TiB", rest * 10 / 1024)
}

fn days(time: Duration) -> String {
    let minutes = time.as_secs() / 60;
    let (days, hours, minutes) = (minutes / 1440, minutes / 60 % 24, minutes % 60);
    match days {
        0 => format!("{hours} h {minutes:02} min"),
        1 => format!("1 day {hours} h"),
        _ => format!("{days} days {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything_and_is_shown_without_harm() {
        let text = "42 (a) \u{1b}[2J (b) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 77 1";
        let process = stat(42, text, 4096).expect("a process");
        assert_eq!(process.name, "a) \u{1b}[2J (b");
        assert_eq!(harmless(&process.name), "a) \\u{1b}[2J (b");
        assert_eq!((process.state.as_str(), process.resident), ("S", 77 * 4096));
        assert!(stat(42, "42 (short) S 1", 4096).is_none());
    }

    #[test]
    fn sizes_and_times_are_short() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536 << 10, "1.5 MiB"),
            (200 << 20, "200 MiB"),
            (3 << 40, "3.0 TiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
        assert_eq!(days(Duration::from_secs(3_700)), "1 h 01 min");
        assert_eq!(days(Duration::from_secs(90_000)), "1 day 1 h");
    }

    #[test]
    fn this_machine_can_be_reported() {
        for name in ["info", "processes", "disks"] {
            let text = report(name).expect("it is there").expect("it is read");
            assert!(text.lines().count() > 1, "{name}: {text}");
        }
        assert!(report("shell").is_none());
    }
}

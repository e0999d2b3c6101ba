//! Programs to which the kernel refuses a system call, as a container's filter
//! does (seccomp(2)).

use std::process::Command;

use nix::errno::Errno;
use nix::libc::c_long;

/// A call that is refused: always, or only with this first argument.
pub struct Refused {
    pub call: c_long,
    pub first: Option<i32>,
    pub errno: Errno,
}

/// Loads the number of the call, and its first argument where that counts;
/// answers with the errno, or lets the call pass.
const FILTER: &str = r#"
import ctypes, os, struct, sys
call, first, errno = sys.argv[1:4]
is_call = [(0x20, 0, 0, 0), (0x15, 0, 1 if first == "any" else 3, int(call))]
is_first = [] if first == "any" else [(0x20, 0, 0, 16), (0x15, 0, 1, int(first))]
answers = [(0x06, 0, 0, 0x00050000 | int(errno)), (0x06, 0, 0, 0x7FFF0000)]
steps = is_call + is_first + answers
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code)))
libc = ctypes.CDLL(None, use_errno=True)
for option in [(38, 1, 0), (22, 2, program)]:
    if libc.prctl(option[0], option[1], option[2], 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
os.execv(sys.argv[4], sys.argv[4:])
"#;

/// The program, which is to be given its arguments.
pub fn refusing(refused: &Refused, program: &str) -> Command {
    let first = refused
        .first
        .map_or("any".into(), |first| first.to_string());
    let mut command = Command::new("python3");
    command
        .args(["-c", FILTER, &refused.call.to_string(), &first])
        .args([&(refused.errno as i32).to_string(), program]);
    command
}

//! Lists that are accepted and refused, and what becomes of parameters, hostile
//! ones among them.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const LIST: &str = r#"
concurrent = 3

[builtin]
disks = false
reboot = "dry-run"
screen = ["/usr/bin/grim", "-t", "{png}", "-"]

[[command]]
id = "backup"
summary = "Copies a folder"
program = "/usr/bin/rsync"
arguments = ["-a", "--bwlimit={speed}", "--", "/srv/{folder}", "{{to}}/{name}"]
directory = "/tmp"
environment = { LANG = "C" }
timeout = "10s"
grace = "500ms"
output = "64kb"
limits = { processor = "3s", memory = "512mb", files = 32, file-size = "1mb", processes = 10 }

[[command.parameter]]
name = "folder"
type = "choice"
values = ["home", "etc"]

[[command.parameter]]
name = "name"
type = "text"
characters = "a-z0-9._/-"
most = 12

[[command.parameter]]
name = "speed"
type = "integer"
least = 1
most = 100
default = 10
"#;

fn list() -> AllowList {
    AllowList::parse(LIST).expect("a list")
}

fn prepare(id: &str, given: &[&str]) -> Result<Prepared, String> {
    let given: Vec<String> = given.iter().copied().map(String::from).collect();
    list().prepare(id, &given)
}

#[test]
fn a_request_becomes_a_program_and_its_arguments() {
    let prepared = prepare("backup", &["etc", "a.b-1"]).expect("allowed");
    assert_eq!(prepared.program, Program::Path("/usr/bin/rsync".into()));
    assert_eq!(
        prepared.arguments,
        ["-a", "--bwlimit=10", "--", "/srv/etc", "{to}/a.b-1"]
    );
    assert_eq!(prepared.directory, PathBuf::from("/tmp"));
    assert_eq!(prepared.environment["LANG"], "C");
    let bounds = prepared.bounds;
    assert_eq!(bounds.timeout, Duration::from_secs(10));
    assert_eq!(bounds.grace, Duration::from_millis(500));
    assert_eq!((bounds.output, bounds.processor), (64 << 10, 3));
    assert_eq!((bounds.memory, bounds.files), (512 << 20, 32));
    assert_eq!((bounds.file_size, bounds.processes), (1 << 20, Some(10)));
    assert_eq!(bounds.privileges, Privileges::None);
    let faster = prepare("backup", &["home", "x", "99"]).expect("allowed");
    assert_eq!(faster.arguments[1], "--bwlimit=99");
}

#[test]
fn built_ins_are_what_the_list_says() {
    let list = list();
    let ids: Vec<String> = list.entries().map(|entry| entry.id).collect();
    assert_eq!(ids, ["backup", "info", "processes", "reboot", "screen"]);
    let reboot = prepare("reboot", &[]).expect("a rehearsal");
    assert_eq!(reboot.program, Program::BuiltIn(BuiltIn::RebootRehearsal));
    let screen = prepare("screen", &[]).expect("configured");
    assert_eq!(screen.arguments, ["-t", "{png}", "-"]);
    let default = AllowList::default();
    assert_eq!(Ok(default.clone()), AllowList::parse(""));
    for off in ["reboot", "screen"] {
        default.prepare(off, &[]).expect_err("off unless allowed");
    }
    let on = AllowList::parse("[builtin]\nreboot = \"on\"").expect("a list");
    let reboot = on.prepare("reboot", &[]).expect("allowed");
    assert_eq!(reboot.program, Program::Path("/sbin/reboot".into()));
}

#[test]
fn what_may_be_asked_for_is_shown() {
    let backup = list().entries().next().expect("the first");
    assert_eq!(
        backup.usage,
        "<folder: home|etc> <name: 1 to 12 of a-z0-9._/-> [speed: 1 to 100; else 10]"
    );
}

/// Shell metacharacters, options, other folders, control characters: each is
/// refused, none is mended.
#[test]
fn hostile_parameters_are_refused() {
    for (given, why) in [
        (&["etc; reboot", "x"][..], "must be one of home, etc"),
        (&["ETC", "x"], "must be one of"),
        (&["", "x"], "must be one of"),
        (&["etc"], "name is missing"),
        (&["etc", "x", "1", "2"], "at most 3 parameters"),
        (&["etc", ""], "1 to 12 characters"),
        (&["etc", "aaaaaaaaaaaaa"], "1 to 12 characters"),
        (&["etc", "-rf"], "must not begin as an option"),
        (&["etc", "--"], "must not begin as an option"),
        (&["etc", "a b"], "not ' '"),
        (&["etc", "$(id)"], "not '$'"),
        (&["etc", "`id`"], "not '`'"),
        (&["etc", "a;b"], "not ';'"),
        (&["etc", "a|b"], "not '|'"),
        (&["etc", "a\nb"], "not '\\n'"),
        (&["etc", "a\0b"], "not '\\0'"),
        (&["etc", "\u{1b}[2J"], "not '\\u{1b}'"),
        (&["etc", "{folder}"], "not '{'"),
        (&["etc", "../../x"], "the folder above"),
        (&["etc", "a/.."], "the folder above"),
        (&["etc", "x", "0"], "from 1 to 100"),
        (&["etc", "x", "101"], "from 1 to 100"),
        (&["etc", "x", "+5"], "from 1 to 100"),
        (&["etc", "x", "05"], "from 1 to 100"),
        (&["etc", "x", "5 "], "from 1 to 100"),
        (&["etc", "x", "0x5"], "from 1 to 100"),
        (&["etc", "x", "5;id"], "from 1 to 100"),
        (&["etc", "x", "99999999999999999999"], "from 1 to 100"),
    ] {
        let told = prepare("backup", given).expect_err(why);
        assert!(told.contains(why), "{given:?}: {told}");
        assert!(
            !told.contains(['\0', '\n', '\u{1b}']),
            "{told:?} is escaped"
        );
    }
    let long = prepare("backup", &["etc", &"a".repeat(2000)]).expect_err("long");
    assert!(long.contains("name is too long"), "{long}");
    let none = prepare("/bin/sh", &["-c", "id"]).expect_err("no such");
    assert_eq!(none, "there is no command \"/bin/sh\"");
    let extra = prepare("info", &["x"]).expect_err("takes none");
    assert_eq!(extra, "it takes no parameters");
}

/// A command with these lines.
fn command(lines: &str) -> Result<AllowList, ListError> {
    AllowList::parse(&format!("[[command]]\nid = \"x\"\n{lines}"))
}

fn with_parameter(arguments: &str, lines: &str) -> Result<AllowList, ListError> {
    command(&format!(
        "program = \"/bin/x\"\narguments = {arguments}\n[[command.parameter]]\nname = \"p\"\n{lines}"
    ))
}

/// Each is refused, for its reason.
fn refused(lists: &[(Result<AllowList, ListError>, &str)]) {
    for (list, why) in lists {
        let told = list.as_ref().expect_err(why).to_string();
        assert!(told.contains(why), "{why}: {told}");
    }
}

#[test]
fn a_list_that_cannot_be_meant_is_refused_with_its_reason() {
    refused(&[
        (
            AllowList::parse("[[command]]\nid = \"info\"\nprogram = \"/x\""),
            "a built-in's name",
        ),
        (
            AllowList::parse("[[command]]\nid = \"a b\"\nprogram = \"/x\""),
            "is no name",
        ),
        (
            AllowList::parse("[builtin]\nscreen = []"),
            "the capture program",
        ),
        (
            AllowList::parse("[builtin]\nreboot = true"),
            "wanted string",
        ),
        (AllowList::parse("concurrent = 0"), "1 to 10000"),
        (
            AllowList::parse("concurent = 3"),
            "unknown field `concurent`",
        ),
    ]);
}

#[test]
fn a_command_that_cannot_be_meant_is_refused_with_its_reason() {
    let program = |line: &str| command(&format!("program = \"/bin/x\"\n{line}"));
    refused(&[
        (command("program = \"sh\""), "not an absolute path"),
        (program("shell = true"), "unknown field `shell`"),
        (program("timeout = \"5\""), "a time without its unit"),
        (program("timeout = \"0s\""), "timeout is nothing"),
        (program("output = \"much\""), "not a size"),
        (program("directory = \"tmp\""), "is not absolute"),
        (program("arguments = [\"{p}\"]"), "which is no parameter"),
        (program("arguments = [\"{\"]"), "a brace without"),
        (program("arguments = [\"a\\u0000\"]"), "a NUL byte"),
        (
            program("limits = { memry = \"1mb\" }"),
            "unknown field `memry`",
        ),
        (program("environment = { \"A=B\" = \"\" }"), "no variable"),
    ]);
}

#[test]
fn a_parameter_that_cannot_be_meant_is_refused_with_its_reason() {
    let number = "type = \"integer\"\nleast = -5\nmost = 5";
    let backwards = "type = \"integer\"\nleast = 2\nmost = 1";
    let nothing = "type = \"choice\"\nvalues = []";
    let stray = "type = \"choice\"\nvalues = [\"a\"]\ndefault = \"b\"";
    let empty = "type = \"text\"\ncharacters = \"\"\nmost = 5";
    let reversed = "type = \"text\"\ncharacters = \"z-a\"\nmost = 5";
    refused(&[
        (with_parameter("[]", number), "no argument has {p}"),
        (with_parameter("[\"{p}\"]", number), "put \"--\" before it"),
        (
            with_parameter("[\"{p}\"]", "type = \"any\""),
            "unknown variant `any`",
        ),
        (
            with_parameter("[\"n{p}\"]", backwards),
            "least is more than most",
        ),
        (with_parameter("[\"n{p}\"]", nothing), "at least one"),
        (with_parameter("[\"{p}\"]", empty), "at least one character"),
        (with_parameter("[\"{p}\"]", reversed), "runs backwards"),
        (with_parameter("[\"{p}\"]", stray), "its default too"),
    ]);
    with_parameter("[\"--\", \"{p}\"]", number).expect("after the options");
    with_parameter("[\"-n{p}\"]", number).expect("with text before it");
}

proptest! {
    /// Whatever is given: each argument is the list's own text with values that
    /// were allowed, and their number never changes.
    #[test]
    fn no_parameter_makes_another_argument(given in vec(".{0,20}", 0..4)) {
        if let Ok(prepared) = list().prepare("backup", &given) {
            let arguments = prepared.arguments;
            prop_assert_eq!(arguments.len(), 5);
            prop_assert_eq!(&arguments[0], "-a");
            prop_assert_eq!(&arguments[2], "--");
            prop_assert!(arguments[3] == "/srv/home" || arguments[3] == "/srv/etc");
            let name = arguments[4].strip_prefix("{to}/").expect("its own text");
            prop_assert!(!name.starts_with('-') && !name.contains(' '));
        }
    }

    #[test]
    fn no_list_makes_it_panic(text: String, tail in ".{0,60}") {
        let _ = AllowList::parse(&text);
        let _ = AllowList::parse(&format!("{LIST}{tail}"));
    }
}

//! The room by its lines: what each member has been sent.

use std::time::Duration;

use super::*;
use proptest::prelude::*;

struct Played {
    room: Room,
    now: Instant,
    told: Vec<Chat>,
    closed: Vec<(MemberId, String, Departure)>,
}

impl Played {
    fn new(settings: Settings) -> Self {
        Self {
            room: Room::new(settings),
            now: Instant::now(),
            told: Vec::new(),
            closed: Vec::new(),
        }
    }

    /// With members 1 to `count`, who have read their greetings.
    fn with(count: u64, settings: Settings) -> Self {
        let mut played = Self::new(settings);
        for id in 1..=count {
            played.enter(id).expect("there is room");
        }
        for id in 1..=count {
            played.read(id);
        }
        played
    }

    fn enter(&mut self, id: MemberId) -> Result<(), String> {
        let address = SocketAddr::from(([192, 0, 2, 1], 1000));
        let result = self.room.enter(self.now, id, address);
        self.carry_out();
        result
    }

    fn say(&mut self, id: MemberId, line: &str) {
        let piece = Piece::Line(line.as_bytes().to_vec());
        self.room.hear(self.now, id, &piece);
        self.carry_out();
    }

    fn carry_out(&mut self) {
        while let Some(order) = self.room.poll_order() {
            match order {
                Order::Tell(step) => self.told.push(step),
                Order::Close {
                    member,
                    mut outbox,
                    why,
                } => self.closed.push((member, drained(&mut outbox), why)),
            }
        }
    }

    /// What a member reads now.
    fn read(&mut self, id: MemberId) -> String {
        self.room.outbox(id).map(drained).unwrap_or_default()
    }
}

fn drained(outbox: &mut Outbox) -> String {
    let mut bytes = Vec::new();
    outbox.gather(&mut bytes, usize::MAX);
    outbox.advance(bytes.len());
    String::from_utf8(bytes).expect("UTF-8")
}

#[test]
fn what_is_said_goes_to_the_others() {
    let mut played = Played::with(3, Settings::default());
    played.say(1, "hello\u{1b}[2J there");
    assert_eq!(played.read(1), "");
    for id in [2, 3] {
        assert_eq!(played.read(id), "<guest1> hello[2J there\n");
    }
}

#[test]
fn a_newcomer_is_told_what_was_said_before() {
    let mut played = Played::with(1, Settings::default());
    played.say(1, "anybody here?");
    played.room.announce(played.now, "soon");
    played.enter(2).expect("there is room");
    assert_eq!(
        played.read(2),
        "* 2 lines from before you came:\n<guest1> anybody here?\n<server> soon\n\
         * you are guest2; 1 other is here; /help tells the commands\n"
    );
    assert_eq!(played.read(1), "<server> soon\n* guest2 joined\n");
}

/// Long lines would otherwise fill a newcomer's outbox before they have read one.
#[test]
fn no_history_keeps_a_newcomer_out() {
    let settings = Settings {
        queue: 16 << 10,
        history: 1000,
        ..Settings::default()
    };
    let mut played = Played::with(1, settings);
    for letter in ["a", "b", "c"] {
        played.say(1, &letter.repeat(LONGEST_LINE));
    }
    played.enter(2).expect("there is room");
    let seen = played.read(2);
    assert!(
        seen.starts_with("* 1 line from before you came:\n<guest1> ccc"),
        "{seen}"
    );
    assert_eq!(played.room.account().too_slow, 0);
}

#[test]
fn names_are_unique_however_they_are_written() {
    let mut played = Played::with(2, Settings::default());
    played.say(1, "/nick Ann");
    assert_eq!(played.read(1), "* you are Ann\n");
    assert_eq!(played.read(2), "* guest1 is now Ann\n");
    for (name, answer) in [
        ("aNN", "* aNN is taken\n"),
        ("Server", "* Server is the room's own name\n"),
        ("a b", "* a name has letters, digits, - _ and . only\n"),
        ("guest2", "* you are guest2\n"),
    ] {
        played.say(2, &format!("/nick {name}"));
        assert_eq!(played.read(2), answer);
    }
    played.say(1, "/nick ann");
    assert_eq!(
        played.read(1),
        "* you are ann\n",
        "one's own in small letters"
    );
}

#[test]
fn a_name_is_free_again_when_its_owner_has_left() {
    let mut played = Played::with(2, Settings::default());
    played.say(1, "/nick ann");
    played.say(1, "exit");
    assert_eq!(
        played.closed,
        [(1, "* you are ann\n* bye\n".into(), Departure::Exit)]
    );
    played.say(2, "/nick ann");
    assert_eq!(
        played.read(2),
        "* guest1 is now ann\n* ann left\n* you are ann\n"
    );
}

#[test]
fn a_guest_takes_no_name_that_is_taken() {
    let mut played = Played::with(1, Settings::default());
    played.say(1, "/nick guest2");
    played.enter(2).expect("there is room");
    assert!(played.read(2).contains("* you are guest3;"));
}

#[test]
fn what_is_said_to_one_is_for_one() {
    let mut played = Played::with(3, Settings::default());
    played.say(1, "/msg GUEST2 psst");
    assert_eq!(played.read(2), "[guest1 to you] psst\n");
    assert_eq!(played.read(3), "");
    played.say(1, "/msg nobody psst");
    assert_eq!(played.read(1), "* nobody here is called nobody\n");
    let whispered = played
        .told
        .iter()
        .find(|step| matches!(step, Chat::Whispered { .. }));
    assert!(!format!("{whispered:?}").contains("psst"));
}

#[test]
fn each_message_is_answered_where_that_is_asked_for() {
    let settings = Settings {
        receipt: Receipt::Each,
        ..Settings::default()
    };
    let mut played = Played::with(3, settings);
    played.say(1, "hello");
    assert_eq!(played.read(1), "* received 5 bytes, passed on to 2\n");
    played.say(1, "/msg guest2 x");
    assert_eq!(played.read(1), "* received 1 byte, passed on to 1\n");
}

#[test]
fn the_commands_are_told() {
    let mut played = Played::with(2, Settings::default());
    played.say(1, "/help");
    let help = played.read(1);
    for command in ["/who", "/msg", "/nick", "/help", "exit"] {
        assert!(help.contains(command), "{help}");
    }
    played.now += Duration::from_secs(65);
    played.say(2, "x");
    played.read(1);
    played.say(1, "/who");
    assert_eq!(
        played.read(1),
        "* 2 are here\n\
         *   guest1: 2 lines, here for 1 min 5 s, quiet for 0 s\n\
         *   guest2: 1 line, here for 1 min 5 s, quiet for 0 s\n"
    );
    played.say(1, "/dance");
    assert_eq!(
        played.read(1),
        "* there is no /dance; /help tells the commands\n"
    );
    played.say(1, "/msg bob");
    assert_eq!(played.read(1), "* that is written /msg NAME TEXT\n");
}

#[test]
fn whoever_comes_to_a_full_room_is_told_so() {
    let settings = Settings {
        most: 2,
        ..Settings::default()
    };
    let mut played = Played::with(2, settings);
    let refusal = played.enter(3).expect_err("it is full");
    assert_eq!(refusal, "* the room is full: 2 are here\n");
    played.room.leave(played.now, 1, Departure::Ended);
    played.enter(4).expect("there is room again");
}

/// One reader that stopped froze ncat's whole room (apps.md).
#[test]
fn who_does_not_read_is_cut_off_and_the_others_hear_everything() {
    let settings = Settings {
        queue: 1000,
        ..Settings::default()
    };
    let mut played = Played::with(3, settings);
    let mut heard = String::new();
    for number in 0..100 {
        played.say(1, &format!("line {number}"));
        played.read(1);
        heard += &played.read(2);
    }
    let expected: Vec<String> = (0..100)
        .map(|number| format!("<guest1> line {number}\n"))
        .collect();
    assert_eq!(
        heard.replace("* guest3 left: too slow\n", ""),
        expected.concat()
    );
    assert_eq!(heard.matches("* guest3 left: too slow\n").count(), 1);
    let (id, rest, why) = played.closed.pop().expect("it was closed");
    assert_eq!((id, why), (3, Departure::TooSlow));
    assert_eq!(rest, "* you are cut off: you do not read what is said\n");
    assert_eq!(played.room.account().too_slow, 1);
}

#[test]
fn a_line_that_is_too_long_reaches_nobody() {
    let mut played = Played::with(2, Settings::default());
    played.room.hear(played.now, 1, &Piece::TooLong(5000));
    let answer = "* a line has at most 4096 bytes; 5000 were not passed on\n";
    assert_eq!(played.read(1), answer);
    // Bytes that are no UTF-8 grow on the way.
    let piece = Piece::Line(vec![0xfe; LONGEST_LINE]);
    played.room.hear(played.now, 1, &piece);
    assert!(played.read(1).contains("12288 were not passed on"));
    assert_eq!(played.read(2), "");
}

#[test]
fn a_room_that_closes_says_so_to_everybody() {
    let mut played = Played::with(2, Settings::default());
    played.room.close(played.now);
    played.carry_out();
    let said = "* the room closes\n".to_owned();
    let expected = [
        (1, said.clone(), Departure::Closed),
        (2, said, Departure::Closed),
    ];
    assert_eq!(played.closed, expected);
    assert_eq!(played.room.count(), 0);
}

#[test]
fn a_large_room_answers_who_on_one_screen() {
    let settings = Settings {
        most: 300,
        ..Settings::default()
    };
    let mut played = Played::new(settings);
    for id in 1..=300 {
        played.enter(id).expect("there is room");
        for id in played.room.take_dirty() {
            played.read(id);
        }
    }
    played.say(1, "/who");
    let who = played.read(1);
    assert_eq!(who.lines().count(), 52);
    assert!(who.ends_with("*   and 250 more\n"), "{who}");
}

#[derive(Debug, Clone)]
enum Step {
    Enter,
    Line(u64, Vec<u8>),
    Leave(u64),
    Read(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let text = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        "/nick [a-c]{1,2}|/msg [a-c] x|/who|/help|exit|[a-z ]{0,20}".prop_map(String::into_bytes),
    ];
    prop_oneof![
        Just(Step::Enter),
        (1_u64..12, text).prop_map(|(id, line)| Step::Line(id, line)),
        (1_u64..12).prop_map(Step::Leave),
        (1_u64..12).prop_map(Step::Read),
    ]
}

proptest! {
    /// Whatever happens, names stay unique, no outbox outgrows its limit, and
    /// only clean whole lines come out.
    #[test]
    fn the_room_keeps_its_rules(steps in prop::collection::vec(step(), 0..120)) {
        let settings = Settings { most: 5, queue: 2000, ..Settings::default() };
        let mut played = Played::new(settings);
        let mut next = 0;
        for step in steps {
            match step {
                Step::Enter => {
                    next += 1;
                    let _ = played.enter(next);
                }
                Step::Line(id, line) => {
                    played.room.hear(played.now, id, &Piece::Line(line));
                    played.carry_out();
                }
                Step::Leave(id) => {
                    played.room.leave(played.now, id, Departure::Reset);
                    played.carry_out();
                }
                Step::Read(id) => {
                    let text = played.read(id);
                    prop_assert!(text.is_empty() || text.ends_with('\n'));
                    for line in text.lines() {
                        prop_assert_eq!(super::super::clean_line(line), line);
                        prop_assert!("*<[".contains(&line[..1]), "{}", line);
                    }
                }
            }
            let room = &played.room;
            prop_assert!(room.members.len() <= 5);
            prop_assert_eq!(room.members.len(), room.by_name.len());
            for (id, member) in &room.members {
                prop_assert_eq!(room.by_name.get(&member.nick.folded()), Some(id));
                prop_assert!(member.outbox.waiting() <= 2000);
            }
        }
    }
}

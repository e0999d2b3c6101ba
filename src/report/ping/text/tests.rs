//! The text of fixed events against the lines that iputils prints.

use std::net::IpAddr;

use std::time::Duration;

use super::figures::six_digits;
use super::*;
use crate::event::{
    EchoAddress, EchoCause, EchoFailure, EchoJudgement, EchoReply, EchoRoundTrips, EchoSummary,
    EchoTarget, Place,
};

fn address(text: &str) -> EchoAddress {
    text.parse::<IpAddr>().unwrap().into()
}

fn called(name: &str) -> EchoTarget {
    EchoTarget {
        index: 0,
        name: name.into(),
    }
}

fn started(name: &str, target: &str, payload_bytes: usize) -> Echo<'static> {
    Echo::Started(Box::new(EchoStarted {
        target: called(name),
        address: address(target),
        address_name: Some("six.example".to_owned()),
        source: address(target),
        interface: None,
        socket: EchoSocket::Raw,
        identifier: 1,
        payload_bytes,
        interval: Duration::from_secs(1),
    }))
}

fn reply_in(micros: u64, judgement: EchoJudgement) -> Echo<'static> {
    Echo::Reply(Box::new(EchoReply {
        target: called("10.1.1.1"),
        number: 65_537,
        icmp_sequence: 1,
        from: address("10.1.1.1"),
        from_name: Some("canon.example".to_owned()),
        ttl: Some(64),
        message_bytes: 64,
        round_trip: Duration::from_micros(micros),
        user_round_trip: Duration::from_micros(micros),
        kernel_round_trip: None,
        out_of_order: false,
        judgement,
        truncated: false,
        wrong_byte: None,
        ip_options: (&[][..]).into(),
        message: [0, 0, 0xff, 0xfe].repeat(5).into(),
    }))
}

fn failure(cause: EchoCause) -> Echo<'static> {
    Echo::Failure(Box::new(EchoFailure {
        target: Some(called("10.1.1.1")),
        number: Some(2),
        icmp_sequence: Some(2),
        cause,
    }))
}

fn nothing_sent() -> EchoSummary {
    EchoSummary {
        target: called("10.1.1.1"),
        address: address("10.1.1.1"),
        source: address("10.1.1.1"),
        interface: None,
        socket: EchoSocket::Raw,
        transmitted: 0,
        received: 0,
        duplicates: 0,
        corrupted: 0,
        errors: 0,
        lost: 0,
        in_flight: 0,
        out_of_order: 0,
        loss_percent: None,
        time: Duration::ZERO,
        round_trips: None,
        pipe: 0,
        gap: None,
    }
}

fn two_of_three() -> EchoSummary {
    let ms = Duration::from_micros;
    EchoSummary {
        transmitted: 3,
        received: 2,
        loss_percent: Some(100.0 / 3.0),
        time: Duration::from_micros(2_002_499),
        round_trips: Some(EchoRoundTrips {
            min: ms(36),
            average: ms(1037),
            max: ms(120_039),
            deviation: ms(1),
            smoothed: ms(40),
            jitter: ms(1),
            p50: ms(36),
            p90: ms(120_039),
            p99: ms(120_039),
            percentiles_of: None,
        }),
        pipe: 1,
        ..nothing_sent()
    }
}

/// What goes to standard output and standard error.
fn text(layout: Layout, echoes: &[Echo<'_>]) -> (String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let stop = Arc::new(AtomicBool::new(false));
    let renderer = PingText::new(layout, &mut out, &mut err, stop);
    for echo in echoes {
        renderer.record(&Event {
            at: Duration::ZERO,
            host: Place::Client,
            what: What::Echo(echo.clone()),
        });
    }
    renderer.into_result().unwrap();
    (
        String::from_utf8(out).unwrap(),
        String::from_utf8(err).unwrap(),
    )
}

fn numbers() -> Layout {
    Layout::default()
}

fn names() -> Layout {
    Layout {
        addresses: Addresses::Names,
        ..Layout::default()
    }
}

#[test]
fn headers() {
    for (layout, echo, line) in [
        (
            numbers(),
            started("127.0.0.1", "127.0.0.1", 56),
            "PING 127.0.0.1 (127.0.0.1) 56(84) bytes of data.\n",
        ),
        (
            names(),
            started("canon.example", "10.1.1.1", 8),
            "PING canon.example (10.1.1.1) 8(36) bytes of data.\n",
        ),
        (
            numbers(),
            started("::1", "::1", 56),
            "PING ::1(::1) 56 data bytes\n",
        ),
        (
            names(),
            started("six", "fd01::1", 56),
            "PING six(six.example (fd01::1)) 56 data bytes\n",
        ),
    ] {
        assert_eq!(text(layout, &[echo]).0, line);
    }
}

#[test]
fn replies() {
    use EchoJudgement::{BadChecksum, Counted, DifferentAddress, Duplicate};
    for (micros, judgement, time) in [
        (0, Counted, "0.000 ms"),
        (37, Counted, "0.037 ms"),
        (999, Counted, "0.999 ms"),
        (1_000, Counted, "1.00 ms"),
        (1_239, Counted, "1.24 ms"),
        (9_994, Counted, "9.99 ms"),
        (9_995, Counted, "10.0 ms"),
        (99_949, Counted, "99.9 ms"),
        (99_950, Counted, "100 ms"),
        (1_234_567, Counted, "1235 ms"),
        (37, Duplicate, "0.037 ms (DUP!)"),
        (37, BadChecksum, "0.037 ms (BAD CHECKSUM!)"),
        (37, DifferentAddress, "0.037 ms (DIFFERENT ADDRESS!)"),
    ] {
        let line = format!("64 bytes from 10.1.1.1: icmp_seq=1 ttl=64 time={time}\n");
        let reply = reply_in(micros, judgement);
        assert_eq!(text(numbers(), &[reply]).0, line);
    }
    let reply = reply_in(37, Counted);
    assert_eq!(
        text(names(), &[reply]).0,
        "64 bytes from canon.example (10.1.1.1): icmp_seq=1 ttl=64 time=0.037 ms\n"
    );
}

#[test]
fn small_payloads_have_no_time() {
    let summary = Echo::Summary(Box::new(two_of_three()));
    let reply = reply_in(37, EchoJudgement::Counted);
    let (out, _) = text(
        numbers(),
        &[started("10.1.1.1", "10.1.1.1", 15), reply, summary],
    );
    assert_eq!(
        out,
        "PING 10.1.1.1 (10.1.1.1) 15(43) bytes of data.\n\
         64 bytes from 10.1.1.1: icmp_seq=1 ttl=64\n\n\
         --- 10.1.1.1 ping statistics ---\n\
         3 packets transmitted, 2 received, 33.3333% packet loss, time 2002ms\n\n"
    );
}

#[test]
fn errors() {
    let unreachable = failure(EchoCause::Icmp {
        from: address("10.1.1.1"),
        from_name: None,
        icmp_type: 3,
        icmp_code: 1,
        info: 0,
        meaning: "Destination Host Unreachable".to_owned(),
    });
    assert_eq!(
        text(numbers(), std::slice::from_ref(&unreachable)).0,
        "From 10.1.1.1 icmp_seq=2 Destination Host Unreachable\n"
    );
    assert_eq!(
        text(names(), &[unreachable]).0,
        "From 10.1.1.1 (10.1.1.1) icmp_seq=2 Destination Host Unreachable\n"
    );
    let too_long = failure(EchoCause::TooLong { mtu_bytes: 1400 });
    let (out, err) = text(numbers(), &[started("a", "10.1.1.1", 56), too_long.clone()]);
    assert!(out.ends_with("of data.\n"));
    assert_eq!(err, "ping: local error: message too long, mtu=1400\n");
    let (_, err) = text(numbers(), &[started("a", "::1", 56), too_long]);
    assert_eq!(err, "ping: local error: message too long, mtu: 1400\n");
    let refused = failure(EchoCause::Send {
        errno: "ENETUNREACH".to_owned(),
        meaning: "Network is unreachable".to_owned(),
    });
    assert_eq!(
        text(numbers(), &[refused]).1,
        "ping: sendmsg: Network is unreachable\n"
    );
}

#[test]
fn summaries() {
    let none = EchoSummary {
        transmitted: 2,
        errors: 2,
        loss_percent: Some(100.0),
        time: Duration::from_millis(202),
        pipe: 2,
        ..nothing_sent()
    };
    let silent = EchoSummary {
        errors: 0,
        pipe: 0,
        ..none.clone()
    };
    let mixed = EchoSummary {
        duplicates: 1,
        corrupted: 4,
        errors: 5,
        pipe: 3,
        gap: Some(Duration::from_micros(24)),
        ..two_of_three()
    };
    for (summary, lines) in [
        (
            two_of_three(),
            "3 packets transmitted, 2 received, 33.3333% packet loss, time 2002ms\n\
             rtt min/avg/max/mdev = 0.036/1.037/120.039/0.001 ms\n",
        ),
        (
            none,
            "2 packets transmitted, 0 received, +2 errors, 100% packet loss, time 202ms\npipe 2\n",
        ),
        (
            silent,
            "2 packets transmitted, 0 received, 100% packet loss, time 202ms\n\n",
        ),
        (nothing_sent(), "0 packets transmitted, 0 received\n\n"),
        (
            mixed,
            "3 packets transmitted, 2 received, +1 duplicates, +4 corrupted, +5 errors, \
             33.3333% packet loss, time 2002ms\n\
             rtt min/avg/max/mdev = 0.036/1.037/120.039/0.001 ms, pipe 3, ipg/ewma 0.024/0.040 ms\n",
        ),
    ] {
        let quiet = Layout {
            detail: Detail::Summary,
            ..Layout::default()
        };
        assert_eq!(
            text(quiet, &[Echo::Summary(Box::new(summary))]).0,
            format!("\n--- 10.1.1.1 ping statistics ---\n{lines}")
        );
    }
}

#[test]
fn the_status_line_goes_to_standard_error() {
    let (out, err) = text(numbers(), &[Echo::Status(Box::new(two_of_three()))]);
    assert_eq!(out, "");
    assert_eq!(
        err,
        "\r2/3 packets, 33% loss, min/avg/ewma/max = 0.036/1.037/0.040/120.039 ms\n"
    );
    let (_, err) = text(numbers(), &[Echo::Status(Box::new(nothing_sent()))]);
    assert_eq!(err, "\r0/0 packets, 0% loss\n");
}

#[test]
fn quiet_leaves_the_lines_out_and_hex_adds_bytes() {
    let quiet = Layout {
        detail: Detail::Summary,
        ..Layout::default()
    };
    let lines = [
        reply_in(37, EchoJudgement::Counted),
        failure(EchoCause::TooLong { mtu_bytes: 1400 }),
    ];
    assert_eq!(text(quiet, &lines), (String::new(), String::new()));
    let bytes = Layout {
        detail: Detail::Bytes,
        ..Layout::default()
    };
    let (out, _) = text(bytes, &lines[..1]);
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(
        lines,
        [
            "64 bytes from 10.1.1.1: icmp_seq=1 ttl=64 time=0.037 ms",
            "0000  0000 fffe 0000 fffe                      ........          ICMP",
            "0008  0000 fffe 0000 fffe 0000 fffe            ............      data",
        ]
    );
}

#[test]
fn percentages_are_printed_as_by_percent_g() {
    for (value, digits) in [
        (0.0, "0"),
        (100.0, "100"),
        (33.333_333_333, "33.3333"),
        (0.1, "0.1"),
        (0.012_345_678, "0.0123457"),
        (99.999_96, "100"),
        (0.000_012, "1.2e-05"),
        (6.25, "6.25"),
    ] {
        assert_eq!(six_digits(value), digits);
    }
}

#[test]
fn a_reader_that_is_gone_stops_the_run() {
    struct Gone;
    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let stop = Arc::new(AtomicBool::new(false));
    let renderer = PingText::new(numbers(), Gone, io::sink(), Arc::clone(&stop));
    renderer.record(&Event {
        at: Duration::ZERO,
        host: Place::Client,
        what: What::Echo(started("a", "::1", 56)),
    });
    assert!(stop.load(Ordering::Relaxed));
    let failure = renderer.into_result().unwrap_err();
    assert_eq!(failure.kind(), io::ErrorKind::BrokenPipe);
}

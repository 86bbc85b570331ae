//! Callers that mean no good, or make mistakes: each is refused or bounded, and the daemon goes on.

use std::fs;
use std::io::{Read, Write};

use super::daemon::{Daemon, OLD, answer};
use super::{CONSUL, FILE, one};
use crate::harm::{PLANTED, SECRET, harmful};

/// The most memory that the daemon may have taken in the end, in KiB.
const MOST_MEMORY: u64 = 200 << 10;

/// The most memory that a process has had, in KiB.
fn peak(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn lives(daemon: &Daemon) {
    assert_eq!(daemon.get("/livez").status, 200);
}

#[test]
fn what_would_change_something_is_refused() {
    let daemon = one(&[]);
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"] {
        for path in ["/", CONSUL, "/metrics", "/nothing"] {
            let refused = daemon.send(format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes());
            assert_eq!(refused.status, 405, "{method} {path}");
            assert!(refused.head.contains("allow: get, head"), "{}", refused.head);
        }
    }
}

#[test]
fn only_a_head_is_answered_to_who_asks_for_the_head() {
    let daemon = one(&[]);
    let head = daemon.send(b"HEAD /api/v1/clusters HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
}

#[test]
fn a_name_that_a_stranger_has_pointed_here_is_refused() {
    let daemon = one(&["--listen-name", "crab.example"]);
    let ask = |lines: &str| daemon.send(format!("GET /api/v1/clusters HTTP/1.1\r\n{lines}\r\n").as_bytes()).status;
    assert_eq!(ask("Host: crab.example\r\n"), 200);
    assert_eq!(ask("Host: evil.example\r\n"), 421);
    assert_eq!(ask("Host: localhost\r\nHost: evil.example\r\n"), 400);
    assert_eq!(ask(""), 400);
    let absolute = b"GET http://evil.example/api/v1/clusters HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_eq!(daemon.send(absolute).status, 400);
}

#[test]
fn a_question_with_a_body_is_refused_unread() {
    let daemon = one(&[]);
    for lines in ["Content-Length: 1000000000", "Transfer-Encoding: chunked"] {
        let request = format!("GET /api/v1/clusters HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n\r\n");
        assert_eq!(daemon.send(request.as_bytes()).status, 413, "{lines}");
    }
}

#[test]
fn a_huge_head_is_cut_off() {
    let daemon = one(&[]);
    let long = "x".repeat(1 << 20);
    let many: String = (0..10_000).map(|number| format!("X-{number}: y\r\n")).collect();
    for request in [
        format!("GET /{long} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {long}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: localhost\r\n{many}\r\n"),
        long.clone(),
    ] {
        let status = daemon.send(request.as_bytes()).status;
        assert!([0, 400, 414, 431].contains(&status), "{status}");
    }
    lives(&daemon);
    assert!(peak(daemon.process()) < MOST_MEMORY, "{} KiB", peak(daemon.process()));
}

#[test]
fn a_head_that_does_not_come_is_not_waited_for() {
    let daemon = one(&[]);
    let mut slow: Vec<_> = (0..60).map(|_| daemon.connect()).collect();
    for stream in &mut slow {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: local").unwrap();
    }
    lives(&daemon);
    for mut stream in slow {
        let mut rest = Vec::new();
        // Ends when the daemon closes, and fails by the patience of the test if it does not.
        stream.read_to_end(&mut rest).unwrap();
        assert!(!rest.starts_with(b"HTTP/1.1 200"));
    }
}

#[test]
fn of_a_thousand_streams_most_are_refused_and_none_disturbs_the_daemon() {
    let daemon = one(&[]);
    let mut open = Vec::new();
    let mut refused = 0;
    for number in 0..1_000 {
        let mut stream = daemon.connect();
        write!(stream, "GET /api/v1/stream?{number} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut status = [0; 12];
        stream.read_exact(&mut status).unwrap();
        match &status {
            b"HTTP/1.1 200" => open.push(stream),
            b"HTTP/1.1 503" => refused += 1,
            other => panic!("{}", String::from_utf8_lossy(other)),
        }
    }
    assert_eq!((open.len(), refused), (16, 984));
    lives(&daemon);
    assert!(peak(daemon.process()) < MOST_MEMORY, "{} KiB", peak(daemon.process()));
    drop(open.pop());
    // The daemon notices at its next message that nobody listens any more.
    daemon.edit(FILE, OLD, "ami-0bbbbbbbbbbbbbbbb");
    let is_free = |_: &u32| {
        let mut stream = daemon.connect();
        write!(stream, "GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut status = [0; 12];
        stream.read_exact(&mut status).unwrap();
        std::thread::sleep(super::daemon::BREATH);
        &status == b"HTTP/1.1 200"
    };
    assert!((0..1_000).find(is_free).is_some(), "the place of a stream that has ended is not given to another");
}

#[test]
fn nothing_that_is_no_http_ends_the_daemon() {
    let daemon = one(&[]);
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00"[..],
        b"\r\n\r\n\r\n",
        b"\0\0\0\0",
        b"GET / HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\n",
    ] {
        let mut stream = daemon.connect();
        stream.write_all(bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        assert_ne!(answer(&mut stream).status, 200);
    }
    lives(&daemon);
}

/// The places that a file may have text of others in, and secrets: user data, a tag, a file that is broken.
#[test]
fn nothing_planted_comes_out() {
    let daemon = one(&[]);
    let good = fs::read_to_string(daemon.path(FILE)).unwrap();
    fs::write(daemon.path("desired-state/prod/user-data"), format!("token={SECRET}")).unwrap();
    let planted = serde_json::to_string(PLANTED).unwrap();
    let with_data = good.replace("  instance:\n", "  instance:\n    userDataFile: user-data\n");
    daemon.write(FILE, &with_data.replace("team: platform", &format!("team: {planted}")).replace(OLD, &planted));
    daemon.until_document(CONSUL, "broken", |cluster| cluster["file"]["state"] == "last-good");
    every_answer_is_harmless(&daemon);
    daemon.write(FILE, &with_data);
    daemon.until_document(CONSUL, "drifts", |cluster| cluster["summary"]["slots"]["current"] != 3);
    every_answer_is_harmless(&daemon);
}

fn every_answer_is_harmless(daemon: &Daemon) {
    for path in ["/", "/metrics", "/api/v1/clusters", "/api/v1/events", "/clusters/consul-prod", CONSUL] {
        assert_eq!(harmful(&daemon.get(path).body), None, "{path}");
    }
    for part in ["plan", "explain", "events", "history"] {
        assert_eq!(harmful(&daemon.get(&format!("{CONSUL}/{part}")).body), None, "{part}");
    }
    for path in ["/%1b]0;PWNED", "/clusters/%3Cscript%3E", "/api/v1/clusters/<script>"] {
        assert!(!daemon.get(path).body.contains("script"), "{path}");
    }
}

//! News by e-mail: what a relay is given, what keeps a letter from it, and what never reaches it.

use std::collections::BTreeSet;

use super::relay::{Manner, Relay};
use super::{NEW, OLD, Place, SECRET};

/// A place with a relay; `more` are further fields of the receiver.
fn place(manner: Manner, more: &str) -> (Place, Relay) {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::start(manner, &folder.path().join("ca.pem"));
    let receiver = format!(
        "  - name: mail\n    email: {{relay: 127.0.0.1, port: {}, from: 'Crab <crab@example.org>', \
         to: [ops@example.org, 'Ann <ann@example.org>'], caFile: ca.pem{more}}}\n",
        relay.port
    );
    let place = Place::new(&[receiver]);
    std::fs::copy(folder.path().join("ca.pem"), place.path("ca.pem")).unwrap();
    (place, relay)
}

/// Tries the receiver out: what is said, and the exit code.
fn tried(place: &Place) -> (String, Option<i32>) {
    let output = place.test(&[]);
    let said = [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat();
    assert!(!said.contains(SECRET), "{said}");
    (said, output.status.code())
}

#[test]
fn a_rollout_is_told_by_mail_encrypted_and_once() {
    for (manner, encryption) in [(Manner::StartTls, "starttls"), (Manner::Tls, "tls")] {
        let more = format!(", encryption: {encryption}, user: crab, passwordFile: secret");
        let (place, relay) = place(manner, &more);
        place.edit(OLD, NEW);
        assert_eq!(place.once(), Some(0));
        let letters = relay.all();
        let subjects: Vec<_> = letters.iter().map(|letter| letter.header("Subject")).collect();
        assert_eq!(subjects.len(), 2, "{subjects:?}");
        assert!(subjects[1].contains("consul-prod is settled"), "{subjects:?}");
        for letter in &letters {
            assert!(letter.was_encrypted, "{letter:?}");
            assert_eq!(letter.login, Some(("crab".to_owned(), SECRET.to_owned())));
            assert!(letter.from.contains("<crab@example.org>"), "{letter:?}");
            assert!(letter.to.iter().zip(["ops@", "ann@"]).all(|(to, name)| to.contains(name)), "{letter:?}");
            assert_eq!(letter.header("Auto-Submitted"), "auto-generated");
            assert!(letter.text.contains("https://crab.example/clusters/consul-prod"), "{letter:?}");
        }
        assert_ne!(letters[0].header("Message-ID"), letters[1].header("Message-ID"));
        assert_eq!(place.once(), Some(0));
        assert!(relay.all().is_empty(), "nothing is told twice");
    }
}

#[test]
fn nothing_is_said_to_a_relay_that_is_not_trusted_or_does_not_encrypt() {
    let (place, relay) = place(Manner::StartTls, ", user: crab, passwordFile: secret");
    let other = tempfile::tempdir().unwrap();
    Relay::start(Manner::Tls, &other.path().join("ca.pem"));
    std::fs::copy(other.path().join("ca.pem"), place.path("ca.pem")).unwrap();
    let (said, code) = tried(&place);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("cannot be reached"), "{said}");
    assert_eq!(relay.heard(), "EHLO hermitcrab\r\nSTARTTLS\r\n");

    let (place, relay) = self::place(Manner::Plain, ", user: crab, passwordFile: secret");
    let (said, code) = tried(&place);
    assert_eq!(code, Some(1), "{said}");
    let heard = relay.heard();
    assert!(!heard.contains("AUTH") && !heard.contains("MAIL"), "{heard}");
}

#[test]
fn a_relay_that_refuses_is_asked_again_unless_it_refuses_for_good() {
    let (place, relay) = place(Manner::StartTls, ", user: crab, passwordFile: secret");
    relay.refuse("AUTH", &format!("535 5.7.8 {SECRET} is no password"));
    let (said, code) = tried(&place);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("535") && said.contains("[secret] is no password"), "{said}");
    assert!(!said.contains("not tried again"), "{said}");
    relay.refuse("RCPT", "550 5.1.1 nobody of that name");
    let (said, code) = tried(&place);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("nobody of that name") && said.contains("not tried again"), "{said}");
    let (said, code) = tried(&place);
    assert_eq!(code, Some(0), "{said}");
    assert!(relay.next().text.contains("Subject: "), "{said}");

    // The daemon as well: what is refused for now is told with the next try.
    relay.refuse("MAIL", "451 4.3.0 later");
    place.edit(OLD, NEW);
    // On a busy machine a daemon that has nothing to do ends before the second is due again, or before it has read that one was taken,
    // which then comes twice.
    let mut subjects = BTreeSet::new();
    for _ in 0..10 {
        assert_eq!(place.once(), Some(0));
        subjects.extend(relay.all().iter().map(|letter| letter.header("Subject")));
        if subjects.len() == 2 {
            break;
        }
    }
    assert_eq!(subjects.len(), 2, "{subjects:?}");
}

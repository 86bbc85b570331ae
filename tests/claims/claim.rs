//! A claim to write, for the tests of every place that claims are kept in.

use hermitcrab::action::ClaimEffect;
use hermitcrab::ids::{Generation, ImageId, SlotName};
use hermitcrab::observed::{Claim, ClaimRecord, Purpose, Rehearsed, Verdict, Way};
use hermitcrab::time::Timestamp;

/// Claims slot `b` under the attempt after the record's last.
pub fn claim(record: &ClaimRecord) -> ClaimEffect {
    let claim = Claim {
        slot: SlotName::from("consul-b"),
        attempt: record.last_attempt.next(),
        tries: 0,
        purpose: Purpose::Fill,
        member: None,
        generation: Generation::from("v1-0123456789abcdef"),
        image: ImageId::from("ami-0aa11bb22cc33dd44"),
        version: None,
        recruit: None,
        request: None,
        stops: Default::default(),
        stuck: None,
        stranded: false,
        way: Way::default(),
        turning: false,
        since: Timestamp::UNIX_EPOCH,
    };
    ClaimEffect::Claim { claim, expects: record.revision }
}

/// Writes down a rehearsal of some generation.
pub fn rehearsed(record: &ClaimRecord, generation: &str, verdict: Verdict) -> ClaimEffect {
    let rehearsed = Rehearsed {
        generation: Generation::from(generation),
        from: ImageId::from("ami-0aa11bb22cc33dd44"),
        to: ImageId::from("ami-0bb11bb22cc33dd44"),
        at: Timestamp::UNIX_EPOCH,
        copy: "consul-prod-rehearsal-19700101t000000z".into(),
        unlike: vec!["on t3.small instead of m7i.large".to_owned()],
        verdict,
    };
    ClaimEffect::Rehearsed { rehearsed, expects: record.revision }
}

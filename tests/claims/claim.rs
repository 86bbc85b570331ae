//! A claim to write, for the tests of every place that claims are kept in.

use hermitcrab::action::ClaimEffect;
use hermitcrab::ids::{Generation, ImageId, SlotName};
use hermitcrab::observed::{Claim, ClaimRecord};
use hermitcrab::time::Timestamp;

/// Claims slot `b` under the attempt after the record's last.
pub fn claim(record: &ClaimRecord) -> ClaimEffect {
    let claim = Claim {
        slot: SlotName::from("consul-b"),
        attempt: record.last_attempt.next(),
        tries: 0,
        old: None,
        member: None,
        generation: Generation::from("v1-0123456789abcdef"),
        image: ImageId::from("ami-0aa11bb22cc33dd44"),
        recruit: None,
        since: Timestamp::UNIX_EPOCH,
    };
    ClaimEffect::Claim { claim, expects: record.revision }
}

//! A claim record as it is stored: JSON that names its format and its cluster, and the cluster's home.

use serde::{Deserialize, Serialize};

use super::home::Home;
use crate::ids::ClusterName;
use crate::observed::ClaimRecord;

/// The format of a record that does not say where its cluster is.
const HOMELESS: u32 = 1;
/// The format of one that does. Versions that would take no notice of that refuse it.
const WITH_HOME: u32 = 2;
/// The format of one whose replacement has been turned round. Versions that do not know of that would take it the other way,
/// and refuse it.
const WITH_WAY: u32 = 3;
/// The format of one with a launch for a slot that is not claimed yet. Versions that do not know of that would take its instance
/// for an interrupted replacement, and refuse it.
const WITH_AHEAD: u32 = 4;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored<R> {
    format: u32,
    cluster: ClusterName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    home: Option<Home>,
    record: R,
}

/// The reason why something stored cannot be taken for a claim record.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error("it is no claim record; {NEXT}")]
    Json(#[source] serde_json::Error),
    #[error(
        "it has format {0}, and this version reads formats {HOMELESS} to {WITH_AHEAD}: use the version that wrote it"
    )]
    Format(u32),
    #[error("it belongs to cluster {0}; {NEXT}")]
    Cluster(ClusterName),
    #[error(
        "it belongs to another cluster: {cluster} in {found}, and not in {wanted}; give this one a place of its own with \
         --claims, or remove the record if it was copied here"
    )]
    Home { cluster: ClusterName, found: Home, wanted: Home },
    #[error("it has revision 0, which is never written; {NEXT}")]
    Revision,
}

const NEXT: &str = "restore it, or remove it once no slot of the cluster is half replaced";

/// Writes a record as bytes to store, in the earliest format that has room for it.
pub(super) fn encode(cluster: &ClusterName, home: Option<Home>, record: &ClaimRecord) -> Vec<u8> {
    let is_turned = record.held.as_ref().is_some_and(|claim| claim.turning || !claim.way.is_first());
    let format = match home {
        _ if record.ahead.is_some() => WITH_AHEAD,
        _ if is_turned => WITH_WAY,
        Some(_) => WITH_HOME,
        None => HOMELESS,
    };
    let stored = Stored { format, cluster: cluster.clone(), home, record };
    let mut bytes = serde_json::to_vec_pretty(&stored).unwrap_or_default(); // a record has nothing that can fail
    bytes.push(b'\n');
    bytes
}

/// Reads a record that was stored. A broken one is never taken for a cluster without a claim, nor is that of a cluster in
/// another home for this one's.
fn decode(cluster: &ClusterName, home: Option<&Home>, bytes: &[u8]) -> Result<ClaimRecord, Broken> {
    let stored: Stored<ClaimRecord> = serde_json::from_slice(bytes).map_err(Broken::Json)?;
    if !(HOMELESS..=WITH_AHEAD).contains(&stored.format) {
        return Err(Broken::Format(stored.format));
    }
    if stored.cluster != *cluster {
        return Err(Broken::Cluster(stored.cluster));
    }
    if let (Some(wanted), Some(found)) = (home, stored.home)
        && !wanted.may_be(&found)
    {
        return Err(Broken::Home { cluster: stored.cluster, found, wanted: wanted.clone() });
    }
    if stored.record.revision == 0 {
        return Err(Broken::Revision);
    }
    Ok(stored.record)
}

/// Reads a record that lies under the `nth` of the names that it may lie under. Only the first says whose it is: under another
/// one may lie the record of a namesake, which is none of this cluster.
pub(super) fn decode_nth(
    nth: usize,
    cluster: &ClusterName,
    home: Option<&Home>,
    bytes: &[u8],
) -> Result<Option<ClaimRecord>, Broken> {
    match decode(cluster, home, bytes) {
        Err(Broken::Home { .. }) if nth > 0 => Ok(None),
        read => read.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::ClaimEffect;
    use crate::ids::Attempt;
    use crate::observed::{Ahead, Purpose, Way};
    use crate::time::Timestamp;

    fn name() -> ClusterName {
        ClusterName::from("consul-prod")
    }

    #[test]
    fn what_is_stored_is_read_back() {
        let record = ClaimRecord { revision: 7, last_attempt: Attempt(3), ..ClaimRecord::default() };
        assert_eq!(decode(&name(), None, &encode(&name(), None, &record)).unwrap(), record);
    }

    #[test]
    fn what_was_stored_before_rehearsals_were_is_read_and_what_has_none_is_stored_as_then() {
        let bytes = br#"{"format":1,"cluster":"consul-prod","record":{"revision":7,"held":null,"lastAttempt":3,
            "initialised":["consul-a"],"takenBackAt":null}}"#;
        let record = decode(&name(), None, bytes).unwrap();
        assert_eq!((record.revision, record.rehearsed.len()), (7, 0));
        assert!(!String::from_utf8(encode(&name(), None, &record)).unwrap().contains("rehearsed"));
    }

    /// The claims in it are spelled as every version has stored them.
    #[test]
    fn a_claim_that_an_older_version_stored_is_read_and_stored_as_it_was() {
        let stored = |old: &str| {
            format!(
                r#"{{"format":1,"cluster":"consul-prod","record":{{"revision":9,"held":{{"slot":"consul-b","attempt":4,
                "tries":1,"old":{old},"member":"6c1c5a30","generation":"v1-0123456789abcdef",
                "image":"ami-0aa11bb22cc33dd44","since":"2026-01-05T12:00:00Z"}},"lastAttempt":4,
                "initialised":["consul-a","consul-b"],"takenBackAt":null}}}}"#
            )
        };
        let replaced = Purpose::Replace { old: "i-0123".into() };
        for (old, purpose) in [(r#""i-0123""#, replaced), ("null", Purpose::Fill)] {
            let record = decode(&name(), None, stored(old).as_bytes()).unwrap();
            let claim = record.held.as_ref().unwrap();
            assert_eq!((&claim.purpose, &*claim.slot, claim.attempt), (&purpose, "consul-b", Attempt(4)));
            assert_eq!((claim.tries, claim.member.as_deref(), &claim.recruit), (1, Some("6c1c5a30"), &None));
            let json = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).unwrap();
            assert_eq!(json(&encode(&name(), None, &record)), json(stored(old).as_bytes()));
        }
    }

    /// A version that did not know of it would detach the volumes from the instance that is being started again.
    #[test]
    fn a_replacement_that_is_taken_back_is_stored_so_that_an_older_version_refuses_it() {
        let stored = |way: Way, turning: bool| {
            let claim = serde_json::json!({
                "slot": "consul-b", "attempt": 4, "tries": 0, "old": "i-0123", "member": null, "generation": "v1-0",
                "image": "ami-0", "since": "2026-01-05T12:00:00Z", "way": way, "turning": turning,
            });
            let held = Some(serde_json::from_value(claim).unwrap());
            let record = ClaimRecord { revision: 9, held, ..ClaimRecord::default() };
            let bytes = encode(&name(), None, &record);
            assert_eq!(decode(&name(), None, &bytes).unwrap(), record);
            let stored: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            (stored["format"].clone(), stored["record"]["held"]["way"].clone())
        };
        assert_eq!(stored(Way::Forward, false), (1.into(), serde_json::Value::Null));
        assert_eq!(stored(Way::Forward, true), (3.into(), serde_json::Value::Null));
        assert_eq!(stored(Way::Back, false), (3.into(), "back".into()));
        assert_eq!(stored(Way::ForwardAgain, true), (3.into(), "forward-again".into()));
    }

    /// A version that did not know of it would take the instance for an interrupted replacement.
    #[test]
    fn a_launch_ahead_is_stored_so_that_an_older_version_refuses_it() {
        let (slot, attempt, generation, image) = ("consul-c".into(), Attempt(5), "v1-0".into(), "ami-0".into());
        let ahead = Ahead { slot, attempt, generation, image, request: "0123".to_owned(), let_go: false };
        let record = ClaimRecord { revision: 9, ahead: Some(ahead), ..ClaimRecord::default() };
        let format = |record: &ClaimRecord| {
            let bytes = encode(&name(), None, record);
            assert_eq!(decode(&name(), None, &bytes).unwrap(), *record);
            serde_json::from_slice::<serde_json::Value>(&bytes).unwrap()["format"].clone()
        };
        assert_eq!(format(&record), 4);
        let forgotten = ClaimEffect::Forget { expects: 9 }.apply(&record, Timestamp::UNIX_EPOCH);
        assert_eq!(format(&forgotten), 1);
    }

    #[test]
    fn nothing_broken_is_taken_for_no_claim() {
        let record = ClaimRecord { revision: 7, ..ClaimRecord::default() };
        let other = encode(&ClusterName::from("consul-staging"), None, &record);
        let half = &encode(&name(), None, &record)[..40];
        for (bytes, why) in [
            (&b""[..], "it is no claim record"),
            (&b"{}"[..], "it is no claim record"),
            (half, "it is no claim record"),
            (&other[..], "it belongs to cluster consul-staging"),
            (
                &br#"{"format":5,"cluster":"consul-prod","record":{}}"#[..],
                "it has format 5, and this version reads formats 1 to 4",
            ),
            (&br#"{"format":1,"cluster":"consul-prod","record":{}}"#[..], "it has revision 0, which is never written"),
        ] {
            let error = decode(&name(), None, bytes).unwrap_err().to_string();
            assert!(error.starts_with(why), "{error}");
        }
    }
}

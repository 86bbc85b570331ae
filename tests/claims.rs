//! The claims in a directory: real files, real locks, writers that race.
#![allow(clippy::unwrap_used)] // functions that tests call are tests as well

use std::fs;
use std::future::Future;
use std::path::Path;
use std::thread;

use hermitcrab::coordination::Local;
use hermitcrab::ids::{Attempt, ClusterName};
use hermitcrab::observed::{ClaimRecord, Verdict};
use hermitcrab::ports::{Coordination, ErrorKind, Outcome};
use hermitcrab::spec::ClusterSpec;
use hermitcrab::time::Timestamp;

#[path = "claims/claim.rs"]
mod claiming;
#[path = "tools/wall.rs"]
mod wall;

use claiming::{claim, rehearsed};
use wall::Wall;

fn name() -> ClusterName {
    ClusterName::from("consul-prod")
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn open(directory: &Path) -> Local<Wall> {
    Local::open(directory, Wall).unwrap()
}

#[test]
fn a_record_that_quotes_much_is_told_in_short() {
    let directory = tempfile::tempdir().unwrap();
    let local = open(directory.path());
    let long = format!("\u{1b}[2J{}", "A".repeat(200_000));
    let record = serde_json::json!({"format": 1, "cluster": long, "record": {}});
    fs::write(directory.path().join("consul-prod.claim.json"), record.to_string()).unwrap();
    let error = hermitcrab::ports::chain(&block_on(local.read(&name())).unwrap_err());
    assert!(error.contains("it belongs to cluster \\u{1b}[2JAAAA") && error.len() < 10_000, "{} bytes", error.len());
}

#[test]
fn a_cluster_that_was_never_claimed_has_the_default_record() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(block_on(open(directory.path()).read(&name())).unwrap(), ClaimRecord::default());
}

#[test]
fn a_claim_is_there_when_the_directory_is_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let effect = claim(&ClaimRecord::default());
    assert_eq!(block_on(open(directory.path()).write(&name(), &effect)).unwrap(), Outcome::Done);
    let record = block_on(open(directory.path()).read(&name())).unwrap();
    assert_eq!(record, effect.apply(&ClaimRecord::default(), Timestamp::UNIX_EPOCH));
}

#[test]
fn a_write_that_expects_another_revision_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let local = open(directory.path());
    let effect = claim(&ClaimRecord::default());
    block_on(local.write(&name(), &effect)).unwrap();
    let before = block_on(local.read(&name())).unwrap();
    let expected = Outcome::Changed { expected: "revision 0".to_owned(), found: "revision 1".to_owned() };
    assert_eq!(block_on(local.write(&name(), &effect)).unwrap(), expected);
    assert_eq!(block_on(local.read(&name())).unwrap(), before);
}

/// The declared cluster of production, in another region or account.
fn namesake(region: &str, account: Option<&str>) -> ClusterSpec {
    let loaded = hermitcrab::spec::load::load(&["desired-state/prod/consul.yaml".into()]);
    let spec = loaded.specs().next().unwrap().1.clone();
    ClusterSpec { region: region.to_owned(), account: account.map(str::to_owned), ..spec }
}

/// Opens a directory for a controller of one cluster.
fn open_for(directory: &Path, spec: &ClusterSpec) -> Local<Wall> {
    let local = open(directory);
    local.is_about(spec);
    local
}

#[test]
fn clusters_of_one_name_in_other_regions_and_accounts_have_claims_of_their_own() {
    let directory = tempfile::tempdir().unwrap();
    let (one, two) = (Some("111111111111"), Some("222222222222"));
    let homes = [("us-east-1", one), ("us-east-1", two), ("us-west-2", one)];
    for (region, account) in homes {
        let local = open_for(directory.path(), &namesake(region, account));
        let before = block_on(local.read(&name())).unwrap();
        assert_eq!(before, ClaimRecord::default(), "{region} {account:?}");
        assert_eq!(block_on(local.write(&name(), &claim(&before))).unwrap(), Outcome::Done);
    }
    for (region, account) in homes {
        let local = open_for(directory.path(), &namesake(region, account));
        assert_eq!(block_on(local.read(&name())).unwrap().revision, 1, "{region} {account:?}");
        block_on(local.forget(&name())).unwrap();
        assert_eq!(block_on(local.read(&name())).unwrap(), ClaimRecord::default());
    }
}

#[test]
fn an_earlier_record_stays_in_force_where_it_is_and_says_whose_it_is_from_the_next_write_on() {
    let directory = tempfile::tempdir().unwrap();
    block_on(open(directory.path()).write(&name(), &claim(&ClaimRecord::default()))).unwrap();
    let ours = open_for(directory.path(), &namesake("us-east-1", Some("111111111111")));
    let before = block_on(ours.read(&name())).unwrap();
    assert_eq!(before.revision, 1);
    assert_eq!(block_on(ours.write(&name(), &rehearsed(&before, "v1-a", Verdict::Passed))).unwrap(), Outcome::Done);
    assert_eq!(block_on(ours.read(&name())).unwrap().revision, 2);
    let theirs = open_for(directory.path(), &namesake("eu-west-1", Some("111111111111")));
    assert_eq!(block_on(theirs.read(&name())).unwrap(), ClaimRecord::default(), "not this cluster's any more");
    // An account that the file names only later changes nothing.
    let unnamed = open_for(directory.path(), &namesake("us-east-1", None));
    assert_eq!(block_on(unnamed.read(&name())).unwrap().revision, 2);
}

#[test]
fn an_account_that_the_file_no_longer_names_loses_no_claim() {
    let directory = tempfile::tempdir().unwrap();
    let named = open_for(directory.path(), &namesake("us-east-1", Some("111111111111")));
    block_on(named.write(&name(), &claim(&ClaimRecord::default()))).unwrap();
    let unnamed = open_for(directory.path(), &namesake("us-east-1", None));
    assert_eq!(block_on(unnamed.read(&name())).unwrap().revision, 1);
    let other = open_for(directory.path(), &namesake("us-east-1", Some("222222222222")));
    block_on(other.write(&name(), &claim(&ClaimRecord::default()))).unwrap();
    let error = hermitcrab::ports::chain(&block_on(unnamed.read(&name())).unwrap_err());
    assert!(error.contains("2 accounts have a cluster of this name there"), "{error}");
}

#[test]
fn a_record_that_was_copied_from_another_home_is_refused_with_both_names() {
    let directory = tempfile::tempdir().unwrap();
    let east = open_for(directory.path(), &namesake("us-east-1", None));
    block_on(east.write(&name(), &claim(&ClaimRecord::default()))).unwrap();
    let file = |region: &str| directory.path().join(format!("consul-prod@{region}.claim.json"));
    fs::copy(file("us-east-1"), file("us-west-2")).unwrap();
    let west = open_for(directory.path(), &namesake("us-west-2", None));
    let error = block_on(west.read(&name())).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    let said = hermitcrab::ports::chain(&error);
    assert!(said.contains("belongs to another cluster: consul-prod in us-east-1, and not in us-west-2"), "{said}");
}

#[test]
fn a_rehearsal_is_kept_beside_the_claim_until_a_later_one_of_the_same_generation() {
    let directory = tempfile::tempdir().unwrap();
    let write = |generation: &str, verdict| {
        let local = open(directory.path());
        let before = block_on(local.read(&name())).unwrap();
        let effect = rehearsed(&before, generation, verdict);
        assert_eq!(block_on(local.write(&name(), &effect)).unwrap(), Outcome::Done);
        let after = block_on(local.read(&name())).unwrap();
        assert_eq!(after, effect.apply(&before, Timestamp::UNIX_EPOCH));
        assert_eq!((after.held, after.last_attempt), (before.held, before.last_attempt), "the claim is left alone");
        after.rehearsed.into_iter().map(|kept| (kept.generation.to_string(), kept.verdict)).collect::<Vec<_>>()
    };
    block_on(open(directory.path()).write(&name(), &claim(&ClaimRecord::default()))).unwrap();
    write("v1-a", Verdict::Passed);
    write("v1-b", Verdict::Passed);
    let failed = Verdict::Failed { findings: vec!["it was slow".to_owned()] };
    let kept = write("v1-a", failed.clone());
    assert_eq!(kept, [("v1-b".to_owned(), Verdict::Passed), ("v1-a".to_owned(), failed)]);
    (0..20).for_each(|nth| drop(write(&format!("v1-{nth}"), Verdict::Passed)));
    let kept = write("v1-last", Verdict::Passed);
    assert_eq!((kept.len(), kept[0].0.as_str(), kept[7].0.as_str()), (8, "v1-13", "v1-last"));
}

#[test]
fn of_writers_that_race_one_wins_each_revision() {
    let directory = tempfile::tempdir().unwrap();
    let (writers, wanted) = (4, 25);
    let race = || {
        let local = open(directory.path());
        block_on(async {
            let mut won = 0;
            while won < wanted {
                let record = local.read(&name()).await.unwrap();
                match local.write(&name(), &claim(&record)).await.unwrap() {
                    Outcome::Done => won += 1,
                    outcome => assert!(matches!(outcome, Outcome::Changed { .. }), "{outcome:?}"),
                }
            }
        });
    };
    thread::scope(|scope| (0..writers).for_each(|_| drop(scope.spawn(race))));
    let record = block_on(open(directory.path()).read(&name())).unwrap();
    assert_eq!((record.revision, record.last_attempt), (writers * u64::from(wanted), Attempt(writers as u32 * wanted)));
}

#[test]
fn a_broken_file_is_an_error_that_names_it_and_stops_writes() {
    let directory = tempfile::tempdir().unwrap();
    let local = open(directory.path());
    block_on(local.write(&name(), &claim(&ClaimRecord::default()))).unwrap();
    let path = directory.path().join("consul-prod.claim.json");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    for error in [
        block_on(local.read(&name())).unwrap_err(),
        block_on(local.write(&name(), &claim(&ClaimRecord::default()))).unwrap_err(),
    ] {
        assert_eq!(error.kind, ErrorKind::Invalid);
        let text = hermitcrab::ports::chain(&error);
        assert!(text.contains("consul-prod.claim.json"), "{text}");
        assert!(text.contains("restore it, or remove it"), "{text}");
    }
    assert_eq!(fs::read(&path).unwrap(), &whole[..whole.len() / 2]);
}

#[test]
fn what_a_crash_left_half_written_does_not_count() {
    let directory = tempfile::tempdir().unwrap();
    let local = open(directory.path());
    fs::write(directory.path().join("consul-prod.claim.json.new"), "{").unwrap();
    assert_eq!(block_on(local.read(&name())).unwrap(), ClaimRecord::default());
    assert_eq!(block_on(local.write(&name(), &claim(&ClaimRecord::default()))).unwrap(), Outcome::Done);
    assert_eq!(block_on(local.read(&name())).unwrap().revision, 1);
}

#[test]
fn a_directory_that_cannot_be_made_is_refused_when_it_is_opened() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Local::open(&file.join("claims"), Wall).err().unwrap();
    assert_eq!(error.kind, ErrorKind::Invalid);
}

#[cfg(unix)]
#[test]
fn records_are_for_this_user_alone() {
    use std::os::unix::fs::PermissionsExt;
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("claims/below");
    block_on(open(&directory).write(&name(), &claim(&ClaimRecord::default()))).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    for entry in fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[cfg(unix)]
#[test]
fn nothing_is_written_through_a_link_that_somebody_put_there() {
    use std::os::unix::fs::symlink;
    let directory = tempfile::tempdir().unwrap();
    let victim = directory.path().join("victim");
    fs::write(&victim, "theirs").unwrap();
    let local = open(directory.path());
    for link in ["consul-prod.claim.json.new", "consul-prod.claim.json"] {
        symlink(&victim, directory.path().join(link)).unwrap();
    }
    // The record is a link to what is no record: an error, and nothing is written.
    assert!(block_on(local.write(&name(), &claim(&ClaimRecord::default()))).is_err());
    fs::remove_file(directory.path().join("consul-prod.claim.json")).unwrap();
    block_on(local.write(&name(), &claim(&ClaimRecord::default()))).unwrap();
    assert!(!fs::symlink_metadata(directory.path().join("consul-prod.claim.json")).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(&victim).unwrap(), "theirs");
    fs::remove_file(directory.path().join("claims.lock")).unwrap();
    symlink(&victim, directory.path().join("claims.lock")).unwrap();
    assert!(Local::open(directory.path(), Wall).is_err());
}

#[cfg(unix)]
#[test]
fn a_pipe_in_the_place_of_a_record_is_not_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let local = open(directory.path());
    let path = directory.path().join("consul-prod.claim.json");
    assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
    let error = block_on(local.read(&name())).unwrap_err();
    assert_eq!(error.source.to_string(), "not a regular file");
}

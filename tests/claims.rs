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
use hermitcrab::time::Timestamp;

#[path = "claims/claim.rs"]
mod claiming;
#[path = "http/wall.rs"]
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

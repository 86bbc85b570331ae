//! Files change, break, move and go away, and no cluster is lost by that.

use super::*;
use crate::spec::load::check;

#[test]
fn a_file_seen_for_the_first_time_is_a_change() {
    let mut desired = Desired::default();
    assert_eq!(look(&mut desired, [good("a.yaml", "a", "ami-1")]), changes().changed("a"));
    assert_eq!(say(&desired), ["a ami-1 current"]);
}

#[test]
fn the_same_files_again_are_no_change() {
    let mut desired = Desired::default();
    let files = || [good("a.yaml", "a", "ami-1"), broken("b.yaml", None, "what is this")];
    look(&mut desired, files());
    assert_eq!(look(&mut desired, files()), changes());
}

#[test]
fn an_edit_that_means_the_same_is_no_change() {
    let mut desired = Desired::default();
    look(&mut desired, [good("a.yaml", "a", "ami-1")]);
    let commented = LoadedFile { digest: "with a comment".into(), ..good("a.yaml", "a", "ami-1") };
    assert_eq!(look(&mut desired, [commented]), changes());
}

#[test]
fn a_different_spec_is_a_change_even_if_the_file_is_the_same() {
    // User data is read from another file.
    let mut desired = Desired::default();
    look(&mut desired, [good("a.yaml", "a", "ami-1")]);
    let digest = good("a.yaml", "a", "ami-1").digest;
    let other = LoadedFile { digest, ..good("a.yaml", "a", "ami-2") };
    assert_eq!(look(&mut desired, [other]), changes().changed("a"));
    assert_eq!(say(&desired), ["a ami-2 current"]);
}

#[test]
fn a_broken_file_keeps_its_last_good_version_and_leaves_the_others_alone() {
    let mut desired = Desired::default();
    look(&mut desired, [good("a.yaml", "a", "ami-1"), good("b.yaml", "b", "ami-1")]);
    let after = look(&mut desired, [broken("a.yaml", None, "unknown field"), good("b.yaml", "b", "ami-2")]);
    assert_eq!(after, changes().changed("b").broken("a.yaml"));
    assert_eq!(say(&desired), ["a ami-1 last good: unknown field", "b ami-2 current"]);
}

#[test]
fn a_broken_file_that_was_never_good_has_no_cluster() {
    let mut desired = Desired::default();
    let after = look(&mut desired, [broken("a.yaml", Some("a"), "unknown field")]);
    assert_eq!(after, changes().broken("a.yaml"));
    assert!(say(&desired).is_empty());
}

#[test]
fn a_file_broken_in_another_way_is_reported_again() {
    let mut desired = Desired::default();
    look(&mut desired, [broken("a.yaml", None, "unknown field")]);
    assert_eq!(look(&mut desired, [broken("a.yaml", None, "bad size")]), changes().broken("a.yaml"));
}

#[test]
fn a_file_edited_but_broken_as_before_is_not_reported_again() {
    let mut desired = Desired::default();
    look(&mut desired, [broken("a.yaml", None, "unknown field")]);
    let edited = LoadedFile { digest: "with a comment".into(), ..broken("a.yaml", None, "unknown field") };
    assert_eq!(look(&mut desired, [edited]), changes());
}

#[test]
fn the_next_good_version_always_wins() {
    let mut desired = Desired::default();
    look(&mut desired, [good("a.yaml", "a", "ami-1")]);
    look(&mut desired, [broken("a.yaml", Some("a"), "unknown field")]);
    let after = look(&mut desired, [good("a.yaml", "a", "ami-2")]);
    assert_eq!(after, changes().changed("a").mended("a.yaml"));
    assert_eq!(say(&desired), ["a ami-2 current"]);
}

#[test]
fn a_broken_file_taken_back_to_what_it_was_is_mended_and_no_change() {
    let mut desired = Desired::default();
    look(&mut desired, [good("a.yaml", "a", "ami-1")]);
    look(&mut desired, [broken("a.yaml", None, "unknown field")]);
    assert_eq!(look(&mut desired, [good("a.yaml", "a", "ami-1")]), changes().mended("a.yaml"));
}

#[test]
fn a_warning_does_not_break_a_file() {
    let mut desired = Desired::default();
    let mut file = good("a.yaml", "a", "ami-1");
    file.problems.push(Problem { severity: Severity::Warning, ..problem("a.yaml", "old spelling") });
    assert_eq!(look(&mut desired, [file]), changes().changed("a"));
}

#[test]
fn a_deleted_file_orphans_its_cluster_once_and_forgets_nothing() {
    let mut desired = Desired::default();
    look(&mut desired, [good("a.yaml", "a", "ami-1"), good("b.yaml", "b", "ami-1")]);
    assert_eq!(look(&mut desired, [good("b.yaml", "b", "ami-1")]), changes().orphaned("a"));
    assert_eq!(look(&mut desired, [good("b.yaml", "b", "ami-1")]), changes());
    assert_eq!(say(&desired), ["a ami-1 orphaned", "b ami-1 current"]);
}

#[test]
fn an_empty_file_orphans_its_cluster() {
    let mut desired = Desired::default();
    look(&mut desired, [good("a.yaml", "a", "ami-1")]);
    assert_eq!(look(&mut desired, [empty("a.yaml")]), changes().orphaned("a"));
}

#[test]
fn no_files_at_all_orphan_every_cluster_and_change_nothing_else() {
    let mut desired = Desired::default();
    look(&mut desired, [good("a.yaml", "a", "ami-1"), good("b.yaml", "b", "ami-1")]);
    assert_eq!(look(&mut desired, []), changes().orphaned("a").orphaned("b"));
    assert_eq!(say(&desired), ["a ami-1 orphaned", "b ami-1 orphaned"]);
}

#[test]
fn an_orphan_that_is_named_again_is_a_change() {
    let mut desired = Desired::default();
    look(&mut desired, [good("a.yaml", "a", "ami-1")]);
    look(&mut desired, []);
    assert_eq!(look(&mut desired, [good("a.yaml", "a", "ami-1")]), changes().changed("a"));
    assert_eq!(say(&desired), ["a ami-1 current"]);
}

#[test]
fn a_broken_file_does_not_bring_an_orphan_back_unless_it_names_it() {
    let mut desired = Desired::default();
    look(&mut desired, [good("a.yaml", "a", "ami-1")]);
    look(&mut desired, []);
    look(&mut desired, [broken("a.yaml", None, "unknown field")]);
    assert_eq!(say(&desired), ["a ami-1 orphaned"]);
    look(&mut desired, [broken("a.yaml", Some("a"), "bad size")]);
    assert_eq!(say(&desired), ["a ami-1 last good: bad size"]);
}

#[test]
fn a_moved_file_is_no_orphan_and_no_change() {
    let mut desired = Desired::default();
    look(&mut desired, [good("a.yaml", "a", "ami-1")]);
    assert_eq!(look(&mut desired, [good("prod/a.yaml", "a", "ami-1")]), changes());
    assert_eq!(say(&desired), ["a ami-1 current"]);
    look(&mut desired, [broken("prod/a.yaml", None, "unknown field")]);
    assert_eq!(say(&desired), ["a ami-1 last good: unknown field"]);
}

#[test]
fn a_file_moved_and_broken_at_once_keeps_its_last_good_version() {
    let mut desired = Desired::default();
    look(&mut desired, [good("a.yaml", "a", "ami-1")]);
    let after = look(&mut desired, [broken("prod/a.yaml", Some("a"), "unknown field")]);
    assert_eq!(after, changes().broken("prod/a.yaml"));
    look(&mut desired, [broken("prod/a.yaml", None, "not even a name")]);
    assert_eq!(say(&desired), ["a ami-1 last good: not even a name"]);
}

#[test]
fn a_file_that_names_another_cluster_orphans_the_first() {
    let mut desired = Desired::default();
    look(&mut desired, [good("a.yaml", "a", "ami-1")]);
    assert_eq!(look(&mut desired, [good("a.yaml", "b", "ami-1")]), changes().changed("b").orphaned("a"));
}

#[test]
fn two_files_that_name_one_cluster_leave_it_as_it_was() {
    let mut desired = Desired::default();
    look(&mut desired, [good("a.yaml", "a", "ami-1")]);
    let double = || [broken("a.yaml", Some("a"), "named twice"), broken("copy.yaml", Some("a"), "named twice")];
    assert_eq!(look(&mut desired, double()), changes().broken("a.yaml").broken("copy.yaml"));
    assert_eq!(say(&desired), ["a ami-1 last good: named twice"]);
    let after = look(&mut desired, [good("a.yaml", "a", "ami-1")]);
    assert_eq!(after, changes().mended("a.yaml").mended("copy.yaml"));
    assert_eq!(say(&desired), ["a ami-1 current"]);
}

#[test]
fn a_directory_that_cannot_be_read_orphans_nothing() {
    let mut desired = Desired::default();
    look(&mut desired, [good("prod/a.yaml", "a", "ami-1"), good("test/b.yaml", "b", "ami-1")]);
    let mut loaded = loaded([]);
    loaded.problems.push(problem("prod", "permission denied"));
    assert_eq!(desired.update(&loaded), changes().orphaned("b").broken("prod"));
    assert_eq!(say(&desired), ["a ami-1 last good: permission denied", "b ami-1 orphaned"]);
}

fn look<const N: usize>(desired: &mut Desired, files: [LoadedFile; N]) -> Changes {
    desired.update(&loaded(files))
}

/// As the loader does: the problems of all files once more in one list.
fn loaded<const N: usize>(files: [LoadedFile; N]) -> Loaded {
    let problems = files.iter().flat_map(|file| file.problems.clone()).collect();
    Loaded { files: files.into_iter().map(|file| (file.path.clone(), file)).collect(), problems }
}

/// One line a cluster.
fn say(desired: &Desired) -> Vec<String> {
    let file = |declared: &Declaration| match &declared.file {
        FileState::Current => "current".to_owned(),
        FileState::LastGood { problems } => format!("last good: {}", problems[0].message),
        FileState::Orphaned => "orphaned".to_owned(),
    };
    desired.clusters().map(|(name, declared)| format!("{name} {} {}", declared.spec.image, file(declared))).collect()
}

fn changes() -> Changes {
    Changes::default()
}

impl Changes {
    fn changed(mut self, name: &str) -> Self {
        self.changed.push(name.into());
        self
    }

    fn orphaned(mut self, name: &str) -> Self {
        self.orphaned.push(name.into());
        self
    }

    fn broken(mut self, path: &str) -> Self {
        self.broken.push(path.into());
        self
    }

    fn mended(mut self, path: &str) -> Self {
        self.mended.push(path.into());
        self
    }
}

fn good(path: &str, name: &str, image: &str) -> LoadedFile {
    LoadedFile {
        name: Some(name.into()),
        spec: Some(spec(name, image).into()),
        ..file(path, &format!("{name} {image}"))
    }
}

fn broken(path: &str, name: Option<&str>, message: &str) -> LoadedFile {
    LoadedFile { name: name.map(Into::into), problems: vec![problem(path, message)], ..file(path, message) }
}

fn empty(path: &str) -> LoadedFile {
    file(path, "")
}

fn file(path: &str, text: &str) -> LoadedFile {
    LoadedFile {
        path: path.into(),
        digest: text.to_owned(),
        text: text.into(),
        name: None,
        spec: None,
        problems: Vec::new(),
        work: 0,
    }
}

fn problem(path: &str, message: &str) -> Problem {
    Problem {
        severity: Severity::Error,
        path: path.into(),
        place: None,
        message: message.to_owned(),
        label: None,
        hint: None,
    }
}

fn spec(name: &str, image: &str) -> ClusterSpec {
    let text = include_str!("../../../desired-state/prod/consul.yaml");
    let declared = check(Path::new("consul.yaml"), text).specs().next().unwrap().1.clone();
    ClusterSpec { name: name.into(), image: image.into(), ..declared }
}

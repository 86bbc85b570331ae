//! Remembers the last good version of every desired-state file.
//!
//! A bad file must never replace a good one, must not stop the other clusters, and a file that goes away must not
//! take anything with it (design, section 3). So clusters are only ever added to or replaced here, never removed,
//! and what each one stands on is said next to it. Nothing here reads a file or looks at a clock.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::ids::ClusterName;
use crate::spec::ClusterSpec;
use crate::spec::load::{Loaded, LoadedFile, Problem, Severity};

/// What is desired now, by cluster.
#[derive(Debug, Default)]
pub struct Desired {
    clusters: BTreeMap<ClusterName, Desire>,
    broken: BTreeMap<PathBuf, Fault>,
}

/// One cluster's spec, and what it stands on.
#[derive(Clone, Debug)]
pub struct Desire {
    /// The last good version.
    pub spec: ClusterSpec,
    /// The file that it was read from.
    pub path: PathBuf,
    /// How that version relates to the files as they are now.
    pub standing: Standing,
}

/// How a spec relates to the files as they are now.
#[derive(Clone, Debug)]
pub enum Standing {
    /// It is what the file says.
    Current,
    /// The file is broken: this is what it said before.
    LastGood {
        /// What is wrong with the file.
        problems: Vec<Problem>,
    },
    /// No file names the cluster any more. Nothing in the world is changed because of that.
    Orphaned,
}

/// What a look at the files brought; everything in order, nothing twice.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Clusters with a new or a different spec, or one that was orphaned before.
    pub changed: Vec<ClusterName>,
    /// Clusters that no file names any more, since this look.
    pub orphaned: Vec<ClusterName>,
    /// Files, or directories that could not be read, that are broken since this look, or in another way than before.
    pub broken: Vec<PathBuf>,
    /// Those that are broken no more: corrected, emptied or deleted.
    pub mended: Vec<PathBuf>,
}

/// A way of being broken: what is wrong, and where. Not the digest: a file becomes broken without having changed when
/// another one names its cluster too.
type Fault = Vec<String>;

impl Desired {
    /// Takes over what was loaded, and says what that changed.
    pub fn update(&mut self, loaded: &Loaded) -> Changes {
        let (broken, mended) = self.note_faults(loaded);
        let changed = self.take_good(loaded);
        let orphaned = self.keep_rest(loaded);
        Changes { changed, orphaned, broken, mended }
    }

    /// All clusters that were ever read, by name.
    pub fn clusters(&self) -> impl Iterator<Item = (&ClusterName, &Desire)> {
        self.clusters.iter()
    }

    fn note_faults(&mut self, loaded: &Loaded) -> (Vec<PathBuf>, Vec<PathBuf>) {
        let faults = faults(loaded);
        let before = std::mem::replace(&mut self.broken, faults);
        let broken = self.broken.iter().filter(|(path, fault)| before.get(*path) != Some(*fault));
        let mended = before.keys().filter(|path| !self.broken.contains_key(*path));
        (broken.map(|(path, _)| path.clone()).collect(), mended.cloned().collect())
    }

    fn take_good(&mut self, loaded: &Loaded) -> Vec<ClusterName> {
        let mut changed = Vec::new();
        for (file, spec) in loaded.files.values().filter_map(|file| Some((file, file.spec.as_ref()?))) {
            let before = self.clusters.get(&spec.name);
            if !before.is_some_and(|desire| !desire.is_orphaned() && desire.spec == *spec) {
                changed.push(spec.name.clone());
            }
            let desire = Desire { spec: spec.clone(), path: file.path.clone(), standing: Standing::Current };
            self.clusters.insert(spec.name.clone(), desire);
        }
        changed.sort();
        changed.dedup();
        changed
    }

    /// Says of each cluster that no good file names what it stands on now; answers those orphaned by this look.
    fn keep_rest(&mut self, loaded: &Loaded) -> Vec<ClusterName> {
        let named = names_in(loaded, |file| file.spec.is_some());
        let named_by_broken = names_in(loaded, is_broken);
        let mut orphaned = Vec::new();
        for (name, desire) in self.clusters.iter_mut().filter(|(name, _)| !named.contains_key(*name)) {
            let own = loaded.files.get(&desire.path).filter(|file| is_broken(file) && !desire.is_orphaned());
            if let Some(file) = own.or(named_by_broken.get(name).copied()) {
                desire.path = file.path.clone();
                desire.standing = Standing::LastGood { problems: file.problems.clone() };
            } else if let Some(problems) = unseen(loaded, &desire.path).filter(|_| !desire.is_orphaned()) {
                desire.standing = Standing::LastGood { problems };
            } else if !desire.is_orphaned() {
                desire.standing = Standing::Orphaned;
                orphaned.push(name.clone());
            }
        }
        orphaned
    }
}

impl Desire {
    fn is_orphaned(&self) -> bool {
        matches!(self.standing, Standing::Orphaned)
    }
}

/// A file without a spec that has nothing wrong with it is an empty one: it names no cluster.
fn is_broken(file: &LoadedFile) -> bool {
    file.spec.is_none() && file.problems.iter().any(is_error)
}

fn is_error(problem: &Problem) -> bool {
    problem.severity == Severity::Error
}

/// The files of one sort by the cluster that each names; of two, the first by path.
fn names_in(loaded: &Loaded, sort: impl Fn(&LoadedFile) -> bool) -> BTreeMap<&ClusterName, &LoadedFile> {
    let mut names = BTreeMap::new();
    for file in loaded.files.values().filter(|file| sort(file)) {
        let name = file.spec.as_ref().map(|spec| &spec.name).or(file.name.as_ref());
        if let Some(name) = name {
            names.entry(name).or_insert(file);
        }
    }
    names
}

/// Why a file could not be seen although it may be there: a directory above it could not be read. Not knowing is
/// no reason to orphan.
fn unseen(loaded: &Loaded, path: &Path) -> Option<Vec<Problem>> {
    if loaded.files.contains_key(path) {
        return None;
    }
    let above = |problem: &&Problem| is_error(problem) && path.starts_with(&problem.path);
    let problems: Vec<_> = loaded.problems.iter().filter(above).cloned().collect();
    (!problems.is_empty()).then_some(problems)
}

/// Everything broken, by path: files, and directories that could not be read.
fn faults(loaded: &Loaded) -> BTreeMap<PathBuf, Fault> {
    let words = |problem: &Problem| match &problem.place {
        Some(place) => format!("{}:{}: {}", place.line, place.column, problem.message),
        None => problem.message.clone(),
    };
    let mut faults = BTreeMap::<PathBuf, Fault>::new();
    for file in loaded.files.values().filter(|file| is_broken(file)) {
        faults.insert(file.path.clone(), file.problems.iter().map(words).collect());
    }
    for problem in loaded.problems.iter().filter(|problem| is_error(problem)) {
        if !loaded.files.contains_key(&problem.path) {
            faults.entry(problem.path.clone()).or_default().push(words(problem));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{ApplicationSpec, Approval, ConsulSpec, InstanceSpec, OnFailure, Rollout, Scheme, Strategy};

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
        let standing = |desire: &Desire| match &desire.standing {
            Standing::Current => "current".to_owned(),
            Standing::LastGood { problems } => format!("last good: {}", problems[0].message),
            Standing::Orphaned => "orphaned".to_owned(),
        };
        desired.clusters().map(|(name, desire)| format!("{name} {} {}", desire.spec.image, standing(desire))).collect()
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
        LoadedFile { name: Some(name.into()), spec: Some(spec(name, image)), ..file(path, &format!("{name} {image}")) }
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
        ClusterSpec {
            name: name.into(),
            environment: String::new(),
            region: "us-east-1".into(),
            account: None,
            image: image.into(),
            application: ApplicationSpec::Consul(ConsulSpec {
                datacenter: "dc1".into(),
                scheme: Scheme::Http,
                port: 8500,
                ca_file: None,
                client_cert_file: None,
                client_key_file: None,
                token_file: None,
                version: None,
                manage_autopilot: false,
            }),
            instance: InstanceSpec {
                instance_type: "m7i.large".into(),
                iam_instance_profile: None,
                security_groups: Default::default(),
                key_name: None,
                user_data: None,
                tags: BTreeMap::new(),
            },
            capacity: Default::default(),
            volumes: Vec::new(),
            slots: Vec::new(),
            rollout: Rollout {
                strategy: Strategy::Surge,
                bake_time: Default::default(),
                join_deadline: Default::default(),
                on_failure: OnFailure::Rollback,
                approval: Approval::Never,
                approved: None,
                rehearsal: Default::default(),
                windows: Vec::new(),
            },
            suspend: false,
            freeze: false,
            deletion_protection: true,
            origin: None,
        }
    }
}

//! The files that are found below a folder.

use expect_test::expect;
use hermitcrab::spec::load::load;

use super::{brief, good, names, put};

#[test]
fn a_folder_named_like_a_file_is_reported_and_searched_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    put(&dir, "x.yaml/consul.yaml", good());
    let loaded = load(&[dir.path().into()]);
    assert_eq!(names(&loaded), ["consul-prod"]);
    assert_eq!(brief(&loaded, dir.path()), "DIR/x.yaml a folder has the name of a desired-state file\n");
}

#[test]
fn a_path_that_does_not_exist_is_an_error_and_an_empty_folder_a_warning() {
    let dir = tempfile::tempdir().unwrap();
    let missing = load(&[dir.path().join("missing")]);
    assert!(missing.has_errors());
    assert_eq!(brief(&missing, dir.path()), "DIR/missing no such file or directory\n");
    let empty = load(&[dir.path().into()]);
    assert!(!empty.has_errors());
    assert_eq!(brief(&empty, dir.path()), "DIR no desired-state file in this folder\n");
}

#[test]
fn hidden_entries_are_no_desired_state() {
    let dir = tempfile::tempdir().unwrap();
    put(&dir, ".git/consul.yaml", good());
    put(&dir, ".hidden.yaml", good());
    put(&dir, "prod/consul.yml", good());
    assert_eq!(load(&[dir.path().into()]).files.len(), 1);
}

#[cfg(unix)]
#[test]
fn symbolic_links_are_followed_but_not_in_circles() {
    use std::os::unix::fs::symlink;
    let dir = tempfile::tempdir().unwrap();
    // As Kubernetes mounts a ConfigMap: the visible file is a link through a hidden one.
    put(&dir, "prod/..2025/consul.yaml", good());
    symlink("..2025", dir.path().join("prod/..data")).unwrap();
    symlink("..data/consul.yaml", dir.path().join("prod/consul.yaml")).unwrap();
    symlink("..", dir.path().join("prod/up")).unwrap();
    symlink("self.yaml", dir.path().join("prod/self.yaml")).unwrap();
    let loaded = load(&[dir.path().into()]);
    assert_eq!(names(&loaded), ["consul-prod"]);
    expect![[r#"
        DIR/prod/self.yaml cannot read the file: too many levels of symbolic links
        DIR/prod/up a symbolic link leads back to a folder above it
    "#]]
    .assert_eq(&brief(&loaded, dir.path()));
}

#[test]
fn a_file_found_twice_is_read_once() {
    let dir = tempfile::tempdir().unwrap();
    put(&dir, "prod/consul.yaml", good());
    let loaded = load(&[dir.path().into(), dir.path().join("prod"), dir.path().join("prod/../prod/consul.yaml")]);
    assert_eq!((loaded.files.len(), loaded.has_errors()), (1, false));
}

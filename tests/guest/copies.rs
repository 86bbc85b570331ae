//! Copies of another cluster's volumes: adopted or isolated as the tags say, and refused otherwise.

use std::fs;

use crate::Case;
use crate::disk::Disk;
use crate::guest::{Guest, STAMP};
use crate::tools::run;
use crate::volumes::KINDS;

pub const CASES: [Case; 4] = cases![
    a_copy_of_another_cluster_is_adopted_when_the_tag_says_so,
    a_copy_is_isolated_before_it_is_stamped,
    a_copy_that_nothing_isolates_is_refused,
    what_is_no_copy_is_refused_where_one_is_expected,
];

fn a_copy_of_another_cluster_is_adopted_when_the_tag_says_so() {
    let guest = Guest::start("ext4");
    let disk = guest.used("ext4", 64);
    let stamp = "cluster consul-live\nslot live-1\nvolume data\n";
    guest.within(&disk, |root| fs::write(root.join(".hermitcrab"), stamp).unwrap());
    guest.metadata.tag("hermitcrab-adopt-from", "consul-live");
    guest.mounts();
    assert_eq!(fs::read_to_string(guest.mount().join(".hermitcrab")).unwrap(), STAMP);
}

/// A copy of a volume of `consul-live`, on an instance that is told so, with what isolates it if there is anything.
fn copied(kind: &str, mib: u64, isolate: Option<&str>) -> (Guest, Disk) {
    let guest = Guest::start(kind);
    let disk = guest.used(kind, mib);
    let stamp = "cluster consul-live\nslot live-1\nvolume data\n";
    guest.within(&disk, |root| fs::write(root.join(".hermitcrab"), stamp).unwrap());
    guest.metadata.tag("hermitcrab-copy-of", "consul-live");
    guest.set("HERMITCRAB_ISOLATE", guest.path("isolate").to_str().unwrap());
    isolate.iter().for_each(|script| isolates_with(&guest, script));
    (guest, disk)
}

fn isolates_with(guest: &Guest, script: &str) {
    fs::write(guest.path("isolate"), format!("#!/bin/sh\n{script}\n")).unwrap();
    run("chmod", &["+x", guest.path("isolate").to_str().unwrap()]);
}

/// A copy is mounted at its mount point only once it is isolated. An isolation that was cut short is made again.
fn a_copy_is_isolated_before_it_is_stamped() {
    for (kind, mib) in KINDS {
        let (guest, disk) = copied(kind, mib, Some("echo \"$1\" >>\"$2/begun\"; exit 1"));
        let before = "cluster consul-live slot live-1 volume data";
        for _ in 0..2 {
            let ended = guest.volumes("mount");
            assert!(!ended.well && !guest.is_mounted(), "{}", ended.log);
            assert!(ended.log.contains("FAILED: the copied volume data was not cut off"), "{}", ended.log);
            let stamp = guest.within(&disk, |root| fs::read_to_string(root.join(".hermitcrab")).unwrap());
            assert_eq!(stamp.trim().replace('\n', " "), before);
        }
        isolates_with(&guest, "grep --quiet consul-live \"$2/.hermitcrab\" && echo isolated >>\"$2/begun\"");
        let log = guest.mounts();
        assert!(log.contains(&format!("is stamped '{before}', and is a copy for consul-prod/consul-a")), "{log}");
        let read = |name: &str| fs::read_to_string(guest.mount().join(name)).unwrap();
        assert_eq!(read("begun"), "data\ndata\nisolated\n");
        assert_eq!((read(".hermitcrab"), read("theirs")), (STAMP.to_owned(), "somebody's data".to_owned()));
        guest.unmounts();
        guest.mounts();
        assert_eq!(read("begun"), "data\ndata\nisolated\n", "what is ours is isolated no more");
        guest.unmounts();
    }
}

fn a_copy_that_nothing_isolates_is_refused() {
    let (guest, disk) = copied("ext4", 64, None);
    // The tag that admits a volume of that cluster does not admit a volume that may be a copy.
    guest.metadata.tag("hermitcrab-adopt-from", "consul-live");
    guest.refuses(
        &disk,
        &format!("is a copy of consul-live's, and this image has no {}", guest.path("isolate").display()),
    );
}

fn what_is_no_copy_is_refused_where_one_is_expected() {
    for stamp in [
        None,
        Some("cluster consul-dev\nslot live-1\nvolume data\n"),
        Some("cluster consul-live\nslot a\nvolume wal\n"),
    ] {
        let (guest, disk) = copied("ext4", 64, Some("exit 0"));
        guest.within(&disk, |root| match stamp {
            Some(stamp) => fs::write(root.join(".hermitcrab"), stamp).unwrap(),
            None => fs::remove_file(root.join(".hermitcrab")).unwrap(),
        });
        guest.metadata.tag("hermitcrab-adopt", "unstamped");
        guest.metadata.tag("hermitcrab-adopt-from", "consul-dev");
        guest.refuses(&disk, "and is no copy of consul-live's volume data");
    }
}

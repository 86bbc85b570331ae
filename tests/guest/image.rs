//! The files on the image: where they are put, what systemd makes of the units, and what shellcheck makes of the scripts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::Case;
use crate::tools::{TREE, run};

pub const CASES: [Case; 4] = cases![
    systemd_takes_the_units,
    servers_start_only_on_a_mount_point,
    servers_need_their_volume_and_configuration,
    shellcheck_finds_nothing,
];

/// The kinds of image, each with its units beside the guest's own.
const KINDS: [(&str, &[&str]); 4] = [
    ("consul", &["consul", "consul-configure", "consul-secrets"]),
    ("etcd", &["etcd", "etcd-configure"]),
    ("patroni", &["patroni", "patroni-configure"]),
    ("zookeeper", &["zookeeper", "zookeeper-configure"]),
];

/// The files of an image below a folder, put there by its own script.
fn installed(kind: &str) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let output = Command::new("bash")
        .arg(format!("{TREE}/images/{kind}/common/install.sh"))
        .env("DESTDIR", root.path())
        .env("GUEST", format!("{TREE}/images/guest"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    root
}

fn unit(root: &Path, name: &str) -> String {
    fs::read_to_string(root.join("etc/systemd/system").join(name)).unwrap()
}

/// Where this machine's systemd has its own units, or the one that was fetched.
fn units_of_systemd() -> PathBuf {
    let analyze = run("sh", &["-c", "command -v systemd-analyze"]);
    let bin = Path::new(&analyze).parent().unwrap();
    let candidates = [bin.join("../../lib/systemd/system"), bin.join("../lib/systemd/system")];
    candidates.into_iter().find(|folder| folder.join("sysinit.target").exists()).unwrap()
}

fn systemd_takes_the_units() {
    KINDS.iter().for_each(|(kind, units)| systemd_takes(kind, units));
}

fn systemd_takes(kind: &str, units: &[&str]) {
    let root = installed(kind);
    let at = |path: &str| root.path().join(path);
    fs::create_dir_all(at("lib/systemd")).unwrap();
    fs::create_dir_all(at("usr/local/bin")).unwrap();
    fs::create_dir_all(at("bin")).unwrap();
    run("cp", &["--recursive", units_of_systemd().to_str().unwrap(), at("lib/systemd").to_str().unwrap()]);
    fs::create_dir_all(at("usr/bin")).unwrap();
    // Debian's own programs, and those that are put beside them.
    for place in ["usr/bin", "usr/local/bin"] {
        fs::copy("/bin/true", at(place).join(kind)).unwrap();
    }
    fs::copy("/bin/kill", at("bin/kill")).unwrap();
    let services = ["hermitcrab-volumes", "hermitcrab-volumes-grow"].iter().chain(units);
    let mut names: Vec<_> = services.map(|name| format!("{name}.service")).collect();
    names.push("hermitcrab-volumes-grow.timer".to_owned());
    let output = Command::new("systemd-analyze")
        .arg(format!("--root={}", root.path().display()))
        .arg("verify")
        .args(&names)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let ours: Vec<_> = said.lines().filter(|line| names.iter().any(|name| line.contains(name.as_str()))).collect();
    assert!(output.status.success() && ours.is_empty(), "{said}");
}

/// systemd's own judgement of the units' condition, before and after the mount.
fn servers_start_only_on_a_mount_point() {
    KINDS.iter().for_each(|(kind, _)| starts_only_on_a_mount_point(kind));
}

fn starts_only_on_a_mount_point(kind: &str) {
    let root = installed(kind);
    let unit = unit(root.path(), &format!("{kind}.service"));
    let condition = unit.lines().find(|line| line.starts_with("ConditionPathIsMountPoint=")).unwrap();
    let table = fs::read_to_string(root.path().join("etc/hermitcrab/volumes")).unwrap();
    let row = table.lines().find(|line| line.starts_with("data ")).unwrap();
    let point = row.split_whitespace().nth(1).unwrap();
    assert_eq!(condition, format!("ConditionPathIsMountPoint={point}"));

    let script = format!(
        "mount -t tmpfs none /var/lib && mkdir {point} && {{ systemd-analyze condition {condition}; echo \"$?\"; }} &&
         mount -t tmpfs none {point} && {{ systemd-analyze condition {condition}; echo \"$?\"; }}"
    );
    let said = run("unshare", &["--mount", "--propagation", "private", "bash", "-c", &script]);
    let codes: Vec<_> = said.lines().filter(|line| line.parse::<u8>().is_ok()).collect();
    assert!(codes.len() == 2 && codes[0] != "0" && codes[1] == "0", "{said}");
}

/// If its volume is refused or never comes, no server starts: what it requires has failed, or has not ended.
fn servers_need_their_volume_and_configuration() {
    needs_its_volume_and_configuration("consul", &["consul-secrets.service"]);
    needs_its_volume_and_configuration("etcd", &[]);
    needs_its_volume_and_configuration("patroni", &[]);
    needs_its_volume_and_configuration("zookeeper", &[]);
}

fn needs_its_volume_and_configuration(kind: &str, secrets: &[&str]) {
    let root = installed(kind);
    let names = |unit: &str, key: &str| -> Vec<String> {
        let values = unit.lines().filter_map(|line| line.strip_prefix(key));
        values.flat_map(str::split_whitespace).map(str::to_owned).collect()
    };
    let (server, configure) = (format!("{kind}.service"), format!("{kind}-configure.service"));
    let volumes = ["hermitcrab-volumes.service"];
    for (name, needs) in
        [(&server, [&volumes[..], &[&*configure]].concat()), (&configure, [&volumes[..], secrets].concat())]
    {
        let unit = unit(root.path(), name);
        for needed in needs {
            assert!(names(&unit, "Requires=").iter().any(|is| is == needed), "{name} does not require {needed}");
            assert!(names(&unit, "After=").iter().any(|is| is == needed), "{name} does not wait for {needed}");
        }
    }
    // A service of type `oneshot` has started only when its command has ended well.
    for name in [&volumes[..], &[&*configure], secrets].concat() {
        assert_eq!(names(&unit(root.path(), name), "Type="), ["oneshot"], "{name}");
    }
}

fn shellcheck_finds_nothing() {
    let rig = [
        "boot.sh",
        "install.sh",
        "rabbitmq/rabbitmq-configure",
        "redis/redis-configure",
        "redis/redis-serve",
        "patroni/patroni-serve",
    ];
    let mut scripts = rig.map(|name| format!("{TREE}/tests/rig/{name}")).to_vec();
    scripts_below(&Path::new(TREE).join("images"), &mut scripts);
    let some = [
        "guest.sh",
        "hermitcrab-volumes",
        "consul-configure",
        "consul-secrets",
        "isolate",
        "etcd-configure",
        "patroni-configure",
        "zookeeper-configure",
        "zookeeper-serve",
        "clean.sh",
    ];
    for name in some {
        assert!(scripts.iter().any(|script| script.ends_with(&format!("/{name}"))), "{name} is not among {scripts:?}");
    }
    let output =
        Command::new("shellcheck").arg("--external-sources").args(&scripts).current_dir(TREE).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// Whatever says in its first line that a shell reads it.
fn scripts_below(folder: &Path, scripts: &mut Vec<String>) {
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            scripts_below(&path, scripts);
        } else {
            let text = fs::read_to_string(&path).unwrap();
            let first = text.lines().next().unwrap_or_default();
            if first.starts_with("#!") || first.starts_with("# shellcheck shell=") {
                scripts.push(path.to_str().unwrap().to_owned());
            }
        }
    }
}

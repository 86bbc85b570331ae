//! Signals to a command that waits for EC2, which does not answer: a look is given up at once, a change in flight is
//! finished, and a second signal ends the process at once.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use libtest_mimic::Trial;
use tempfile::TempDir;

use crate::endpoint::Endpoint;
use crate::sweep::{at_rest, recorded};

const FILE: &str = "desired-state/prod/consul.yaml";
/// Shorter than the ten seconds after which a call is given up.
const AT_ONCE: u32 = 100;

pub fn trials() -> Vec<Trial> {
    vec![
        crate::trial("a_look_that_gets_no_answer_is_given_up_at_a_signal", a_look_is_given_up),
        crate::trial("a_change_in_flight_is_finished_and_a_second_signal_ends_at_once", a_second_one_ends_at_once),
        crate::trial("a_change_in_flight_ends_a_destruction_well", a_change_is_finished),
    ]
}

/// A command at the endpoint, with its claims in a folder.
fn start(endpoint: &Endpoint, folder: &TempDir, line: &str) -> Child {
    let desired = folder.path().join("desired");
    fs::create_dir_all(&desired).unwrap();
    let text = fs::read_to_string(FILE).unwrap().replace("\nspec:\n", "\nspec:\n  deletionProtection: false\n");
    fs::write(desired.join("consul.yaml"), text).unwrap();
    let (file, claims) = (desired.join("consul.yaml"), folder.path().join("claims"));
    let line = line.replace("FILE", file.to_str().unwrap()).replace("FOLDER", desired.to_str().unwrap());
    let mut command = Command::new(env!("CARGO_BIN_EXE_hermitcrab"));
    command.args(line.split(' ')).arg("--claims").arg(claims).env("AWS_ENDPOINT_URL", &endpoint.url);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([format!("-{name}"), child.id().to_string()]).status().unwrap().success());
}

#[allow(clippy::disallowed_methods)] // the endpoint answers meanwhile
async fn moment() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}

/// Waits until the endpoint was asked for that, or for anything.
async fn until_asked(endpoint: &Endpoint, child: &mut Child, action: &str) {
    for _ in 0..2_000 {
        if endpoint.asked().iter().any(|asked| action == "*" || asked.action() == action) {
            return;
        }
        assert_eq!(child.try_wait().unwrap(), None, "it has ended; asked: {:?}", names(endpoint));
        moment().await;
    }
    panic!("{action} is not asked for: {:?}", names(endpoint));
}

fn names(endpoint: &Endpoint) -> Vec<String> {
    endpoint.asked().iter().map(|asked| asked.action().to_owned()).collect()
}

/// The exit code of a child that ends within so many moments.
async fn ended(mut child: Child, moments: u32, what: &str) -> Option<i32> {
    for _ in 0..moments {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        moment().await;
    }
    child.kill().unwrap();
    panic!("{what} goes on");
}

async fn a_look_is_given_up() {
    for (line, once) in [
        ("status FILE", true),
        ("plan FILE", true),
        ("explain consul-prod FILE", true),
        ("doctor FILE", true),
        ("retry consul-prod FILE", true),
        ("destroy FILE --confirm consul-prod", true),
        ("rehearse FILE --from ami-0bbbbbbbbbbbbbbbb", true),
        ("run FOLDER", false),
        ("run FOLDER --once", true),
    ] {
        for (name, code) in [("TERM", 143), ("INT", 130), ("HUP", 129)] {
            let (endpoint, folder) = (Endpoint::start().await, tempfile::tempdir().unwrap());
            endpoint.falls_silent("*");
            let mut child = start(&endpoint, &folder, line);
            until_asked(&endpoint, &mut child, "*").await;
            signal(&child, name);
            let wanted = if once { code } else { 0 };
            assert_eq!(ended(child, AT_ONCE, line).await, Some(wanted), "{line}, SIG{name}");
        }
    }
}

/// Nothing is there yet, so a cluster is created, or a copy of one.
async fn empty() -> Endpoint {
    let endpoint = recorded().await;
    for (action, list) in [
        ("DescribeInstances", "reservationSet"),
        ("DescribeVolumes", "volumeSet"),
        ("DescribeInstanceStatus", "instanceStatusSet"),
        ("DescribeSnapshots", "snapshotSet"),
        ("DescribeVolumeStatus", "volumeStatusSet"),
        ("DescribeVolumesModifications", "volumeModificationSet"),
    ] {
        endpoint.instead(action, format!("<{action}Response><requestId>r</requestId><{list}/></{action}Response>"));
    }
    // A rehearsal begins with another image.
    let (head, rest) = include_str!("recorded/images.xml").split_once("<imagesSet>").unwrap();
    let (images, tail) = rest.split_once("</imagesSet>").unwrap();
    let other = images.replace("ami-0aaaaaaaaaaaaaaaa", "ami-0bbbbbbbbbbbbbbbb");
    endpoint.instead("DescribeImages", format!("{head}<imagesSet>{images}{other}</imagesSet>{tail}"));
    endpoint
}

/// One instance with its volume, both our own.
async fn one() -> Endpoint {
    let endpoint = at_rest().await;
    let unprotected = "<disableApiStop><value>false</value></disableApiStop><disableApiTermination><value>false</value></disableApiTermination>";
    endpoint.answers(
        "DescribeInstanceAttribute",
        format!("<R><instanceId>i-0aaaaaaaaaaaaaaaa</instanceId>{unprotected}</R>"),
    );
    for (action, text, next, list) in [
        ("DescribeInstances", include_str!("recorded/instances.xml"), "<reservationId>", "reservationSet"),
        ("DescribeVolumes", include_str!("recorded/volumes.xml"), "<volumeId>vol-0bbb", "volumeSet"),
    ] {
        let skipped = usize::from(action == "DescribeInstances");
        let (next, _) = text.match_indices(next).nth(skipped).unwrap();
        let first = &text[..text[..next].rfind("<item>").unwrap()];
        endpoint.instead(action, format!("{first}</{list}></{action}Response>"));
    }
    endpoint
}

/// A command in the middle of a change that gets no answer.
async fn in_flight(line: &str, endpoint: &Endpoint, folder: &TempDir, change: &str) -> Child {
    endpoint.falls_silent(change);
    let mut child = start(endpoint, folder, line);
    until_asked(endpoint, &mut child, change).await;
    child
}

async fn a_second_one_ends_at_once() {
    for (line, change) in [
        ("destroy FILE --confirm consul-prod", "StopInstances"),
        ("rehearse FILE --from ami-0bbbbbbbbbbbbbbbb", "CreateVolume"),
        ("run FOLDER", "CreateVolume"),
        ("run FOLDER --once", "CreateVolume"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let endpoint = if change == "StopInstances" { one().await } else { empty().await };
        let mut child = in_flight(line, &endpoint, &folder, change).await;
        signal(&child, "TERM");
        for _ in 0..10 {
            moment().await;
        }
        assert_eq!(child.try_wait().unwrap(), None, "{line}: the first signal broke a call off");
        signal(&child, "INT");
        assert_eq!(ended(child, AT_ONCE, line).await, Some(130), "{line}");
    }
}

async fn a_change_is_finished() {
    let (endpoint, folder) = (one().await, tempfile::tempdir().unwrap());
    let child = in_flight("destroy FILE --confirm consul-prod", &endpoint, &folder, "StopInstances").await;
    signal(&child, "HUP");
    // The call is given up after ten seconds, and no other change is begun.
    assert_eq!(ended(child, 400, "destroy").await, Some(129));
    assert_eq!(endpoint.asked_for("StopInstances").len(), 1, "{:?}", names(&endpoint));
    assert!(endpoint.asked_for("TerminateInstances").is_empty());
}

//! Things that somebody planted in what EC2 says: tags, names, reasons. No command shows them as they are.

use std::process::Stdio;

use futures_util::StreamExt;
use libtest_mimic::Trial;

use crate::endpoint::Endpoint;
use crate::harm::{PLANTED, SECRET, harmful};
use crate::sweep::recorded;

/// So many answers are tried at once: a command waits most of its time.
const AT_ONCE: usize = 4;
const FILE: &str = "desired-state/prod/consul.yaml";
const ANSWERS: [(&str, &str); 4] = [
    ("DescribeInstances", include_str!("recorded/instances.xml")),
    ("DescribeVolumes", include_str!("recorded/volumes.xml")),
    ("DescribeImages", include_str!("recorded/images.xml")),
    ("DescribeInstanceStatus", include_str!("recorded/status.xml")),
];

pub fn trials() -> Vec<Trial> {
    vec![crate::trial("what_ec2_says_is_harmless_wherever_it_is_shown", what_ec2_says_is_harmless)]
}

/// Plants something behind the text of each element of a kind.
fn planted(xml: &str, elements: &[&str]) -> String {
    let planted: String = PLANTED.chars().map(|c| format!("&#{};", u32::from(c))).collect();
    elements
        .iter()
        .fold(xml.to_owned(), |xml, element| xml.replace(&format!("</{element}>"), &format!("{planted}</{element}>")))
}

/// The kinds of elements of an answer that hold text.
fn elements(xml: &str) -> Vec<&str> {
    let ends = xml.match_indices("</").filter(|(at, _)| !xml[..*at].ends_with(|c: char| c == '>' || c.is_whitespace()));
    let mut names: Vec<&str> = ends.map(|(at, _)| xml[at + 2..].split('>').next().unwrap()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

async fn what_ec2_says_is_harmless() {
    let places = ANSWERS
        .into_iter()
        .flat_map(|(action, xml)| elements(xml).into_iter().map(move |element| (action, xml, element)));
    let asked = futures_util::stream::iter(places).map(|(action, xml, element)| async move {
        let endpoint = recorded().await;
        endpoint.answers("DescribeInstances", ANSWERS[0].1);
        endpoint.instead(action, planted(xml, &[element]));
        let mut found = Vec::new();
        for line in ["status FILE", "explain consul-prod FILE"] {
            let said = say(&endpoint, line).await;
            found.extend(harmful(&said).map(|what| format!("{action}, {element}, {line}: {what}")));
        }
        found
    });
    let found: Vec<String> = asked.buffer_unordered(AT_ONCE).concat().await;
    assert!(found.is_empty(), "{found:#?}");
}

/// Runs a command to its end, and gives all that it says.
async fn say(endpoint: &Endpoint, line: &str) -> String {
    let claims = tempfile::tempdir().unwrap();
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_hermitcrab"));
    command.args(line.replace("FILE", FILE).split(' ')).arg("--claims").arg(claims.path());
    command.env("AWS_ENDPOINT_URL", &endpoint.url).env("AWS_SECRET_ACCESS_KEY", SECRET).stdin(Stdio::null());
    let output = command.output().await.unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

//! Mutated answers of EC2: whatever one says, a look ends, and is a view of clusters or an error.

use std::panic::AssertUnwindSafe;
use std::process::{Command, Stdio};

use futures_util::FutureExt;
use hermitcrab::cloud::aws::Aws;
use hermitcrab::ports::{Cloud, chain};
use libtest_mimic::Trial;

use crate::endpoint::Endpoint;
use crate::fixture::{TestClock, open, spec, wanted};
use crate::mutator::Mutator;
use crate::sweep::recorded;

/// Mutations of each answer, unless the environment says otherwise.
const MUTATIONS: u64 = 25;
const ANSWERS: [(&str, &str); 8] = [
    ("DescribeInstances", include_str!("recorded/instances.xml")),
    ("DescribeVolumes", include_str!("recorded/volumes.xml")),
    ("DescribeInstanceStatus", include_str!("recorded/status.xml")),
    ("DescribeSnapshots", include_str!("recorded/snapshots.xml")),
    ("DescribeImages", include_str!("recorded/images.xml")),
    ("DescribeVolumeStatus", include_str!("recorded/volume-status.xml")),
    ("DescribeVolumesModifications", include_str!("recorded/modifications.xml")),
    ("GetCallerIdentity", include_str!("recorded/identity.xml")),
];

pub fn trials() -> Vec<Trial> {
    vec![
        crate::trial("a_mutated_answer_is_seen_or_refused", a_mutated_answer_is_seen_or_refused),
        crate::trial("pages_without_end_are_given_up", pages_without_end_are_given_up),
        crate::trial("an_answer_without_end_is_given_up", an_answer_without_end_is_given_up),
        crate::trial("a_file_without_end_that_the_environment_names_is_refused", a_file_without_end_is_refused),
    ]
}

async fn at(endpoint: &Endpoint) -> Aws<TestClock> {
    open(&TestClock::at("2026-11-23T00:00:00Z"), Some(&endpoint.url)).await
}

async fn a_mutated_answer_is_seen_or_refused() {
    let given = std::env::var("HERMITCRAB_HOSTILE").ok().and_then(|count| count.parse().ok());
    let (endpoint, mut seen) = (recorded().await, 0);
    endpoint.answers("DescribeInstances", ANSWERS[0].1);
    for (action, good) in ANSWERS {
        for seed in 0..given.unwrap_or(MUTATIONS) {
            let mutated = Mutator::new(seed).mutated(good.as_bytes());
            let text = String::from_utf8_lossy(&mutated).into_owned();
            endpoint.instead(action, text.clone());
            let aws = at(&endpoint).await;
            let looked = AssertUnwindSafe(aws.sweep(&wanted(&spec()))).catch_unwind().await;
            match looked.unwrap_or_else(|_| panic!("{action} with seed {seed}:\n{text}")) {
                Ok(sweep) => seen += sweep.clusters.len(),
                Err(error) => assert!(!chain(&error).is_empty()),
            }
        }
        endpoint.instead(action, good);
    }
    assert!(seen > 0, "no mutated answer was taken");
}

async fn pages_without_end_are_given_up() {
    let (endpoint, good) = (recorded().await, ANSWERS[0].1);
    let next = "<nextToken>again</nextToken>\n</DescribeInstancesResponse>";
    endpoint.answers("DescribeInstances", good.replace("</DescribeInstancesResponse>", next));
    let error = at(&endpoint).await.sweep(&wanted(&spec())).await.unwrap_err();
    assert!(chain(&error).contains("followed by itself"), "{}", chain(&error));
    assert_eq!(endpoint.asked_for("DescribeInstances").len(), 2);
}

async fn an_answer_without_end_is_given_up() {
    let (endpoint, good) = (recorded().await, ANSWERS[0].1);
    let long = format!("<!--{}--></DescribeInstancesResponse>", " ".repeat(65 << 20));
    endpoint.answers("DescribeInstances", good.replace("</DescribeInstancesResponse>", &long));
    let error = at(&endpoint).await.sweep(&wanted(&spec())).await.unwrap_err();
    assert!(chain(&error).contains("length limit exceeded"), "{}", chain(&error));
}

/// Libraries would read it for ever. `/dev/null` is how people say that there is none.
async fn a_file_without_end_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let says = |variable: &str, file: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hermitcrab"));
        command.args(["status", "desired-state/prod/consul.yaml", "--claims"]).arg(folder.path());
        command.env("AWS_ENDPOINT_URL", "http://127.0.0.1:1").env("AWS_EC2_METADATA_DISABLED", "true");
        let output = command.env(variable, file).stdin(Stdio::null()).output().unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    let variables = [
        "AWS_CONFIG_FILE",
        "AWS_SHARED_CREDENTIALS_FILE",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        "SSL_CERT_FILE",
    ];
    for variable in variables {
        let said = says(variable, "/dev/zero");
        assert!(said.contains(&format!("{variable} names /dev/zero, which cannot be read")), "{said}");
        assert!(said.contains("not a regular file"), "{said}");
        assert!(!says(variable, "/dev/null").contains(variable));
    }
}

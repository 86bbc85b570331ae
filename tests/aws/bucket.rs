//! The claims in a bucket of S3, as moto plays it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use hermitcrab::coordination::place::{Account, Key, Keys};
use hermitcrab::coordination::{Claims, Credentials, Place};
use hermitcrab::ids::ClusterName;
use hermitcrab::input::secret::Secret;
use hermitcrab::observed::ClaimRecord;
use hermitcrab::ports::{Coordination, ErrorKind, Outcome, PortError, chain};
use libtest_mimic::Trial;

use crate::claiming::claim;
use crate::fixture::TestClock;
use crate::moto::with_moto;

pub fn trials() -> Vec<Trial> {
    vec![
        with_moto("claims_in_a_bucket_are_written_once_and_removed", written_once),
        with_moto("of_writers_of_a_bucket_that_race_one_wins_each_revision", race),
        with_moto("a_bucket_that_is_not_there_is_no_cluster_without_a_claim", missing),
        with_moto("the_lease_in_a_bucket_is_had_by_one", lease),
    ]
}

#[derive(Debug)]
struct Nobody;

impl Keys for Nobody {
    fn key(&self) -> BoxFuture<'_, Result<Key, String>> {
        let key = Key { id: "AKIAIOSFODNN7EXAMPLE".into(), secret: Secret::new("of nobody"), session: None };
        async { Ok(key) }.boxed()
    }
}

fn name() -> ClusterName {
    ClusterName::from("consul-prod")
}

fn open(bucket: &str) -> Claims<TestClock> {
    let place: Place = format!("s3://{bucket}/team/crab").parse().unwrap();
    let endpoint = std::env::var("AWS_ENDPOINT_URL").ok();
    let account = Account { region: "us-east-1".to_owned(), endpoint, keys: Arc::new(Nobody) };
    let credentials = Credentials { account: Some(account), ..Credentials::default() };
    Claims::open(&place, &credentials, TestClock::at("2026-01-05T12:00:00Z")).unwrap()
}

/// Makes a bucket, which is no part of what the program does.
fn make(bucket: &str) {
    let endpoint = std::env::var("AWS_ENDPOINT_URL").unwrap();
    let host = endpoint.trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).unwrap();
    write!(stream, "PUT /{bucket} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

async fn written_once() {
    make("once");
    let (claims, effect) = (open("once"), claim(&ClaimRecord::default()));
    assert_eq!(claims.read(&name()).await.unwrap(), ClaimRecord::default());
    assert_eq!(claims.write(&name(), &effect).await.unwrap(), Outcome::Done);
    assert!(matches!(claims.write(&name(), &effect).await.unwrap(), Outcome::Changed { .. }));
    let record = open("once").read(&name()).await.unwrap();
    assert_eq!((record.revision, record.held.is_some()), (1, true));
    assert_eq!(claims.write(&name(), &claim(&record)).await.unwrap(), Outcome::Done);
    claims.forget(&name()).await.unwrap();
    assert_eq!(claims.read(&name()).await.unwrap(), ClaimRecord::default());
}

/// moto compares and writes in two steps, which S3 does in one: so writes reach it one at a time, while what they are compared with
/// was read at any time before. It fails at times to read what is being replaced: whoever read is to read again.
async fn race() {
    make("race");
    let turn = tokio::sync::Mutex::new(());
    open("race").write(&name(), &claim(&ClaimRecord::default())).await.unwrap();
    let (writers, wanted) = (3, 8);
    let writer = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (claims, mut won) = (open("race"), 0);
            while won < wanted {
                let record = match claims.read(&name()).await {
                    Err(error) if error.kind == ErrorKind::Unreachable => continue,
                    record => record.unwrap(),
                };
                let _mine = turn.lock().await;
                match claims.write(&name(), &claim(&record)).await.unwrap() {
                    Outcome::Done => won += 1,
                    outcome => assert!(matches!(outcome, Outcome::Changed { .. }), "{outcome:?}"),
                }
            }
        });
    };
    thread::scope(|scope| (0..writers).for_each(|_| drop(scope.spawn(writer))));
    assert_eq!(open("race").read(&name()).await.unwrap().revision, 1 + writers * wanted);
}

async fn missing() {
    let claims = open("not-there");
    let told = |error: PortError| (error.kind, chain(&error));
    let (kind, text) = told(claims.read(&name()).await.unwrap_err());
    assert_eq!(kind, ErrorKind::Invalid);
    assert!(text.contains("NoSuchBucket") && text.contains("make the bucket `not-there`"), "{text}");
    let (kind, _) = told(claims.write(&name(), &claim(&ClaimRecord::default())).await.unwrap_err());
    assert_eq!(kind, ErrorKind::Invalid);
    let (kind, _) = told(claims.acquire("me").await.err().unwrap());
    assert_eq!(kind, ErrorKind::Invalid);
}

async fn lease() {
    make("lease");
    let held = open("lease").acquire("first").await.unwrap();
    assert!(held.is_held());
    let other = open("lease");
    let mut second = Box::pin(other.acquire("second"));
    // The second one's clock runs away while it waits, so it takes over in the end; the first one is told.
    let second = second.as_mut().await.unwrap();
    assert!(second.is_held());
    held.lost().await;
    assert!(!held.is_held());
    second.release().await;
    assert!(open("lease").acquire("third").await.unwrap().is_held());
}

//! The claims and the lease in a bucket: an object store that compares before it writes, and time that is moved by hand. On
//! the wire they are tested with the SDK, in `tests/aws/bucket.rs`.
#![allow(clippy::unwrap_used)] // functions that tests call are tests as well

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt;
use futures_util::stream::BoxStream;
use hermitcrab::coordination::place::{Bucket as Named, Place};
use hermitcrab::coordination::{Bucket, Claims, Held};
use hermitcrab::ids::ClusterName;
use hermitcrab::observed::ClaimRecord;
use hermitcrab::ports::{Coordination, ErrorKind, Outcome, chain};
use hermitcrab::spec::ClusterSpec;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

#[path = "claims/claim.rs"]
#[allow(dead_code)] // rehearsals are kept as in every other place
mod claiming;
#[path = "claims/hand.rs"]
mod hand;

use claiming::claim;
use hand::Hand;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn name() -> ClusterName {
    ClusterName::from("consul-prod")
}

fn place() -> Named {
    match "s3://state/hermitcrab".parse() {
        Ok(Place::Bucket(place)) => place,
        other => panic!("{other:?}"),
    }
}

/// A store that may lose the answer to a write.
#[derive(Debug, Default)]
struct Store {
    objects: InMemory,
    loses_answers: AtomicBool,
}

impl Store {
    fn text(&self, key: &str) -> Option<String> {
        let read = async { Some(self.objects.get(&Path::from(key)).await.ok()?.bytes().await.unwrap()) };
        read.now_or_never().unwrap().map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
    }

    fn write(&self, key: &str, text: &str) {
        self.objects.put(&Path::from(key), text.to_owned().into()).now_or_never().unwrap().unwrap();
    }
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.objects.fmt(f)
    }
}

#[async_trait::async_trait]
impl ObjectStore for Store {
    async fn put_opts(&self, at: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let written = self.objects.put_opts(at, payload, options).await;
        match self.loses_answers.load(Ordering::Relaxed) {
            true => Err(Error::Generic { store: "memory", source: "no answer".into() }),
            false => written,
        }
    }

    async fn put_multipart_opts(&self, at: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.objects.put_multipart_opts(at, options).await
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        self.objects.get_opts(at, options).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.objects.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.objects.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.objects.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.objects.copy_opts(from, to, options).await
    }
}

/// A bucket, and a clock.
struct Stage {
    store: Arc<Store>,
    clock: Hand,
}

impl Stage {
    fn new() -> Self {
        Self { store: Arc::default(), clock: Hand::new() }
    }

    fn open(&self) -> Bucket<Hand> {
        Bucket::new(self.store.clone(), &place(), self.clock.clone())
    }

    fn open_for(&self, spec: &ClusterSpec) -> Bucket<Hand> {
        let bucket = self.open();
        bucket.is_about(spec);
        bucket
    }

    fn claims(&self) -> Claims<Hand> {
        Claims::Bucket(Box::new(self.open()))
    }

    /// Takes the lease, which nobody else has.
    fn acquire(&self, holder: &str) -> Held<Hand> {
        self.claims().acquire(holder).now_or_never().unwrap().unwrap()
    }

    /// Renews the lease for so many seconds. Says whether it was lost.
    fn renew(&self, held: &Held<Hand>, seconds: u64) -> bool {
        let mut lost = Box::pin(held.lost());
        for _ in 0..seconds {
            if lost.as_mut().now_or_never().is_some() {
                return true;
            }
            self.clock.advance(1);
        }
        lost.now_or_never().is_some()
    }
}

fn namesake(region: &str, account: Option<&str>) -> ClusterSpec {
    let loaded = hermitcrab::spec::load::load(&["desired-state/prod/consul.yaml".into()]);
    let spec = loaded.specs().next().unwrap().1.clone();
    ClusterSpec { region: region.to_owned(), account: account.map(str::to_owned), ..spec }
}

#[test]
fn a_claim_is_written_once_and_read_by_everybody() {
    let stage = Stage::new();
    let effect = claim(&ClaimRecord::default());
    assert_eq!(block_on(stage.open().read(&name())).unwrap(), ClaimRecord::default());
    assert_eq!(block_on(stage.open().write(&name(), &effect)).unwrap(), Outcome::Done);
    let record = block_on(stage.open().read(&name())).unwrap();
    assert_eq!((record.revision, record.held.is_some()), (1, true));
    let expected = Outcome::Changed { expected: "revision 0".to_owned(), found: "revision 1".to_owned() };
    assert_eq!(block_on(stage.open().write(&name(), &effect)).unwrap(), expected);
    assert!(stage.store.text("hermitcrab/claims/consul-prod.json").is_some());
    block_on(stage.open().forget(&name())).unwrap();
    block_on(stage.open().forget(&name())).unwrap();
    assert_eq!(block_on(stage.open().read(&name())).unwrap(), ClaimRecord::default());
}

#[test]
fn clusters_of_one_name_in_other_regions_and_accounts_have_claims_of_their_own() {
    let stage = Stage::new();
    let (one, two) = (Some("111111111111"), Some("222222222222"));
    for (region, account) in [("us-east-1", one), ("us-east-1", two), ("us-west-2", one)] {
        let bucket = stage.open_for(&namesake(region, account));
        let before = block_on(bucket.read(&name())).unwrap();
        assert_eq!(before, ClaimRecord::default(), "{region} {account:?}");
        assert_eq!(block_on(bucket.write(&name(), &claim(&before))).unwrap(), Outcome::Done);
    }
    assert!(stage.store.text("hermitcrab/claims/consul-prod@us-west-2@111111111111.json").is_some());
    // Without its account, the only record of the region is the cluster's; of two, nobody can say which.
    assert_eq!(block_on(stage.open_for(&namesake("us-west-2", None)).read(&name())).unwrap().revision, 1);
    let error = block_on(stage.open_for(&namesake("us-east-1", None)).read(&name())).unwrap_err();
    assert!(chain(&error).contains("2 accounts have a cluster of this name there"), "{}", chain(&error));
}

#[test]
fn of_writers_that_race_one_wins_each_revision() {
    let stage = Stage::new();
    let (writers, wanted) = (4, 25);
    let race = |store: Arc<Store>| async move {
        let bucket = Bucket::new(store, &place(), Hand::new());
        let mut won = 0;
        while won < wanted {
            let record = bucket.read(&name()).await.unwrap();
            tokio::task::yield_now().await;
            match bucket.write(&name(), &claim(&record)).await.unwrap() {
                Outcome::Done => won += 1,
                outcome => assert!(matches!(outcome, Outcome::Changed { .. }), "{outcome:?}"),
            }
        }
    };
    std::thread::scope(|scope| {
        (0..writers).for_each(|_| {
            let store = stage.store.clone();
            scope.spawn(move || block_on(race(store)));
        });
    });
    assert_eq!(block_on(stage.open().read(&name())).unwrap().revision, writers * wanted);
}

#[test]
fn a_write_without_an_answer_is_unreachable_and_the_next_look_shows_it() {
    let stage = Stage::new();
    stage.store.loses_answers.store(true, Ordering::Relaxed);
    let error = block_on(stage.open().write(&name(), &claim(&ClaimRecord::default()))).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreachable);
    assert_eq!(block_on(stage.open().read(&name())).unwrap().revision, 1);
}

#[test]
fn what_is_no_record_is_named_and_not_written_over() {
    let stage = Stage::new();
    for text in ["{", &"x".repeat(300 << 10)] {
        stage.store.write("hermitcrab/claims/consul-prod.json", text);
        let read = block_on(stage.open().read(&name())).unwrap_err();
        let write = block_on(stage.open().write(&name(), &claim(&ClaimRecord::default()))).unwrap_err();
        assert_eq!((read.kind, write.kind), (ErrorKind::Invalid, ErrorKind::Invalid));
        assert!(chain(&read).contains("s3://state/hermitcrab/claims/consul-prod.json"), "{}", chain(&read));
        assert_eq!(stage.store.text("hermitcrab/claims/consul-prod.json").unwrap(), text);
    }
    stage.store.write("hermitcrab/lease.json", "{}");
    let error = stage.claims().acquire("me").now_or_never().unwrap().err().unwrap();
    assert!(chain(&error).contains("is no lease of ours"), "{}", chain(&error));
}

#[test]
fn a_lease_that_is_renewed_is_held() {
    let stage = Stage::new();
    let held = stage.acquire("me");
    assert!(!stage.renew(&held, 600));
    assert!(held.is_held());
}

#[test]
fn a_lease_that_is_not_renewed_is_not_held_when_it_may_have_expired_although_nobody_waited() {
    let stage = Stage::new();
    let held = stage.acquire("me");
    stage.clock.advance(29);
    assert!(held.is_held());
    stage.clock.advance(1);
    assert!(!held.is_held());
}

#[test]
fn a_controller_that_stands_by_takes_over_only_what_it_has_itself_seen_unchanged() {
    let stage = Stage::new();
    let first = stage.acquire("first");
    let claims = stage.claims();
    let mut second = Box::pin(claims.acquire("second"));
    for _ in 0..20 {
        assert!(!stage.renew(&first, 10));
        assert!(second.as_mut().now_or_never().is_none(), "the first one goes on");
    }
    let mut waited = 0;
    let held = loop {
        match second.as_mut().now_or_never() {
            Some(held) => break held.unwrap(),
            None => (waited, _) = (waited + 1, stage.clock.advance(1)),
        }
    };
    assert!(!first.is_held() && held.is_held());
    assert!((30..=60).contains(&waited), "{waited}");
    // The first one finds out by itself, and takes nothing back.
    assert!(stage.renew(&first, 11));
    assert!(!stage.renew(&held, 60));
}

#[test]
fn a_lease_that_was_given_up_is_free_at_once() {
    let stage = Stage::new();
    block_on(stage.acquire("first").release());
    assert!(stage.acquire("second").is_held());
    assert!(stage.store.text("hermitcrab/lease.json").unwrap().contains("second"));
}

#[test]
fn a_renewal_without_an_answer_loses_nothing() {
    let stage = Stage::new();
    let held = stage.acquire("me");
    stage.store.loses_answers.store(true, Ordering::Relaxed);
    assert!(!stage.renew(&held, 15));
    stage.store.loses_answers.store(false, Ordering::Relaxed);
    assert!(!stage.renew(&held, 60));
    stage.store.loses_answers.store(true, Ordering::Relaxed);
    assert!(stage.renew(&held, 60), "what is never answered is lost in the end");
}

#[test]
fn a_lease_that_somebody_else_wrote_is_lost_at_once() {
    let stage = Stage::new();
    let held = stage.acquire("me");
    stage.store.write("hermitcrab/lease.json", r#"{"holder":"other","since":"2026-01-05T12:00:00Z","renewals":0}"#);
    assert!(stage.renew(&held, 11));
    assert!(!held.is_held());
}

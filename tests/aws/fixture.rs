//! A cluster and a clock for the adapter's tests.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use hermitcrab::cloud::aws::{Aws, Options};
use hermitcrab::ids::Owner;
use hermitcrab::ports::{Clock, Decision, Wanted};
use hermitcrab::spec::ClusterSpec;
use hermitcrab::spec::load::load;
use hermitcrab::time::{Timestamp, after};

/// A clock that moves only when somebody waits, or when it is told to.
#[derive(Clone, Debug)]
pub struct TestClock(Rc<Cell<Timestamp>>);

impl TestClock {
    pub fn at(time: &str) -> Self {
        Self(Rc::new(Cell::new(time.parse().unwrap())))
    }

    pub fn pass(&self, span: Duration) {
        self.0.set(after(self.0.get(), span));
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        self.0.get()
    }

    async fn sleep(&self, span: Duration) {
        self.pass(span);
    }
}

pub const OWNER: &str = "hermitcrab";
/// A decision that is not looked at for its age.
pub const AT_ANY_TIME: Decision = Decision { at: Timestamp::MIN, life: Duration::MAX, claim: None, revision: None };

/// The adapter, as `run` opens it; at that endpoint, or at the one that the environment names.
pub async fn open(clock: &TestClock, endpoint: Option<&str>) -> Aws<TestClock> {
    let endpoint = endpoint.map(str::to_owned);
    Aws::open(clock.clone(), Options { endpoint, ..Options::new(Owner::from(OWNER), "us-east-1") }).await
}

/// Three Consul servers, as the example has them.
pub fn spec() -> ClusterSpec {
    let loaded = load(&["desired-state/prod/consul.yaml".into()]);
    loaded.specs().next().unwrap().1.clone()
}

pub fn wanted(spec: &ClusterSpec) -> Wanted {
    Wanted {
        region: spec.region.clone(),
        only: BTreeSet::new(),
        images: [spec.image.clone()].into(),
        instance_types: [spec.instance.instance_type.clone()].into(),
        addresses: spec.slots.iter().filter_map(|slot| slot.address).collect(),
        groups: BTreeMap::new(),
        copies: false,
        saved_running: BTreeSet::new(),
    }
}

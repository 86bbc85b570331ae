//! One look at the fleet, shared by every cluster that needs one at about the same time.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use tokio::sync::Mutex;

use crate::ids::{ClusterName, ImageId};
use crate::observed::Sweep;
use crate::ports::{Clock, Cloud, Outside, Wanted, chain};
use crate::spec::ClusterSpec;
use crate::time::Timestamp;

/// One look at each region, so that trouble in one stops nothing in another.
#[derive(Default)]
pub(super) struct Sweeper {
    regions: RefCell<BTreeMap<String, Rc<Region>>>,
}

#[derive(Default)]
struct Region {
    /// The lock that is held while a sweep is under way. A pass that waits for it shares the result.
    under_way: Mutex<()>,
    latest: RefCell<Option<Latest>>,
    /// The things that each cluster wants looked up.
    wanted: RefCell<BTreeMap<ClusterName, Wants>>,
}

/// The things that one cluster wants looked up.
#[derive(Clone)]
struct Wants {
    image: ImageId,
    instance_type: String,
    group: Option<String>,
    copies: bool,
}

struct Latest {
    begun: Timestamp,
    result: Result<Rc<Sweep>, String>,
    wanted: Wanted,
}

impl Sweeper {
    /// A sweep of the cluster's region begun at `earliest` or later.
    pub(super) async fn since<O: Outside>(
        &self,
        outside: &O,
        spec: &ClusterSpec,
        earliest: Timestamp,
    ) -> Result<Rc<Sweep>, String> {
        let region = self.regions.borrow_mut().entry(spec.region.clone()).or_default().clone();
        region.since(outside, spec, earliest).await
    }
}

impl Region {
    /// A sweep begun at `earliest` or later: the latest one if it was, a new one otherwise. A failure is shared too, so that
    /// many clusters do not repeat it one after another.
    async fn since<O: Outside>(
        &self,
        outside: &O,
        spec: &ClusterSpec,
        earliest: Timestamp,
    ) -> Result<Rc<Sweep>, String> {
        self.wanted.borrow_mut().insert(spec.name.clone(), Wants::of(spec));
        let _turn = self.under_way.lock().await;
        if let Some(latest) = &*self.latest.borrow()
            && latest.begun >= earliest
            && Wants::of(spec).are_among(&spec.name, &latest.wanted)
        {
            return latest.result.clone();
        }
        let wanted = self.wanted(&spec.region);
        let begun = outside.clock().now();
        let result = outside.cloud().sweep(&wanted).await;
        let result = result.map(Rc::new).map_err(|error| chain(&error));
        *self.latest.borrow_mut() = Some(Latest { begun, result: result.clone(), wanted });
        result
    }

    fn wanted(&self, region: &str) -> Wanted {
        let wanted = self.wanted.borrow();
        Wanted {
            region: region.to_owned(),
            images: wanted.values().map(|wants| wants.image.clone()).collect(),
            instance_types: wanted.values().map(|wants| wants.instance_type.clone()).collect(),
            groups: wanted.iter().filter_map(|(name, wants)| Some((name.clone(), wants.group.clone()?))).collect(),
            copies: wanted.values().any(|wants| wants.copies),
        }
    }
}

impl Wants {
    fn of(spec: &ClusterSpec) -> Self {
        let group = spec.capacity.group().map(str::to_owned);
        let (image, instance_type) = (spec.image.clone(), spec.instance.instance_type.clone());
        Self { image, instance_type, group, copies: spec.origin.is_some() }
    }

    fn are_among(&self, cluster: &ClusterName, wanted: &Wanted) -> bool {
        wanted.images.contains(&self.image)
            && wanted.instance_types.contains(&self.instance_type)
            && wanted.groups.get(cluster) == self.group.as_ref()
            && (wanted.copies || !self.copies)
    }
}

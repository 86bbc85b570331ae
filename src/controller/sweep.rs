//! One look at the fleet, shared by every cluster that needs one at about the same time.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use tokio::sync::Mutex;

use crate::ids::{ClusterName, ImageId};
use crate::observed::Sweep;
use crate::ports::{Clock, Cloud, Outside, Wanted};
use crate::spec::ClusterSpec;
use crate::time::Timestamp;

/// One look at each region, so that trouble in one stops nothing in another.
#[derive(Default)]
pub(super) struct Sweeper {
    regions: RefCell<BTreeMap<String, Rc<Region>>>,
}

#[derive(Default)]
struct Region {
    /// Held while a sweep is under way; whoever waits for it then shares what it brought.
    under_way: Mutex<()>,
    latest: RefCell<Option<Latest>>,
    /// What each cluster wants looked up.
    wanted: RefCell<BTreeMap<ClusterName, (ImageId, String)>>,
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
        let wants = (spec.image.clone(), spec.instance.instance_type.clone());
        self.wanted.borrow_mut().insert(spec.name.clone(), wants);
        let _turn = self.under_way.lock().await;
        if let Some(latest) = &*self.latest.borrow()
            && latest.begun >= earliest
            && latest.wanted.images.contains(&spec.image)
            && latest.wanted.instance_types.contains(&spec.instance.instance_type)
        {
            return latest.result.clone();
        }
        let wanted = self.wanted(&spec.region);
        let begun = outside.clock().now();
        let result = outside.cloud().sweep(&wanted).await;
        let result = result.map(Rc::new).map_err(|error| super::chain(&error));
        *self.latest.borrow_mut() = Some(Latest { begun, result: result.clone(), wanted });
        result
    }

    fn wanted(&self, region: &str) -> Wanted {
        let wanted = self.wanted.borrow();
        Wanted {
            region: region.to_owned(),
            images: wanted.values().map(|(image, _)| image.clone()).collect(),
            instance_types: wanted.values().map(|(_, instance_type)| instance_type.clone()).collect(),
        }
    }
}

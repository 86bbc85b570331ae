//! One look at the fleet, shared by every cluster that needs one at about the same time; and one at the clusters in which
//! something moves, which costs the same few calls however large the fleet is.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::{self, Either};
use tokio::sync::Mutex;

use crate::ids::{ClusterName, ImageId};
use crate::observed::Sweep;
use crate::ports::{Clock, Cloud, Outside, PortError, Wanted, chain};
use crate::spec::ClusterSpec;
use crate::time::Timestamp;

/// The time after which a look that follows a change of ours is asked for once more. Most answers have come by then; a few take several
/// times as long, and seldom two in a row.
const PATIENCE: Duration = Duration::from_millis(250);

/// One look at each region, so that trouble in one stops nothing in another.
#[derive(Default)]
pub(super) struct Sweeper {
    regions: RefCell<BTreeMap<String, Rc<Region>>>,
}

#[derive(Default)]
struct Region {
    fleet: Shared,
    busy: Shared,
    /// The things that each cluster wants looked up.
    wanted: RefCell<BTreeMap<ClusterName, Wants>>,
    /// The clusters that are looked at by themselves.
    moving: RefCell<BTreeSet<ClusterName>>,
}

/// Looks of one kind.
#[derive(Default)]
struct Shared {
    /// The lock that is held while a sweep is under way. A pass that waits for it shares the result.
    under_way: Mutex<()>,
    latest: RefCell<Option<Latest>>,
}

/// The extent of a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// The whole fleet, for a cluster that rests.
    Fleet,
    /// The clusters in which something moves.
    Busy,
}

/// The look that is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) extent: Extent,
    /// The earliest moment at which it may have begun.
    pub(super) earliest: Timestamp,
    /// Whether the next change waits for it, because it is the first one after a change of ours.
    pub(super) follows_change: bool,
}

/// The things that one cluster wants looked up.
#[derive(Clone)]
struct Wants {
    image: ImageId,
    instance_type: String,
    addresses: BTreeSet<Ipv4Addr>,
    group: Option<String>,
    copies: bool,
    saves_running: bool,
}

struct Latest {
    begun: Timestamp,
    result: Result<Rc<Sweep>, String>,
    wanted: Wanted,
}

impl Sweeper {
    /// A sweep of the cluster's region that is as asked for.
    pub(super) async fn look<O: Outside>(
        &self,
        outside: &O,
        spec: &ClusterSpec,
        asked: Asked,
    ) -> Result<Rc<Sweep>, String> {
        let region = self.regions.borrow_mut().entry(spec.region.clone()).or_default().clone();
        region.look(outside, spec, asked).await
    }
}

impl Region {
    /// The latest sweep if it did not begin too early, a new one otherwise. A failure is shared too, so that many clusters do not
    /// repeat it one after another.
    async fn look<O: Outside>(&self, outside: &O, spec: &ClusterSpec, asked: Asked) -> Result<Rc<Sweep>, String> {
        let Asked { extent, earliest, follows_change } = asked;
        self.wanted.borrow_mut().insert(spec.name.clone(), Wants::of(spec));
        match extent {
            Extent::Fleet => self.moving.borrow_mut().remove(&spec.name),
            Extent::Busy => self.moving.borrow_mut().insert(spec.name.clone()),
        };
        let shared = if extent == Extent::Fleet { &self.fleet } else { &self.busy };
        let _turn = shared.under_way.lock().await;
        if let Some(latest) = &*shared.latest.borrow()
            // One that is dated ahead was begun before the clock was set back.
            && (earliest..=outside.clock().now()).contains(&latest.begun)
            && Wants::of(spec).are_among(&spec.name, &latest.wanted)
        {
            return latest.result.clone();
        }
        let wanted = self.wanted(&spec.region, extent);
        // A thousand passes may wait for this one to look, and need no room for the look itself.
        let (begun, result) = match follows_change {
            true => Box::pin(look_twice(outside, &wanted)).await,
            false => Box::pin(look_once(outside, &wanted)).await,
        };
        let result = result.map(Rc::new).map_err(|error| chain(&error));
        *shared.latest.borrow_mut() = Some(Latest { begun, result: result.clone(), wanted });
        result
    }

    fn wanted(&self, region: &str, extent: Extent) -> Wanted {
        let (wanted, moving) = (self.wanted.borrow(), self.moving.borrow());
        let is_wanted = |name: &ClusterName| extent == Extent::Fleet || moving.contains(name);
        let named = wanted.iter().filter(|(name, _)| is_wanted(name));
        let groups = named.clone();
        Wanted {
            region: region.to_owned(),
            only: if extent == Extent::Busy { moving.clone() } else { BTreeSet::new() },
            images: wanted.values().map(|wants| wants.image.clone()).collect(),
            instance_types: wanted.values().map(|wants| wants.instance_type.clone()).collect(),
            addresses: wanted.values().flat_map(|wants| &wants.addresses).copied().collect(),
            groups: groups.filter_map(|(name, wants)| Some((name.clone(), wants.group.clone()?))).collect(),
            copies: wanted.values().any(|wants| wants.copies),
            saved_running: named.filter(|(_, wants)| wants.saves_running).map(|(name, _)| name.clone()).collect(),
        }
    }
}

/// The beginning of a look, and what came of it.
type Answer = (Timestamp, Result<Sweep, PortError>);

async fn look_once<O: Outside>(outside: &O, wanted: &Wanted) -> Answer {
    let begun = outside.clock().now();
    (begun, outside.cloud().sweep(wanted).await)
}

/// Looks once more where no answer comes for a while, and goes by the answer that comes first, unless that is a failure.
async fn look_twice<O: Outside>(outside: &O, wanted: &Wanted) -> Answer {
    let first = pin!(look_once(outside, wanted));
    let patience = pin!(outside.clock().sleep(PATIENCE));
    match future::select(first, patience).await {
        Either::Left((answer, _)) => answer,
        Either::Right((_, first)) => {
            let second = pin!(look_once(outside, wanted));
            let (sooner, later) = future::select(first, second).await.factor_first();
            match sooner.1 {
                Ok(_) => sooner,
                Err(_) => Some(later.await).filter(|(_, other)| other.is_ok()).unwrap_or(sooner),
            }
        }
    }
}

impl Wants {
    fn of(spec: &ClusterSpec) -> Self {
        let group = spec.capacity.group().map(str::to_owned);
        let (image, instance_type) = (spec.image.clone(), spec.instance.instance_type.clone());
        let addresses = spec.slots.iter().filter_map(|slot| slot.address).collect();
        let (copies, saves_running) = (spec.origin.is_some(), spec.saves_running());
        Self { image, instance_type, addresses, group, copies, saves_running }
    }

    fn are_among(&self, cluster: &ClusterName, wanted: &Wanted) -> bool {
        (wanted.only.is_empty() || wanted.only.contains(cluster))
            && wanted.images.contains(&self.image)
            && wanted.instance_types.contains(&self.instance_type)
            && wanted.addresses.is_superset(&self.addresses)
            && wanted.groups.get(cluster) == self.group.as_ref()
            && (wanted.copies || !self.copies)
            && (wanted.saved_running.contains(cluster) || !self.saves_running)
    }
}

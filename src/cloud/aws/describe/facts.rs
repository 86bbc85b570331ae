//! Facts that change slowly and are remembered for a while: images, types, zones, volumes in trouble, the account.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_ec2::types::{self, VolumeModificationState};

use super::super::convert::{self, VolumeWarnings};
use super::super::error::Failure;
use super::super::operation::{
    DESCRIBE_AVAILABILITY_ZONES, DESCRIBE_IMAGES, DESCRIBE_INSTANCE_TYPES, DESCRIBE_NETWORK_INTERFACES,
    GET_CALLER_IDENTITY,
};
use super::super::{Aws, Region};
use super::cached::Cached;
use super::pages::{MOST_VALUES, all, filter};
use crate::ids::{ImageId, Zone};
use crate::observed::{Catalogue, Image, UsedAddress};
use crate::ports::{Clock, ErrorKind, Wanted};
use crate::time::Timestamp;

/// For how long most of it is believed.
const LIFE: Duration = Duration::from_secs(60);
/// For how long an image is believed to be missing, or not available yet: somebody may be waiting for it.
const LIFE_OF_ABSENCE: Duration = Duration::from_secs(10);
/// For how long the account is. Credentials change when somebody logs in elsewhere.
const LIFE_OF_ACCOUNT: Duration = Duration::from_secs(5 * 60);

/// The codes with which EC2 says that one of the images that were named is not there.
const NO_IMAGE: [&str; 3] = ["InvalidAMIID.NotFound", "InvalidAMIID.Malformed", "InvalidAMIID.Unavailable"];

/// Facts about a region that are remembered.
#[derive(Debug, Default)]
pub(in super::super) struct Facts {
    account: Cached<String>,
    images: Cached<BTreeMap<ImageId, Option<Image>>>,
    /// For good: a type does not change. One that does not exist is asked for again.
    types: RefCell<BTreeMap<String, BTreeSet<String>>>,
    xen_types: RefCell<BTreeSet<String>>,
    absent_types: Cached<BTreeSet<String>>,
    zones: Cached<BTreeMap<Zone, String>>,
    warnings: Cached<VolumeWarnings>,
    /// The addresses that were asked about, and those of them that are used.
    addresses: Cached<(BTreeSet<Ipv4Addr>, Vec<UsedAddress>)>,
    catalogue: RefCell<Arc<Catalogue>>,
}

impl Facts {
    /// Gives the age of what is known of the troubles and modifications of volumes, if that was ever asked for.
    pub(in super::super) fn age_of_warnings(&self, now: Timestamp) -> Option<Duration> {
        self.warnings.age(now)
    }

    /// Has the troubles and modifications of volumes be asked for anew.
    pub(in super::super) fn forget_warnings(&self) {
        self.warnings.forget();
    }
}

/// Facts that one look rests on.
pub(super) struct Known {
    pub(super) catalogue: Arc<Catalogue>,
    pub(super) warnings: VolumeWarnings,
}

impl<C: Clock> Aws<C> {
    /// Gives the facts, and asks anew for each that is too old or was never asked for.
    pub(super) async fn facts(
        &self,
        region: &Region,
        wanted: &Wanted,
        named: BTreeSet<String>,
    ) -> Result<Known, Failure> {
        let images = wanted.images.iter().cloned().chain(named.into_iter().map(ImageId::from)).collect();
        let (account, images, instance_types, impaired_zones, warnings, used_addresses) = tokio::try_join!(
            self.account(region),
            self.images(region, &images),
            self.instance_types(region, &wanted.instance_types),
            self.impaired_zones(region),
            self.warnings(region),
            self.used_addresses(region, &wanted.addresses),
        )?;
        let xen_types = region.facts.xen_types.borrow().intersection(&wanted.instance_types).cloned().collect();
        let account = Some(account);
        let catalogue = Catalogue { account, images, instance_types, xen_types, impaired_zones, used_addresses };
        let mut shared = region.facts.catalogue.borrow_mut();
        if **shared != catalogue {
            *shared = Arc::new(catalogue);
        }
        Ok(Known { catalogue: shared.clone(), warnings })
    }

    async fn account(&self, region: &Region) -> Result<String, Failure> {
        let now = self.clock.now();
        if let Some(account) = region.facts.account.fresh(now, |_| LIFE_OF_ACCOUNT) {
            return Ok(account);
        }
        let identity = self.ask(region, GET_CALLER_IDENTITY, || region.sts.get_caller_identity().send()).await?;
        let nobody = || Failure::ours(GET_CALLER_IDENTITY, ErrorKind::Unknown, "no-account", "AWS names no account");
        Ok(region.facts.account.store(now, identity.account.ok_or_else(nobody)?))
    }

    async fn images(&self, region: &Region, ids: &BTreeSet<ImageId>) -> Result<BTreeMap<ImageId, Image>, Failure> {
        let now = self.clock.now();
        let life = |images: &BTreeMap<ImageId, Option<Image>>| {
            let there = |image: &Option<Image>| image.as_ref().is_some_and(|image| image.state.is_available());
            if ids.iter().all(|id| images.get(id).is_some_and(there)) { LIFE } else { LIFE_OF_ABSENCE }
        };
        let known = region.facts.images.fresh(now, life).filter(|images| ids.iter().all(|id| images.contains_key(id)));
        let images = match known {
            Some(images) => images,
            None => region.facts.images.store(now, self.ask_for_images(region, ids).await?),
        };
        Ok(images.into_iter().filter_map(|(id, image)| Some((id, image?))).collect())
    }

    async fn ask_for_images(
        &self,
        region: &Region,
        ids: &BTreeSet<ImageId>,
    ) -> Result<BTreeMap<ImageId, Option<Image>>, Failure> {
        let ids: Vec<_> = ids.iter().map(ImageId::to_string).collect();
        let mut images: BTreeMap<ImageId, Option<Image>> =
            ids.iter().map(|id| (ImageId::from(id.as_str()), None)).collect();
        let mut parts: Vec<&[String]> = ids.chunks(MOST_VALUES).collect();
        while let Some(part) = parts.pop() {
            match self.images_of(region, part).await {
                Ok(found) => {
                    images.extend(found.iter().filter_map(convert::image).map(|(id, image)| (id, Some(image))))
                }
                Err(failure) if NO_IMAGE.contains(&failure.code.as_str()) => {
                    let (one, other) = part.split_at(part.len() / 2);
                    parts.extend([one, other].into_iter().filter(|half| !half.is_empty() && half.len() < part.len()));
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(images)
    }

    /// Asks by id, which EC2 looks up at once. A filter searches all that anybody has published, which takes it tens of
    /// seconds at times (ansible/ansible#24886). One id that does not exist fails the call for all.
    async fn images_of(&self, region: &Region, ids: &[String]) -> Result<Vec<types::Image>, Failure> {
        all(DESCRIBE_IMAGES, async |token| {
            let call = region.ec2.describe_images().set_image_ids(Some(ids.to_vec()));
            // A deprecated image can be launched by its id; a disabled one is there, and says so.
            let call = call.include_deprecated(true).include_disabled(true).set_next_token(token);
            let page = self.ask(region, DESCRIBE_IMAGES, || call.clone().send()).await?;
            Ok((page.images.unwrap_or_default(), page.next_token))
        })
        .await
    }

    async fn instance_types(
        &self,
        region: &Region,
        wanted: &BTreeSet<String>,
    ) -> Result<BTreeMap<String, BTreeSet<String>>, Failure> {
        let now = self.clock.now();
        let absent = region.facts.absent_types.fresh(now, |_| LIFE).unwrap_or_default();
        let unknown = |name: &&String| !region.facts.types.borrow().contains_key(*name) && !absent.contains(*name);
        let unknown: Vec<String> = wanted.iter().filter(unknown).cloned().collect();
        for some in unknown.chunks(MOST_VALUES) {
            let found = all(DESCRIBE_INSTANCE_TYPES, async |token| {
                let call = region.ec2.describe_instance_types().filters(filter("instance-type", some));
                let call = call.set_next_token(token);
                let page = self.ask(region, DESCRIBE_INSTANCE_TYPES, || call.clone().send()).await?;
                Ok((page.instance_types.unwrap_or_default(), page.next_token))
            });
            let found = found.await?;
            region.facts.types.borrow_mut().extend(found.iter().filter_map(convert::architectures));
            let xen = found.iter().filter(|kind| convert::is_xen(kind)).filter_map(convert::architectures);
            region.facts.xen_types.borrow_mut().extend(xen.map(|(name, _)| name));
        }
        let known = region.facts.types.borrow();
        if !unknown.is_empty() {
            let absent = unknown.into_iter().filter(|name| !known.contains_key(name)).chain(absent).collect();
            region.facts.absent_types.store(now, absent);
        }
        Ok(wanted.iter().filter_map(|name| Some((name.clone(), known.get(name)?.clone()))).collect())
    }

    /// Finds the interfaces that have a fixed address, whoever's they are. Where none is declared, nothing is asked.
    async fn used_addresses(&self, region: &Region, wanted: &BTreeSet<Ipv4Addr>) -> Result<Vec<UsedAddress>, Failure> {
        let now = self.clock.now();
        let known = region.facts.addresses.fresh(now, |_| LIFE).filter(|(asked, _)| asked.is_superset(wanted));
        if let Some((_, used)) = known {
            return Ok(used);
        }
        let texts: Vec<_> = wanted.iter().map(Ipv4Addr::to_string).collect();
        let mut used = Vec::new();
        for some in texts.chunks(MOST_VALUES) {
            let found = all(DESCRIBE_NETWORK_INTERFACES, async |token| {
                let call = region.ec2.describe_network_interfaces();
                let call = call.filters(filter("addresses.private-ip-address", some)).set_next_token(token);
                let page = self.ask(region, DESCRIBE_NETWORK_INTERFACES, || call.clone().send()).await?;
                Ok((page.network_interfaces.unwrap_or_default(), page.next_token))
            });
            used.extend(found.await?.iter().flat_map(|seen| convert::used_addresses(seen, wanted)));
        }
        used.sort();
        Ok(region.facts.addresses.store(now, (wanted.clone(), used)).1)
    }

    async fn impaired_zones(&self, region: &Region) -> Result<BTreeMap<Zone, String>, Failure> {
        let now = self.clock.now();
        if let Some(zones) = region.facts.zones.fresh(now, |_| LIFE) {
            return Ok(zones);
        }
        let call = region.ec2.describe_availability_zones();
        let answer = self.ask(region, DESCRIBE_AVAILABILITY_ZONES, || call.clone().send()).await?;
        let impaired = answer.availability_zones().iter().filter_map(convert::impaired_zone).collect();
        Ok(region.facts.zones.store(now, impaired))
    }

    async fn warnings(&self, region: &Region) -> Result<VolumeWarnings, Failure> {
        let now = self.clock.now();
        if let Some(warnings) = region.facts.warnings.fresh(now, |_| LIFE) {
            return Ok(warnings);
        }
        let (impaired, modifications) = tokio::try_join!(self.impaired_volumes(region), self.modifications(region))?;
        let in_state = |state: VolumeModificationState| {
            let them = modifications.iter().filter(move |one| one.modification_state() == Some(&state));
            them.filter_map(|one| Some(one.volume_id()?.into())).collect()
        };
        let warnings = VolumeWarnings {
            impaired: impaired.iter().filter_map(convert::impaired_volume).collect(),
            modifying: in_state(VolumeModificationState::Modifying),
            optimizing: in_state(VolumeModificationState::Optimizing),
        };
        Ok(region.facts.warnings.store(now, warnings))
    }
}

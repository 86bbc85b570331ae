//! The calls of a look, each to its last page.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::{self, Filter, VolumeModificationState, VolumeStatusInfoStatus};

use super::super::error::Failure;
use super::super::operation::{
    DESCRIBE_INSTANCES, DESCRIBE_SNAPSHOTS, DESCRIBE_VOLUME_STATUS, DESCRIBE_VOLUMES, DESCRIBE_VOLUMES_MODIFICATIONS,
    Operation,
};
use super::super::{Aws, Region, tags};
use crate::ports::{Clock, ErrorKind, Wanted};

/// As much as any `Describe*` call gives at once.
pub(super) const LARGEST_PAGE: i32 = 1_000;
/// The most pages of one call: a million resources. An account has fewer in a region.
const MOST_PAGES: usize = 1_000;
/// As many values as a filter takes.
pub(super) const MOST_VALUES: usize = 200;

/// A filter of a `Describe*` call.
pub(in super::super) fn filter(name: &str, values: impl IntoIterator<Item = impl Into<String>>) -> Filter {
    let values = values.into_iter().map(Into::into).collect();
    Filter::builder().name(name).set_values(Some(values)).build()
}

fn ours() -> Filter {
    filter("tag-key", [tags::CLUSTER])
}

/// The resources of the wanted clusters. They are named, unless they are more than a filter takes.
fn of_clusters(wanted: &Wanted) -> Filter {
    if is_survey(wanted) {
        ours()
    } else {
        filter(&format!("tag:{}", tags::CLUSTER), wanted.only.iter().map(|name| name.to_string()))
    }
}

/// Says whether a look is at the whole fleet.
pub(super) fn is_survey(wanted: &Wanted) -> bool {
    wanted.only.is_empty() || wanted.only.len() > MOST_VALUES
}

/// All pages. One may be empty and yet name a next. Pages that go in a circle, or on and on, are no answer.
pub(in super::super) async fn all<T>(
    operation: Operation,
    mut page: impl AsyncFnMut(Option<String>) -> Result<(Vec<T>, Option<String>), Failure>,
) -> Result<Vec<T>, Failure> {
    let (mut found, mut token) = (Vec::new(), None);
    for _ in 0..MOST_PAGES {
        let (items, next) = page(token.clone()).await?;
        found.extend(items);
        let next = next.filter(|next| !next.is_empty());
        if next.is_none() {
            return Ok(found);
        }
        if next == token {
            return Err(endless(operation, "a page is said to be followed by itself"));
        }
        token = next;
    }
    Err(endless(operation, "there are more than a thousand pages"))
}

fn endless(operation: Operation, text: &str) -> Failure {
    Failure::ours(operation, ErrorKind::Unknown, "pages-without-end", text)
}

impl<C: Clock> Aws<C> {
    pub(super) async fn our_instances(
        &self,
        region: &Region,
        wanted: &Wanted,
    ) -> Result<Vec<types::Instance>, Failure> {
        let operation = DESCRIBE_INSTANCES.in_survey(is_survey(wanted));
        all(operation, async |token| {
            let call = region.ec2.describe_instances().filters(of_clusters(wanted)).max_results(LARGEST_PAGE);
            let call = call.set_next_token(token);
            let page = self.ask(region, operation, || call.clone().send()).await?;
            let reservations = page.reservations.unwrap_or_default().into_iter();
            Ok((reservations.flat_map(|one| one.instances.unwrap_or_default()).collect(), page.next_token))
        })
        .await
    }

    pub(super) async fn our_volumes(&self, region: &Region, wanted: &Wanted) -> Result<Vec<types::Volume>, Failure> {
        let operation = DESCRIBE_VOLUMES.in_survey(is_survey(wanted));
        all(operation, async |token| {
            let call = region.ec2.describe_volumes().filters(of_clusters(wanted)).max_results(LARGEST_PAGE);
            let call = call.set_next_token(token);
            let page = self.ask(region, operation, || call.clone().send()).await?;
            Ok((page.volumes.unwrap_or_default(), page.next_token))
        })
        .await
    }

    /// Our snapshots of those volumes; of all volumes, where there are too many to name.
    pub(super) async fn snapshots_of(
        &self,
        region: &Region,
        volumes: &BTreeSet<String>,
    ) -> Result<Vec<types::Snapshot>, Failure> {
        if volumes.is_empty() {
            return Ok(Vec::new());
        }
        let named = (volumes.len() <= MOST_VALUES).then(|| filter("volume-id", volumes));
        self.snapshots(region, named.into_iter().chain([ours()]).collect()).await
    }

    /// The snapshots that throw-away copies of clusters begin with.
    pub(super) async fn copies(&self, region: &Region) -> Result<Vec<types::Snapshot>, Failure> {
        self.snapshots(region, vec![filter("tag-key", [tags::COPY_OF])]).await
    }

    async fn snapshots(&self, region: &Region, which: Vec<types::Filter>) -> Result<Vec<types::Snapshot>, Failure> {
        all(DESCRIBE_SNAPSHOTS, async |token| {
            let call = region.ec2.describe_snapshots().owner_ids("self").set_filters(Some(which.clone()));
            let call = call.max_results(LARGEST_PAGE).set_next_token(token);
            let page = self.ask(region, DESCRIBE_SNAPSHOTS, || call.clone().send()).await?;
            Ok((page.snapshots.unwrap_or_default(), page.next_token))
        })
        .await
    }

    /// Volumes in trouble, whoever's they are: few, and the call cannot be told to find ours.
    pub(super) async fn impaired_volumes(&self, region: &Region) -> Result<Vec<types::VolumeStatusItem>, Failure> {
        all(DESCRIBE_VOLUME_STATUS, async |token| {
            let impaired = filter("volume-status.status", [VolumeStatusInfoStatus::Impaired.as_str()]);
            let call = region.ec2.describe_volume_status().filters(impaired);
            let call = call.max_results(LARGEST_PAGE).set_next_token(token);
            let page = self.ask(region, DESCRIBE_VOLUME_STATUS, || call.clone().send()).await?;
            Ok((page.volume_statuses.unwrap_or_default(), page.next_token))
        })
        .await
    }

    /// Modifications that EBS is still busy with, whoever's volumes they are of. While `optimizing`, which may take a day, a
    /// volume can be moved, and not be modified again.
    pub(super) async fn modifications(&self, region: &Region) -> Result<Vec<types::VolumeModification>, Failure> {
        all(DESCRIBE_VOLUMES_MODIFICATIONS, async |token| {
            let in_hand = [VolumeModificationState::Modifying, VolumeModificationState::Optimizing];
            let in_hand = filter("modification-state", in_hand.iter().map(VolumeModificationState::as_str));
            let call = region.ec2.describe_volumes_modifications().filters(in_hand);
            let call = call.max_results(500).set_next_token(token); // this one gives no more
            let page = self.ask(region, DESCRIBE_VOLUMES_MODIFICATIONS, || call.clone().send()).await?;
            Ok((page.volumes_modifications.unwrap_or_default(), page.next_token))
        })
        .await
    }
}

//! The status of instances: whether their checks pass, and what maintenance AWS has announced.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_ec2::primitives::DateTime;
use aws_sdk_ec2::types;

use super::super::convert::{self, Status};
use super::super::error::Failure;
use super::super::operation::DESCRIBE_INSTANCE_STATUS;
use super::super::{Aws, Region};
use super::cached::Cached;
use super::pages::{LARGEST_PAGE, all};
use crate::ids::InstanceId;
use crate::observed::{Checks, InstanceState};
use crate::ports::{Clock, ErrorKind};
use crate::time::Timestamp;

/// For how long checks that have passed are believed.
const LIFE: Duration = Duration::from_secs(10);
/// For how long it is believed that checks have not passed yet: those of an instance that was launched ahead run while EC2 is looked at
/// often for something else.
const AWAITED_LIFE: Duration = Duration::from_secs(1);
/// As many ids as `DescribeInstanceStatus` takes.
const MOST_IDS: usize = 100;

/// The last answer.
#[derive(Debug, Default)]
pub(in super::super) struct Statuses(Cached<BTreeMap<InstanceId, (Stretch, Status)>>);

/// A stretch of an instance's life, in one state since one start. A status is the status of one stretch.
#[derive(Clone, Debug, PartialEq)]
struct Stretch {
    state: Option<InstanceState>,
    launched: Option<DateTime>,
}

impl Stretch {
    fn of(instance: &types::Instance) -> Self {
        Self { state: convert::life_cycle(instance).ok(), launched: instance.launch_time().copied() }
    }

    /// Nothing is being waited for: what runs has passed its checks.
    fn is_done_with(&self, status: &Status) -> bool {
        self.state != Some(InstanceState::Running) || status.checks == Checks::Ok
    }
}

impl Statuses {
    /// Gives the statuses of all these instances, if they are known well enough.
    fn fresh(&self, now: Timestamp, wanted: &BTreeMap<InstanceId, Stretch>) -> Option<BTreeMap<InstanceId, Status>> {
        let recent = self.0.fresh(now, |_| AWAITED_LIFE);
        let is_recent = recent.is_some();
        let known = recent.or_else(|| self.0.fresh(now, |_| LIFE))?;
        let status = |(id, stretch): (&InstanceId, &Stretch)| {
            let (of, status) = known.get(id)?;
            let is_enough = is_recent || stretch.is_done_with(status);
            (of == stretch && is_enough).then(|| (id.clone(), status.clone()))
        };
        wanted.iter().map(status).collect()
    }

    fn store(&self, asked: Timestamp, of: BTreeMap<InstanceId, Stretch>, seen: &BTreeMap<InstanceId, Status>) {
        let with_status = |(id, stretch)| seen.get(&id).map(|status| (id, (stretch, status.clone())));
        self.0.store(asked, of.into_iter().filter_map(with_status).collect());
    }
}

impl<C: Clock> Aws<C> {
    /// The status of each instance that is not terminated.
    pub(super) async fn statuses(
        &self,
        region: &Region,
        instances: &[types::Instance],
        is_survey: bool,
    ) -> Result<BTreeMap<InstanceId, Status>, Failure> {
        let cached = if is_survey { &region.statuses } else { &region.statuses_of_busy };
        let stretches = instances.iter().filter_map(|one| Some((one.instance_id()?.into(), Stretch::of(one))));
        let wanted: BTreeMap<InstanceId, Stretch> =
            stretches.filter(|(_, stretch)| stretch.state != Some(InstanceState::Terminated)).collect();
        let now = self.clock.now();
        if let Some(known) = cached.fresh(now, &wanted) {
            return Ok(known);
        }
        let seen = self.ask_for_statuses(region, wanted.keys().map(InstanceId::to_string).collect()).await?;
        cached.store(now, wanted, &seen);
        Ok(seen)
    }

    /// A few are asked for by id; many, with all others in the region.
    async fn ask_for_statuses(
        &self,
        region: &Region,
        ids: Vec<String>,
    ) -> Result<BTreeMap<InstanceId, Status>, Failure> {
        if ids.is_empty() {
            return Ok(BTreeMap::new());
        }
        let few = ids.len() <= MOST_IDS;
        let statuses = match self.statuses_by(region, few.then_some(ids)).await {
            // One id that this call does not know yet fails it for all.
            Err(failure) if few && failure.is(ErrorKind::NotFound) => self.statuses_by(region, None).await,
            answer => answer,
        };
        Ok(statuses?.iter().filter_map(convert::status).collect())
    }

    async fn statuses_by(
        &self,
        region: &Region,
        ids: Option<Vec<String>>,
    ) -> Result<Vec<types::InstanceStatus>, Failure> {
        let page_size = ids.is_none().then_some(LARGEST_PAGE); // ids and a page size exclude each other
        let operation = DESCRIBE_INSTANCE_STATUS.in_survey(ids.is_none());
        all(operation, async |token| {
            let call = region.ec2.describe_instance_status().include_all_instances(true);
            let call = call.set_instance_ids(ids.clone()).set_max_results(page_size).set_next_token(token);
            let page = self.ask(region, operation, || call.clone().send()).await?;
            Ok((page.instance_statuses.unwrap_or_default(), page.next_token))
        })
        .await
    }
}

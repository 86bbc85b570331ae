//! Status checks and announced maintenance.

use aws_sdk_ec2::types::{self, EventCode, SummaryStatus};

use super::timestamp;
use crate::ids::InstanceId;
use crate::observed::{Checks, ScheduledEvent};

/// Answer of `DescribeInstanceStatus` for one instance.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) struct Status {
    pub(in super::super) checks: Checks,
    pub(in super::super) events: Vec<ScheduledEvent>,
}

impl Default for Status {
    fn default() -> Self {
        Self { checks: Checks::Unknown, events: Vec::new() }
    }
}

/// An instance's status.
pub(in super::super) fn status(seen: &types::InstanceStatus) -> Option<(InstanceId, Status)> {
    let events = seen.events().iter().filter_map(event).collect();
    Some((seen.instance_id()?.into(), Status { checks: checks(seen), events }))
}

/// Well only if both of EC2's own checks are. The check of attached volumes is newer, and counts where it finds something.
fn checks(seen: &types::InstanceStatus) -> Checks {
    let [system, instance] = [seen.system_status(), seen.instance_status()]
        .map(|summary| summary.and_then(types::InstanceStatusSummary::status).cloned());
    let volumes = seen.attached_ebs_status().and_then(types::EbsStatusSummary::status).cloned();
    let all = [("system", &system), ("instance", &instance), ("attached volumes", &volumes)];
    let impaired = all.iter().filter(|(_, status)| **status == Some(SummaryStatus::Impaired)).map(|(name, _)| *name);
    let impaired: Vec<_> = impaired.collect();
    let own = [&system, &instance];
    let says = |status: &SummaryStatus| own.iter().any(|own| own.as_ref() == Some(status));
    if !impaired.is_empty() {
        Checks::Impaired(format!("the status check of {} has failed", impaired.join(" and ")))
    } else if own.iter().all(|status| **status == Some(SummaryStatus::Ok)) {
        Checks::Ok
    } else if says(&SummaryStatus::Initializing) {
        Checks::Initializing
    } else {
        Checks::Unknown
    }
}

/// An event that is still to come. EC2 lists what is over for a week more, and marks it in the description.
fn event(event: &types::InstanceStatusEvent) -> Option<ScheduledEvent> {
    let description = event.description().unwrap_or_default();
    if description.starts_with("[Completed]") || description.starts_with("[Canceled]") {
        return None;
    }
    Some(ScheduledEvent {
        code: event.code().map_or("unnamed", EventCode::as_str).to_owned(),
        not_before: event.not_before().and_then(timestamp).unwrap_or(crate::time::Timestamp::UNIX_EPOCH),
    })
}

//! Adoption on AWS.

use std::collections::BTreeMap;
use std::io::Write;

use super::Args;
use super::proposal::{SlotProposal, fixed_addresses, propose};
use crate::cli::aws::Ports;
use crate::cli::output::{BAD, DIM, GOOD, NAME, styled};
use crate::cli::signals::{self, UnderWay};
use crate::cli::{Exit, Failure, Output, runtime};
use crate::ids::{InstanceId, SlotName};
use crate::plan::Hazard;
use crate::ports::PortError;
use crate::spec::ClusterSpec;

/// Shows the proposals, and with `--yes` tags what they name.
pub(super) fn adopt(
    args: &Args,
    spec: &ClusterSpec,
    seats: &BTreeMap<SlotName, InstanceId>,
    out: &mut Output,
) -> Result<Exit, Failure> {
    runtime::start()?.block_on(async {
        let outside = Ports::open(&args.aws, Some(spec)).await?;
        let identity = outside.aws.identity(&spec.region).await.map_err(failed)?;
        if let Some(hazard) = Hazard::of_account(spec, Some(&identity.account)) {
            return Err(hazard.into());
        }
        let wanted = seats.values().cloned().collect();
        let candidates = outside.aws.candidates(&spec.region, &wanted).await.map_err(failed)?;
        let candidate = |id: &InstanceId| candidates.iter().find(|candidate| candidate.id == *id);
        let with_seat = spec.slots.iter().filter_map(|slot| Some((slot, seats.get(&slot.name)?)));
        let proposals: Vec<_> =
            with_seat.map(|(slot, id)| propose(spec, slot, id, candidate(id), &args.aws.owner)).collect();
        proposals.iter().try_for_each(|proposal| show(proposal, &mut out.data))?;
        for line in fixed_addresses(spec, &proposals) {
            writeln!(out.data, "{line}")?;
        }
        let obstacles: usize = proposals.iter().map(|proposal| proposal.obstacles.len()).sum();
        if obstacles > 0 {
            return Err(Failure::new(format!("{} cannot be adopted as it is; nothing was tagged", spec.name))
                .hint("correct what is marked ✗"));
        }
        if !args.yes {
            writeln!(out.data, "nothing was changed; --yes tags all of this with the owner {}", args.aws.owner)?;
            return Ok(Exit::Done);
        }
        for proposal in &proposals {
            signals::refuse_further()?;
            let _under_way = UnderWay::begin();
            tag(&outside, spec, proposal).await.map_err(failed)?;
            writeln!(out.data, "{}: adopted", proposal.slot)?;
        }
        writeln!(out.data, "`hermitcrab doctor` says whether anything would block a rollout")?;
        Ok(Exit::Done)
    })
}

/// Tags a slot's instance and volumes. DeleteOnTermination is turned off first, so that no owned volume can be lost.
async fn tag(outside: &Ports, spec: &ClusterSpec, proposal: &SlotProposal) -> Result<(), PortError> {
    for device in &proposal.kept {
        outside.aws.keep_volume(&spec.region, &proposal.instance, device).await?;
    }
    let slots = spec.slots.iter().map(|slot| slot.name.clone()).collect();
    outside.aws.tag_adopted(spec, &proposal.slot, &proposal.instance, &proposal.volumes, &slots).await
}

fn failed(error: PortError) -> Failure {
    Failure::new(error).hint("resources that were tagged stay tagged; correct this, and run the command again")
}

fn show(proposal: &SlotProposal, out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(out, "{}  {}", styled(NAME, &proposal.slot), proposal.instance)?;
    for (name, volume) in &proposal.volumes {
        writeln!(out, "  {} {name}: {volume}", styled(GOOD, "✓"))?;
    }
    if let Some(address) = proposal.address {
        writeln!(out, "  {} address: {address}, which moves with the volumes", styled(GOOD, "✓"))?;
    }
    for device in &proposal.kept {
        writeln!(out, "  {} DeleteOnTermination will be turned off at {device}", styled(GOOD, "✓"))?;
    }
    for difference in &proposal.differences {
        writeln!(out, "  {} {difference}", styled(DIM, "differs:"))?;
    }
    for obstacle in &proposal.obstacles {
        writeln!(out, "  {} {obstacle}", styled(BAD, "✗"))?;
    }
    Ok(())
}

//! The world's side of mutating calls: whether they were right, what follows from them, and the record of them.

use super::state::{Sender, State};
use crate::action::{ClaimEffect, CloudEffect, Effect};
use crate::ids::{ClusterName, ImageId, InstanceId, SlotName, VolumeId};
use crate::ports::Outcome;
use crate::sim::ec2::Call;
use crate::sim::event::What;
use crate::sim::judge::{self, Rule};
use crate::sim::words::{OUTSIDER, Refusal};

impl State {
    /// Lets a call to EC2 take effect, or EC2 refuse it. Either way it is told and judged.
    pub fn apply(&mut self, sender: Sender, call: Call) -> Result<Outcome, Refusal> {
        let sent = self.sent(sender, call.cluster);
        let facts = self.facts(call.cluster, Some(call.effect), Some(sender.controller));
        let objections = facts.as_ref().map(|facts| judge::judge_call(facts, &sent, call.effect));
        let to_request = facts.map(|facts| judge::judge_request(&facts, &sent, call.effect));
        self.blame(call);
        let result = self.send(call);
        self.record(sender, call.cluster, call.slot, &Effect::Cloud(call.effect.clone()), &result);
        self.object(call.cluster, to_request.unwrap_or_default());
        if matches!(result, Ok(Outcome::Done | Outcome::Launched(_) | Outcome::Created(_) | Outcome::Snapshotted(_))) {
            let mut objections = objections.unwrap_or_default();
            objections.retain(|(rule, _)| sender.controller != OUTSIDER || !rule.rests_on_claims());
            self.object(call.cluster, objections);
        }
        let wrong = self.facts(call.cluster, None, None).map(|facts| judge::judge_cluster(&facts));
        self.object(call.cluster, wrong.unwrap_or_default());
        result
    }

    /// Tells of the rules that are broken.
    pub fn object(&mut self, cluster: &ClusterName, objections: Vec<judge::Objection>) {
        for (rule, detail) in objections {
            self.violate(cluster, rule, detail);
        }
    }

    /// Sends a call to EC2, whoever sends it, and follows what comes of it.
    pub fn send(&mut self, call: Call) -> Result<Outcome, Refusal> {
        if let CloudEffect::Snapshot { volume, .. } | CloudEffect::CopyVolume { volume, .. } = call.effect {
            self.flush(volume);
        }
        let chance = &mut self.chance;
        let done = self.region.call(self.now, call, &mut |prefix| chance.id(prefix))?;
        self.follow(done.happened);
        Ok(done.outcome)
    }

    /// Puts on a volume what the member that runs on it has written so far.
    fn flush(&mut self, volume: &VolumeId) {
        let Some(disk) = self.region.volumes.get_mut(volume) else { return };
        let members = self.clusters.get(&disk.cluster).map(|cluster| &cluster.members);
        let written = members.zip(disk.content.member.as_ref()).and_then(|(members, id)| members.written(id, self.now));
        if let Some(written) = written {
            disk.content.log = written;
        }
    }

    /// Notes that a controller takes a slot's member down, unless a person has put an end to the cluster.
    fn blame(&mut self, call: Call) {
        let (CloudEffect::Stop { instance } | CloudEffect::Terminate { instance }) = call.effect else { return };
        let Some(machine) = self.region.instances.get(instance) else { return };
        let slot = machine.seen.slot.clone();
        let has_ended = self.claims.get(call.cluster).is_some_and(|claim| claim.ending.is_some());
        if has_ended || self.member_on(call.cluster, instance).is_none() {
            return;
        }
        let cluster = self.clusters.get_mut(call.cluster);
        if let Some(record) = cluster.and_then(|cluster| cluster.slots.get_mut(&slot)) {
            record.stopped_by_us |= record.up;
        }
    }

    /// Replaces a claim record if it has the expected revision.
    pub fn write_claim(
        &mut self,
        sender: Sender,
        name: &ClusterName,
        effect: &ClaimEffect,
    ) -> Result<Outcome, Refusal> {
        let now = self.shown_at(sender.controller, self.now);
        let outcome = self.claims.write(self.now, now, name, effect)?;
        let slot = match effect {
            ClaimEffect::Announce { ahead, .. } => Some(ahead.slot.clone()),
            _ => effect.claim().map(|claim| claim.slot.clone()),
        };
        self.record(sender, name, slot.as_ref(), &Effect::Claim(effect.clone()), &Ok(outcome.clone()));
        Ok(outcome)
    }

    /// Notes that a controller was refused to let a launch ahead go.
    pub fn let_go_was_refused(&mut self, cluster: &ClusterName) {
        let Some(ahead) = self.claims.get(cluster).and_then(|record| record.ahead.clone()) else { return };
        let live = self.region.live_instances(cluster);
        let launched = |id: &InstanceId| self.region.instances.get(id).is_some_and(|it| ahead.launched(&it.seen));
        if let Some(id) = live.into_iter().find(launched) {
            self.region.end_was_refused(&id);
        }
    }

    /// Tells of a call, and counts it if it was accepted.
    pub fn record(
        &mut self,
        sender: Sender,
        cluster: &ClusterName,
        slot: Option<&SlotName>,
        effect: &Effect,
        result: &Result<Outcome, Refusal>,
    ) {
        let outcome = unplain(result);
        if outcome.is_none() {
            self.transcript.count(effect.name());
            let now = self.now;
            self.controllers.entry(sender.controller).or_default().wrote.insert(cluster.clone(), now);
        }
        let subject = slot.map_or("", |slot| slot);
        if self.transcript.is_loop(self.now, cluster, effect.name(), subject, outcome.is_none()) {
            let detail = format!("{} for {cluster} {subject} again and again", effect.name());
            self.violate(cluster, Rule::NoLoop, detail);
        }
        let Named { instance, volume, image } = Named::by(effect, result);
        let (action, controller) = (effect.name().to_owned(), sender.controller);
        let (cluster, slot) = (cluster.clone(), slot.cloned());
        self.tell(What::Action { cluster, action, controller, slot, instance, volume, image, outcome });
    }
}

/// Words an outcome that is not plain success.
fn unplain(result: &Result<Outcome, Refusal>) -> Option<String> {
    match result {
        Ok(Outcome::AlreadySo) => Some("already-so".to_owned()),
        Ok(Outcome::Changed { expected, found }) => Some(format!("changed: expected {expected}, found {found}")),
        Ok(_) => None,
        Err(refusal) => Some(refusal.kind.to_string()),
    }
}

/// The things that a call, or its answer, names.
#[derive(Default)]
struct Named {
    instance: Option<InstanceId>,
    volume: Option<VolumeId>,
    image: Option<ImageId>,
}

impl Named {
    fn by(effect: &Effect, result: &Result<Outcome, Refusal>) -> Self {
        let mut named = Self::default();
        if let Effect::Cloud(effect) = effect {
            named.instance = effect.instance().cloned();
            named.volume = effect.volume().cloned();
            named.image = image_of(effect);
        }
        if let Effect::Claim(ClaimEffect::MarkStop { instance, .. }) = effect {
            named.instance = Some(instance.clone());
        }
        match result {
            Ok(Outcome::Launched(id)) => named.instance = Some(id.clone()),
            Ok(Outcome::Created(id)) => named.volume = Some(id.clone()),
            _ => {}
        }
        named
    }
}

fn image_of(effect: &CloudEffect) -> Option<ImageId> {
    match effect {
        CloudEffect::Launch(launch) => Some(launch.make.image.clone()),
        CloudEffect::Settle { image, .. } => Some(image.clone()),
        _ => None,
    }
}

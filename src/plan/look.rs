//! An observation, arranged by slot: what every question of the planner is asked about.

use std::time::Duration;

use crate::action::{ClaimEffect, CloudEffect, Effect, Launch, RootVolume};
use crate::ids::{Attempt, Generation, ImageId, InstanceId, Owner, SlotName, Token, VolumeId};
use crate::limits::Limits;
use crate::make::Make;
use crate::observed::{
    Attachment, AttachmentPhase, Claim, ClaimRecord, CloudView, Image, Instance, InstanceState, Membership,
    Observation, Purpose, Reading, Setback, Volume, VolumeState, Way,
};
use crate::spec::{ClusterSpec, Rules};
use crate::time::{Timestamp, after, elapsed};

use super::answer::{Awaited, Hazard, Hazards, Plan, Stall, WaitingOn, Why};

mod slot;

pub use slot::SlotLook;

/// One cluster at one moment.
#[derive(Debug)]
pub struct Look<'a> {
    pub spec: &'a ClusterSpec,
    pub limits: &'a Limits,
    pub rules: Rules,
    /// The make that the spec wants.
    pub make: Make,
    /// The generation of that make.
    pub generation: Generation,
    pub seen: &'a Observation,
    pub now: Timestamp,
    pub cloud: &'a CloudView,
    pub record: &'a ClaimRecord,
    /// The members, unless they could not be asked.
    pub membership: Option<&'a Membership>,
    /// The declared slots, in the order of the spec.
    pub slots: Vec<SlotLook<'a>>,
    /// The instance that was launched ahead, dead or alive, for as long as no claim has taken it over.
    pub ahead: Option<&'a Instance>,
    /// The claim is only supposed, to see where it would lead.
    pub is_supposed: bool,
}

/// An observation, arranged or not.
#[derive(Debug)]
pub enum Arranged<'a> {
    /// Enough was seen to decide on.
    Look(Box<Look<'a>>),
    /// Something was not seen without which nothing can be decided.
    Unseen(Hazards),
}

impl<'a> Arranged<'a> {
    /// Answers with the look, if there is one.
    pub fn look(self) -> Option<Look<'a>> {
        match self {
            Self::Look(look) => Some(*look),
            Self::Unseen(_) => None,
        }
    }
}

/// The place of a volume, by the volume view and the instance view.
#[derive(Debug, PartialEq)]
pub enum Place<'a> {
    /// Attached to nothing, in both views.
    Free,
    /// Attached to an instance as a device, in both views.
    On { instance: &'a InstanceId, device: &'a str },
    /// On its way to an instance.
    Attaching { to: &'a InstanceId, since: Timestamp },
    /// On its way off an instance.
    Detaching { from: &'a InstanceId, since: Timestamp },
    /// Being made.
    Creating,
    /// Seen by one view at that instance and by the other not, which is common for a while; in words.
    Unclear { at: &'a InstanceId, detail: String },
    /// Of no use as it is, e.g. `in state error`.
    Unusable(&'static str),
}

impl Place<'_> {
    /// Says whether the volume is attached to that instance, in both views.
    pub fn is_on(&self, id: &InstanceId) -> bool {
        matches!(self, Self::On { instance, .. } if *instance == id)
    }
}

impl<'a> Look<'a> {
    /// Arranges what was seen, for a reader who has no limits of his own.
    pub fn at(spec: &'a ClusterSpec, seen: &'a Observation) -> Arranged<'a> {
        Self::within(&Limits::DEFAULT, spec, seen)
    }

    /// Arranges what was seen, to be judged by those limits.
    pub fn within(limits: &'a Limits, spec: &'a ClusterSpec, seen: &'a Observation) -> Arranged<'a> {
        let (cloud, record) = match (&seen.cloud, &seen.claim) {
            (Reading::Seen { value: cloud, .. }, Reading::Seen { value: record, .. }) => (cloud, record),
            (cloud, claim) => {
                let unread = [("the cloud", why(cloud)), ("the claim", why(claim))];
                let hazards = unread.into_iter().filter_map(|(source, why)| {
                    let why = format!("{source} could not be read: {}", why?);
                    Some(Hazard::Unread { why })
                });
                return Arranged::Unseen(Hazards { hazards: hazards.collect(), ..Hazards::default() });
            }
        };
        let membership = seen.membership.seen();
        let is_ahead = |it: &&Instance| record.ahead.as_ref().is_some_and(|ahead| ahead.launched(it));
        let ours = cloud.instances().filter(|it| it.owner.as_ref() == Some(&seen.owner));
        let ahead = ours.filter(is_ahead).min_by_key(|it| &it.id);
        let slots = spec.slots.iter().map(|slot| SlotLook::new(spec, slot, cloud, ahead, membership)).collect();
        let (rules, make, generation) = (spec.application.rules(), spec.make(), spec.generation());
        let now = seen.now;
        Arranged::Look(Box::new(Self {
            spec,
            limits,
            rules,
            make,
            generation,
            seen,
            now,
            cloud,
            record,
            membership,
            slots,
            ahead,
            is_supposed: false,
        }))
    }

    /// Asks something of this look as if the claim record were that one.
    pub fn supposing<T>(&self, record: ClaimRecord, ask: impl FnOnce(&Look<'_>) -> T) -> Option<T> {
        let Reading::Seen { begun, .. } = self.seen.claim else { return None };
        let seen = Observation { claim: Reading::Seen { begun, value: record }, ..self.seen.clone() };
        let mut supposed = Look::within(self.limits, self.spec, &seen).look()?;
        supposed.is_supposed = true;
        Some(ask(&supposed))
    }

    /// Says whether an instance or a volume with that owner's tag is ours.
    pub fn is_ours(&self, owner: &Option<Owner>) -> bool {
        owner.as_ref() == Some(&self.seen.owner)
    }

    /// Finds the look at a declared slot.
    pub fn slot(&self, name: &SlotName) -> Option<&SlotLook<'a>> {
        self.slots.iter().find(|slot| slot.spec.name == *name)
    }

    /// Lists all slots but this one.
    pub fn others<'l>(&'l self, than: &'l SlotLook<'a>) -> impl Iterator<Item = &'l SlotLook<'a>> {
        self.slots.iter().filter(|slot| slot.spec.name != than.spec.name)
    }

    /// Finds where a volume is, if both views agree.
    pub fn place(&self, volume: &'a Volume) -> Place<'a> {
        let listed_by = |id: &InstanceId| {
            self.cloud.instance(id).is_some_and(|instance| instance.devices.iter().any(|d| d.volume == volume.id))
        };
        match &volume.state {
            VolumeState::Creating => Place::Creating,
            VolumeState::Deleted => Place::Unusable("deleted"),
            VolumeState::Error => Place::Unusable("in state error"),
            VolumeState::Shared(_) => Place::Unusable("attached to several instances at once"),
            VolumeState::Available => match self.cloud.live_instances().find(|instance| listed_by(&instance.id)) {
                Some(holder) => Place::Unclear {
                    at: &holder.id,
                    detail: format!("{} is available, yet {} lists it", volume.id, holder.id),
                },
                None => Place::Free,
            },
            VolumeState::InUse(attachment) => match attachment.phase {
                AttachmentPhase::Attaching => Place::Attaching { to: &attachment.instance, since: attachment.since },
                AttachmentPhase::Detaching | AttachmentPhase::Busy => {
                    Place::Detaching { from: &attachment.instance, since: self.detaching_since(attachment) }
                }
                AttachmentPhase::Attached if listed_by(&attachment.instance) => {
                    Place::On { instance: &attachment.instance, device: &attachment.device }
                }
                AttachmentPhase::Attached => Place::Unclear {
                    at: &attachment.instance,
                    detail: format!("{} is attached to {}, which does not list it", volume.id, attachment.instance),
                },
            },
        }
    }

    /// Finds the earliest time at which a volume can have been asked to detach. EC2 tells only when it was attached, and here
    /// a volume leaves an instance that has been stopped.
    fn detaching_since(&self, attachment: &Attachment) -> Timestamp {
        let from = self.cloud.instance(&attachment.instance).filter(|from| from.state != InstanceState::Running);
        from.map_or(attachment.since, |from| from.state_since.max(attachment.since))
    }

    /// Finds the instance that has a slot's volume and is not one of the slot's, if it has had it for longer than any
    /// view is stale.
    pub fn taken_by(&self, slot: &SlotLook<'_>, volume: &'a Volume) -> Option<&'a InstanceId> {
        let VolumeState::InUse(attachment) = &volume.state else { return None };
        let stranger = slot.instance(&attachment.instance).is_none();
        (stranger && elapsed(self.now, attachment.since) > self.limits.late).then_some(&attachment.instance)
    }

    /// Chooses a number that no launch of this cluster has ever had.
    pub fn next_attempt(&self) -> Attempt {
        let instances = self.cloud.instances().filter_map(Instance::attempt);
        let volumes = self.cloud.volumes.iter().map(|volume| volume.attempt);
        instances.chain(volumes).max().unwrap_or_default().max(self.record.last_attempt).next()
    }

    /// Says whether the guest of an instance waits for a volume that is no more: it was launched for another one than the slot has
    /// now, e.g. for one that was deleted, and in whose place a person has put a copy. Its member cannot start there.
    pub fn waits_in_vain(&self, instance: &Instance) -> bool {
        let is_there = |id: &VolumeId| self.cloud.present_volumes().any(|volume| volume.id == *id);
        !instance.awaits.iter().all(is_there)
    }

    /// Says whether an instance is kept to be gone back to, and its member could serve there once it has the volumes.
    pub fn is_way_back(&self, old: &Instance) -> bool {
        old.is_kept() && !self.waits_in_vain(old)
    }

    /// Plans a change for a slot.
    pub fn act(&self, slot: &SlotLook<'_>, effect: CloudEffect, why: Why) -> Plan {
        self.effect(Some(&slot.spec.name), Effect::Cloud(effect), why)
    }

    /// Plans a change through any port.
    pub fn effect(&self, slot: Option<&SlotName>, effect: Effect, why: Why) -> Plan {
        Plan::act(&self.spec.name, slot, effect, why)
    }

    /// Records what has proved itself on a slot's volumes, and on its instance where that was launched as just that.
    pub fn settle(
        &self,
        slot: &SlotLook<'_>,
        instance: &Instance,
        generation: &Generation,
        image: &ImageId,
        why: Why,
    ) -> Plan {
        let is_launch = instance.generation() == Some(generation) && instance.attempt().is_some();
        let effect = CloudEffect::Settle {
            volumes: slot.volume_ids(),
            generation: generation.clone(),
            image: image.clone(),
            attempt: instance.attempt().unwrap_or_default(),
            instance: is_launch.then(|| instance.id.clone()),
        };
        self.act(slot, effect, why)
    }

    /// Claims a slot, to bring it to a generation with a launch of that number, or with what the group has launched.
    pub fn claim(
        &self,
        slot: &SlotLook<'_>,
        old: Option<&Instance>,
        attempt: Attempt,
        (generation, image): (Generation, ImageId),
        recruit: Option<InstanceId>,
        why: Why,
    ) -> Plan {
        let version = self.rules.version.clone().filter(|_| image == self.spec.image);
        let claim = Claim {
            slot: slot.spec.name.clone(),
            attempt,
            tries: 0,
            purpose: Purpose::of(old.map(|instance| instance.id.clone())),
            member: slot.member.map(|member| member.id.clone()),
            generation,
            image,
            version,
            recruit,
            request: None,
            stops: slot.live().filter(|it| self.was_stopped_by_us(it)).map(|it| it.id.clone()).collect(),
            way: Way::Forward,
            // The slot's old instance may be started by whoever has not read yet that the slot is claimed.
            turning: old.is_some_and(|old| old.state != InstanceState::Running),
            stuck: None,
            stranded: why == Why::Lost && old.is_some_and(|old| old.state == InstanceState::Stopped),
            since: self.now,
        };
        self.write_claim(slot, claim, why)
    }

    /// Plans to write a claim with the launch that it asks for, unless what it is to have was launched by a group.
    pub fn write_claim(&self, slot: &SlotLook<'_>, claim: Claim, why: Why) -> Plan {
        let request = claim.recruit.is_none().then(|| self.launch(slot, &claim).request());
        let effect = ClaimEffect::Claim { claim: Claim { request, ..claim }, expects: self.record.revision };
        self.effect(Some(&slot.spec.name), Effect::Claim(effect), why)
    }

    /// Says whether an instance that is stopped was stopped by a claim that gave way: it was down, or on its way there, when
    /// the claim fell, and nobody has started it since. How long EC2 took to stop it says nothing of who wanted it.
    pub fn was_stopped_by_us(&self, instance: &Instance) -> bool {
        self.record.stopped.get(&instance.id).is_some_and(|since| instance.launched_at <= *since)
    }

    /// Specifies the launch that a claim asks for.
    pub fn launch(&self, slot: &SlotLook<'_>, claim: &Claim) -> Launch {
        self.launch_of(slot, claim.attempt, &claim.generation, &claim.image)
    }

    /// Specifies the launch of that number for a slot that is brought to that generation, whoever asks for it.
    pub fn launch_of(&self, slot: &SlotLook<'_>, attempt: Attempt, generation: &Generation, image: &ImageId) -> Launch {
        self.launch_without_token(slot, attempt, generation, image).with_token(self.spec)
    }

    /// Gives a digest of what the launch of a slot asks for.
    pub fn request_of(&self, slot: &SlotLook<'_>, generation: &Generation, image: &ImageId) -> String {
        self.launch_without_token(slot, Attempt::default(), generation, image).request()
    }

    /// Specifies a launch that has no token yet.
    fn launch_without_token(
        &self,
        slot: &SlotLook<'_>,
        attempt: Attempt,
        generation: &Generation,
        image: &ImageId,
    ) -> Launch {
        let (owner, image_id) = (self.seen.owner.clone(), image);
        let image = self.cloud.catalogue.images.get(image_id);
        let root_volume = image.and_then(|image| RootVolume::of(self.spec, image));
        Launch {
            make: Make { image: image_id.clone(), ..self.make.clone() },
            generation: generation.clone(),
            attempt,
            volumes: slot.named_volumes(),
            goes_with_it: image
                .into_iter()
                .flat_map(Image::leaves_behind)
                .filter(|(name, _)| root_volume.as_ref().is_none_or(|root| root.device != **name))
                .map(|(name, device)| (name.clone(), device.size_gib))
                .collect(),
            root_volume,
            ..Launch::declared(self.spec, slot.spec, owner, Token::from(""))
        }
    }

    /// Waits for as long as a call may arrive that was sent by whoever had not read what was first read here at that time.
    pub fn until_nothing_else(&self, slot: &SlotLook<'_>, since: Timestamp) -> Option<Plan> {
        let limit = self.limits.call;
        let until = after(since, limit);
        (self.now < until).then(|| self.wait(slot, Awaited::NothingElse { until }, since, limit))
    }

    /// Finds since when it is known here that a claim gave way and left an instance stopped, if one did.
    pub fn left_since(&self, instance: &Instance) -> Option<Timestamp> {
        let is_left = self.record.stopped.contains_key(&instance.id);
        is_left.then(|| self.seen.followed.left_since.get(&instance.id).copied().unwrap_or(self.now))
    }

    /// Finds since when it is known here that an instance goes.
    pub fn retired_since(&self, instance: &Instance) -> Timestamp {
        self.seen.followed.retired_since.get(&instance.id).copied().unwrap_or(self.now)
    }

    /// Says since when an instance could serve, once it has its volumes: since it was started, or since it has its fixed address again.
    pub fn serves_since(&self, instance: &Instance) -> Timestamp {
        let addressed = self.seen.followed.addressed_since.get(&instance.id);
        addressed.map_or(instance.launched_at, |since| instance.launched_at.max(*since))
    }

    /// Gives a plan as it is, or the stall that its wait or its action has come to of late. What came to nothing is
    /// not tried again at once, so that there is time for other slots.
    pub fn unless_set_back(&self, plan: Plan) -> Plan {
        match self.setback(&plan) {
            Some(setback) => Plan::stalled(setback),
            None => self.unless_overdue(plan),
        }
    }

    /// Gives a plan as it is, or a stall where it is a wait that has lasted for much longer than it should.
    fn unless_overdue(&self, plan: Plan) -> Plan {
        let Plan::Wait(waiting) = plan else { return plan };
        let patience = elapsed(waiting.worry_at, waiting.since) + self.limits.overdue;
        match self.waited_since(&waiting.key()) {
            Some(since) if elapsed(self.now, since) > patience => Plan::stalled(Stall::Overdue { waiting, since }),
            Some(_) | None => Plan::Wait(waiting),
        }
    }

    /// Says whether this wait has been the answer for longer than that.
    pub fn has_waited(&self, slot: &SlotLook<'_>, what: &Awaited, limit: Duration) -> bool {
        let key = WaitingOn::key_of(Some(&slot.spec.name), what);
        self.waited_since(&key).is_some_and(|since| elapsed(self.now, since) > limit)
    }

    /// Finds since when the wait with that key has been the answer.
    fn waited_since(&self, key: &str) -> Option<Timestamp> {
        let (of, since) = self.seen.followed.waiting.as_ref()?;
        (of == key).then_some(*since)
    }

    /// Finds the setback of a plan's action, if it had one of late.
    pub fn setback(&self, plan: &Plan) -> Option<&'a Setback> {
        let Plan::Act(action, _) = plan else { return None };
        let key = (!self.seen.setbacks.is_empty()).then(|| action.deed_key())?;
        self.seen.setbacks.iter().find(|setback| setback.key == key)
    }

    /// Blocks a slot, with all the reasons.
    pub fn blocked(&self, slot: &SlotLook<'_>, hazards: Vec<Hazard>) -> Plan {
        Plan::blocked(Some(&slot.spec.name), hazards)
    }

    /// Waits for a slot.
    pub fn wait(&self, slot: &SlotLook<'_>, what: Awaited, since: Timestamp, patience: Duration) -> Plan {
        Plan::wait(Some(&slot.spec.name), what, since, patience)
    }
}

impl<'a> SlotLook<'a> {
    /// Says whether every declared volume is attached to that instance, in both views.
    pub fn all_on(&self, look: &Look<'a>, id: &InstanceId) -> bool {
        self.volumes.iter().all(|(_, volume)| volume.is_some_and(|volume| look.place(volume).is_on(id)))
    }

    /// Says whether an instance runs with every declared volume.
    pub fn is_served_by(&self, look: &Look<'a>, instance: &Instance) -> bool {
        instance.state == InstanceState::Running && self.all_on(look, &instance.id)
    }

    /// Finds the instance that is left over, if there is one: it has nothing of ours, and the volumes are all at a later one, of which
    /// they record that it has proved itself. One of an adopted group has to leave that first, under the claim.
    pub fn left_over(&self, look: &Look<'a>) -> Option<&'a Instance> {
        let holds = |id: &InstanceId| self.any_at(look, id) || look.cloud.has_volume_at(id);
        let mut live = self.live();
        let (one, other) = (live.next()?, live.next()?);
        if live.next().is_some() {
            return None;
        }
        let (old, new) = if one.attempt() < other.attempt() { (one, other) } else { (other, one) };
        let is_later = old.attempt() < new.attempt() && look.is_ours(&old.owner) && look.is_ours(&new.owner);
        let is_alone = look.spec.capacity.group().is_none();
        (is_alone && is_later && self.has_settled(new) && self.all_on(look, &new.id) && !holds(&old.id)).then_some(old)
    }

    /// Finds the instance by which the slot is served.
    pub fn served_by(&self, look: &Look<'a>) -> Option<&'a Instance> {
        self.live().find(|instance| self.is_served_by(look, instance))
    }

    /// Finds one of the slot's volumes that one view shows at that instance and the other does not; in words.
    pub fn unclear_at(&self, look: &Look<'a>, id: &InstanceId) -> Option<String> {
        self.present().find_map(|(_, volume)| match look.place(volume) {
            Place::Unclear { at, detail } if at == id => Some(detail),
            _ => None,
        })
    }

    /// Says whether any of the slot's volumes is at, or on its way to or from, that instance, in one view at least.
    pub fn any_at(&self, look: &Look<'a>, id: &InstanceId) -> bool {
        let lists = |volume: &Volume| {
            look.cloud.instance(id).is_some_and(|instance| instance.devices.iter().any(|d| d.volume == volume.id))
        };
        self.present().any(|(_, volume)| match look.place(volume) {
            Place::On { instance: at, .. }
            | Place::Attaching { to: at, .. }
            | Place::Detaching { from: at, .. }
            | Place::Unclear { at, .. } => at == id,
            Place::Free | Place::Creating | Place::Unusable(_) => lists(volume),
        })
    }
}

fn why<T>(reading: &Reading<T>) -> Option<&str> {
    match reading {
        Reading::Seen { .. } => None,
        Reading::Unknown { why } => Some(why),
    }
}

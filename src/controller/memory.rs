//! The controller's memory between passes: nothing that it could not lose. Memory may delay an action, and never hasten one.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use crate::action::{Action, CloudEffect, CreateVolume, Effect, MemberEffect};
use crate::ids::{Generation, InstanceId, SlotName, VolumeId, VolumeName};
use crate::observed::{CloudView, CreationAnswer, LastCreation, LastLaunch, LaunchAnswer, Observation};
use crate::ports::{ErrorKind, Outcome, PortError, Seat, chain};
use crate::status::Status;
use crate::time::{Timestamp, after, elapsed};

use super::dates::Dates;
use super::followed::Following;
use super::setbacks::Setbacks;
use super::steady::{GAP, Steady};

/// A view that goes backwards and stays so for this long is the world, and not a stale answer.
const BELIEVED_AFTER: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(super) struct Memory {
    /// The moment at which we last wrote to this cluster, or may have.
    wrote: Option<Timestamp>,
    /// Our last launch that EC2 gave a clear answer to.
    pub(super) last_launch: Option<LastLaunch>,
    /// Our last creation of each volume.
    creations: BTreeMap<(SlotName, VolumeName), LastCreation>,
    /// The time of our first look at this cluster.
    watched_since: Option<Timestamp>,
    pub(super) following: Following,
    /// The latest refusal with a code that we do not know, and its moment.
    refused: Option<(Timestamp, String)>,
    dates: Dates,
    /// The deeds that came to nothing.
    pub(super) setbacks: Setbacks,
    /// The status that was reported last.
    pub(super) status: Option<Rc<Status>>,
    /// Whether something was under way at the last look.
    pub(super) busy: bool,
    /// Whether nothing but members was waited for then: EC2 need not be looked at each time that they are asked.
    pub(super) only_members: bool,
    /// Whether the next look is to show EC2 anew: a look that has been seen already does not do.
    pub(super) wants_news: bool,
    /// The time at which the last look at EC2 began.
    pub(super) looked_at: Option<Timestamp>,
    /// The places at which the members were asked at the last look.
    pub(super) seats: Vec<Seat>,
    steady: Steady,
    /// The moment at which the members were last asked.
    asked: Option<Timestamp>,
    leaderless_since: Option<Timestamp>,
    newest: Newest,
    backwards_since: Option<Timestamp>,
}

/// The time for which a code that we do not know holds the cluster.
const REFUSED_FOR: Duration = Duration::from_secs(5 * 60);

/// The furthest state in which things were seen.
#[derive(Default)]
struct Newest {
    /// Instances that lived: EC2 shows one for an hour after it was terminated, so it cannot be gone at once.
    alive: BTreeSet<InstanceId>,
    volumes: BTreeSet<VolumeId>,
    /// Volumes that we deleted: EC2 may show them for a moment longer, or not at all.
    deleted: BTreeSet<VolumeId>,
    dead: BTreeSet<InstanceId>,
    retired: BTreeSet<InstanceId>,
    rejected: BTreeMap<VolumeId, Generation>,
}

impl Memory {
    /// Notes that something was sent. A failed call may have taken effect all the same.
    pub(super) fn wrote(&mut self, now: Timestamp, action: &Action, outcome: &Result<Outcome, PortError>) {
        self.wrote = Some(now);
        self.setbacks.note(now, action, outcome);
        if let (Effect::Claim(effect), Ok(Outcome::Done)) = (&action.effect, outcome) {
            self.dates.wrote_claim(now, effect.expects());
        }
        if let (Effect::Member(MemberEffect::Prepare { instance, .. }), Ok(Outcome::Done)) = (&action.effect, outcome) {
            self.following.prepared(now, instance);
        }
        if let Err(error) = outcome
            && error.kind == ErrorKind::Unknown
        {
            self.refused = Some((now, format!("{} ({})", chain(error), error.kind)));
        }
        if let Effect::Cloud(CloudEffect::DeleteVolume { volume }) = &action.effect {
            self.newest.deleted.insert(volume.clone());
        }
        if let Effect::Cloud(CloudEffect::CreateVolume(create)) = &action.effect {
            self.created(now, create, outcome);
        }
        let Effect::Cloud(CloudEffect::Launch(launch)) = &action.effect else { return };
        let answer = match outcome {
            Ok(Outcome::Launched(instance)) => LaunchAnswer::Launched(instance.clone()),
            Err(error) if error.kind == ErrorKind::TokenSpent => LaunchAnswer::TokenSpent,
            Ok(_) | Err(_) => return,
        };
        self.last_launch = Some(LastLaunch { attempt: launch.attempt, at: now, answer });
    }

    fn created(&mut self, now: Timestamp, create: &CreateVolume, outcome: &Result<Outcome, PortError>) {
        let answer = match outcome {
            Ok(Outcome::Created(volume)) => CreationAnswer::Created(volume.clone()),
            Err(error) if error.kind == ErrorKind::TokenSpent => CreationAnswer::TokenSpent,
            Err(error) if error.kind == ErrorKind::Unreachable => CreationAnswer::Unknown,
            Ok(_) | Err(_) => return,
        };
        let (slot, name, token) = (create.slot.clone(), create.name.clone(), create.token.clone());
        let sent = LastCreation { slot, name, number: create.number, token, at: now, answer };
        self.creations.insert((create.slot.clone(), create.name.clone()), sent);
    }

    /// The moment of our last write. One that lies ahead was made before the clock was set back.
    pub(super) fn last_write(&mut self, now: Timestamp) -> Option<Timestamp> {
        self.wrote = self.wrote.map(|wrote| wrote.min(now));
        self.wrote
    }

    /// The earliest time at which a look at EC2 is news.
    pub(super) fn newer_than(&self) -> Timestamp {
        let seen = self.looked_at.filter(|_| self.wants_news);
        seen.map_or(Timestamp::MIN, |seen| after(seen, Duration::from_nanos(1)))
    }

    /// The reason of a refusal that is still recent.
    pub(super) fn refused(&self, now: Timestamp) -> Option<String> {
        let (at, why) = self.refused.as_ref()?;
        (elapsed(now, *at) < REFUSED_FOR).then(|| why.clone())
    }

    /// Forgets what was refused: a person has acted, so that it may be tried again at once.
    pub(super) fn forget_refusals(&mut self) {
        self.refused = None;
        self.setbacks.forget();
    }

    /// Completes an observation with everything that only a comparison with earlier ones can say.
    pub(super) fn compare(&mut self, seen: &mut Observation) {
        self.following.follow(seen);
        self.follow_leader(seen);
        seen.claim_known_since = self.dates.correct(seen);
        seen.watched_since = Some(*self.watched_since.get_or_insert(seen.now));
        seen.creations = self.creations.values().cloned().collect();
        if seen.membership.seen().is_some() {
            self.steady.follow(seen, self.asked.replace(seen.now));
        }
        seen.steady = self.steady.since();
        if let Some(view) = seen.cloud.seen() {
            let backwards = self.newest.backwards(view);
            match (backwards.is_empty(), self.backwards_since) {
                (true, _) => self.backwards_since = None,
                (false, None) => self.backwards_since = Some(seen.now),
                (false, Some(since)) if elapsed(seen.now, since) > BELIEVED_AFTER => {
                    self.newest = Newest::default();
                    self.backwards_since = None;
                }
                (false, Some(_)) => {}
            }
            match self.backwards_since {
                Some(_) => seen.regressions = backwards,
                None => self.newest.note(view),
            }
        }
    }

    /// Keeps the timer of members that answer and have no leader. Looks too far apart do not show that none led meanwhile.
    fn follow_leader(&mut self, seen: &mut Observation) {
        let is_leaderless = seen.membership.seen().is_some_and(|membership| membership.leader.is_none());
        let unbroken = |_: &Timestamp| self.asked.is_some_and(|asked| elapsed(seen.now, asked) <= GAP);
        let since = self.leaderless_since.filter(unbroken).unwrap_or(seen.now);
        self.leaderless_since = is_leaderless.then_some(since);
        seen.leaderless_since = self.leaderless_since;
    }
}

impl Newest {
    fn backwards(&self, view: &CloudView) -> Vec<String> {
        let instances = view.instances.iter().filter_map(|instance| {
            if self.dead.contains(&instance.id) && instance.state.is_live() {
                return Some(format!("{} was terminated, and now it is not", instance.id));
            }
            (self.retired.contains(&instance.id) && !instance.retired)
                .then(|| format!("{} was retired, and now it is not", instance.id))
        });
        let volumes = view.volumes.iter().filter_map(|volume| {
            let rejected = self.rejected.get(&volume.id)?;
            (volume.rejected.as_ref() != Some(rejected))
                .then(|| format!("{} had {rejected} rejected, and now it has not", volume.id))
        });
        let lost_instances = self.alive.iter().filter(|id| view.instance(id).is_none()).map(|id| id.to_string());
        let is_shown = |id: &&VolumeId| view.volumes.iter().any(|volume| volume.id == **id);
        let is_missed = |id: &&VolumeId| !is_shown(id) && !self.deleted.contains(*id);
        let lost_volumes = self.volumes.iter().filter(is_missed).map(|id| id.to_string());
        let lost = lost_instances.chain(lost_volumes).map(|id| format!("{id} was there, and now it is not shown"));
        instances.chain(volumes).chain(lost).collect()
    }

    fn note(&mut self, view: &CloudView) {
        self.alive = view.live_instances().map(|instance| instance.id.clone()).collect();
        self.volumes = view.present_volumes().map(|volume| volume.id.clone()).collect();
        for instance in &view.instances {
            if !instance.state.is_live() {
                self.dead.insert(instance.id.clone());
            }
            if instance.retired {
                self.retired.insert(instance.id.clone());
            }
        }
        self.rejected =
            view.volumes.iter().filter_map(|volume| Some((volume.id.clone(), volume.rejected.clone()?))).collect();
        self.dead.retain(|id| view.instance(id).is_some());
        self.retired.retain(|id| view.instance(id).is_some());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::ids::{MemberId, Owner};
    use crate::observed::{ClaimRecord, Followed, Health, Instance, Member, Membership, Pruning, Reading, Volume};
    use crate::spec::Lag;

    /// One instance in that state, and its member, seen at that second.
    fn seen(second: u64, state: &str, counts: bool, health: Health) -> Observation {
        let now = after(Timestamp::UNIX_EPOCH, Duration::from_secs(second));
        let instance: Instance = serde_json::from_value(serde_json::json!({
            "id": "i-a", "slot": "a", "owner": "us", "generation": null, "attempt": 1, "retired": false,
            "state": state, "stateReason": null, "stateSince": now, "launchedAt": now, "checks": "ok",
            "image": "ami-a", "instanceType": "m7i.large", "zone": "us-east-1a", "subnet": "subnet-a",
            "address": null, "iamInstanceProfile": null, "securityGroups": [], "keyName": null, "userData": null,
            "tags": {}, "devices": [], "autoScalingGroup": null, "scheduledEvents": [],
        }))
        .unwrap();
        let (id, slot, lag) = ("m-a".into(), Some("a".into()), Some(Lag::Entries(0)));
        let member = Member { id, slot, address: None, counts, health, stable_since: None, lag, version: None };
        let (members, leader, can_transfer) = (vec![member], None, true);
        let membership = Membership {
            members,
            leader,
            can_transfer,
            heirs: None,
            pruning: Pruning::Never,
            agreed_version: None,
            warnings: Vec::new(),
            blockers: Vec::new(),
        };
        Observation {
            now,
            wrote: None,
            cloud: Reading::Seen {
                begun: now,
                value: Arc::new(CloudView { instances: vec![instance.into()], ..CloudView::default() }),
            },
            membership: Reading::Seen { begun: now, value: membership },
            claim: Reading::Seen { begun: now, value: ClaimRecord::default() },
            claim_kept_at: Vec::new(),
            related: BTreeMap::new(),
            steady: BTreeMap::new(),
            followed: Followed::default(),
            last_launch: None,
            creations: Vec::new(),
            watched_since: None,
            claim_known_since: None,
            refused: None,
            setbacks: Vec::new(),
            regressions: Vec::new(),
            leaderless_since: None,
            kill_switch: None,
            source: None,
            undeclared: BTreeMap::new(),
            owner: Owner::from("us"),
        }
    }

    #[test]
    fn a_view_that_goes_backwards_is_believed_only_when_it_stays_so() {
        let mut memory = Memory::default();
        let mut goes_backwards = |second, state| {
            let mut seen = seen(second, state, true, Health::Healthy);
            memory.compare(&mut seen);
            !seen.regressions.is_empty()
        };
        assert!(!goes_backwards(0, "terminated"));
        assert!(goes_backwards(1, "running"));
        assert!(goes_backwards(2, "running"));
        assert!(goes_backwards(61, "running"));
        assert!(!goes_backwards(62, "running"));
        assert!(!goes_backwards(63, "running"));
    }

    #[test]
    fn what_is_left_out_of_one_answer_is_not_gone() {
        let mut memory = Memory::default();
        let mut regressions = |second, there: bool| {
            let mut seen = seen(second, "running", true, Health::Healthy);
            if !there {
                seen.cloud = Reading::Seen { begun: seen.now, value: Arc::default() };
            }
            memory.compare(&mut seen);
            seen.regressions
        };
        assert_eq!(regressions(0, true), [""; 0]);
        assert_eq!(regressions(1, false), ["i-a was there, and now it is not shown"]);
        assert_eq!(regressions(2, true), [""; 0]);
        assert_eq!(regressions(3, false).len(), 1);
        assert_eq!(regressions(64, false), [""; 0], "by then it is the world");
    }

    #[test]
    fn a_volume_that_we_deleted_may_be_gone_at_once() {
        let mut memory = Memory::default();
        let volume = VolumeId::from("vol-a");
        let regressions = |memory: &mut Memory, second, there: bool| {
            let mut seen = seen(second, "running", true, Health::Healthy);
            memory.newest.volumes.extend(there.then(|| volume.clone()));
            memory.compare(&mut seen);
            seen.regressions
        };
        let action = Action {
            cluster: "consul".into(),
            slot: None,
            effect: Effect::Cloud(CloudEffect::DeleteVolume { volume: volume.clone() }),
        };
        assert_eq!(regressions(&mut memory, 0, true), ["vol-a was there, and now it is not shown"]);
        memory.wrote(Timestamp::UNIX_EPOCH, &action, &Ok(Outcome::Done));
        assert_eq!(regressions(&mut memory, 1, true), [""; 0]);
    }

    /// The seconds at which the members were asked, and could be asked or not; and since when the member is steady then.
    fn steady_after(asked: &[(u64, bool)], stable_since: Option<u64>) -> Option<u64> {
        let mut memory = Memory::default();
        let mut steady = None;
        for (second, answered) in asked {
            let mut seen = seen(*second, "running", true, Health::Healthy);
            match &mut seen.membership {
                Reading::Seen { value, .. } if *answered => {
                    let since = |second| after(Timestamp::UNIX_EPOCH, Duration::from_secs(second));
                    value.members[0].stable_since = stable_since.map(since);
                }
                membership => *membership = Reading::Unknown { why: "no answer".to_owned() },
            }
            memory.compare(&mut seen);
            steady = seen.steady.get(&SlotName::from("a")).map(|since| since.as_second() as u64);
        }
        steady
    }

    #[test]
    fn a_question_that_fails_does_not_clear_the_timers() {
        assert_eq!(steady_after(&[(0, true), (3, false), (6, true)], None), Some(0));
        assert_eq!(steady_after(&[(0, true), (5, false), (60, false), (90, true)], Some(0)), Some(0), "peers say so");
        assert_eq!(steady_after(&[(0, true), (5, false), (60, false), (90, true)], Some(70)), Some(90), "it was ill");
        assert_eq!(steady_after(&[(0, true), (5, false), (60, false), (90, true)], None), Some(90), "nobody knows");
    }

    /// The seconds since which the member is steady, where it is healthy at each second, and its volume at an instance or none.
    fn steady_with_its_volume_at(places: &[Option<&str>]) -> Vec<Option<i64>> {
        let mut memory = Memory::default();
        let look = |(second, place): (usize, &Option<&str>)| {
            let mut seen = seen(second as u64, "running", true, Health::Healthy);
            let volume = |instance: &&str| volume_at(instance, seen.now).into();
            let volumes = place.iter().map(volume).collect();
            seen.cloud =
                Reading::Seen { begun: seen.now, value: Arc::new(CloudView { volumes, ..CloudView::default() }) };
            memory.compare(&mut seen);
            seen.steady.get(&SlotName::from("a")).map(|since| since.as_second())
        };
        places.iter().enumerate().map(look).collect()
    }

    fn volume_at(instance: &str, since: Timestamp) -> Volume {
        let at = serde_json::json!({"instance": instance, "device": "/dev/sdf", "phase": "attached", "since": since});
        serde_json::from_value(serde_json::json!({
            "id": "vol-a", "slot": "a", "name": "data", "owner": "us", "slots": ["a"], "generation": "v1:1",
            "image": "ami-a", "attempt": 1, "rejected": null, "state": {"in-use": at}, "zone": "us-east-1a", "sizeGib": 1,
            "impaired": null, "modifying": false,
        }))
        .unwrap()
    }

    #[test]
    fn a_member_is_steady_only_since_its_volume_is_where_it_is() {
        let (old, new) = (Some("i-a"), Some("i-b"));
        let since = steady_with_its_volume_at(&[old, old, None, new, new, old, old]);
        assert_eq!(since, [0, 0, 2, 3, 3, 5, 5].map(Some), "its peers never noticed that it was gone");
    }

    #[test]
    fn members_are_leaderless_for_as_long_as_no_look_finds_a_leader() {
        let mut memory = Memory::default();
        let mut since = |second, leader: Option<&str>| {
            let mut seen = seen(second, "running", true, Health::Healthy);
            if let Reading::Seen { value, .. } = &mut seen.membership {
                value.leader = leader.map(MemberId::from);
            }
            memory.compare(&mut seen);
            seen.leaderless_since.map(Timestamp::as_second)
        };
        assert_eq!(since(0, None), Some(0));
        assert_eq!(since(9, None), Some(0));
        assert_eq!(since(10, Some("m-a")), None);
        assert_eq!(since(11, None), Some(11));
        assert_eq!(since(90, None), Some(90), "a leader may have come and gone meanwhile");
    }

    #[test]
    fn only_a_healthy_voter_has_been_steady() {
        let ill = || Health::Unhealthy("failed".to_owned());
        for (voter, health, steady) in [
            (true, Health::Healthy, true),
            (false, Health::Healthy, false),
            (true, ill(), false),
            (false, ill(), false),
        ] {
            let mut seen = seen(0, "running", voter, health);
            Memory::default().compare(&mut seen);
            assert_eq!(seen.steady.contains_key(&SlotName::from("a")), steady);
        }
    }
}

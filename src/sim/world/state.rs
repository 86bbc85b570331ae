//! The state of the world: the rooms, clock and chance; and the way of what has happened in one room to the others.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use litemap::LiteMap;
use serde::{Deserialize, Serialize};

use crate::ids::{ClusterName, InstanceId, MemberId, Owner, SlotName, VolumeId, Zone};
use crate::make::UserData;
use crate::observed::Origin;
use crate::ports::Outcome;
use crate::sim::chance::Chance;
use crate::sim::claims::Claims;
use crate::sim::clock::Clock;
use crate::sim::ec2::{Due, Happened, Region, Span};
use crate::sim::event::What;
use crate::sim::judge::Rule;
use crate::sim::latency;
use crate::sim::members::Members;
use crate::sim::pace::Pace;
use crate::sim::share::Share;
use crate::sim::time::{Millis, Queue, Sleepers};
use crate::sim::transcript::Transcript;
use crate::sim::unkind::faults::Faults;
use crate::sim::unkind::further::{Further, Over};
use crate::sim::words::{FaultLevel, OUTSIDER, Refusal};
use crate::spec::ClusterSpec;

/// Everything there is.
#[derive(Serialize, Deserialize)]
pub struct State {
    pub now: Millis,
    pub due: Queue<Tick>,
    pub chance: Chance,
    pub faults: Faults,
    pub region: Region,
    pub claims: Claims,
    pub clusters: BTreeMap<ClusterName, Cluster>,
    pub controllers: BTreeMap<u8, Controller>,
    /// The instances of clusters that are not simulated, each with a volume: they are on the pages of a look at the fleet.
    #[serde(default)]
    pub crowd: u64,
    /// Everything that people will undo.
    #[serde(default)]
    pub amends: Vec<Amend>,
    pub transcript: Transcript,
    #[serde(skip)]
    pub sleepers: Sleepers,
    /// The calls that are on their way to EC2. A world is saved without them: they are never held up where one is kept.
    #[serde(skip)]
    pub on_the_wire: OnTheWire,
    #[serde(skip)]
    pub pace: Option<Pace>,
    #[serde(skip)]
    pub autosave: Option<PathBuf>,
    /// The progress of the world when it was last saved.
    #[serde(skip)]
    pub saved: Option<Progress>,
}

/// The progress of a world: how many calls have taken effect, and how often [`SAVED_EVERY`] has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress(u64, Millis);

/// The time after which a world is saved although no call took effect.
const SAVED_EVERY: Millis = 5_000;

/// An event that is due at a certain moment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Tick {
    Ec2(Due),
    /// The members of a cluster look around.
    Members(ClusterName),
    /// Chance injects a fault.
    Inject,
    /// Somebody undoes what was done to an instance.
    Undo(InstanceId, Undo),
    /// A volume's modification ends, and its I/O is well again.
    Mend(VolumeId),
    /// The members of a cluster that were cut off reach the others again.
    Rejoin(ClusterName),
    /// The second slot's member is reached again by all that the first's sends.
    MendLink(ClusterName, SlotName, SlotName),
    /// An accident that worlds learned of later happens.
    Befall,
    /// Such an accident is over.
    Over(Over),
    /// The faults end, and people undo what they did.
    Amend,
    /// The call of that number arrives at EC2.
    Arrive(u64),
}

/// A deed of a person that somebody undoes when the faults end.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Amend {
    /// The instance that was stopped is started.
    Start(InstanceId),
    /// The copy of a volume is deleted.
    Delete(VolumeId),
    /// The instance is protected no more.
    Unprotect(InstanceId),
    /// The tags that say what the instance was launched as are put back, and with them the user data that they vouch for.
    Tags(InstanceId, Box<Origin>, UserData),
}

/// The end of an interference.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Undo {
    /// The owner tag is put back.
    Owner(Option<Owner>),
    /// The announced maintenance is called off.
    Event,
    /// The crashed member is started again by its guest.
    Member,
    /// The status checks pass again.
    Checks,
    /// The announced maintenance happens: EC2 stops the instance.
    Retirement,
}

/// A cluster: what is declared of it, and its members.
#[derive(Serialize, Deserialize)]
pub struct Cluster {
    pub declared: Declared,
    /// The last time at which other slots were declared than before.
    pub declared_since: Millis,
    /// The slots that each controller goes by which has not heard of the latest list, and since when it has.
    #[serde(default)]
    pub behind: BTreeMap<u8, (BTreeSet<SlotName>, Millis)>,
    /// The last time at which a controller heard of a list later than the others.
    #[serde(default)]
    pub heard: BTreeMap<u8, Millis>,
    pub members: Members,
    /// The time of the members' next look around.
    pub next_look: Option<Millis>,
    /// No controller reaches any member until then.
    pub hidden_until: Millis,
    /// No controller reaches the members of these slots until then.
    #[serde(default)]
    pub hidden: BTreeMap<SlotName, Millis>,
    pub slots: LiteMap<SlotName, MemberRecord>,
    /// The moment of the oldest part of the last view of it, if that was no view of now.
    #[serde(default)]
    pub shown: Option<Millis>,
}

/// The part of a spec that matters to the model.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Declared {
    pub slots: LiteMap<SlotName, Zone>,
    pub version: Option<String>,
    /// The Auto Scaling group that is adopted.
    pub group: Option<String>,
    /// The clusters on which it stands.
    #[serde(default)]
    pub depends_on: BTreeSet<ClusterName>,
}

/// The history of a slot's member.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct MemberRecord {
    /// The member is a healthy voter.
    pub up: bool,
    /// The last time at which that changed.
    pub since: Millis,
    /// The member is down because a controller stopped its instance.
    pub stopped_by_us: bool,
    /// The member has been a healthy voter at some time.
    pub was_up: bool,
    /// The time for which it has been down, without the present.
    pub down: Millis,
    /// The member that sits here.
    pub member: Option<MemberId>,
    /// The length of its log when it was last stopped.
    pub applied: u64,
}

/// The world's knowledge of a controller.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Controller {
    /// The beginning of the last sweep that was answered.
    pub swept: Option<Millis>,
    #[serde(default)]
    pub clock: Clock,
    /// The rest that its own limit leaves for looking; none where it does not keep to one.
    #[serde(default)]
    pub share: Option<Share>,
    /// The time of its last accepted write to each cluster.
    pub wrote: BTreeMap<ClusterName, Millis>,
    /// The controller is to die now, and to come back then.
    #[serde(skip)]
    pub dies: Option<Millis>,
    /// The controller is not to run before then.
    #[serde(skip)]
    pub paused: Option<Millis>,
}

/// The taking of a call by EC2, at the moment at which it arrives.
pub type Taking = Box<dyn FnOnce(&mut State) -> Result<Outcome, Refusal>>;

/// The calls that have left their senders and are not there yet, and the answers that nobody has heard yet.
#[derive(Default)]
pub struct OnTheWire {
    pub(super) last: u64,
    pub(super) calls: BTreeMap<u64, Taking>,
    pub(super) answers: BTreeMap<u64, Result<Outcome, Refusal>>,
}

/// The sender of a call.
#[derive(Clone, Copy, Debug)]
pub struct Sender {
    pub controller: u8,
    /// The moment at which the call was sent.
    pub sent: Millis,
}

impl Cluster {
    pub(super) fn of(spec: &ClusterSpec) -> Self {
        let members = Members::of(&spec.application);
        let (declared, slots) = (Declared::of(spec), LiteMap::new());
        let (behind, heard) = (BTreeMap::new(), BTreeMap::new());
        let hidden = BTreeMap::new();
        Self {
            declared,
            declared_since: 0,
            behind,
            heard,
            members,
            next_look: None,
            hidden_until: 0,
            hidden,
            slots,
            shown: None,
        }
    }

    /// Says whether no controller reaches a slot's member.
    pub fn is_hidden(&self, slot: &SlotName, now: Millis) -> bool {
        self.hidden.get(slot).is_some_and(|until| *until > now)
    }

    /// Lists the declared slots.
    pub fn slot_names(&self) -> BTreeSet<SlotName> {
        self.declared.slots.keys().cloned().collect()
    }

    /// Lists the slots that a controller goes by, and says since when it has. Whoever is no controller goes by the file.
    pub fn slots_of(&self, controller: Option<u8>) -> (BTreeSet<SlotName>, Millis) {
        let behind = controller.and_then(|controller| self.behind.get(&controller));
        let heard = controller.and_then(|controller| self.heard.get(&controller).copied()).unwrap_or_default();
        behind.cloned().unwrap_or_else(|| (self.slot_names(), self.declared_since.max(heard)))
    }
}

impl Declared {
    pub(super) fn of(spec: &ClusterSpec) -> Self {
        Self {
            slots: spec.slots.iter().map(|slot| (slot.name.clone(), slot.zone.clone())).collect(),
            version: spec.application.rules().version,
            group: spec.capacity.group().map(str::to_owned),
            depends_on: spec.depends_on.clone(),
        }
    }
}

impl State {
    /// An empty world. The same seed gives the same chances.
    pub fn new(seed: u64, level: FaultLevel) -> Self {
        let mut chance = Chance::new(seed);
        let faults = Faults::draw(level, &mut chance);
        let mut state = Self {
            now: 0,
            due: Queue::default(),
            chance,
            faults,
            region: Region::default(),
            claims: Claims::default(),
            clusters: BTreeMap::new(),
            controllers: BTreeMap::new(),
            crowd: 0,
            amends: Vec::new(),
            transcript: Transcript::default(),
            sleepers: Sleepers::default(),
            on_the_wire: OnTheWire::default(),
            pace: None,
            autosave: None,
            saved: None,
        };
        state.schedule_injection();
        state.schedule_further();
        if level != FaultLevel::None {
            let end = state.faults.end;
            state.schedule(end, Tick::Amend);
        }
        state
    }

    /// Says whether claims are kept here: whoever calls from outside keeps them elsewhere.
    pub fn knows_claims(&self) -> bool {
        !self.controllers.contains_key(&OUTSIDER)
    }

    /// Makes a cluster known, or known anew after its spec changed.
    pub fn declare(&mut self, spec: &ClusterSpec) {
        let cluster = self.clusters.entry(spec.name.clone()).or_insert_with(|| Cluster::of(spec));
        for slot in &spec.slots {
            let empty = || MemberRecord { since: self.now, ..MemberRecord::default() };
            cluster.slots.entry(slot.name.clone()).or_insert_with(empty);
        }
        cluster.members.expect(spec.slots.len());
        let declared = Declared::of(spec);
        if declared.slots != cluster.declared.slots {
            cluster.declared_since = self.now;
        }
        cluster.declared = declared;
        self.claims.declare(&spec.name);
        self.region.declare(spec);
    }

    /// Notes that a controller goes by the slots that are declared now, until it hears of others.
    pub fn leave_behind(&mut self, name: &ClusterName, controller: u8) {
        let Some(cluster) = self.clusters.get_mut(name) else { return };
        let known = cluster.slots_of(Some(controller));
        cluster.behind.insert(controller, known);
    }

    /// Notes that a controller has heard of the slots that are declared now.
    pub fn catch_up(&mut self, name: &ClusterName, controller: u8) {
        let Some(cluster) = self.clusters.get_mut(name) else { return };
        let before = cluster.behind.remove(&controller);
        if before.is_some_and(|(slots, _)| slots != cluster.slot_names()) {
            cluster.heard.insert(controller, self.now);
        }
    }

    /// Puts an event on the calendar.
    pub fn schedule(&mut self, span: Millis, tick: Tick) {
        self.due.push(self.now + span, tick);
    }

    /// Puts the next injection on the calendar, if there is time for one.
    pub fn schedule_injection(&mut self) {
        if let Some(gap) = self.faults.draw_gap(self.now, &mut self.chance) {
            self.schedule(gap, Tick::Inject);
        }
    }

    /// Puts the next accident of a later kind on the calendar, if there is time for one.
    pub fn schedule_further(&mut self) {
        let Some(gap) = self.faults.further.as_mut().map(Further::gap) else { return };
        if self.now + gap < self.faults.end {
            self.schedule(gap, Tick::Befall);
        }
    }

    /// Tells how far the world has come.
    pub fn progress(&self) -> Progress {
        Progress(self.transcript.calls.values().sum(), self.now / SAVED_EVERY)
    }

    /// Tells of an event.
    pub fn tell(&mut self, what: What) {
        self.transcript.tell(self.now, what);
    }

    /// Tells of a fault.
    pub fn fault(&mut self, cluster: Option<&ClusterName>, fault: &str, detail: String) {
        self.faults.last = Some(self.now);
        self.tell(What::Fault { cluster: cluster.cloned(), fault: fault.to_owned(), detail });
    }

    /// Tells of a broken rule.
    pub fn violate(&mut self, cluster: &ClusterName, rule: Rule, detail: String) {
        self.transcript.violate(self.now, cluster, (rule, detail));
    }

    /// Keeps what EC2 has said, if some answers may have to be older than the truth.
    pub fn keep_answers(&mut self) {
        if self.faults.may_be_stale() {
            self.region.keep_answers(self.now);
        }
    }

    /// Lets happen in EC2 what is due there.
    pub fn ec2_turns(&mut self, due: Due) {
        let happened = self.region.tick(self.now, due);
        self.follow(happened);
    }

    /// Changes something in EC2, and then all that follows from it.
    pub fn change_region(&mut self, change: impl FnOnce(&mut Region)) {
        let happened = self.region.at(self.now, change);
        self.follow(happened);
    }

    /// Takes what has happened in EC2 to whom it concerns.
    pub fn follow(&mut self, happened: Vec<Happened>) {
        happened.into_iter().for_each(|one| self.follow_one(one));
    }

    fn follow_one(&mut self, happened: Happened) {
        match happened {
            Happened::Begun(due, span) => self.begin(due, span),
            Happened::Launched(cluster, id) => self.perhaps_doom(&cluster, &id),
            Happened::GuestDown(id) => self.stop_member(&id),
            Happened::GuestLooks(id) => self.guest_looks(&id),
            Happened::GuestMounts(id) => self.guest_mounts(&id),
            Happened::DeletedWithInstance(cluster, volume) => {
                self.violate(&cluster, Rule::VolumesConserved, format!("{volume} was deleted with its instance"));
            }
            Happened::VolumeDeleted(cluster) => self.begin_anew(&cluster),
            Happened::GroupDid { group, cluster, did, instance } => {
                self.tell(What::Group { cluster, group, did: did.to_owned(), instance });
            }
            Happened::GroupLacks(name) => {
                let chance = &mut self.chance;
                let launched = self.region.fill_group(self.now, &name, &mut |prefix| chance.id(prefix));
                self.follow(launched);
            }
        }
    }

    /// Draws how long a change of state takes, and puts its end on the calendar.
    fn begin(&mut self, due: Due, span: Span) {
        let takes = latency::draw(span, &mut self.chance.rng) + self.draw_stuck(&due, span);
        self.schedule(takes, Tick::Ec2(due));
    }

    fn draw_stuck(&mut self, due: &Due, span: Span) -> Millis {
        let (fault, id) = match (span, due) {
            (Span::Stop, Due::Instance(id, _)) => ("stuck-stopping", id.to_string()),
            (Span::Attach, Due::Volume(id, _)) => ("stuck-attaching", id.to_string()),
            (Span::Detach, Due::Volume(id, _)) => ("stuck-detaching", id.to_string()),
            _ => return 0,
        };
        let arranged = self.region.troubles.delay(span, self.now);
        let drawn = if arranged > 0 { Some(arranged) } else { self.faults.draw_stuck(self.now, &mut self.chance) };
        let Some(span) = drawn else { return 0 };
        self.fault(None, fault, format!("{id} for {} s", span / 1_000));
        span
    }

    fn perhaps_doom(&mut self, cluster: &ClusterName, id: &InstanceId) {
        let Some(reason) = self.faults.draw_launch_failure(self.now, &mut self.chance) else { return };
        self.fault(Some(cluster), "launch-failure", reason.clone());
        if let Some(machine) = self.region.instances.get_mut(id) {
            machine.doomed = Some(reason);
        }
    }
}

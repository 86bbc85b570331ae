//! What goes wrong, how often and until when: drawn once per seed, so that every world is unkind in its own way.

use fastrand::Rng;
use serde::{Deserialize, Serialize};

use super::accident::Arranged;
use super::event::What;
use super::truth::{Millis, Tick, Truth};
use super::{CrashPoint, FaultLevel, view};
use crate::ids::ClusterName;
use crate::ports::ErrorKind;

/// After this a caller gives up waiting for an answer.
pub(super) const TIMEOUT: Millis = 10_000;

/// The unkindness of one world.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Faults {
    pub level: FaultLevel,
    /// Nothing is injected after this.
    pub end: Millis,
    pub last: Option<Millis>,
    pub swarm: Swarm,
    /// An executor is there that honours crashes and pauses.
    #[serde(skip)]
    pub crashable: bool,
    #[serde(skip)]
    pub arranged: Arranged,
    /// Somebody else in the account eats the request buckets until then.
    pub noisy_until: Millis,
    /// The claim store does not answer until then.
    pub store_down_until: Millis,
}

/// Chances in ten thousand, and what else is drawn once per world.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Swarm {
    pub throttled: u32,
    pub refused: u32,
    pub lost: u32,
    pub stale: u32,
    /// The oldest that a stale answer may be.
    pub stale_window: Millis,
    pub launch_failure: u32,
    pub stuck: u32,
    /// Per mutating call.
    pub crash: u32,
    /// Per wait.
    pub crash_waiting: u32,
    /// Per mutating call.
    pub pause: u32,
    pub bad_image: u32,
    pub second_controller: bool,
    /// Mean time between pieces of mischief.
    pub mischief_every: Millis,
    /// Which pieces of mischief this world knows.
    pub mischief: Vec<Mischief>,
}

/// Something unkind that does not hang on a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Mischief {
    StopInstance,
    TerminateInstance,
    EditTags,
    CrashMember,
    LoseLeader,
    HideMembers,
    ExhaustCapacity,
    ImpairZone,
    AnnounceEvent,
    NoisyNeighbour,
    LoseClaimStore,
    Pause,
    DeleteVolume,
}

const EVERY_MISCHIEF: [Mischief; 12] = [
    Mischief::StopInstance,
    Mischief::TerminateInstance,
    Mischief::EditTags,
    Mischief::CrashMember,
    Mischief::LoseLeader,
    Mischief::HideMembers,
    Mischief::ExhaustCapacity,
    Mischief::ImpairZone,
    Mischief::AnnounceEvent,
    Mischief::NoisyNeighbour,
    Mischief::LoseClaimStore,
    Mischief::Pause,
];

/// What is in store for one call.
#[derive(Clone, Debug, Default)]
pub(super) struct Fate {
    /// It fails before it has any effect.
    pub refused: Option<ErrorKind>,
    /// It takes effect, and its answer is lost: the caller hears of a failure at once, or gives up after a while.
    pub lost: Option<Millis>,
    pub crash: Option<CrashPoint>,
    /// The controller stands still for so long after it sent the call.
    pub pause: Option<Millis>,
}

impl Faults {
    pub(super) fn draw(level: FaultLevel, rng: &mut Rng) -> Self {
        let swarm = match level {
            FaultLevel::None => Swarm::default(),
            FaultLevel::Some => Swarm::draw(rng, 1, 240_000),
            FaultLevel::Many => Swarm::draw(rng, 4, 90_000),
        };
        let end = if level == FaultLevel::None { 0 } else { rng.u64(300_000..=1_500_000) };
        let (crashable, arranged) = (false, Arranged::default());
        Self { level, end, last: None, swarm, crashable, arranged, noisy_until: 0, store_down_until: 0 }
    }

    /// Some answers may have to be older than the truth.
    pub(super) fn may_be_stale(&self) -> bool {
        self.swarm.stale > 0
    }

    pub(super) fn reads_are_stale(&self, now: Millis) -> bool {
        self.may_be_stale() && now < self.end
    }

    /// How old this answer's parts may be, if it is stale.
    pub(super) fn draw_staleness(&self, rng: &mut Rng) -> Option<Millis> {
        hit(rng, self.swarm.stale).then_some(self.swarm.stale_window)
    }
}

impl Swarm {
    /// Each kind of fault is there or not, and if it is, between rare and as often as `strength` allows.
    fn draw(rng: &mut Rng, strength: u32, mischief_every: Millis) -> Self {
        let mut chance = |most: u32| if rng.bool() { rng.u32(1..=most * strength) } else { 0 };
        let (throttled, refused, lost) = (chance(200), chance(200), chance(200));
        let (stale, launch_failure, stuck) = (chance(1_500), chance(400), chance(300));
        let (crash, crash_waiting, pause) = (chance(200), chance(5), chance(100));
        let bad_image = chance(1_000);
        let mut mischief: Vec<Mischief> =
            EVERY_MISCHIEF.into_iter().filter(|_| rng.u32(0..3) < strength.min(2)).collect();
        if strength > 1 && rng.u32(0..20) == 0 {
            mischief.push(Mischief::DeleteVolume);
        }
        Self {
            throttled,
            refused,
            lost,
            stale,
            stale_window: rng.u64(1_000..=view::OLDEST),
            launch_failure,
            stuck,
            crash,
            crash_waiting,
            pause,
            bad_image,
            second_controller: rng.u32(0..4) < strength.min(2),
            mischief_every: rng.u64(mischief_every / 3..=mischief_every * 2),
            mischief,
        }
    }
}

/// A chance in ten thousand comes true. Draws nothing where there is no chance.
fn hit(rng: &mut Rng, chance: u32) -> bool {
    chance > 0 && rng.u32(0..10_000) < chance
}

impl Truth {
    /// Faults may still be injected.
    pub(super) fn unkind(&self) -> bool {
        self.faults.level != FaultLevel::None && self.now < self.faults.end
    }

    /// Tells of a fault.
    pub(super) fn fault(&mut self, cluster: Option<&ClusterName>, fault: &str, detail: String) {
        self.faults.last = Some(self.now);
        self.tell(What::Fault { cluster: cluster.cloned(), fault: fault.to_owned(), detail });
    }

    /// What is in store for a call. Reads are refused, and that is all.
    pub(super) fn draw_fate(&mut self, doing: &str, mutating: bool) -> Fate {
        if !self.unkind() {
            return Fate::default();
        }
        let swarm = self.faults.swarm.clone();
        let mut fate = Fate::default();
        if hit(&mut self.rng, swarm.throttled) {
            fate.refused = Some(ErrorKind::Throttled);
        } else if hit(&mut self.rng, swarm.refused) {
            fate.refused = Some(ErrorKind::Unreachable);
        } else if mutating {
            fate.lost = hit(&mut self.rng, swarm.lost).then(|| if self.rng.bool() { TIMEOUT } else { 500 });
        }
        if mutating && self.faults.crashable {
            if hit(&mut self.rng, swarm.crash) {
                let points = [CrashPoint::BeforeSend, CrashPoint::AfterEffect, CrashPoint::AfterAnswer];
                fate.crash = self.rng.choice(points);
            }
            if hit(&mut self.rng, swarm.pause) {
                fate.pause = Some(self.rng.u64(5_000..=400_000).min(self.faults.end - self.now));
            }
        }
        match fate.refused {
            Some(ErrorKind::Throttled) => self.fault(None, "throttled", doing.to_owned()),
            Some(_) => self.fault(None, "refused", doing.to_owned()),
            None if fate.lost.is_some() => self.fault(None, "answer-lost", doing.to_owned()),
            None => {}
        }
        fate
    }

    /// Whether a controller dies while it waits, and after which part of the wait.
    pub(super) fn draw_crash_waiting(&mut self, span: Millis) -> Option<Millis> {
        let dies = self.faults.crashable && self.unkind() && hit(&mut self.rng, self.faults.swarm.crash_waiting);
        dies.then(|| self.rng.u64(0..=span))
    }

    /// Why a launch will fail after EC2 has accepted it (`StateReason`).
    pub(super) fn draw_launch_failure(&mut self, cluster: &ClusterName) -> Option<String> {
        if !self.unkind() || !hit(&mut self.rng, self.faults.swarm.launch_failure) {
            return None;
        }
        let reasons = ["Server.InternalError", "Client.VolumeLimitExceeded", "Client.InternalError"];
        let reason = self.rng.choice(reasons)?.to_owned();
        self.fault(Some(cluster), "launch-failure", reason.clone());
        Some(reason)
    }

    /// How much longer than usual a change of state takes. It ends when the faults do.
    pub(super) fn draw_stuck(&mut self, fault: &str, id: &str) -> Millis {
        if !self.unkind() || !hit(&mut self.rng, self.faults.swarm.stuck) {
            return 0;
        }
        let span = self.rng.u64(60_000..=600_000).min(self.faults.end - self.now);
        self.fault(None, fault, format!("{id} for {} s", span / 1_000));
        span
    }

    /// Puts the next piece of mischief on the calendar, if there is time for one.
    pub(super) fn plan_mischief(&mut self) {
        if self.faults.swarm.mischief.is_empty() {
            return;
        }
        let gap = self.rng.u64(1_000..=self.faults.swarm.mischief_every * 2);
        if self.now + gap < self.faults.end {
            self.schedule(gap, Tick::Mischief);
        }
    }

    /// How long a piece of mischief lasts; never longer than the faults do.
    fn draw_spell(&mut self, longest: Millis) -> Millis {
        let until = self.now + self.rng.u64(5_000..=longest);
        until.min(self.faults.end)
    }

    pub(super) fn mischief(&mut self) {
        let kinds = self.faults.swarm.mischief.clone();
        if let Some(kind) = self.rng.choice(kinds) {
            self.make_mischief(kind);
        }
        self.plan_mischief();
    }

    fn make_mischief(&mut self, kind: Mischief) {
        let names: Vec<ClusterName> = self.clusters.keys().cloned().collect();
        let Some(cluster) = self.rng.choice(names) else { return };
        let live: Vec<_> = self.live_instances(&cluster);
        let instance = self.rng.choice(live);
        let zones: Vec<_> = self.clusters[&cluster].declared.slots.values().cloned().collect();
        let zone = self.rng.choice(zones);
        match (kind, instance, zone) {
            (Mischief::StopInstance, Some(id), _) => self.meddler_stops(&id),
            (Mischief::TerminateInstance, Some(id), _) => self.meddler_terminates(&id),
            (Mischief::EditTags, ..) if self.clusters[&cluster].declared.group.is_some() && self.rng.bool() => {
                self.meddler_resumes(&cluster);
            }
            (Mischief::EditTags, Some(id), _) => self.meddler_edits_tags(&id),
            (Mischief::CrashMember, Some(id), _) => {
                let back_after = self.rng.u64(5_000..=60_000);
                self.member_crashes(&id, Some(back_after));
            }
            (Mischief::AnnounceEvent, Some(id), _) => {
                let until = self.draw_spell(300_000);
                self.event_announced(&id, Some(until));
            }
            (Mischief::ExhaustCapacity, _, Some(zone)) => {
                let until = self.draw_spell(600_000);
                self.capacity_exhausted(&zone, until);
            }
            (Mischief::ImpairZone, _, Some(zone)) => {
                let until = self.draw_spell(300_000);
                self.zone_impaired(&zone, until);
            }
            (Mischief::LoseLeader, ..) => self.leader_lost(&cluster),
            (Mischief::HideMembers, ..) => {
                let until = self.draw_spell(180_000);
                self.members_hidden(&cluster, until);
            }
            (Mischief::NoisyNeighbour, ..) => {
                self.faults.noisy_until = self.draw_spell(120_000);
                self.fault(None, "noisy-neighbour", String::new());
            }
            (Mischief::LoseClaimStore, ..) => {
                self.faults.store_down_until = self.draw_spell(120_000);
                self.fault(None, "claim-store-down", String::new());
            }
            (Mischief::Pause, ..) if self.faults.crashable => {
                let until = self.draw_spell(400_000);
                let known: Vec<u8> = self.controllers.keys().copied().collect();
                if let Some(controller) = self.rng.choice(known) {
                    self.pause_controller(controller, until);
                }
            }
            (Mischief::DeleteVolume, ..) => self.meddler_deletes_a_volume(&cluster),
            _ => {}
        }
    }
}

//! Faults: which a world knows, how often they come and until when. Drawn once a seed, so that every world is unkind in
//! its own way.

use std::collections::BTreeSet;

use fastrand::Rng;
use serde::{Deserialize, Serialize};

use super::accident::Arranged;
use super::fate::{CallFate, LONGEST_ON_THE_WIRE, TIMEOUT};
use super::further::Further;
use super::standing::Standing;
use crate::ids::{ClusterName, SlotName, VolumeName};
use crate::ports::ErrorKind;
use crate::sim::chance::Chance;
use crate::sim::ec2::OLDEST;
use crate::sim::time::Millis;
use crate::sim::words::{CrashPoint, FaultLevel, Payload};

/// The unkindness of one world.
#[derive(Serialize, Deserialize)]
pub struct Faults {
    pub level: FaultLevel,
    /// Nothing is injected after this.
    pub end: Millis,
    pub last: Option<Millis>,
    /// The data volumes that somebody has deleted, which nobody can undo.
    #[serde(default)]
    pub lost: BTreeSet<(ClusterName, SlotName, VolumeName)>,
    pub swarm: Swarm,
    /// The accidents that worlds learned of later.
    #[serde(default)]
    pub further: Option<Further>,
    /// An executor is there that honours crashes and pauses.
    #[serde(skip)]
    pub crashable: bool,
    #[serde(skip)]
    pub arranged: Arranged,
    #[serde(skip)]
    pub standing: Standing,
    /// Answers are kept, because somebody may ask for old ones.
    #[serde(skip)]
    pub remembers: bool,
}

/// Chances in ten thousand, and the rest that is drawn once a world.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Swarm {
    throttled: u32,
    refused: u32,
    lost: u32,
    stale: u32,
    /// The greatest age of a stale answer.
    stale_window: Millis,
    launch_failure: u32,
    stuck: u32,
    /// Per mutating call.
    crash: u32,
    /// Per wait.
    crash_waiting: u32,
    /// Per mutating call.
    pause: u32,
    /// Per mutating call, if it goes to EC2.
    #[serde(default)]
    held_up: u32,
    bad_image: u32,
    pub second_controller: bool,
    /// The mean time between injections.
    inject_every: Millis,
    /// The injections that this world knows.
    pub injections: Vec<Injection>,
}

/// A fault that does not hang on a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Injection {
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
    FailChecks,
    TroubleVolume,
    HostStops,
    Stick,
    Refuse,
    BounceLeadership,
    LeastMembers,
    CopyVolume,
    Protect,
    OldLooks,
    FailSnapshots,
    EndLaunches,
    Skew,
}

const EVERY_INJECTION: [Injection; 25] = [
    Injection::StopInstance,
    Injection::TerminateInstance,
    Injection::EditTags,
    Injection::CrashMember,
    Injection::LoseLeader,
    Injection::HideMembers,
    Injection::ExhaustCapacity,
    Injection::ImpairZone,
    Injection::AnnounceEvent,
    Injection::NoisyNeighbour,
    Injection::LoseClaimStore,
    Injection::Pause,
    Injection::FailChecks,
    Injection::TroubleVolume,
    Injection::HostStops,
    Injection::Stick,
    Injection::Refuse,
    Injection::BounceLeadership,
    Injection::LeastMembers,
    Injection::CopyVolume,
    Injection::Protect,
    Injection::OldLooks,
    Injection::FailSnapshots,
    Injection::EndLaunches,
    Injection::Skew,
];

/// The ways in which a changing call may be refused; the first is how a look is.
const ANY_REFUSAL: [ErrorKind; 6] = [
    ErrorKind::Unreachable,
    ErrorKind::Denied,
    ErrorKind::Invalid,
    ErrorKind::NotFound,
    ErrorKind::NoCapacity,
    ErrorKind::Unknown,
];

/// The difference between a world's chance and that of kinds of faults that were added later.
const APART: u64 = 0x77_69_72_65;

impl Faults {
    /// Draws how a kind of call is refused for a while.
    pub fn draw_refusal(&self, chance: &mut Chance) -> (Option<&'static str>, ErrorKind) {
        let calls =
            ["launch", "stop", "start", "snapshot", "detach", "attach", "terminate", "retire", "settle", "reject"];
        let kind = chance.rng.choice(ANY_REFUSAL).unwrap_or(ErrorKind::Unreachable);
        (chance.rng.choice(calls), kind)
    }

    /// Draws the faults of a world.
    pub fn draw(level: FaultLevel, chance: &mut Chance) -> Self {
        let further = Further::draw(level, chance.rng.get_seed());
        let swarm = match level {
            FaultLevel::None => Swarm::default(),
            FaultLevel::Some => Swarm::draw(chance, 1, 240_000),
            FaultLevel::Many => Swarm::draw(chance, 4, 90_000),
        };
        let end = if level == FaultLevel::None { 0 } else { chance.rng.u64(300_000..=1_500_000) };
        Self {
            level,
            end,
            last: None,
            lost: BTreeSet::new(),
            swarm,
            further,
            crashable: false,
            arranged: Arranged::default(),
            standing: Standing::default(),
            remembers: false,
        }
    }

    /// Says whether faults may still be injected.
    pub fn are_on(&self, now: Millis) -> bool {
        self.level != FaultLevel::None && now < self.end
    }

    /// Says whether some answers may have to be older than the truth.
    pub fn may_be_stale(&self) -> bool {
        self.swarm.stale > 0 || self.remembers
    }

    /// Draws how old the parts of an answer may be, if it is stale.
    pub fn draw_staleness(&self, now: Millis, chance: &mut Chance) -> Option<Millis> {
        let stale = self.swarm.stale > 0 && now < self.end && chance.hit(self.swarm.stale);
        stale.then_some(self.swarm.stale_window)
    }

    /// Draws the fate of a call. Reads are refused, and that is all.
    pub fn draw_fate(&self, now: Millis, chance: &mut Chance, mutating: bool) -> CallFate {
        let mut fate = CallFate::default();
        if !self.are_on(now) {
            return fate;
        }
        // A controller looks many times for each change that it makes: so a look is refused less often.
        let (throttled, refused) = (self.swarm.throttled, self.swarm.refused);
        let (throttled, refused) = if mutating { (throttled * 2, refused * 2) } else { (throttled / 3, refused / 3) };
        if chance.hit(throttled) {
            fate.refused = Some(ErrorKind::Throttled);
        } else if chance.hit(refused) {
            let kinds = if mutating { &ANY_REFUSAL[..] } else { &ANY_REFUSAL[..1] };
            fate.refused = chance.rng.choice(kinds.iter().copied());
        } else if mutating {
            fate.lost = chance.hit(self.swarm.lost).then(|| if chance.rng.bool() { TIMEOUT } else { 500 });
        }
        fate.twice = mutating && chance.hit(self.swarm.lost / 2);
        fate.wire = (mutating && chance.hit(self.swarm.held_up)).then(|| chance.rng.u64(500..=LONGEST_ON_THE_WIRE));
        if mutating && self.crashable {
            self.draw_death(now, chance, &mut fate);
        }
        fate
    }

    /// Draws whether the caller dies or stands still.
    fn draw_death(&self, now: Millis, chance: &mut Chance, fate: &mut CallFate) {
        if chance.hit(self.swarm.crash) {
            let points = [CrashPoint::BeforeSend, CrashPoint::AfterEffect, CrashPoint::AfterAnswer];
            fate.crash = chance.rng.choice(points);
        }
        fate.pause = self.draw_pause(now, chance);
    }

    /// Draws whether a controller stands still after what it has just heard, and for how long.
    pub fn draw_pause(&self, now: Millis, chance: &mut Chance) -> Option<Millis> {
        let stands_still = self.crashable && self.are_on(now) && chance.hit(self.swarm.pause);
        stands_still.then(|| chance.rng.u64(5_000..=400_000).min(self.end - now))
    }

    /// Draws whether a controller dies while it waits, and after which part of the wait.
    pub fn draw_crash_waiting(&self, now: Millis, chance: &mut Chance, span: Millis) -> Option<Millis> {
        let dies = self.crashable && self.are_on(now) && chance.hit(self.swarm.crash_waiting);
        dies.then(|| chance.rng.u64(0..=span))
    }

    /// Draws why a launch will fail after EC2 has accepted it (`StateReason`).
    pub fn draw_launch_failure(&self, now: Millis, chance: &mut Chance) -> Option<String> {
        if !self.are_on(now) || !chance.hit(self.swarm.launch_failure) {
            return None;
        }
        let reasons = ["Server.InternalError", "Client.VolumeLimitExceeded", "Client.InternalError"];
        chance.rng.choice(reasons).map(str::to_owned)
    }

    /// Draws how much longer than usual a change of state takes. It ends when the faults do.
    pub fn draw_stuck(&self, now: Millis, chance: &mut Chance) -> Option<Millis> {
        let stuck = self.are_on(now) && chance.hit(self.swarm.stuck);
        stuck.then(|| chance.rng.u64(60_000..=600_000).min(self.end - now))
    }

    /// Draws a payload that does not run well, or none.
    pub fn draw_bad_payload(&self, now: Millis, chance: &mut Chance) -> Option<Payload> {
        if !self.are_on(now) || chance.rng.u32(0..10_000) >= self.swarm.bad_image {
            return None;
        }
        let slow = Payload::SlowToJoin(std::time::Duration::from_secs(chance.rng.u64(30..=900)));
        let wrong = Payload::WrongVersion("1.0.0".to_owned());
        chance.rng.choice([Payload::NeverJoins, Payload::JoinsUnhealthy, Payload::Flaps, wrong, slow])
    }

    /// Draws how long it is to the next injection, if there is time for one.
    pub fn draw_gap(&self, now: Millis, chance: &mut Chance) -> Option<Millis> {
        if self.swarm.injections.is_empty() {
            return None;
        }
        let gap = chance.rng.u64(1_000..=self.swarm.inject_every * 2);
        (now + gap < self.end).then_some(gap)
    }

    /// Draws the end of something that is injected. It never lasts longer than the faults do.
    pub fn draw_spell(&self, now: Millis, chance: &mut Chance, longest: Millis) -> Millis {
        let until = now + chance.rng.u64(5_000..=longest);
        until.min(self.end)
    }
}

impl Swarm {
    /// Draws for each kind of fault whether it is there, and if it is, whether it is rare or as often as `strength` allows.
    fn draw(chance: &mut Chance, strength: u32, inject_every: Millis) -> Self {
        // From a generator of its own, so that a seed has the other kinds that it has always had.
        let mut apart = Rng::with_seed(chance.rng.get_seed() ^ APART);
        let held_up = if apart.bool() { apart.u32(1..=1_000 * strength) } else { 0 };
        let rng = &mut chance.rng;
        let mut chance = |most: u32| if rng.bool() { rng.u32(1..=most * strength) } else { 0 };
        let (throttled, refused, lost) = (chance(200), chance(200), chance(200));
        let (stale, launch_failure, stuck) = (chance(1_500), chance(400), chance(300));
        let (crash, crash_waiting, pause) = (chance(200), chance(5), chance(100));
        let bad_image = chance(1_000);
        let mut injections: Vec<Injection> =
            EVERY_INJECTION.into_iter().filter(|_| rng.u32(0..3) < strength.min(2)).collect();
        if strength > 1 && rng.u32(0..20) == 0 {
            injections.push(Injection::DeleteVolume);
        }
        Self {
            throttled,
            refused,
            lost,
            stale,
            stale_window: rng.u64(1_000..=OLDEST),
            launch_failure,
            stuck,
            crash,
            crash_waiting,
            pause,
            held_up,
            bad_image,
            second_controller: rng.u32(0..4) < strength.min(2),
            inject_every: rng.u64(inject_every / 3..=inject_every * 2),
            injections,
        }
    }
}

//! Accidents that worlds learned of later. They are drawn from a generator of their own, so that a seed whose world has none of them
//! tells the story that it has always told.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::ids::InstanceId;
use crate::sim::chance::Chance;
use crate::sim::time::Millis;
use crate::sim::words::FaultLevel;

/// The difference between a world's chance and that of these accidents.
const APART: u64 = 0x66_75_72_74_68_65_72;

/// An accident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Accident {
    /// One slot's member is cut off from the others, both ways.
    CutOff,
    /// Nothing that one slot's member sends reaches another's.
    CutLink,
    /// No controller reaches one slot's member.
    HideMember,
    /// A volume that is created is gone a moment later.
    VolumesVanish,
    /// The claims are kept by the members that they are about.
    ClaimsInside,
    /// Somebody takes a fixed address off its instance.
    Unassign,
    /// Something that is none of the cluster's gets a fixed address for a while.
    Lend,
    /// Somebody sets an instance aside in its Auto Scaling group.
    Standby,
    /// A lifecycle hook keeps whatever joins a group waiting.
    Hook,
}

const EVERY_ACCIDENT: [Accident; 9] = [
    Accident::CutOff,
    Accident::CutLink,
    Accident::HideMember,
    Accident::VolumesVanish,
    Accident::ClaimsInside,
    Accident::Unassign,
    Accident::Lend,
    Accident::Standby,
    Accident::Hook,
];

/// The end of such an accident, where somebody has to see to it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Over {
    /// The claims are kept outside of every cluster again.
    ClaimsInside,
    /// The address of that subnet is free again.
    Lent(Ipv4Addr, String),
    /// The instance is in service again.
    Standby(InstanceId),
}

/// The accidents of one world.
#[derive(Serialize, Deserialize)]
pub struct Further {
    pub chance: Chance,
    /// The accidents that this world knows.
    kinds: Vec<Accident>,
    /// The mean time between two of them.
    every: Millis,
}

impl Further {
    /// Draws which accidents a world knows. Half of the worlds know none.
    pub fn draw(level: FaultLevel, seed: u64) -> Option<Self> {
        let (strength, every) = match level {
            FaultLevel::None => return None,
            FaultLevel::Some => (1, 300_000),
            FaultLevel::Many => (2, 150_000),
        };
        let mut chance = Chance::new(seed ^ APART);
        let rng = &mut chance.rng;
        if rng.bool() {
            return None;
        }
        let kinds = EVERY_ACCIDENT.into_iter().filter(|_| rng.u32(0..3) < strength).collect();
        let every = rng.u64(every / 3..=every * 2);
        Some(Self { chance, kinds, every })
    }

    /// Draws the next accident.
    pub fn next(&mut self) -> Option<Accident> {
        self.chance.rng.choice(self.kinds.iter().copied())
    }

    /// Draws how long it is to the next one.
    pub fn gap(&mut self) -> Millis {
        self.chance.rng.u64(1_000..=self.every * 2)
    }

    /// Draws for how long one lasts that begins now and is over when the faults end.
    pub fn span(&mut self, now: Millis, end: Millis, longest: Millis) -> Millis {
        self.chance.rng.u64(5_000..=longest).min(end.saturating_sub(now))
    }
}

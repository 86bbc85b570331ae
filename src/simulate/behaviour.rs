//! How members run on an image, by the names that people say.

use crate::sim::Payload;

/// The behaviour of members on an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    Good,
    NeverJoins,
    Unhealthy,
    Flaps,
    WrongVersion,
    LosesData,
}

impl Behaviour {
    /// Every behaviour.
    pub const ALL: [Self; 6] =
        [Self::Good, Self::NeverJoins, Self::Unhealthy, Self::Flaps, Self::WrongVersion, Self::LosesData];

    /// The name that a command or a story says, e.g. `never-joins`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::NeverJoins => "never-joins",
            Self::Unhealthy => "unhealthy",
            Self::Flaps => "flaps",
            Self::WrongVersion => "wrong-version",
            Self::LosesData => "loses-data",
        }
    }

    /// Says the same in the simulated world's words, for a cluster that expects `version`.
    pub fn payload(self, version: &str) -> Payload {
        match self {
            Self::Good => Payload::Good { version: version.to_owned() },
            Self::NeverJoins => Payload::NeverJoins,
            Self::Unhealthy => Payload::JoinsUnhealthy,
            Self::Flaps => Payload::Flaps,
            Self::WrongVersion => Payload::WrongVersion("0.0.1".to_owned()),
            Self::LosesData => Payload::LosesData,
        }
    }
}

//! Chance: one generator for a whole world, so that the same seed tells the same story.

use fastrand::Rng;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The digits in an id that tell its number.
const NUMBER: usize = 9;

/// The world's chance, and the ids that it has given.
#[derive(Serialize, Deserialize)]
pub struct Chance {
    #[serde(serialize_with = "write_seed", deserialize_with = "read_seed")]
    pub rng: Rng,
    ids: u64,
}

impl Chance {
    /// Begins with a seed.
    pub fn new(seed: u64) -> Self {
        Self { rng: Rng::with_seed(seed), ids: 0 }
    }

    /// Makes an id in EC2's manner, unique in this world, e.g. `i-62086fe9000000002`.
    pub fn id(&mut self, prefix: &str) -> String {
        self.ids += 1;
        format!("{prefix}-{:08x}{:0NUMBER$x}", self.rng.u32(..), self.ids)
    }

    /// Finds in an id the part that tells how many were made before it.
    pub fn number_of(id: &str) -> &str {
        id.get(id.len().saturating_sub(NUMBER)..).unwrap_or(id)
    }

    /// Lets a chance in ten thousand come true or not. Draws nothing where there is no chance.
    pub fn hit(&mut self, chance: u32) -> bool {
        chance > 0 && self.rng.u32(0..10_000) < chance
    }
}

/// A generator of chance is stored as the place that it has come to.
fn write_seed<S: Serializer>(rng: &Rng, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(rng.get_seed())
}

fn read_seed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Rng, D::Error> {
    u64::deserialize(deserializer).map(Rng::with_seed)
}

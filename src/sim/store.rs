//! A world in a file.

use std::fs;
use std::io;
use std::path::Path;

use super::truth::Truth;

/// Writes the world whole or not at all.
pub(super) fn save(truth: &Truth, path: &Path) -> io::Result<()> {
    let beside = path.with_extension("new");
    fs::write(&beside, serde_json::to_vec(truth)?)?;
    fs::rename(&beside, path)
}

/// Reads a world that was saved.
pub(super) fn load(path: &Path) -> io::Result<Truth> {
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}

/// A generator of chance is stored as where it stands.
pub(super) mod seed {
    use fastrand::Rng;
    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes the state of the generator.
    pub fn serialize<S: Serializer>(rng: &Rng, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(rng.get_seed())
    }

    /// Goes on from a written state.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Rng, D::Error> {
        u64::deserialize(deserializer).map(Rng::with_seed)
    }
}

/// A map whose keys are not text is stored as a list of pairs.
pub(super) mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// Writes a map as a list of pairs.
    pub fn serialize<S: Serializer, K: Serialize, V: Serialize>(
        map: &BTreeMap<K, V>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    /// Reads such a list.
    pub fn deserialize<'de, D, K, V>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        D: Deserializer<'de>,
        K: Deserialize<'de> + Ord,
        V: Deserialize<'de>,
    {
        Ok(Vec::<(K, V)>::deserialize(deserializer)?.into_iter().collect())
    }
}

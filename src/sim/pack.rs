//! Worlds of thousands of clusters in little memory: a tree that was filled in order is half empty, and a list that grew has room
//! for as many again.

use std::collections::BTreeMap;

use litemap::LiteMap;

/// Fills the leaves of a tree.
pub fn tree<K: Ord, V>(map: &mut BTreeMap<K, V>) {
    *map = std::mem::take(map).into_iter().collect();
}

/// Leaves a list the room for what is in it.
pub fn list<K: Ord, V>(map: &mut LiteMap<K, V>) {
    let mut packed = LiteMap::with_capacity(map.len());
    packed.extend(std::mem::take(map));
    *map = packed;
}

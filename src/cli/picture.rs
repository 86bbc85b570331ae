//! Pictures of rollouts, as commands write them to files.

use std::path::Path;

use crate::history::record::Record;
use crate::history::rollout::{Kind, rollouts};
use crate::input::text;
use crate::picture::svg;

use super::{Failure, file};

/// Draws the newest rollout that the records tell of; what was healed or created only if nothing was upgraded.
pub fn of_newest(path: &Path, records: &[Record]) -> Result<(), Failure> {
    let rollouts = rollouts(records);
    let upgrade = rollouts.iter().rfind(|rollout| rollout.kind == Kind::Upgrade);
    match upgrade.or(rollouts.last()) {
        Some(rollout) => file::put(path, &svg(rollout, records)),
        None => Err(Failure::new(format!("there is no rollout to draw in {}", text::path(path)))
            .hint("no slot was claimed, so nothing has begun")),
    }
}

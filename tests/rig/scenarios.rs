//! Every scenario: a story of what was done to a cluster, and how it must have ended.

use libtest_mimic::Trial;

use crate::Stage;

mod parts;

pub fn all(stage: &Stage) -> Vec<Trial> {
    parts::all(stage)
}

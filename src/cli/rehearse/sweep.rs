//! Destroys copies that were left behind.

use std::io::Write;

use super::Args;
use crate::cli::cloud::Scene;
use crate::cli::steps::Steps;
use crate::cli::{Exit, Failure, Output};
use crate::controller::converge::{Conclusion, Target};
use crate::observed::Remains;
use crate::plan::Goal;
use crate::rehearsal;
use crate::time::{Human, elapsed};

/// Destroys what rehearsals of these clusters have left, if it is old enough.
pub fn sweep(args: &Args, scene: &Scene, out: &mut Output) -> Result<Exit, Failure> {
    let mut left = false;
    for spec in &scene.specs {
        for name in scene.clusters(spec)? {
            let Some(made) = rehearsal::made_at(&spec.name, &name) else { continue };
            let (copy, age) = (rehearsal::copy(spec, name), elapsed(scene.now(), made));
            let (view, _) = scene.see(&copy)?;
            let is_gone = view.live_instances().next().is_none()
                && view.present_volumes().next().is_none()
                && view.copies().next().is_none();
            if is_gone {
                continue;
            }
            if age < args.older_than {
                writeln!(out.data, "{}: left alone, as it is {} old", copy.name, Human(age))?;
                continue;
            }
            let target = Target { spec: copy.clone(), goal: Goal::Gone(Remains::Nothing), limit: args.timeout };
            match scene.reach(target, Steps::alone(out))? {
                Conclusion::Reached => {
                    scene.forget(&copy)?;
                    writeln!(out.data, "{}: destroyed", copy.name)?;
                }
                Conclusion::Stuck(plan) | Conclusion::OutOfTime(plan) => {
                    left = true;
                    writeln!(out.data, "{}: not destroyed yet: {plan}", copy.name)?;
                }
                Conclusion::Interrupted => return Ok(Exit::Interrupted),
            }
        }
    }
    Ok(if left { Exit::Error } else { Exit::Done })
}

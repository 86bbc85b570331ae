//! Destroys copies that were left behind.

use std::io::Write;

use super::Args;
use crate::cli::cloud::Environment;
use crate::cli::steps::Steps;
use crate::cli::{Exit, Failure, Output, signals};
use crate::controller::converge::{Conclusion, Target};
use crate::observed::Remains;
use crate::plan::Goal;
use crate::rehearsal;
use crate::time::{Human, elapsed};

/// Destroys the copies of these clusters that are old enough.
pub fn sweep(args: &Args, environment: &Environment, out: &mut Output) -> Result<Exit, Failure> {
    let (mut left, mut found) = (false, false);
    for spec in &environment.specs {
        for name in environment.clusters(spec)? {
            let Some(made) = rehearsal::made_at(&spec.name, &name) else { continue };
            let (copy, age) = (rehearsal::copy(spec, name), elapsed(environment.now(), made));
            let (view, _) = environment.see(&copy)?;
            if !view.owns_anything() {
                continue;
            }
            found = true;
            if age < args.older_than {
                writeln!(out.data, "{}: left alone, because it is only {} old", copy.name, Human(age))?;
                continue;
            }
            let target = Target { spec: copy.clone(), goal: Goal::Gone(Remains::Nothing), limit: args.timeout };
            match environment.reach(target, Steps::alone(out))? {
                Conclusion::Reached => {
                    environment.forget(&copy)?;
                    writeln!(out.data, "{}: destroyed", copy.name)?;
                }
                Conclusion::Stuck(plan) | Conclusion::OutOfTime(plan) => {
                    left = true;
                    writeln!(out.data, "{}: not destroyed yet: {plan}", copy.name)?;
                }
                Conclusion::Interrupted => return Ok(signals::interrupted()),
            }
        }
    }
    if !found {
        writeln!(out.data, "nothing is left of a rehearsal")?;
    }
    Ok(if left { Exit::Error } else { Exit::Done })
}

//! Faults that are injected between the controller and EC2.

use std::time::Duration;

use crate::ec2::Refused;
use crate::query::Request;

/// A kind of trouble.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// Refused with this code, and nothing done.
    Refused(&'static str),
    /// A server's error, before anything was done.
    FailsBefore,
    /// A server's error, although the effect took place.
    FailsAfter,
    /// The effect takes place, and the connection is closed without an answer.
    LosesAnswer,
    /// The answer takes so long.
    Slow(Duration),
    /// An answer of so long ago.
    Stale(Duration),
    /// One instance or volume is missing from the answer.
    Partial,
    /// The credentials are of another account.
    WrongAccount,
    /// The launch is accepted, and fails: the volume's key cannot be used any more.
    DeadKey,
}

/// Which calls a fault may strike.
#[derive(Clone, Copy, Debug)]
pub enum On {
    Everything,
    Changes,
    Looks,
    Action(&'static str),
}

/// The frequency of a fault.
#[derive(Clone, Debug)]
pub enum Often {
    Always,
    /// The next so many calls.
    Next(u32),
    /// One call in so many, by chance.
    OneIn(u32),
}

/// A fault, where and how often.
#[derive(Clone, Debug)]
pub struct Rule {
    pub fault: Fault,
    pub on: On,
    pub often: Often,
}

/// The faults of one scenario.
pub struct Faults {
    pub rules: Vec<Rule>,
    pub chance: fastrand::Rng,
}

impl Faults {
    pub fn new(seed: u64) -> Self {
        Self { rules: Vec::new(), chance: fastrand::Rng::with_seed(seed) }
    }

    /// The fault that strikes this call, if one does.
    pub fn strike(&mut self, request: &Request) -> Option<Fault> {
        let chance = &mut self.chance;
        let concerned = self.rules.iter_mut().filter(|rule| rule.concerns(request));
        for rule in concerned {
            let strikes = match &mut rule.often {
                Often::Always => true,
                Often::Next(left) => std::mem::replace(left, left.saturating_sub(1)) > 0,
                Often::OneIn(calls) => chance.u32(0..*calls) == 0,
            };
            if strikes {
                return Some(rule.fault.clone());
            }
        }
        None
    }
}

impl Rule {
    pub fn new(fault: Fault, on: On, often: Often) -> Self {
        Self { fault, on, often }
    }

    fn concerns(&self, request: &Request) -> bool {
        let fits = match self.fault {
            Fault::WrongAccount => request.action == "GetCallerIdentity",
            Fault::DeadKey => request.action == "RunInstances",
            Fault::Stale(_) | Fault::Partial => !request.is_mutating() && request.service == "ec2",
            _ => true,
        };
        fits && match self.on {
            On::Everything => true,
            On::Changes => request.is_mutating(),
            On::Looks => !request.is_mutating(),
            On::Action(action) => request.action == action,
        }
    }
}

/// A refusal with this code, as the service words it, and its HTTP status.
pub fn refusal(code: &str) -> (u16, Refused) {
    let (status, message) = match code {
        "RequestLimitExceeded" => (503, "Request limit exceeded."),
        "InsufficientInstanceCapacity" => {
            (500, "We currently do not have sufficient capacity in the zone you requested.")
        }
        "UnauthorizedOperation" => (403, "You are not authorized to perform this operation."),
        "AuthFailure" => (401, "AWS was not able to validate the provided access credentials"),
        "ExpiredToken" => (400, "The provided token has expired."),
        "RequestExpired" => (400, "Request has expired."),
        "InternalError" => (500, "An internal error has occurred"),
        "Unavailable" => (503, "The service is unavailable. Please try again shortly."),
        _ => (400, "The request was refused."),
    };
    (status, Refused { code: code.into(), message: message.into() })
}

//! One request that is being answered: what it says, and the way to the world.

use super::face::Face;
use super::notes::Notes;
use super::params::{Form, Params};
use super::problem::Problem;
use crate::action::CloudEffect;
use crate::ids::{ClusterName, SlotName};
use crate::ports::Outcome;
use crate::sim::ec2::{Bucket, Call};
use crate::sim::unkind::fate::{CallFate, SIGNATURE_LIFE};
use crate::sim::world::{Sender, State};

/// A request, with the world that it is made to.
pub struct Asked<'a> {
    pub state: &'a mut State,
    pub notes: &'a mut Notes,
    pub face: &'a Face,
    pub form: &'a Form,
    /// E.g. `us-east-1`.
    pub region: String,
    /// The controller that asks, which is held to its rules. Anybody else is a person.
    pub sender: Option<Sender>,
    /// The faults that the request meets.
    pub meets: Meets,
    /// The call takes effect, and nobody hears the answer.
    pub answer_is_lost: bool,
}

/// The faults that a request meets.
pub enum Meets {
    /// Whatever chance draws when it has arrived.
    Chance,
    /// Faults that are to be drawn before it is on its way: it does not take effect yet.
    Undrawn,
    /// Faults that were drawn for a request that is not on its way yet. Whether it changes anything is said beside them.
    Drawn { fate: CallFate, call: String, changes: bool },
    /// Faults that were drawn when it was sent.
    Known(CallFate),
}

impl Asked<'_> {
    /// Gives the parameters.
    pub fn params(&self) -> Params<'_> {
        self.form.all()
    }

    /// Begins to answer when everything was read that is understood: anything else is refused, and so is one call too many.
    /// `call` is the simulated world's name for it, e.g. `stop`.
    pub fn begin(&mut self, bucket: Bucket, call: &str, changes: bool) -> Result<(), Problem> {
        let is_dry = self.params().flag("DryRun")?.unwrap_or(false);
        if let Some(name) = self.form.unread() {
            return Err(Problem::new("UnknownParameter", format!("The parameter {name} is not recognized")));
        }
        let fate = match std::mem::replace(&mut self.meets, Meets::Chance) {
            Meets::Known(fate) => fate,
            before => {
                let fate = self.state.draw_fate(call, call, changes);
                let fate = if changes && !is_dry { self.state.arranged_fate(fate, call) } else { fate };
                if matches!(before, Meets::Undrawn) {
                    self.meets = Meets::Drawn { fate, call: call.to_owned(), changes };
                    return Err(Problem::new("", "It is not on its way yet"));
                }
                fate
            }
        };
        if let Some(sender) = self.sender {
            self.state.clock_is_right(sender.controller, SIGNATURE_LIFE)?;
            if self.state.now - sender.sent > SIGNATURE_LIFE {
                return Err(Problem::new("RequestExpired", "The request was signed too long ago"));
            }
        }
        let now = self.face.millis(self.state.now);
        self.state.region.buckets.take(now, bucket, 1)?;
        if let Some(kind) = fate.refused {
            return Err(kind.into());
        }
        if is_dry {
            let text = "Request would have succeeded, but DryRun flag is set";
            return Err(Problem::new("DryRunOperation", text));
        }
        self.answer_is_lost = fate.lost.is_some();
        Ok(())
    }

    /// Sends a call to EC2. That of a controller is judged.
    pub fn change(
        &mut self,
        cluster: &ClusterName,
        slot: Option<&SlotName>,
        effect: &CloudEffect,
    ) -> Result<Outcome, Problem> {
        let call = Call { cluster, slot, effect };
        let done = match self.sender {
            Some(sender) => self.state.apply(sender, call),
            None => self.state.send(call),
        };
        Ok(done?)
    }

    /// Says whether a controller asks.
    pub fn is_by_controller(&self) -> bool {
        self.sender.is_some()
    }

    /// Refuses a token that came with another request before. The same request may come again.
    pub fn claim_token(&mut self, key: &str) -> Result<(), Problem> {
        let digest = self.form.digest_without("DryRun");
        let first = self.notes.tokens.entry(key.to_owned()).or_insert_with(|| digest.clone());
        if *first == digest {
            return Ok(());
        }
        let text = "The client token was used before with other parameters";
        Err(Problem::new("IdempotentParameterMismatch", text))
    }
}

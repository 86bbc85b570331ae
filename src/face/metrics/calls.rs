//! The calls that were made, by what they were for and what came of them.

use prometheus_client::metrics::counter::Counter as Count;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::ports::told::{Call, CallResult, Counter, To};

use super::{Labels, of_calls};

/// Counts of calls since the daemon began. Every label is one of a few words: an action, a kind of application, a kind of error.
pub struct Calls {
    cloud: Family<Labels, Count>,
    cloud_took: Family<Labels, Histogram>,
    members: Family<Labels, Count>,
    members_took: Family<Labels, Histogram>,
}

impl Default for Calls {
    fn default() -> Self {
        let (cloud_took, members_took) = (of_calls(), of_calls());
        Self { cloud: Family::default(), cloud_took, members: Family::default(), members_took }
    }
}

impl Counter for Calls {
    fn called(&self, call: &Call) {
        let (name, outcome) = (("call", call.name.to_owned()), ("outcome", outcome(call.result)));
        let took = call.took.as_secs_f64();
        match call.to {
            To::Cloud => {
                self.cloud.get_or_create(&vec![name.clone(), outcome]).inc();
                self.cloud_took.get_or_create(&vec![name]).observe(took);
            }
            To::Members(kind) => {
                let application = ("application", kind.to_owned());
                self.members.get_or_create(&vec![application.clone(), name, outcome]).inc();
                self.members_took.get_or_create(&vec![application]).observe(took);
            }
        }
    }
}

impl Calls {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "cloud_calls",
            "Looks at the cloud and changes of it, by what came of them",
            self.cloud.clone(),
        );
        let help = "The time of a look at the cloud or a change of it, with all of its requests";
        registry.register("cloud_call_duration_seconds", help, self.cloud_took.clone());
        let help = "Questions and requests to members, by what came of them";
        registry.register("member_calls", help, self.members.clone());
        let help = "The time of a question or request to members";
        registry.register("member_call_duration_seconds", help, self.members_took.clone());
    }
}

fn outcome(result: CallResult) -> String {
    match result {
        CallResult::Done => "ok".to_owned(),
        CallResult::NotSent => "not-sent".to_owned(),
        CallResult::Failed(kind) => kind.to_string().replace(' ', "-"),
    }
}

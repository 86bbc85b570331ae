//! The daemon's face: everything that it has told, shown to whoever asks, and nothing that anybody could change.
//!
//! [`Face`] is a listener, which keeps the last word on each cluster; [`server`] answers from that alone, on the daemon's own
//! thread. No answer looks at the cloud, at the members or at a file, so no request can delay a pass or cost a call.

use std::cell::RefCell;
use std::rc::Rc;

use schemars::{Schema, SchemaGenerator};
use serde_json::Value;
use tokio::sync::watch;

use crate::event::{Event, Listener};
use crate::history::latest::Latest;
use crate::input::secret::Secret;
use crate::notifications::post::Counts;
use crate::observed::Observation;
use crate::spec::ClusterSpec;
use crate::status::Status;
use crate::time::Timestamp;

pub mod document;
mod report;
mod slots;
mod state;
mod timeline;

pub mod openapi;

mod answer;
mod hook;
mod limits;
pub mod listen;
mod metrics;
mod page;
pub mod request;
pub mod server;
mod stream;
mod text;

pub mod client;

pub use limits::LIVES_WITHIN;

pub use metrics::calls::Calls;

use metrics::Metrics;
use report::Report;
use request::Asked;
use state::State;

/// The knowledge of the daemon, kept to be shown.
pub struct Face {
    state: RefCell<State>,
    metrics: Metrics,
    /// The number of the latest event.
    latest: watch::Sender<u64>,
    about: About,
}

/// The parts of a face that only the command line can give.
pub struct About {
    /// Tells the time of the world that is looked after.
    pub now: Rc<dyn Fn() -> Timestamp>,
    /// Whether the daemon acts only while it holds a lease.
    pub uses_lease: bool,
    /// Counts of what became of notifications; none where nobody is told.
    pub notifications: Option<Counts>,
    /// Counts of calls to clouds and members; none where no daemon makes any.
    pub calls: Option<Rc<Calls>>,
    pub documents: Documents,
    /// A webhook, if it is to be listened to.
    pub hook: Option<Hook>,
}

/// A webhook: it makes the next look at the source come soon, and changes nothing else.
pub struct Hook {
    /// The secret that callers prove to know.
    pub secret: Secret,
    /// Makes the wish for a look.
    pub wish: Box<dyn Fn()>,
}

/// Documents that commands write too, so that an answer of the daemon and of a command have one shape.
#[derive(Clone, Copy)]
pub struct Documents {
    /// The plan of one cluster, as `plan -o json` has it.
    pub plan: fn(&ClusterSpec, &Observation) -> Value,
    /// The gates of one cluster that are asked for, as `explain -o json` has them.
    pub explain: fn(&ClusterSpec, &Observation, &Asked) -> Value,
    /// The status of one cluster, as `status` writes it for people, without colours.
    pub status_text: fn(&Status) -> String,
    /// The same, as `explain` writes it for people, without colours.
    pub explain_text: fn(&ClusterSpec, &Observation, &Asked) -> String,
    /// The schemas of the first two, in this order.
    pub schemas: fn(&mut SchemaGenerator) -> [Schema; 2],
}

impl Face {
    /// Makes a face that knows of nothing but the past.
    pub fn new(about: About, past: Latest) -> Self {
        let state = RefCell::new(State::remembering(past));
        Self { state, metrics: Metrics::default(), latest: watch::Sender::new(0), about }
    }

    /// Everything about each cluster, the most urgent first.
    pub fn clusters(&self) -> Vec<document::Cluster> {
        self.report(|report| {
            let rows = report.fleet().clusters;
            rows.iter().filter_map(|row| report.cluster(&row.cluster)).collect()
        })
    }

    /// Reads a report off what is known now.
    fn report<T>(&self, read: impl FnOnce(&Report<'_>) -> T) -> T {
        let state = self.state.borrow();
        read(&Report { state: &state, now: (self.about.now)(), uses_lease: self.about.uses_lease })
    }
}

impl Listener for Face {
    fn hear(&self, event: &Event) {
        let number = {
            let mut state = self.state.borrow_mut();
            self.metrics.note(event, &state);
            state.note(event);
            state.number
        };
        self.latest.send_replace(number);
    }
}

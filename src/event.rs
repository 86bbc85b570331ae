//! Events: everything that is told while clusters are looked after, and the listeners that are told.
//!
//! The controller, the daemon, a rehearsal and the simulator tell the same events. Whoever wants to know something is a
//! [`Listener`]: the log, the progress lines of a terminal, the transcript of a simulation.

use std::fmt;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use crate::action::Action;
use crate::ids::ClusterName;
use crate::observed::Observation;
use crate::plan::Plan;
use crate::ports::{ErrorKind, Outcome, PortError, chain};
use crate::revision::Standing;
use crate::spec::ClusterSpec;
use crate::spec::load::Loaded;
use crate::status::Status;
use crate::time::Timestamp;

/// One thing that happened. An event owns what it says, so that a listener can keep it; a copy costs next to nothing.
#[derive(Clone, Debug)]
pub struct Event {
    /// The moment that it is told, by the clock of the world that is acted on.
    pub at: Timestamp,
    /// The cluster that it is about, e.g. `consul-prod`; none if it is about the daemon, or about a file that names none.
    pub cluster: Option<ClusterName>,
    pub kind: EventKind,
}

/// The kinds of events, in the order in which a daemon first tells them.
#[derive(Clone, Debug)]
pub enum EventKind {
    /// The daemon begins to look after the clusters; if there is a lease, it holds it.
    Started {
        /// The source of desired state, e.g. `desired-state`.
        source: String,
        /// Whether the daemon plans without acting.
        observe_only: bool,
    },
    /// The source of desired state was asked for a newer revision. What is different in its files follows.
    SourceAsked(Rc<Asked>),
    /// The files of desired state were read. What is different in them follows.
    DesiredRead(Rc<Loaded>),
    /// A file can be used again: it was corrected, emptied or deleted.
    FileUsable(PathBuf),
    /// Some files broke, or broke in another way than before. Each of them follows as a [`FileBroken`](Self::FileBroken).
    ProblemsFound(Rc<Loaded>),
    /// A file cannot be used. If the event names a cluster, the last good version of that cluster's spec stays in force.
    FileBroken(PathBuf),
    /// No file declares the cluster any more. Nothing of it is changed.
    Orphaned,
    /// The cluster is declared for the first time, or in another way than before.
    DesiredChanged(Arc<ClusterSpec>),
    /// A pass has decided, and has not acted yet: what is about to be done is known even if the process dies of it.
    Planned(Rc<Pass>),
    /// A pass has carried out its action, or has failed to.
    Acted(Rc<Acted>),
    /// An internal assertion broke. The cluster is left alone until its spec changes.
    Broken,
    /// The lease is lost. Nothing more is begun until it is held again.
    LeaseLost,
    /// The daemon has finished the calls that were in flight, and looks after no cluster any more.
    Stopped,
}

/// A pass as far as it has come before it acts.
#[derive(Debug)]
pub struct Pass {
    pub spec: Arc<ClusterSpec>,
    pub seen: Observation,
    pub plan: Plan,
    pub status: Rc<Status>,
    /// Whether the answer differs from that of the cluster's pass before.
    pub is_new: bool,
}

/// A look at a source of revisions.
#[derive(Debug)]
pub struct Asked {
    pub standing: Arc<Standing>,
    /// Whether it stands differently than at the look before.
    pub is_new: bool,
}

/// An action that was carried out.
#[derive(Debug)]
pub struct Acted {
    pub action: Action,
    /// The status that the pass reported before it acted.
    pub status: Rc<Status>,
    pub outcome: Result<Outcome, Failed>,
}

/// The reason why an action failed, or why nobody knows what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    pub kind: ErrorKind,
    /// The error with its causes, e.g. `launch an instance for consul-a: RequestLimitExceeded: …`.
    pub why: String,
}

impl From<&PortError> for Failed {
    fn from(error: &PortError) -> Self {
        Self { kind: error.kind, why: chain(error) }
    }
}

/// Somebody who is told of every event.
///
/// **Listeners never act and never delay a pass.** A listener changes nothing in the world and cannot stop a cluster: it
/// takes note, and returns at once. A listener that has to wait (for a disk, for a network) puts the event into a queue of
/// its own and works on it elsewhere. A listener that cannot do its work says so in the log, and fails nobody.
pub trait Listener {
    /// Takes note of an event.
    fn hear(&self, event: &Event);
}

/// The listeners, in the order in which they are told.
#[derive(Clone, Default)]
pub struct Listeners<'l>(Vec<Rc<dyn Listener + 'l>>);

impl<'l> Listeners<'l> {
    /// Adds a listener, who is told after the others.
    #[must_use]
    pub fn with(mut self, listener: Rc<dyn Listener + 'l>) -> Self {
        self.0.push(listener);
        self
    }

    /// Tells everybody.
    pub fn tell(&self, at: Timestamp, cluster: Option<&ClusterName>, kind: EventKind) {
        if self.0.is_empty() {
            return;
        }
        let event = Event { at, cluster: cluster.cloned(), kind };
        self.0.iter().for_each(|listener| listener.hear(&event));
    }
}

impl fmt::Debug for Listeners<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} listeners", self.0.len())
    }
}

/// Says whether two answers are the same news: they differ in nothing but what changes by itself. That is spans of time, e.g.
/// `read 41s ago`, how often something has come to nothing, and how far a member is behind.
pub fn is_same_news(one: &str, other: &str) -> bool {
    fn is_number(word: &str) -> bool {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit())
    }
    fn lasting(text: &str) -> Vec<&str> {
        let mut kept: Vec<&str> = Vec::new();
        for word in text.split(' ') {
            let is_unit = matches!(word, "time" | "times" | "entry" | "entries" | "byte" | "bytes");
            let bare = word.trim_matches([',', ';', '(', ')']);
            if is_unit && kept.last().is_some_and(|before| is_number(before)) {
                kept.pop();
            } else if !bare.strip_suffix(['s', 'm', 'h', 'd']).is_some_and(is_number) {
                kept.push(word);
            }
        }
        kept
    }
    one == other || lasting(one) == lasting(other)
}

#[cfg(test)]
mod tests {
    use super::is_same_news;

    #[test]
    fn what_changes_by_itself_is_no_news() {
        for (one, other) in [
            ("the cloud was read 41s ago", "the cloud was read 1m 2s ago"),
            ("blocked: read 59s ago, and (2m)", "blocked: read 1h ago, and (3m)"),
            ("come to nothing 1 time since 12:00", "come to nothing 12 times since 12:00"),
            ("consul-a is 1 entry behind", "consul-a is 310 entries behind"),
        ] {
            assert!(is_same_news(one, other), "{one} / {other}");
        }
        for (one, other) in [
            ("the cloud was read 41s ago", "the claim was read 41s ago"),
            ("2 of 3 healthy", "3 of 3 healthy"),
            ("come to nothing 3 times since 12:00", "come to nothing 3 times since 12:30"),
            ("consul-a is 5 entries behind", "consul-b is 5 entries behind"),
        ] {
            assert!(!is_same_news(one, other), "{one} / {other}");
        }
    }
}

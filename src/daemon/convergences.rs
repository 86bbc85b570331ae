//! The convergence of each cluster of a daemon: a fold over the daemon's events.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::rc::Rc;

use tokio::sync::Notify;

use crate::controller::convergence::{Confirmation, Convergence};
use crate::event::{Event, EventKind, Listener};
use crate::ids::ClusterName;
use crate::status::Status;

/// The convergence of each cluster, and the files that are broken.
#[derive(Debug, Default)]
pub struct Convergences {
    clusters: RefCell<BTreeMap<ClusterName, Cluster>>,
    broken_files: RefCell<BTreeSet<PathBuf>>,
    changed: Notify,
}

#[derive(Debug)]
struct Cluster {
    convergence: Convergence,
    confirmation: Confirmation,
    /// The report of the latest pass, before it acted.
    status: Option<Rc<Status>>,
}

impl Convergences {
    /// The convergence of each cluster, by name.
    pub fn by_cluster(&self) -> BTreeMap<ClusterName, Convergence> {
        self.clusters.borrow().iter().map(|(name, cluster)| (name.clone(), cluster.convergence)).collect()
    }

    /// The status that the latest pass of a cluster reported, if there was one.
    pub fn latest(&self, name: &ClusterName) -> Option<Rc<Status>> {
        self.clusters.borrow().get(name)?.status.clone()
    }

    /// The worst convergence; none if there is no cluster.
    pub fn worst(&self) -> Option<Convergence> {
        self.clusters.borrow().values().map(|cluster| cluster.convergence).max()
    }

    /// Whether every cluster has come to an end. What one cluster cannot do does not keep the others from being finished.
    pub fn are_final(&self) -> bool {
        self.clusters.borrow().values().all(|cluster| cluster.convergence != Convergence::UnderWay)
    }

    /// Whether some file cannot be used.
    pub fn has_broken_files(&self) -> bool {
        !self.broken_files.borrow().is_empty()
    }

    /// Resolves when the convergence of some cluster has changed since this was asked last.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    fn set(&self, name: &ClusterName, judge: impl FnOnce(&mut Confirmation) -> Convergence) {
        let mut clusters = self.clusters.borrow_mut();
        let fresh =
            || Cluster { convergence: Convergence::UnderWay, confirmation: Confirmation::default(), status: None };
        let cluster = clusters.entry(name.clone()).or_insert_with(fresh);
        let convergence = judge(&mut cluster.confirmation);
        if std::mem::replace(&mut cluster.convergence, convergence) != convergence {
            self.changed.notify_one();
        }
    }
}

impl Listener for Convergences {
    fn hear(&self, event: &Event) {
        match (&event.kind, &event.cluster) {
            (EventKind::Started { .. }, _) => {
                self.clusters.borrow_mut().clear();
                self.broken_files.borrow_mut().clear();
            }
            (EventKind::FileBroken(path), _) => _ = self.broken_files.borrow_mut().insert(path.clone()),
            (EventKind::FileUsable(path), _) => _ = self.broken_files.borrow_mut().remove(path),
            (EventKind::DesiredChanged(_), Some(name)) => self.set(name, |_| Convergence::UnderWay),
            (EventKind::Planned(pass), Some(name)) => {
                self.set(name, |confirmation| confirmation.after(&pass.plan, pass.seen.now));
                if let Some(cluster) = self.clusters.borrow_mut().get_mut(name) {
                    cluster.status = Some(pass.status.clone());
                }
            }
            (EventKind::Broken, Some(name)) => self.set(name, |_| Convergence::Broken),
            (EventKind::Orphaned, Some(name)) => _ = self.clusters.borrow_mut().remove(name),
            _ => {}
        }
    }
}

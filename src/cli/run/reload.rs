//! `systemctl reload`: a service manager's SIGHUP has desired state looked at again now. Files are followed, and a repository is
//! asked from time to time, so this is for whoever does not want to wait for that.

use std::rc::Rc;
use std::sync::Arc;

use futures_util::future::LocalBoxFuture;
use tokio::sync::Notify;

use crate::daemon::source::{Source, Wish};
use crate::revision::Standing;
use crate::spec::load::Loaded;

/// A source that is looked at again at each hang-up too.
pub(super) struct Reloaded<S> {
    source: S,
    /// The bell that a hang-up rings; none where it asks the process to end.
    hang_ups: Option<Arc<Notify>>,
}

impl<S> Reloaded<S> {
    pub(super) fn new(source: S, hang_ups: Option<Arc<Notify>>) -> Self {
        Self { source, hang_ups }
    }
}

impl<S: Source> Source for Reloaded<S> {
    fn name(&self) -> String {
        self.source.name()
    }

    async fn changed(&mut self) {
        let Some(hang_ups) = &self.hang_ups else { return self.source.changed().await };
        tokio::select! {
            biased;
            () = hang_ups.notified() => {
                tracing::info!(source = self.source.name(), "SIGHUP: looked at again");
                if let Some(wish) = self.source.wish() {
                    wish.make();
                }
            }
            () = self.source.changed() => {}
        }
    }

    fn load(&self) -> LocalBoxFuture<'static, Loaded> {
        self.source.load()
    }

    fn standing(&self) -> Option<Arc<Standing>> {
        self.source.standing()
    }

    fn is_outdated(&mut self) -> bool {
        self.source.is_outdated()
    }

    fn wish(&self) -> Option<Rc<Wish>> {
        self.source.wish()
    }
}

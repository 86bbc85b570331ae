//! Sources of desired state.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use futures_util::future::LocalBoxFuture;
use tokio::sync::Notify;

use crate::revision::Standing;
use crate::spec::load::Loaded;

/// A place where desired state comes from, e.g. a folder of files.
#[allow(async_fn_in_trait)] // one thread, no `Send`
pub trait Source {
    /// The source as a person knows it, e.g. `desired-state`.
    fn name(&self) -> String;

    /// Resolves when desired state may have changed, and rather too often than too late. May be dropped while it waits,
    /// and loses nothing by that.
    async fn changed(&mut self);

    /// Reads all desired state as it is now. A problem with a part of it is reported with that part. However long reading takes,
    /// whoever waits for it can do other things meanwhile.
    fn load(&self) -> LocalBoxFuture<'static, Loaded>;

    /// Tells how the source stands, where it has revisions. None where it is a folder of files.
    fn standing(&self) -> Option<Arc<Standing>> {
        None
    }

    /// Says whether what is known is too old to begin with, e.g. after another controller has held the lease. The source is looked at
    /// then, and [`changed`](Self::changed) resolves once that has gone well or badly.
    fn is_outdated(&mut self) -> bool {
        false
    }

    /// Shares the wish that the source is looked at soon. None where it notices by itself what is new.
    fn wish(&self) -> Option<Rc<Wish>> {
        None
    }
}

/// Somebody's wish that a source is looked at soon. It changes nothing else.
#[derive(Debug, Default)]
pub struct Wish {
    is_made: Cell<bool>,
    bell: Notify,
}

impl Wish {
    /// Makes the wish, which is one however often it is made.
    pub fn make(&self) {
        self.is_made.set(true);
        self.bell.notify_one();
    }

    /// Says whether it is made, and not fulfilled yet.
    pub(super) fn is_made(&self) -> bool {
        self.is_made.get()
    }

    /// Takes note that the source is looked at.
    pub(super) fn fulfil(&self) {
        self.is_made.set(false);
    }

    /// Resolves when the wish is made.
    pub(super) async fn heard(&self) {
        self.bell.notified().await;
    }
}

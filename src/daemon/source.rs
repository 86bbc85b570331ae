//! Sources of desired state.

use futures_util::future::LocalBoxFuture;

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
}

//! Work on a disk, on a thread of its own: one that does not answer holds up neither signals nor clusters.

use std::thread;

use tokio::sync::oneshot;

/// Does something on a thread of its own. None if there is no thread for it.
pub(super) async fn aside<T: Send + 'static>(name: &str, doing: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (sender, receiver) = oneshot::channel();
    let work = move || _ = sender.send(doing());
    match thread::Builder::new().name(name.to_owned()).spawn(work) {
        Ok(_) => receiver.await.ok(),
        Err(error) => {
            tracing::warn!(%error, name, "cannot start a thread");
            None
        }
    }
}

//! Which events are a reason to look.

use notify::event::{AccessKind, AccessMode, DataChange, Flag, ModifyKind};

use super::*;

const WRITE: EventKind = EventKind::Modify(ModifyKind::Data(DataChange::Any));

fn bell() -> Bell {
    let bell = Bell::default();
    bell.with_watched(|watched| {
        watched.trees.insert("/desired".into());
        watched.waypoints.extend(["/desired".into(), "/desired/..data".into(), "/elsewhere/userdata".into()]);
    });
    bell
}

/// Whether an event rings.
async fn rings(event: notify::Result<Event>) -> bool {
    let bell = bell();
    bell.hear(event);
    timeout_at(Instant::now(), bell.rung.notified()).await.is_ok()
}

async fn rings_at(path: &str) -> bool {
    rings(Ok(Event::new(WRITE).add_path(path.into()))).await
}

#[tokio::test]
async fn an_overflowed_queue_wakes_although_it_names_no_path() {
    assert!(rings(Ok(Event::new(EventKind::Other).set_flag(Flag::Rescan))).await);
}

#[tokio::test]
async fn an_error_wakes() {
    assert!(rings(Err(notify::Error::generic("what"))).await);
}

#[tokio::test]
async fn reading_does_not_wake() {
    for kind in [AccessKind::Open(AccessMode::Any), AccessKind::Close(AccessMode::Read), AccessKind::Read] {
        assert!(!rings(Ok(Event::new(EventKind::Access(kind)).add_path("/desired/a.yaml".into()))).await);
    }
}

#[tokio::test]
async fn what_lies_in_a_tree_or_on_the_way_to_it_wakes() {
    for path in ["/desired", "/desired/a.yaml", "/desired/..data", "/elsewhere/userdata"] {
        assert!(rings_at(path).await, "{path}");
    }
}

#[tokio::test]
async fn what_lies_beside_the_way_or_is_hidden_does_not_wake() {
    for path in ["/", "/other", "/elsewhere/other", "/desired/.a.yaml.swp", "/desired/sub/unknown"] {
        assert!(!rings_at(path).await, "{path}");
    }
}

#[tokio::test]
async fn the_poll_alone_serves_where_nothing_can_be_watched() {
    let mut watch = Watch::new(&[]);
    watch.watcher = None;
    watch.poll_at = Instant::now();
    watch.changed().await;
    assert!(watch.poll_at > Instant::now());
}

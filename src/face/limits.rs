//! The limits of the port: what one request may be, how long it may take, and how many there may be at once.

use std::time::Duration;

/// The longest head of a request, in bytes.
pub const LONGEST_HEAD: usize = 16 << 10;
/// The most header lines of a request.
pub const MOST_HEADERS: usize = 64;
/// The time that a caller has to send the head of a request.
pub const HEAD_WITHIN: Duration = Duration::from_secs(5);
/// The longest body of a webhook's call, in bytes: GitHub's own limit. Nothing of it is kept.
pub const LONGEST_HOOK: usize = 25 << 20;
/// The time that a caller has to take an answer.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// The most connections at once. Further ones wait until one ends, in the kernel's queue.
pub const MOST_CONNECTIONS: usize = 128;
/// The most streams at once. Further ones are refused with 503.
pub const MOST_STREAMS: usize = 16;
/// The shortest pause between two messages of one stream about the same thing.
pub const BETWEEN_MESSAGES: Duration = Duration::from_secs(1);
/// The pause after which a stream without news sends a comment, so that both ends know that the other is there.
pub const HEARTBEAT: Duration = Duration::from_secs(15);
/// The time after which a stream whose caller takes nothing is ended.
pub const STUCK_AFTER: Duration = Duration::from_secs(60);
/// The most such times that a stream lasts. A caller then begins a new one, as browsers do by themselves.
pub const LONGEST_STREAM: u32 = 60;
/// The pause after a connection could not be accepted, e.g. because the process has no file left to open.
pub const AFTER_FAILED_ACCEPT: Duration = Duration::from_millis(100);
/// The longest pause between passes of a cluster in a daemon that lives. Passes that fail are passes: an outage of AWS is no
/// reason to restart anything. The longest pause that a pass asks for is a minute, and each call has its own limit below ten.
pub const LIVES_WITHIN: Duration = Duration::from_secs(15 * 60);

//! The fate of one call.

use crate::ports::ErrorKind;
use crate::sim::time::Millis;
use crate::sim::words::CrashPoint;

/// A caller gives up waiting for an answer after 10 s.
pub const TIMEOUT: Millis = 10_000;

/// EC2 refuses a request that was signed longer ago, or by a clock that is further off (`RequestExpired`).
pub const SIGNATURE_LIFE: Millis = 300_000;

/// The longest that a call is held up between its sender's last check and EC2. A sender gives up after [`TIMEOUT`], and what
/// has not arrived by then never does.
pub const LONGEST_ON_THE_WIRE: Millis = 9_000;

/// The faults that one call meets.
#[derive(Clone, Debug, Default)]
pub struct CallFate {
    /// The call fails before it has any effect.
    pub refused: Option<ErrorKind>,
    /// The call takes effect, and its answer is lost: the caller hears of a failure after this time.
    pub lost: Option<Millis>,
    pub crash: Option<CrashPoint>,
    /// The call takes effect, and then again.
    pub twice: bool,
    /// The controller stands still for this long before it sends the call.
    pub pause: Option<Millis>,
    /// The controller stands still for this long between its very last check and the wire.
    pub frozen: Option<Millis>,
    /// The call to EC2 is on its way for this long after that check, whatever becomes of its sender meanwhile.
    pub wire: Option<Millis>,
}

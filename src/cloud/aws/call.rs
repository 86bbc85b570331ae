//! The one way to send anything: at its turn, within a span, counted, and with its failure understood.

use std::error::Error;
use std::future::Future;
use std::time::Duration;

use aws_sdk_ec2::config::http::HttpResponse;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use tracing::{Instrument, Span};

use super::error::Failure;
use super::operation::Operation;
use super::{Aws, Region};
use crate::ports::{Clock, ErrorKind};
use crate::time::{Human, Timestamp, elapsed};

/// A look may wait so long for its turn. Longer means that more is asked for than EC2 could give.
const PATIENCE: Duration = Duration::from_secs(60);
/// A change waits less: what was decided is to be sent within seconds or not at all.
const PATIENCE_OF_CHANGE: Duration = Duration::from_secs(5);
/// A question without an answer is asked again after these pauses.
const ASKED_AGAIN_AFTER: [Duration; 2] = [Duration::from_millis(200), Duration::from_millis(800)];

/// The wait before a question is asked again that was one too many: each bucket of EC2's gets a few requests back meanwhile.
const WHILE_BUCKETS_FILL: Duration = Duration::from_secs(5);

impl<C: Clock> Aws<C> {
    /// Asks something that changes nothing; again, if no answer came. A look is many questions, and one that is lost
    /// would lose the whole look. After one that nobody answered at all the others are asked once, until one is answered: who
    /// looks at thirty things hears of a dead endpoint at once, and not after half a minute. A question that EC2 finds one too
    /// many is left to who looks: he has to slow down. Where nobody looks again, it is asked once more after a wait.
    pub(super) async fn ask<T, E, F>(
        &self,
        region: &Region,
        operation: Operation,
        request: impl Fn() -> F,
    ) -> Result<T, Failure>
    where
        E: ProvideErrorMetadata + Error + 'static,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        let pauses = if self.silent.get() { &[][..] } else { &ASKED_AGAIN_AFTER };
        for pause in pauses {
            match self.once(region, operation, request()).await {
                Err(failure) if failure.is(ErrorKind::Unreachable) => self.clock.sleep(*pause).await,
                Err(failure) if failure.is(ErrorKind::Throttled) && self.patient => {
                    self.clock.sleep(WHILE_BUCKETS_FILL).await;
                    break;
                }
                answer => return answer,
            }
        }
        let answer = self.once(region, operation, request()).await;
        self.silent.set(answer.as_ref().is_err_and(|failure| failure.is(ErrorKind::Unreachable)));
        answer
    }

    /// Sends something when it is its turn, whatever comes of it.
    pub(super) async fn once<T, E>(
        &self,
        region: &Region,
        operation: Operation,
        request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, Failure>
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        self.take_turn(region, operation, PATIENCE).await?;
        self.send(region, operation, request).await
    }

    /// Waits until a change may be sent, so that nothing has to wait between the look before it and the change.
    pub(super) async fn turn(&self, region: &Region, operation: Operation) -> Result<(), Failure> {
        self.take_turn(region, operation, PATIENCE_OF_CHANGE).await
    }

    async fn take_turn(&self, region: &Region, operation: Operation, patience: Duration) -> Result<(), Failure> {
        if region.limiter.borrow_mut().borrow(operation.row(), self.clock.now()) {
            return Ok(());
        }
        let turn = region.limiter.borrow_mut().reserve(operation.row(), self.clock.now(), patience);
        match turn {
            Ok(Duration::ZERO) => Ok(()),
            Ok(wait) => {
                self.clock.sleep(wait).await;
                Ok(())
            }
            Err(wait) => {
                let text = format!("our own rate limit has no room for it for another {}", Human(wait));
                Err(Failure::ours(operation, ErrorKind::Throttled, "own-limit", text))
            }
        }
    }

    /// Sends something now. Its turn must have been taken.
    pub(super) async fn send<T, E>(
        &self,
        region: &Region,
        operation: Operation,
        request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, Failure>
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let (span, sent) = self.begin(region, operation);
        let answer = understood(operation, request).instrument(span.clone()).await;
        self.end(&span, sent, operation, answer.as_ref().err());
        answer
    }

    fn begin(&self, region: &Region, operation: Operation) -> (Span, Timestamp) {
        let span = tracing::debug_span!(
            "ec2.call",
            operation = operation.name,
            region = region.name,
            code = tracing::field::Empty,
            milliseconds = tracing::field::Empty,
        );
        (span, self.clock.now())
    }

    fn end(&self, span: &Span, sent: Timestamp, operation: Operation, failure: Option<&Failure>) {
        let code = failure.map_or("ok", |failure| failure.code.as_str());
        let milliseconds = elapsed(self.clock.now(), sent).as_millis() as u64;
        span.record("code", code).record("milliseconds", milliseconds);
        span.in_scope(|| tracing::debug!("answered"));
        *self.calls.borrow_mut().entry((operation.name, code.to_owned())).or_default() += 1;
    }
}

/// A request whose failure is understood. On the heap: the SDK's futures are tens of kilobytes, and whoever waits for one by
/// value is compiled anew for each operation, which took most of the time of a build.
fn understood<'a, T: 'a, E>(
    operation: Operation,
    request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>> + 'a,
) -> LocalBoxFuture<'a, Result<T, Failure>>
where
    E: ProvideErrorMetadata + Error + 'static,
{
    request.map(move |answer| answer.map_err(|error| Failure::new(operation, &error))).boxed_local()
}

//! The time at AWS: the date that every answer bears, a refusal too.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_sdk_sts::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_sts::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_sts::error::BoxError;

use super::{Aws, operation};
use crate::ports::{Clock, ErrorKind, PortError};
use crate::time::Timestamp;

const DOING: &str = "ask what time it is";

/// The date of the last answer.
#[derive(Clone, Debug, Default)]
struct Heard(Arc<Mutex<Option<String>>>);

impl Heard {
    fn date(&self) -> MutexGuard<'_, Option<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Intercept for Heard {
    fn name(&self) -> &'static str {
        "Heard"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date").map(str::to_owned);
        *self.date() = date;
        Ok(())
    }
}

impl<C: Clock> Aws<C> {
    /// The time in a region, to the second. Who asks need not be allowed anything.
    pub async fn time(&self, region: &str) -> Result<Timestamp, PortError> {
        let region = self.region(region);
        let (call, heard) = (region.sts.get_caller_identity(), Heard::default());
        let ask = || call.clone().customize().interceptor(heard.clone()).send();
        let answer = self.ask(&region, operation::GET_CALLER_IDENTITY, ask).await;
        let date = heard.date().take();
        match (date.and_then(|date| jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(&date).ok()), answer) {
            (Some(time), _) => Ok(time),
            (None, Err(failure)) => Err(failure.while_doing(DOING)),
            (None, Ok(_)) => Err(PortError::new(DOING, ErrorKind::Unreachable, "the answer bears no date")),
        }
    }
}

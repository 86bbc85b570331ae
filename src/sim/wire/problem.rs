//! Refusals in AWS's own codes, with the status that each has.

use super::xml::{Xml, document};
use crate::ports::ErrorKind;
use crate::sim::words::Refusal;

/// A refused request.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    pub code: String,
    pub message: String,
}

/// Codes that come with another status than 400.
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>)
const STATUSES: [(u16, &[&str]); 5] = [
    (401, &["AuthFailure"]),
    (403, &["UnauthorizedOperation", "AccessDenied", "MissingAuthenticationToken"]),
    (412, &["DryRunOperation"]),
    (500, &["InternalError", "InsufficientInstanceCapacity"]),
    (503, &["RequestLimitExceeded", "Unavailable"]),
];

/// Codes that the world's own refusals begin with, and that EC2 has.
const KNOWN: [&str; 22] = [
    "RequestExpired",
    "RequestLimitExceeded",
    "ConcurrentSnapshotLimitExceeded",
    "SnapshotCreationPerVolumeRateExceeded",
    "InvalidInstanceID.NotFound",
    "InvalidVolume.NotFound",
    "InvalidSnapshot.NotFound",
    "InvalidAMIID.NotFound",
    "InvalidVolume.ZoneMismatch",
    "AttachmentLimitExceeded",
    "CustomerKeyHasBeenRevoked",
    "OperationNotPermitted",
    "InsufficientInstanceCapacity",
    "InsufficientFreeAddressesInSubnet",
    "IdempotentInstanceTerminated",
    "IdempotentParameterMismatch",
    "InvalidParameterCombination",
    "InvalidParameterDependency",
    "InvalidBlockDeviceMapping",
    "VolumeModificationRateExceeded",
    "MissingParameter",
    "UnknownVolumeType",
];

impl Problem {
    /// A refusal with a code of AWS's.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into() }
    }

    /// A value that AWS does not take.
    pub fn value(message: impl Into<String>) -> Self {
        Self::new("InvalidParameterValue", message)
    }

    /// The status of the answer.
    pub fn status(&self) -> u16 {
        STATUSES.iter().find(|(_, codes)| codes.contains(&self.code.as_str())).map_or(400, |(status, _)| *status)
    }

    /// Writes the refusal in EC2's form.
    pub fn in_ec2(&self, request: &str) -> String {
        let error = Xml::group("Error", self.says());
        document("Response", None, &[Xml::group("Errors", [error]), Xml::text("RequestID", request)])
    }

    /// Writes the refusal in the form of the other services.
    pub fn elsewhere(&self, namespace: &str, request: &str) -> String {
        let kind = if self.status() >= 500 { "Receiver" } else { "Sender" };
        let error = Xml::group("Error", std::iter::once(Xml::text("Type", kind)).chain(self.says()));
        document("ErrorResponse", Some(namespace), &[error, Xml::text("RequestId", request)])
    }

    fn says(&self) -> [Xml; 2] {
        [Xml::text("Code", &self.code), Xml::text("Message", &self.message)]
    }
}

/// The code that EC2 has for a kind of failure where nothing more is known.
fn code_of(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Throttled => "RequestLimitExceeded",
        ErrorKind::Denied => "UnauthorizedOperation",
        ErrorKind::NoCapacity => "InsufficientInstanceCapacity",
        ErrorKind::NotFound => "InvalidInstanceID.NotFound",
        ErrorKind::Invalid => "InvalidParameterValue",
        ErrorKind::TokenSpent => "IdempotentParameterMismatch",
        ErrorKind::Unreachable => "InternalError",
        ErrorKind::Unknown => "SomethingUnheardOf",
    }
}

impl From<ErrorKind> for Problem {
    fn from(kind: ErrorKind) -> Self {
        Self::new(code_of(kind), format!("The simulated world refuses this call: {kind}"))
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let first = refusal.text.split([':', ' ']).next().unwrap_or_default();
        let known = KNOWN.into_iter().find(|code| *code == first);
        let code = match known {
            Some(code) => code,
            None if first == "ValidationError" => "ValidationError",
            None => code_of(refusal.kind),
        };
        // The text of a refusal begins with its code, which is not said twice.
        let said = refusal.text.strip_prefix(code).and_then(|rest| rest.strip_prefix(": "));
        Self::new(code, said.unwrap_or(&refusal.text))
    }
}

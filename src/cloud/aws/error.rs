//! Refusals of AWS, and what follows from each: one closed table of codes. Text never decides.

use std::error::Error;
use std::fmt;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_ec2::config::http::HttpResponse;
use aws_sdk_ec2::error::{ErrorMetadata, ProvideErrorMetadata, SdkError};
use aws_sdk_ec2::operation::RequestId;

use super::operation::Operation;
use crate::input::text;
use crate::ports::{ErrorKind, PortError};

/// Consequence of a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The call failed so.
    Failed(ErrorKind),
    /// The world is not as the call expects: it moved between the look and the call.
    Changed,
    /// A dry run that would have been allowed.
    Allowed,
}

use ErrorKind::{Denied, Invalid, NoCapacity, NotFound, Throttled, TokenSpent, Unreachable};
use Meaning::{Allowed, Changed, Failed};

/// Every code that we know. Any other is unknown, and an unknown code holds the cluster.
#[rustfmt::skip]
const CODES: &[(Meaning, &[&str])] = &[
    (Failed(Throttled), &[
        "RequestLimitExceeded", "Throttling", "ThrottlingException", "ThrottledException", "EC2ThrottledException",
        "RequestThrottled", "RequestThrottledException", "SlowDown", "BandwidthLimitExceeded", "PriorRequestNotComplete",
        "TooManyRequestsException",
        // These pass: fifteen seconds between snapshots of a volume, tags that somebody else writes, too many at once.
        "SnapshotCreationPerVolumeRateExceeded", "ConcurrentSnapshotLimitExceeded", "PendingSnapshotLimitExceeded",
        "ConcurrentTagAccess",
        // Auto Scaling is at something else with this group.
        "ResourceContention", "ScalingActivityInProgress",
    ]),
    (Failed(Denied), &[
        "UnauthorizedOperation", "AccessDenied", "AccessDeniedException", "OperationNotPermitted", "AuthFailure",
        "InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch", "InvalidSignatureException",
        "IncompleteSignature", "MissingAuthenticationToken", "NotAuthorized",
        "ExpiredToken", "ExpiredTokenException", "OptInRequired", "Blocked", "PendingVerification",
        "CustomerKeyHasBeenRevoked", "InvalidKMSKey.InvalidState", "ServiceLinkedRoleFailure",
    ]),
    (Failed(NoCapacity), &[
        "InsufficientInstanceCapacity", "InsufficientHostCapacity", "InsufficientReservedInstanceCapacity",
        "InsufficientCapacity", "InsufficientVolumeCapacity", "InsufficientFreeAddressesInSubnet",
        "InsufficientAddressCapacity", "InstanceLimitExceeded", "VcpuLimitExceeded", "VolumeLimitExceeded",
        "MaxIOPSLimitExceeded", "SnapshotLimitExceeded", "MaxSpotInstanceCountExceeded",
        "ReservationCapacityExceeded", "NetworkInterfaceLimitExceeded", "PrivateIpAddressLimitExceeded",
        "VolumeModificationSizeLimitExceeded",
        "ResourceLimitExceeded", "LimitExceeded", "LaunchTemplateVersionLimitExceeded", "VersionLimitExceeded",
    ]),
    // Things of ours, which EC2 may not show yet.
    (Failed(NotFound), &["InvalidInstanceID.NotFound", "InvalidVolume.NotFound", "InvalidSnapshot.NotFound", "InvalidID",
        "InvalidNetworkInterfaceID.NotFound"]),
    // Things that a person has named. EC2 may not know yet what was made a moment ago: whoever counts refusals gives a
    // launch some minutes.
    (Failed(Invalid), &[
        "InvalidAMIID.NotFound", "InvalidSubnetID.NotFound", "InvalidVpcID.NotFound", "InvalidGroup.NotFound",
        "InvalidSecurityGroupID.NotFound", "InvalidKeyPair.NotFound", "InvalidIamInstanceProfileArn.Malformed",
        "InvalidPlacementGroup.Unknown", "InvalidLaunchTemplateId.NotFound", "InvalidLaunchTemplateId.VersionNotFound",
        "InvalidLaunchTemplateName.NotFoundException",
    ]),
    (Failed(Invalid), &[
        "InvalidParameterValue", "InvalidParameterCombination", "InvalidParameter", "MissingParameter",
        "UnknownParameter", "ValidationError", "Unsupported", "UnsupportedOperation", "UnsupportedException",
        "InvalidInstanceID.Malformed", "InvalidInstanceID", "InvalidAMIID.Malformed", "InvalidAMIID.Unavailable",
        "InvalidGroupId.Malformed", "InvalidSubnetID.Malformed", "InvalidParameterValue.Malformed", "InvalidUserData.Malformed",
        "InvalidInstanceType", "InvalidInstanceAttributeValue", "InvalidBlockDeviceMapping", "InvalidDevice.InUse",
        "InvalidVolume.ZoneMismatch", "InvalidVolumeID.ZoneMismatch", "InvalidVolumeID.Malformed",
        "InvalidVolumeID.Duplicate", "InvalidZone.NotFound", "AttachmentLimitExceeded", "TagLimitExceeded",
        "InvalidTagKey.Malformed", "TagPolicyViolation", "EncryptedVolumesNotSupported", "InvalidAction",
        "InvalidClientToken", "InvalidFilter", "InvalidNextToken", "InvalidPaginationToken", "MalformedQueryString",
        "InvalidEndpointException", "InvalidRequest", "InvalidSubnet", "VPCIdNotSpecified", "DefaultVpcDoesNotExist",
        "InvalidLaunchTemplateId.Malformed", "InvalidQueryParameter", "AlreadyExists",
        "InvalidIPAddress.InUse", "InvalidNetworkInterface.InUse", "InvalidNetworkInterfaceId.Malformed", "NoSuchVersion",
        "VolumeTypeNotAvailableInZone", "UnknownVolumeType",
        // Six hours between the modifications of a volume: to ask again soon is of no use.
        "VolumeModificationRateExceeded",
    ]),
    (Failed(TokenSpent), &["IdempotentParameterMismatch", "IdempotentInstanceTerminated"]),
    (Failed(Unreachable), &[
        "InternalError", "InternalFailure", "InternalServerError", "InternalServiceError", "ServiceUnavailable",
        "Unavailable", "Server.Unavailable", "ServerInternal", "RequestTimeout", "RequestTimeoutException",
        // The request lay about for too long, or the clock is wrong. Sent again it is signed anew.
        "RequestExpired", "InvalidSecurity.RequestHasExpired", "RequestTimeTooSkewed",
    ]),
    (Changed, &[
        "IncorrectState", "IncorrectInstanceState", "IncorrectModificationState", "VolumeInUse",
        "InvalidAttachment.NotFound", "IncorrectStateException", "ResourceInUse",
    ]),
    (Allowed, &["DryRunOperation"]),
];

fn meaning_of(code: &str) -> Option<Meaning> {
    CODES.iter().find(|(_, codes)| codes.contains(&code)).map(|(meaning, _)| *meaning)
}

/// A call that was refused, or that nobody answered.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) operation: Operation,
    /// AWS's code, or our word for why there is none: `timeout`, `no-answer`, `no-credentials` …
    pub(super) code: String,
    pub(super) meaning: Meaning,
    text: String,
    request: Option<String>,
}

impl Failure {
    /// From what the SDK says.
    pub(super) fn new<E>(operation: Operation, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let without_code = match error {
            SdkError::TimeoutError(_) => ("timeout", Unreachable),
            SdkError::DispatchFailure(_) => ("no-answer", Unreachable),
            SdkError::ConstructionFailure(_) => ("not-sent", Invalid),
            SdkError::ResponseError(_) => ("unreadable", Unreachable),
            _ => ("no-code", ErrorKind::Unknown),
        };
        Self::of(operation, error.meta(), error.raw_response(), error, without_code)
    }

    /// The same of an error of whatever type: `without_code` is what it counts as where nobody has said a code.
    fn of(
        operation: Operation,
        told: &ErrorMetadata,
        response: Option<&HttpResponse>,
        error: &(dyn Error + 'static),
        without_code: (&str, ErrorKind),
    ) -> Self {
        let request = response.and_then(RequestId::request_id).map(str::to_owned);
        let credentials = cause::<CredentialsError>(error);
        let text = told
            .message()
            .map_or_else(|| credentials.map_or_else(|| in_words(error), |error| in_words(error)), str::to_owned);
        let server_error = response.is_some_and(|response| response.status().as_u16() >= 500);
        let (code, meaning) = match (told.code(), credentials) {
            (Some(code), _) => {
                let unknown = || Failed(if server_error { Unreachable } else { ErrorKind::Unknown });
                (code, meaning_of(code).unwrap_or_else(unknown))
            }
            (None, Some(CredentialsError::ProviderTimedOut(_))) => ("credentials-timeout", Failed(Unreachable)),
            (None, Some(_)) => ("no-credentials", Failed(Denied)),
            // Neither an answer nor an error of AWS: a proxy's page, or half an answer.
            (None, None) if server_error => ("server-error", Failed(Unreachable)),
            (None, None) => (without_code.0, Failed(without_code.1)),
        };
        Self { operation, code: code.to_owned(), meaning, text, request }
    }

    /// A refusal of our own.
    pub(super) fn ours(operation: Operation, kind: ErrorKind, code: &str, text: impl Into<String>) -> Self {
        Self { operation, code: code.to_owned(), meaning: Failed(kind), text: text.into(), request: None }
    }

    /// Whether it failed so.
    pub(super) fn is(&self, kind: ErrorKind) -> bool {
        self.meaning == Failed(kind)
    }

    /// Whether AWS does not know who asks, so that nothing was decided about what they may do. In words that are the same for
    /// every call.
    pub(super) fn about_who_asks(&self) -> Option<String> {
        let is_of_them = WHO_ASKS.contains(&self.code.as_str());
        let advice = self.advice().map(|advice| format!("; {advice}")).unwrap_or_default();
        is_of_them.then(|| format!("{}: {}{advice}", self.code, self.text.trim_end_matches('.')))
    }

    /// As a port says it. What only a change can meet is, for anybody else, a code that is not expected.
    pub(super) fn while_doing(self, doing: impl Into<String>) -> PortError {
        let kind = match self.meaning {
            Failed(kind) => kind,
            Changed | Allowed => ErrorKind::Unknown,
        };
        PortError::new(doing, kind, self)
    }

    /// Says what a person can do about it.
    fn advice(&self) -> Option<String> {
        let action = self.operation.action();
        Some(match self.code.as_str() {
            "UnauthorizedOperation" | "AccessDenied" | "AccessDeniedException" => {
                format!("allow {action} to the role; `aws sts decode-authorization-message` tells what refused it")
            }
            "AuthFailure" | "InvalidClientTokenId" | "UnrecognizedClientException" | "SignatureDoesNotMatch" => {
                "check the credentials with `aws sts get-caller-identity`".to_owned()
            }
            "ExpiredToken" | "ExpiredTokenException" => "the credentials have expired: log in again".to_owned(),
            "RequestExpired" | "RequestTimeTooSkewed" | "InvalidSecurity.RequestHasExpired" => {
                "check this machine's clock, and whether the credentials have expired".to_owned()
            }
            "no-credentials" => "log in, set AWS_PROFILE, or give the instance a role".to_owned(),
            "OperationNotPermitted" => {
                "the instance is protected: `aws ec2 modify-instance-attribute` takes that off".to_owned()
            }
            "CustomerKeyHasBeenRevoked" | "InvalidKMSKey.InvalidState" => {
                "enable the volume's KMS key, and let the role use it".to_owned()
            }
            "OptInRequired" => "opt in to the region, or subscribe to the image".to_owned(),
            "PendingVerification" | "Blocked" => "AWS support must clear the account".to_owned(),
            "InvalidAMIID.Unavailable" | "InvalidAMIID.NotFound" => {
                "check that the image exists in this region and is shared with this account".to_owned()
            }
            "InvalidSubnetID.NotFound" | "InvalidGroup.NotFound" | "InvalidKeyPair.NotFound" => {
                "check that the file names what exists in this region and account".to_owned()
            }
            "InvalidParameterValue" if action == "ec2:RunInstances" => {
                "check what the file says of the instance, its `iamInstanceProfile` among it: one that was just made is known to EC2 after a minute or two".to_owned()
            }
            "VcpuLimitExceeded" => {
                "ask for more vCPUs in Service Quotas (L-1216C47A, for types of the families A, C, D, H, I, M, R, T and Z), or commit a smaller type".to_owned()
            }
            "SnapshotLimitExceeded" | "InstanceLimitExceeded" | "VolumeLimitExceeded" => {
                "ask AWS for a higher quota".to_owned()
            }
            _ => return None,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.operation.name, self.code, self.text.trim_end_matches('.'))?;
        if let Some(request) = &self.request {
            write!(f, " (request {request})")?;
        }
        match self.advice() {
            Some(advice) => write!(f, "; {advice}"),
            None => Ok(()),
        }
    }
}

impl Error for Failure {}

/// Refusals of whoever asks, whatever is asked for.
const WHO_ASKS: [&str; 11] = [
    "no-credentials",
    "credentials-timeout",
    "AuthFailure",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "SignatureDoesNotMatch",
    "InvalidSignatureException",
    "IncompleteSignature",
    "MissingAuthenticationToken",
    "ExpiredToken",
    "ExpiredTokenException",
];

/// The most characters of an error with its causes.
const LONGEST: usize = 1_000;

/// Puts an error with its causes into one line, in the words that each has for people; what repeats another is left out.
pub(super) fn in_words(error: &(dyn Error + 'static)) -> String {
    let mut said = Vec::<String>::new();
    let mut next = Some(error);
    while let Some(cause) = next {
        next = cause.source();
        let words = cause.to_string();
        let words = words.lines().map(str::trim).collect::<Vec<_>>().join("; ").replace(":; ", ": ");
        if !words.is_empty() && !said.iter().any(|before| before.contains(&words)) {
            said.push(words);
        }
    }
    text::cut(&said.join(": "), LONGEST)
}

/// The first error of a type in a chain of causes.
fn cause<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_ec2::error::ConnectorError;
    use std::collections::BTreeSet;

    #[test]
    fn every_code_appears_once() {
        let codes: Vec<_> = CODES.iter().flat_map(|(_, codes)| codes.iter().copied()).collect();
        let distinct: BTreeSet<_> = codes.iter().collect();
        assert_eq!(codes.len(), distinct.len());
    }

    /// AWS's documentation has them, or botocore does; `tests/words.rs` says where these lists come from.
    #[test]
    fn every_code_is_one_that_aws_has() {
        let documented = include_str!("../../../tests/aws/error-codes.txt");
        let botocore = include_str!("../../../tests/aws/words.json");
        let is_known =
            |code: &str| documented.lines().any(|line| line == code) || botocore.contains(&format!("\"{code}\""));
        let ours = CODES.iter().flat_map(|(_, codes)| codes.iter().copied());
        let invented: Vec<_> = ours.filter(|code| !is_known(code)).collect();
        assert_eq!(invented, [""; 0]);
    }

    #[test]
    fn missing_credentials_are_told_in_a_line_of_words() {
        #[derive(Debug)]
        struct Chain;
        impl fmt::Display for Chain {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("no credentials found in chain. Attempted:\n  Environment: not set\n  Profile: not set")
            }
        }
        impl Error for Chain {}
        let connector = ConnectorError::other(CredentialsError::not_loaded(Chain).into(), None);
        let error = SdkError::<aws_sdk_ec2::operation::describe_instances::DescribeInstancesError, HttpResponse>::dispatch_failure(connector);
        let failure = Failure::new(super::super::operation::DESCRIBE_INSTANCES, &error);
        let told = failure.to_string();
        assert!(told.contains("Attempted: Environment: not set; Profile: not set"), "{told}");
        assert!(told.ends_with("; log in, set AWS_PROFILE, or give the instance a role"), "{told}");
        assert!(!told.contains(['{', '\n']) && !told.contains("Error("), "{told}");
        assert!(failure.about_who_asks().is_some_and(|told| !told.contains("DescribeInstances")));
    }

    #[test]
    fn what_an_unforeseen_code_means_nobody_guesses() {
        assert_eq!(meaning_of("InvalidSomethingNew"), None);
    }

    #[test]
    fn the_codes_that_the_design_names_mean_what_it_says() {
        for (code, meaning) in [
            ("RequestLimitExceeded", Failed(Throttled)),
            ("UnauthorizedOperation", Failed(Denied)),
            ("InsufficientInstanceCapacity", Failed(NoCapacity)),
            ("InvalidInstanceID.NotFound", Failed(NotFound)),
            ("InvalidVolume.NotFound", Failed(NotFound)),
            ("InvalidAMIID.NotFound", Failed(Invalid)),
            ("InvalidSubnetID.NotFound", Failed(Invalid)),
            ("InvalidGroup.NotFound", Failed(Invalid)),
            ("InvalidKeyPair.NotFound", Failed(Invalid)),
            ("InvalidParameterCombination", Failed(Invalid)),
            ("IdempotentParameterMismatch", Failed(TokenSpent)),
            ("IdempotentInstanceTerminated", Failed(TokenSpent)),
            ("InternalError", Failed(Unreachable)),
            ("RequestExpired", Failed(Unreachable)),
            ("IncorrectInstanceState", Changed),
            ("VolumeInUse", Changed),
            ("DryRunOperation", Allowed),
        ] {
            assert_eq!(meaning_of(code), Some(meaning), "{code}");
        }
    }

    #[test]
    fn a_refusal_names_the_action_that_is_missing() {
        use super::super::operation::STOP_INSTANCES;
        let text = Failure::ours(STOP_INSTANCES, Denied, "UnauthorizedOperation", "You may not.").to_string();
        assert!(text.starts_with("StopInstances: UnauthorizedOperation: You may not;"), "{text}");
        assert!(text.contains("allow ec2:StopInstances"), "{text}");
    }
}

//! The account's settings of encryption by EBS: read for `doctor`, and by no look.

use hermitcrab::observed::EbsDefaults;
use hermitcrab::ports::ErrorKind;
use libtest_mimic::Trial;

use crate::endpoint::Endpoint;
use crate::fixture::{TestClock, open, spec};
use crate::moto::Stage;

const KEY: &str = "GetEbsDefaultKmsKeyId";
const OWN: &str = "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000001";

pub fn trials() -> Vec<Trial> {
    vec![crate::trial("the_default_key_for_ebs_is_asked_for_and_refusals_are_told", the_default_key)]
}

async fn the_default_key() {
    let clock = TestClock::at("2026-11-23T00:00:00Z");
    let endpoint = Endpoint::start().await;
    let told = |is_on: bool| {
        let name = "GetEbsEncryptionByDefaultResponse";
        format!("<{name}><ebsEncryptionByDefault>{is_on}</ebsEncryptionByDefault></{name}>")
    };
    let key = |named: &str| format!("<{KEY}Response>{named}</{KEY}Response>");
    let named = |arn: &str| key(&format!("<kmsKeyId>{arn}</kmsKeyId>"));
    let aws = open(&clock, Some(&endpoint.url)).await;
    for (encrypts_all, arn) in [(false, "alias/aws/ebs"), (true, OWN)] {
        endpoint.instead("GetEbsEncryptionByDefault", told(encrypts_all)).instead(KEY, named(arn));
        let seen = aws.ebs_defaults(&spec().region).await.unwrap();
        assert_eq!(seen, EbsDefaults { encrypts_all, key: arn.to_owned() });
        assert_eq!(seen.is_key_of_aws(), arn != OWN);
    }
    endpoint.instead(KEY, key(""));
    assert_eq!(aws.ebs_defaults(&spec().region).await.unwrap_err().kind, ErrorKind::Unknown, "no key is named");
    for refused in [KEY, "GetEbsEncryptionByDefault"] {
        endpoint.first_refuses(refused, 403, "UnauthorizedOperation");
        let error = aws.ebs_defaults(&spec().region).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Denied, "{refused}");
    }
}

/// Reads the settings that were made in moto.
pub async fn settings(stage: &Stage) {
    let read = async || stage.aws.ebs_defaults(&stage.spec.region).await.unwrap();
    assert_eq!(read().await, EbsDefaults::default());
    stage.ec2.enable_ebs_encryption_by_default().send().await.unwrap();
    stage.ec2.modify_ebs_default_kms_key_id().kms_key_id(OWN).send().await.unwrap();
    assert_eq!(read().await, EbsDefaults { encrypts_all: true, key: OWN.to_owned() });
    stage.ec2.disable_ebs_encryption_by_default().send().await.unwrap();
    stage.ec2.reset_ebs_default_kms_key_id().send().await.unwrap();
    assert_eq!(read().await, EbsDefaults::default());
}

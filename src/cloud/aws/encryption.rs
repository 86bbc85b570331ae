//! The account's settings of encryption by EBS, which only `doctor` asks for.

use super::error::Failure;
use super::operation::{GET_EBS_DEFAULT_KMS_KEY_ID, GET_EBS_ENCRYPTION_BY_DEFAULT};
use super::{Aws, Region};
use crate::observed::EbsDefaults;
use crate::ports::{Clock, ErrorKind, PortError};

impl<C: Clock> Aws<C> {
    /// Says whether the account encrypts every volume of a region, and with which key those that name none.
    pub async fn ebs_defaults(&self, region: &str) -> Result<EbsDefaults, PortError> {
        let told = self.read_ebs_defaults(&self.region(region)).await;
        told.map_err(|failure| failure.while_doing("ask for the account's default key for EBS"))
    }

    async fn read_ebs_defaults(&self, region: &Region) -> Result<EbsDefaults, Failure> {
        let call = region.ec2.get_ebs_encryption_by_default();
        let told = self.ask(region, GET_EBS_ENCRYPTION_BY_DEFAULT, || call.clone().send()).await?;
        let encrypts_all = told.ebs_encryption_by_default() == Some(true);
        let call = region.ec2.get_ebs_default_kms_key_id();
        let told = self.ask(region, GET_EBS_DEFAULT_KMS_KEY_ID, || call.clone().send()).await?;
        let nameless =
            || Failure::ours(GET_EBS_DEFAULT_KMS_KEY_ID, ErrorKind::Unknown, "unexpected-answer", "no key is named");
        Ok(EbsDefaults { encrypts_all, key: told.kms_key_id.ok_or_else(nameless)? })
    }
}

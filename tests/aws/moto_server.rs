//! moto, behind a proxy that answers the calls that moto does not know.

use std::sync::Arc;

use crate::ebs_key::EbsKey;
use crate::endpoint::Asked;
use crate::fetch::fetch;
use crate::relay::relay;
use crate::server::Moto;

/// Variable that tells the child why there is no moto.
pub const MISSING: &str = "HERMITCRAB_MOTO_MISSING";

/// moto and the proxy before it.
pub struct Server {
    url: String,
    _moto: Moto,
}

impl Server {
    /// Starts it, or says why it cannot be had.
    pub fn start() -> Result<Self, String> {
        let [folder] = fetch(["moto"])?;
        let settings = [("MOTO_EC2_LOAD_DEFAULT_AMIS", "false"), ("MOTO_ENABLE_AMI_VALIDATION", "1")];
        let moto = Moto::start(&folder, &settings)?;
        let key = EbsKey::default();
        let answers = move |_: &str, body: &str| volume_status(body).or_else(|| key.answer(body));
        Ok(Self { url: relay(&moto.url, Arc::new(answers)), _moto: moto })
    }

    pub fn url(&self) -> &str {
        &self.url
    }
}

/// Answers that no volume is in trouble.
fn volume_status(body: &str) -> Option<String> {
    let is_asked = Asked::parse(body).action() == "DescribeVolumeStatus";
    is_asked.then(|| "<DescribeVolumeStatusResponse><volumeStatusSet/></DescribeVolumeStatusResponse>".to_owned())
}

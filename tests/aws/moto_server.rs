//! moto, behind a proxy that answers the one call that moto does not know.

use std::sync::Arc;

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
        Ok(Self { url: relay(&moto.url, Arc::new(answer)), _moto: moto })
    }

    pub fn url(&self) -> &str {
        &self.url
    }
}

/// Answers for what moto has only a page that says that it does not know it.
fn answer(body: &str) -> Option<String> {
    let is_asked = Asked::parse(body).action() == "DescribeVolumeStatus";
    is_asked.then(|| "<DescribeVolumeStatusResponse><volumeStatusSet/></DescribeVolumeStatusResponse>".to_owned())
}

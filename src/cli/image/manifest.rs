//! The manifest that Packer's post-processor writes; pure, so that each defect can be tried.
//!
//! The file keeps every run. A build of the Amazon builders names its images as `region:ami-…`, parted by commas:
//! <https://developer.hashicorp.com/packer/docs/post-processors/manifest>.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::ids::ImageId;
use crate::input::text::without_mark;
use crate::spec::load::why_no_image;

#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    builds: Vec<Build>,
    #[serde(default)]
    last_run_uuid: String,
}

#[derive(Deserialize)]
struct Build {
    #[serde(default)]
    name: String,
    #[serde(default)]
    builder_type: String,
    #[serde(default)]
    artifact_id: String,
    #[serde(default)]
    packer_run_uuid: String,
}

/// The reason why a manifest names no image for a region.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    #[error("the file is no manifest of Packer")]
    NotAManifest(#[source] serde_json::Error),
    #[error("the manifest has no build of a last run")]
    NoLastRun,
    #[error("the last run has no build `{name}`")]
    NoSuchBuild { name: String, builds: Vec<String> },
    #[error("the last run built no AMI: {}", .builds.join(", "))]
    NotAmazon { builds: Vec<String> },
    #[error("build `{build}` names `{artifact}`, which is not written as REGION:AMI")]
    NotAnImage { build: String, artifact: String },
    #[error("the last run has no image in {region}: it has {}", .images.join(", "))]
    NotInRegion { region: String, images: Vec<String> },
    #[error("the last run has several images in {region}: {}", .images.join(", "))]
    Several { region: String, images: Vec<String> },
}

impl ManifestError {
    /// Says what to do next.
    pub fn hint(&self) -> String {
        match self {
            Self::NotAManifest(_) => {
                "give the file that the `manifest` post-processor of the template writes".to_owned()
            }
            Self::NoLastRun => "run `packer build` once more, or name the image with --image".to_owned(),
            Self::NoSuchBuild { builds, .. } => format!("give --build one of {}", builds.join(", ")),
            Self::NotAmazon { .. } => {
                "use one of the Amazon builders, e.g. `amazon-ebs`; or name the image with --image".to_owned()
            }
            Self::NotAnImage { .. } => {
                "an artifact is written like `us-east-1:ami-0123456789abcdef0`; name the image with --image".to_owned()
            }
            Self::NotInRegion { region, .. } => {
                format!(
                    "build the template in {region}, or copy the image there (`ami_regions`); or name an image with --image"
                )
            }
            Self::Several { .. } => {
                "choose one with --build NAME; if the builds have the same name, name the image with --image".to_owned()
            }
        }
    }
}

/// Finds the image that the last run made for a region.
pub fn image(text: &str, region: &str, build: Option<&str>) -> Result<ImageId, ManifestError> {
    let manifest: Manifest = serde_json::from_str(without_mark(text)).map_err(ManifestError::NotAManifest)?;
    let last = |build: &&Build| !build.packer_run_uuid.is_empty() && build.packer_run_uuid == manifest.last_run_uuid;
    let last: Vec<_> = manifest.builds.iter().filter(last).collect();
    if last.is_empty() {
        return Err(ManifestError::NoLastRun);
    }
    let images = images(&chosen(&last, build)?)?;
    let here: BTreeSet<_> = images.iter().filter(|image| image.region == region).map(|image| image.id).collect();
    let mut ids = here.iter();
    match (ids.next(), ids.next()) {
        (Some(id), None) => Ok((*id).into()),
        (None, _) => {
            let images = images.iter().map(|image| format!("{}:{}", image.region, image.id)).collect();
            Err(ManifestError::NotInRegion { region: region.to_owned(), images })
        }
        (Some(_), Some(_)) => {
            let here = images.iter().filter(|image| image.region == region);
            let images = here.map(|image| format!("{} of {}", image.id, image.build)).collect();
            Err(ManifestError::Several { region: region.to_owned(), images })
        }
    }
}

/// Chooses the builds of that name; all of them without a name.
fn chosen<'m>(last: &[&'m Build], name: Option<&str>) -> Result<Vec<&'m Build>, ManifestError> {
    let Some(name) = name else { return Ok(last.to_vec()) };
    let named: Vec<_> = last.iter().copied().filter(|build| build.name == name).collect();
    if named.is_empty() {
        let builds = last.iter().map(|build| build.name.clone()).collect();
        return Err(ManifestError::NoSuchBuild { name: name.to_owned(), builds });
    }
    Ok(named)
}

/// An image that a build has made.
struct Image<'m> {
    build: &'m str,
    region: &'m str,
    id: &'m str,
}

/// Lists the images of the Amazon builders; other builders make no images of EC2.
fn images<'m>(builds: &[&'m Build]) -> Result<Vec<Image<'m>>, ManifestError> {
    let amazon: Vec<_> = builds.iter().filter(|build| makes_images(&build.builder_type)).collect();
    if amazon.is_empty() {
        let builds = builds.iter().map(|build| format!("{} is of {}", build.name, build.builder_type)).collect();
        return Err(ManifestError::NotAmazon { builds });
    }
    let artifacts =
        amazon.iter().flat_map(|build| build.artifact_id.split(',').map(|artifact| (&build.name, artifact)));
    artifacts
        .map(|(build, artifact)| match artifact.trim().split_once(':') {
            Some((region, id)) if why_no_image(id).is_none() && !region.is_empty() => Ok(Image { build, region, id }),
            _ => Err(ManifestError::NotAnImage { build: build.clone(), artifact: artifact.to_owned() }),
        })
        .collect()
}

/// Says whether a builder makes images; `amazon-ebsvolume` makes volumes.
fn makes_images(builder_type: &str) -> bool {
    builder_type.starts_with("amazon-") && builder_type != "amazon-ebsvolume"
}

#[cfg(test)]
mod tests {
    use super::*;

    const EAST: &str = "ami-0aaaaaaaaaaaaaaaa";
    const WEST: &str = "ami-0bbbbbbbbbbbbbbbb";

    /// Writes a manifest with an older run, and with these builds as the last run: name, builder, artifact.
    fn manifest(builds: &[(&str, &str, &str)]) -> String {
        let build = |(name, builder, artifact): &(&str, &str, &str), run: &str| {
            serde_json::json!({"name": name, "builder_type": builder, "build_time": 1_767_600_000, "files": null,
                "artifact_id": artifact, "packer_run_uuid": run, "custom_data": null})
        };
        let old = build(&("consul", "amazon-ebs", "us-east-1:ami-0ddddddddddddddddd"), "old");
        let builds: Vec<_> = [old].into_iter().chain(builds.iter().map(|one| build(one, "new"))).collect();
        serde_json::json!({"builds": builds, "last_run_uuid": "new"}).to_string()
    }

    fn refusal(builds: &[(&str, &str, &str)], build: Option<&str>) -> String {
        let error = image(&manifest(builds), "us-east-1", build).unwrap_err();
        assert!(!error.hint().is_empty());
        error.to_string()
    }

    #[test]
    fn the_image_of_the_region_is_taken_from_the_last_run() {
        let both = format!("us-east-1:{EAST},us-west-2:{WEST}");
        let text = manifest(&[("consul", "amazon-ebs", &both)]);
        assert_eq!(&*image(&text, "us-east-1", None).unwrap(), EAST);
        assert_eq!(&*image(&text, "us-west-2", Some("consul")).unwrap(), WEST);
    }

    #[test]
    fn builds_that_make_no_images_for_the_region_are_not_in_the_way() {
        let (east, west) = (format!("us-east-1:{EAST}"), format!("us-west-2:{WEST}"));
        let builds = [("box", "docker", "sha256:12"), ("west", "amazon-ebs", &west), ("east", "amazon-ebs", &east)];
        assert_eq!(&*image(&manifest(&builds), "us-east-1", None).unwrap(), EAST);
    }

    #[test]
    fn of_several_images_one_is_said() {
        let (one, other) = (format!("us-east-1:{EAST}"), format!("us-east-1:{WEST}"));
        let builds = [("v1", "amazon-ebs", &*one), ("v2", "amazon-ebssurrogate", &other)];
        assert_eq!(
            refusal(&builds, None),
            format!("the last run has several images in us-east-1: {EAST} of v1, {WEST} of v2")
        );
        assert_eq!(&*image(&manifest(&builds), "us-east-1", Some("v2")).unwrap(), WEST);
        assert_eq!(refusal(&builds, Some("v3")), "the last run has no build `v3`");
    }

    #[test]
    fn what_names_no_image_is_refused_with_what_it_names() {
        let west = format!("us-west-2:{WEST}");
        for (builder, artifact, refused) in [
            ("docker", "sha256:12", "the last run built no AMI: consul is of docker".to_owned()),
            (
                "amazon-ebsvolume",
                "us-east-1:vol-1",
                "the last run built no AMI: consul is of amazon-ebsvolume".to_owned(),
            ),
            ("amazon-ebs", &west, format!("the last run has no image in us-east-1: it has {west}")),
            ("amazon-ebs", EAST, format!("build `consul` names `{EAST}`, which is not written as REGION:AMI")),
            (
                "amazon-ebs",
                "us-east-1:latest",
                "build `consul` names `us-east-1:latest`, which is not written as REGION:AMI".to_owned(),
            ),
            ("amazon-ebs", "", "build `consul` names ``, which is not written as REGION:AMI".to_owned()),
        ] {
            assert_eq!(refusal(&[("consul", builder, artifact)], None), refused);
        }
        assert_eq!(refusal(&[], None), "the manifest has no build of a last run");
    }

    #[test]
    fn what_is_no_manifest_is_said_to_be_none() {
        for text in ["", "[1]", "{\"builds\": 1}"] {
            assert!(matches!(image(text, "us-east-1", None), Err(ManifestError::NotAManifest(_))), "{text}");
        }
        assert!(matches!(image("{}", "us-east-1", None), Err(ManifestError::NoLastRun)));
    }
}

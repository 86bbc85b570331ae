//! The image that is meant: one that is named, or one that Packer has built.

use std::path::PathBuf;

use crate::ids::ImageId;
use crate::spec::load::why_no_image;

use super::{Failure, file};

pub mod manifest;

/// The arguments of every command that writes an image into a file.
#[derive(Clone, Debug, Default, clap::Args)]
#[group(skip)] // clap would give it the name of every command's own arguments
pub struct Args {
    /// The image's id
    #[arg(long, value_name = "AMI", value_parser = id)]
    pub image: Option<ImageId>,
    /// Take the image from the file that Packer's manifest post-processor wrote; `-` reads stdin
    #[arg(long, value_name = "JSON", conflicts_with = "image")]
    pub manifest: Option<PathBuf>,
    /// The build of Packer's last run to take, where several have an image in the cluster's region
    #[arg(long, value_name = "NAME", requires = "manifest")]
    pub build: Option<String>,
}

/// Parses an image's id that a desired-state file may hold. Whether the image exists is for the cloud to say.
pub fn id(text: &str) -> Result<ImageId, String> {
    why_no_image(text).map_or_else(|| Ok(text.into()), Err)
}

impl Args {
    /// Reads the image for a region; `None` if the arguments name none.
    pub fn read(&self, region: &str) -> Result<Option<ImageId>, Failure> {
        let Some(path) = &self.manifest else { return Ok(self.image.clone()) };
        let text = file::read_text(path)
            .map_err(|failure| failure.hint("Packer's manifest post-processor writes it: `packer build` in images/"))?;
        let image = manifest::image(&text, region, self.build.as_deref());
        image.map(Some).map_err(|error| {
            let hint = error.hint();
            Failure::new(file::FileError::new(path, "used", error)).hint(hint)
        })
    }
}

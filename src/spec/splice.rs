//! The replacement of the image in a file's text, with every other byte as it was.

use std::ops::Range;
use std::path::Path;

pub mod edit;

use crate::ids::ImageId;
use crate::spec::ClusterSpec;
use crate::spec::load::{Place, check, image_in};

/// A text with another image in it.
#[derive(Debug)]
pub struct Spliced {
    /// The whole text.
    pub text: String,
    /// The place of the id, before the change.
    pub place: Place,
}

/// A reason for which an image cannot be replaced in a text.
#[derive(Debug, thiserror::Error)]
pub enum SpliceError {
    /// An alias, an escape or a folded block: nothing there could be replaced without writing something else anew.
    #[error("the image in line {line} is not written out as {image}")]
    NotLiteral {
        /// Counted from 1.
        line: usize,
        /// The image that is meant all the same.
        image: ImageId,
    },
    /// An anchor: every other place that uses it would change too.
    #[error("the image in line {line} is used elsewhere in the file, and that would change with it")]
    Shared {
        /// Counted from 1.
        line: usize,
    },
    /// The text with the new image is no valid file.
    #[error("with `{image}` the file could not be used: {problem}")]
    Invalid {
        /// The new image.
        image: ImageId,
        /// The first thing that is wrong then.
        problem: String,
    },
}

/// Writes `image` in the place of the image of a file that means `spec`. The result is read again, and differs from `spec`
/// in nothing but the image, whichever way led to the file. A file that has the image already stays as it is.
pub fn image(path: &Path, text: &str, spec: &ClusterSpec, image: &ImageId) -> Result<Spliced, SpliceError> {
    let written = image_in(text).unwrap_or_default();
    let place = Place::new(text, written.clone());
    let line = place.line;
    if *image == spec.image {
        return Ok(Spliced { text: text.to_owned(), place });
    }
    let id = literal(text, &written, &spec.image)
        .ok_or_else(|| SpliceError::NotLiteral { line, image: spec.image.clone() })?;
    let place = Place::new(text, id.clone());
    let text = [&text[..id.start], image, &text[id.end..]].concat();
    let loaded = check(path, &text);
    let meant = loaded.specs().next().map(|(_, spec)| spec);
    let environment = meant.map_or_else(|| spec.environment.clone(), |meant| meant.environment.clone());
    let wanted = ClusterSpec { image: image.clone(), environment, ..spec.clone() };
    match (meant, loaded.problems().next()) {
        (Some(meant), _) if *meant == wanted => Ok(Spliced { text, place }),
        (None, Some(problem)) => Err(SpliceError::Invalid { image: image.clone(), problem: problem.message.clone() }),
        _ => Err(SpliceError::Shared { line }),
    }
}

/// Finds the id itself in the written value, within quotes if there are any.
fn literal(text: &str, written: &Range<usize>, id: &str) -> Option<Range<usize>> {
    let (at, _) = text.get(written.clone())?.match_indices(id).next()?;
    let start = written.start + at;
    Some(start..start + id.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "ami-0aaaaaaaaaaaaaaaa";
    const NEW: &str = "ami-0bbbbbbbbbbbbbbbb";

    fn prod() -> String {
        std::fs::read_to_string("desired-state/prod/consul.yaml").unwrap()
    }

    fn spliced(text: &str) -> Result<Spliced, SpliceError> {
        let path = Path::new("desired-state/prod/consul.yaml");
        let loaded = check(path, text);
        let problems: Vec<_> = loaded.problems().collect();
        let (_, spec) = loaded.specs().next().unwrap_or_else(|| panic!("{problems:#?}"));
        image(path, text, spec, &NEW.into())
    }

    /// The file with its line `image: …` written in another way.
    fn with_image(written: &str) -> String {
        prod().replace(&format!("image: {OLD}"), written)
    }

    #[test]
    fn nothing_but_the_id_changes_however_it_is_written() {
        for written in [
            format!("image: {OLD}"),
            format!("image: \"{OLD}\""),
            format!("image:    '{OLD}'   # {OLD} is proven"),
            format!("\"image\": {OLD}"),
            format!("image:\n    {OLD}"),
            format!("image: >-\n    {OLD}"),
            format!("image: &unused {OLD}"),
        ] {
            let text = with_image(&written);
            let expected = with_image(&written.replacen(OLD, NEW, 1));
            assert_eq!(spliced(&text).unwrap().text, expected, "{written}");
        }
    }

    #[test]
    fn line_ends_and_a_missing_last_one_stay_as_they_are() {
        for text in [prod().replace('\n', "\r\n"), prod().trim_end().to_owned()] {
            assert_eq!(spliced(&text).unwrap().text, text.replacen(OLD, NEW, 1));
        }
    }

    #[test]
    fn the_same_id_elsewhere_is_left_alone() {
        let text = prod().replace("# Three", &format!("# Not {OLD}.\n# Three"));
        let text = text.replace("team: platform", &format!("team: platform\n      built-from: {OLD}"));
        let result = spliced(&text).unwrap();
        assert_eq!(result.text.matches(OLD).count(), 2);
        assert!(result.text.contains(&format!("\n  image: {NEW}\n")));
        assert_eq!(result.place.line, 15);
    }

    #[test]
    fn an_alias_is_not_written_out() {
        let text = prod().replace("team: platform", "team: *image").replace("image: ami", "image: &image ami");
        assert!(matches!(spliced(&text), Err(SpliceError::Shared { line: 14 })), "{:?}", spliced(&text));
        let tags = format!("tags:\n      built-from: &image {OLD}\n");
        let text = prod().replace(&format!("  image: {OLD}\n"), "").replace("tags:\n", &tags);
        let text = text.replace("  # Volumes outlive", "  image: *image\n  # Volumes outlive");
        assert!(matches!(spliced(&text), Err(SpliceError::NotLiteral { .. })), "{:?}", spliced(&text));
    }

    #[test]
    fn an_id_with_escapes_is_not_written_out() {
        let text = with_image(&format!("image: \"{}\"", OLD.replace("ami", "\\x61mi")));
        assert!(matches!(spliced(&text), Err(SpliceError::NotLiteral { line: 14, .. })), "{:?}", spliced(&text));
    }

    #[test]
    fn what_is_no_image_id_is_not_written() {
        let path = Path::new("desired-state/prod/consul.yaml");
        let loaded = check(path, &prod());
        let (_, spec) = loaded.specs().next().unwrap();
        let refused = image(path, &prod(), spec, &"latest".into()).unwrap_err();
        assert_eq!(refused.to_string(), "with `latest` the file could not be used: `latest` is no image id");
    }
}

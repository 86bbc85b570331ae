//! `--picture`: the time line of a rollout, as whoever opens it finds it.

use std::fs;
use std::path::Path;

use roxmltree::{Document, Node};

use super::{FILE, NEW_IMAGE, SIMULATED, run};

fn drawn(folder: &Path, arguments: &[&str]) -> (String, Option<i32>) {
    let path = folder.join("rollout.svg");
    let output = run(&[arguments, &["--picture", path.to_str().unwrap()]].concat());
    (fs::read_to_string(path).unwrap_or_else(|error| panic!("{error}: {output:?}")), output.status.code())
}

/// The words that say what the bars of a class are, e.g. `consul-b: bake time, 1m`.
fn bars<'d>(picture: &'d Document<'_>, class: &str) -> Vec<&'d str> {
    let is_bar = |node: &Node<'_, '_>| node.has_tag_name("rect") && node.attribute("class") == Some(class);
    let says = |node: Node<'d, '_>| node.first_element_child().and_then(|title| title.text());
    picture.descendants().filter(is_bar).filter_map(says).collect()
}

#[test]
fn a_rollout_is_drawn_with_a_row_for_each_slot_and_says_the_same_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let (text, code) = drawn(folder.path(), &[&["simulate", FILE], &NEW_IMAGE[..]].concat());
    assert_eq!(code, Some(0));
    let picture = Document::parse(&text).unwrap();
    for class in ["starting", "stopping", "moving", "joining", "baking", "tidying-up"] {
        let bars = bars(&picture, class);
        for slot in ["consul-a", "consul-b", "consul-c"] {
            let count = bars.iter().filter(|bar| bar.starts_with(slot)).count();
            assert_eq!(count, 1, "{class} of {slot}: {bars:?}");
        }
    }
    assert_eq!(bars(&picture, "down").len(), 3);
    assert!(
        bars(&picture, "baking").iter().all(|bar| bar.contains(": bake time, 1m")),
        "{:?}",
        bars(&picture, "baking")
    );
    assert!(bars(&picture, "margin").iter().any(|bar| bar.starts_with("0 may fail")));
    let described = |tag: &str| picture.descendants().find(|node| node.has_tag_name(tag)).unwrap().text().unwrap();
    assert!(described("title").starts_with("consul-prod: ami-0aaaaaaaaaaaaaaaa"), "{}", described("title"));
    assert!(described("desc").contains("consul-b took ") && described("desc").contains("0 may fail."));
    assert_eq!(picture.root_element().attribute("role"), Some("img"));
    // The file is whole by itself, and runs nothing.
    let refers =
        |node: &Node<'_, '_>| node.attributes().any(|a| a.name().contains("href") || a.name().starts_with("on"));
    assert!(!picture.descendants().any(|node| node.has_tag_name("script") || refers(&node)));

    let again = drawn(folder.path(), &[&["simulate", FILE], &NEW_IMAGE[..]].concat()).0;
    assert_eq!(again, text, "the same seed draws the same picture, over the one that was there");
}

#[test]
fn a_rollout_that_is_taken_back_is_drawn_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let rollout = [&["simulate", FILE, "--payload", "never-joins"], &NEW_IMAGE[..]].concat();
    let (text, code) = drawn(folder.path(), &rollout);
    assert_eq!(code, Some(3));
    let picture = Document::parse(&text).unwrap();
    assert_eq!(bars(&picture, "taking-back").len(), 1);
    assert_eq!(bars(&picture, "baking"), [""; 0]);
    assert!(text.contains("its member was not back within 10m"), "{text}");
}

#[test]
fn the_rollout_of_a_rehearsals_copy_is_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let (text, code) = drawn(folder.path(), &[&["rehearse", FILE], &NEW_IMAGE[..], &SIMULATED].concat());
    assert_eq!(code, Some(0));
    let picture = Document::parse(&text).unwrap();
    assert_eq!(bars(&picture, "down").len(), 3, "{text}");
    assert!(text.contains("consul-prod-rehearsal-"), "{text}");
}

//! Every word that AWS has for a state is read as something. `tests/words.rs` holds the list to AWS's own.

use aws_sdk_autoscaling::types::LifecycleState;
use aws_sdk_ec2::types;
use aws_smithy_types::DateTime;
use serde_json::Value;

use super::facts::image_state;
use super::group::lifecycle;
use super::{life_cycle, volume_state};
use crate::observed::ImageState;

fn words(of: &str) -> Vec<String> {
    let written: Value = serde_json::from_str(include_str!("../../../../tests/aws/words.json")).unwrap();
    written["words"][of].as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
}

fn unread(of: &str, is_read: impl Fn(&str) -> bool) {
    let unread: Vec<_> = words(of).into_iter().filter(|word| !is_read(word)).collect();
    assert_eq!(unread, [""; 0], "of {of}");
}

#[test]
fn every_state_of_an_instance_is_read() {
    unread("InstanceStateName", |word| {
        let state = types::InstanceState::builder().name(types::InstanceStateName::from(word)).build();
        life_cycle(&types::Instance::builder().state(state).build()).is_ok()
    });
}

#[test]
fn every_state_of_a_volume_and_of_its_attachment_is_read() {
    let attached = |word: &str| {
        let attachment = types::VolumeAttachment::builder().instance_id("i-0a").device("/dev/sdf");
        let attachment = attachment.state(types::VolumeAttachmentState::from(word)).attach_time(DateTime::from_secs(0));
        types::Volume::builder().volume_id("vol-0a").attachments(attachment.delete_on_termination(false).build())
    };
    unread("VolumeState", |word| {
        volume_state(&attached("attached").state(types::VolumeState::from(word)).build()).is_ok()
    });
    unread("VolumeAttachmentState", |word| {
        volume_state(&attached(word).state(types::VolumeState::InUse).build()).is_ok()
    });
}

#[test]
fn every_state_of_an_image_is_read() {
    unread("ImageState", |word| image_state(Some(&types::ImageState::from(word))) != ImageState::Unknown);
}

/// Members of a warm pool are not listed among a group's instances.
#[test]
fn every_state_of_a_groups_member_is_read() {
    unread("LifecycleState", |word| {
        word.starts_with("Warmed:") || lifecycle(Some(&LifecycleState::from(word))).is_ok()
    });
}

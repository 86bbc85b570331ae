//! The cloud that instances and volumes are in.

pub mod permissions;

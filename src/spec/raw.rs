//! Desired state as it is written.

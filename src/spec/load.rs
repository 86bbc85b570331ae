//! Files to specs.

//! hermitcrab keeps stateful clusters on EC2 at the image that was committed.

// Modules in reading order.
pub mod ids;
pub mod time;

pub mod spec;

pub mod observed;

pub mod action;
pub mod ports;

pub mod plan;
pub mod status;

pub mod act;
pub mod controller;

pub mod sim;
pub mod simulate;

pub mod cli;

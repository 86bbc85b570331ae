//! The simulated world behaves as EC2, Consul, etcd and ZooKeeper do, and as files say of other members, and notices when a safety rule is broken.
#![allow(clippy::unwrap_used)] // functions that tests call are tests as well

mod addresses;
mod canaries;
mod careful;
mod command;
mod dependencies;
mod ec2;
mod etcd;
mod faults;
mod groups;
mod late;
mod looks;
mod members;
mod patroni;
mod rules;
mod strict;
mod world;
mod zookeeper;

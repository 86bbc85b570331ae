//! Applications: what their members say and how they are asked, by recorded answers, by servers that are played, and by real ones.
//!
//! Many of these tests wait, for servers and for programs that hang. They are one program, so that they wait beside each other.
#![allow(clippy::unwrap_used)] // functions that tests call are tests as well

mod adapters;
#[path = "../claims/claim.rs"]
mod claiming;
mod command;
mod consul;
mod etcd;
#[path = "../tools/fetch.rs"]
mod fetch;
mod http;
mod kinds;
#[path = "../tools/left_out.rs"]
mod left_out;
#[path = "../tools/loopback.rs"]
mod loopback;
mod member;
mod membership;
mod patroni;
mod phases;
mod recorded;
#[path = "../tools/server.rs"]
mod server;
mod tls;
#[path = "../tools/wall.rs"]
mod wall;
mod zookeeper;

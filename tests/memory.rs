//! The memory that a look at lying servers may cost, whatever nine of them answer. The process of this test does nothing else,
//! so its greatest size tells.
#![allow(clippy::unwrap_used)] // functions that tests call are tests as well

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::sync::Arc;

use hermitcrab::application::Applications;
use hermitcrab::ids::InstanceId;
use hermitcrab::ports::{Members, Seat, chain};
use hermitcrab::spec::ClusterSpec;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

#[path = "applications/recorded.rs"]
#[allow(dead_code)] // other tests change what was recorded
mod recorded;
#[path = "tools/server.rs"]
#[allow(dead_code)] // other tests have servers that answer by a script
mod server;

/// The most that looks may add to the size of the process, in KiB: one list of the greatest size, twice while it grows, and
/// what is made of it. A controller is given 256 MiB at least.
const MOST: u64 = 80 << 10;
/// Longer than the longest list that is read, in bytes.
const LONG: usize = 15 << 20;

/// The answers of all servers, by path; any other path gets nothing.
type Lie = BTreeMap<&'static str, Vec<u8>>;

fn agent(name: &str, role: &str) -> String {
    let tags = format!(r#"{{"role":"{role}","dc":"dc1","id":"{name}","build":"1.20.1:{name}"}}"#);
    format!(r#"{{"Name":"{name}","Addr":"127.78.0.1","Status":1,"Tags":{tags}}}"#)
}

/// A list of one thing, as long as it is read.
fn list(item: &str) -> Vec<u8> {
    format!("[{}]", vec![item; LONG / (item.len() + 1)].join(",")).into_bytes()
}

/// The right answers, with another list of agents.
fn with_agents(agents: Vec<u8>) -> Lie {
    let recorded = recorded::Recorded::phase("adapted-1.20-steady");
    let body = |path: &str| recorded.script[&format!("GET {path}")].1.to_string().into_bytes();
    let mut lie: Lie = ["/v1/operator/autopilot/health", "/v1/operator/raft/configuration"]
        .into_iter()
        .chain(["/v1/operator/autopilot/configuration"])
        .map(|path| (path, body(path)))
        .collect();
    lie.insert("/v1/status/leader", br#""127.78.0.3:8300""#.to_vec());
    lie.insert("/v1/agent/members", agents);
    lie
}

fn lies() -> Vec<(&'static str, Lie)> {
    let leader = |text: String| Lie::from([("/v1/status/leader", text.into_bytes())]);
    let mut servers = with_agents(b"[]".to_vec());
    servers.insert("/v1/operator/raft/configuration", [br#"{"Servers":"#, &*list("{}"), b"}"].concat());
    vec![
        ("a leader's address without end", leader(format!("\"{}\"", "A".repeat(LONG)))),
        ("agents without number", with_agents(list(&agent("x", "node")))),
        ("servers without number", with_agents(list(&agent("x", "consul")))),
        ("one server with a name of megabytes", with_agents(list(&agent(&"x".repeat(LONG / 4), "consul")))),
        ("a list of lists", with_agents(vec![b'['; LONG])),
        ("blank space", with_agents(vec![b' '; LONG])),
        ("raft servers without number", servers),
    ]
}

/// Tells the same lie to everybody, on one connection a request.
async fn lie(listener: TcpListener, lie: Arc<Lie>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let lie = lie.clone();
        tokio::spawn(async move {
            let mut request = [0; 4_096];
            let Ok(length @ 1..) = stream.read(&mut request).await else { return };
            let head = String::from_utf8_lossy(&request[..length]).into_owned();
            let path = head.split(' ').nth(1).unwrap_or_default().split('?').next().unwrap_or_default().to_owned();
            let Some(body) = lie.get(path.as_str()) else { return };
            let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
            let _ = stream.write_all(head.as_bytes()).await;
            let _ = stream.write_all(body).await;
        });
    }
}

/// A cluster of nine, which is the most, at one port of nine addresses.
fn nine(port: u16, addresses: &[IpAddr]) -> (ClusterSpec, Vec<Seat>) {
    let loaded = hermitcrab::spec::load::load(&["desired-state/prod/consul.yaml".into()]);
    let mut spec = loaded.specs().next().unwrap().1.clone();
    spec.application.consul_mut().unwrap().http.port = port;
    let mut seats = Vec::new();
    let first = spec.slots[0].clone();
    spec.slots.clear();
    for (nth, address) in addresses.iter().enumerate() {
        let mut slot = first.clone();
        slot.name = format!("consul-{nth}").into();
        seats.push(Seat { slot: slot.name.clone(), instance: InstanceId::from(format!("i-{nth}")), address: *address });
        spec.slots.push(slot);
    }
    (spec, seats)
}

/// A size of this process, in KiB: `VmRSS` is the present one, `VmHWM` the greatest so far.
fn size(which: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(which)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_look_is_bounded_in_memory_whatever_nine_servers_answer() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for (what, said) in lies() {
        // From here on the greatest size counts anew.
        fs::write("/proc/self/clear_refs", "5").unwrap();
        let before = size("VmRSS");
        let said = Arc::new(said);
        let told: Vec<String> = runtime.block_on(async {
            let addresses: Vec<IpAddr> = (1..=9).map(|nth| IpAddr::from([127, 78, 0, nth])).collect();
            let (port, listeners) = server::listen(&addresses).await;
            let servers: Vec<_> = listeners.into_iter().map(|one| tokio::spawn(lie(one, said.clone()))).collect();
            let ((spec, seats), applications) = (nine(port, &addresses), Applications::default());
            let mut told = Vec::new();
            for _ in 0..3 {
                told.push(match applications.membership(&spec, &seats).await {
                    Ok(membership) => format!("{membership:?}"),
                    Err(error) => chain(&error),
                });
            }
            servers.iter().for_each(tokio::task::JoinHandle::abort);
            told
        });
        let longest = told.iter().map(String::len).max().unwrap();
        let more = size("VmHWM").saturating_sub(before);
        println!("{what}: {} MiB more, {longest} bytes are told", more >> 10);
        assert!(more < MOST, "{what}: {more} KiB more");
        assert!(longest < 100_000, "{what}: {longest} bytes");
    }
}

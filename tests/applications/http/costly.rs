//! Servers whose answers cost too much: a look at them ends, they count as unknown, and they are asked less often.

use super::*;

/// The way in which a server that sees a leader misbehaves when it is asked for more.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// Spaces without end.
    Endless,
    /// A byte a second.
    Drops,
    /// A list of servers that no cluster has.
    Crowd,
}

/// Serves a member that names the leader, and has nothing else to say that is right. Notes what it is asked.
async fn misbehave(listener: TcpListener, way: Way, asked: Asked) {
    let address = listener.local_addr().unwrap().ip();
    while let Ok((mut stream, _)) = listener.accept().await {
        let asked = asked.clone();
        tokio::spawn(async move {
            let mut request = [0; 4_096];
            while let Ok(length @ 1..) = stream.read(&mut request).await {
                let head = String::from_utf8_lossy(&request[..length]).into_owned();
                let call = head.split(" HTTP").next().unwrap().to_owned();
                asked.lock().unwrap().push((address, call.clone(), None, String::new()));
                if call == LEADER {
                    let body = "\"127.77.0.3:8300\"";
                    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                    stream.write_all(answer.as_bytes()).await.unwrap();
                    continue;
                }
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
                match way {
                    Way::Endless => while stream.write_all(&[b' '; 65_536]).await.is_ok() {},
                    Way::Drops => {
                        let _ = stream.write_all(b" ").await;
                        std::future::pending::<()>().await;
                    }
                    Way::Crowd => {
                        let _ = stream.write_all(crowd(&call).as_bytes()).await;
                    }
                }
                return;
            }
        });
    }
}

/// The right answer, with one server a thousand times.
fn crowd(call: &str) -> String {
    let mut recorded = calm();
    for (path, list) in [("/v1/operator/raft/configuration", "/Servers"), ("/v1/agent/members", "")] {
        let list = recorded.body(path).pointer_mut(list).unwrap().as_array_mut().unwrap();
        *list = vec![list[0].clone(); 1_000];
    }
    recorded.script.get(call.split('?').next().unwrap()).map(|(_, body)| body.to_string()).unwrap_or_default()
}

/// Three servers, of which the first `liars` misbehave.
async fn cluster_with(way: Way, liars: usize) -> (Cluster, Asked) {
    let (asked, mut script) = (Asked::default(), calm().script);
    script.insert(LEADER.to_owned(), (200, json!("127.77.0.3:8300")));
    let (port, listeners) = server::listen(&[address(1), address(2), address(3)]).await;
    for (nth, listener) in listeners.into_iter().enumerate() {
        if nth < liars {
            tokio::spawn(misbehave(listener, way, asked.clone()));
        } else {
            tokio::spawn(server::serve(listener, Arc::new(Mutex::new(script.clone())), asked.clone()));
        }
    }
    (Cluster::at(port), asked)
}

/// The requests for more than a glance that a server got since this was asked last.
fn asked_of(asked: &Asked, nth: u8) -> usize {
    let mut all = asked.lock().unwrap();
    let number = all.iter().filter(|(at, call, ..)| *at == address(nth) && call != LEADER).count();
    all.clear();
    number
}

#[test]
fn a_member_that_costs_too_much_is_unknown_and_asked_less_often() {
    for way in [Way::Endless, Way::Crowd, Way::Drops] {
        block_on(async {
            let (cluster, asked) = cluster_with(way, 1).await;
            let mut looks = Vec::new();
            for _ in 0..8 {
                let membership = cluster.ask().await.unwrap();
                let told = format!("{:?}", membership.members[0].health);
                assert!(told.starts_with("Unknown(\"its answers cost too much: "), "{way:?}: {told}");
                let others = membership.members[1..].iter();
                assert!(others.clone().count() == 2 && others.clone().all(|m| format!("{:?}", m.health) == "Healthy"));
                looks.push(asked_of(&asked, 1) > 0);
            }
            assert_eq!(looks, [true, false, false, true, false, false, false, false], "{way:?}");
        });
    }
}

#[test]
fn whatever_all_of_them_answer_a_look_ends_and_the_next_ones_are_cheap() {
    for way in [Way::Endless, Way::Crowd, Way::Drops] {
        block_on(async {
            let (cluster, asked) = cluster_with(way, 3).await;
            fails(cluster.ask().await.unwrap_err(), ErrorKind::Unreachable, &["127.77.0."]);
            fails(cluster.ask().await.unwrap_err(), ErrorKind::Unreachable, &[""]);
            asked.lock().unwrap().clear();
            // Each of them has cost too much by now, but the third where two are tried a look.
            fails(cluster.ask().await.unwrap_err(), ErrorKind::Unreachable, &["does not cost too much"]);
            assert_eq!(asked_of(&asked, 1), 0, "{way:?}");
        });
    }
}

#[test]
fn clients_in_gossip_are_read_over() {
    block_on(async {
        let mut recorded = calm();
        let agents = recorded.body("/v1/agent/members").as_array_mut().unwrap();
        let mut client = agents[0].clone();
        client["Tags"]["role"] = json!("node");
        agents.extend(vec![client; 5_000]);
        let (port, _) = recorded.serve().await;
        let membership = Cluster::at(port).ask().await.unwrap();
        assert_eq!(membership, Cluster::at(calm().serve().await.0).ask().await.unwrap());
    });
}

//! ZooKeeper servers that are asked by four-letter words, because their AdminServer is off: real ones, and ones that answer as no real
//! one does.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hermitcrab::application::Applications;
use hermitcrab::ids::InstanceId;
use hermitcrab::observed::{Health, Member, Membership};
use hermitcrab::ports::{Clock, ErrorKind, Members, PortError, Seat, chain};
use hermitcrab::spec::{ApplicationSpec, ClusterSpec, Lag, SlotSpec};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::fetch::fetch;
use crate::left_out::left_out;
use crate::loopback::free_net;
use crate::phases::block_on;
use crate::wall::Wall;

const CLIENTS: u16 = 2181;
const ALL: &str = "conf, mntr, srvr";

/// Three servers of one cluster, at a part of the loopback network.
struct Ensemble {
    net: (u8, u8),
    applications: Applications,
}

impl Ensemble {
    fn at(net: (u8, u8)) -> Self {
        Self { net, applications: Applications::default() }
    }

    fn address(&self, nth: usize) -> Ipv4Addr {
        Ipv4Addr::new(127, self.net.0, self.net.1, nth as u8 + 1)
    }

    /// The cluster as its file would declare it.
    fn spec(&self) -> ClusterSpec {
        let loaded = hermitcrab::spec::load::load(&["desired-state/prod/zookeeper.yaml".into()]);
        let mut spec = loaded.specs().next().unwrap().1.clone();
        for (nth, slot) in spec.slots.iter_mut().enumerate() {
            slot.address = Some(self.address(nth));
        }
        let ApplicationSpec::Zookeeper(zookeeper) = &mut spec.application else { panic!("not of ZooKeeper") };
        (zookeeper.four_letter_words, zookeeper.http.port) = (true, CLIENTS);
        spec
    }

    async fn look(&self) -> Result<Membership, PortError> {
        let spec = self.spec();
        let seat = |(nth, slot): (usize, &SlotSpec)| Seat {
            slot: slot.name.clone(),
            instance: InstanceId::from(format!("i-{nth}")),
            address: IpAddr::V4(self.address(nth)),
        };
        let seats: Vec<Seat> = spec.slots.iter().enumerate().map(seat).collect();
        self.applications.membership(&spec, &seats).await
    }

    /// Looks until it is as wanted.
    async fn seen(&self, wanted: impl Fn(&Membership) -> bool) -> Membership {
        let mut last = String::new();
        for _ in 0..600 {
            match self.look().await {
                Ok(now) if wanted(&now) => return now,
                other => last = format!("{other:?}"),
            }
            Wall.sleep(Duration::from_millis(100)).await;
        }
        panic!("they never came; last: {last}");
    }
}

/// Real servers. They end with the test.
struct Real {
    ensemble: Ensemble,
    children: Vec<Child>,
    _place: TempDir,
}

impl Real {
    /// Starts three servers of a version that is fetched by that name, of which the first one takes those words; none if there is no such
    /// ZooKeeper to be had, which is said aloud.
    fn start(program: &str, first_takes: &str) -> Option<Self> {
        let path = match fetch([program]) {
            Ok([path]) => path,
            Err(why) => {
                left_out("real ZooKeeper servers without their AdminServer", &why);
                return None;
            }
        };
        let (ensemble, place) = (Ensemble::at(free_net([CLIENTS, 2888])), tempfile::tempdir().unwrap());
        let line = |nth: usize| {
            let at = ensemble.address(nth);
            format!("server.{}={at}:2888:3888:participant;{at}:{CLIENTS}\n", nth + 1)
        };
        let all: String = (0..3).map(line).collect();
        let children = (0..3).map(|nth| {
            let data = place.path().join(format!("data-{nth}"));
            std::fs::create_dir(&data).unwrap();
            std::fs::write(data.join("myid"), (nth + 1).to_string()).unwrap();
            let words = if nth == 0 { first_takes } else { ALL };
            let settings = format!(
                "tickTime=500\ninitLimit=20\nsyncLimit=10\ndataDir={}\nadmin.enableServer=false\n\
                standaloneEnabled=false\n4lw.commands.whitelist={words}\n{all}",
                data.display()
            );
            let file = place.path().join(format!("{nth}.cfg"));
            std::fs::write(&file, settings).unwrap();
            let mut command = Command::new(&path);
            command.args(["-Xmx64m", "org.apache.zookeeper.server.quorum.QuorumPeerMain"]).arg(file);
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
        });
        let children = children.collect();
        Some(Self { ensemble, children, _place: place })
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn is_well(member: &Member) -> bool {
    member.counts && member.health == Health::Healthy
}

#[test]
fn real_servers_without_their_admin_server_are_read_by_four_letter_words() {
    let Some(mut real) = Real::start("zookeeper-3.8", ALL) else { return };
    block_on(async {
        let now = real.ensemble.seen(|now| now.members.len() == 3 && now.members.iter().all(is_well)).await;
        let slots: Vec<_> = now.members.iter().map(|member| member.slot.as_deref().unwrap()).collect();
        assert_eq!(slots, ["zookeeper-a", "zookeeper-b", "zookeeper-c"]);
        assert!(now.leader.is_some() && !now.can_transfer && now.blockers.is_empty(), "{now:?}");
        for member in &now.members {
            let version = member.version.as_deref().unwrap();
            assert!(version.starts_with("3.8.") && matches!(member.lag, Some(Lag::Entries(_))), "{member:?}");
        }
        let follower = now.members.iter().position(|member| Some(&member.id) != now.leader.as_ref()).unwrap();
        real.children[follower].kill().unwrap();
        real.children[follower].wait().unwrap();
        let why = Health::Unhealthy("it does not answer, and the leader does not count it".to_owned());
        let led = real.ensemble.seen(|now| now.members[follower].health == why).await;
        assert_eq!(led.leader, now.leader);
        // Too few are left: they go on to answer, and serve nobody.
        let leader = now.members.iter().position(|member| Some(&member.id) == now.leader.as_ref()).unwrap();
        real.children[leader].kill().unwrap();
        real.children[leader].wait().unwrap();
        let idle = Health::Unknown("it serves no requests: it sees no leader".to_owned());
        real.ensemble.seen(|now| now.leader.is_none() && now.members.iter().any(|it| it.health == idle)).await;
    });
}

#[test]
fn a_real_server_that_does_not_take_a_word_is_unknown_and_says_what_to_do() {
    let Some(real) = Real::start("zookeeper-3.9", "srvr") else { return };
    block_on(async {
        let well = |now: &Membership| now.members.iter().filter(|member| is_well(member)).count() == 2;
        let now = real.ensemble.seen(|now| well(now) && now.leader.is_some()).await;
        let at = real.ensemble.address(0);
        let why = format!(
            "{at} does not take the word `conf`: add `conf, mntr, srvr` to `4lw.commands.whitelist` of every server, or turn its \
            AdminServer on, and the leader counts it"
        );
        let counted = real.ensemble.seen(|now| now.members[0].health == Health::Unknown(why.clone())).await;
        assert_eq!((counted.leader, counted.members.len()), (now.leader, 3));
    });
}

/// The answers of a server to each word.
type Answers = BTreeMap<&'static str, Answer>;

#[derive(Clone)]
enum Answer {
    Bytes(Vec<u8>),
    Endless,
    /// The connection is taken, and nothing follows.
    Nothing,
}

fn said(text: impl Into<Vec<u8>>) -> Answer {
    Answer::Bytes(text.into())
}

/// The answers of a server in calm, as real ones of 3.9.3 gave them. The third one leads.
fn steady(ensemble: &Ensemble, number: usize) -> Answers {
    let line = |nth: usize| {
        let at = ensemble.address(nth - 1);
        format!("server.{nth}={at}:2888:3888:participant;{at}:{CLIENTS}\n")
    };
    let all: String = (1..=3).map(line).collect();
    let (mode, place) = if number == 3 { ("leader", "leading") } else { ("follower", "following") };
    let counts = if number == 3 { "zk_synced_followers\t2\nzk_synced_non_voting_followers\t0\n" } else { "" };
    let version = "3.9.3-${mvngit.commit.id}, built on 2026-03-08 16:19 UTC";
    [
        ("conf", format!("clientPort={CLIENTS}\nserverId={number}\npeerType=0\nmembership: \n{all}version=0")),
        (
            "mntr",
            format!(
                "zk_version\t{version}\nzk_server_state\t{mode}\nzk_peer_state\t{place} - broadcast\n\
                zk_outstanding_requests\t0\n{counts}zk_digest_mismatches_count\t0\nzk_avg_election_time\t309.0\n"
            ),
        ),
        (
            "srvr",
            format!("Zookeeper version: {version}\nOutstanding: 0\nZxid: 0x100000017\nMode: {mode}\nNode count: 5\n"),
        ),
    ]
    .map(|(word, text)| (word, said(text)))
    .into()
}

async fn serve(listener: TcpListener, answers: Answers) {
    while let Ok((stream, _)) = listener.accept().await {
        let answers = answers.clone();
        tokio::spawn(async move { answer(stream, &answers).await });
    }
}

async fn answer(mut stream: TcpStream, answers: &Answers) {
    let mut word = [0; 4];
    if stream.read_exact(&mut word).await.is_err() {
        return;
    }
    match &answers[std::str::from_utf8(&word).unwrap()] {
        Answer::Bytes(bytes) => drop(stream.write_all(bytes).await),
        Answer::Endless => while stream.write_all(&[b'x'; 4_096]).await.is_ok() {},
        Answer::Nothing => drop(stream.read_exact(&mut [0]).await),
    }
}

/// Looks at servers of which the answers were changed.
async fn after(change: impl Fn(&mut BTreeMap<usize, Answers>)) -> Result<Membership, PortError> {
    let ensemble = Ensemble::at(free_net([CLIENTS, 2888]));
    let mut all: BTreeMap<usize, Answers> = (1..=3).map(|number| (number, steady(&ensemble, number))).collect();
    change(&mut all);
    let mut serving = Vec::new();
    for (number, answers) in all {
        let listener = TcpListener::bind((ensemble.address(number - 1), CLIENTS)).await.unwrap();
        serving.push(tokio::spawn(serve(listener, answers)));
    }
    let found = ensemble.look().await;
    serving.iter().for_each(tokio::task::JoinHandle::abort);
    found
}

/// The health of the second server after its answer to a word was another one.
async fn second_after(word: &'static str, answer: Answer) -> Health {
    let now = after(|all| drop(all.get_mut(&2).unwrap().insert(word, answer.clone()))).await.unwrap();
    assert_eq!(now.leader.as_deref(), Some("3"), "{now:?}");
    now.members.iter().find(|member| *member.id == *"2").unwrap().health.clone()
}

#[test]
fn answers_that_no_real_server_gives_are_no_answers_and_are_named() {
    block_on(async {
        assert_eq!(second_after("srvr", said("Zxid: 0x100000017\n")).await, Health::Healthy);
        let counted = ", and the leader counts it";
        for (word, answer, why) in [
            (
                "conf",
                said("conf is not executed because it is not in the whitelist.\n"),
                "does not take the word `conf`: add",
            ),
            (
                "mntr",
                said("mntr is not executed because it is not in the whitelist.\n"),
                "does not take the word `mntr`: add",
            ),
            ("mntr", said(b"\xff\xfe\x00\x1b[2J".to_vec()), "answers in another form: `mntr`"),
            (
                "mntr",
                said("zk_version\t3.9.3\nzk_server_state\tfollower\nzk_digest_mismatches_count\t-1\n"),
                "another form: `mntr`",
            ),
            ("conf", said("serverId=2\nserver.x=10.0.0.1:2888:3888\n"), "another form: `conf`"),
            ("conf", said("serverId=99999999999999999999\n"), "another form: `conf`"),
            ("srvr", said("Zxid: none\n"), "another form: `srvr`"),
            ("srvr", Answer::Endless, "answers `srvr` without end: more than 256 KiB"),
            ("mntr", Answer::Nothing, "gives no whole answer to `mntr` in time"),
        ] {
            let found = second_after(word, answer).await;
            let is_it = matches!(&found, Health::Unknown(text) if text.contains(why) && text.ends_with(counted));
            assert!(is_it, "{word}: {why}: {found:?}");
        }
        let many: String = (1..=101).map(|number| format!("server.{number}=10.0.0.1:2888:3888\n")).collect();
        let many = second_after("conf", said(format!("serverId=2\n{many}"))).await;
        assert!(matches!(&many, Health::Unknown(why) if why.contains("lists more than 100 servers")), "{many:?}");
        let idle = Health::Unhealthy("it serves no requests: it sees no leader".to_owned());
        let found = second_after("mntr", said("This ZooKeeper instance is not currently serving requests\n")).await;
        assert_eq!(found, idle);
    });
}

#[test]
fn whom_servers_follow_is_known_only_where_one_of_them_says_that_it_leads() {
    block_on(async {
        let silent = after(|all| drop(all.remove(&3))).await.unwrap();
        assert_eq!((silent.leader.as_ref(), silent.members.len()), (None, 2), "{silent:?}");
        let two = after(|all| {
            let leads = all[&3]["mntr"].clone();
            drop(all.get_mut(&1).unwrap().insert("mntr", leads));
        });
        assert_eq!(two.await.unwrap().leader, None);
        let error = after(|all| {
            for answers in all.values_mut() {
                answers.insert("srvr", said("srvr is not executed because it is not in the whitelist.\n"));
            }
        })
        .await
        .unwrap_err();
        assert_eq!(error.kind, ErrorKind::Denied);
        assert!(chain(&error).contains("add `conf, mntr, srvr` to `4lw.commands.whitelist`"), "{}", chain(&error));
    });
}

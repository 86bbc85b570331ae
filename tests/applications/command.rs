//! A user's program as the adapter to an application: what it is sent, what is made of its answers, and that one which hangs, floods,
//! crashes or lies is an answer that is not known, in time, with others unharmed. The program is `tests/applications/command/adapter`.

use std::fs;
use std::future::Future;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use expect_test::expect_file;
use futures_util::{StreamExt, future, stream};
use hermitcrab::action::MemberEffect;
use hermitcrab::application::Applications;
use hermitcrab::application::command::conformance::{self, Finding, Trial};
use hermitcrab::application::command::wire;
use hermitcrab::ids::{ClusterName, InstanceId, MemberId};
use hermitcrab::observed::{Health, Membership, Pruning};
use hermitcrab::ports::{Canaries, ErrorKind, Members, Outcome, PortError, Seat, chain};
use hermitcrab::spec::load::load;
use hermitcrab::spec::{ClusterSpec, CommandSpec, Lag, Needed};
use tokio::time::timeout;

/// The longest that anything here may take.
const LONGEST: Duration = Duration::from_secs(240);

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { timeout(LONGEST, future).await.expect("it has an end") })
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The time for a program to end: five seconds for one that will not, and for any other more than a busy machine needs.
fn patience(behaviour: &str) -> Duration {
    let waits = ["hangs", "ignores-sigterm", "leaves-a-child"].contains(&behaviour);
    Duration::from_secs(if waits { 5 } else { 60 })
}

/// A cluster whose program behaves in some way, with members at 127.77.0.1 to 3.
struct Place {
    spec: ClusterSpec,
    seats: Vec<Seat>,
    applications: Applications,
    folder: tempfile::TempDir,
}

impl Place {
    fn of(behaviour: &str) -> Self {
        let loaded = load(&[root().join("tests/fixtures/command.yaml")]);
        let mut spec = loaded.specs().next().unwrap().1.clone();
        command(&mut spec).args = vec![behaviour.to_owned()];
        command(&mut spec).timeout = patience(behaviour);
        let folder = tempfile::tempdir().unwrap();
        for name in ["log", "pid"] {
            let path = folder.path().join(name).to_str().unwrap().to_owned();
            command(&mut spec).files.insert(name.to_owned(), path);
        }
        let seats = spec.slots.iter().zip(1..).map(|(slot, nth)| Seat {
            slot: slot.name.clone(),
            instance: InstanceId::from(format!("i-{nth}")),
            address: IpAddr::from([127, 77, 0, nth]),
        });
        let applications = Applications::with_programs_in(Some(root().join("tests/applications/command")));
        Self { seats: seats.collect(), spec, applications, folder }
    }

    async fn membership(&self) -> Result<Membership, PortError> {
        self.applications.membership(&self.spec, &self.seats).await
    }

    async fn transfer(&self, from: &str, to: &str) -> Result<Outcome, PortError> {
        let effect = MemberEffect::TransferLeadership { from: MemberId::from(from), to: MemberId::from(to) };
        self.applications.change(&self.spec, &self.seats, &effect).await
    }

    /// The requests so far, and their ends.
    fn log(&self) -> Vec<String> {
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }

    fn requests(&self) -> Vec<String> {
        self.log().into_iter().filter(|line| !line.starts_with("end of ")).collect()
    }
}

fn command(spec: &mut ClusterSpec) -> &mut CommandSpec {
    spec.application.command_mut().unwrap()
}

/// The failure of a look at a program that behaves in some way.
fn failure(behaviour: &str) -> (ErrorKind, String) {
    let error = block_on(Place::of(behaviour).membership()).unwrap_err();
    (error.kind, chain(&error))
}

#[test]
fn an_answer_is_read_as_a_membership() {
    let place = Place::of("well");
    let membership = block_on(place.membership()).unwrap();
    assert_eq!(membership.leader.as_deref(), Some("member-0"));
    assert!(membership.can_transfer && membership.blockers.is_empty());
    assert_eq!(membership.pruning, Pruning::Never);
    let told: Vec<_> = membership.members.iter().map(|member| (member.slot.as_deref().unwrap(), member.lag)).collect();
    let lag = |entries| Some(Lag::Entries(entries));
    assert_eq!(told, [("db-a", lag(0)), ("db-b", lag(1)), ("db-c", lag(2))]);
    let c = &membership.members[2];
    assert_eq!((&c.health, c.counts, c.version.as_deref()), (&Health::Healthy, true, Some("7.0.5")));
    assert_eq!(c.address, Some(IpAddr::from([127, 77, 0, 3])));
}

/// Programs that run at once, as most of those that are waited for do nothing.
const AT_ONCE: usize = 4;

#[test]
fn a_program_that_misbehaves_is_not_known_and_named() {
    let behaviours = [
        ("hangs", "it was killed: it had not ended after 5s"),
        ("ignores-sigterm", "it was killed: it had not ended after 5s"),
        ("floods-stdout", "it was killed: it wrote more than 1048576 bytes to stdout"),
        ("floods-stderr", "it was killed: it wrote more than 1048576 bytes to stderr"),
        ("crashes", "it ended with signal: 11"),
        ("leaves-a-child", "it left something behind that holds its output open"),
        ("other-protocol", "it speaks version 2 of the protocol, and not 1"),
        ("says-nothing", "it has answered nothing"),
        ("says-more", "its answer cannot be used"),
        ("says-nan", "its answer cannot be used"),
        ("lists-twice", "it lists the member member-0 twice"),
        ("takes-a-slot-twice", "it gives the slot db-a two members"),
        ("knows-another-slot", "it puts member-1 in the slot db-x, which is not declared"),
        ("misspells", "unknown field `blocker`"),
        ("counts-in-bytes", "it says that member-1 is 1 byte behind, and by its rules the limit is 100 entries"),
        ("follows-nobody", "member-9 leads, and is not listed"),
        ("gives-no-reason", "it does not say why member-1 is not healthy"),
        ("ends-with-5", "it ended with 5, which means nothing here: as it was told to"),
    ];
    let looks = behaviours.map(|(behaviour, why)| async move {
        let error = Place::of(behaviour).membership().await.unwrap_err();
        let told = chain(&error);
        assert!(told.contains(why), "{behaviour}: {told}");
        assert_eq!(error.kind, ErrorKind::Unknown, "{behaviour}: {told}");
    });
    block_on(stream::iter(looks).buffer_unordered(AT_ONCE).collect::<Vec<()>>());
}

#[test]
fn exit_codes_are_told_apart() {
    for (code, expected) in [
        (1, ErrorKind::Unreachable),
        (2, ErrorKind::Denied),
        (3, ErrorKind::Invalid),
        (126, ErrorKind::Invalid),
        (127, ErrorKind::Invalid),
        (4, ErrorKind::Unknown),
        (255, ErrorKind::Unknown),
    ] {
        let (kind, told) = failure(&format!("ends-with-{code}"));
        assert_eq!(kind, expected, "{told}");
        assert!(told.ends_with(": as it was told to"), "{told}");
    }
}

#[test]
fn what_a_program_complains_of_steers_nothing() {
    let (_, told) = failure("steers");
    assert!(!told.contains(['\u{1b}', '\u{7}']) && !told.contains("\n::error"), "{told}");
}

/// Waits until a process is gone. One that nobody waits for stays as a zombie, where no process adopts it.
async fn is_gone(pid: &str) {
    let lives = || {
        let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        state.rsplit(") ").next().and_then(|rest| rest.chars().next()).is_some_and(|state| !"ZX".contains(state))
    };
    while lives() {
        tokio::task::yield_now().await;
    }
}

#[test]
fn nothing_that_a_killed_program_has_started_lives_on() {
    let place = Place::of("hangs");
    block_on(async {
        place.membership().await.unwrap_err();
        is_gone(&fs::read_to_string(place.folder.path().join("pid")).unwrap()).await;
    });
}

#[test]
fn a_look_that_is_given_up_ends_its_program() {
    let place = Place::of("hangs");
    let started = || fs::read_to_string(place.folder.path().join("pid")).ok().filter(|pid| !pid.is_empty());
    block_on(async {
        let began = async {
            while started().is_none() {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            _ = place.membership() => panic!("it hangs"),
            () = began => {}
        }
        is_gone(&started().unwrap()).await;
    });
}

#[test]
fn other_clusters_do_not_wait_for_a_program_that_hangs() {
    let (hangs, well) = (Place::of("hangs"), Place::of("well"));
    let mut other = well.spec.clone();
    other.name = ClusterName::from("other");
    block_on(async {
        // Both by the same adapters.
        let looks = async { well.applications.membership(&other, &well.seats).await };
        let hanging = well.applications.membership(&hangs.spec, &hangs.seats);
        tokio::select! {
            biased;
            error = hanging => panic!("it ended before the other: {error:?}"),
            membership = looks => assert_eq!(membership.unwrap().members.len(), 3),
        }
    });
}

#[test]
fn one_program_runs_at_a_time_for_a_cluster() {
    let place = Place::of("well");
    let all = block_on(future::join_all((0..4).map(|_| place.membership())));
    assert!(all.iter().all(Result::is_ok));
    let log = place.log();
    assert!(log.len() >= 10 && log.len().is_multiple_of(2), "{log:?}");
    for pair in log.chunks(2) {
        assert_eq!(pair[1], format!("end of {}", pair[0]), "{log:?}");
    }
}

#[test]
fn a_program_describes_itself_once_and_must_agree_with_the_file() {
    let place = Place::of("well");
    block_on(async {
        place.membership().await.unwrap();
        place.membership().await.unwrap();
    });
    assert_eq!(place.requests(), ["describe", "membership", "membership"]);

    let place = Place::of("contradicts");
    for _ in 0..2 {
        let error = block_on(place.membership()).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid);
        let told = chain(&error);
        assert!(told.ends_with("`needed` is quorum in the file and one in the program"), "{told}");
    }
    assert_eq!(place.requests(), ["describe", "describe"], "every look is refused, and nobody asks a member");

    let mut place = Place::of("well");
    let rules = &mut command(&mut place.spec).rules;
    (rules.needed, rules.lag_limit) = (Needed::AllButOne, Lag::Bytes(5));
    let told = chain(&block_on(place.membership()).unwrap_err());
    assert!(
        told.contains("`needed` is all-but-one in the file and quorum in the program; `lagLimit` is 5 bytes"),
        "{told}"
    );
}

#[test]
fn a_program_gets_a_few_words_of_the_environment_and_runs_in_its_own_folder() {
    let membership = block_on(Place::of("tells-its-environment").membership()).unwrap();
    let blocker = &membership.blockers[0];
    let told: Vec<_> = blocker.why.split(' ').collect();
    for name in ["HERMITCRAB_PROTOCOL", "HERMITCRAB_TIMEOUT_SECONDS", "PATH"] {
        assert!(told.contains(&name), "{told:?}");
    }
    // Whatever starts Python may add some of its own, and knows nothing of ours.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some(), "there is something to keep back");
    assert!(!told.iter().any(|name| name.starts_with("CARGO")), "{told:?}");
    assert_eq!(Path::new(&blocker.hint), fs::canonicalize(root().join("tests/applications/command")).unwrap());
}

#[test]
fn a_member_at_an_address_where_its_slot_has_no_instance_is_not_known() {
    let membership = block_on(Place::of("is-elsewhere").membership()).unwrap();
    let why = "its peers have it at 127.77.0.9, where no instance of its slot is".to_owned();
    assert_eq!(membership.members[1].health, Health::Unknown(why));
}

#[test]
fn leadership_moves_only_if_the_members_are_as_the_request_says() {
    let place = Place::of("well");
    block_on(async {
        assert_eq!(place.transfer("member-0", "member-1").await.unwrap(), Outcome::Done);
        assert_eq!(place.transfer("member-1", "member-0").await.unwrap(), Outcome::AlreadySo);
        for (from, to) in [("member-1", "member-2"), ("member-0", "member-9")] {
            let outcome = place.transfer(from, to).await.unwrap();
            assert!(matches!(outcome, Outcome::Changed { .. }), "{from} {to}: {outcome:?}");
        }
        let pruning = MemberEffect::SetPruning { down_to: 3 };
        assert_eq!(place.applications.change(&place.spec, &place.seats, &pruning).await.unwrap(), Outcome::AlreadySo);
    });
    let requests = place.requests();
    assert_eq!(requests.iter().filter(|request| *request == "transfer").count(), 1, "{requests:?}");
    assert_eq!(requests[..3], ["describe", "membership", "transfer"]);
}

#[test]
fn a_program_is_told_of_a_healthy_member_that_is_about_to_be_stopped_and_of_no_other() {
    let place = Place::of("well");
    let prepare = |place: &Place, member: &str, instance: &str| {
        let effect = MemberEffect::Prepare { member: member.into(), instance: instance.into() };
        block_on(place.applications.change(&place.spec, &place.seats, &effect))
    };
    assert_eq!(prepare(&place, "member-1", "i-2").unwrap(), Outcome::Done);
    for (member, instance) in [("member-1", "i-3"), ("member-1", "i-9"), ("member-9", "i-2")] {
        let outcome = prepare(&place, member, instance).unwrap();
        assert!(matches!(outcome, Outcome::Changed { .. }), "{member} {instance}: {outcome:?}");
    }
    let requests = place.requests();
    assert_eq!(requests.iter().filter(|request| *request == "prepare").count(), 1, "{requests:?}");

    let place = Place::of("prepares-in-name");
    assert_eq!(prepare(&place, "member-1", "i-2").unwrap_err().kind, ErrorKind::Invalid, "it knows no such request");
    let place = Place::of("prepares-nobody");
    let told = chain(&prepare(&place, "member-1", "i-2").unwrap_err());
    assert!(told.ends_with("`prepares` is true in the file and false in the program"), "{told}");
}

#[test]
fn canaries_are_written_and_read_by_the_program() {
    let place = Place::of("well");
    let (applications, spec, seats) = (&place.applications, &place.spec, &place.seats);
    block_on(async {
        applications.write_canary(spec, seats, "one/2", "a value").await.unwrap();
        assert!(applications.write_canary(spec, seats, "../x", "a value").await.is_err());
        let found = applications.canaries(spec, seats).await.unwrap();
        assert_eq!(found, [("one/2".to_owned(), "a value".to_owned())].into());
    });
    assert_eq!(place.requests(), ["describe", "canary-write", "canary-read"]);
}

#[test]
fn a_program_runs_only_out_of_the_folder_that_a_person_has_named() {
    let mut place = Place::of("well");
    for folder in [None, Some(root().join("tests/fixtures")), Some(root().join("tests/no-such-folder"))] {
        place.applications = Applications::with_programs_in(folder);
        let error = block_on(place.membership()).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Denied, "{}", chain(&error));
    }
    assert_eq!(place.log(), [""; 0]);
    place.seats.clear();
    assert_eq!(block_on(place.membership()).unwrap_err().kind, ErrorKind::Unreachable);
}

/// The findings about a program that behaves in some way, without members that it could ask, or with three.
async fn findings(behaviour: &str, seats: bool) -> Vec<Finding> {
    let place = Place::of(behaviour);
    let program: PathBuf = root().join("tests/applications/command/adapter");
    let trial = Trial {
        program: &program,
        args: &[behaviour.to_owned()],
        files: [].into(),
        timeout: patience(behaviour),
        seats: if seats { place.seats.clone() } else { Vec::new() },
    };
    conformance::check(&trial).await
}

fn wrong(findings: &[Finding]) -> Vec<(&str, &str)> {
    findings.iter().filter(|one| !one.right).map(|one| (one.what, one.found.as_str())).collect()
}

#[test]
fn a_program_that_does_as_the_protocol_asks_passes() {
    for (behaviour, seats) in [("well", false), ("well", true), ("prepares-nobody", false)] {
        let findings = block_on(findings(behaviour, seats));
        assert!(wrong(&findings).is_empty(), "{findings:#?}");
        assert!(findings.len() >= 10, "{findings:#?}");
    }
}

#[test]
fn a_membership_is_summed_up_with_who_is_not_healthy_and_what_holds_everything_up() {
    let said = |behaviour: &str| {
        let findings = block_on(findings(behaviour, true));
        findings.into_iter().find(|finding| finding.what == "membership").unwrap().found
    };
    assert_eq!(said("well"), "3 members, of whom 3 are healthy; member-0 leads");
    let elsewhere = said("is-elsewhere");
    assert!(
        elsewhere.starts_with("3 members, of whom 2 are healthy; member-0 leads; member-1 is unknown"),
        "{elsewhere}"
    );
    assert!(elsewhere.contains("its peers have it at 127.77.0.9"), "{elsewhere}");
    let held_up = said("tells-its-environment");
    assert!(held_up.contains("; held up, because HERMITCRAB_PROTOCOL HERMITCRAB_TIMEOUT_SECONDS"), "{held_up}");
    assert!(said("knows-nobody").ends_with("; member-1 is in no slot"));
}

#[test]
fn each_way_to_misbehave_is_named() {
    let membership = &["membership", "membership again"][..];
    let wavering = &["describe again", "a field that is not known", "describe, after it was killed"][..];
    let behaviours = [
        ("hangs", true, membership, "it had not ended after 5s"),
        ("floods-stdout", true, membership, "more than 1048576 bytes to stdout"),
        ("crashes", true, membership, "signal: 11"),
        ("leaves-a-child", true, membership, "it left something behind"),
        ("other-protocol", true, membership, "version 2 of the protocol"),
        ("says-more", true, membership, "its answer cannot be used"),
        ("lists-twice", true, membership, "it lists the member member-0 twice"),
        ("ends-with-1", true, membership, "it ended with 1 (failed)"),
        ("knows-better", false, membership, "it answers for members that nobody can ask"),
        ("wavers", true, wavering, "`lagLimit` is"),
        ("knows-any-request", true, &["an unknown request"][..], "it should end with 3, and ended with exit status: 0"),
        ("knows-any-version", true, &["another version of the protocol"][..], "it should end with 3"),
        ("refuses-in-an-answer", true, &["an unknown request"][..], "and yet there is an answer on stdout"),
        ("prepares-anybody", false, &["prepare, where nobody can"][..], "nobody is prepared for its stop"),
        ("prepares-in-name", false, &["prepare, where nobody can"][..], "it ended with 3"),
        ("moves-anybody", false, &["transfer, where nobody can"][..], "leadership has moved from nobody"),
    ];
    let trials = behaviours.map(|(behaviour, seats, expected, why)| async move {
        let findings = findings(behaviour, seats).await;
        let wrong = wrong(&findings);
        let named: Vec<_> = wrong.iter().map(|(what, _)| *what).collect();
        assert_eq!(named, expected, "{behaviour}: {wrong:?}");
        assert!(wrong.iter().all(|(_, found)| found.contains(why)), "{behaviour}: {wrong:?}");
    });
    block_on(stream::iter(trials).buffer_unordered(AT_ONCE).collect::<Vec<()>>());
}

#[test]
fn a_program_that_knows_no_request_is_asked_nothing_more() {
    let program = Path::new("/bin/true");
    let trial = Trial { program, args: &[], files: [].into(), timeout: patience("well"), seats: Vec::new() };
    let findings = block_on(conformance::check(&trial));
    let wrong = wrong(&findings);
    assert_eq!(wrong.len(), 1, "{findings:#?}");
    assert!(wrong[0].0 == "describe" && wrong[0].1.contains("it has answered nothing"), "{wrong:?}");
}

#[test]
fn the_command_prints_what_is_wrong_and_ends_with_1() {
    let check = |behaviour: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_hermitcrab"));
        command.current_dir(root()).args(["adapter", "check", "tests/applications/command/adapter", "--timeout", "1m"]);
        let output = command.args(["--seat", "db-a=127.77.0.1", "--", behaviour]).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, told) = check("well");
    assert_eq!(code, 0, "{told}");
    assert!(told.ends_with("nothing is wrong\n"), "{told}");
    let (code, told) = check("crashes");
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("✗ membership") && told.ends_with("2 things are wrong\n"), "{told}");
}

#[test]
fn the_committed_schemas_are_those_of_the_types() {
    for (name, schema) in [("request", wire::request_schema()), ("answer", wire::answer_schema())] {
        expect_file![root().join(format!("schema/command-{name}.v1.json"))].assert_eq(&format!("{schema:#}\n"));
    }
}

#[test]
fn answers_are_held_to_the_schema_that_is_committed() {
    let validator = jsonschema::draft7::new(&wire::answer_schema()).unwrap();
    let valid = |text: &str| validator.is_valid(&serde_json::from_str(text).unwrap());
    let rules = r#"{"needed":"quorum","leader":"none","addresses":"any","lagLimit":{"seconds":10},"stabilization":20,"formsTogether":false}"#;
    assert!(valid(&format!(r#"{{"protocol":1,"rules":{rules}}}"#)));
    assert!(!valid(&format!(r#"{{"protocol":2,"rules":{rules}}}"#)));
    assert!(!valid(&format!(r#"{{"protocol":1,"rules":{rules},"more":1}}"#)));
    assert!(valid(r#"{"protocol":1,"acknowledged":true}"#) && !valid(r#"{"protocol":1,"acknowledged":false}"#));
    let member = r#"{"id":"1","slot":null,"address":"10.0.1.10","counts":true,"health":"healthy","lag":{"entries":0}}"#;
    assert!(valid(&format!(r#"{{"protocol":1,"members":[{member}],"leader":"1","canTransfer":false}}"#)));
    assert!(!valid(r#"{"protocol":1,"members":[{"id":"1"}],"canTransfer":false}"#));
}

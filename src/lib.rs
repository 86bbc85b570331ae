//! hermitcrab keeps stateful clusters on EC2 at the image that was committed: this is its architecture.
//!
//! Somebody commits the image that a cluster should run. The controller compares that with what EC2 and the cluster's
//! own members say, and replaces one instance at a time by moving the member's data volume to a new one. Where a
//! replacement stands is read off the world at each look, so that a crash at any point is nothing special.
//!
//! # One pass
//!
//! ```text
//! spec::load ──────────► ClusterSpec ─┐
//!                                     ├─► plan ─► Plan ─┬─► status ─► told to people, before acting
//! cloud, members, claim ► Observation ┘                 └─► one Action, or none ─► act ─► the ports
//! ```
//!
//! Then the controller waits, and looks again. [`plan::plan`] asks in one fixed order: is a replacement under way?
//! finish it, or take it back. Is a slot broken? heal it. Is nothing outdated? settled. Is there a reason not to begin?
//! blocked. Else claim the right slot.
//!
//! # Code map, in reading order
//!
//! | module | is | may import |
//! |---|---|---|
//! | [`ids`], [`time`] | names as types; instants | nothing |
//! | [`limits`] | every waiting limit with its reason, as one value | nothing |
//! | [`revision`] | the commit of desired state that is in force, and how its source stands | `time` |
//! | [`program`] | one run of another program: bounded, and ended with all that it has started | `time` |
//! | [`input`] | what others wrote: files of a limited size, text that steers nothing, secrets that are never shown | nothing; everybody may import it |
//! | [`spec`] | desired state: as meant, as written (`raw`), read (`load`), and given another image (`splice`) | `ids`, `time` |
//! | [`observed`] | what was seen at one moment: plain data | `ids`, `time`, `spec` |
//! | [`action`] | one effect, fully specified: plans say it, ports do it | the three rows above; with them it is *data* |
//! | [`ports`] | traits [`Cloud`](ports::Cloud), [`Members`](ports::Members), [`Canaries`](ports::Canaries), [`Coordination`](ports::Coordination), [`Clock`](ports::Clock), and how they fail | data |
//! | [`plan`] | the decision: `look` arranges; `steps` are lists; `replacement`, `heal`, `maintenance`, `select` answer, `group` beside them where an Auto Scaling group is adopted; `teardown` ends a cluster; `gates` refuse; `explain` words it; `launch_ahead` sends a launch before its slot's turn, `hand_over` moves the claim on at once, and `left_over` ends what stays behind; `forecast` looks ahead | data |
//! | [`status`] | conditions, phase, progress | data, `plan` |
//! | [`act`] | one match from an action to a port | data, `plan`, `ports` |
//! | [`event`] | what happened, as a value, and the listeners that are told | data, `plan`, `status`, `ports` |
//! | [`history`] | events that outlast the daemon: records, their log on disk, and the rollouts read off it | data, `plan`, `status`, `ports`, `event` |
//! | [`controller`] | the pass and its loop; many clusters (`fleet`), one look at them all (`sweep`), those that stand on each other (`related`), when to come back (`retry`), one cluster brought to a goal (`converge`) | everything above |
//! | [`daemon`] | where desired state comes from (`source`, `files`, `git`, `desired`), the lease, the loop, and who listens (`listeners`) | everything above |
//! | [`cloud`] | EC2 (`aws`), and what must be allowed in an AWS account (`permissions`) | data, `ports` |
//! | [`clock`] | the machine's clock | data, `ports` |
//! | [`http`] | a client that does nothing by itself: TLS, secrets, limits, what a status means; Consul's own conventions (`consul`) | `ports` |
//! | [`application`] | what runs on the instances: `consul`, `etcd`, `patroni` and `zookeeper` ask their servers, and read their answers; `command` has a user's program do so | data, `ports`, `http` |
//! | [`coordination`] | the claims and the lease: in a directory (`local`), a `bucket` or `consul` | data, `ports`, `http` |
//! | [`sim`] | the simulated world, which fills every port; `wire` shows it as AWS and the members would | data, `ports` |
//! | [`endpoint`] | that world over HTTP, for this machine alone | data, `ports`, `sim` |
//! | [`picture`] | a rollout as an SVG, drawn from its events | `ids`, `time`, `history` |
//! | [`notifications`] | news of clusters for receivers elsewhere: found (`watch`), kept, and delivered by a thread of its own (`post`) | data, `plan`, `status`, `ports`, `event`, `http` |
//! | [`face`] | what the daemon has told, over HTTP, for everybody to look at and nobody to change | data, `plan`, `status`, `ports`, `event`, `history`, `picture`, `controller`, `notifications` |
//! | [`rehearsal`] | a throw-away copy goes the way that a cluster is to go | data, `plan`, `ports`, `event`, `controller` |
//! | [`simulate`] | a whole rollout in that world | everything above |
//! | [`cli`] | one command, one file; chooses what fills the ports | everything |
//!
//! `tests/layers.rs` holds this table. The adapters (`cloud`, `application`, `coordination`) never see a plan.
//!
//! # Architecture invariants
//!
//! **Architecture invariant:** the planner cannot wait, fail, speak or look at a clock, and knows no application and no
//! SDK by name. `tests/layers.rs::every_file_keeps_to_its_layer` refuses the words; `clippy.toml` bans clocks, chance
//! without a seed, and maps whose order is chance. That equal facts get equal answers:
//! `tests/plan.rs::an_answer_does_not_depend_on_the_order_in_which_things_are_listed`.
//!
//! **Architecture invariant:** a pass changes at most one thing, because [`Plan::Act`](plan::Plan::Act) holds one
//! [`Action`](action::Action). What is decided rests on readings begun after our last write; the world counts
//! the contrary as a violation: `tests/sim/rules.rs::stopping_without_looking_again_breaks_s2`.
//!
//! **Architecture invariant:** nothing that is needed after a crash is kept in memory. `controller/memory.rs` may delay
//! an action and never hasten one. `tests/chaos.rs::a_crash_at_any_point_of_any_call_of_a_surge_changes_nothing` and its
//! neighbours crash the controller everywhere.
//!
//! **Architecture invariant:** adapters never see a plan, only the effect that is to be carried out, and decide nothing
//! but whether the world still is as the effect expects: `tests/layers.rs::every_file_keeps_to_its_layer`.
//!
//! **Architecture invariant:** one file, or one family of files, names each package that reaches outside (YAML, file
//! watching, retries, arguments, the AWS SDK, HTTP): the second table in `tests/layers.rs`.
//!
//! **Architecture invariant:** no gate blocks the end of what was begun, and few block healing. What a gate guards is
//! data in [`plan::gates::GATES`]; `tests/plan/heal-needs-no-healthy-cluster.yaml` shows it.
//!
//! **Architecture invariant:** a file that is broken, empty or gone causes no mutating call. Clusters are only added or
//! replaced in `daemon/desired.rs`, never removed; the tests below it say so one by one.
//!
//! **Architecture invariant:** listeners never act and never delay a pass: a [`Listener`](event::Listener) is handed an event by
//! reference and nothing else, so that it has no port to act through and no cluster to stop.
//!
//! **Architecture invariant:** nobody can change anything through the daemon's [`face`], and no question costs a call or delays
//! a pass: it answers GET and HEAD from what a listener was told. `tests/program/face/abuse.rs` tries the rest. A webhook's call only makes
//! the next look at the source come soon.
//!
//! **Architecture invariant:** whatever happens to a source in git, the revision in force stays so until a newer one is whole on the
//! disk, and no file is read while two are exchanged: `daemon/git.rs`, and `tests/program/run/source.rs` with a real repository.
//!
//! **Architecture invariant:** whatever the simulated world does, no safety rule breaks and every run ends in a named
//! answer: `sim/judge.rs` judges from the truth after each step, `tests/chaos.rs` and `simulate --seeds` try it.
//!
//! **Architecture invariant:** a copy of a cluster is another cluster, with its own name, claim and members, and what is deleted at
//! its end is its own. That a copied volume never brings its old self along is for the guest to see to, before it stamps it:
//! `tests/guest/volumes.rs`, and in the rig `journey::one_with_data_reaches_nothing`.
//!
//! # Where a new thing goes
//!
//! - A **gate**: a row in [`plan::gates::GATES`], its function below `plan/gates/`, its name in `plan/gates/name.rs`, its
//!   words in `plan/explain/hazards.rs`, a row in `docs/gates.md`, a case `tests/plan/gate-….yaml`. Tests fail until all of
//!   them are there.
//! - An **application**: `spec/application/KIND.rs` with the kind's fields as written and as meant, its [`Rules`](spec::Rules)
//!   and its limits; the adapter in `application/KIND.rs` and below; and a line for each choice among the kinds in
//!   `spec/application.rs`, `application.rs` and `sim/members.rs` (the simulated world plays every kind, each in
//!   `sim/members/KIND.rs`, with a row in `tests/layers/tables.rs`). Then the generated `schema/cluster.v1.json` (`hermitcrab
//!   schema`), `docs/desired-state.md` and `docs/applications.md`. The planner stays as it is: it asks the rules.
//! - A **cloud**: one that fills [`ports::Cloud`], below `cloud/`, chosen in `cli/cloud.rs`.
//! - A **strategy**: a list in [`plan::steps`], a variant of [`spec::Strategy`], its word in `spec/words.rs`, its line in
//!   `docs/desired-state.md`; the schema follows the word.
//! - A **receiver** of notifications: over HTTP a row in `notifications/hook.rs`, else a way in `notifications/way.rs`, as
//!   `notifications/email.rs` is; its fields in `notifications/file.rs`, and `docs/notifications.md`; the schema follows
//!   (`hermitcrab notify schema`).
//! - A **listener** (history, progress): a file below `daemon/listeners/` that fills [`event::Listener`], a line in
//!   `daemon/listeners.rs`, and one in `cli/run.rs`, where the daemon gets its listeners.
//! - A **metric**: a row in `face/metrics.rs`, `face/metrics/gauges.rs` or, of calls, `face/metrics/calls.rs`, its line in `docs/daemon.md` and in
//!   `tests/program/face/metrics.txt`, which never loses one.
//! - An **endpoint**: its route in `face/request.rs`, its document in `face/document.rs`, its line in `face/openapi.rs`.
//! - A **source** of desired state: a file below `daemon/` that fills [`daemon::source::Source`], and its choice in `cli/run.rs`.
//! - A **command**: a file in `cli/` and a line in [`cli`].
//! - A **field**: `spec/raw.rs` as written, `spec.rs` as meant, a check in `spec/load/`, `docs/desired-state.md`.
//!
//! # Words
//!
//! A *slot* is a stable seat of a *cluster*, with volumes that stay; *instances* pass through it; its *member* is the
//! process as its peers see it. An instance is *outdated* if it *drifts* from the spec; it is *replaced*, *retired* when its
//! successor has proved itself, and only then terminated. The *claim* names the one slot that may be disrupted. A slot that
//! has lost its instance is *healed*. All of them, with what they look like from outside: `docs/desired-state.md`.

// Modules in reading order.
pub mod ids;
pub mod input;
pub mod make;
pub mod revision;
pub mod time;

pub mod limits;

pub mod spec;

pub mod observed;

pub mod action;
pub mod ports;

pub mod plan;
pub mod status;

pub mod act;
pub mod event;
pub mod history;

pub mod controller;
pub mod daemon;

pub mod program;

pub mod application;
pub mod clock;
pub mod cloud;
pub mod coordination;
pub mod http;

pub mod notifications;
pub mod picture;
pub mod rehearsal;
pub mod sim;

pub mod endpoint;
pub mod face;
pub mod simulate;

pub mod cli;

//! The floors inside `plan` and inside `sim`: what each file may import of its own module.

use super::floors::Floors;

/// The floors inside `plan`, from the ground up. Decisions that a person reads top-down stand at the end.
#[rustfmt::skip]
pub const PLAN: Floors = Floors { module: "plan", rows: &[
    // words
    ("drift",                 &[]),
    ("steps",                 &[]),
    ("gates/name",            &[]),
    ("answer/hazard",         &[]),
    ("answer",                &["answer/hazard"]),
    ("explain/words",         &[]),
    ("explain/effects",       &["explain/words"]),
    ("explain/reasons",       &["answer", "explain/words"]),
    ("explain/hazards",       &["answer", "gates/name", "explain/words"]),
    ("explain/stalls",        &["answer", "explain/words"]),
    ("explain",               &["answer", "explain/words", "explain/effects", "explain/reasons", "explain/hazards", "explain/stalls"]),
    // the world, arranged
    ("look",                  &["answer"]),
    ("slot_state",            &["answer", "look"]),
    ("group",                 &["answer", "look", "slot_state"]),
    // gates
    ("rehearsal",             &["answer", "look"]),
    ("approval",              &["drift", "look", "slot_state"]),
    ("gates/question",        &["answer", "look"]),
    ("gates/membership",      &["answer", "look", "gates/question"]),
    ("gates/cloud",           &["answer", "look", "gates/question"]),
    ("gates/group",           &["answer", "group", "gates/question"]),
    ("gates/intent",          &["answer", "approval", "look", "rehearsal", "slot_state", "steps", "gates/question"]),
    ("gates",                 &["answer", "look", "gates/name", "gates/question", "gates/membership", "gates/cloud", "gates/group", "gates/intent"]),
    // answers
    ("maintenance",           &["answer", "drift", "group", "look", "slot_state"]),
    ("select",                &["answer", "drift", "gates", "group", "look", "maintenance", "slot_state"]),
    ("heal",                  &["answer", "gates", "group", "look", "slot_state"]),
    ("replacement/under_way", &["answer", "look"]),
    ("replacement/proof",     &["look"]),
    ("replacement/instances", &["answer", "gates", "group", "look", "steps", "replacement/under_way"]),
    ("replacement/launch",    &["answer", "gates", "group", "replacement/under_way"]),
    ("replacement/deadline",  &["answer", "gates", "heal", "replacement/under_way", "replacement/proof"]),
    ("replacement/forward",   &["answer", "gates", "group", "select", "steps", "replacement/under_way", "replacement/proof"]),
    ("replacement/back",      &["answer", "steps", "replacement/under_way", "replacement/proof"]),
    ("replacement",           &["answer", "drift", "group", "heal", "look", "slot_state", "steps", "replacement/under_way", "replacement/proof",
                                "replacement/instances", "replacement/launch", "replacement/deadline", "replacement/forward", "replacement/back"]),
    ("teardown/end",          &["answer", "look"]),
    ("teardown/auto_scaling", &["answer", "group", "look", "teardown/end"]),
    ("teardown",              &["answer", "group", "look", "steps", "teardown/end", "teardown/auto_scaling"]),
    ("forecast",              &["answer", "group", "look", "replacement", "select", "slot_state", "steps"]),
]};

/// The floors inside `sim`, from the ground up. No room knows another one: only the world knows them all.
#[rustfmt::skip]
pub const SIM: Floors = Floors { module: "sim", rows: &[
    // words
    ("time",              &[]),
    ("chance",            &[]),
    ("words",             &[]),
    ("content",           &["words"]),
    // EC2: the state, then the calls that change it
    ("ec2/happened",      &["time"]),
    ("ec2/shown",         &["time"]),
    ("ec2/throttle",      &["time", "words"]),
    ("ec2/group",         &["time"]),
    ("ec2/records",       &["time", "content", "ec2/shown"]),
    ("ec2/region",        &["time", "words", "ec2/happened", "ec2/shown", "ec2/throttle", "ec2/group", "ec2/records"]),
    ("ec2/check",         &["words", "ec2/records", "ec2/region"]),
    ("ec2/tags",          &["words", "ec2/records", "ec2/region"]),
    ("ec2/instances",     &["time", "words", "ec2/happened", "ec2/records", "ec2/region"]),
    ("ec2/volumes",       &["time", "words", "content", "ec2/happened", "ec2/records", "ec2/region"]),
    ("ec2/snapshots",     &["time", "words", "ec2/happened", "ec2/records", "ec2/region"]),
    ("ec2/groups",        &["time", "words", "ec2/happened", "ec2/group", "ec2/records", "ec2/region"]),
    ("ec2/group_calls",   &["words", "ec2/happened", "ec2/group", "ec2/region"]),
    ("ec2/view",          &["time", "ec2/shown", "ec2/region"]),
    ("ec2",               &["time", "words", "ec2/happened", "ec2/shown", "ec2/throttle", "ec2/group", "ec2/records", "ec2/region",
                            "ec2/check", "ec2/tags", "ec2/instances", "ec2/volumes", "ec2/snapshots", "ec2/groups", "ec2/group_calls",
                            "ec2/view"]),
    // members: what kinds share, then each kind
    ("members/raft",      &["time", "words", "content"]),
    ("members/kind",      &["time", "words", "content", "members/raft"]),
    ("members/gossip",    &["time", "members/raft"]),
    ("members/autopilot", &["time", "members/raft", "members/gossip"]),
    ("members/consul",    &["time", "words", "content", "members/raft", "members/kind", "members/gossip", "members/autopilot"]),
    ("members",           &["time", "words", "content", "members/raft", "members/kind", "members/gossip", "members/autopilot",
                            "members/consul"]),
    // the other rooms
    ("claims",            &["time", "words"]),
    ("guest",             &["words", "content"]),
    ("judge/rule",        &[]),
    ("judge/facts",       &["time"]),
    ("judge/calls",       &["time", "judge/rule", "judge/facts"]),
    ("judge/clusters",    &["judge/rule", "judge/facts"]),
    ("judge",             &["judge/rule", "judge/facts", "judge/calls", "judge/clusters"]),
    // chance, latency and the transcript
    ("event",             &["judge"]),
    ("transcript",        &["time", "judge", "event"]),
    ("latency",           &["time", "ec2"]),
    ("pace",              &["time"]),
    ("unkind/fate",       &["time", "words"]),
    ("unkind/accident",   &["time", "words", "unkind/fate"]),
    ("unkind/faults",     &["time", "chance", "words", "ec2", "unkind/fate", "unkind/accident"]),
    // the world
    ("world/state",       &["time", "chance", "words", "ec2", "members", "claims", "judge", "event", "transcript", "latency", "pace",
                            "unkind/faults"]),
    ("world/applications", &["words", "event", "world/state"]),
    ("world/calls",       &["words", "ec2", "judge", "event", "world/state"]),
    ("world/controllers", &["event", "unkind/fate", "world/state"]),
    ("world/facts",       &["ec2", "judge", "world/state"]),
    ("world/guests",      &["words", "content", "ec2", "members", "guest", "judge", "latency", "world/state"]),
    ("world/reads",       &["time", "ec2", "world/state"]),
    ("world/settle",      &["time", "words", "content", "ec2", "members", "world/state"]),
    ("world",             &["world/state", "world/applications", "world/calls", "world/controllers", "world/facts", "world/guests",
                            "world/reads", "world/settle"]),
    // whoever moves it
    ("unkind/interfere",  &["time", "words", "ec2", "world"]),
    ("unkind/inject",     &["unkind/faults", "world", "unkind/interfere"]),
    ("turn",              &["time", "world", "unkind/interfere", "unkind/inject"]),
    ("store",             &["world"]),
    ("handle",            &["time", "words", "ec2", "event", "transcript", "pace", "world", "turn", "store"]),
    ("unkind/by_hand",    &["time", "content", "unkind/accident", "unkind/interfere", "handle"]),
    ("unkind",            &["unkind/fate", "unkind/accident", "unkind/faults", "unkind/interfere", "unkind/inject", "unkind/by_hand"]),
    ("ports",             &["time", "words", "ec2", "latency", "unkind/fate", "world", "unkind/interfere", "turn", "handle"]),
    ("executor",          &["time", "turn", "handle"]),
]};

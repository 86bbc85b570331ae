//! The forms that a story's commands are written in, and the calls that they may name.

/// Every form of a command, and what it does. Words in capitals stand for something else; brackets may be left out.
pub const FORMS: [(&str, &str); 58] = [
    (
        "cluster [FILE] [from nothing] [beside NUMBER others]",
        "Begins: the file's cluster is settled on its own image, or has nothing yet; others are copies of it under other names",
    ),
    (
        "payload IMAGE BEHAVIOUR",
        "Says how members run on an image: `good`, `never-joins`, `unhealthy`, `flaps`, `wrong-version`, `loses-data`",
    ),
    ("deregister IMAGE", "Takes an image away"),
    (
        "image IMAGE brings DEVICE",
        "Has an image fill a device by itself, at every instance of it; `leaves its root` keeps its root volumes",
    ),
    (
        "commit FIELD VALUE",
        "Sets a field of the file, e.g. `image ami-…`, `rollout.strategy recreate`, `slots.consul-b.subnet subnet-…`",
    ),
    ("commit without FIELD", "Takes a field away, e.g. `slots.consul-c`, `volumes.logs`, `instance.keyName`"),
    ("commit file FILE", "Commits another file's text"),
    ("revert", "Commits what was committed before the last commit"),
    ("approve", "Commits the approval that is asked for"),
    ("run to the end", "Goes on until nothing more happens, or twelve hours after the last fault"),
    ("run until ACTION [of SLOT]", "Goes on until an action has taken effect, e.g. `stop of consul-b`"),
    ("run until ANSWER", "Goes on until the controller says `blocked`, `stalled` or `settled`"),
    ("run for SPAN", "Goes on for so long, e.g. `90s`, `20m` or `2h`"),
    ("crash controller [NUMBER]", "Kills a controller; it is back after five seconds, with nothing remembered"),
    ("start controller NUMBER", "Starts a further controller for the same cluster; the first one is number 0"),
    ("pause controller [NUMBER] for SPAN", "Lets a controller stand still, in the middle of whatever it does"),
    (
        "clock of controller [NUMBER] ahead SPAN",
        "Sets the clock of a controller's machine ahead of the world's; `behind SPAN` sets it back, which a controller is shown once it is started again. One whose clock was set back by more than a minute changes nothing, ends, and is started again after five seconds",
    ),
    (
        "hold controller [NUMBER] at its commit",
        "Has a controller hear of no further commit, as one does whose copy of the files is behind; it reads them when it starts anew",
    ),
    ("stop [new] instance of SLOT", "Somebody stops the slot's oldest live instance, or its newest"),
    ("start [new] instance of SLOT", "Somebody starts it"),
    ("terminate [new] instance of SLOT", "Somebody terminates it"),
    (
        "announce retirement of [new] instance of SLOT [in SPAN]",
        "EC2 announces that it retires the instance's host, a week from now or after the span, and stops the instance then",
    ),
    (
        "crash member of SLOT [for SPAN]",
        "The member's process ends; its guest starts it again after the span, or never",
    ),
    ("delete volume of SLOT", "Somebody deletes the slot's first volume, wherever it is"),
    ("wipe volume of SLOT", "Somebody loses the content of the slot's first volume"),
    ("copy volume of SLOT", "Somebody restores a copy of the slot's first volume, with all of its tags"),
    ("unassign address of SLOT", "Somebody takes the slot's fixed address off its instance"),
    (
        "lend address of SLOT",
        "Something that is none of the cluster's gets the slot's fixed address; `free address of SLOT` ends it",
    ),
    (
        "revoke key of SLOT",
        "EC2 may no longer use the KMS key of the slot's first volume, which shows when it is attached",
    ),
    ("no capacity in ZONE for SPAN", "EC2 has no instances to give in a zone"),
    (
        "lose ZONE for SPAN",
        "A zone fails: its members do not run, EC2 reports it as impaired and launches nothing in it",
    ),
    ("hide members for SPAN", "No controller reaches any member; the members reach each other"),
    (
        "hide member of SLOT for SPAN",
        "No controller reaches that member; the other members do, and controllers reach the others",
    ),
    (
        "cut off SLOT [and SLOT] for SPAN",
        "Those members do not reach the others; the side with fewer votes can do nothing, and controllers reach both",
    ),
    (
        "cut off SLOT from SLOT for SPAN",
        "Nothing that the first member sends reaches the second; what the second sends reaches the first, and both reach the others",
    ),
    ("lose leader", "The leader steps down for no good reason"),
    ("lose claims for SPAN", "The store of the claims does not answer"),
    (
        "refuse CALL with ERROR HOW-LONG",
        "Refuses an action, or a look (`look`, `ask-members`, `read-claim`), or `everything`: `once`, `for SPAN` or `for ever`",
    ),
    ("allow everything", "Ends all that is refused"),
    (
        "show what was so SPAN ago for SPAN",
        "EC2 answers old: to the looks that decisions rest on, and to an adapter's last look before it sends",
    ),
    ("stick MOVE for SPAN", "Each `attach`, `detach` or `stop` that begins meanwhile takes until the end of the span"),
    (
        "let volumes vanish",
        "A volume that is created is gone a moment later, as one whose KMS key may not be used; `let volumes be well` ends it",
    ),
    (
        "describe volume of SLOT as WORD",
        "EC2 describes the slot's first volume in a word that nobody knows; `describe volume of SLOT well` ends it",
    ),
    (
        "hand [new] instance of SLOT to OWNER",
        "Somebody sets the instance's tag `hermitcrab:owner`, which is `hermitcrab` for the controllers; `hand volume of SLOT to OWNER` that of the slot's first volume",
    ),
    (
        "crowd of COUNT instances",
        "So many more instances are in the region, each with a volume: a look at the whole fleet takes longer",
    ),
    ("let snapshots fail", "EBS gives up each snapshot; `let snapshots be well` ends it"),
    ("let launches end", "Each instance that is launched ends at once; `let launches be well` ends it"),
    (
        "protect [new] instance of SLOT from PROTECTION",
        "Protects an instance from `stop` or from `termination`; `unprotect instance of SLOT` ends it",
    ),
    ("unprotect [new] instance of SLOT", "Ends an instance's protection"),
    ("host stops [new] instance of SLOT", "EC2 stops an instance by itself"),
    (
        "fail checks of [new] instance of SLOT for SPAN",
        "The instance's status checks fail, although nothing else is wrong",
    ),
    (
        "impair volume of SLOT for SPAN",
        "The volume's I/O is impaired; `modify volume of SLOT for SPAN` has its size or type be modified",
    ),
    (
        "keep claims in the cluster",
        "The claims are kept by the members themselves: without a leader they are not to be had; `keep claims elsewhere` ends it",
    ),
    (
        "bounce leadership NUMBER times",
        "Leadership comes back to whoever hands it over; `least members NUMBER` sets down to how many members are removed",
    ),
    ("group", "Shows the adopted Auto Scaling group; `resume group` resumes its processes, as somebody may"),
    (
        "put [new] instance of SLOT in standby",
        "Somebody sets the instance aside in its Auto Scaling group; `in service` puts it back",
    ),
    ("hook joins for SPAN", "A lifecycle hook keeps each instance that joins the group waiting"),
    ("status", "Shows what `hermitcrab status` says"),
];

/// Every action that a controller may carry out, by its stable name, and every look that it may make.
#[rustfmt::skip]
pub(super) const CALLS: [&str; 54] = [
    "create-volume", "launch", "stop", "start", "snapshot-running", "snapshot", "copy-volume", "delete-snapshot", "detach", "attach",
    "grow", "assign-address", "terminate",
    "retire", "reject", "forgive", "settle", "record-slots", "tag", "recruit", "delete-volume",
    "record-resume", "suspend-processes", "resume-processes", "forget-resume", "join-group", "leave-group", "protect", "vouch",
    "resize-group", "lower-minimum", "create-template", "use-template",
    "transfer-leadership", "prepare", "move-member", "set-pruning",
    "claim", "mark-stop", "turn-back", "turn-forward", "turned", "announce-launch", "let-go", "forget-launch", "release", "move-claim", "create-again", "end", "revive", "record-rehearsal",
    "look", "ask-members", "read-claim",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::script::command::{FIRST_WORDS, first, further};
    use crate::simulate::script::words::Words;

    /// Writes a form out: everything in brackets is there, and words in capitals are examples.
    fn example(form: &str) -> String {
        let example = |word: &str| {
            match word.trim_matches(['[', ']']) {
                "IMAGE" => "ami-0bbbbbbbbbbbbbbbb",
                "BEHAVIOUR" => "flaps",
                "WORD" => "hibernating",
                "COUNT" => "50000",
                "DEVICE" => "/dev/sdf",
                "FILE" => "consul.yaml",
                "FIELD" => "instance.type",
                "VALUE" => "m7i.large",
                "ACTION" | "CALL" => "stop",
                "ANSWER" => "blocked",
                "SLOT" => "consul-b",
                "SPAN" => "20m",
                "NUMBER" => "1",
                "ZONE" => "us-east-1b",
                "ERROR" => "denied",
                "MOVE" => "attach",
                "PROTECTION" => "termination",
                "HOW-LONG" => "for ever",
                other => other,
            }
            .to_owned()
        };
        form.split(' ').map(example).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn every_form_is_read_and_every_first_word_has_a_form() {
        let mut said = std::collections::BTreeSet::from(["resume", "modify", "least", "free"]);
        for (form, _) in FORMS {
            let text = example(form);
            let mut words = Words::new(&text, 0, 1);
            let read =
                if form.starts_with("cluster") { first(&mut words).map(drop) } else { further(&mut words).map(drop) };
            assert_eq!(read, Ok(()), "{text}");
            said.extend(form.split(' ').next());
        }
        for (word, _) in FIRST_WORDS {
            assert!(said.contains(word), "{word} has no form");
        }
    }

    #[test]
    fn every_action_has_a_name_in_a_story() {
        let source = concat!(include_str!("../../action.rs"), include_str!("../../action/group.rs"));
        let named =
            source.lines().filter_map(|line| line.split_once("=> \"")).filter_map(|(_, rest)| rest.split_once('"'));
        let missing: Vec<_> = named.map(|(name, _)| name).filter(|name| !CALLS.contains(name)).collect();
        assert_eq!(missing, [""; 0]);
    }
}

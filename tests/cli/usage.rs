//! Wrong arguments, missing files, help, colours and closed pipes.

use std::process::Stdio;

use expect_test::expect;

use super::{FILE, NEW_IMAGE, SIMULATED, check, command, run, told};

#[test]
fn a_cluster_that_is_not_declared_is_perhaps_a_slip() {
    check(
        &[&["explain", "consul-prd"], &SIMULATED[..]].concat(),
        expect![[r#"
        ! error: there is no cluster `consul-prd`
        !  hint: did you mean `consul-prod`?
        exit 1
    "#]],
    );
    check(
        &[&["explain", "consul-prod", "--slot", "x"], &SIMULATED[..]].concat(),
        expect![[r#"
        ! error: there is no slot `x`
        !  hint: there is consul-a, consul-b, consul-c
        exit 1
    "#]],
    );
}

#[test]
fn a_missing_file_is_named() {
    check(
        &[&["plan", "nowhere.yaml"], &SIMULATED[..]].concat(),
        expect![[r#"
            ! error: no such file or directory
            ! --> nowhere.yaml
            !  = hint: give the path of a file or a folder, or create the folder
            ! 
            ! error: no file of nowhere.yaml can be used
            !  hint: correct the problems above; `hermitcrab validate` checks files alone
            exit 1
        "#]],
    );
}

#[test]
fn a_broken_file_is_shown_and_does_not_stop_the_others() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("broken.yaml"), "kind: Cluster\n  name: [\n").unwrap();
    std::fs::copy(FILE, dir.path().join("good.yaml")).unwrap();
    let path = dir.path().to_str().unwrap().to_owned();
    let output = run(&[&["status", &path], &SIMULATED[..]].concat());
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("broken.yaml:2"), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("consul-prod"), "{output:?}");
}

#[test]
#[cfg(not(feature = "aws"))]
fn this_build_says_that_it_cannot_reach_aws() {
    check(
        &["plan", FILE],
        expect![[r#"
            ! error: this build cannot reach AWS: it was built without the feature `aws`
            !  hint: use `--cloud simulated` for a simulated world, or build without `--no-default-features`
            exit 1
        "#]],
    );
    check(
        &["status", FILE, "--cloud", "aws"],
        expect![[r#"
            ! error: this build cannot reach AWS: it was built without the feature `aws`
            !  hint: use `--cloud simulated` for a simulated world, or build without `--no-default-features`
            exit 1
        "#]],
    );
    check(
        &["run", FILE],
        expect![[r#"
            ! error: this build cannot reach AWS: it was built without the feature `aws`
            !  hint: use `--cloud simulated` for a simulated world, or build without `--no-default-features`
            exit 1
        "#]],
    );
}

#[test]
fn a_world_that_is_not_there_is_named() {
    check(
        &["plan", FILE, "--world", "nowhere.json"],
        expect![[r#"
            ! error: the world nowhere.json cannot be read
            !   caused by: No such file or directory (os error 2)
            !  hint: a world is saved by `run --cloud simulated --world FILE`, or by `simulate --world FILE`
            exit 1
        "#]],
    );
}

#[test]
fn wrong_usage_exits_with_64_and_not_with_two() {
    for arguments in [&["explain"][..], &["no-such-command"], &["status", "--no-such-option"], &[]] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
    check(
        &["plan", FILE, "--image", "latest"],
        expect![[r#"
            ! error: invalid value 'latest' for '--image <AMI>': `latest` is another image tomorrow; give a literal id, `ami-` and 17 hexadecimal digits: what is committed is what runs
            ! 
            ! For more information, try '--help'.
            exit 64
        "#]],
    );
}

#[test]
fn an_option_without_effect_is_refused() {
    let aws = "leave it out, or name `--cloud aws`";
    let simulated = "leave it out, or name `--cloud simulated`";
    for (line, says, hint) in [
        ("status FILE --cloud simulated --claims x", "--claims` has no effect in a simulated world", aws),
        ("status FILE --world w.json --claims-token-file x", "--claims-token-file` has no effect in a simulated", aws),
        ("run --cloud simulated --once --lease", "--lease` has no effect in a simulated world", aws),
        ("run --world w.json --once --profile x", "--profile` has no effect in a simulated world", aws),
        ("plan FILE --cloud simulated --aws-api-share 5", "--aws-api-share` has no effect in a simulated", aws),
        ("plan FILE --seed 5", "--seed` has no effect on AWS", simulated),
        ("run --cloud aws --once --speed 5", "--speed` has no effect on AWS", simulated),
        ("run --once --empty", "--empty` has no effect on AWS", simulated),
        ("run --once --bad-image ami-0bad0bad0bad0bad0", "--bad-image` has no effect on AWS", simulated),
        ("rehearse FILE --payload good", "--payload` has no effect on AWS", simulated),
        ("run --cloud simulated --timeout 5s", "--timeout` has no effect without `--once`", "or give both"),
        (
            "rehearse FILE --cloud simulated --older-than 1h --image ami-0bbbbbbbbbbbbbbbb",
            "--older-than` has no effect without `--sweep`",
            "or give both",
        ),
        ("rehearse FILE --cloud simulated --sweep --payload flaps", "--payload` has no effect beside `--sweep`", ""),
        ("rehearse FILE --sweep --subnet us-east-1a=subnet-0", "--subnet` has no effect beside `--sweep`", ""),
        ("promote FILE --image ami-0bbbbbbbbbbbbbbbb --build x", "--build` has no effect without `--manifest`", ""),
        ("init --image ami-0bbbbbbbbbbbbbbbb --build x", "--build` has no effect without `--manifest`", ""),
    ] {
        let words: Vec<&str> = line.split(' ').map(|word| if word == "FILE" { FILE } else { word }).collect();
        let output = run(&words);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{line}: {told}");
        assert!(told.contains(&format!("error: `{says}")) && told.contains(hint), "{line}: {told}");
        assert!(output.stdout.is_empty(), "{line}");
    }
    // The environment is for all commands.
    let mut command = command(&[&["status", FILE], &SIMULATED[..]].concat());
    assert!(command.env("HERMITCRAB_CLAIMS", "x").output().unwrap().status.success());
}

/// Every option that takes a span, of every command.
#[test]
fn a_span_that_no_clock_can_tell_is_refused() {
    let mut options = Vec::new();
    for command in hermitcrab::cli::command().get_subcommands() {
        let is_span = |argument: &&clap::Arg| {
            argument.get_value_names().is_some_and(|names| ["SPAN", "DURATION"].contains(&&*names[0]))
        };
        let longs = command.get_arguments().filter(is_span).filter_map(clap::Arg::get_long);
        options.extend(longs.map(|long| (command.get_name().to_owned(), format!("--{long}"))));
    }
    assert!(options.len() >= 7, "{options:?}");
    for (name, option) in options {
        for span in ["9223372036854775807s", "367d", "-1s", "99999999999999999999h", "", "soon"] {
            let output = run(&[&name, "x", &format!("{option}={span}")]);
            assert_eq!(output.status.code(), Some(64), "{name} {option}={span}: {output:?}");
        }
    }
}

#[test]
fn seeds_without_an_end_are_refused_and_the_last_ones_there_are_are_run() {
    let simulated = |seeds: &str| {
        let output = run(&[&["simulate", FILE, "--seeds", seeds], &NEW_IMAGE[..]].concat());
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let last = "18446744073709551615";
    for (seeds, says) in [
        (format!("1..{last}"), "more than 1000000 seeds"),
        (format!("0..{last}"), "more than 1000000 seeds"),
        ("1..10000000000".to_owned(), "more than 1000000 seeds"),
        (format!("1..{last}0"), "number too large"),
        ("2..1".to_owned(), "the first seed comes after the last"),
        ("1".to_owned(), "seeds are a range"),
    ] {
        let (code, said) = simulated(&seeds);
        assert!(code == Some(64) && said.contains(says), "{seeds}: {code:?} {said}");
    }
    let (code, said) = simulated(&format!("{last}..{last}"));
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn a_world_is_saved_in_the_place_of_no_pipe() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    let kind = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, kind, rustix::fs::Mode::RUSR, 0).unwrap();
    let output = run(&[&["simulate", FILE, "--world", pipe.to_str().unwrap()], &NEW_IMAGE[..]].concat());
    assert_eq!(output.status.code(), Some(74), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("not a regular file"), "{output:?}");
    assert!(!std::fs::symlink_metadata(&pipe).unwrap().is_file(), "the pipe is gone");
}

#[test]
fn help_and_version_go_to_stdout_and_exit_with_zero() {
    for arguments in [&["--help"][..], &["plan", "-h"], &["--version"]] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(output.stderr.is_empty() && !output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn every_command_has_a_help_text_with_examples() {
    for command in hermitcrab::cli::command().get_subcommands() {
        let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        assert!(examples.contains("Examples:\n"), "{}", command.get_name());
    }
    hermitcrab::cli::command().debug_assert();
}

#[test]
fn a_word_that_is_no_command_leads_to_what_it_means() {
    for (word, leads_to) in [
        ("hold", "`hermitcrab suspend`"),
        ("unpause", "`hermitcrab resume`"),
        ("abort", "`hermitcrab freeze`"),
        ("confirm", "`hermitcrab approve`"),
        ("revert", "`hermitcrab undo`"),
        ("logs", "`hermitcrab events`"),
        ("apply", "`hermitcrab promote`"),
        ("diff", "`hermitcrab plan`"),
    ] {
        for arguments in [&[word][..], &["help", word], &[word, "consul-prod"]] {
            let told = told(arguments);
            let begins = format!("! error: there is no command `{word}`\n!  hint: ");
            assert!(told.starts_with(&begins) && told.contains(leads_to), "{told}");
            assert!(told.ends_with("exit 64\n") && !told.contains("similar"), "{told}");
        }
    }
    for word in ["pause", "suspend", "freeze", "approve", "undo", "rollback", "history"] {
        assert!(told(&["--help"]).contains(word), "{word}");
    }
    assert!(told(&["stauts"]).contains("similar"), "a slip is told of as before");
}

#[test]
fn what_has_found_nothing_says_so() {
    let empty = tempfile::tempdir().unwrap();
    let folder = empty.path().to_str().unwrap();
    for format in ["text", "json", "github"] {
        let said = told(&["validate", folder, "-o", format]);
        assert!(said.contains("no desired-state file in this folder") && said.ends_with("exit 1\n"), "{said}");
    }
    assert!(told(&["validate", folder, FILE]).ends_with("exit 0\n"), "another file was checked");
    for command in [&["events"][..], &["history"], &["events", "consul-prod"]] {
        let said = told(&[command, &["--state", folder]].concat());
        assert!(said.contains("no daemon has written a log of events there") && said.ends_with("exit 1\n"), "{said}");
    }
    let sweep = ["rehearse", FILE, "--sweep", "--older-than", "1s"];
    assert_eq!(told(&[&sweep[..], &SIMULATED[..]].concat()), "nothing is left of a rehearsal\nexit 0\n");
}

#[test]
fn a_password_in_an_address_that_lacks_its_scheme_is_not_shown() {
    for line in [&["status", "--from", "ada:hunter2@127.0.0.1:9"][..], &["run", "--listen", "ada:hunter2@[::1]:9"]] {
        let told = told(line);
        assert!(told.contains("'[secret]@") && !told.contains("hunter2"), "{told}");
    }
}

#[test]
fn what_has_no_effect_on_the_answer_of_a_daemon_is_refused() {
    let from = ["--from", "127.0.0.1:9"];
    for more in [&["--wait"][..], &["-o", "yaml"], &["--cloud", "simulated"], &["desired-state"]] {
        let told = told(&[&["status"], more, &from].concat());
        assert!(told.ends_with("exit 64\n"), "{more:?}: {told}");
    }
    for more in [&["--world", "world.json"][..], &["desired-state"]] {
        let told = told(&[&["explain", "consul-prod"], more, &from].concat());
        assert!(told.ends_with("exit 64\n"), "{more:?}: {told}");
    }
    assert!(told(&["status", "--for", "healthy"]).ends_with("exit 64\n"), "nobody waits");
}

#[test]
fn the_help_lists_every_exit_code_that_is_documented() {
    let help = told(&["--help"]);
    let listed = &help[help.find("Exit codes").unwrap()..];
    let document = std::fs::read_to_string("docs/formats.md").unwrap();
    let table = document.split("## Exit codes").nth(1).unwrap().split("\n\n").nth(1).unwrap();
    let codes: Vec<&str> = table.lines().skip(2).flat_map(|row| row.split('|').nth(1).unwrap().split(", ")).collect();
    assert!(codes.len() >= 11, "{codes:?}");
    for code in codes {
        let code = code.trim();
        assert!(listed.lines().any(|line| line.split_whitespace().next() == Some(code)), "{code}: {listed}");
    }
}

#[test]
fn a_file_on_stdin_is_checked() {
    let check = |text: &str, more: &[&str]| {
        let mut child = command(&[&["validate", "-"], more].concat())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), text.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    };
    let good = std::fs::read_to_string(FILE).unwrap();
    let output = check(&good, &[]);
    assert_eq!(
        (String::from_utf8_lossy(&output.stdout).as_ref(), output.status.code()),
        ("ok  -  consul-prod  3 slots\n", Some(0))
    );
    let output = check(&good.replace("region:", "regoin:"), &[]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("--> -:10:3") && output.status.code() == Some(1), "{told}");
    assert_eq!(check(&good, &[FILE]).status.code(), Some(64));
}

#[test]
fn a_cluster_that_can_spare_no_member_is_said_to_be_too_small_for_upgrades() {
    let told = told(&["validate", "desired-state/dev", FILE]);
    assert!(told.contains("consul-dev   1 slot; too few to be upgraded") && told.contains("3 slots\n"), "{told}");
}

#[test]
fn completions_and_the_manual_are_printed() {
    for arguments in
        [&["completions", "bash"][..], &["completions", "zsh"], &["completions", "fish"], &["man"], &["man", "plan"]]
    {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("hermitcrab"), "{arguments:?}");
    }
    check(
        &["man", "pln"],
        expect![[r#"
            ! error: there is no command `pln`
            !  hint: the commands are init, run, validate, promote, approve, suspend, freeze, resume, undo, schema, plan, status, explain, watch, events, history, notify, retry, rehearse, destroy, simulate, doctor, debug, adopt, iam-policy, adapter, completions, man, help
            exit 1
        "#]],
    );
}

#[test]
fn what_is_written_is_coloured_only_where_that_is_wanted() {
    let plan = [&["plan", FILE], &SIMULATED[..], &NEW_IMAGE[..]].concat();
    let colored = |more: &[&str], set: &[(&str, &str)]| {
        let output = command(&[&plan[..], more].concat()).envs(set.iter().copied()).output().unwrap();
        output.stdout.contains(&0x1b)
    };
    assert!(!colored(&[], &[]));
    assert!(colored(&["--color", "always"], &[("NO_COLOR", "1")]));
    assert!(!colored(&["--color", "never"], &[("CLICOLOR_FORCE", "1")]));
    assert!(colored(&[], &[("CLICOLOR_FORCE", "1")]));
    assert!(!colored(&[], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
}

#[test]
fn a_reader_who_has_seen_enough_is_no_error() {
    let mut child = command(&[&["plan", FILE], &SIMULATED[..], &NEW_IMAGE[..]].concat())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.is_empty()), (Some(0), true), "{output:?}");
}

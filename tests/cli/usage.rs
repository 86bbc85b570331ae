//! Wrong arguments, missing files, help, colours and closed pipes.

use std::process::Stdio;

use expect_test::expect;

use super::{FILE, NEW_IMAGE, SIMULATED, check, command, run};

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
    for arguments in [&["plan"][..], &["no-such-command"], &["status", "--no-such-option"], &[]] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
    check(
        &["plan", FILE, "--image", "latest"],
        expect![[r#"
        ! error: invalid value 'latest' for '--image <AMI>': an image id is `ami-` and hexadecimal digits
        ! 
        ! For more information, try '--help'.
        exit 64
    "#]],
    );
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
            !  hint: the commands are init, run, validate, promote, schema, plan, status, explain, retry, rehearse, destroy, simulate, doctor, adopt, iam-policy, completions, man, help
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

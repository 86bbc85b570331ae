//! The check of the account's default key for EBS: which one encrypts what names none. Pure, so that it can be tried.

use crate::input::text;
use crate::observed::EbsDefaults;
use crate::ports::{ErrorKind, PortError, chain};
use crate::spec::ClusterSpec;

use super::checks::Check;

const WHAT: &str = "EBS key";
/// The most characters of a key's ARN that are shown.
const LONGEST_KEY: usize = 300;

/// Says which key EBS takes for the volumes that name none, where any of them is encrypted. AWS's own key may be used by whoever
/// may make volumes; about a key of the account's own there is no way to ask.
pub fn check(spec: &ClusterSpec, told: Result<EbsDefaults, PortError>) -> Option<Check> {
    let defaults = match told {
        Ok(defaults) => defaults,
        // The checks of permissions name what is not allowed.
        Err(error) if error.kind == ErrorKind::Denied => return None,
        Err(error) => return Some(Check::unknown(WHAT, chain(&error), "ask again once EC2 answers")),
    };
    let encrypted = encrypted_by_default(spec, &defaults);
    if encrypted.is_empty() {
        return None;
    }
    let (key, volumes) = (text::cut(&defaults.key, LONGEST_KEY), encrypted.join(", "));
    if defaults.is_key_of_aws() {
        return Some(Check::good(WHAT, format!("{key} for {volumes}: AWS's own, which takes no permission")));
    }
    let hint = format!(
        "volumes made with a key that may not be used are gone again without an error; `hermitcrab iam-policy --kms-key {key}` \
         prints what it takes, and the key's own policy must allow that as well"
    );
    Some(Check {
        hint: Some(hint),
        ..Check::open(WHAT, format!("{key} for {volumes}: whether it may be used cannot be asked"))
    })
}

/// Lists the volumes that EBS encrypts with the default key, by name. A root volume that the file does not describe is encrypted as
/// its image is, unless the account encrypts everything.
fn encrypted_by_default<'a>(spec: &'a ClusterSpec, defaults: &EbsDefaults) -> Vec<&'a str> {
    let root = spec.instance.root_volume.as_ref().map(|root| &root.ebs);
    let of_file = spec.volumes.iter().map(|volume| (&*volume.name, Some(&volume.ebs)));
    let all = of_file.chain([("the root volume", root)]);
    let is_so = |ebs: Option<&crate::spec::EbsSettings>| {
        ebs.is_none_or(|ebs| ebs.kms_key.is_none()) && (defaults.encrypts_all || ebs.is_some_and(|ebs| ebs.encrypted))
    };
    all.filter(|(_, ebs)| is_so(*ebs)).map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::checks::Verdict;
    use crate::spec::EbsSettings;

    const OWN: &str = "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000001";

    fn spec(encrypted: bool, key: Option<&str>) -> ClusterSpec {
        let loaded = crate::spec::load::load(&["desired-state/prod/consul.yaml".into()]);
        let mut spec = loaded.specs().next().expect("an example").1.clone();
        for volume in &mut spec.volumes {
            volume.ebs = EbsSettings { encrypted, kms_key: key.map(str::to_owned), ..volume.ebs.clone() };
        }
        spec
    }

    fn told(spec: &ClusterSpec, encrypts_all: bool, key: &str) -> Option<(Verdict, String)> {
        let check = check(spec, Ok(EbsDefaults { encrypts_all, key: key.to_owned() }))?;
        Some((check.verdict, check.found))
    }

    #[test]
    fn the_key_of_aws_is_shown_for_what_is_encrypted_with_it() {
        let good = |volumes: &str| {
            Some((Verdict::Good, format!("alias/aws/ebs for {volumes}: AWS's own, which takes no permission")))
        };
        let key = EbsDefaults::default().key;
        assert_eq!(told(&spec(true, None), false, &key), good("data"));
        assert_eq!(told(&spec(true, None), true, &key), good("data, the root volume"));
        assert_eq!(told(&spec(true, Some(OWN)), true, &key), good("the root volume"));
        assert_eq!(told(&spec(false, None), true, &key), good("data, the root volume"));
    }

    #[test]
    fn nothing_is_said_where_nothing_is_encrypted_with_it() {
        assert_eq!(told(&spec(false, None), false, OWN), None);
        assert_eq!(told(&spec(true, Some(OWN)), false, OWN), None);
    }

    #[test]
    fn a_key_of_ones_own_is_shown_with_the_policy_that_it_takes() {
        let own = EbsDefaults { encrypts_all: true, key: OWN.to_owned() };
        let check = check(&spec(true, None), Ok(own)).unwrap();
        assert!(check.verdict == Verdict::Open && !check.is_amiss());
        assert!(check.found.starts_with(&format!("{OWN} for data, the root volume: ")), "{}", check.found);
        assert!(check.hint.as_ref().unwrap().contains(&format!("iam-policy --kms-key {OWN}`")), "{:?}", check.hint);
    }

    #[test]
    fn what_may_not_be_asked_is_left_to_the_permissions_and_what_fails_otherwise_is_said() {
        let failed = |kind| check(&spec(true, None), Err(PortError::new("ask for the key", kind, "refused")));
        assert!(failed(ErrorKind::Denied).is_none());
        assert_eq!(failed(ErrorKind::Unreachable).map(|check| check.verdict), Some(Verdict::Unknown));
    }
}

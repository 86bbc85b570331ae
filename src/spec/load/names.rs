//! The form of names and ids, with a hint for texts that do not have it.

/// Says whether a text can stand in a host name: the slot's name is the member's node name.
pub fn is_label(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=63).contains(&text.len()) && text.chars().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

/// Says whether a text can be a slot's name. A cluster that is taken over has node names that nobody would choose today, e.g.
/// `ip-10-0-1-5.ec2.internal` or `Consul_A`; guests take such names too.
pub fn is_slot(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let ends = |c: char| c.is_ascii_alphanumeric();
    (1..=63).contains(&text.len()) && text.chars().all(inner) && text.starts_with(ends) && text.ends_with(ends)
}

/// The hint for a name that is no slot's.
pub const SLOT_HINT: &str =
    "use letters, digits, `-`, `.` and `_`, at most 63, beginning and ending with a letter or a digit";

/// The hint for a name that is no label.
pub const LABEL_HINT: &str =
    "use lower-case letters, digits and `-`, at most 63, beginning and ending with a letter or a digit";

/// Says why a text is no image id; `None` if it is one.
pub fn image_hint(text: &str) -> Option<String> {
    const LITERAL: &str = "give a literal id, `ami-` and 17 hexadecimal digits: what is committed is what runs";
    let lower = text.to_ascii_lowercase();
    let digits = lower.strip_prefix("ami-");
    if is_hex_id(text, "ami-") {
        None
    } else if is_hex_id(&lower, "ami-") {
        Some(format!("ids are written in lower case: `{lower}`"))
    } else if lower.contains("latest") {
        Some(format!("`latest` is another image tomorrow; {LITERAL}"))
    } else if lower.contains("ssm:") || text.starts_with('/') {
        Some(format!("a parameter's value can change unseen; {LITERAL}"))
    } else if let Some(digits) = digits.filter(|digits| digits.chars().all(|c| c.is_ascii_hexdigit())) {
        Some(format!("after `ami-` there are {} digits; an id has 17, an old one 8", digits.len()))
    } else {
        Some(LITERAL.to_owned())
    }
}

/// Says whether a text is `prefix` and 8 or 17 hexadecimal digits, as EC2 forms its ids.
pub fn is_hex_id(text: &str, prefix: &str) -> bool {
    let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    text.strip_prefix(prefix).is_some_and(|digits| matches!(digits.len(), 8 | 17) && digits.chars().all(hex))
}

/// The most characters after the prefix of an id, or of a part of an instance type's name. EC2's ids have 17 digits, and
/// no part has half as many.
const LONGEST_ID: usize = 40;

/// Says whether a text is `prefix` and something after it. EC2 checks the rest.
pub fn is_id(text: &str, prefix: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_one = |id: &str| (1..=LONGEST_ID).contains(&id.len()) && id.chars().all(inner);
    text.strip_prefix(prefix).is_some_and(|id| is_one(id) && !id.starts_with('-') && !id.ends_with('-'))
}

/// The most characters of a region's name: the longest today has 16, `us-isob-east-1` and its like.
const LONGEST_REGION: usize = 32;

/// Says whether a text looks like `us-east-1` or `us-gov-west-1`.
pub fn is_region(text: &str) -> bool {
    let parts: Vec<_> = text.split('-').collect();
    let word = |part: &&str| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase());
    match parts.split_last() {
        Some((number, words)) => {
            text.len() <= LONGEST_REGION
                && words.len() >= 2
                && words[0].len() == 2
                && words.iter().all(word)
                && number.len() == 1
                && number.chars().all(|c| c.is_ascii_digit())
        }
        None => false,
    }
}

/// Says whether a zone is one of the region: `us-east-1a`, or a local zone such as `us-east-1-bos-1a`.
pub fn is_zone_of(zone: &str, region: &str) -> bool {
    let Some(rest) = zone.strip_prefix(region) else { return false };
    match rest.strip_prefix('-') {
        Some(local) => is_id(local, "") && local.ends_with(|c: char| c.is_ascii_lowercase()),
        None => rest.len() == 1 && rest.starts_with(|c: char| c.is_ascii_lowercase()),
    }
}

/// The longest word for which another may have been meant. No word of ours is half as long.
const LONGEST_WORD: usize = 64;

/// Finds the word that was probably meant: at most a third of it is wrong.
pub fn nearest<'a>(word: &str, words: &[&'a str]) -> Option<&'a str> {
    if word.len() > LONGEST_WORD {
        return None;
    }
    let lower = word.to_lowercase();
    let distance = |other: &str| strsim::damerau_levenshtein(&lower, &other.to_lowercase());
    let nearest = words.iter().copied().min_by_key(|other| distance(other))?;
    (distance(nearest) <= word.chars().count().max(3) / 3).then_some(nearest)
}

//! Lists of resources, as every `Describe*` call gives them: by id, by filter, and page by page.

use std::collections::BTreeMap;

use super::params::Params;
use super::problem::Problem;
use super::xml::Xml;
use crate::ids::digest;

/// As many values as one request's filters take.
const MOST_VALUES: usize = 200;

/// A resource: how it is written, and what it can be found by.
pub struct Listed {
    pub id: String,
    pub xml: Vec<Xml>,
    /// Values by the names of filters. A filter that has several values has several rows.
    pub facts: Vec<(&'static str, String)>,
    pub tags: BTreeMap<String, String>,
}

/// The filters of a request.
pub struct Filters(Vec<(String, Vec<String>)>);

impl Filters {
    /// Reads the filters. One that the call does not have is refused.
    pub fn read(params: &Params, known: &[&str]) -> Result<Self, Problem> {
        let mut filters = Vec::new();
        for entry in params.entries("Filter") {
            let (name, values) = (entry.required("Name")?, entry.list("Value"));
            let by_tag = name == "tag-key" || name == "tag-value" || name.starts_with("tag:");
            if !known.contains(&name.as_str()) && !by_tag {
                return Err(Problem::value(format!("The filter '{name}' is invalid")));
            }
            if values.is_empty() {
                return Err(Problem::value(format!("The filter '{name}' has no values")));
            }
            filters.push((name, values));
        }
        if filters.iter().map(|(_, values)| values.len()).sum::<usize>() > MOST_VALUES {
            return Err(Problem::new("FilterLimitExceeded", "The maximum number of filter values is 200"));
        }
        Ok(Self(filters))
    }

    /// Says whether a resource is found by all of the filters.
    pub fn find(&self, listed: &Listed) -> bool {
        self.0.iter().all(|(name, values)| values_of(listed, name).iter().any(|value| is_among(value, values)))
    }

    /// Says whether one of the filters has that name.
    pub fn name(&self, name: &str) -> bool {
        self.0.iter().any(|(filter, _)| filter == name)
    }

    /// Lists the values of a filter.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &String> {
        self.0.iter().filter(move |(filter, _)| filter == name).flat_map(|(_, values)| values)
    }

    fn digest(&self) -> String {
        digest(format!("{:?}", self.0).as_bytes())
    }
}

fn values_of<'a>(listed: &'a Listed, name: &str) -> Vec<&'a str> {
    match name {
        "tag-key" => listed.tags.keys().map(String::as_str).collect(),
        "tag-value" => listed.tags.values().map(String::as_str).collect(),
        name => match name.strip_prefix("tag:") {
            Some(key) => listed.tags.get(key).map(String::as_str).into_iter().collect(),
            None => listed.facts.iter().filter(|(fact, _)| *fact == name).map(|(_, value)| value.as_str()).collect(),
        },
    }
}

fn is_among(value: &str, wanted: &[String]) -> bool {
    wanted.iter().any(|pattern| matches(value, pattern))
}

/// A part of a filter's value.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    Anything,
    OneByte,
    Byte(u8),
}

/// Reads a filter's value, in which `*` stands for any text and `?` for a character; `\\` takes that from the next one.
fn parts(pattern: &str) -> Vec<Part> {
    let mut bytes = pattern.bytes();
    let mut parts = Vec::new();
    while let Some(byte) = bytes.next() {
        parts.push(match byte {
            b'*' => Part::Anything,
            b'?' => Part::OneByte,
            b'\\' => Part::Byte(bytes.next().unwrap_or(b'\\')),
            byte => Part::Byte(byte),
        });
    }
    parts
}

/// Compares a text with a filter's value. Only the last `*` is ever tried anew, so that no value takes long.
fn matches(text: &str, pattern: &str) -> bool {
    let (text, parts) = (text.as_bytes(), parts(pattern));
    let (mut at, mut part, mut last_star) = (0, 0, None);
    while at < text.len() {
        match parts.get(part) {
            Some(Part::Anything) => {
                last_star = Some((part, at));
                part += 1;
            }
            Some(Part::OneByte) => (at, part) = (at + 1, part + 1),
            Some(Part::Byte(byte)) if *byte == text[at] => (at, part) = (at + 1, part + 1),
            _ => match &mut last_star {
                Some((star, begun)) => {
                    *begun += 1;
                    (at, part) = (*begun, *star + 1);
                }
                None => return false,
            },
        }
    }
    parts[part..].iter().all(|part| *part == Part::Anything)
}

/// The ids that a request names.
pub struct Ids(Vec<String>);

impl Ids {
    /// Reads a list of ids. One that no resource of the kind can have is refused, e.g. with `InvalidInstanceID.Malformed`.
    pub fn read(params: &Params, name: &str, prefix: &str, malformed: &str) -> Result<Self, Problem> {
        let ids = params.list(name);
        match ids.iter().find(|id| !is_id(id, prefix)) {
            Some(id) => Err(Problem::new(malformed, format!("Invalid id: \"{id}\""))),
            None => Ok(Self(ids)),
        }
    }

    /// Says whether none is named.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Leaves the named resources. One that is not there fails the whole call, e.g. with `InvalidVolume.NotFound`.
    pub fn pick(&self, all: Vec<Listed>, not_found: &str) -> Result<Vec<Listed>, Problem> {
        if self.0.is_empty() {
            return Ok(all);
        }
        if let Some(missing) = self.0.iter().find(|id| !all.iter().any(|listed| listed.id == **id)) {
            return Err(Problem::new(not_found, format!("The ID '{missing}' does not exist")));
        }
        Ok(all.into_iter().filter(|listed| self.0.contains(&listed.id)).collect())
    }
}

/// Says whether a text is an id of that prefix, e.g. `i-0123456789abcdef0`. Names that the world's files give are longer than
/// EC2's own, and are ids as well.
pub fn is_id(text: &str, prefix: &str) -> bool {
    let rest = text.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('-'));
    rest.is_some_and(|rest| rest.len() >= 8 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// A page that was asked for.
pub struct Page {
    size: usize,
    from: usize,
    of: String,
}

impl Page {
    /// Reads the size, which is from `least` to `most`, and where the page begins. Ids and a page exclude each other.
    pub fn read(params: &Params, ids: &Ids, filters: &Filters, [least, most]: [usize; 2]) -> Result<Self, Problem> {
        let (size, token) = (params.parsed::<usize>("MaxResults")?, params.take("NextToken"));
        if (size.is_some() || token.is_some()) && !ids.is_empty() {
            let text = "The parameter for ids cannot be used with the parameter maxResults";
            return Err(Problem::new("InvalidParameterCombination", text));
        }
        if size.is_some_and(|size| size < least) {
            let text = format!("Value for parameter maxResults is invalid. Expecting a value of at least {least}.");
            return Err(Problem::value(text));
        }
        let of = filters.digest();
        let from = match token {
            None => 0,
            Some(token) => read_token(&token, &of)?,
        };
        Ok(Self { size: size.unwrap_or(most).min(most), from, of })
    }

    /// Cuts the page out of the whole, and adds the token of the next one.
    pub fn cut(&self, set: &'static str, found: Vec<Listed>, entry: impl Fn(Listed) -> Vec<Xml>) -> Vec<Xml> {
        let more = found.len() > self.from + self.size;
        let shown = found.into_iter().skip(self.from).take(self.size);
        let next = more.then(|| Xml::text("nextToken", format!("{}:{}", self.from + self.size, self.of)));
        std::iter::once(Xml::set(set, shown.map(entry))).chain(next).collect()
    }
}

fn read_token(token: &str, of: &str) -> Result<usize, Problem> {
    let read = token.split_once(':').filter(|(_, digest)| *digest == of).and_then(|(from, _)| from.parse().ok());
    read.ok_or_else(|| Problem::new("InvalidNextToken", "The specified nextToken is not valid"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_ec2_has_them() {
        for (text, pattern, expected) in [
            ("consul-a", "consul-a", true),
            ("consul-a", "consul-*", true),
            ("consul-a", "consul-?", true),
            ("consul-ab", "consul-?", false),
            ("a*b", "a\\*b", true),
            ("axb", "a\\*b", false),
            ("", "*", true),
        ] {
            assert_eq!(matches(text, pattern), expected, "{text} {pattern}");
        }
    }
}

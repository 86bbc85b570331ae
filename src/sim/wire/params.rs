//! Parameters of a request in AWS's query protocol: each is read by name, and one that nobody reads is refused.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use super::problem::Problem;

/// All parameters of a request.
#[derive(Debug, Default)]
pub struct Form {
    fields: BTreeMap<String, String>,
    read: RefCell<BTreeSet<String>>,
}

/// The parameters below a prefix, e.g. `Filter.1.`.
#[derive(Clone, Debug)]
pub struct Params<'a> {
    form: &'a Form,
    prefix: String,
}

impl Form {
    /// Decodes a form. Of two fields of one name the last counts.
    pub fn parse(text: &[u8]) -> Self {
        let fields = form_urlencoded::parse(text).into_owned().collect();
        Self { fields, read: RefCell::default() }
    }

    /// Gives all parameters.
    pub fn all(&self) -> Params<'_> {
        Params { form: self, prefix: String::new() }
    }

    /// Finds a parameter that nobody has read.
    pub fn unread(&self) -> Option<&str> {
        let read = self.read.borrow();
        self.fields.keys().find(|name| !read.contains(*name)).map(String::as_str)
    }

    /// Gives a digest of everything but one parameter.
    pub fn digest_without(&self, name: &str) -> String {
        let rest: Vec<_> = self.fields.iter().filter(|(field, _)| *field != name).collect();
        crate::ids::digest(format!("{rest:?}").as_bytes())
    }
}

impl<'a> Params<'a> {
    /// Reads a parameter. An empty one is none.
    pub fn take(&self, name: &str) -> Option<String> {
        let name = format!("{}{name}", self.prefix);
        let value = self.form.fields.get(&name)?;
        self.form.read.borrow_mut().insert(name);
        Some(value.clone()).filter(|value| !value.is_empty())
    }

    /// Reads a parameter whose empty text is a value, such as that of a tag.
    pub fn text(&self, name: &str) -> String {
        self.take(name).unwrap_or_default()
    }

    /// Reads a parameter that must be there.
    pub fn required(&self, name: &str) -> Result<String, Problem> {
        let missing = || Problem::new("MissingParameter", format!("The request must contain the parameter {name}"));
        self.take(name).ok_or_else(missing)
    }

    /// Reads a number, or whatever else is written as text.
    pub fn parsed<T: FromStr>(&self, name: &str) -> Result<Option<T>, Problem> {
        let Some(text) = self.take(name) else { return Ok(None) };
        let wrong = |_| Problem::new("InvalidParameterValue", format!("Invalid value '{text}' for {name}"));
        text.parse().map(Some).map_err(wrong)
    }

    /// Reads `true` or `false`.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, Problem> {
        self.parsed(name)
    }

    /// Reads the values of a list, e.g. `InstanceId.1`, `InstanceId.2`.
    pub fn list(&self, name: &str) -> Vec<String> {
        self.numbers(name).into_iter().filter_map(|number| self.take(&format!("{name}.{number}"))).collect()
    }

    /// Finds the entries of a list of structures, e.g. `Filter.1.Name`.
    pub fn entries(&self, name: &str) -> Vec<Params<'a>> {
        let below = |number| self.below(&format!("{name}.{number}"));
        self.numbers(name).into_iter().map(below).collect()
    }

    /// Gives the parameters of a structure.
    pub fn below(&self, name: &str) -> Params<'a> {
        Params { form: self.form, prefix: format!("{}{name}.", self.prefix) }
    }

    fn numbers(&self, name: &str) -> BTreeSet<u32> {
        let prefix = format!("{}{name}.", self.prefix);
        let numbers = self.form.fields.keys().filter_map(|field| field.strip_prefix(&prefix));
        numbers.filter_map(|rest| rest.split('.').next()?.parse().ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_that_nobody_reads_is_found() {
        let form = Form::parse(b"A=1&Filter.1.Name=x&Filter.1.Value.1=a%20b&Filter.1.Value.10=c&Filter.1.Value.2=b");
        let params = form.all();
        assert_eq!(params.parsed::<u32>("A").unwrap(), Some(1));
        let filters = params.entries("Filter");
        assert_eq!(filters[0].list("Value"), ["a b", "b", "c"]);
        assert_eq!(form.unread(), Some("Filter.1.Name"));
        filters[0].required("Name").unwrap();
        assert_eq!(form.unread(), None);
    }
}

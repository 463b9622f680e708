//! Search filters with placeholders. A configured filter (RFC 4515) is parsed once; what a person typed is put into the
//! parsed filter as a value and never read as syntax, so there is nothing to escape and nothing to forget.

use ldap3_proto::proto::{LdapFilter, LdapMatchingRuleAssertion, LdapSubstringFilter};

const MAX_DEPTH: usize = 16;

/// What the placeholders of a filter stand for.
#[derive(Clone, Copy, Default)]
pub(super) struct Values<'a> {
    /// For `{username}`.
    pub(super) username: &'a str,
    /// For `{dn}`.
    pub(super) dn: &'a str,
}

/// A filter in which `{username}` and `{dn}` may stand inside values.
#[derive(Clone, Debug)]
pub(super) struct FilterTemplate(LdapFilter);

/// Where a configured filter cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a search filter (RFC 4515) from {rest:?} on")]
pub struct FilterError {
    rest: String,
}

impl FilterTemplate {
    /// Parses a configured filter.
    pub(super) fn parse(text: &str) -> Result<Self, FilterError> {
        let mut parser = Parser { rest: text.trim() };
        match parser.filter(MAX_DEPTH) {
            Some(filter) if parser.rest.is_empty() => Ok(Self(filter)),
            _ => Err(FilterError { rest: parser.rest.to_owned() }),
        }
    }

    /// The filter with its placeholders filled.
    pub(super) fn fill(&self, values: Values<'_>) -> LdapFilter {
        fill(&self.0, values)
    }
}

/// Puts `values` into `text` in one pass, so that a value that looks like a placeholder stays a value.
pub(super) fn fill_text(text: &str, values: Values<'_>) -> String {
    let mut filled = String::with_capacity(text.len() + values.username.len() + values.dn.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        if let Some(after) = after.strip_prefix("username}") {
            filled.push_str(values.username);
            rest = after;
        } else if let Some(after) = after.strip_prefix("dn}") {
            filled.push_str(values.dn);
            rest = after;
        } else {
            filled.push('{');
            rest = after;
        }
    }
    filled.push_str(rest);
    filled
}

fn fill(filter: &LdapFilter, values: Values<'_>) -> LdapFilter {
    use LdapFilter::{
        And, Approx, Equality, Extensible, GreaterOrEqual, LessOrEqual, Not, Or, Present, Substring,
    };
    let all = |filters: &[LdapFilter]| filters.iter().map(|filter| fill(filter, values)).collect();
    let text = |text: &String| fill_text(text, values);
    match filter {
        And(filters) => And(all(filters)),
        Or(filters) => Or(all(filters)),
        Not(inner) => Not(Box::new(fill(inner, values))),
        Equality(name, value) => Equality(name.clone(), text(value)),
        GreaterOrEqual(name, value) => GreaterOrEqual(name.clone(), text(value)),
        LessOrEqual(name, value) => LessOrEqual(name.clone(), text(value)),
        Approx(name, value) => Approx(name.clone(), text(value)),
        Present(name) => Present(name.clone()),
        Substring(name, parts) => Substring(
            name.clone(),
            LdapSubstringFilter {
                initial: parts.initial.as_ref().map(text),
                any: parts.any.iter().map(text).collect(),
                final_: parts.final_.as_ref().map(text),
            },
        ),
        Extensible(rule) => {
            Extensible(LdapMatchingRuleAssertion { match_value: text(&rule.match_value), ..rule.clone() })
        }
    }
}

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn filter(&mut self, depth: usize) -> Option<LdapFilter> {
        self.eat("(")?;
        let depth = depth.checked_sub(1)?;
        let filter = if self.eat("&").is_some() {
            LdapFilter::And(self.list(depth)?)
        } else if self.eat("|").is_some() {
            LdapFilter::Or(self.list(depth)?)
        } else if self.eat("!").is_some() {
            LdapFilter::Not(Box::new(self.filter(depth)?))
        } else {
            self.item()?
        };
        self.eat(")")?;
        Some(filter)
    }

    fn list(&mut self, depth: usize) -> Option<Vec<LdapFilter>> {
        let mut filters = Vec::new();
        while self.rest.starts_with('(') {
            filters.push(self.filter(depth)?);
        }
        (!filters.is_empty()).then_some(filters)
    }

    fn item(&mut self) -> Option<LdapFilter> {
        let name = self.take_while(|c| c.is_ascii_alphanumeric() || "-.;_".contains(c)).to_owned();
        if self.rest.starts_with(':') {
            return self.extensible(name);
        }
        if name.is_empty() {
            return None;
        }
        for (operator, build) in [
            (">=", LdapFilter::GreaterOrEqual as fn(String, String) -> LdapFilter),
            ("<=", LdapFilter::LessOrEqual),
            ("~=", LdapFilter::Approx),
        ] {
            if self.eat(operator).is_some() {
                return Some(build(name, self.value()?));
            }
        }
        self.eat("=")?;
        let mut parts = vec![self.value()?];
        while self.eat("*").is_some() {
            parts.push(self.value()?);
        }
        Some(match parts.as_mut_slice() {
            [value] => LdapFilter::Equality(name, std::mem::take(value)),
            [initial, last] if initial.is_empty() && last.is_empty() => LdapFilter::Present(name),
            [initial, any @ .., last] => {
                let given = |part: &mut String| (!part.is_empty()).then(|| std::mem::take(part));
                LdapFilter::Substring(
                    name,
                    LdapSubstringFilter {
                        initial: given(initial),
                        any: any.iter_mut().filter_map(given).collect(),
                        final_: given(last),
                    },
                )
            }
            [] => return None,
        })
    }

    /// `name:dn:rule:=value`, of which `name`, `:dn` and `:rule` may be missing, but not name and rule both.
    fn extensible(&mut self, name: String) -> Option<LdapFilter> {
        let dn_attributes = self.rest.starts_with(":dn:") && self.eat(":dn").is_some();
        let rule = if self.rest.starts_with(":=") {
            None
        } else {
            self.eat(":")?;
            Some(self.take_while(|c| c.is_ascii_alphanumeric() || "-.".contains(c)).to_owned())
        };
        self.eat(":=")?;
        let type_ = (!name.is_empty()).then_some(name);
        if type_.is_none() && rule.is_none() {
            return None;
        }
        let match_value = self.value()?;
        Some(LdapFilter::Extensible(LdapMatchingRuleAssertion {
            matching_rule: rule,
            type_,
            match_value,
            dn_attributes,
        }))
    }

    /// A value up to `*` or a parenthesis, with `\xx` undone.
    fn value(&mut self) -> Option<String> {
        let raw = self.take_while(|c| !"()*\0".contains(c));
        let mut bytes = Vec::with_capacity(raw.len());
        let mut octets = raw.bytes();
        while let Some(octet) = octets.next() {
            if octet == b'\\' {
                let mut digit = || char::from(octets.next()?).to_digit(16);
                bytes.push(u8::try_from(digit()? * 16 + digit()?).ok()?);
            } else {
                bytes.push(octet);
            }
        }
        String::from_utf8(bytes).ok()
    }

    fn eat(&mut self, what: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(what)?;
        Some(())
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !wanted(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> LdapFilter {
        FilterTemplate::parse(text).unwrap().0
    }

    fn equality(name: &str, value: &str) -> LdapFilter {
        LdapFilter::Equality(name.to_owned(), value.to_owned())
    }

    #[test]
    fn the_filters_of_rfc_4515_are_read() {
        assert_eq!(parse(r"(cn=Babs \28Jensen\29)"), equality("cn", "Babs (Jensen)"));
        assert_eq!(parse("(memberOf=cn=Door Users,ou=x)"), equality("memberOf", "cn=Door Users,ou=x"));
        assert_eq!(parse("(uid=*)"), LdapFilter::Present("uid".to_owned()));
        assert_eq!(
            parse("(!(o=a*b*c))"),
            LdapFilter::Not(Box::new(LdapFilter::Substring(
                "o".to_owned(),
                LdapSubstringFilter {
                    initial: Some("a".to_owned()),
                    any: vec!["b".to_owned()],
                    final_: Some("c".to_owned())
                }
            )))
        );
        assert_eq!(
            parse("(&(a=1)(|(b>=2)(c<=3)))"),
            LdapFilter::And(vec![
                equality("a", "1"),
                LdapFilter::Or(vec![
                    LdapFilter::GreaterOrEqual("b".to_owned(), "2".to_owned()),
                    LdapFilter::LessOrEqual("c".to_owned(), "3".to_owned())
                ])
            ])
        );
        let LdapFilter::Extensible(rule) = parse("(member:1.2.840.113556.1.4.1941:={dn})") else { panic!() };
        assert_eq!(rule.matching_rule.as_deref(), Some("1.2.840.113556.1.4.1941"));
        assert_eq!(rule.type_.as_deref(), Some("member"));
    }

    #[test]
    fn what_is_no_filter_is_refused_with_the_place() {
        for text in
            ["", "uid=x", "(uid=x", "(uid=x))", "()", "(&)", "(=x)", r"(uid=\2)", r"(uid=\ff)", "(:=x)"]
        {
            assert!(FilterTemplate::parse(text).is_err(), "{text}");
        }
        let deep = format!("{}(a=b){}", "(!".repeat(40), ")".repeat(40));
        assert!(FilterTemplate::parse(&deep).is_err());
    }

    #[test]
    fn a_value_is_never_syntax_nor_a_placeholder() {
        let template = FilterTemplate::parse("(|(uid={username})(member={dn})(cn={other}))").unwrap();
        let values = Values { username: "*)(uid={dn}", dn: "cn={username}" };
        let LdapFilter::Or(filled) = template.fill(values) else { panic!() };
        let expected =
            [equality("uid", "*)(uid={dn}"), equality("member", "cn={username}"), equality("cn", "{other}")];
        assert_eq!(filled, expected);
    }
}

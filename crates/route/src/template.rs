//! Texts with variables: `${clientIp}` in field values, `#{host}` in redirects, `${1}` for a group of the path's regex.
//! Owns the syntax and the list of variables; callers supply the values.

use crossfade_document::Piece;
use crossfade_rule::Pattern;

/// A compiled text with variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(Box<str>),
    Variable(Variable),
}

/// A variable of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variable {
    /// `${clientIp}`
    ClientIp,
    /// `${requestId}`
    RequestId,
    /// `${host}`, `#{host}`: the client's host, without the port.
    Host,
    /// `${route}`
    Route,
    /// `${backend}`
    Backend,
    /// `#{protocol}`
    Protocol,
    /// `#{port}`
    Port,
    /// `#{path}`: without its leading `/`.
    Path,
    /// `#{query}`: without `?`.
    Query,
    /// `${1}`, `${name}`: a group of the regex that matched.
    Group(usize),
}

/// Variables in the values of fields.
pub(crate) const FIELD_VARIABLES: [(&str, Variable); 5] = [
    ("clientIp", Variable::ClientIp),
    ("requestId", Variable::RequestId),
    ("host", Variable::Host),
    ("route", Variable::Route),
    ("backend", Variable::Backend),
];

/// Keywords in redirects, with ALB's syntax.
pub(crate) const REDIRECT_KEYWORDS: [(&str, Variable); 5] = [
    ("protocol", Variable::Protocol),
    ("host", Variable::Host),
    ("port", Variable::Port),
    ("path", Variable::Path),
    ("query", Variable::Query),
];

/// The groups that the `path` condition of a route defines. With several regexes, a name or number must be a group in
/// each of them, and a name must have the same number. If a path was matched by another pattern, groups have no value.
#[derive(Clone, Debug, Default)]
pub(crate) struct Groups {
    names: Vec<(String, usize)>,
    /// Includes group 0, the whole match.
    count: usize,
    /// The condition has errors: any group may be defined.
    is_unknown: bool,
}

impl Groups {
    /// Returns the groups of a condition with errors, so that none of its groups is an error as well.
    pub(crate) fn unknown() -> Self {
        Groups { is_unknown: true, ..Groups::default() }
    }

    pub(crate) fn of(patterns: &[Pattern]) -> Self {
        let mut common: Option<Groups> = None;
        for regex in patterns.iter().filter_map(Pattern::as_regex) {
            let names: Vec<Option<&str>> = regex.group_names().collect();
            let own = names.iter().enumerate().filter_map(|(number, name)| Some(((*name)?.to_owned(), number)));
            let own = Groups { names: own.collect(), count: names.len(), is_unknown: false };
            common = Some(match common {
                None => own,
                Some(mut common) => {
                    common.names.retain(|name| own.names.contains(name));
                    Groups { count: common.count.min(own.count), ..common }
                }
            });
        }
        common.unwrap_or_default()
    }

    fn get(&self, name: &str) -> Option<Variable> {
        let number = match name.parse::<usize>() {
            Ok(number) => (number < self.count).then_some(number),
            Err(_) => self.names.iter().find(|(known, _)| known == name).map(|(_, number)| *number),
        };
        number.or(self.is_unknown.then_some(0)).map(Variable::Group)
    }
}

/// An invalid variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TemplateError {
    pub(crate) message: String,
    pub(crate) hint: String,
}

impl Template {
    /// Parses `${name}` for these variables and groups; `$$` is a dollar. A variable of another syntax, `$1` or
    /// `#{host}`, is an error.
    pub(crate) fn parse(
        pieces: &[Piece],
        known: &[(&'static str, Variable)],
        groups: &Groups,
    ) -> Result<Template, TemplateError> {
        Template::read(pieces, |kind, name| match kind {
            // A keyword of redirects.
            '#' if REDIRECT_KEYWORDS.iter().any(|(keyword, _)| *keyword == name) => Some(None),
            '$' => Some(known.iter().find(|(known, _)| *known == name).map(|(_, it)| *it).or_else(|| groups.get(name))),
            _ => None,
        })
        .map_err(|unknown| {
            let known: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
            unknown_variable('$', &unknown, &known, groups)
        })
    }

    /// Parses `#{keyword}` and, for groups, `${1}`.
    pub(crate) fn parse_redirect(pieces: &[Piece], groups: &Groups) -> Result<Template, TemplateError> {
        Template::read(pieces, |kind, name| match kind {
            '#' => Some(REDIRECT_KEYWORDS.iter().find(|(known, _)| *known == name).map(|(_, it)| *it)),
            '$' => Some(groups.get(name)),
            _ => None,
        })
        .map_err(|unknown| {
            let known = REDIRECT_KEYWORDS.map(|(name, _)| name);
            unknown_variable('#', &unknown, &known, groups)
        })
    }

    /// Calls `variable` for each `$` or `#` before braces. It returns `None` for literal text, otherwise the variable,
    /// if it exists. A value of the environment is literal: a password may contain a `$`.
    fn read(pieces: &[Piece], variable: impl Fn(char, &str) -> Option<Option<Variable>>) -> Result<Template, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        for piece in pieces {
            match piece {
                Piece::OfFile(text) => Template::read_piece(text, &variable, &mut plain, &mut parts)?,
                Piece::OfEnvironment(value) => plain.push_str(value),
            }
        }
        if !plain.is_empty() {
            parts.push(Part::Text(plain.into()));
        }
        Ok(Template { parts })
    }

    /// `plain` is the literal text since the last of `parts`.
    fn read_piece(
        text: &str,
        variable: &impl Fn(char, &str) -> Option<Option<Variable>>,
        plain: &mut String,
        parts: &mut Vec<Part>,
    ) -> Result<(), String> {
        let mut rest = text;
        while let Some(at) = rest.find(['$', '#']) {
            let (before, after) = rest.split_at(at);
            plain.push_str(before);
            let mut behind = after.chars();
            let kind = behind.next().unwrap_or('$');
            let tail = behind.as_str();
            let named = tail.strip_prefix('{').and_then(|inner| inner.split_once('}'));
            rest = match named.and_then(|(name, behind)| Some((name, behind, variable(kind, name)?))) {
                Some((name, behind, found)) => {
                    let found = found.ok_or_else(|| name.to_owned())?;
                    if !plain.is_empty() {
                        parts.push(Part::Text(std::mem::take(plain).into()));
                    }
                    parts.push(Part::Variable(found));
                    behind
                }
                None => {
                    let is_meant = |next: char| next.is_ascii_alphanumeric() || next == '_' || next == '{';
                    if let Some(next) = tail.chars().next().filter(|next| kind == '$' && is_meant(*next)) {
                        return Err(format!("${next}"));
                    }
                    plain.push(kind);
                    if kind == '$' { tail.strip_prefix('$').unwrap_or(tail) } else { tail }
                }
            };
        }
        plain.push_str(rest);
        Ok(())
    }

    /// Returns the text if it contains no variable.
    pub(crate) fn constant(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Returns the literal texts between the variables.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(text) => Some(&**text),
            Part::Variable(_) => None,
        })
    }

    /// Returns `true` if a group is used.
    pub(crate) fn has_group(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Variable(Variable::Group(_))))
    }

    /// Renders the text; `None` if one of the variables has no value.
    #[must_use]
    pub fn render(&self, value: &dyn Fn(Variable) -> Option<String>) -> Option<String> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Variable(variable) => text.push_str(&value(*variable)?),
            }
        }
        Some(text)
    }
}

fn unknown_variable(kind: char, unknown: &str, known: &[&str], groups: &Groups) -> TemplateError {
    if let Some(begin) = unknown.strip_prefix('$') {
        let message = format!("`${begin}` is not a variable");
        return TemplateError { message, hint: "write `${name}` or `${1}`, and `$$` for a dollar".to_owned() };
    }
    let message = format!("unknown variable `{unknown}`");
    let closest = crossfade_document::closest(unknown, known);
    let hint = if unknown.parse::<usize>().is_ok() {
        "groups come from a `regex` in the route's `path` condition".to_owned()
    } else if let Some(closest) = closest {
        format!("did you mean `{kind}{{{closest}}}`?")
    } else {
        let mut list: Vec<String> = known.iter().map(|name| format!("{kind}{{{name}}}")).collect();
        list.extend((1..groups.count).map(|number| format!("${{{number}}}")));
        list.extend(groups.names.iter().map(|(name, _)| format!("${{{name}}}")));
        format!("known variables: {}", list.join(", "))
    };
    TemplateError { message, hint }
}

#[cfg(test)]
mod tests {
    use crossfade_rule::Case;

    use super::*;

    fn groups(sources: &[&str]) -> Groups {
        let patterns: Vec<_> = sources.iter().map(|source| Pattern::regex(source, Case::Sensitive).unwrap()).collect();
        Groups::of(&patterns)
    }

    fn of_file(text: &str) -> [Piece; 1] {
        [Piece::OfFile(text.to_owned())]
    }

    fn render(text: &str, groups: &Groups) -> Result<String, TemplateError> {
        let template = Template::parse(&of_file(text), &FIELD_VARIABLES, groups)?;
        Ok(template.render(&|variable| Some(format!("<{variable:?}>"))).unwrap())
    }

    #[test]
    fn variables_and_dollars() {
        let none = Groups::default();
        assert_eq!(render("a ${clientIp}/${host}", &none).unwrap(), "a <ClientIp>/<Host>");
        assert_eq!(render("$$5 $ $${host} # #{x}$", &none).unwrap(), "$5 $ ${host} # #{x}$");
        assert_eq!(render("", &none).unwrap(), "");
        assert_eq!(Template::parse(&of_file("a"), &FIELD_VARIABLES, &none).unwrap().constant(), Some("a"));
    }

    #[test]
    fn groups_by_number_and_name() {
        let both = groups(&["^/(?P<tenant>[^/]+)/(.*)$"]);
        assert_eq!(render("${tenant}-${2}-${0}", &both).unwrap(), "<Group(1)>-<Group(2)>-<Group(0)>");
        assert!(render("${3}", &both).unwrap_err().hint.contains("regex"));
        let common = groups(&["^/(?P<tenant>[^/]+)/(.*)$", "^/(a)$"]);
        assert!(render("${1}", &common).is_ok() && render("${2}", &common).is_err());
        assert!(render("${tenant}", &common).is_err());
    }

    #[test]
    fn unknown_variables_are_rejected_with_a_hint() {
        let error = render("${clientip}", &Groups::default()).unwrap_err();
        assert_eq!(error.hint, "did you mean `${clientIp}`?");
        let error = Template::parse_redirect(&of_file("/#{pth}"), &Groups::default()).unwrap_err();
        assert_eq!(error.hint, "did you mean `#{path}`?");
        assert!(render("${secret}", &Groups::default()).unwrap_err().hint.contains("${requestId}"));
    }

    #[test]
    fn unknown_variable_syntax_is_an_error() {
        for text in ["$1", "a $host", "${host", "#{host}"] {
            assert!(render(text, &Groups::default()).is_err(), "{text}");
        }
        assert!(Template::parse_redirect(&of_file("/new/$1"), &Groups::default()).is_err());
    }

    #[test]
    fn values_from_the_environment_are_literal() {
        let none = Groups::default();
        let value = || Piece::OfEnvironment("p$$w${host}#{host}$1".to_owned());
        let file = |text: &str| Piece::OfFile(text.to_owned());
        let pieces = [file("Bearer "), value(), file(" ${host}")];
        let template = Template::parse(&pieces, &FIELD_VARIABLES, &none).unwrap();
        assert_eq!(template.render(&|_| Some("<host>".into())).unwrap(), "Bearer p$$w${host}#{host}$1 <host>");
        let template = Template::parse(&[file(""), value(), file("")], &FIELD_VARIABLES, &none).unwrap();
        assert_eq!(template.constant(), Some("p$$w${host}#{host}$1"));
        // A variable's name never comes from the environment, and messages never show its values.
        let error = Template::parse(&[file("${"), value(), file("}")], &FIELD_VARIABLES, &none).unwrap_err();
        assert_eq!(error.message, "`${` is not a variable");
        let error = Template::parse_redirect(&[file("/${"), value(), file("}")], &none).unwrap_err();
        assert_eq!(error.message, "`${` is not a variable");
    }

    #[test]
    fn without_a_value_there_is_no_text() {
        let template = Template::parse(&of_file("a${clientIp}"), &FIELD_VARIABLES, &Groups::default()).unwrap();
        assert_eq!(template.render(&|_| None), None);
    }
}

//! Texts with variables: `${clientIp}` in field values, `#{host}` in redirects, `${1}` for a group of the path's regex.
//! Owns their syntax and which variables there are; what they stand for is said by whoever renders.

use crossfade_document::Piece;
use crossfade_rule::Pattern;

/// A text with variables, compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(Box<str>),
    Variable(Variable),
}

/// What can stand in a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variable {
    /// `${clientIp}`
    ClientIp,
    /// `${requestId}`
    RequestId,
    /// `${host}`, `#{host}`: what the client asked for, without the port.
    Host,
    /// `${route}`
    Route,
    /// `${backend}`
    Backend,
    /// `#{protocol}`
    Protocol,
    /// `#{port}`
    Port,
    /// `#{path}`: without its first `/`.
    Path,
    /// `#{query}`: without `?`.
    Query,
    /// `${1}`, `${name}`: a group of the regex that matched.
    Group(usize),
}

/// What the values of fields can have.
pub(crate) const FIELD_VARIABLES: [(&str, Variable); 5] = [
    ("clientIp", Variable::ClientIp),
    ("requestId", Variable::RequestId),
    ("host", Variable::Host),
    ("route", Variable::Route),
    ("backend", Variable::Backend),
];

/// What redirects can have, as ALB writes it.
pub(crate) const REDIRECT_KEYWORDS: [(&str, Variable); 5] = [
    ("protocol", Variable::Protocol),
    ("host", Variable::Host),
    ("port", Variable::Port),
    ("path", Variable::Path),
    ("query", Variable::Query),
];

/// The groups that the `path` condition of a route has. Where it has several regexes, a name or number must be a group in
/// each of them, and a name must have the same number. A path that was taken by other than a regex gives them no value.
#[derive(Clone, Debug, Default)]
pub(crate) struct Groups {
    names: Vec<(String, usize)>,
    /// With the whole match, 0.
    count: usize,
}

impl Groups {
    pub(crate) fn of(patterns: &[Pattern]) -> Self {
        let mut common: Option<Groups> = None;
        for regex in patterns.iter().filter_map(Pattern::as_regex) {
            let names: Vec<Option<&str>> = regex.group_names().collect();
            let own = names.iter().enumerate().filter_map(|(number, name)| Some(((*name)?.to_owned(), number)));
            let own = Groups { names: own.collect(), count: names.len() };
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
        number.map(Variable::Group)
    }
}

/// A variable that is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TemplateMistake {
    pub(crate) message: String,
    pub(crate) hint: String,
}

impl Template {
    /// With `${name}` for these variables and groups; `$$` is a dollar. What looks like a variable of another place, `$1` or
    /// `#{host}`, is a mistake.
    pub(crate) fn parse(
        pieces: &[Piece],
        known: &[(&'static str, Variable)],
        groups: &Groups,
    ) -> Result<Template, TemplateMistake> {
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

    /// With `#{keyword}` and, for groups, `${1}`.
    pub(crate) fn parse_redirect(pieces: &[Piece], groups: &Groups) -> Result<Template, TemplateMistake> {
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

    /// `variable` is asked for each `$` or `#` before braces: `None` if that is text, else the variable, if there is one.
    /// A value of the environment is text, whatever it looks like: a password may have a `$`.
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

    /// `plain` is the text that has come so far behind the last of `parts`.
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

    /// The text, if there is no variable in it.
    pub(crate) fn constant(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// What stands between the variables.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(text) => Some(&**text),
            Part::Variable(_) => None,
        })
    }

    /// Whether a group stands in it.
    pub(crate) fn has_group(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Variable(Variable::Group(_))))
    }

    /// The text with values; `None` if one of the variables has none.
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

fn unknown_variable(kind: char, unknown: &str, known: &[&str], groups: &Groups) -> TemplateMistake {
    if let Some(begin) = unknown.strip_prefix('$') {
        let message = format!("`${begin}` is no variable");
        return TemplateMistake { message, hint: "write `${name}` or `${1}`, and `$$` for a dollar".to_owned() };
    }
    let message = format!("there is no variable `{unknown}` here");
    let closest = crossfade_document::closest(unknown, known);
    let hint = if unknown.parse::<usize>().is_ok() {
        "groups come from a `regex` in the route's `path` condition".to_owned()
    } else if let Some(closest) = closest {
        format!("did you mean `{kind}{{{closest}}}`?")
    } else {
        let mut list: Vec<String> = known.iter().map(|name| format!("{kind}{{{name}}}")).collect();
        list.extend((1..groups.count).map(|number| format!("${{{number}}}")));
        list.extend(groups.names.iter().map(|(name, _)| format!("${{{name}}}")));
        format!("there are {}", list.join(", "))
    };
    TemplateMistake { message, hint }
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

    fn render(text: &str, groups: &Groups) -> Result<String, TemplateMistake> {
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
    fn unknown_variables_are_refused_with_a_hint() {
        let mistake = render("${clientip}", &Groups::default()).unwrap_err();
        assert_eq!(mistake.hint, "did you mean `${clientIp}`?");
        let mistake = Template::parse_redirect(&of_file("/#{pth}"), &Groups::default()).unwrap_err();
        assert_eq!(mistake.hint, "did you mean `#{path}`?");
        assert!(render("${secret}", &Groups::default()).unwrap_err().hint.contains("${requestId}"));
    }

    #[test]
    fn what_looks_like_a_variable_is_not_text() {
        for text in ["$1", "a $host", "${host", "#{host}"] {
            assert!(render(text, &Groups::default()).is_err(), "{text}");
        }
        assert!(Template::parse_redirect(&of_file("/new/$1"), &Groups::default()).is_err());
    }

    #[test]
    fn a_value_of_the_environment_is_text() {
        let none = Groups::default();
        let value = || Piece::OfEnvironment("p$$w${host}#{host}$1".to_owned());
        let file = |text: &str| Piece::OfFile(text.to_owned());
        let pieces = [file("Bearer "), value(), file(" ${host}")];
        let template = Template::parse(&pieces, &FIELD_VARIABLES, &none).unwrap();
        assert_eq!(template.render(&|_| Some("<host>".into())).unwrap(), "Bearer p$$w${host}#{host}$1 <host>");
        let template = Template::parse(&[file(""), value(), file("")], &FIELD_VARIABLES, &none).unwrap();
        assert_eq!(template.constant(), Some("p$$w${host}#{host}$1"));
        // A name of a variable does not come from there, and no message has it.
        let mistake = Template::parse(&[file("${"), value(), file("}")], &FIELD_VARIABLES, &none).unwrap_err();
        assert_eq!(mistake.message, "`${` is no variable");
        let mistake = Template::parse_redirect(&[file("/${"), value(), file("}")], &none).unwrap_err();
        assert_eq!(mistake.message, "`${` is no variable");
    }

    #[test]
    fn without_a_value_there_is_no_text() {
        let template = Template::parse(&of_file("a${clientIp}"), &FIELD_VARIABLES, &Groups::default()).unwrap();
        assert_eq!(template.render(&|_| None), None);
    }
}

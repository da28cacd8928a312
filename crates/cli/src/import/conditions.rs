//! Conditions of routes while an import puts them together: a list of which all must hold. Owns their form in a configuration,
//! where each key occurs once.

use super::yaml::Yaml;

/// One condition.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Atom {
    Host(Vec<Yaml>),
    Path(Vec<Yaml>),
    Method(Vec<String>),
    /// Present, if there are no values.
    Header(String, Vec<Yaml>),
    Cookie(String, Vec<Yaml>),
    Query(String, Vec<Yaml>),
    Ip(Vec<String>),
    Not(Vec<Atom>),
    Any(Vec<Vec<Atom>>),
}

pub(crate) fn regex(source: &str) -> Yaml {
    Yaml::map([("regex", Yaml::text(source))])
}

/// A glob that matches this text only, or a regex where it has wildcards.
pub(crate) fn literal(text: &str) -> Yaml {
    let is_glob = !text.is_empty() && !text.contains(['*', '?', '\\']);
    if is_glob { Yaml::text(text) } else { regex(&format!("^{}$", escaped(text))) }
}

/// A literal text as part of a regex.
pub(crate) fn escaped(text: &str) -> String {
    let piece = |c: char| match c {
        c if c.is_ascii_alphanumeric() || "/_-~\"'@:&%,;=! ".contains(c) || !c.is_ascii() => c.to_string(),
        c => format!("\\{c}"),
    };
    text.chars().map(piece).collect()
}

/// The value of `conditions`; an empty map if there are none.
pub(crate) fn rendered(atoms: &[Atom]) -> Yaml {
    let mut map: Vec<(String, Yaml)> = Vec::new();
    let mut further: Vec<Atom> = Vec::new();
    let mut alternatives: Option<&Vec<Vec<Atom>>> = None;
    let (mut headers, mut cookies, mut nots) = (Vec::new(), Vec::new(), Vec::new());
    let named = |name: &str, values: &[Yaml]| {
        let mut entries = vec![("name".to_owned(), Yaml::text(name))];
        if !values.is_empty() {
            entries.push(("values".to_owned(), one_or_more(values)));
        }
        Yaml::Map(entries)
    };
    for atom in atoms {
        let (key, value) = match atom {
            Atom::Host(values) => ("host", Yaml::List(values.clone())),
            Atom::Path(values) => ("path", Yaml::List(values.clone())),
            Atom::Method(methods) => ("method", Yaml::List(methods.iter().map(|it| Yaml::text(it)).collect())),
            Atom::Ip(ranges) => ("ip", Yaml::List(ranges.iter().map(|it| Yaml::text(it)).collect())),
            Atom::Query(key, values) => ("query", Yaml::map([(key, one_or_more(values))])),
            Atom::Header(name, values) => {
                headers.push(named(name, values));
                continue;
            }
            Atom::Cookie(name, values) => {
                cookies.push(named(name, values));
                continue;
            }
            Atom::Not(inner) => {
                nots.push(rendered(inner));
                continue;
            }
            Atom::Any(groups) => {
                match alternatives {
                    None => alternatives = Some(groups),
                    Some(_) => further.push(atom.clone()),
                }
                continue;
            }
        };
        match map.iter().any(|(known, _)| known == key) {
            true => further.push(atom.clone()),
            false => map.push((key.to_owned(), value)),
        }
    }
    for (key, values) in [("header", headers), ("cookie", cookies)] {
        if !values.is_empty() {
            map.push((key.to_owned(), one_or_more(&values)));
        }
    }
    match nots.as_slice() {
        [] => {}
        [one] => map.push(("not".to_owned(), one.clone())),
        _ => map.push(("not".to_owned(), Yaml::map([("anyOf", Yaml::List(nots))]))),
    }
    match (alternatives, further.is_empty()) {
        (None, true) => {}
        (Some(groups), true) => {
            map.push(("anyOf".to_owned(), Yaml::List(groups.iter().map(|group| rendered(group)).collect())));
        }
        // A second condition of a kind is the only alternative of another.
        (alternatives, false) => {
            further.extend(alternatives.map(|groups| Atom::Any(groups.clone())));
            map.push(("anyOf".to_owned(), Yaml::List(vec![rendered(&further)])));
        }
    }
    Yaml::Map(map)
}

fn one_or_more(values: &[Yaml]) -> Yaml {
    match values {
        [one] => one.clone(),
        _ => Yaml::List(values.to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_occurs_once() {
        let path = |path: &str| Atom::Path(vec![Yaml::text(path)]);
        let cookie = |name: &str| Atom::Cookie(name.to_owned(), Vec::new());
        for (atoms, expected) in [
            (vec![path("/a"), cookie("b"), cookie("c")], "{ path: [/a], cookie: [{ name: b }, { name: c }] }"),
            (
                vec![path("/a*"), path("/b"), path("/c")],
                r#"{ path: ["/a*"], anyOf: [{ path: [/b], anyOf: [{ path: [/c] }] }] }"#,
            ),
            (
                vec![Atom::Not(vec![cookie("a")]), Atom::Not(vec![cookie("b")])],
                "{ not: { anyOf: [{ cookie: { name: a } }, { cookie: { name: b } }] } }",
            ),
            (
                vec![path("/a"), Atom::Any(vec![vec![cookie("b")], vec![cookie("c")]]), path("/d")],
                "{ path: [/a], anyOf: [{ path: [/d], anyOf: [{ cookie: { name: b } }, { cookie: { name: c } }] }] }",
            ),
        ] {
            let flow = rendered(&atoms).flow();
            assert_eq!(flow.replace("\"/a*\"", "/a*"), expected.replace("\"/a*\"", "/a*"));
        }
    }
}

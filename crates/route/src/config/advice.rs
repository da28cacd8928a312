//! Help for the author of a file: names of keys in other tools, and values that were probably meant. Only command line
//! tools contain it.

use crossfade_document::{Node, Scalar, Value};

use super::warnings;
use crate::masked::masked;
use crate::read::{Advice, Expected, KeyHint};

pub(super) static ADVICE: Advice = Advice { names: NAMES, meant, keys, warn: warnings::warn };

/// Longest value in characters that a hint shows.
const MAX_SHOWN: usize = 100;

/// See [`Advice::names`]. Own keys are listed with the map that they belong to.
static NAMES: &[(&str, &str)] = &[
    // ELBv2 in CloudFormation, SAM, Terraform and the AWS CLI.
    ("pathpattern", "conditions.path"),
    ("pathpatternconfig", "conditions.path"),
    ("hostheader", "conditions.host"),
    ("hostheaderconfig", "conditions.host"),
    ("httprequestmethod", "conditions.method"),
    ("httprequestmethodconfig", "conditions.method"),
    ("sourceip", "conditions.ip"),
    ("sourceipconfig", "conditions.ip"),
    ("httpheader", "conditions.header"),
    ("httpheaderconfig", "conditions.header"),
    ("httpheadername", "name"),
    ("querystring", "conditions.query"),
    ("querystringconfig", "conditions.query"),
    ("condition", "conditions"),
    ("action", "forward|redirect|fixedResponse"),
    ("actions", "forward|redirect|fixedResponse"),
    ("forwardconfig", "forward"),
    ("redirectconfig", "redirect"),
    ("fixedresponseconfig", "fixedResponse"),
    ("targetgroup", "backend"),
    ("targetgroup", "forward"),
    ("targetgrouparn", "backend"),
    ("targetgrouparn", "forward"),
    ("targetgroups", "forward.targets"),
    ("targetgroups", "backends"),
    ("stickiness", "forward.sticky"),
    ("targetgroupstickinessconfig", "forward.sticky"),
    ("messagebody", "fixedResponse.body"),
    ("statuscode", "status"),
    ("defaultaction", "default"),
    ("defaultactions", "default"),
    ("rule", "routes"),
    ("rules", "routes"),
    ("listenerrules", "routes"),
    // The Gateway API.
    ("matches", "conditions"),
    ("match", "conditions"),
    ("filters", "transforms|requestHeaders|responseHeaders|redirect|mirror"),
    ("backendref", "forward"),
    ("backendrefs", "forward.targets"),
    ("hostname", "conditions.host"),
    ("hostnames", "conditions.host"),
    ("headers", "conditions.header"),
    ("queryparams", "conditions.query"),
    ("requestmirror", "mirror"),
    ("requestredirect", "redirect"),
    ("requestheadermodifier", "requestHeaders"),
    ("responseheadermodifier", "responseHeaders"),
    ("urlrewrite", "transforms"),
    ("replaceprefixmatch", "replace"),
    ("replacefullpath", "replace"),
    ("sessionpersistence", "forward.sticky"),
    // NGINX.
    ("location", "conditions.path"),
    ("servername", "conditions.host"),
    ("proxypass", "forward"),
    ("upstream", "backends"),
    ("upstreams", "backends"),
    ("servers", "backends"),
    ("return", "redirect|fixedResponse"),
    ("rewrite", "transforms"),
    ("proxysetheader", "requestHeaders"),
    ("addheader", "responseHeaders"),
    ("splitclients", "forward.targets"),
    ("iphash", "forward.sticky"),
    ("proxyconnecttimeout", "timeouts.connect"),
    ("proxyreadtimeout", "timeouts.backendRequest"),
    ("proxynextupstream", "forward.failover"),
    ("proxyssltrustedcertificate", "tls.caFile"),
    // Envoy, Traefik, HAProxy, Caddy.
    ("cluster", "backend"),
    ("clusters", "backends"),
    ("weightedclusters", "forward.targets"),
    ("service", "backend"),
    ("services", "backends"),
    ("origin", "url"),
    ("origins", "backends"),
    ("destinations", "backends"),
    ("requestmirrorpolicies", "mirror"),
    ("shadow", "mirror"),
    ("reverseproxy", "forward"),
    ("defaultbackend", "default"),
    ("fallback", "default"),
    ("fallback", "forward.failover"),
    ("percentage", "percent"),
    ("retries", "retry"),
    ("numretries", "attempts"),
    ("maxattempts", "attempts"),
    ("circuitbreaker", "outlier"),
    ("outlierdetection", "outlier"),
    ("endpoint", "url"),
    ("ssl", "tls"),
    ("sni", "serverName"),
    ("cacert", "caFile"),
    ("insecure", "tls.insecureSkipVerify"),
    ("code", "status"),
    ("to", "targets"),
    ("name", "backend"),
    // Our own keys, one level too high.
    ("path", "conditions.path"),
    ("host", "conditions.host"),
    ("method", "conditions.method"),
    ("methods", "conditions.method"),
    ("header", "conditions.header"),
    ("header", "by.header"),
    ("query", "conditions.query"),
    ("query", "by.query"),
    ("ip", "conditions.ip"),
    ("cookie", "conditions.cookie"),
    ("cookie", "by.cookie"),
    ("jwtclaim", "by.jwtClaim"),
    ("assigned", "by.assigned"),
    ("not", "conditions.not"),
    ("anyof", "conditions.anyOf"),
    ("target", "forward.targets"),
    ("targets", "forward.targets"),
    ("weight", "forward.targets"),
    ("backend", "forward"),
    ("sticky", "forward.sticky"),
    ("optin", "forward.optIn"),
    ("failover", "forward.failover"),
    ("percent", "mirror.percent"),
    ("compare", "mirror.compare"),
    ("status", "fixedResponse.status"),
    ("body", "fixedResponse.body"),
    ("bodyfile", "fixedResponse.bodyFile"),
    ("contenttype", "fixedResponse.contentType"),
    ("connect", "timeouts.connect"),
    ("timeout", "timeouts"),
    ("backendrequest", "timeouts.backendRequest"),
    ("cafile", "tls.caFile"),
    ("clientcert", "tls.clientCert"),
    ("minversion", "tls.minVersion"),
    ("insecureskipverify", "tls.insecureSkipVerify"),
    ("certfile", "clientCert.certFile"),
    ("trustedhops", "clientIp.trustedHops"),
];

/// See [`Advice::meant`].
fn meant(expected: Expected, node: &Node) -> Option<String> {
    if node.is_null() {
        return None;
    }
    let text = node.as_scalar().filter(|scalar| scalar.written.is_none()).map(|scalar| &*scalar.text);
    let meant = match expected {
        Expected::Boolean => boolean(text?)?.to_owned(),
        Expected::Words => {
            let words: Vec<&str> = text?.split([',', ' ', '|']).filter(|word| !word.is_empty()).collect();
            if words.len() < 2 {
                return None;
            }
            format!("[{}]", words.join(", ").to_ascii_uppercase())
        }
        Expected::Whole(least, most) => {
            let is_quoted = node.as_scalar().is_some_and(|scalar| !scalar.is_plain);
            let mut found = wholes(text?);
            found.retain(|number| (is_quoted || Some(number.as_str()) != text) && is_within(number, least, most));
            // Each one but the last ends a quotation.
            Some(found.join("` or `")).filter(|found| !found.is_empty())?
        }
        Expected::Number(least, most) => {
            let is_quoted = node.as_scalar().is_some_and(|scalar| !scalar.is_plain);
            let found = number(text?).filter(|number| is_quoted || Some(number.as_str()) != text)?;
            Some(found).filter(|number| is_within(number, least, most))?
        }
        Expected::Duration => duration(text?)?,
        Expected::Path => path(text?)?,
        Expected::Url => url(text?)?,
        Expected::Text => match node.items() {
            [only] => scalar(only.as_scalar()?),
            _ => return None,
        },
        Expected::List => format!("[{}]", flow(node)?),
        Expected::Map => map(node)?,
        Expected::Backends => backends(node)?,
        Expected::Routes => routes(node)?,
        Expected::Conditions => conditions(node)?,
        Expected::Target => target(node.members().first()?)?,
        Expected::Targets => format!("[{}]", targets(node)?),
        Expected::Forward if node.get("backend").is_some() && node.get("weight").is_none() => {
            flow(node.get("backend")?)?
        }
        Expected::Forward => format!("{{targets: [{}]}}", targets(node)?),
    };
    Some(masked(&meant)).filter(|meant| meant.chars().count() <= MAX_SHOWN)
}

/// See [`Advice::keys`].
fn keys(known: &[&'static str], unknown: Option<&str>, node: &Node) -> Option<KeyHint> {
    let value = node.as_scalar().filter(|scalar| scalar.written.is_none() && !scalar.is_null());
    let (hint, absent) = match (known, unknown) {
        (["set", "add", "remove"], Some(name)) if name.contains('-') => {
            (format!("write `set: {{{name}: {}}}`", scalar(value?)), None)
        }
        (["name", "values"], Some(name)) => {
            (format!("write `{{name: {name}, values: [{}]}}`", scalar(value?)), Some("name"))
        }
        (["name", "values"], None) => {
            let (name, value) = value?.text.split_once([':', '='])?;
            (format!("write `{{name: {}, values: [\"{}\"]}}`", name.trim(), value.trim()), None)
        }
        (["on", "to", ..], None) => (format!("write `failover: {{to: {}}}`", value?.text), None),
        (["backend", "percent", ..], None) => {
            (format!("write `mirror: {{backend: {}, percent: 5}}`", value?.text), None)
        }
        _ => return None,
    };
    let is_shown = hint.chars().count() <= MAX_SHOWN;
    is_shown.then(|| (masked(&hint), absent))
}

fn boolean(text: &str) -> Option<&'static str> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "y" | "1" => Some("true"),
        "false" | "no" | "off" | "n" | "0" => Some("false"),
        _ => None,
    }
}

fn is_within(number: &str, least: u32, most: u32) -> bool {
    number.parse().is_ok_and(|value: f64| (f64::from(least)..=f64::from(most)).contains(&value))
}

/// The number at the beginning, without quotes, a unit, separators of thousands, or a decimal comma.
fn number(text: &str) -> Option<String> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ',').unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    let number = number.trim_end_matches([',', '.']);
    let number = if is_grouped(number, ',') { number.replace(',', "") } else { number.replace(',', ".") };
    let is_number = number.parse::<f64>().is_ok() && (unit.is_empty() || unit.starts_with([' ', '%', ',']));
    is_number.then_some(number)
}

/// The integers that a text may mean: `1.000` is a thousand in some languages.
fn wholes(text: &str) -> Vec<String> {
    let Some(number) = number(text) else { return Vec::new() };
    let grouped = is_grouped(&number, '.').then(|| number.replace('.', ""));
    let whole = match number.split_once('.') {
        Some((whole, fraction)) => fraction.bytes().all(|digit| digit == b'0').then(|| whole.to_owned()),
        None => Some(number),
    };
    grouped.into_iter().chain(whole).collect()
}

/// Returns `true` for `1,000` and `12,345,678`.
fn is_grouped(number: &str, separator: char) -> bool {
    let mut groups = number.split(separator);
    let first = groups.next().unwrap_or_default();
    let mut others = groups.peekable();
    let is_first = (1..=3).contains(&first.len()) && !first.starts_with('0');
    is_first && others.peek().is_some() && others.all(|group| group.len() == 3)
}

/// A duration with one of the units that are supported. A number alone has two meanings.
fn duration(text: &str) -> Option<String> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    if !number.parse::<f64>().is_ok_and(|number| number > 0.0) {
        return None;
    }
    let unit = match unit.trim().to_ascii_lowercase().as_str() {
        // The second one ends the quotation of the first.
        "" => return Some(format!("{number}s` or `{number}ms")),
        "ms" | "msec" | "msecs" | "millis" | "millisecond" | "milliseconds" => "ms",
        "s" | "sec" | "secs" | "second" | "seconds" => "s",
        "m" | "min" | "mins" | "minute" | "minutes" => "m",
        "h" | "hr" | "hrs" | "hour" | "hours" => "h",
        "d" | "day" | "days" => "d",
        _ => return None,
    };
    Some(format!("{number}{unit}"))
}

/// Several paths in one text as a list, a regex as one, and the parameters of a path as `*`.
fn path(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.split([' ', '|', ',']).filter(|part| !part.is_empty()).collect();
    if parts.len() > 1 && parts.iter().all(|part| part.starts_with('/')) {
        return Some(format!("[{}]", parts.join(", ")));
    }
    if text.starts_with(['^', '(']) || text.ends_with('$') || text.contains(".*") || text.contains('\\') {
        return Some(format!("{{regex: '{}'}}", text.replace('\'', "''")));
    }
    let (mut path, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once('{') {
        path.push_str(before);
        path.push('*');
        rest = after.split_once('}')?.1;
    }
    path.push_str(rest);
    let is_path = path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic());
    Some(path).filter(|path| is_path && path != text && !path.contains(['|', '<', '>', '{', '}', '"', '`']))
}

/// A reference to a variable in another tool's syntax as one in ours.
fn url(text: &str) -> Option<String> {
    let (before, rest) = text.split_at_checked(text.find(['$', '{'])?)?;
    let rest = rest.trim_start_matches(['$', '{']);
    let end = rest.find(['}', '/']).filter(|_| !rest.contains('}')).or_else(|| rest.find('}')).unwrap_or(rest.len());
    let (name, after) = rest.split_at_checked(end)?;
    let name = name.trim().rsplit([':', '/', '.']).next()?.trim();
    let name: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
    let after = after.trim_start_matches('}');
    Some(format!("{before}${{env:{name}}}{after}")).filter(|_| !name.is_empty())
}

/// A list of maps with different keys as one map.
fn map(node: &Node) -> Option<String> {
    let members: Vec<_> = node.items().iter().flat_map(Node::members).collect();
    let is_list_of_maps = node.items().iter().all(|item| item.as_map().is_some());
    let mut names: Vec<&str> = members.iter().map(|(key, _)| &*key.name).collect();
    names.sort_unstable();
    names.dedup();
    let is_map = is_list_of_maps && !members.is_empty() && names.len() == members.len();
    if is_map {
        braces(members.iter().map(|(key, value)| Some(format!("{}: {}", key.name, flow(value)?))))
    } else {
        None
    }
}

/// A URL alone, or a list of `{name, url}`, as a map of names.
fn backends(node: &Node) -> Option<String> {
    if let Some(url) = node.as_text().filter(|url| url.starts_with("http")) {
        return Some(format!("{{legacy: {url}}}"));
    }
    let named = |item: &Node| Some(format!("{}: {}", item.get("name")?.as_text()?, flow(item.get("url")?)?));
    if node.items().iter().any(|item| item.get("name").is_some()) {
        return braces(node.items().iter().map(named));
    }
    map(node)
}

/// A single route, or a map of names, as a list.
fn routes(node: &Node) -> Option<String> {
    if node.get("name").is_some() || node.get("forward").is_some() {
        return Some(format!("[{}]", flow(node)?));
    }
    let (name, _) = node.members().first()?;
    Some(format!("[{{name: {}, priority: 10, …}}]", name.name))
}

/// A list of ELBv2's conditions, or of ours, as a map.
fn conditions(node: &Node) -> Option<String> {
    let ours = |item: &Node| {
        let field = item.get("Field").or_else(|| item.get("field"))?.as_text()?;
        let plain = crate::read::normalized(field);
        let (_, path) = NAMES.iter().find(|(theirs, _)| *theirs == plain)?;
        let config = item.members().iter().find(|(key, _)| key.name.ends_with("Config")).map_or(item, |(_, node)| node);
        let values = config.get("Values").or_else(|| config.get("values"))?;
        Some(format!("{}: {}", path.strip_prefix("conditions.")?, flow(values)?))
    };
    let has_field = node.items().iter().any(|item| item.get("Field").or_else(|| item.get("field")).is_some());
    if has_field { braces(node.items().iter().map(ours)) } else { map(node) }
}

/// `NAME: WEIGHT` as a target.
fn target((key, value): &(crossfade_document::Key, Node)) -> Option<String> {
    let weight = value.as_scalar().map(|weight| wholes(&weight.text).pop().unwrap_or_else(|| weight.text.to_string()));
    match weight {
        Some(weight) => Some(format!("{{backend: {}, weight: {weight}}}", key.name)),
        None if value.is_null() => Some(key.name.to_string()),
        None => None,
    }
}

/// A target, names, or a map of weights as the items of a list.
fn targets(node: &Node) -> Option<String> {
    let targets: Option<Vec<String>> = match &node.value {
        Value::Map(_) if node.get("backend").is_some() => Some(vec![flow(node)?]),
        Value::Map(members) => members.iter().map(target).collect(),
        Value::List(items) => {
            let read = |item: &Node| match item.members() {
                [member] if &*member.0.name != "backend" => target(member),
                _ => flow(item),
            };
            items.iter().map(read).collect()
        }
        _ => Some(vec![flow(node)?]),
    };
    targets.map(|targets| targets.join(", ")).filter(|targets| !targets.is_empty())
}

fn braces(members: impl Iterator<Item = Option<String>>) -> Option<String> {
    Some(format!("{{{}}}", members.collect::<Option<Vec<_>>>()?.join(", ")))
}

/// Returns a value in one line.
fn flow(node: &Node) -> Option<String> {
    match &node.value {
        Value::Scalar(it) => Some(scalar(it)),
        Value::List(items) => Some(format!("[{}]", items.iter().map(flow).collect::<Option<Vec<_>>>()?.join(", "))),
        Value::Map(members) => {
            braces(members.iter().map(|(key, value)| Some(format!("{}: {}", key.name, flow(value)?))))
        }
        Value::Unknown(never) => match *never {},
    }
}

fn scalar(scalar: &Scalar) -> String {
    let text = scalar.written.as_ref().map_or(&scalar.text, |written| &written.text);
    match scalar.is_plain && scalar.written.is_none() {
        true => text.to_string(),
        false if text.contains(['"', '\\']) => format!("'{}'", text.replace('\'', "''")),
        false => format!("\"{text}\""),
    }
}

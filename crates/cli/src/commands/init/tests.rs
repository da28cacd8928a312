//! The configuration that `init` writes is accepted and means what the rules meant, whatever those are.

use crossfade_rule::{Condition, RequestView};
use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

#[test]
fn texts_stay_texts() {
    for plain in ["GET", "/api/*", "shop.example.com", "x-beta", "https://h.example:8443/v1", "preview-*"] {
        assert_eq!(scalar(plain), plain);
    }
    for quoted in ["", "1", "on", "Null", "~", "*.example.com", "a: b", "a:", "#a", "a b", "{a}", "- a", "10.0.0.0/8"] {
        assert_eq!(scalar(quoted), format!("\"{quoted}\""));
    }
    assert_eq!(scalar(r#"\*"'"#), r#""\\*\"'""#);
    assert_eq!(scalar("${env:A} ${B}"), "\"$${env:A} ${B}\"");
}

fn rule(conditions: Vec<Condition>) -> ListenerRule {
    ListenerRule { priority: 7, conditions, function: "f".to_owned(), has_transforms: false }
}

/// The lines of the only route's conditions.
fn conditions(conditions: Vec<Condition>) -> String {
    let text = routes::text(&[rule(conditions)]);
    let lines = text.lines().filter(|line| line.starts_with("      ") || line.starts_with("  #"));
    lines.map(|line| format!("{}\n", line.trim())).collect()
}

#[test]
fn conditions_that_a_configuration_writes_in_another_way() {
    let query = |pairs: Vec<(Option<&str>, &str)>| Condition::query(pairs).unwrap();
    let path = |values: &[&str]| Condition::path(values).unwrap();
    let header = |name| Condition::header(name, ["x"]).unwrap();
    for (rule, expected) in [
        // Of any key.
        (vec![query(vec![(None, "*x*"), (None, "z")])], "query: [\"*x*\", z]\n"),
        (vec![query(vec![(Some("a"), "b"), (None, "c"), (Some("a"), "d")])], "query: { a: [b, d], \"*\": [c] }\n"),
        // Of one kind.
        (
            vec![query(vec![(Some("a"), "b")]), path(&["/x"]), query(vec![(Some("c"), "d")]), query(vec![(None, "e")])],
            "query: { a: [b] }\npath: [/x]\nanyOf: [{ query: { c: [d] }, anyOf: [{ query: [e] }] }]\n",
        ),
        (
            vec![header("a"), path(&["/x"]), header("b")],
            "header: [{ name: a, values: [x] }, { name: b, values: [x] }]\npath: [/x]\n",
        ),
        // What `check` rejects as a probable mistake.
        (vec![path(&["/a\"b.?*", "/c"])], "path: [{ regex: \"^/a\\\"b\\\\...*$\" }, /c]\n"),
        (vec![path(&["a/*", "/b"])], "# Rule 7: `a/*` is left out, since every path begins with `/`.\npath: [/b]\n"),
        (vec![path(&["a/*"])], "# Rule 7: `a/*` is left out, since every path begins with `/`.\n"),
        // Text that would be a variable.
        (vec![query(vec![(Some("${env:A}"), "${env:B}")])], "query: { \"?{env:A}\": [\"$${env:B}\"] }\n"),
    ] {
        assert_eq!(conditions(rule), expected);
    }
}

#[test]
fn names_and_priorities_are_free_ones() {
    let named = |function: &str| ListenerRule { function: function.to_owned(), ..rule(Vec::new()) };
    let text = routes::text(&["a b", "a-b", "ä", "", "a-b-1"].map(named));
    let names: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("  - name: ")).collect();
    assert_eq!(names, ["a-b-1", "a-b-2", "\"--1\"", "\"-1\"", "a-b-1-1"]);
    let with = |priorities: &[u32]| {
        let rules = priorities.iter().map(|priority| ListenerRule { priority: *priority, ..rule(Vec::new()) });
        free_priorities(&rules.collect::<Vec<_>>())
    };
    assert_eq!(with(&[]), [10, 20, 30]);
    assert_eq!(with(&[42, 7]), [60, 70, 80]);
    assert_eq!(with(&[49_970]), [49_980, 49_990, 50_000]);
    assert_eq!(with(&[50_000, 49_998]), [49_996, 49_997, 49_999]);
}

/// The compiled starter with these rules. Fails if `check` has errors.
fn compiled(rules: &[ListenerRule]) -> RoutingTable {
    let text = starter("https://a.example", "https://b.example", Some(rules));
    let nowhere = LocalSurroundings { folder: Path::new("") };
    let checked = Checked::new(&text, "crossfade.yaml", &nowhere);
    checked.table.unwrap_or_else(|| panic!("{}\n{text}", checked.diagnostics))
}

/// Every visible character, letters and digits by one each.
#[test]
fn conditions_mean_what_they_meant() {
    let visible = || (' '..='~').filter(|c| !c.is_ascii_alphanumeric() || "a1".contains(*c)).map(String::from);
    let texts = visible().chain(visible().flat_map(|first| visible().map(move |second| format!("{first}{second}"))));
    let rules: Vec<_> = texts
        .filter_map(|text| Condition::query([(Some(&text), &text)]).ok())
        .zip(1..)
        .map(|(condition, priority)| ListenerRule { priority, ..rule(vec![condition]) })
        .collect();
    assert_eq!(rules.len(), 35 + 35 * 35);
    for (route, rule) in compiled(&rules).routes().iter().zip(&rules) {
        assert_eq!(route.conditions(), rule.conditions[0].to_string());
    }
}

/// Words that YAML, JSON, variables, regexes or conditions could take for something else, and anything.
fn word() -> impl Strategy<Value = String> {
    const ODD: [&str; 65] = [
        "\"",
        "'",
        "\\",
        "${env:A}",
        "$${env:",
        "${",
        "}",
        "$",
        "%",
        " ",
        "  ",
        "#",
        " #",
        ": ",
        ":",
        "- ",
        "? ",
        "&a",
        "*",
        "?",
        "!x",
        "|",
        ">",
        "@",
        "`",
        "{",
        "[",
        "]",
        ",",
        "~",
        "null",
        "true",
        "no",
        "1",
        "1.10",
        "0x1",
        "1e3",
        "<<",
        "---",
        "<legacy>",
        "<routes>",
        "<10>",
        "\\*",
        "\\?",
        "a",
        "B",
        "/",
        ".",
        "&amp;",
        "%22",
        "=",
        "é",
        "\u{feff}",
        "\u{2028}",
        "🦀",
        "\u{e0001}",
        "\u{7f}",
        "\u{85}",
        "(a|b)",
        "^",
        "\\d+",
        "[^/]*",
        "(?i)",
        "\t",
        "\n",
    ];
    let piece =
        prop_oneof![3 => prop::sample::select(&ODD[..]).prop_map(str::to_owned), 1 => "[ -~]{1,3}", 1 => ".{1,2}"];
    prop::collection::vec(piece, 1..5).prop_map(|pieces| pieces.concat())
}

/// Words without the characters that ALB rejects.
fn words_of(is_allowed: fn(char) -> bool) -> impl Strategy<Value = Vec<String>> {
    let plain = move |word: String| word.chars().filter(|c| is_allowed(*c)).chain(['a']).collect::<String>();
    prop::collection::vec(word().prop_map(plain), 1..4)
}

fn is_visible(c: char) -> bool {
    (' '..='~').contains(&c)
}

fn condition() -> impl Strategy<Value = Condition> {
    let words = || prop::collection::vec(word(), 1..4);
    let name = || prop::sample::select(vec!["x-a", "cookie", "user-agent", "on", "1", "x.y"]);
    let paths = words_of(|c| c.is_ascii_alphanumeric() || "_-.$/~\"'@:+&*?%".contains(c));
    let slashed = |(words, slash): (Vec<String>, &str)| {
        words.into_iter().map(move |word| format!("{slash}{word}")).collect::<Vec<_>>()
    };
    let paths = (paths, prop_oneof![5 => Just("/"), 1 => Just("")]).prop_map(slashed);
    let hosts = words_of(|c| c.is_ascii_alphanumeric() || "-.*?".contains(c));
    let hosts = hosts.prop_map(|words| words.into_iter().map(|word| format!("{word}.example")).collect::<Vec<_>>());
    let pairs = (words_of(is_visible), words_of(is_visible), any::<bool>());
    let pairs = pairs.prop_map(|(keys, values, has_keys)| {
        let keys = keys.into_iter().map(move |key| Some(key).filter(|_| has_keys)).chain([None]);
        keys.zip(values).collect::<Vec<_>>()
    });
    let methods = prop::collection::vec("[A-Z_-]{1,7}|GET|ON|NO|TRUE", 1..3);
    let ranges = prop::sample::select(vec!["0.0.0.0/0", "10.1.2.3/8", "::/0", "2001:db8::1/64", "::ffff:1.2.3.4/128"]);
    prop_oneof![
        hosts.prop_map(|values| Condition::host(values).unwrap()),
        paths.prop_map(|values| Condition::path(values).unwrap()),
        methods.prop_map(|values| Condition::method(values).unwrap()),
        (name(), words_of(is_visible)).prop_map(|(name, values)| Condition::header(name, values).unwrap()),
        pairs.prop_map(|pairs| Condition::query(pairs).unwrap()),
        prop::collection::vec(ranges, 1..3).prop_map(|values| Condition::ip(values).unwrap()),
        words().prop_filter_map("host regex", |values| Condition::host_regex(values).ok()),
        words().prop_filter_map("path regex", |values| Condition::path_regex(values).ok()),
        (name(), words()).prop_filter_map("header regex", |(name, values)| Condition::header_regex(name, values).ok()),
    ]
}

fn listener_rules_of_any_kind() -> impl Strategy<Value = Vec<ListenerRule>> {
    let rule = (prop::collection::vec(condition(), 1..5), word(), any::<bool>());
    prop::collection::vec((1..=50_000_u32, rule), 1..4).prop_map(|rules| {
        let mut taken = HashSet::new();
        let rules = rules.into_iter().filter(|(priority, _)| taken.insert(*priority));
        let rule = |(priority, (conditions, function, has_transforms))| ListenerRule {
            priority,
            conditions,
            function,
            has_transforms,
        };
        rules.map(rule).collect()
    })
}

/// A request that a rule may match: each part is the text of one of its values.
fn request_for(rule: &ListenerRule, choice: usize) -> [String; 4] {
    let [mut host, mut path, mut query, mut header] = ["a.example", "/", "a=b", "x"].map(str::to_owned);
    for condition in &rule.conditions {
        let plain = |source: &str| source.replace("\\*", "*").replace("\\?", "?").replace('*', "xy").replace('?', "z");
        match condition {
            Condition::Host(values) => host = plain(values[choice % values.len()].source()),
            Condition::Path(values) => path = plain(values[choice % values.len()].source()),
            Condition::Header { values, .. } => header = plain(values[choice % values.len()].source()),
            Condition::Query(values) => {
                let pair = &values[choice % values.len()];
                query = format!(
                    "{}={}",
                    pair.key.as_ref().map_or("k".to_owned(), |key| plain(key.source())),
                    plain(pair.value.source())
                );
            }
            Condition::Method(_) | Condition::Ip(_) => {}
        }
    }
    [host, path, query, header]
}

/// The rules in the form of `aws elbv2 describe-rules`, with other actions in between.
fn described(rules: &[ListenerRule]) -> String {
    let values = |patterns: &[crossfade_rule::Pattern], config: &str, field: &str, name: Option<&str>| {
        let (regexes, plain): (Vec<_>, Vec<_>) = patterns.iter().partition(|pattern| pattern.as_regex().is_some());
        let sources = |patterns: Vec<&crossfade_rule::Pattern>| {
            patterns.into_iter().map(|it| it.source().to_owned()).collect::<Vec<_>>()
        };
        let mut inner = if regexes.is_empty() {
            json!({ "Values": sources(plain) })
        } else {
            json!({ "RegexValues": sources(regexes) })
        };
        if let Some(name) = name {
            inner["HttpHeaderName"] = name.into();
        }
        json!({ "Field": field, config: inner })
    };
    let condition = |condition: &Condition| match condition {
        Condition::Host(patterns) => values(patterns, "HostHeaderConfig", "host-header", None),
        Condition::Path(patterns) => values(patterns, "PathPatternConfig", "path-pattern", None),
        Condition::Header { name, values: patterns } => {
            values(patterns, "HttpHeaderConfig", "http-header", Some(name.as_str()))
        }
        Condition::Method(methods) => {
            json!({ "Field": "http-request-method", "HttpRequestMethodConfig": { "Values": methods } })
        }
        Condition::Query(pairs) => {
            let pairs: Vec<Value> = pairs
                .iter()
                .map(|pair| match &pair.key {
                    Some(key) => json!({ "Key": key.source(), "Value": pair.value.source() }),
                    None => json!({ "Value": pair.value.source() }),
                })
                .collect();
            json!({ "Field": "query-string", "QueryStringConfig": { "Values": pairs } })
        }
        Condition::Ip(ranges) => {
            let ranges: Vec<String> = ranges.iter().map(ToString::to_string).collect();
            json!({ "Field": "source-ip", "SourceIpConfig": { "Values": ranges } })
        }
    };
    let actions = [
        json!([{ "Type": "forward", "TargetGroupArn": "arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/t \"t/1" }]),
        json!([{ "Type": "forward", "ForwardConfig": { "TargetGroups": [{ "TargetGroupArn": "a", "Weight": 1 }, { "TargetGroupArn": "b", "Weight": 9 }] } }]),
        json!([{ "Type": "redirect", "RedirectConfig": { "Host": "x.example", "StatusCode": "HTTP_301" } }]),
        json!([{ "Type": "fixed-response", "FixedResponseConfig": { "StatusCode": "503", "MessageBody": "\"${env:A}\n" } }]),
    ];
    let rules: Vec<Value> = rules.iter().enumerate().map(|(index, rule)| {
        let mut described = json!({
            "Priority": rule.priority.to_string(),
            "Conditions": rule.conditions.iter().map(condition).collect::<Vec<_>>(),
            "Actions": actions[index % actions.len()],
        });
        if rule.has_transforms {
            described["Transforms"] = json!([{ "Type": "url-rewrite", "UrlRewriteConfig": { "Rewrites": [{ "Regex": "^/a", "Replace": "/b" }] } }]);
        }
        described
    }).collect();
    json!({ "Rules": rules }).to_string()
}

proptest! {
    #![proptest_config(ProptestConfig { max_local_rejects: 10_000_000, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn check_accepts_every_rule_and_every_request_is_routed_as_before(rules in listener_rules_of_any_kind(), choice in 0..4_usize) {
        let table = compiled(&rules);
        let mut sorted: Vec<&ListenerRule> = rules.iter().collect();
        sorted.sort_by_key(|rule| rule.priority);
        for rule in &rules {
            let [host, path, query, header] = request_for(rule, choice);
            let mut headers = HeaderMap::new();
            for name in rule.conditions.iter().filter_map(|condition| if let Condition::Header { name, .. } = condition { Some(name) } else { None }) {
                if let Ok(value) = HeaderValue::from_bytes(header.as_bytes()) {
                    headers.insert(name, value);
                }
            }
            // A request has a path.
            if !path.starts_with('/') {
                continue;
            }
            let method = rule.conditions.iter().find_map(|condition| if let Condition::Method(methods) = condition { methods.first() } else { None });
            let request = RequestView {
                method: method.map_or("GET", |method| method),
                host: host.as_bytes(),
                path: path.as_bytes().into(),
                query: Some(query.as_bytes()),
                headers: &headers,
                source_ip: "10.1.2.3".parse().ok(),
            };
            let expected = sorted.iter().find(|rule| rule.conditions.iter().all(|condition| condition.matches(&request)));
            prop_assert_eq!(table.select(&request).priority, expected.map(|rule| rule.priority));
        }
    }

    #[test]
    fn check_accepts_every_file(rules in listener_rules_of_any_kind()) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("rules.json");
        std::fs::write(&file, described(&rules)).unwrap();
        let options = source::Options { lenient: true, ..source::Options::default() };
        // What ALB rejects is rejected.
        if let Ok(source::Loaded { settings, names, .. }) = source::describe_rules(&file, &options) {
            let rules = Rules { file, settings, names, left_out: Vec::new(), files: Vec::new(), environment: super::super::environment::Environment::default() };
            compiled(&listener_rules(&rules));
        }
    }
}

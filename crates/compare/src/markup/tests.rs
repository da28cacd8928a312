//! Pairs of documents and the differences between them.

use std::time::UNIX_EPOCH;

use crossfade_journal::comparison::Class;
use proptest::prelude::*;

use super::*;
use crate::comparison::Settings;
use crate::evidence::Salt;
use crate::findings::Comparison;
use crate::rules::Rules;
use crate::treat_equal::TreatEqual;
use crate::work::{Work, never_over};

fn comparison(is_html: bool, primary: &str, mirror: &str, rules: &Rules) -> Comparison {
    let work = Work::new(&never_over);
    let salt = Salt::default();
    let settings = Settings::new(rules, UNIX_EPOCH, &salt);
    let mut findings = Findings::new(&settings, &work, [UNIX_EPOCH; 2]);
    let stop = compare(is_html, primary, mirror, &mut findings).err();
    findings.conclude(stop)
}

fn rules() -> Rules {
    Rules { keep_values: true, treat_equal: vec![TreatEqual::Uuid, TreatEqual::Token], ..Rules::default() }
}

/// Describes all differences, without `selector: `.
fn differences_with(rules: &Rules, is_html: bool, primary: &str, mirror: &str) -> Vec<String> {
    let describe = |difference: crate::Difference| {
        let class = format!("{:?}", difference.class).to_lowercase();
        let value = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        let pointer = difference.pointer.trim_start_matches("selector: ").to_owned();
        match (difference.primary, difference.mirror) {
            (None, None) => format!("{class} {pointer}"),
            (one, other) => format!("{class} {pointer}: {} -> {}", value(one), value(other)),
        }
    };
    comparison(is_html, primary, mirror, rules).differences.into_iter().map(describe).collect()
}

fn differences(is_html: bool, primary: &str, mirror: &str) -> Vec<String> {
    differences_with(&rules(), is_html, primary, mirror)
}

#[test]
fn documents_that_mean_the_same_are_equal() {
    for (primary, mirror) in [
        ("<P Class='a' id=b>x</P>", "<p id=\"b\" class=\"a\">\n  x\n</p>"),
        ("<br><hr>", "<br/>\n<hr />"),
        ("a<!-- b -->c", "ac"),
        ("a<!-- b --!>c", "ac"),
        ("a<!-- b", "a"),
        ("<input disabled>", "<input disabled=''>"),
        ("<input disabled>", "<input disabled=disabled>"),
        ("it&#39;s &quot;x&quot; &copy; &eacute;", "it's \"x\" \u{A9} \u{E9}"),
        ("<a href='?a=1&amp;b=2'>", "<a href='?a=1&b=2'>"),
        ("<!DOCTYPE html>", "<!doctype HTML>"),
        ("<input name=x value='3q2+7w9xYzABCDEFghi/kl=='>", "<input name=x value='4q2+8w9xYzABCDE/ghi5kl=='>"),
        ("<script>if (a<b) {}</script>", "<script>\nif (a<b) {}  \n</SCRIPT>"),
        ("<p>a<p>b", "<p>a</p>\n<p>b</p>"),
        ("<ul><li>a<li>b<ul><li>c</ul><li>d</ul>", "<ul><li>a</li><li>b<ul><li>c</li></ul></li><li>d</li></ul>"),
        ("<dl><dt>a<dd>b<dt>c</dl>", "<dl><dt>a</dt><dd>b</dd><dt>c</dt></dl>"),
        (
            "<table><tr><td>a<td>b<tr><th>c</table>",
            "<table><tbody><tr><td>a</td><td>b</td></tr><tr><th>c</th></tr></tbody></table>",
        ),
        (
            "<table><thead><tr><td>a<tbody><tr><td>b</table>",
            "<table><thead><tr><td>a</td></tr></thead><tbody><tr><td>b",
        ),
        ("<select><option>a<option>b</select>", "<select><option>a</option><option>b</option></select>"),
        ("<title>a</title><p>b", "<!-- x --><html><head><title>a</title></head><body><p>b</p></body></html>"),
        ("<p>a</p></div></b>", "<p>a</p>"),
        ("<p class='b a'>", "<p class='a  b'>"),
        ("<p class=''>a</p>", "<p>a</p>"),
        ("<p style='color:red;margin:0'>", "<p style='margin: 0; color: red'>"),
        ("<script type=text/javascript>a</script>", "<script>a</script>"),
        ("<svg viewBox='0 0 1 1'><path d='M0'/><g/></svg>", "<svg viewbox='0 0 1 1'><path d='M0'></path><g></g></svg>"),
        ("<svg><text><![CDATA[a < b]]></text></svg>", "<svg><text>a &lt; b</text></svg>"),
        ("<textarea>\na</textarea>", "<textarea>a</textarea>"),
        ("<pre>\r\na\r\nb</pre>", "<pre>a\nb</pre>"),
        ("<div>\n\n<p>a</p>\t</div>", "<div><p>a</p></div>"),
        ("<meta charset=UTF-8>", "<META CHARSET=utf-8>"),
    ] {
        assert_eq!(differences(true, primary, mirror), [""; 0], "{primary} {mirror}");
        assert_eq!(differences(true, mirror, primary), [""; 0], "{mirror} {primary}");
    }
    for (primary, mirror) in [
        ("<?xml version='1.0'?><a><b/></a>", "<a><b></b></a>"),
        ("<?xml version='1.0' encoding='UTF-8'?><a/>", "<a/>"),
        ("<a><![CDATA[1 < 2]]></a>", "<a>1 &lt; 2</a>"),
        ("<x:a xmlns:x='u'><x:b/></x:a>", "<a xmlns='u'><b/></a>"),
        ("<a xmlns:p='u' p:x='1' y='2'/>", "<a y='2' q:x='1' xmlns:q='u'/>"),
        ("<a><?pi x?><!-- c --><b>t</b></a>", "<a>\n  <b> t\n</b>\n</a>"),
        ("<a xmlns:i='i' xmlns:s='s' i:type='s:int'/>", "<a xmlns:j='i' xmlns:t='s' j:type='t:int'/>"),
    ] {
        assert_eq!(differences(false, primary, mirror), [""; 0], "{primary} {mirror}");
    }
}

#[test]
fn each_difference_has_its_place() {
    for (primary, mirror, expected) in [
        ("<p>\n<b>x</b>\n</p>", "<p><b>y</b></p>", &["text body > p > b: x -> y"][..]),
        ("<p class=a>", "<p class=b>", &["value body > p.a @class: a -> b"]),
        ("<p title=a>x", "<p>x", &["missing body > p @title: a -> -"]),
        ("<p>x", "<p hidden>x", &["extra body > p @hidden: - -> "]),
        ("&lt;b&gt;", "<b>", &["text body: <b> -> -", "extra body > b: - -> <b>"]),
        ("1 < 2", "1 < 3", &["text body: 1 < 2 -> 1 < 3"]),
        ("<a href=\"x", "<a href=\"y", &["text body: <a href=\"x -> <a href=\"y"]),
        ("<pre>a  b</pre>", "<pre>a b</pre>", &["text body > pre: a  b -> a b"]),
        ("<p>a&nbsp;b", "<p>a b", &["text body > p: a\u{A0}b -> a b"]),
        ("<!doctype html><p>a", "<p>a", &["missing :root @doctype: html -> -"]),
        (
            "<form><input type=hidden name=csrf value=a1><p>old</p></form>",
            "<form><input type=hidden name=csrf value=b2><p>new</p></form>",
            &["value body > form > input[name=csrf] @value: *** -> ***", "text body > form > p: old -> new"],
        ),
        (
            "<div class=ad>1</div><main><h1>T</h1><p>a</p></main>",
            "<main><h1>T</h1><p>b</p></main>",
            &["missing body > div.ad: 1 -> -", "text main > p: a -> b"],
        ),
        (
            "<ul class=nav><li><a href=/a>A</a><li><a href=/b>B</a><li><a href=/c>C</a></ul>",
            "<ul class=nav><li><a href=/a>A</a><li><a href=/c>C</a></ul>",
            &["missing body > ul.nav > li: B -> -"],
        ),
        ("<ul><li>a<li>b<li>c</ul>", "<ul><li>c<li>a<li>b</ul>", &["order body > ul: a, b, c -> c, a, b"]),
        (
            "<ul><li><a href=/1>One</a> <b>1</b><li><a href=/2>Two</a> <b>2</b></ul>",
            "<ul><li><a href=/2>Two</a> <b>3</b><li><a href=/1>One</a> <b>1</b></ul>",
            &["order body > ul: One 1, Two 2 -> Two 3, One 1", "text body > ul > li:nth-of-type(2) > b: 2 -> 3"],
        ),
        (
            "<main id=x7f3a9b2><div id=content><p>a</p></div></main>",
            "<main id=c81e02aa><div id=content><p>b</p></div></main>",
            &["value main @id: x7f3a9b2 -> c81e02aa", "text div#content > p: a -> b"],
        ),
        (
            "<p class=Button_x3f9a>a</p><p class=css-1q2w3e>b</p>",
            "<p class=Button_x3f9a>c</p><p class=css-1q2w3e>b</p>",
            &["text body > p:nth-of-type(1): a -> c"],
        ),
        ("<div id=a><p>x</p></div>", "<div id=b><i>y</i></div>", &["missing div#a: x -> -", "extra div#b: - -> y"]),
        (
            "<p>Hello <b>Ann</b>, bye</p>",
            "<p>Hello <b>Bob</b>, ciao</p>",
            &["text body > p > b: Ann -> Bob", "text body > p: , bye -> , ciao"],
        ),
    ] {
        assert_eq!(differences(true, primary, mirror), expected, "{primary} {mirror}");
    }
    for (primary, mirror, expected) in [
        ("<A/>", "<a/>", &["missing A: <A> -> -", "extra a: - -> <a>"][..]),
        ("<a xmlns='u'><b/></a>", "<a xmlns='v'><b/></a>", &["value a @xmlns"]),
        ("<?xml version='1.0' encoding='ISO-8859-1'?><a/>", "<a/>", &["value :root @encoding: iso-8859-1 -> utf-8"]),
        (
            "<s:Envelope xmlns:s='soap'><s:Body><r:Price xmlns:r='u'><r:Value>1</r:Value></r:Price></s:Body></s:Envelope>",
            "<e:Envelope xmlns:e='soap'><e:Body><Price xmlns='u'><Value>2</Value></Price></e:Body></e:Envelope>",
            &["text Envelope > Body > Price > Value: 1 -> 2"],
        ),
        (
            "<rss><channel><item><title>A</title><guid>1</guid></item><item><title>B</title><guid>2</guid></item></channel></rss>",
            "<rss><channel><item><title>N</title><guid>3</guid></item><item><title>A</title><guid>1</guid></item>\
             <item><title>C</title><guid>2</guid></item></channel></rss>",
            &["extra rss > channel > item: - -> N 3", "text rss > channel > item:nth-of-type(2) > title: B -> C"],
        ),
        (
            "<f><v name='a'>1</v><v name='b'>2</v></f>",
            "<f><v name='b'>3</v><v name='a'>1</v></f>",
            &["order f: 1, 2 -> 3, 1", "text f > v[name=b]: 2 -> 3"],
        ),
    ] {
        assert_eq!(differences(false, primary, mirror), expected, "{primary} {mirror}");
    }
}

#[test]
fn total_breakage_has_stable_places() {
    let page = "<!doctype html><html><head><title>Shoes</title><link rel=canonical href=/shoes></head><body>\
        <header><nav class=top><a href=/>Home</a></nav></header><main><h1>Shoes</h1><ul class=list><li>A<li>B</ul></main>\
        <footer>(c)</footer></body></html>";
    let error = "<!doctype html><title>Error</title><h1>Something went wrong</h1><p>Request 7f3a9b2c</p>";
    assert_eq!(
        differences(true, page, error),
        [
            "missing body > header: Home -> -",
            "missing main: Shoes A B -> -",
            "missing body > footer: (c) -> -",
            "extra body > h1: - -> Something went wrong",
            "extra body > p: - -> Request 7f3a9b2c",
            "missing head > link[rel=canonical]: <link> -> -",
            "text head > title: Shoes -> Error",
        ]
    );
    let cut = &page[..page.find("<li>B").unwrap()];
    assert_eq!(
        differences(true, page, cut),
        ["missing body > footer: (c) -> -", "missing main > ul.list > li: B -> -"]
    );
}

#[test]
fn selectors_apply_to_elements_and_attributes() {
    let primary = "<div class='ad x'><p>1</p></div><main><p class=time>1</p><a href=/1 title=a>x</a></main>";
    let mirror = "<div class='y ad'><p>2</p></div><main><p class=time>2</p><a href=/2 title=b>x</a></main>";
    for (ignored, expected) in [
        (&[][..], 5),
        (&["selector: .ad", "selector: main"], 0),
        (&["selector: div[class~=ad]"], 3),
        (&["selector: body .time", "selector: a @href"], 3),
        (&["selector: a @href", "selector: a @title", "selector: div, p"], 0),
        (&["selector: main > p:nth-of-type(2)"], 5),
        (&["selector: span"], 5),
    ] {
        let ignore = ignored.iter().map(|text| Place::parse(text).unwrap()).collect();
        let rules = Rules { ignore, ..Rules::default() };
        let found = differences_with(&rules, true, primary, mirror);
        assert_eq!(found.len(), expected, "{ignored:?} {found:?}");
    }
    // An element that is ignored is not missing.
    let rules = Rules { ignore: vec![Place::parse("selector: .ad").unwrap()], ..Rules::default() };
    assert_eq!(differences_with(&rules, true, primary, &mirror.replace("y ad", "y")).len(), 4);
    assert_eq!(differences_with(&rules, true, "<p class=ad>x</p><p>a", "<p>a"), [""; 0]);
}

#[test]
fn hostile_markup_takes_linear_time() {
    for unit in [
        "<",
        "<a",
        "<a '",
        "<a'>'",
        "<!--",
        "<![CDATA[",
        "<script>",
        "</",
        "<a =",
        "&",
        "<?",
        "<a \"x\" ",
        "<a>",
        "<p>",
        "<li>",
        "<table>",
        "<tr>",
        "<td>",
        "</p>",
        "<b><p>",
        "<svg>",
        "<!doctype [",
        "<!",
        "<a xmlns:b='c'>",
        "<!-- -",
        "<a b=",
        "<select><option>",
        "&#",
        "&amp",
        "<pre>\n",
        "<p id=a class=b>",
    ] {
        for is_html in [true, false] {
            let work = |count: usize| {
                let one = unit.repeat(count / unit.len());
                let all = comparison(is_html, &one, &format!("{one}."), &rules());
                assert_eq!(differences(is_html, &one, &one), [""; 0], "{unit}");
                all.work
            };
            let (less, more) = (work(8_000), work(32_000));
            assert!(more < 8 * less + 100_000, "{unit} {is_html}: {less} {more}");
        }
    }
}

#[test]
fn many_attributes_and_many_siblings_take_linear_time() {
    let attributes =
        |value: usize| (0..50_000).map(|at| format!("a{} ", at * 7_919 % 50_000 + value)).collect::<String>();
    let found = comparison(true, &format!("<p {}>", attributes(0)), &format!("<p {}>", attributes(1)), &rules());
    assert_eq!(found.differences.len(), 2, "{:?}", found.differences);
    let siblings =
        |step: usize| (0..20_000).map(|at| format!("<i id=x{0}>{0}</i>", at * step % 20_011)).collect::<String>();
    let found = comparison(true, &siblings(1), &siblings(7), &rules());
    assert!(found.work < 60_000_000, "{}", found.work);
}

/// An element of a document that can be written in several ways.
#[derive(Clone, Debug)]
enum Part {
    Text(String),
    Element(&'static str, Vec<(&'static str, String)>, Vec<Part>),
}

fn parts() -> impl Strategy<Value = Vec<Part>> {
    let words = || "[a-c<&é]{1,3}( [a-c]{1,2}){0,2}";
    let attributes = prop::collection::btree_map(prop::sample::select(&["title", "alt", "lang"][..]), words(), 0..3);
    let leaf = words().prop_map(Part::Text);
    let part = leaf.prop_recursive(4, 30, 5, move |inner| {
        let name = prop::sample::select(&["div", "p", "b", "section", "ul", "span"][..]);
        let children = prop::collection::vec(inner, 0..5);
        (name, attributes.clone(), children).prop_map(|(name, attributes, mut children)| {
            // Only phrasing content may be in these.
            if matches!(name, "p" | "b" | "span") {
                children.retain(|child| matches!(child, Part::Text(_) | Part::Element("b" | "span", ..)));
            }
            // Texts in a row are one.
            children.dedup_by(|one, other| matches!((one, other), (Part::Text(_), Part::Text(_))));
            Part::Element(name, attributes.into_iter().collect(), children)
        })
    });
    prop::collection::vec(part.prop_filter("not a text", |part| matches!(part, Part::Element(..))), 1..5)
}

fn write(parts: &[Part], is_other: bool, out: &mut String) {
    let escaped = |text: &str| {
        let amp = if is_other { "&#38;" } else { "&amp;" };
        text.replace('&', amp).replace('<', "&lt;").replace('é', if is_other { "&eacute;" } else { "é" })
    };
    for part in parts {
        match part {
            Part::Text(text) if is_other => {
                *out += &format!("\n {} <!-- {} -->", escaped(text).replace(' ', "\t\n"), out.len())
            }
            Part::Text(text) => *out += &escaped(text),
            Part::Element(name, attributes, children) => {
                let mut list: Vec<String> = attributes
                    .iter()
                    .map(|(key, value)| match is_other {
                        true => format!(" {}='{}'", key.to_uppercase(), escaped(value)),
                        false => format!(" {key}=\"{}\"", escaped(value)),
                    })
                    .collect();
                if is_other {
                    list.reverse();
                }
                let tag = if is_other { name.to_uppercase() } else { (*name).to_owned() };
                *out += &format!("<{tag}{}>", list.concat());
                write(children, is_other, out);
                *out += &format!("</{name}>");
            }
        }
    }
}

fn written(parts: &[Part], is_other: bool) -> String {
    let mut out = String::new();
    write(parts, is_other, &mut out);
    out
}

/// Changes the text or attribute with a number, counted through the document; returns `true` if there is one.
fn mutate(parts: &mut [Part], number: &mut usize) -> bool {
    parts.iter_mut().any(|part| {
        let (texts, children): (Vec<&mut String>, &mut [Part]) = match part {
            Part::Text(text) => (vec![text], &mut []),
            Part::Element(_, attributes, children) => {
                (attributes.iter_mut().map(|(_, value)| value).collect(), children)
            }
        };
        for text in texts {
            if *number == 0 {
                text.push_str(" zz");
                return true;
            }
            *number -= 1;
        }
        mutate(children, number)
    })
}

proptest! {
    #[test]
    fn documents_written_differently_match(parts in parts()) {
        let (one, other) = (written(&parts, false), written(&parts, true));
        prop_assert_eq!(differences(true, &one, &other), [""; 0], "{} {}", one, other);
        let (one, other) = (format!("<r>{one}</r>"), format!("<r>{one}<!-- x --></r><?y?>"));
        prop_assert_eq!(differences(false, &one, &other), [""; 0], "{} {}", one, other);
    }

    #[test]
    fn a_change_is_found_at_its_place_only(parts in parts(), number in 0..20_usize) {
        let mut changed = parts.clone();
        if mutate(&mut changed, &mut number.clone()) {
            let (one, other) = (written(&parts, false), written(&changed, true));
            let found = differences(true, &one, &other);
            prop_assert_eq!(found.len(), 1, "{} {} {:?}", one, other, found);
        }
    }

    #[test]
    fn any_text_is_compared(
        one in "(<|>|</|<!--|-->|<!|\\?>|<p|<li|<table|<tr|<td|<svg|<script|</script|='|\"| a=| |&|amp;|<!\\[CDATA\\[|\\]\\]>|é|x|/>){0,40}",
        other in "\\PC{0,40}|(<|>|</p|<p|<b a=b>|x){0,40}",
        is_html: bool,
    ) {
        prop_assert_eq!(differences(is_html, &one, &one), [""; 0]);
        let _ = differences(is_html, &one, &other);
        let _ = differences(is_html, &other, &one);
    }

    #[test]
    fn a_selector_that_a_record_shows_covers_its_place(parts in parts(), number in 0..20_usize) {
        let mut changed = parts.clone();
        mutate(&mut changed, &mut number.clone());
        let (one, other) = (written(&parts, false), written(&changed, false));
        for difference in comparison(true, &one, &other, &rules()).differences {
            let ignore = vec![Place::parse(&difference.pointer).unwrap()];
            let left = comparison(true, &one, &other, &Rules { ignore, ..rules() });
            prop_assert!(left.differences.iter().all(|left| left.pointer != difference.pointer), "{}", difference.pointer);
        }
    }
}

/// If both systems are the same, a repeated response must be like the primary's first no more often than like the mirror's.
#[test]
fn noise_is_no_evidence() {
    type Random<'r> = &'r mut dyn FnMut(usize) -> usize;
    type Page = fn(Random<'_>) -> String;
    const PAGES: [(&str, Page); 6] = [
        ("random texts", |random| (0..3).map(|_| format!("<li>w{}", random(10))).collect()),
        ("random products", |random| (0..5).map(|_| format!("<p><a href=/{0}>N{0}</a><b>x", random(20))).collect()),
        ("an advertisement", |random| format!("<p>a<p>b{}<p>c<p>d", if random(2) == 0 { "<p>ad" } else { "" })),
        ("a cell of each row", |random| (0..6).map(|row| format!("<p>row {row} <b>{}</b>", random(3))).collect()),
        ("another order", |random| {
            let mut items = ["a", "b", "c"];
            items.swap(random(3), random(3));
            items.map(|item| format!("<li>{item}")).concat()
        }),
        ("a feed that lags", |random| {
            let from = random(3);
            (from..from + 4).map(|at| format!("<li><h2>News {at}</h2><p>{}</p>", at % 2)).collect()
        }),
    ];
    let mut state = 12345_u64;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) as usize) % below
    };
    for (name, page) in PAGES {
        let mut counts = std::collections::BTreeMap::<_, [f64; 2]>::new();
        for _ in 0..500 {
            let [p, m, p_again, m_again] = [(); 4].map(|()| page(&mut random));
            let mut found = comparison(true, &p, &m, &rules());
            let repeated = [comparison(true, &p, &p_again, &rules()), comparison(true, &m, &m_again, &rules())];
            found.repeat(&repeated[0], Some(&repeated[1]));
            for difference in found.differences {
                use crate::Repeated::{Primary, Same, Swapped, Unstable, Varies};
                // As the report counts them: what is in one system only is one place, whichever it is.
                let is_single = matches!(difference.class, Class::Missing | Class::Extra);
                let class = if is_single { Class::Missing } else { difference.class };
                let [primary, mirror] = counts.entry((format!("{class:?}"), difference.pointer)).or_default();
                let is_primary = matches!(difference.repeated, Some(Same | Primary | Unstable));
                let is_tie = difference.repeated == Some(Varies);
                *primary += f64::from(is_primary || (is_tie && difference.class == Class::Missing));
                *mirror +=
                    f64::from(difference.repeated == Some(Swapped) || (is_tie && difference.class == Class::Extra));
            }
        }
        for (place, [primary, mirror]) in counts {
            assert!(primary <= mirror + 3.5 * (primary + mirror).sqrt(), "{name}: {place:?} {primary} {mirror}");
        }
    }
}

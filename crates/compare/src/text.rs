//! Compares text line by line, and markup by the pieces of `markup`. Owns what is insignificant in lines, and the
//! description of the first difference.

use std::borrow::Cow;

use crossfade_journal::comparison::Class;

use crate::findings::{Findings, Seen, Values};
use crate::markup::{Markup, Piece};
use crate::shown;
use crate::spot::{Inner, Spot};
use crate::treat_equal::replaced;
use crate::work::Stop;

/// The language of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    /// Names of tags and attributes ignore case; some elements contain no markup.
    Html,
    Xml,
}

/// Reports the first difference of two texts.
pub(crate) fn compare(language: Language, ours: &str, theirs: &str, findings: &mut Findings<'_>) -> Result<(), Stop> {
    let work = findings.work;
    let kinds = &findings.rules.treat_equal;
    match language {
        Language::Html | Language::Xml => {
            let markup = |text| Markup::new(text, language == Language::Html, kinds, work);
            compare_pieces(ours, &mut markup(ours), &mut markup(theirs), findings)
        }
    }
}

fn compare_pieces<'a>(
    primary: &str,
    ours: &mut dyn Iterator<Item = Result<Piece<'a>, Stop>>,
    theirs: &mut dyn Iterator<Item = Result<Piece<'a>, Stop>>,
    findings: &mut Findings<'_>,
) -> Result<(), Stop> {
    let kinds = &findings.rules.treat_equal;
    loop {
        let (one, other) = (ours.next().transpose()?, theirs.next().transpose()?);
        let is_same = match (&one, &other) {
            (None, None) => return Ok(()),
            (Some(one), Some(other)) if one.is_tag != other.is_tag => false,
            (Some(one), Some(other)) if one.text == other.text => true,
            (Some(one), Some(other)) => {
                let work = findings.work;
                !kinds.is_empty() && replaced(&one.text, kinds, work)? == replaced(&other.text, kinds, work)?
            }
            _ => false,
        };
        if !is_same {
            let at = line(primary, one.as_ref().map(|piece| piece.begin));
            let seen = |piece: &Option<Piece<'a>>| match piece {
                Some(piece) => Seen::Text(value(&piece.text)),
                None => Seen::Absent,
            };
            let marks = findings.marks(&Spot::Body);
            let spot = Spot::Other(&Inner { pointer: "body", at: Some(&at), above: &[] });
            return findings.report(Class::Text, &spot, marks, &|| Values::of(seen(&one), seen(&other)));
        }
    }
}

/// Describes the line in which something begins, such as `line 7 of 120`; the last one if `begin` is `None`.
fn line(text: &str, begin: Option<usize>) -> String {
    let text = text.trim_end();
    let breaks = |text: &str| text.bytes().filter(|byte| *byte == b'\n').count();
    let before = begin.and_then(|begin| text.get(..begin)).unwrap_or(text);
    format!("line {} of {}", breaks(before) + 1, breaks(text) + 1)
}

/// Returns a piece as a record may show it. If it mentions a secret nothing is shown, since the secret may be anywhere
/// in it.
fn value(text: &str) -> Cow<'static, str> {
    let text = shown::head(text.trim());
    if shown::is_secret_name(text) { shown::HIDDEN.into() } else { text.to_owned().into() }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::comparison::Settings;
    use crate::evidence::Salt;
    use crate::rules::Rules;
    use crate::treat_equal::TreatEqual;
    use crate::work::{Work, never_over};

    /// Describes the first difference of two texts.
    fn differ(language: Language, primary: &str, mirror: &str) -> Option<String> {
        let rules =
            Rules { keep_values: true, treat_equal: vec![TreatEqual::Uuid, TreatEqual::Token], ..Rules::default() };
        let work = Work::new(&never_over);
        let salt = Salt::default();
        let settings = Settings::new(&rules, UNIX_EPOCH, &salt);
        let mut findings = Findings::new(&settings, &work, [UNIX_EPOCH; 2]);
        let stop = compare(language, primary, mirror, &mut findings).err();
        let difference = findings.conclude(stop).differences.pop()?;
        let shown = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        Some(format!("{}: {} -> {}", difference.at?, shown(difference.primary), shown(difference.mirror)))
    }

    #[test]
    fn markup_is_compared() {
        use Language::{Html, Xml};
        for (language, primary, mirror, expected) in [
            (Html, "<P Class='a' id=b>x</P>", "<p id=\"b\" class=\"a\">\n  x\n</p>", None),
            (Html, "<br><hr>", "<br/>\n<hr />", None),
            (Html, "a<!-- b -->c", "ac", None),
            (Html, "a<!-- b", "a", None),
            (Html, "<input disabled>", "<input disabled=''>", None),
            (Html, "it&#39;s &quot;x&quot;", "it's \"x\"", None),
            (Html, "<a href='?a=1&amp;b=2'>", "<a href='?a=1&b=2'>", None),
            (Html, "<!DOCTYPE html>", "<!doctype HTML>", None),
            (
                Html,
                "<input name=x value='3q2+7w9xYzABCDEFghi/kl=='>",
                "<input name=x value='4q2+8w9xYzABCDE/ghi5kl=='>",
                None,
            ),
            (Html, "<script>if (a<b) {}</script>", "<script>\nif (a<b)\n{}\n</SCRIPT>", None),
            (Html, "<p>\n<b>x</b>\n</p>", "<p><b>y</b></p>", Some("line 2 of 3: x -> y")),
            (Html, "<p class=a>", "<p class=b>", Some("line 1 of 1: <p class=\"a\"> -> <p class=\"b\">")),
            (Html, "&lt;b&gt;", "<b>", Some("line 1 of 1: <b> -> <b>")),
            (Html, "<script>a<b</script>x", "<script>a<c</script>x", Some("line 1 of 1: a<b -> a<c")),
            (Html, "<p>a", "<p>a</p>", Some("line 1 of 1: - -> </p>")),
            (Html, "1 < 2", "1 < 3", Some("line 1 of 1: 1 < 2 -> 1 < 3")),
            (Html, "<a href=\"x", "<a href=\"y", Some("line 1 of 1: <a href=\"x -> <a href=\"y")),
            (Xml, "<?xml version='1.0'?><a><b/></a>", "<a><b></b></a>", None),
            (Xml, "<a><![CDATA[1 < 2]]></a>", "<a>1 &lt; 2</a>", None),
            (Xml, "<A/>", "<a/>", Some("line 1 of 1: <A> -> <a>")),
        ] {
            let actual = differ(language, primary, mirror);
            assert_eq!(actual.as_deref(), expected, "{primary:?} {mirror:?}");
        }
    }

    #[test]
    fn hostile_markup_takes_linear_time() {
        // Hostile markup must take linear time.
        for unit in ["<", "<a", "<a '", "<a'>'", "<!--", "<![CDATA[", "<script>", "</", "<a =", "&", "<?", "<a \"x\" "]
        {
            let (one, other) = (unit.repeat(100_000 / unit.len()), format!("{}.", unit.repeat(100_000 / unit.len())));
            for language in [Language::Html, Language::Xml] {
                let _ = differ(language, &one, &other);
                assert_eq!(differ(language, &one, &one), None, "{unit}");
            }
        }
    }
}

//! Compares text line by line. Owns what is insignificant in lines, and the
//! description of the first difference.

use std::borrow::Cow;

use crossfade_journal::comparison::Class;

use crate::findings::{Findings, Seen, Values};
use crate::markup;
use crate::shown;
use crate::spot::{Inner, Spot};
use crate::treat_equal::replaced;
use crate::work::{Stop, Work};

/// The language of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    /// Compared line by line.
    Plain,
    /// Names of tags and attributes ignore case; some elements contain no markup.
    Html,
    Xml,
}

/// Reports the first difference of two texts.
pub(crate) fn compare(language: Language, ours: &str, theirs: &str, findings: &mut Findings<'_>) -> Result<(), Stop> {
    let work = findings.work;
    match language {
        Language::Plain => compare_pieces(ours, &mut lines(ours, work), &mut lines(theirs, work), findings),
        Language::Html | Language::Xml => markup::compare(language == Language::Html, ours, theirs, findings),
    }
}

/// A line.
struct Piece<'a> {
    text: Cow<'a, str>,
    /// Number of bytes before it.
    begin: usize,
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

/// Returns lines without trailing white space, and without empty lines at the end.
fn lines<'a>(text: &'a str, work: &Work<'_>) -> impl Iterator<Item = Result<Piece<'a>, Stop>> {
    let mut begin = 0;
    text.trim_end().split('\n').map(move |line| {
        work.spend(1 + line.len())?;
        let piece = Piece { text: line.trim_end().into(), begin };
        begin += line.len() + 1;
        Ok(piece)
    })
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::comparison::Settings;
    use crate::evidence::Salt;
    use crate::rules::Rules;
    use crate::treat_equal::TreatEqual;
    use crate::work::never_over;

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
    fn lines_are_compared() {
        for (primary, mirror, expected) in [
            ("a\nb", "a\r\nb  \r\n\r\n", None),
            ("a\nb\nc\n", "a\nx\nc\n", Some("line 2 of 3: b -> x")),
            ("a\n", "a\nb\n", Some("line 1 of 1: - -> b")),
            ("a\nb\n", "a\n", Some("line 2 of 2: b -> -")),
            ("a", "", Some("line 1 of 1: a -> ")),
            ("  a", "a", Some("line 1 of 1: a -> a")),
            ("id f47ac10b-58cc-4372-a567-0e02b2c3d479", "id 00000000-58cc-4372-a567-0e02b2c3d479", None),
            ("password: a", "password: b", Some("line 1 of 1: *** -> ***")),
        ] {
            let actual = differ(Language::Plain, primary, mirror);
            assert_eq!(actual.as_deref(), expected, "{primary:?} {mirror:?}");
        }
    }
}

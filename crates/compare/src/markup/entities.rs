//! Character references of HTML and XML: the numeric ones, those of HTML 4, and the more common ones of HTML 5.

/// Names, sorted by their bytes.
#[rustfmt::skip]
const NAMED: &[(&str, char)] = &[
    ("AElig", 'Æ'), ("Aacute", 'Á'), ("Abreve", 'Ă'), ("Acirc", 'Â'), ("Agrave", 'À'), ("Alpha", 'Α'), ("Amacr", 'Ā'),
    ("Aogon", 'Ą'), ("Aring", 'Å'), ("Atilde", 'Ã'), ("Auml", 'Ä'), ("Beta", 'Β'), ("Cacute", 'Ć'), ("Ccaron", 'Č'),
    ("Ccedil", 'Ç'), ("Chi", 'Χ'), ("Dagger", '‡'), ("Dcaron", 'Ď'), ("Delta", 'Δ'), ("ETH", 'Ð'), ("Eacute", 'É'),
    ("Ecaron", 'Ě'), ("Ecirc", 'Ê'), ("Egrave", 'È'), ("Emacr", 'Ē'), ("Eogon", 'Ę'), ("Epsilon", 'Ε'), ("Eta", 'Η'),
    ("Euml", 'Ë'), ("Gamma", 'Γ'), ("Gbreve", 'Ğ'), ("Hat", '^'), ("Iacute", 'Í'), ("Icirc", 'Î'), ("Idot", 'İ'),
    ("Igrave", 'Ì'), ("Imacr", 'Ī'), ("Iota", 'Ι'), ("Iuml", 'Ï'), ("Kappa", 'Κ'), ("Lambda", 'Λ'), ("Lstrok", 'Ł'),
    ("Mu", 'Μ'), ("Nacute", 'Ń'), ("Ncaron", 'Ň'), ("NewLine", '\u{A}'), ("NonBreakingSpace", '\u{A0}'),
    ("Ntilde", 'Ñ'), ("Nu", 'Ν'), ("OElig", 'Œ'), ("Oacute", 'Ó'), ("Ocirc", 'Ô'), ("Odblac", 'Ő'), ("Ograve", 'Ò'),
    ("Omacr", 'Ō'), ("Omega", 'Ω'), ("Omicron", 'Ο'), ("Oslash", 'Ø'), ("Otilde", 'Õ'), ("Ouml", 'Ö'), ("Phi", 'Φ'),
    ("Pi", 'Π'), ("Prime", '″'), ("Psi", 'Ψ'), ("Rcaron", 'Ř'), ("Rho", 'Ρ'), ("Sacute", 'Ś'), ("Scaron", 'Š'),
    ("Scedil", 'Ş'), ("Sigma", 'Σ'), ("THORN", 'Þ'), ("Tab", '\u{9}'), ("Tau", 'Τ'), ("Tcaron", 'Ť'), ("Tcedil", 'Ţ'),
    ("Theta", 'Θ'), ("Uacute", 'Ú'), ("Ucirc", 'Û'), ("Udblac", 'Ű'), ("Ugrave", 'Ù'), ("Umacr", 'Ū'),
    ("Upsilon", 'Υ'), ("Uring", 'Ů'), ("Uuml", 'Ü'), ("Xi", 'Ξ'), ("Yacute", 'Ý'), ("Yuml", 'Ÿ'), ("Zacute", 'Ź'),
    ("Zcaron", 'Ž'), ("Zdot", 'Ż'), ("Zeta", 'Ζ'), ("aacute", 'á'), ("abreve", 'ă'), ("acirc", 'â'), ("acute", '´'),
    ("aelig", 'æ'), ("agrave", 'à'), ("alefsym", 'ℵ'), ("alpha", 'α'), ("amacr", 'ā'), ("amp", '&'), ("and", '∧'),
    ("ang", '∠'), ("aogon", 'ą'), ("apos", '\''), ("aring", 'å'), ("ast", '*'), ("asymp", '≈'), ("atilde", 'ã'),
    ("auml", 'ä'), ("bdquo", '„'), ("beta", 'β'), ("blk34", '▓'), ("block", '█'), ("boxh", '─'), ("boxv", '│'),
    ("brvbar", '¦'), ("bsol", '\\'), ("bull", '•'), ("cacute", 'ć'), ("cap", '∩'), ("ccaron", 'č'), ("ccedil", 'ç'),
    ("cedil", '¸'), ("cent", '¢'), ("check", '✓'), ("checkmark", '✓'), ("chi", 'χ'), ("circ", 'ˆ'), ("clubs", '♣'),
    ("colon", ':'), ("comma", ','), ("commat", '@'), ("cong", '≅'), ("copy", '©'), ("copysr", '℗'), ("crarr", '↵'),
    ("cross", '✗'), ("cup", '∪'), ("curren", '¤'), ("dArr", '⇓'), ("dagger", '†'), ("darr", '↓'), ("dash", '‐'),
    ("dcaron", 'ď'), ("deg", '°'), ("delta", 'δ'), ("diams", '♦'), ("divide", '÷'), ("dollar", '$'), ("dtri", '▿'),
    ("dtrif", '▾'), ("eacute", 'é'), ("ecaron", 'ě'), ("ecirc", 'ê'), ("egrave", 'è'), ("emacr", 'ē'), ("empty", '∅'),
    ("emsp", '\u{2003}'), ("ensp", '\u{2002}'), ("eogon", 'ę'), ("epsilon", 'ε'), ("equals", '='), ("equiv", '≡'),
    ("eta", 'η'), ("eth", 'ð'), ("euml", 'ë'), ("euro", '€'), ("excl", '!'), ("exist", '∃'), ("female", '♀'),
    ("flat", '♭'), ("fnof", 'ƒ'), ("forall", '∀'), ("frac12", '½'), ("frac13", '⅓'), ("frac14", '¼'), ("frac15", '⅕'),
    ("frac18", '⅛'), ("frac23", '⅔'), ("frac34", '¾'), ("frac38", '⅜'), ("frac58", '⅝'), ("frac78", '⅞'),
    ("frasl", '⁄'), ("gamma", 'γ'), ("gbreve", 'ğ'), ("ge", '≥'), ("grave", '`'), ("gt", '>'), ("hArr", '⇔'),
    ("half", '½'), ("harr", '↔'), ("hearts", '♥'), ("hellip", '…'), ("horbar", '―'), ("hyphen", '‐'), ("iacute", 'í'),
    ("icirc", 'î'), ("iexcl", '¡'), ("igrave", 'ì'), ("imacr", 'ī'), ("image", 'ℑ'), ("incare", '℅'), ("infin", '∞'),
    ("inodot", 'ı'), ("int", '∫'), ("iota", 'ι'), ("iquest", '¿'), ("isin", '∈'), ("iuml", 'ï'), ("kappa", 'κ'),
    ("lArr", '⇐'), ("lambda", 'λ'), ("lang", '〈'), ("laquo", '«'), ("larr", '←'), ("lbrace", '{'), ("lbrack", '['),
    ("lceil", '⌈'), ("lcub", '{'), ("ldquo", '“'), ("le", '≤'), ("lfloor", '⌊'), ("lhblk", '▄'), ("lowast", '∗'),
    ("lowbar", '_'), ("loz", '◊'), ("lrm", '\u{200E}'), ("lsaquo", '‹'), ("lsqb", '['), ("lsquo", '‘'),
    ("lstrok", 'ł'), ("lt", '<'), ("ltri", '◃'), ("ltrif", '◂'), ("macr", '¯'), ("male", '♂'), ("mdash", '—'),
    ("micro", 'µ'), ("middot", '·'), ("minus", '−'), ("mldr", '…'), ("mu", 'μ'), ("nabla", '∇'), ("nacute", 'ń'),
    ("natural", '♮'), ("nbsp", '\u{A0}'), ("ncaron", 'ň'), ("ndash", '–'), ("ne", '≠'), ("ni", '∋'), ("not", '¬'),
    ("notin", '∉'), ("nsub", '⊄'), ("ntilde", 'ñ'), ("nu", 'ν'), ("num", '#'), ("numero", '№'), ("oacute", 'ó'),
    ("ocirc", 'ô'), ("odblac", 'ő'), ("oelig", 'œ'), ("ograve", 'ò'), ("oline", '‾'), ("omacr", 'ō'), ("omega", 'ω'),
    ("omicron", 'ο'), ("oplus", '⊕'), ("or", '∨'), ("ordf", 'ª'), ("ordm", 'º'), ("oslash", 'ø'), ("otilde", 'õ'),
    ("otimes", '⊗'), ("ouml", 'ö'), ("para", '¶'), ("part", '∂'), ("percnt", '%'), ("period", '.'), ("permil", '‰'),
    ("perp", '⊥'), ("phi", 'φ'), ("phone", '☎'), ("pi", 'π'), ("piv", 'ϖ'), ("plus", '+'), ("plusmn", '±'),
    ("pound", '£'), ("prime", '′'), ("prod", '∏'), ("prop", '∝'), ("psi", 'ψ'), ("quest", '?'), ("quot", '"'),
    ("rArr", '⇒'), ("radic", '√'), ("rang", '〉'), ("raquo", '»'), ("rarr", '→'), ("rarrhk", '↪'), ("rbrace", '}'),
    ("rbrack", ']'), ("rcaron", 'ř'), ("rceil", '⌉'), ("rcub", '}'), ("rdquo", '”'), ("real", 'ℜ'), ("reg", '®'),
    ("rfloor", '⌋'), ("rho", 'ρ'), ("rlm", '\u{200F}'), ("rsaquo", '›'), ("rsqb", ']'), ("rsquo", '’'), ("rtri", '▹'),
    ("rtrif", '▸'), ("sacute", 'ś'), ("sbquo", '‚'), ("scaron", 'š'), ("scedil", 'ş'), ("sdot", '⋅'), ("sect", '§'),
    ("semi", ';'), ("sharp", '♯'), ("shy", '\u{AD}'), ("sigma", 'σ'), ("sigmaf", 'ς'), ("sim", '∼'), ("sol", '/'),
    ("spades", '♠'), ("squ", '□'), ("square", '□'), ("star", '☆'), ("starf", '★'), ("sub", '⊂'), ("sube", '⊆'),
    ("sum", '∑'), ("sup", '⊃'), ("sup1", '¹'), ("sup2", '²'), ("sup3", '³'), ("supe", '⊇'), ("szlig", 'ß'),
    ("tau", 'τ'), ("tcaron", 'ť'), ("tcedil", 'ţ'), ("there4", '∴'), ("theta", 'θ'), ("thetasym", 'ϑ'),
    ("thinsp", '\u{2009}'), ("thorn", 'þ'), ("tilde", '˜'), ("times", '×'), ("trade", '™'), ("uArr", '⇑'),
    ("uacute", 'ú'), ("uarr", '↑'), ("ucirc", 'û'), ("udblac", 'ű'), ("ugrave", 'ù'), ("uhblk", '▀'), ("umacr", 'ū'),
    ("uml", '¨'), ("upsih", 'ϒ'), ("upsilon", 'υ'), ("uring", 'ů'), ("utri", '▵'), ("utrif", '▴'), ("uuml", 'ü'),
    ("vellip", '⋮'), ("verbar", '|'), ("vert", '|'), ("weierp", '℘'), ("xi", 'ξ'), ("yacute", 'ý'), ("yen", '¥'),
    ("yuml", 'ÿ'), ("zacute", 'ź'), ("zcaron", 'ž'), ("zdot", 'ż'), ("zeta", 'ζ'), ("zwj", '\u{200D}'),
    ("zwnj", '\u{200C}'),
];

/// Numbers 128 to 159, which mean what they mean in Windows-1252 (HTML, 13.2.5.80).
const WINDOWS: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8D}', 'Ž', '\u{8F}', '\u{90}', '‘', '’',
    '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9D}', 'ž', 'Ÿ',
];

/// Length of the longest reference that is looked for.
const MAX_NAME: usize = 20;

/// Reads the reference at the beginning of a text, behind its `&`, and returns the character and the rest.
pub(super) fn referenced(text: &str) -> Option<(char, &str)> {
    if let Some(number) = text.strip_prefix('#') {
        return numbered(number);
    }
    let length = text.bytes().take(MAX_NAME).position(|byte| !byte.is_ascii_alphanumeric()).unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(length)?;
    let character = named(name)?;
    match rest.strip_prefix(';') {
        Some(rest) => Some((character, rest)),
        // In URLs such as `?a=1&copy=2` it is no reference.
        None if rest.starts_with('=') => None,
        None => is_old(name, character).then_some((character, rest)),
    }
}

fn numbered(text: &str) -> Option<(char, &str)> {
    let (digits, radix) = match text.strip_prefix(['x', 'X']) {
        Some(digits) => (digits, 16),
        None => (text, 10),
    };
    let length = digits.chars().take_while(|digit| digit.is_digit(radix)).count();
    let (digits, rest) = digits.split_at_checked(length)?;
    if digits.is_empty() {
        return None;
    }
    let code = u32::from_str_radix(digits, radix).unwrap_or(u32::MAX);
    let windows = code.checked_sub(128).and_then(|at| WINDOWS.get(at as usize)).copied();
    let character = windows.or(char::from_u32(code)).filter(|character| *character != '\0').unwrap_or('\u{FFFD}');
    Some((character, rest.strip_prefix(';').unwrap_or(rest)))
}

fn named(name: &str) -> Option<char> {
    let at = NAMED.binary_search_by(|(known, _)| known.cmp(&name)).ok()?;
    NAMED.get(at).map(|(_, character)| *character)
}

/// Returns `true` for references that browsers read without a semicolon: those of ISO 8859-1 and of the syntax itself.
fn is_old(name: &str, character: char) -> bool {
    matches!(name, "amp" | "lt" | "gt" | "quot") || ('\u{A0}'..='\u{FF}').contains(&character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read() {
        for (text, expected) in [
            ("amp;x", Some(('&', "x"))),
            ("eacute;", Some(('\u{E9}', ""))),
            ("nbsp x", Some(('\u{A0}', " x"))),
            ("hellip;", Some(('\u{2026}', ""))),
            ("hellip ", None),
            ("#233;", Some(('\u{E9}', ""))),
            ("#xE9;", Some(('\u{E9}', ""))),
            ("#150;", Some(('\u{2013}', ""))),
            ("#0;", Some(('\u{FFFD}', ""))),
            ("#99999999999;", Some(('\u{FFFD}', ""))),
            ("#xD800;", Some(('\u{FFFD}', ""))),
            ("copy=2", None),
            ("copying", None),
            ("#;", None),
            ("", None),
        ] {
            assert_eq!(referenced(text), expected, "{text}");
        }
        assert!(NAMED.is_sorted_by(|(one, _), (other, _)| one < other));
    }
}

//! This proxy's name on the way of a request, and loops: `CDN-Loop` (RFC 8586), which every request to a back end gets, and
//! `Via` (RFC 9110 section 7.6.3), which is only sent where the configuration asks for it. Both are read in requests.
//!
//! `Via` is not the default because servers change their answers for it: nginx and IIS do not compress, so that the answer
//! has another size and another `ETag` than without the proxy. No server is known to react to `CDN-Loop`.

use std::sync::OnceLock;

use http::header::{HeaderMap, HeaderName, HeaderValue, VIA};

pub(crate) static CDN_LOOP: HeaderName = HeaderName::from_static("cdn-loop");

/// The parameter that distinguishes proxies of one name.
const DEPLOYMENT: &[u8] = b"deployment";

/// The name of this proxy. It is the same for all copies of the function.
#[derive(Debug)]
pub(crate) struct Identity {
    /// A token: the cdn-id in `CDN-Loop`, the received-by in `Via`.
    pub(crate) id: String,
    pub(crate) via: HeaderValue,
    /// Known from the first invocation on.
    member: OnceLock<HeaderValue>,
}

impl Identity {
    /// Characters that a token cannot have become `-`.
    pub(crate) fn new(name: &str) -> Self {
        let is_of_a_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        let id = name.replace(|c| !is_of_a_token(c), "-");
        let value =
            |text: String| HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("crossfade"));
        Identity { via: value(format!("1.1 {id}")), id, member: OnceLock::new() }
    }

    /// The member that `CDN-Loop` gets. All calls have the same `deployment`, since a process belongs to one function.
    #[inline]
    pub(crate) fn member(&self, deployment: Option<u32>) -> HeaderValue {
        let value = || {
            let text = match deployment {
                Some(number) => format!("{};deployment={number:08x}", self.id),
                None => self.id.clone(),
            };
            HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("crossfade"))
        };
        self.member.get_or_init(value).clone()
    }

    /// The field that shows that a request has passed this proxy before; `None` if it has not.
    ///
    /// A member of `CDN-Loop` with our name and another `deployment` is a function of the same name in another account or
    /// region. A member without one is ours: a legitimate request that is rejected does less harm than a loop.
    #[inline]
    pub(crate) fn already_in(&self, fields: &HeaderMap, deployment: Option<u32>) -> Option<&'static str> {
        let is_ours = |member: &[u8]| self.is_member(member, deployment);
        let in_cdn_loop = fields.get_all(&CDN_LOOP).iter().any(|value| any_member(value.as_bytes(), is_ours));
        if in_cdn_loop {
            return Some("cdn-loop");
        }
        let mut lines = fields.get_all(VIA).iter().map(HeaderValue::as_bytes);
        let is_received_by_us = |member: &[u8]| {
            let mut words = member.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
            let _protocol = words.next();
            words.next().is_some_and(|received_by| received_by.eq_ignore_ascii_case(self.id.as_bytes()))
        };
        lines.any(|line| line.split(|byte| *byte == b',').any(is_received_by_us)).then_some("via")
    }

    /// `cdn-id *( OWS ";" OWS parameter )`
    fn is_member(&self, member: &[u8], deployment: Option<u32>) -> bool {
        let mut pieces = member.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        if !pieces.next().is_some_and(|id| id.eq_ignore_ascii_case(self.id.as_bytes())) {
            return false;
        }
        let Some(own) = deployment else { return true };
        let named = pieces.find_map(|parameter| {
            let (name, value) = parameter.split_at_checked(parameter.iter().position(|byte| *byte == b'=')?)?;
            let value = value.get(1..).and_then(|value| std::str::from_utf8(value).ok()).unwrap_or_default();
            name.eq_ignore_ascii_case(DEPLOYMENT).then(|| u32::from_str_radix(value, 16).ok())
        });
        // An invalid number does not name another deployment.
        named.flatten().is_none_or(|named| named == own)
    }
}

/// Returns whether a member of a list (RFC 9110 section 5.6.1) fits. Commas within quoted strings do not end a member; but
/// the quotes of a string that never ends are ignored: a client could use one to hide the members that proxies behind it
/// append.
fn any_member(list: &[u8], fits: impl Fn(&[u8]) -> bool) -> bool {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let mut quoted = |byte: &u8| {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            _ => {}
        }
        is_quoted
    };
    let found = list.split(|byte| !quoted(byte) && *byte == b',').any(&fits);
    found || (is_quoted && list.split(|byte| *byte == b',').any(fits))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(name: &HeaderName, lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (name.clone(), line.parse().unwrap())).collect()
    }

    #[test]
    fn only_our_own_name_is_a_loop() {
        let is_loop = |lines: &[&str]| Identity::new("crossfade-shop").already_in(&fields(&VIA, lines), None).is_some();
        assert!(is_loop(&["1.1 crossfade-shop"]));
        assert!(is_loop(&["2 edge, 1.1 Crossfade-Shop (x)"]));
        assert!(is_loop(&["1.1 edge", "1.1 crossfade-shop"]));
        assert!(!is_loop(&["1.1 crossfade-shop-2", "1.1 crossfade"]));
        assert!(!is_loop(&["crossfade-shop"]));
        assert!(is_loop(&["1.1 caf\u{e9}, 1.1 crossfade-shop"]));
    }

    #[test] // RFC 8586 section 2
    fn members_are_taken_apart_as_they_are_defined() {
        let is_loop =
            |lines: &[&str]| Identity::new("crossfade-shop").already_in(&fields(&CDN_LOOP, lines), Some(0xa)).is_some();
        for ours in [
            &["crossfade-shop"][..],
            &["crossfade-shop;deployment=0000000a"],
            &["Crossfade-Shop ; Deployment=0000000A"],
            &["cloudflare; loops=1, crossfade-shop"],
            &["Fastly", "crossfade-shop ;x=1\t;y=\"2\""],
            &["a;b=\"c, d\\\"\",crossfade-shop"],
            &[",, crossfade-shop,"],
            &["caf\u{e9}, crossfade-shop"],
            // An invalid deployment does not make it another proxy's.
            &["crossfade-shop;deployment=x"],
            &["crossfade-shop;deployment"],
            &["crossfade-shop;deployment=0000000b, crossfade-shop;deployment=0000000a"],
            // A quoted string that does not end hides nothing.
            &["a;b=\", crossfade-shop;deployment=0000000a"],
            &["a;b=\"\\\", crossfade-shop, c"],
        ] {
            assert!(is_loop(ours), "{ours:?}");
        }
        for other in [
            &["crossfade-shop-2", "crossfade", "shop"][..],
            &["a;b=\"c, crossfade-shop, d\""],
            &["a;b=crossfade-shop"],
            &["crossfade-shop:443"],
            &["1.1 crossfade-shop"],
            &["crossfade-shop;deployment=0000000b"],
            &["crossfade-shop; x=1; DEPLOYMENT=b"],
            &[""],
        ] {
            assert!(!is_loop(other), "{other:?}");
        }
    }

    #[test]
    fn the_member_is_one_of_its_own() {
        for (name, deployment, member) in [
            ("crossfade-shop", None, "crossfade-shop"),
            ("crossfade-shop", Some(0x00c0_ffee), "crossfade-shop;deployment=00c0ffee"),
            ("crossfade-my shop,\u{e9}", Some(1), "crossfade-my-shop--;deployment=00000001"),
        ] {
            let identity = Identity::new(name);
            assert_eq!(identity.member(deployment), member);
            assert_eq!(identity.already_in(&fields(&CDN_LOOP, &[member]), deployment), Some("cdn-loop"));
        }
    }
}

//! `errorPages`: the content of Crossfade's own error responses. Owns the choice of a page by status and `Accept`.

use bytes::Bytes;
use http::StatusCode;
use http::header::HeaderValue;

use crate::policy::Codes;

/// A page for some statuses.
#[derive(Clone, Debug)]
pub struct ErrorPage {
    /// `codes`.
    pub codes: Codes,
    /// `contentType`.
    pub content_type: HeaderValue,
    /// `body`, or the content of `bodyFile`.
    pub body: Bytes,
}

impl ErrorPage {
    /// Returns the page for a status that the client likes best, the first one of several; `None` if it accepts none of them.
    /// A client without `Accept` accepts everything (RFC 9110 section 12.5.1).
    #[must_use]
    pub fn choose<'p>(pages: &'p [ErrorPage], status: StatusCode, accept: Option<&str>) -> Option<&'p ErrorPage> {
        let mut best: Option<(u16, &ErrorPage)> = None;
        for page in pages.iter().filter(|page| page.codes.contains(status)) {
            let quality = accept.map_or(1000, |accept| page.quality(accept));
            if quality > best.map_or(0, |(quality, _)| quality) {
                best = Some((quality, page));
            }
        }
        best.map(|(_, page)| page)
    }

    /// In thousandths, by the most specific media range.
    fn quality(&self, accept: &str) -> u16 {
        let content_type = self.content_type.to_str().unwrap_or_default();
        let own = content_type.split(';').next().unwrap_or_default().trim();
        let mut best = (0, 0);
        for range in accept.split(',') {
            let mut parameters = range.split(';').map(str::trim);
            let name = parameters.next().unwrap_or_default();
            let specificity = match name.strip_suffix("/*") {
                _ if name.eq_ignore_ascii_case(own) => 3,
                Some("*") => 1,
                Some(kind) if own.split('/').next().is_some_and(|own| own.eq_ignore_ascii_case(kind)) => 2,
                _ => continue,
            };
            let weight = parameters.find_map(|it| it.strip_prefix("q=").or_else(|| it.strip_prefix("Q=")));
            let quality = weight.map_or(1.0, |weight| weight.trim().parse::<f32>().unwrap_or(0.0)).clamp(0.0, 1.0);
            if specificity > best.0 {
                best = (specificity, (quality * 1000.0) as u16);
            }
        }
        best.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_chooses_among_the_pages_of_a_status() {
        let page = |content_type: &'static str, codes: std::ops::RangeInclusive<u16>| ErrorPage {
            codes: [codes].into_iter().collect(),
            content_type: HeaderValue::from_static(content_type),
            body: Bytes::new(),
        };
        let pages = [
            page("text/html; charset=utf-8", 500..=599),
            page("application/json", 502..=502),
            page("image/svg+xml", 400..=400),
        ];
        for (status, accept, expected) in [
            (502, None, Some(0)),
            (502, Some("text/html,application/xml;q=0.9,*/*;q=0.8"), Some(0)),
            (502, Some("application/json"), Some(1)),
            (502, Some("application/*, text/html;q=0.5"), Some(1)),
            (502, Some("*/*"), Some(0)),
            (502, Some("*/*, text/html;q=0"), Some(1)),
            (503, Some("application/json"), None),
            (400, Some("image/*"), Some(2)),
            (404, None, None),
        ] {
            let chosen = ErrorPage::choose(&pages, StatusCode::from_u16(status).unwrap(), accept);
            let index = chosen.and_then(|chosen| pages.iter().position(|page| std::ptr::eq(page, chosen)));
            assert_eq!(index, expected, "{status} {accept:?}");
        }
    }
}

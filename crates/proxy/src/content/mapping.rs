//! `publicUrl.content`: mapping the content of a response. Owns the choice of the mapping, decoding, and the fields.

use bytes::Bytes;
use crossfade_compare::decoded;
use crossfade_route::{Backend, PublicUrl};
use http::header::{CONTENT_ENCODING, HOST, HeaderMap, HeaderValue};
use http::{Method, Response, StatusCode};

use super::compress::{Recode, not_modified};
use super::fields::{changed, is_encoded, is_fixed, media_type, vary_by_coding};
use super::html::{Html, Resources};
use super::names::Names;
use super::urls::Urls;

/// The mapping of one content, which comes in pieces.
#[derive(Debug)]
pub(super) enum Mapping<'n> {
    Html(Box<Html<'n>>),
    Other(Urls<'n>),
}

impl<'n> Mapping<'n> {
    pub(super) fn new(names: &'n Names<'n>, public: &PublicUrl, media_type: &str) -> Self {
        let is = |known: &str| media_type.eq_ignore_ascii_case(known);
        let scripts = ["text/javascript", "application/javascript", "application/x-javascript"];
        let resources =
            Resources { scripts: scripts.iter().any(|script| public.maps(script)), styles: public.maps("text/css") };
        if is("text/html") || is("application/xhtml+xml") {
            Mapping::Html(Box::new(Html::new(names, resources)))
        } else {
            Mapping::Other(Urls::new(names, is("text/css") && names.maps_paths()))
        }
    }

    /// Takes a piece, and appends what is decided.
    pub(super) fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        match self {
            Mapping::Html(html) => html.push(piece, out),
            Mapping::Other(urls) => urls.push(piece, out),
        }
    }

    /// Appends the rest. Returns `false` if nothing has changed.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) -> bool {
        match self {
            Mapping::Html(html) => {
                html.finish(out);
                html.is_changed()
            }
            Mapping::Other(urls) => {
                urls.finish(out);
                urls.is_changed
            }
        }
    }
}

/// Maps the URLs in the content of a back end's response. `request` has the fields that the back end got. Content that cannot be
/// decoded, or that no URL is in, stays as it is.
pub(crate) fn map(
    public: &PublicUrl,
    backend: &Backend,
    method: &Method,
    request: &HeaderMap,
    response: &mut Response<Bytes>,
) {
    if response.status() == StatusCode::NOT_MODIFIED {
        not_modified(request, response.headers_mut());
        return;
    }
    if !public.maps(media_type(response.headers())) || is_fixed(response) {
        return;
    }
    if *method == Method::HEAD {
        // Nobody knows whether the content would change.
        changed(response.headers_mut());
        return;
    }
    let names = Names::new(public, backend, request.get(HOST));
    let mut mapping = Mapping::new(&names, public, media_type(response.headers()));
    let is_encoded = is_encoded(response.headers());
    let mut content = Vec::new();
    if is_encoded {
        let Some(decoded) = decoded(response.headers(), response.body()) else { return };
        mapping.push(&decoded, &mut content);
    } else {
        mapping.push(response.body(), &mut content);
    }
    if !mapping.finish(&mut content) {
        return;
    }
    *response.body_mut() = Bytes::from(content);
    changed(response.headers_mut());
    if is_encoded {
        response.headers_mut().remove(CONTENT_ENCODING);
        vary_by_coding(response.headers_mut());
        response.extensions_mut().insert(Recode);
    }
}

/// Leaves the codings that can be decoded in `Accept-Encoding`.
pub(crate) fn only_decodable(lines: &[HeaderValue]) -> Option<HeaderValue> {
    let members = lines.iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    let known = members.map(<[u8]>::trim_ascii).filter(|member| {
        let name = member.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        [&b"gzip"[..], b"x-gzip", b"deflate", b"br", b"zstd", b"identity"]
            .iter()
            .any(|it| name.eq_ignore_ascii_case(it))
    });
    let known = known.collect::<Vec<_>>().join(&b", "[..]);
    (!lines.is_empty())
        .then(|| HeaderValue::from_bytes(&known).ok().filter(|value| !value.is_empty()))?
        .or(Some(HeaderValue::from_static("identity")))
}

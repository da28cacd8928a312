//! `publicUrl.content`: mapping the content of a response. Owns the choice of the mapping, decoding, and the fields.

use std::sync::Arc;

use bytes::Bytes;
use crossfade_compare::decoded;
use crossfade_route::{Backend, PublicUrl};
use http::header::{CONTENT_ENCODING, HOST, HeaderMap, HeaderValue};
use http::{Method, Response, StatusCode};

use super::compress::{Recode, not_modified};
use super::fields::{changed, is_encoded, is_fixed, media_type, vary_by_coding};
use super::gunzip::{Broken, Gunzip};
use super::html::{Html, Resources};
use super::names::Names;
use super::urls::Urls;

/// The mapping of one content, which comes in pieces.
#[derive(Debug)]
pub(crate) enum Mapping<'n> {
    Html(Box<Html<'n>>),
    Other(Urls<'n>),
}

impl<'n> Mapping<'n> {
    pub(crate) fn new(names: Arc<Names<'n>>, public: &PublicUrl, media_type: &str) -> Self {
        let is = |known: &str| media_type.eq_ignore_ascii_case(known);
        let scripts = ["text/javascript", "application/javascript", "application/x-javascript"];
        let resources =
            Resources { scripts: scripts.iter().any(|script| public.maps(script)), styles: public.maps("text/css") };
        if is("text/html") || is("application/xhtml+xml") {
            Mapping::Html(Box::new(Html::new(names, resources)))
        } else {
            let is_css = is("text/css") && names.maps_paths();
            Mapping::Other(Urls::new(names, is_css))
        }
    }

    /// Takes a piece, and appends what is decided.
    pub(crate) fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        match self {
            Mapping::Html(html) => html.push(piece, out),
            Mapping::Other(urls) => urls.push(piece, out),
        }
    }

    /// Returns the number of bytes that wait for the next piece.
    pub(crate) fn held(&self) -> usize {
        match self {
            Mapping::Html(html) => html.held(),
            Mapping::Other(urls) => urls.held(),
        }
    }

    /// Appends the rest. Returns `false` if nothing has changed.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) -> bool {
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
    if !public.maps(media_type(response.headers())) || is_fixed(response.status(), response.headers()) {
        return;
    }
    if *method == Method::HEAD {
        // Nobody knows whether the content would change.
        changed(response.headers_mut());
        return;
    }
    let names = Arc::new(Names::new(public, backend, request.get(HOST)));
    let mut mapping = Mapping::new(names, public, media_type(response.headers()));
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
        decoded_to_map(response.headers_mut());
        response.extensions_mut().insert(Recode);
    }
}

/// Bytes of content that a piece of a coding becomes at a time, whatever it expands to.
const MAX_PIECE: usize = 32 * 1024;

/// Maps the content of a response that is passed on as it arrives. It keeps back no more than the beginning of a URL, or of a tag.
#[derive(Debug)]
pub(crate) struct Mapper<'n> {
    mapping: Mapping<'n>,
    /// For content with a coding.
    decoder: Option<Gunzip>,
    has_more: bool,
}

impl<'n> Mapper<'n> {
    /// Returns the mapping of a response, and corrects its fields: nobody knows yet whether a URL of the back end is in it. `None` if it
    /// passes as it is: its type is not mapped, it must not be changed, or it has a coding other than gzip, which nobody asked for.
    pub(crate) fn of(
        public: &'n PublicUrl,
        backend: &'n Backend,
        request: &HeaderMap,
        status: StatusCode,
        fields: &mut HeaderMap,
    ) -> Option<Self> {
        if !public.maps(media_type(fields)) || is_fixed(status, fields) {
            return None;
        }
        let decoder = match is_encoded(fields) {
            true if !is_gzip(fields) => return None,
            true => Some(Gunzip::new()),
            false => None,
        };
        let names = Arc::new(Names::new(public, backend, request.get(HOST)));
        let mapping = Mapping::new(names, public, media_type(fields));
        changed(fields);
        if decoder.is_some() {
            decoded_to_map(fields);
        }
        Some(Mapper { mapping, decoder, has_more: false })
    }

    /// Returns whether the content had a coding, which the client gets as well.
    pub(crate) fn decodes(&self) -> bool {
        self.decoder.is_some()
    }

    /// Takes the next piece, and appends what is decided, or a part of that: then `pull` has the next one.
    pub(crate) fn push(&mut self, piece: Bytes, out: &mut Vec<u8>) -> Result<(), Broken> {
        match &mut self.decoder {
            None => {
                self.mapping.push(&piece, out);
                Ok(())
            }
            Some(decoder) => {
                decoder.push(piece);
                self.has_more = true;
                self.pull(out)
            }
        }
    }

    /// Returns whether there is more of the last piece.
    pub(crate) fn has_more(&self) -> bool {
        self.has_more
    }

    /// Appends the next part of the last piece.
    pub(crate) fn pull(&mut self, out: &mut Vec<u8>) -> Result<(), Broken> {
        if let Some(decoder) = &mut self.decoder {
            let mut decoded = Vec::with_capacity(MAX_PIECE);
            self.has_more = decoder.pull(&mut decoded)?;
            self.mapping.push(&decoded, out);
        }
        Ok(())
    }

    /// Appends the rest.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Broken> {
        if let Some(decoder) = &self.decoder {
            decoder.finish()?;
        }
        self.mapping.finish(out);
        Ok(())
    }
}

/// The content has lost its coding, and whether the client gets one depends on what it accepts. One function, since each further
/// caller of `remove` keeps others from being inlined.
fn decoded_to_map(fields: &mut HeaderMap) {
    fields.remove(CONTENT_ENCODING);
    vary_by_coding(fields);
}

/// Returns whether gzip is the only coding.
fn is_gzip(fields: &HeaderMap) -> bool {
    let mut lines = fields.get_all(CONTENT_ENCODING).iter();
    let line = lines.next().map(|line| line.as_bytes().trim_ascii()).unwrap_or_default();
    lines.next().is_none() && (line.eq_ignore_ascii_case(b"gzip") || line.eq_ignore_ascii_case(b"x-gzip"))
}

/// Codings of content that is whole.
const DECODABLE: &[&[u8]] = &[b"gzip", b"x-gzip", b"identity", b"deflate", b"br", b"zstd"];
/// Codings of content in pieces.
const DECODABLE_IN_PIECES: &[&[u8]] = &[b"gzip", b"x-gzip", b"identity"];

/// Leaves the codings that can be decoded in `Accept-Encoding`.
pub(crate) fn only_decodable(lines: &[HeaderValue], is_streamed: bool) -> Option<HeaderValue> {
    let decodable = if is_streamed { DECODABLE_IN_PIECES } else { DECODABLE };
    let members = lines.iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    let known = members.map(<[u8]>::trim_ascii).filter(|member| {
        let name = member.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        decodable.iter().any(|it| name.eq_ignore_ascii_case(it))
    });
    let known = known.collect::<Vec<_>>().join(&b", "[..]);
    (!lines.is_empty())
        .then(|| HeaderValue::from_bytes(&known).ok().filter(|value| !value.is_empty()))?
        .or(Some(HeaderValue::from_static("identity")))
}

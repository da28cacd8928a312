//! The names that a back end has for itself, and those that clients see instead: what a URL in content is mapped to.

use crossfade_route::{Backend, PublicUrl};
use http::header::HeaderValue;

use super::spelling::{Cursor, Miss, spelled};

/// The names of one back end.
#[derive(Debug)]
pub(crate) struct Names<'a> {
    /// Hosts as URLs have them.
    hosts: Vec<String>,
    /// Ports that it may be meant with, besides those of HTTP and HTTPS.
    ports: Vec<String>,
    base: &'a str,
    public: &'a PublicUrl,
    /// `publicUrl` without scheme and path.
    authority: &'a str,
}

/// A text that takes the place of so many bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Replacement {
    pub(super) length: usize,
    pub(super) text: Vec<u8>,
}

impl<'a> Names<'a> {
    /// `seen` is what the back end got as `Host`.
    pub(crate) fn new(public: &'a PublicUrl, backend: &'a Backend, seen: Option<&HeaderValue>) -> Self {
        let in_url = |host: &str| if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let mut names = Names {
            hosts: vec![in_url(&backend.host)],
            ports: vec![backend.port.to_string()],
            base: &backend.base_path,
            public,
            authority: public.origin.split_once("://").map_or(&*public.origin, |(_, authority)| authority),
        };
        let seen = seen.and_then(|seen| seen.to_str().ok()).unwrap_or_default();
        let (host, port) = match seen.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port),
            _ => (seen, ""),
        };
        if !host.is_empty() && !host.eq_ignore_ascii_case(&backend.host) {
            names.hosts.push(host.to_owned());
        }
        names.ports.extend(Some(port.to_owned()).filter(|port| !port.is_empty()));
        names
    }

    /// Returns whether paths differ between the back end and its clients.
    pub(super) fn maps_paths(&self) -> bool {
        self.base != self.public.base_path
    }

    /// A URL of the back end, with a scheme or `//` in front, up to the end of its host or base path. `None` as the replacement:
    /// it is the same.
    pub(super) fn url(&self, mut at: Cursor<'_>) -> Result<Replacement, Miss> {
        let mut text = Vec::new();
        if matches!(at.peek()?, Some(b'h' | b'H')) {
            let scheme = at.text(b"http")?;
            text.extend_from_slice(scheme);
            let is_secure = matches!(at.peek()?, Some(b's' | b'S'));
            if is_secure {
                at.skip(1);
            }
            let colon = at.colon()?;
            text.clear();
            let public = self.public.origin.split(':').next().unwrap_or_default();
            text.extend_from_slice(public.as_bytes());
            text.extend_from_slice(colon);
        }
        let slash = at.slash()?;
        text.extend_from_slice(slash);
        text.extend_from_slice(at.slash()?);
        self.host(&mut at)?;
        at.path(self.base)?;
        if !self.base.is_empty() && !is_end_of_segment(at.peek()?) {
            return Err(Miss::No);
        }
        spelled(self.authority, slash, &mut text);
        spelled(&self.public.base_path, slash, &mut text);
        Ok(Replacement { length: at.read, text })
    }

    /// One of the hosts with one of the ports, and nothing that makes it another host.
    fn host(&self, at: &mut Cursor<'_>) -> Result<(), Miss> {
        let mut miss = Miss::No;
        for host in &self.hosts {
            let mut after = *at;
            match after.text(host.as_bytes()).and_then(|_| self.port(&mut after)) {
                Ok(()) => {
                    *at = after;
                    return Ok(());
                }
                Err(Miss::More) => miss = Miss::More,
                Err(Miss::No) => {}
            }
        }
        Err(miss)
    }

    fn port(&self, at: &mut Cursor<'_>) -> Result<(), Miss> {
        // The root of the DNS; a full stop otherwise.
        if at.peek()? == Some(b'.') {
            match at.ahead(1)? {
                Some(b'/' | b':') => at.skip(1),
                next if is_of_host(next) => return Err(Miss::No),
                _ => return Ok(()),
            }
        }
        let mut after = *at;
        match after.colon() {
            Ok(_) => {}
            Err(Miss::More) => return Err(Miss::More),
            Err(Miss::No) => return ends_host(at),
        }
        let mut digits = String::new();
        while let Some(digit) = after.peek()?.filter(u8::is_ascii_digit) {
            if digits.len() == 5 {
                return Err(Miss::No);
            }
            digits.push(char::from(digit));
            after.skip(1);
        }
        if matches!(after.peek()?, Some(b'@')) || is_of_host(after.peek()?) {
            return Err(Miss::No);
        }
        if digits.is_empty() {
            // A colon of the text around it.
            return Ok(());
        }
        if !matches!(&*digits, "80" | "443") && !self.ports.contains(&digits) {
            return Err(Miss::No);
        }
        ends_host(&after)?;
        *at = after;
        Ok(())
    }

    /// A path of the back end, up to the end of its base path: for the beginning of a reference that names no host.
    pub(super) fn path(&self, mut at: Cursor<'_>) -> Result<Replacement, Miss> {
        let start = at;
        let slash = at.slash()?;
        let mut second = at;
        match second.slash() {
            Ok(_) => return Err(Miss::No),
            Err(Miss::More) => return Err(Miss::More),
            Err(Miss::No) => {}
        }
        let is_path = self.base.is_empty() || {
            at = start;
            at.path(self.base)?;
            is_end_of_segment(at.peek()?)
        };
        if !is_path {
            return Err(Miss::No);
        }
        if self.base.is_empty() {
            at = start;
        }
        let mut text = Vec::new();
        // A second slash would begin a host, see `names_no_host`.
        let mut below = at;
        match below.slash() {
            Err(Miss::More) => return Err(Miss::More),
            Ok(_) => {
                let next = below.peek()?;
                let is_slash = match below.slash() {
                    Err(Miss::More) => return Err(Miss::More),
                    found => found.is_ok(),
                };
                let names_host = is_slash || next.is_some_and(|it| it == b'\\' || it <= b' ' || it == 0x7F);
                if names_host && self.public.base_path.is_empty() && !self.base.is_empty() {
                    let (scheme, rest) = self.public.origin.split_once(':').unwrap_or_default();
                    text.extend_from_slice(scheme.as_bytes());
                    text.push(b':');
                    spelled(rest, slash, &mut text);
                }
            }
            Err(Miss::No) if self.public.base_path.is_empty() => text.extend_from_slice(slash),
            Err(Miss::No) => {}
        }
        spelled(&self.public.base_path, slash, &mut text);
        Ok(Replacement { length: at.read, text })
    }

    /// Returns whether a reference leads to the back end: it is relative, or names its host.
    pub(super) fn is_own(&self, reference: &[u8]) -> bool {
        let reference = reference.trim_ascii_start();
        let mut at = Cursor::new(reference, true);
        let is_relative_to_scheme = at.slash().is_ok() && at.slash().is_ok();
        let end = reference.iter().position(|byte| b"/?#\\&".contains(byte)).unwrap_or(reference.len());
        let has_scheme = reference.get(..end).is_some_and(|head| head.contains(&b':'));
        if is_relative_to_scheme || has_scheme {
            let mut at = Cursor::new(reference, true);
            if has_scheme {
                let _ = at.text(b"http").and_then(|_| at.text(b"s"));
                if at.colon().is_err() {
                    return false;
                }
            }
            return at.slash().and_then(|_| at.slash()).and_then(|_| self.host(&mut at)).is_ok();
        }
        true
    }
}

/// Nothing may follow a host that would make it another one, or the name of a user.
fn ends_host(at: &Cursor<'_>) -> Result<(), Miss> {
    let next = at.peek()?;
    let is_host = match next {
        // Typographic quotes and spaces in UTF-8.
        Some(0xE2) => at.ahead(1)? != Some(0x80),
        Some(0xC2) => !matches!(at.ahead(1)?, Some(0xA0 | 0xBB)),
        next => is_of_host(next),
    };
    if is_host || next == Some(b'@') { Err(Miss::No) } else { Ok(()) }
}

fn is_of_host(byte: Option<u8>) -> bool {
    byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'%') || byte >= 0x80)
}

/// Returns whether a path segment is over.
fn is_end_of_segment(next: Option<u8>) -> bool {
    next.is_none_or(|next| !(next.is_ascii_alphanumeric() || b"-._~%!$*+:=@".contains(&next) || next >= 0x80))
}

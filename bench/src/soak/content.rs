//! Requests and their expected responses. All content is computed from the path, so client and back end agree on every byte
//! without communicating.

use anyhow::Context as _;

/// Maximum content of a reply of 1 MiB: as base64, and as text in which one byte of 32 is escaped.
const MOST_BINARY: usize = 780_000;
const MOST_TEXT: usize = 1_000_000;

/// The names of the back ends.
pub(super) const BACK_ENDS: [&str; 3] = ["a", "b", "c"];

/// One request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ask {
    /// Through the target group with multi-value headers, or the other.
    pub(super) multi: bool,
    /// Index into [`BACK_ENDS`].
    pub(super) back_end: usize,
    pub(super) kind: Kind,
    /// Bytes of the answer's content, and of the request's: `None` for GET.
    pub(super) size: usize,
    pub(super) upload: Option<usize>,
    pub(super) seed: u64,
}

/// The kind of content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Binary,
}

/// The back end's response.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) content_type: &'static str,
    pub(super) cookies: [String; 2],
    pub(super) chunked: bool,
    pub(super) body: Vec<u8>,
}

impl Ask {
    /// A request made of random bits. Sizes are spread evenly over orders of magnitude.
    pub(super) fn random(random: &mut Random) -> Self {
        let kind = if random.one_in(2) { Kind::Text } else { Kind::Binary };
        let most = if kind == Kind::Text { MOST_TEXT } else { MOST_BINARY };
        let size = random.size(most);
        Ask {
            multi: random.one_in(2),
            back_end: (random.next() % BACK_ENDS.len() as u64) as usize,
            kind,
            size,
            upload: random.one_in(4).then(|| random.size(most)),
            seed: random.next() >> 16,
        }
    }

    pub(super) fn path(&self) -> String {
        let mode = if self.multi { "multi" } else { "single" };
        let kind = if self.kind == Kind::Text { "text" } else { "binary" };
        let upload = self.upload.map_or("none".to_owned(), |upload| upload.to_string());
        format!("/{mode}/{}/{kind}/{}/{upload}/{:x}", BACK_ENDS[self.back_end], self.size, self.seed)
    }

    pub(super) fn parse(path: &str) -> anyhow::Result<Self> {
        let mut words = path.split('/').skip(1);
        let mut word = || words.next().with_context(|| format!("`{path}` is too short"));
        let multi = word()? == "multi";
        let name = word()?;
        let back_end = BACK_ENDS.iter().position(|known| *known == name).context("no such back end")?;
        let kind = if word()? == "text" { Kind::Text } else { Kind::Binary };
        let size = word()?.parse()?;
        let upload = word()?.parse().ok();
        let seed = u64::from_str_radix(word()?, 16)?;
        Ok(Ask { multi, back_end, kind, size, upload, seed })
    }

    /// The content of the request.
    pub(super) fn body(&self) -> Vec<u8> {
        self.upload.map(|upload| self.kind.content(upload, !self.seed)).unwrap_or_default()
    }

    /// The media type of both contents.
    pub(super) fn content_type(&self) -> &'static str {
        match self.kind {
            Kind::Text => "text/plain; charset=utf-8",
            Kind::Binary => "application/octet-stream",
        }
    }

    /// The response time of the back end, in milliseconds: long enough that all environments are needed at the same
    /// time.
    pub(super) fn delay(&self) -> u64 {
        self.seed % 60
    }

    pub(super) fn status(&self) -> u16 {
        match self.seed % 50 {
            0 => 404,
            1 => 500,
            2 => 201,
            _ => 200,
        }
    }

    pub(super) fn answer(&self) -> Answer {
        Answer {
            status: self.status(),
            content_type: self.content_type(),
            cookies: [format!("one={:x}; Path=/", self.seed), format!("two={:x}; Path=/", !self.seed)],
            chunked: self.seed & 64 != 0,
            body: self.kind.content(self.size, self.seed),
        }
    }
}

impl Kind {
    fn content(self, size: usize, seed: u64) -> Vec<u8> {
        let mut content = Vec::with_capacity(size + 8);
        let mut random = Random(seed);
        if self == Kind::Text && size > 16 {
            content.extend_from_slice("é€😀".as_bytes());
        }
        while content.len() < size {
            let bytes = random.next().to_le_bytes();
            match self {
                Kind::Text => content.extend(bytes.map(|byte| ALPHABET[usize::from(byte & 63)])),
                Kind::Binary => content.extend(bytes),
            }
        }
        content.truncate(size);
        content
    }
}

/// Two of them are escaped in JSON.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789\"\n";

/// SplitMix64: the same bits for the same seed, everywhere.
#[derive(Debug)]
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    pub(super) fn one_in(&mut self, count: u64) -> bool {
        self.next().is_multiple_of(count)
    }

    /// Milliseconds from `least` to `most`.
    pub(super) fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.next() % (most - least + 1)
    }

    /// 0, `most`, or anything between.
    fn size(&mut self, most: usize) -> usize {
        match self.next() % 40 {
            0..4 => 0,
            4 => most,
            _ => {
                let magnitude = 1_usize << (self.next() % 21);
                (magnitude + self.next() as usize % magnitude).min(most)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_says_it_all() {
        let mut random = Random(1);
        for _ in 0..1000 {
            let ask = Ask::random(&mut random);
            assert_eq!(Ask::parse(&ask.path()).unwrap(), ask);
        }
    }
}

//! `streaming`: the front ends whose clients get responses as they arrive. An event does not say whether its front end takes
//! such a reply, and one that does not would break it: so the configuration says it.

/// The front ends that can take streamed replies, by the names that `crossfade dev --front` has for them.
const FRONTS: [&str; 2] = ["function-url", "rest-api"];

/// A set of front ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Streaming([bool; FRONTS.len()]);

impl Streaming {
    /// The names of front ends, for messages.
    pub(crate) const WORDS: [(&str, Streaming); FRONTS.len()] =
        [(FRONTS[0], Streaming([true, false])), (FRONTS[1], Streaming([false, true]))];

    /// Reads names with commas between them; `None` if one is not the name of such a front end.
    #[must_use]
    pub fn parse(names: &str) -> Option<Self> {
        let one = |name: &str| Self::WORDS.iter().find(|(word, _)| *word == name.trim()).map(|(_, one)| *one);
        names.split(',').map(one).try_fold(Self::default(), |all, one| Some(all.with(one?)))
    }

    /// Adds those of another set.
    #[must_use]
    pub(crate) fn with(self, other: Self) -> Self {
        let ([url, rest], [other_url, other_rest]) = (self.0, other.0);
        Streaming([url || other_url, rest || other_rest])
    }

    /// Returns the names of the front ends.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        FRONTS.into_iter().filter(move |name| self.has(name))
    }

    /// Returns whether a front end of this name is one of them.
    #[must_use]
    pub fn has(self, front: &str) -> bool {
        FRONTS.iter().zip(self.0).any(|(name, is_in)| is_in && *name == front)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_names() {
        for (names, expected) in [
            ("function-url", Some([true, false])),
            ("rest-api", Some([false, true])),
            ("rest-api, function-url", Some([true, true])),
            ("", None),
            ("alb", None),
            ("function-url,", None),
            ("http-api", None),
        ] {
            let streaming = Streaming::parse(names);
            assert_eq!(streaming.map(|streaming| FRONTS.map(|front| streaming.has(front))), expected, "{names}");
        }
        assert!(!Streaming::default().has("function-url"));
        assert!(!Streaming([true, true]).has("alb-single"));
    }
}

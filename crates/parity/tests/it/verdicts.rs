//! The verdict on logs of every kind, and its reasons.

use crossfade_journal::comparison::{
    Against, Class, Difference, Digest, NotRepeated, Record, Repeated, Verdict as Compared,
};
use crossfade_parity::{Assessment, Gate, Mark, Tally, Verdict, judge};

use crate::simulation::{Chance, matching};

/// A log, with the endpoint's name in front of each addition.
#[derive(Default)]
struct Log(Vec<Record>);

impl Log {
    /// A busy endpoint at which nothing differs.
    fn busy() -> Log {
        Log::default().add("/busy", 6_000, |_, _| {})
    }

    fn add(mut self, endpoint: &str, count: usize, change: impl Fn(usize, &mut Record)) -> Log {
        for number in 0..count {
            let mut record = matching(endpoint);
            record.time += std::time::Duration::from_secs(self.0.len() as u64);
            change(number, &mut record);
            self.0.push(record);
        }
        self
    }

    fn judged(&self) -> Assessment {
        let mut tally = Tally::new(1);
        self.0.iter().for_each(|record| tally.add(record));
        judge(&tally)
    }
}

fn differs(record: &mut Record, class: Class, pointer: &str, repeated: impl Into<Option<Repeated>>) {
    record.verdict = Compared::Different;
    record.differences.push(Difference { repeated: repeated.into(), ..Difference::new(class, pointer) });
}

fn price(record: &mut Record, repeated: impl Into<Option<Repeated>>) {
    differs(record, Class::Value, "/price", repeated);
}

fn other_route(record: &mut Record) {
    price(record, Repeated::Same);
    record.route = "other".to_owned();
}

fn compared(record: &mut Record, verdict: Compared, reason: &str) {
    record.verdict = verdict;
    record.reason = Some(reason.to_owned());
}

fn statuses(record: &mut Record, primary: u16, mirror: u16) {
    record.primary.status = Some(primary);
    record.mirror.status = Some(mirror);
}

/// A case, its log, the verdict, and the first reason, or a part of it.
type Case = (&'static str, Log, Verdict, &'static str);

fn no_data() -> Vec<Case> {
    vec![
        ("an empty log", Log::default(), Verdict::NotEnoughSamples, "the log has no copy of a request"),
        (
            "too few",
            Log::default().add("/a", 700, |_, _| {}),
            Verdict::NotEnoughSamples,
            "700 responses were compared; about",
        ),
        ("enough", Log::default().add("/a", 765, |_, _| {}), Verdict::Same, ""),
        (
            "comparisons of the primary with itself only",
            Log::default().add("/a", 2_000, |_, record| record.against = Against::Itself),
            Verdict::NotEnoughSamples,
            "the log has no copy of a request",
        ),
        (
            "all lost",
            Log::default().add("/a", 900, |_, record| compared(record, Compared::Lost, "time")),
            Verdict::CannotBeJudged,
            "GET /a: only 0 of 900 responses were compared; the others are mostly `time`",
        ),
        (
            "one endpoint lost",
            Log::busy().add("/a", 30, |_, record| compared(record, Compared::Lost, "too-large")),
            Verdict::CannotBeJudged,
            "GET /a: only 0 of 30 responses were compared; the others are mostly `too-large`",
        ),
        (
            "one endpoint failed",
            Log::busy().add("/a", 3, |_, record| record.verdict = Compared::Failed),
            Verdict::CannotBeJudged,
            "GET /a: only 0 of 3 responses were compared; the others are mostly `failed`",
        ),
        (
            "an unknown coding",
            Log::busy().add("/a", 1, |_, record| compared(record, Compared::Unknown, "coding")),
            Verdict::CannotBeJudged,
            "GET /a: only 0 of 1 responses were compared; the others are mostly `coding`",
        ),
        (
            "304 in one system",
            Log::busy().add("/a", 40, |_, record| {
                compared(record, Compared::Unknown, "not-modified");
                statuses(record, 304, 200);
            }),
            Verdict::CannotBeJudged,
            "GET /a: only 0 of 40 responses were compared; the others are mostly `not-modified`",
        ),
        (
            "304 in both",
            Log::busy().add("/a", 40, |_, record| statuses(record, 304, 304)),
            Verdict::CannotBeJudged,
            "GET /a: only 0 of 40 responses were compared; the others are mostly `not-modified`",
        ),
        (
            "some lost everywhere",
            Log::default().add("/a", 5_000, |number, record| {
                if number % 50 == 0 {
                    compared(record, Compared::Lost, "budget");
                }
            }),
            Verdict::CannotBeJudged,
            "2.00 % of the copies were lost",
        ),
    ]
}

fn places() -> Vec<Case> {
    vec![
        (
            "six reproducible differences",
            Log::busy().add("/a", 6, |_, record| price(record, Repeated::Same)),
            Verdict::Differs,
            "GET /a: 6 of 6 responses differ: value /price",
        ),
        (
            "one response of a rare endpoint",
            Log::busy().add("/a", 1, |_, record| price(record, Repeated::Same)),
            Verdict::NotEnoughSamples,
            "GET /a: 1 of 1 responses differ, too few to judge: value /price; about 2 more responses would decide",
        ),
        (
            "one glitch of a busy endpoint",
            Log::busy().add("/a", 200, |number, record| {
                if number == 7 {
                    price(record, Repeated::Unstable);
                }
            }),
            Verdict::Same,
            "",
        ),
        (
            "a rare but reproducible difference",
            Log::busy().add("/a", 400, |number, record| {
                if number % 200 == 7 {
                    price(record, Repeated::Same);
                }
            }),
            Verdict::NotEnoughSamples,
            "GET /a: 2 of 400 responses differ, too few to judge: value /price; about",
        ),
        (
            "writes",
            Log::busy().add("/a", 50, |_, record| {
                price(record, None);
                record.method = "POST".to_owned();
                record.not_repeated = Some(NotRepeated::Unsafe);
            }),
            Verdict::CannotBeJudged,
            "POST /a: 50 responses differ at value /price: writes are not repeated",
        ),
        ("a token", Log::busy().add("/a", 50, |_, record| price(record, Repeated::Varies)), Verdict::Same, ""),
        (
            "a member that is gone",
            Log::busy().add("/a", 50, |_, record| differs(record, Class::Missing, "/token", Repeated::Same)),
            Verdict::Differs,
            "GET /a: 50 of 50 responses differ: missing /token",
        ),
        (
            "a member that is gone, in a part that is another one each time",
            Log::busy().add("/a", 50, |_, record| differs(record, Class::Missing, "/token", Repeated::Varies)),
            Verdict::NotEnoughSamples,
            "6,050 responses were compared, 50 of them differ at places that are too rare to judge",
        ),
        (
            "a token that is null",
            Log::busy().add("/a", 60, |number, record| {
                differs(record, Class::Type, "/token", Repeated::Varies);
                record.salt = Some(Digest(7));
                record.differences[0].digests = [Some(Digest(number as u32)), Some(Digest(12_345))];
            }),
            Verdict::Differs,
            "GET /a: 60 of 60 responses differ: type /token",
        ),
        (
            "documents that have a date",
            Log::busy().add("/a", 50, |_, record| differs(record, Class::Bytes, "body", Repeated::Varies)),
            Verdict::CannotBeJudged,
            "GET /a: 50 responses differ at bytes body: the old system varies there",
        ),
        (
            "documents that differ",
            Log::busy().add("/a", 50, |_, record| differs(record, Class::Bytes, "body", Repeated::Same)),
            Verdict::Differs,
            "GET /a: 50 of 50 responses differ: bytes body",
        ),
        (
            "differences that did not fit into the record",
            Log::busy().add("/a", 50, |_, record| {
                price(record, Repeated::Varies);
                record.more = 3;
            }),
            Verdict::CannotBeJudged,
            "GET /a: 50 responses differ at (other): several places are counted together",
        ),
        (
            "places that did not fit into the record",
            Log::busy().add("/a", 50, |_, record| {
                record.salt = Some(Digest(7));
                differs(record, Class::Value, "#00c0ffee", Repeated::Varies);
            }),
            Verdict::CannotBeJudged,
            "GET /a: 50 responses differ at value #00c0ffee: several places",
        ),
        (
            "a difference of which nothing is known",
            Log::busy().add("/a", 5, |_, record| record.verdict = Compared::Different),
            Verdict::CannotBeJudged,
            "GET /a: 5 responses differ at (other)",
        ),
        (
            "more places than are counted",
            Log::busy().add("/a", 3_000, |number, record| {
                differs(record, Class::Value, &format!("/{number}"), Repeated::Varies);
            }),
            Verdict::CannotBeJudged,
            "GET /a: 2,500 responses differ at (other)",
        ),
        (
            "accepted differences",
            Log::busy().add("/a", 50, |_, record| {
                price(record, None);
                record.verdict = Compared::Accepted;
                record.differences.iter_mut().for_each(|difference| difference.accepted = true);
            }),
            Verdict::Same,
            "",
        ),
    ]
}

fn failures_and_times() -> Vec<Case> {
    let slow = |record: &mut Record, milliseconds: f64| record.mirror.ms = Some(milliseconds);
    vec![
        (
            "the mirror fails now and then, and not again",
            Log::busy().add("/a", 2_000, |number, record| {
                if number % 100 == 0 {
                    differs(record, Class::Status, "status", None);
                    record.not_repeated = Some(NotRepeated::Share);
                    statuses(record, 200, 503);
                }
            }),
            Verdict::Differs,
            "GET /a: only the new system failed 20 times, only the old one 0 times, in 2,000 pairs",
        ),
        (
            "both fail now and then",
            Log::busy().add("/a", 8_000, |number, record| match number % 1_000 {
                0 => {
                    differs(record, Class::Status, "status", Repeated::Unstable);
                    statuses(record, 200, 503);
                }
                500 => {
                    record.verdict = Compared::Failed;
                    statuses(record, 503, 200);
                }
                _ => {}
            }),
            Verdict::Same,
            "",
        ),
        (
            "an endpoint with 4 % of the traffic is six times slower",
            Log::busy().add("/a", 250, |number, record| slow(record, 240.0 + number as f64)),
            Verdict::Differs,
            "GET /a: slower: p50 rose from 40 ms to",
        ),
        (
            "a tail ten times as long",
            Log::busy().add("/a", 1_500, |number, record| slow(record, if number % 50 == 0 { 400.0 } else { 40.0 })),
            Verdict::Differs,
            "GET /a: slower: p99 rose from 40 ms to 4",
        ),
    ]
}

#[test]
fn every_log_has_its_verdict_and_says_why() {
    for (case, log, expected, reason) in no_data().into_iter().chain(places()).chain(failures_and_times()) {
        let Assessment { verdict, reasons, .. } = log.judged();
        let first = reasons.first().map(ToString::to_string).unwrap_or_default();
        assert_eq!(verdict, expected, "{case}: {reasons:?}");
        assert!(first.starts_with(reason) && first.is_empty() == reason.is_empty(), "{case}: {first}");
        assert_eq!(reasons.is_empty(), verdict == Verdict::Same, "{case}");
    }
}

/// Logs of version 1 have no evidence: a token in a page made the whole body noise.
#[test]
fn a_body_that_varies_as_a_whole_hides_nothing() {
    let mut log = Log::default();
    for endpoint in 0..11 {
        let page = format!("/{endpoint}");
        log = log.add(&page, 100, |_, record| {
            record.version = 1;
            differs(record, Class::Text, "body", None);
        });
        log = log.add(&page, 30, |_, record| {
            record.against = Against::Itself;
            differs(record, Class::Text, "body", None);
        });
    }
    let assessment = log.judged();
    assert_eq!(assessment.verdict, Verdict::CannotBeJudged);
    assert_eq!(assessment.overall.same, 0);
    assert!(assessment.endpoints.iter().all(|endpoint| endpoint.differences[0].mark == Mark::Unjudged));
    for (gate, ok) in
        [("parity>=99.5%,regressions=0", &[false, true][..]), ("verdict=same", &[false]), ("unjudged=0", &[false])]
    {
        let results = Gate::parse(gate).unwrap().check(&assessment);
        assert_eq!(results.iter().map(|result| result.ok).collect::<Vec<_>>(), ok, "{gate}");
    }
}

#[test]
fn rates_of_old_logs_are_compared_with_the_noise() {
    for (differ, of, itself, of_itself, expected) in [
        (100, 400, 95, 400, Mark::Noise),
        (400, 400, 300, 400, Mark::Regression),
        (130, 130, 0, 62, Mark::Regression),
        (1, 130, 0, 62, Mark::Unclear),
        (3, 10_000, 1, 10_000, Mark::Noise),
        (5, 100, 0, 0, Mark::NotMeasured),
    ] {
        let log = Log::default().add("/a", of, |number, record| {
            if number < differ {
                price(record, None);
            }
        });
        let log = log.add("/a", of_itself, |number, record| {
            record.against = Against::Itself;
            if number < itself {
                price(record, None);
            }
        });
        let mark = log.judged().endpoints[0].differences[0].mark;
        assert_eq!(mark, expected, "{differ} of {of} against {itself} of {of_itself}");
    }
}

/// In three quarters of the responses the old system differs from itself, in all of them from the new one.
#[test]
fn noise_of_the_old_system_does_not_excuse_a_new_value() {
    let outcome = |number: usize| if number.is_multiple_of(4) { Repeated::Same } else { Repeated::Varies };
    let log = Log::busy().add("/a", 200, |number, record| price(record, outcome(number)));
    assert_eq!(log.judged().overall.places.regressions, 1);
}

#[test]
fn a_difference_in_all_of_six_samples_is_found_among_three_hundred_noisy_places() {
    let mut chance = Chance::new(3);
    let noise: Vec<_> = (0..300 * 12)
        .map(|_| match chance.below(4) {
            0 => Repeated::Swapped,
            1 => Repeated::Unstable,
            _ => Repeated::Varies,
        })
        .collect();
    let log = Log::default().add("/noisy", 12, |number, record| {
        for place in 0..300 {
            differs(record, Class::Value, &format!("/{place}"), noise[number * 300 + place]);
        }
    });
    let assessment = log.add("/a", 6, |_, record| price(record, Repeated::Same)).judged();
    let regressions = assessment.endpoints.iter().flat_map(|endpoint| &endpoint.differences);
    let regressions: Vec<_> = regressions.filter(|difference| difference.mark == Mark::Regression).collect();
    assert_eq!(regressions.iter().map(|difference| difference.pointer.as_str()).collect::<Vec<_>>(), ["/price"]);
}

/// Noise in many combinations: each set of differences is explained, also beyond the number of sets that are kept.
#[test]
fn a_limit_neither_hides_a_difference_nor_invents_one() {
    let noisy = |number: usize, record: &mut Record| {
        for place in (0..14).filter(|place| number >> place & 1 == 1) {
            differs(record, Class::Value, &format!("/{place}"), Repeated::Varies);
        }
    };
    let log = Log::busy().add("/a", 4_000, noisy);
    let assessment = log.judged();
    assert_eq!((assessment.verdict, assessment.overall.different), (Verdict::Same, 0), "{:?}", assessment.reasons);
    let log = log.add("/a", 40, |number, record| {
        noisy(number + 4_000, record);
        price(record, Repeated::Same);
    });
    let assessment = log.judged();
    assert_eq!(assessment.verdict, Verdict::Differs);
    assert!(assessment.overall.different >= 40, "{}", assessment.overall.different);
    // Elements with keys are counted together when there are too many.
    let log = Log::busy().add("/a", 3_000, |number, record| {
        differs(record, Class::Value, &format!("/items/[id={number}]/price"), Repeated::Same);
    });
    let assessment = log.judged();
    let together = assessment.endpoints[0].differences.iter().find(|difference| difference.pointer == "/items/*/price");
    assert_eq!(together.map(|difference| (difference.count, difference.mark)), Some((2_500, Mark::Regression)));
}

#[test]
fn a_gate_can_ask_for_the_verdict_and_never_passes_without_data() {
    for (log, passing, failing) in [
        (Log::busy(), "verdict=same,unclear=0,not-measured=0,unjudged=0", "samples>=6001"),
        (Log::busy().add("/a", 6, |_, record| price(record, Repeated::Same)), "unclear=0", "verdict=same"),
        (Log::busy().add("/a", 1, |_, record| price(record, None)), "regressions=0", "not-measured=0"),
        (Log::busy().add("/a", 1, |_, record| price(record, Repeated::Same)), "regressions=0", "unclear=0"),
        (Log::busy().add("/a", 2, |_, record| record.more = 1), "unjudged<=1", "verdict=same"),
        (Log::default().add("/a", 1, |_, record| record.verdict = Compared::Lost), "lost>=0", "verdict=same"),
        (Log::busy().add("/a", 6, |_, record| other_route(record)), "shop: verdict=same", "other: verdict=same"),
    ] {
        let assessment = log.judged();
        let all = |gate: &str| Gate::parse(gate).unwrap().check(&assessment).iter().all(|result| result.ok);
        let has_data = assessment.overall.compared > 0;
        assert_eq!((all(passing), all(failing)), (has_data, false), "{passing} {failing} {:?}", assessment.reasons);
    }
}

#[test]
fn reasons_are_data() {
    let log = Log::busy().add("/a", 6, |_, record| price(record, Repeated::Same));
    let log = log.add("/b", 1, |_, record| compared(record, Compared::Lost, "time"));
    let assessment = log.judged();
    let found = serde_json::to_value(&assessment.reasons).unwrap();
    let expected = serde_json::json!([
        {
            "kind": "regressions", "route": "shop", "method": "GET", "endpoint": "/a", "places": 1,
            "place": { "class": "value", "change": "value", "pointer": "/price" }, "responses": 6, "compared": 6,
        },
        {
            "kind": "not-compared", "route": "shop", "method": "GET", "endpoint": "/b", "copies": 1, "compared": 0,
            "mostly": "time",
        },
    ]);
    assert_eq!(found, expected);
    let everywhere = Log::default().add("/a", 2_000, |_, record| record.mirror.ms = Some(400.0));
    let everywhere = everywhere.add("/b", 2, |_, record| record.mirror.ms = Some(400.0)).judged();
    assert_eq!(serde_json::to_value(&everywhere.reasons[0]).unwrap()["endpoint"], "/a");
}

//! A log with one comparison is judged, and a gate is checked.

use crossfade_parity::{Gate, RecordFinder, Tally, Verdict, judge};

fn main() -> Result<(), crossfade_parity::GateError> {
    let log =
        br#"2026-11-24T10:57:42 {"type":"compare","version":1,"time":"2026-11-24T10:57:42.123Z","against":"mirror",
        "request_id":"1","route":"orders","method":"GET","endpoint":"/orders/{id}","verdict":"match",
        "primary":{"backend":"legacy","status":200},"mirror":{"backend":"modern","status":200}}"#;
    let mut tally = Tally::new(1);
    let mut finder = RecordFinder::new();
    finder.push(log, |record| tally.add(&record));
    let skipped = finder.finish(|record| tally.add(&record));
    assert_eq!(skipped.count, 0);

    let assessment = judge(&tally);
    assert_eq!((assessment.overall.same, assessment.overall.compared), (1, 1));
    assert_eq!(assessment.verdict, Verdict::NotEnoughSamples);

    let gate = Gate::parse("orders: parity>=99.5%, samples>=500")?;
    let results = gate.check(&assessment);
    assert_eq!(results.iter().map(|result| result.ok).collect::<Vec<_>>(), [true, false]);
    Ok(())
}

#[test]
fn it_runs() {
    assert!(main().is_ok());
}

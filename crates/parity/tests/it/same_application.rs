//! The same application as both systems, with noise of all kinds: how often the judgement is wrong, and what it still finds.

use std::collections::BTreeMap;

use crossfade_parity::{Assessment, Mark, Tally, Verdict, judge};

use crate::simulation::{Chance, Endpoint, Noise, Planted, World};

const RUNS: u64 = 20;
const RESPONSES: u32 = 13_000;
const ENDPOINTS: u32 = 100;
/// Seconds that a run takes.
const HOUR: f64 = 3_600.0;

const NOISE: [Noise; 14] = [
    Noise::Token,
    Noise::Glitch(0.002),
    Noise::Glitch(0.02),
    Noise::Draw(2),
    Noise::Draw(3),
    Noise::Draw(20),
    Noise::Optional(0.5),
    Noise::Optional(0.95),
    Noise::Optional(0.1),
    Noise::Counter,
    Noise::Banner(60.0, 1_000_000),
    Noise::Banner(300.0, 4),
    Noise::Cache(60.0),
    Noise::Feed(20.0, 10.0),
];

/// A hundred endpoints, each with a stable place and three noisy ones.
fn endpoints(chance: &mut Chance) -> Vec<Endpoint> {
    let endpoint = |number: u32| {
        let mut places = vec![("/id".to_owned(), Noise::No, Planted::No)];
        for place in 0..3 {
            let noise = NOISE[chance.below(NOISE.len() as u32) as usize];
            places.push((format!("/{place}"), noise, Planted::No));
        }
        Endpoint { name: format!("/{number}"), requests: 1 + chance.popular(40), places }
    };
    (0..ENDPOINTS).map(endpoint).collect()
}

fn run(mut world: World, responses: u32) -> Assessment {
    let mut tally = Tally::new(0);
    for number in 0..responses {
        let endpoint = world.chance.popular(world.endpoints.len() as u32) as usize;
        let request = world.chance.popular(world.endpoints[endpoint].requests);
        let time = HOUR * f64::from(number) / f64::from(responses);
        world.request(endpoint, request, time).iter().for_each(|record| tally.add(record));
    }
    judge(&tally)
}

#[test]
fn the_same_application_has_at_most_one_regression_in_twenty_runs() {
    let (mut false_ones, mut differ) = (Vec::new(), 0);
    // By the kind of noise, at places that differ at least twenty times: all, and those that are noise.
    let mut marks = BTreeMap::<String, (u32, u32)>::new();
    for seed in 1..=RUNS {
        let endpoints = endpoints(&mut Chance::new(seed + 1_000));
        let places: Vec<_> = endpoints.iter().map(|endpoint| endpoint.places.clone()).collect();
        let assessment = run(World::new(seed, endpoints), RESPONSES);
        differ += u32::from(assessment.verdict == Verdict::Differs);
        for endpoint in &assessment.endpoints {
            let places = &places[endpoint.name.endpoint[1..].parse::<usize>().unwrap()];
            for difference in &endpoint.differences {
                let place = places.iter().find(|(pointer, ..)| *pointer == difference.pointer);
                let noise = format!("{:?}", place.unwrap().1);
                if difference.mark == Mark::Regression {
                    false_ones.push(format!("run {seed}, {}, {noise}: {difference:?}", endpoint.name));
                }
                if difference.count >= 20 {
                    let (all, known) = marks.entry(noise).or_default();
                    *all += 1;
                    *known += u32::from(difference.mark == Mark::Noise);
                }
            }
        }
    }
    assert!(false_ones.len() <= 1 && differ <= 1, "{differ} of {RUNS} runs differ\n{}", false_ones.join("\n"));
    // Not for lack of a conclusion: noise that a repeated request shows is known as noise.
    for kind in ["Token", "Draw(2)", "Draw(3)", "Draw(20)", "Optional(0.5)", "Optional(0.1)"] {
        let (all, known) = marks[kind];
        assert!(all > 20 && known * 20 >= all * 19, "{kind}: {known} of {all} places are noise");
    }
    let (all, known) = marks["Banner(60.0, 1000000)"];
    assert!(known * 2 > all, "{known} of {all} banners are noise");
}

/// Returns the mark of a place, by the number of the endpoint and of the place.
fn mark(assessment: &Assessment, endpoint: usize, pointer: &str) -> Option<Mark> {
    let endpoint = assessment.endpoints.iter().find(|found| found.name.endpoint == format!("/{endpoint}"))?;
    endpoint.differences.iter().find(|difference| difference.pointer == pointer).map(|difference| difference.mark)
}

/// Real differences among the noise of a hundred endpoints.
#[test]
fn real_differences_are_found_among_noise() {
    for (case, noise, planted, requests) in [
        ("always", Noise::No, Planted::Other(1), 40),
        ("at each of many requests", Noise::No, Planted::Other(1), 5_000),
        ("at 1 % of the requests", Noise::No, Planted::Other(100), 2_000),
        ("a value that varies is gone", Noise::Token, Planted::Nothing, 40),
        ("a value that changes slowly is gone", Noise::Banner(60.0, 1_000), Planted::Nothing, 40),
        ("one of two values is another", Noise::Draw(2), Planted::Other(1), 40),
        ("behind rare noise", Noise::Glitch(0.02), Planted::Other(1), 40),
    ] {
        let mut endpoints = endpoints(&mut Chance::new(4));
        // Visited about 2,000 times.
        endpoints[0].requests = requests;
        endpoints[0].places.push(("/planted".to_owned(), noise, planted));
        let assessment = run(World::new(5, endpoints), RESPONSES);
        assert_eq!(mark(&assessment, 0, "/planted"), Some(Mark::Regression), "{case}");
        assert_eq!(assessment.verdict, Verdict::Differs, "{case}");
        assert_eq!(assessment.overall.places.regressions, 1, "{case}");
    }
}

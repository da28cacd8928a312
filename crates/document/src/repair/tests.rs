use super::*;
use crate::yaml::{Options, parse};

fn judge(text: &str) -> Judgement {
    let options =
        Options::<std::convert::Infallible> { file: 0, tag: None, merge: None, substitute: None, mask: str::to_owned };
    match parse(text, &options, &mut Vec::new()) {
        Ok(_) => Ok(Vec::new()),
        Err(error) => Err(error.place.unwrap()),
    }
}

fn explained(text: &str) -> Option<Explained> {
    explain(text, judge(text).unwrap_err(), str::to_owned, &judge)
}

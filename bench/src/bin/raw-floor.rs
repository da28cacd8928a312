//! The anchor `raw-floor`: the Runtime API by hand and a constant response. No function can be faster.

fn main() -> std::io::Result<()> {
    crossfade_bench::raw::serve(|_event, answer| {
        answer.extend_from_slice(
            br#"{"statusCode":200,"statusDescription":"200 OK","multiValueHeaders":{"content-type":["text/plain"]},"body":"ok","isBase64Encoded":false}"#,
        );
        Ok(())
    })
}

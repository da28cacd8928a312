//! Prints lines on a separate thread, so that a reader that stops reading cannot block Ctrl-C or exhaust memory.
//!
//! Owns the queue and its bounds. `report` formats the lines.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::time::Duration;

use super::report::Line;
use crate::terminal::{function_output, has_colours, has_colours_on_stderr, painted, safe};

/// Limits of the queue, in lines and bytes. Further lines are skipped and counted.
const MOST_LINES: usize = 10_000;
const MOST_BYTES: usize = 16 * 1024 * 1024;
/// Longest wait for the last lines at the end.
const PATIENCE: Duration = Duration::from_millis(500);

pub(super) struct Printer {
    lines: SyncSender<Line>,
    /// Bytes in the queue.
    waiting: Arc<AtomicUsize>,
    skipped: u64,
    done: Receiver<()>,
}

impl Printer {
    /// On standard output and standard error.
    pub(super) fn start() -> Printer {
        Printer::on((std::io::stdout(), has_colours()), (std::io::stderr(), has_colours_on_stderr()))
    }

    /// On two streams, each with whether it has colours.
    fn on(out: (impl Write + Send + 'static, bool), err: (impl Write + Send + 'static, bool)) -> Printer {
        let ((mut out, out_has_colours), (mut err, err_has_colours)) = (out, err);
        let (lines, received) = sync_channel::<Line>(MOST_LINES);
        let (finished, done) = channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let written = Arc::clone(&waiting);
        std::thread::spawn(move || {
            for line in received {
                let size = size(&line);
                // Do not panic on a closed pipe, as `println!` does.
                let _ = match line {
                    Line::Data(text) => writeln!(out, "{}", painted(&text, out_has_colours)),
                    Line::Function { prefix, record } => {
                        writeln!(err, "{}", function_output(&prefix, &record, err_has_colours))
                    }
                    Line::Talk(text) => writeln!(err, "{}", safe(&text)),
                };
                written.fetch_sub(size, Ordering::Relaxed);
            }
            let _ = finished.send(());
        });
        Printer { lines, waiting, skipped: 0, done }
    }

    /// Queues lines; never blocks.
    pub(super) fn print(&mut self, lines: Vec<Line>) {
        for line in lines {
            if self.skipped > 0 && self.hand_over(skipped_lines(self.skipped)) {
                self.skipped = 0;
            }
            if !self.hand_over(line) {
                self.skipped += 1;
            }
        }
    }

    fn hand_over(&self, line: Line) -> bool {
        let size = size(&line);
        let room = |waiting: usize| waiting.checked_add(size).filter(|waiting| *waiting <= MOST_BYTES);
        if self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).is_err() {
            return false;
        }
        let has_room = self.lines.try_send(line).is_ok();
        if !has_room {
            self.waiting.fetch_sub(size, Ordering::Relaxed);
        }
        has_room
    }

    /// Waits until all lines are written, for a limited time.
    pub(super) fn finish(self) {
        if self.skipped > 0 {
            self.hand_over(skipped_lines(self.skipped));
        }
        drop(self.lines);
        let _ = self.done.recv_timeout(PATIENCE);
    }
}

fn size(line: &Line) -> usize {
    match line {
        Line::Data(text) | Line::Talk(text) => text.len(),
        Line::Function { prefix, record } => prefix.len().saturating_add(record.len()),
    }
}

fn skipped_lines(count: u64) -> Line {
    let lines = if count == 1 { "line" } else { "lines" };
    Line::Talk(format!("(skipped {count} {lines}: output was not read in time)"))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// The written text; writing blocks while the lock is held.
    #[derive(Clone, Default)]
    struct Screen(Arc<Mutex<String>>);

    impl Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().push_str(std::str::from_utf8(bytes).unwrap());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_nobody_reads_is_bounded_in_bytes_and_counted() {
        for length in [1, 1_000, 100_000, MOST_BYTES, MOST_BYTES + 1] {
            let (out, err) = (Screen::default(), Screen::default());
            let mut printer = Printer::on((out.clone(), false), (err.clone(), false));
            let count = (3 * MOST_BYTES / length).min(3 * MOST_LINES);
            {
                // Nobody reads.
                let _unread = out.0.lock().unwrap();
                for _ in 0..count {
                    printer.print(vec![Line::Data("x".repeat(length))]);
                    assert!(printer.waiting.load(Ordering::Relaxed) <= MOST_BYTES);
                }
            }
            assert!(printer.skipped > 0, "{length}");
            while printer.waiting.load(Ordering::Relaxed) > 0 {
                std::thread::yield_now();
            }
            printer.print(vec![Line::Talk("last".to_owned())]);
            let done = {
                let Printer { lines, done, .. } = printer;
                drop(lines);
                done
            };
            done.recv_timeout(Duration::from_secs(30)).unwrap();
            let (out, err) = (out.0.lock().unwrap(), err.0.lock().unwrap());
            assert!(err.ends_with("last\n"), "{length}: {err}");
            // However often it had to be said, all that is missing is counted.
            let said =
                err.lines().filter_map(|line| line.strip_prefix("(skipped ")?.split(' ').next()?.parse::<usize>().ok());
            let said: usize = said.sum();
            assert!(err.contains("output was not read in time"), "{length}: {err}");
            assert_eq!(out.lines().count() + said, count, "{length}");
        }
    }

    #[test]
    fn lines_of_others_cannot_steer_the_terminal() {
        let (out, err) = (Screen::default(), Screen::default());
        let mut printer = Printer::on((out.clone(), true), (err.clone(), true));
        printer.print(vec![
            Line::Data("\x1b[32m200\x1b[0m \x1b[2J\u{202e}".to_owned()),
            Line::Talk("a\x07\nb\x1b[32m".to_owned()),
            Line::Function { prefix: "f | ".to_owned(), record: "\x1b[32mgreen\r\x1b[2J".to_owned() },
        ]);
        printer.finish();
        assert_eq!(*out.0.lock().unwrap(), "\x1b[32m200\x1b[0m \\u{1b}[2J\\u{202e}\n");
        let function = "f | \x1b[32mgreen\x1b[0m\nf | \x1b[32m\\u{1b}[2J\x1b[0m\n";
        assert_eq!(*err.0.lock().unwrap(), format!("a\\u{{7}}\nb\\u{{1b}}[32m\n{function}"));
    }
}

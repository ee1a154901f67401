//! How far long work is, on standard error.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::CommandError;

/// Into a file or a log, one line in so long.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// A bar on a terminal, a line now and then elsewhere: how many of how many, at what rate, how long still.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    total: u64,
    episodes: u64,
    steps: u64,
    started: Instant,
    last_line: Instant,
}

impl Progress {
    pub(crate) fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} episodes, {msg}")
                .expect("the template is a constant that the tests draw");
            ProgressBar::new(0).with_style(style)
        });
        Self {
            bar,
            total: 0,
            episodes: 0,
            steps: 0,
            started: Instant::now(),
            last_line: Instant::now(),
        }
    }

    /// One more episode of `total` is done.
    pub(crate) fn episode(&mut self, steps: usize, total: u64) {
        self.episodes(1, steps, total);
    }

    /// `number` more episodes of `total` are done, with so many steps together.
    pub(crate) fn episodes(&mut self, number: u64, steps: usize, total: u64) {
        self.total = total;
        self.episodes += number;
        self.steps += steps as u64;
        let rate = self.rate();
        match &self.bar {
            Some(bar) => {
                bar.set_length(total);
                bar.set_position(self.episodes);
                bar.set_message(rate);
            }
            None if self.last_line.elapsed() >= LINE_EVERY => {
                self.last_line = Instant::now();
                eprintln!("{}/{} episodes, {rate}", self.episodes, self.total);
            }
            None => {}
        }
    }

    /// The final line.
    pub(crate) fn finish(self) {
        let rate = self.rate();
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
        if self.episodes > 0 {
            eprintln!("{}/{} episodes, {rate}", self.episodes, self.total);
        }
    }

    /// Wall-clock seconds since the start.
    pub(crate) fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    fn rate(&self) -> String {
        let seconds = self.seconds().max(1e-9);
        let episodes = self.episodes as f64 / seconds;
        let steps = self.steps as f64 / seconds;
        let left = self.total.saturating_sub(self.episodes) as f64 / episodes.max(1e-9);
        let left = if left < 1.0 {
            String::new()
        } else {
            format!(", {} left", in_words(left))
        };
        format!("{episodes:.1} episodes/s, {steps:.0} steps/s{left}")
    }
}

fn in_words(seconds: f64) -> String {
    let seconds = seconds as u64;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        _ => format!("{:.1} h", seconds as f64 / 3600.0),
    }
}

/// A flag that the first Ctrl-C (or SIGTERM) sets; the second one ends the process at once, which a store survives.
pub(crate) fn stop_on_interrupt() -> Result<Arc<AtomicBool>, CommandError> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(1);
        }
        eprintln!("habitus: stopping after the episodes under way; once more stops at once");
    })
    .map_err(|error| CommandError::Failed(format!("cannot listen for Ctrl-C: {error}")))?;
    Ok(stop)
}

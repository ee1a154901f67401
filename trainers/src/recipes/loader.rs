//! Batches that a thread fills while the learner works.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::Scope;
use std::time::{Duration, Instant};

use dataset::transitions::{Batch, Sampler, Transitions};

use super::RecipeError;

/// The next batches, in the sampler's order whatever the thread's pace: sample number `i` is a function of the seed and `i`.
pub(super) struct Loader {
    filled: Receiver<Batch>,
    used: Sender<Batch>,
    waited: Duration,
}

impl Loader {
    /// Begins to fill `batches`, one after the other, on a thread of the scope. It ends when the loader is dropped.
    pub(super) fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        transitions: &'scope Transitions<'_>,
        mut sampler: Sampler,
        batches: [Batch; 2],
    ) -> Self {
        let (fill, filled) = channel();
        let (used, empty) = channel::<Batch>();
        scope.spawn(move || {
            for mut batch in batches.into_iter().chain(empty) {
                sampler.fill(transitions, &mut batch);
                if fill.send(batch).is_err() {
                    break;
                }
            }
        });
        Self {
            filled,
            used,
            waited: Duration::ZERO,
        }
    }

    /// The next batch, as soon as it is filled.
    ///
    /// # Errors
    /// When the thread is gone; its message went to stderr.
    pub(super) fn next(&mut self) -> Result<Batch, RecipeError> {
        let asked = Instant::now();
        let batch = self.filled.recv();
        self.waited += asked.elapsed();
        batch
            .map_err(|_gone| RecipeError::Failed("the thread that fills batches failed".to_owned()))
    }

    /// A batch that nobody reads any more, to be filled again.
    pub(super) fn give_back(&self, batch: Batch) {
        // A thread that is gone is noticed by the next batch.
        let _sent = self.used.send(batch);
    }

    /// How long the learner has waited so far.
    pub(super) fn waited(&self) -> Duration {
        self.waited
    }
}

#[cfg(test)]
mod tests {
    use dataset::transitions::{Ahead, Observations, SamplerConfig};

    use super::*;

    #[test]
    fn a_thread_fills_the_batches_that_the_sampler_would() {
        let number = |i: usize| i as f32;
        let transitions = Transitions::new(
            Observations::Vectors {
                values: (0..40).map(number).collect(),
                size: 1,
            },
            (0..40).map(number).collect(),
            1,
            Vec::new().into(),
            0,
            vec![0, 15, 40],
        )
        .unwrap();
        let config = SamplerConfig {
            seed: 5,
            ahead: Ahead::UpTo(3),
            crop: None,
        };
        let sampler = || Sampler::new(&transitions, config, 7).unwrap();
        let batch = || Batch::new(&transitions, 6, config.ahead, true);
        let (mut by_hand, mut expected) = (sampler(), batch());
        std::thread::scope(|scope| {
            let mut loader = Loader::start(scope, &transitions, sampler(), [batch(), batch()]);
            for _ in 0..30 {
                by_hand.fill(&transitions, &mut expected);
                let found = loader.next().unwrap();
                assert_eq!(found.windows, expected.windows);
                assert_eq!(found.next, expected.next);
                loader.give_back(found);
            }
        });
    }
}

//! Threads that roll out and take gradients, each with worlds and a network of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam::channel::{Receiver, Sender, bounded};

use super::ppo::{Losses, PpoConfig, Rows, gradient};
use super::{Item, Roller, Segment, Snapshot};
use crate::recipes::RecipeError;

/// What a worker is asked for: a pure function of what stands here.
#[derive(Clone, Debug)]
pub enum Job {
    /// Experience.
    Roll {
        /// Which.
        item: Item,
        /// Whose.
        policy: Arc<Snapshot>,
    },
    /// A part of a minibatch's gradient.
    Gradient {
        /// Counts changes of the values.
        version: u64,
        /// Of the network.
        values: Arc<Vec<f32>>,
        /// What it is taken on.
        rows: Rows,
    },
}

/// What it gives back.
#[derive(Debug)]
pub enum Done {
    /// Experience.
    Segment(Box<Segment>),
    /// A gradient, and what is lost.
    Gradient(Vec<f32>, Losses),
}

/// Makes what a worker works with.
type Make = dyn Fn() -> Result<Roller, RecipeError> + Send + Sync;

/// A result, and the number of the job among those asked for together.
type Answer = (usize, Result<Done, Failure>);

enum Failure {
    /// The same job would fail again.
    Error(RecipeError),
    /// Something that another worker may not meet.
    Panic(String),
}

/// Jobs under way at once.
const WINDOW: usize = 64;

/// Some threads. Results come in the order of the jobs; who does which changes none of them.
pub struct Workers {
    jobs: Option<Sender<(usize, Job)>>,
    for_workers: Receiver<(usize, Job)>,
    answers: Receiver<Answer>,
    to_caller: Sender<Answer>,
    make: Arc<Make>,
    config: PpoConfig,
    threads: Vec<JoinHandle<()>>,
    /// What went wrong and was done again, in words.
    pub mishaps: Vec<String>,
}

impl Workers {
    /// `count` of them, each with what `make` makes.
    pub fn new(
        count: usize,
        config: &PpoConfig,
        make: impl Fn() -> Result<Roller, RecipeError> + Send + Sync + 'static,
    ) -> Self {
        // Neither channel ever holds more than the window, so no send blocks.
        let (jobs, for_workers) = bounded(WINDOW);
        let (to_caller, answers) = bounded(WINDOW);
        let mut workers = Self {
            jobs: Some(jobs),
            for_workers,
            answers,
            to_caller,
            make: Arc::new(make),
            config: config.clone(),
            threads: Vec::new(),
            mishaps: Vec::new(),
        };
        for _ in 0..count.max(1) {
            workers.join();
        }
        workers
    }

    /// One more.
    pub fn join(&mut self) {
        let (for_workers, to_caller) = (self.for_workers.clone(), self.to_caller.clone());
        let (make, config) = (Arc::clone(&self.make), self.config.clone());
        self.threads.push(std::thread::spawn(move || {
            // The workers are the parallelism; this is said for each thread.
            tch::set_num_threads(1);
            let mut roller = None;
            for (number, job) in for_workers {
                let work = || work(&mut roller, &*make, &config, &job);
                let answer = match catch_unwind(AssertUnwindSafe(work)) {
                    Ok(Ok(done)) => Ok(done),
                    Ok(Err(error)) => Err(Failure::Error(error)),
                    Err(panic) => {
                        // Nobody knows what state it was left in.
                        roller = None;
                        Err(Failure::Panic(message(&*panic)))
                    }
                };
                if to_caller.send((number, answer)).is_err() {
                    break;
                }
            }
        }));
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.threads.len()
    }

    /// Does the jobs. One that a worker panics on is given to a worker once more, and it is kept in `mishaps` that it was.
    ///
    /// # Errors
    /// The first error in the order of the jobs; a job that panics twice.
    pub fn run(&mut self, jobs: Vec<Job>) -> Result<Vec<Done>, RecipeError> {
        let Some(sender) = &self.jobs else {
            return Err(RecipeError::Failed("the workers have left".to_owned()));
        };
        let gone = |_| RecipeError::Failed("no worker is left".to_owned());
        let mut next = jobs.iter().cloned().enumerate();
        for asked in next.by_ref().take(WINDOW) {
            sender.send(asked).map_err(gone)?;
        }
        let mut again = vec![false; jobs.len()];
        let mut found: Vec<Option<Result<Done, RecipeError>>> = Vec::new();
        found.resize_with(jobs.len(), || None);
        let mut left = jobs.len();
        while left > 0 {
            let answer = self.answers.recv();
            let (number, answer) =
                answer.map_err(|_gone| RecipeError::Failed("no worker is left".to_owned()))?;
            let answer = match answer {
                Ok(done) => Ok(done),
                Err(Failure::Error(error)) => Err(error),
                Err(Failure::Panic(text)) => {
                    let what = say(&jobs[number]);
                    if !again[number] {
                        again[number] = true;
                        self.mishaps
                            .push(format!("{what}: a worker failed, done again: {text}"));
                        sender.send((number, jobs[number].clone())).map_err(gone)?;
                        continue;
                    }
                    Err(RecipeError::Failed(format!(
                        "{what}: two workers failed: {text}"
                    )))
                }
            };
            left -= 1;
            found[number] = Some(answer);
            if let Some(asked) = next.next() {
                sender.send(asked).map_err(gone)?;
            }
        }
        found.into_iter().flatten().collect()
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        drop(self.jobs.take());
        for thread in self.threads.drain(..) {
            // What it panicked with was told when it did.
            let _told = thread.join();
        }
    }
}

fn work(
    roller: &mut Option<Roller>,
    make: &Make,
    config: &PpoConfig,
    job: &Job,
) -> Result<Done, RecipeError> {
    let roller = match roller {
        Some(roller) => roller,
        None => roller.insert(make()?),
    };
    match job {
        Job::Roll { item, policy } => Ok(Done::Segment(Box::new(roller.roll(item, policy)?))),
        Job::Gradient {
            version,
            values,
            rows,
        } => {
            let (network, parameters) = roller.network(*version, values)?;
            let mut into = vec![0.0; values.len()];
            let losses = gradient(network, parameters, rows, config, &mut into)?;
            Ok(Done::Gradient(into, losses))
        }
    }
}

/// A job by what makes it again.
fn say(job: &Job) -> String {
    match job {
        Job::Roll { item, policy } => format!(
            "policy {}, seed {}, item {}",
            policy.version, item.seed, item.index
        ),
        Job::Gradient { version, .. } => format!("gradient of policy {version}"),
    }
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without words".to_owned())
}

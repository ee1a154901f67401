//! Threads that roll out and take gradients, each with worlds and a network of its own.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam::channel::{Receiver, Sender, bounded};
use crossbeam::select;

use super::ppo::{Gradients, Losses, PpoConfig, Rows, gradient};
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
        /// Who says what it would have done instead.
        teacher: Option<Arc<Snapshot>>,
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

/// Some threads. What a job gives depends on the job alone: who does it, and when, changes nothing.
pub struct Workers {
    jobs: Option<Sender<(usize, Job)>>,
    for_workers: Receiver<(usize, Job)>,
    answers: Receiver<Answer>,
    to_caller: Sender<Answer>,
    leave: Sender<()>,
    leaves: Receiver<()>,
    make: Arc<Make>,
    config: PpoConfig,
    threads: Vec<JoinHandle<()>>,
    /// Of the threads, those that were not told to leave.
    count: usize,
    /// Jobs were asked for so often.
    asked: usize,
    /// Not sent yet.
    waiting: VecDeque<usize>,
    /// Jobs that nobody answered yet, and how many workers failed at them.
    open: BTreeMap<usize, (Job, usize)>,
    /// Answers that nobody took yet, in the order in which they came.
    finished: VecDeque<(usize, Result<Done, RecipeError>)>,
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
        let (leave, leaves) = bounded(WINDOW);
        let mut workers = Self {
            jobs: Some(jobs),
            for_workers,
            answers,
            to_caller,
            leave,
            leaves,
            make: Arc::new(make),
            config: config.clone(),
            threads: Vec::new(),
            count: 0,
            asked: 0,
            waiting: VecDeque::new(),
            open: BTreeMap::new(),
            finished: VecDeque::new(),
            mishaps: Vec::new(),
        };
        for _ in 0..count.max(1) {
            workers.join();
        }
        workers
    }

    /// One more, from now on.
    pub fn join(&mut self) {
        let (for_workers, to_caller) = (self.for_workers.clone(), self.to_caller.clone());
        let leaves = self.leaves.clone();
        self.count += 1;
        let (make, config) = (Arc::clone(&self.make), self.config.clone());
        self.threads.push(std::thread::spawn(move || {
            // The workers are the parallelism; this is said for each thread.
            tch::set_num_threads(1);
            let mut roller = None;
            loop {
                let (number, job) = select! {
                    recv(leaves) -> _ => break,
                    recv(for_workers) -> asked => match asked {
                        Ok(asked) => asked,
                        Err(_) => break,
                    },
                };
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

    /// One less, once it is done with what it does; the last one stays.
    pub fn leave(&mut self) {
        if self.count > 1 && self.leave.try_send(()).is_ok() {
            self.count -= 1;
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Jobs asked for that are not taken yet.
    pub fn pending(&self) -> usize {
        self.open.len() + self.finished.len()
    }

    /// Asks for a job; its number comes back with the answer.
    pub fn ask(&mut self, job: Job) -> usize {
        let number = self.asked;
        self.asked += 1;
        self.open.insert(number, (job, 0));
        self.waiting.push_back(number);
        self.send();
        number
    }

    /// Sends what is waiting, as far as the window goes.
    fn send(&mut self) {
        while self.open.len() - self.waiting.len() < WINDOW {
            let Some(number) = self.waiting.pop_front() else {
                break;
            };
            if let (Some(jobs), Some((job, _))) = (&self.jobs, self.open.get(&number)) {
                jobs.send((number, job.clone()))
                    .expect("the receiver is kept here");
            }
        }
    }

    /// Waits for one answer. A job that a worker panics on is given to a worker once more: what came from outside is met by nobody
    /// else, and nothing changes. An item that comes to a panic itself does so again, whoever does it: it is done with another
    /// seed then. `mishaps` keeps which, and why.
    fn receive(&mut self) -> Result<(), RecipeError> {
        let answer = self.answers.recv();
        let (number, answer) =
            answer.map_err(|_gone| RecipeError::Failed("no worker is left".to_owned()))?;
        let answer = match answer {
            Ok(done) => Ok(done),
            Err(Failure::Error(error)) => Err(error),
            Err(Failure::Panic(text)) => {
                let (job, failed) = self.open.get_mut(&number).expect("it was asked for");
                *failed += 1;
                let what = say(job);
                let how = match (failed, &mut *job) {
                    (1, _) => Some("a worker failed, done again"),
                    (2, Job::Roll { item, .. }) => {
                        *item = item.with_other_seed();
                        Some("two workers failed, done with another seed")
                    }
                    _ => None,
                };
                if let Some(how) = how {
                    self.mishaps.push(format!("{what}: {how}: {text}"));
                    self.waiting.push_back(number);
                    self.send();
                    return Ok(());
                }
                let text = format!("{what}: workers failed each time: {text}");
                Err(RecipeError::Failed(text))
            }
        };
        self.open.remove(&number);
        self.finished.push_back((number, answer));
        self.send();
        Ok(())
    }

    /// The next answer that comes, of whatever job.
    ///
    /// # Errors
    /// The job's; one that panics each time. When nothing was asked for.
    pub fn take(&mut self) -> Result<(usize, Done), RecipeError> {
        loop {
            if let Some((number, answer)) = self.finished.pop_front() {
                return Ok((number, answer?));
            }
            if self.open.is_empty() {
                return Err(RecipeError::Failed("no job is left".to_owned()));
            }
            self.receive()?;
        }
    }

    /// Does the jobs; their answers come in their order. Others that were asked for before go on meanwhile.
    ///
    /// # Errors
    /// The first error in the order of the jobs; a job that panics each time.
    pub fn run(&mut self, jobs: Vec<Job>) -> Result<Vec<Done>, RecipeError> {
        let numbers: Vec<usize> = jobs.into_iter().map(|job| self.ask(job)).collect();
        let mut own = BTreeMap::new();
        while own.len() < numbers.len() {
            let all = std::mem::take(&mut self.finished).into_iter();
            let (mine, others): (VecDeque<_>, VecDeque<_>) =
                all.partition(|(number, _)| numbers.contains(number));
            own.extend(mine);
            self.finished = others;
            if own.len() < numbers.len() {
                self.receive()?;
            }
        }
        own.into_values().collect()
    }
}

impl Gradients for Workers {
    fn gradients(
        &mut self,
        version: u64,
        values: &[f32],
        parts: Vec<Rows>,
    ) -> Result<Vec<(Vec<f32>, Losses)>, RecipeError> {
        let values = Arc::new(values.to_vec());
        let job = |rows| Job::Gradient {
            version,
            values: Arc::clone(&values),
            rows,
        };
        let part = |done| match done {
            Done::Gradient(gradient, losses) => Ok((gradient, losses)),
            Done::Segment(_) => Err(RecipeError::Failed("expected a gradient".to_owned())),
        };
        let done = self.run(parts.into_iter().map(job).collect())?;
        done.into_iter().map(part).collect()
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
        Job::Roll {
            item,
            policy,
            teacher,
        } => {
            let mut segment = roller.roll(item, policy)?;
            if let Some(teacher) = teacher {
                roller.label(&mut segment, teacher)?;
            }
            Ok(Done::Segment(Box::new(segment)))
        }
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
        Job::Roll { item, policy, .. } => format!(
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

//! Learners side by side: what they exchange.

use std::sync::Arc;

use crossbeam::channel::{Receiver, Sender, bounded};

use crate::recipes::RecipeError;

/// Learners that improve one policy together, each on experience of its own. All call the same methods in the same order with
/// lists of the same length.
pub trait Collective {
    /// This one's number, in 0..size.
    fn rank(&self) -> usize;

    /// How many there are.
    fn size(&self) -> usize;

    /// Sums each number over all learners, in the order of their ranks: all have the same bits afterwards.
    ///
    /// # Errors
    /// When another has left.
    fn allreduce(&mut self, numbers: &mut [f64]) -> Result<(), RecipeError>;

    /// Takes over the numbers of rank 0.
    ///
    /// # Errors
    /// When another has left.
    fn broadcast(&mut self, numbers: &mut [f64]) -> Result<(), RecipeError>;
}

/// One learner.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alone;

impl Collective for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn allreduce(&mut self, _: &mut [f64]) -> Result<(), RecipeError> {
        Ok(())
    }

    fn broadcast(&mut self, _: &mut [f64]) -> Result<(), RecipeError> {
        Ok(())
    }
}

/// Learners in threads of one process: each sends what it has to every other.
pub struct Threads {
    rank: usize,
    /// To all, by rank; its own is not used.
    to: Vec<Sender<Arc<[f64]>>>,
    /// From all, by rank; its own is not used.
    from: Vec<Receiver<Arc<[f64]>>>,
}

impl Threads {
    /// So many that know each other, in the order of their ranks.
    pub fn group(size: usize) -> Vec<Self> {
        let mut members: Vec<Self> = (0..size)
            .map(|rank| Self {
                rank,
                to: Vec::new(),
                from: Vec::new(),
            })
            .collect();
        for sender in 0..size {
            for receiver in 0..size {
                // One that has all of a round may send the next while another still reads the first.
                let (to, from) = bounded(2);
                members[sender].to.push(to);
                members[receiver].from.push(from);
            }
        }
        members
    }

    fn send(&self, numbers: &[f64]) -> Result<(), RecipeError> {
        let numbers: Arc<[f64]> = numbers.into();
        let others = self.to.iter().enumerate();
        for (rank, to) in others.filter(|(rank, _)| *rank != self.rank) {
            to.send(Arc::clone(&numbers)).map_err(|_gone| left(rank))?;
        }
        Ok(())
    }

    fn receive(&self, rank: usize) -> Result<Arc<[f64]>, RecipeError> {
        self.from[rank].recv().map_err(|_gone| left(rank))
    }
}

fn left(rank: usize) -> RecipeError {
    RecipeError::Failed(format!("learner {rank} has left"))
}

impl Collective for Threads {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.to.len()
    }

    fn allreduce(&mut self, numbers: &mut [f64]) -> Result<(), RecipeError> {
        self.send(numbers)?;
        let own = numbers.to_vec();
        numbers.fill(0.0);
        for rank in 0..self.size() {
            let mut add =
                |list: &[f64]| numbers.iter_mut().zip(list).for_each(|(sum, x)| *sum += x);
            match rank == self.rank {
                true => add(&own),
                false => add(&self.receive(rank)?),
            }
        }
        Ok(())
    }

    fn broadcast(&mut self, numbers: &mut [f64]) -> Result<(), RecipeError> {
        match self.rank {
            0 => self.send(numbers),
            _ => {
                numbers.copy_from_slice(&self.receive(0)?);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_have_the_same_sums_and_know_who_left() {
        let mut found = Vec::new();
        std::thread::scope(|scope| {
            let work = |mut member: Threads| {
                move || {
                    let rank = member.rank() as f64;
                    let mut sums = [rank, 0.1 * (rank + 1.0)];
                    member.allreduce(&mut sums).unwrap();
                    let mut first = [rank + 5.0];
                    member.broadcast(&mut first).unwrap();
                    (sums, first)
                }
            };
            let threads: Vec<_> = Threads::group(3)
                .into_iter()
                .map(|member| scope.spawn(work(member)))
                .collect();
            found.extend(threads.into_iter().map(|thread| thread.join().unwrap()));
        });
        assert_eq!(found[0], ([3.0, 0.1 + 0.2 + 0.1 * 3.0], [5.0]));
        assert!(found.iter().all(|other| *other == found[0]));

        let mut group = Threads::group(2);
        drop(group.pop());
        let error = group[0].allreduce(&mut [1.0]).unwrap_err().to_string();
        assert!(error.contains("learner 1 has left"), "{error}");
    }
}

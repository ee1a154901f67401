//! Many workers, one order: whatever finishes first, results come out in the order of the items.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crossbeam::channel::bounded;

/// Items under way per worker: one being worked on, one waiting for the moment the first is done, and two finished ones
/// waiting for a slower predecessor. More only costs memory; fewer lets workers idle while the caller writes a shard.
const WINDOW_PER_WORKER: usize = 4;

/// Works on `items` with `workers` threads and gives the results to `sink`, on the calling thread, in the order of the
/// items. `worker` makes what a thread keeps between items; results must not depend on it.
///
/// Once `stop` is set no item is begun; those under way are finished, and `sink` gets every result that has no gap
/// before it. Returns the number of results that `sink` got, or the first error (of `sink`, or of the work in the
/// order of items). A panic of the work goes on in the caller.
pub fn in_order<I, T, E, W>(
    workers: usize,
    items: impl IntoIterator<Item = I>,
    worker: impl Fn() -> W + Sync,
    mut sink: impl FnMut(T) -> Result<(), E>,
    stop: &AtomicBool,
) -> Result<u64, E>
where
    I: Send,
    T: Send,
    E: Send,
    W: FnMut(I) -> Result<T, E>,
{
    let workers = workers.max(1);
    let window = workers * WINDOW_PER_WORKER;
    // Neither channel ever holds more than the window, so no send blocks and nobody waits in a circle.
    let (to_workers, for_workers) = bounded::<(u64, I)>(window);
    let (to_caller, for_caller) = bounded(window);
    thread::scope(|scope| {
        for _ in 0..workers {
            let (for_workers, to_caller) = (for_workers.clone(), to_caller.clone());
            let worker = &worker;
            scope.spawn(move || {
                let mut work = worker();
                for (number, item) in for_workers {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    // A panic must reach the caller, who would otherwise wait for this result forever.
                    let result = catch_unwind(AssertUnwindSafe(|| work(item)));
                    if to_caller.send((number, result)).is_err() {
                        break;
                    }
                }
            });
        }
        // The caller's ends alone keep the channels open.
        drop((for_workers, to_caller));

        let mut to_workers = Some(to_workers);
        let mut items = items.into_iter();
        let (mut begun, mut delivered) = (0, 0);
        let mut early = BTreeMap::new();
        loop {
            while begun - delivered < window as u64
                && let Some(channel) = &to_workers
            {
                // Once the channel is closed, the workers come to an end.
                let next = items.next().filter(|_| !stop.load(Ordering::Relaxed));
                match next.map(|item| channel.send((begun, item))) {
                    Some(Ok(())) => begun += 1,
                    Some(Err(_)) | None => to_workers = None,
                }
            }
            let Ok((number, result)) = for_caller.recv() else {
                return Ok(delivered);
            };
            early.insert(number, result);
            while let Some(result) = early.remove(&delivered) {
                match result {
                    Ok(Ok(value)) => sink(value)?,
                    Ok(Err(error)) => return Err(error),
                    Err(panic) => {
                        drop(to_workers.take());
                        resume_unwind(panic)
                    }
                }
                delivered += 1;
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Later items are ready sooner.
    fn uneven(item: u64) -> Result<u64, String> {
        thread::sleep(Duration::from_millis(if item.is_multiple_of(7) {
            5
        } else {
            0
        }));
        Ok(item * item)
    }

    #[test]
    fn results_come_in_the_order_of_items_for_any_number_of_workers() {
        for workers in [0, 1, 2, 4, 16] {
            let mut got = Vec::new();
            let delivered = in_order(
                workers,
                0..100,
                || uneven,
                |value| {
                    got.push(value);
                    Ok(())
                },
                &AtomicBool::new(false),
            );
            assert_eq!(delivered, Ok(100));
            assert_eq!(
                got,
                (0..100).map(|i| i * i).collect::<Vec<_>>(),
                "{workers} workers"
            );
        }
    }

    #[test]
    fn no_items_are_no_results() {
        let none = in_order(2, 0..0, || uneven, |_| Ok(()), &AtomicBool::new(false));
        assert_eq!(none, Ok(0));
    }

    #[test]
    fn stopping_delivers_a_prefix() {
        let stop = AtomicBool::new(false);
        let mut got = Vec::new();
        let delivered = in_order(
            4,
            0..,
            || uneven,
            |value| {
                got.push(value);
                stop.store(got.len() >= 20, Ordering::Relaxed);
                Ok(())
            },
            &stop,
        )
        .unwrap();
        assert!((20..60).contains(&delivered), "{delivered}");
        assert_eq!(got, (0..delivered).map(|i| i * i).collect::<Vec<_>>());
    }

    #[test]
    fn the_first_error_ends_it() {
        let work = |item: u64| {
            if item == 30 || item == 31 {
                Err(item)
            } else {
                Ok(item)
            }
        };
        let mut got = 0;
        let sink = |_| {
            got += 1;
            Ok(())
        };
        assert_eq!(
            in_order(3, 0.., || work, sink, &AtomicBool::new(false)),
            Err(30)
        );
        assert_eq!(got, 30);
        let full = in_order(
            3,
            0..,
            || work,
            |i| if i == 9 { Err(99) } else { Ok(()) },
            &AtomicBool::new(false),
        );
        assert_eq!(full, Err(99));
    }

    #[test]
    #[should_panic(expected = "a bug in episode 5")]
    fn a_panic_reaches_the_caller() {
        let work = |item: u64| -> Result<u64, String> {
            assert!(item != 5, "a bug in episode {item}");
            Ok(item)
        };
        in_order(2, 0..1000, || work, |_| Ok(()), &AtomicBool::new(false)).unwrap();
    }
}

//! Models side by side: the small ones on one thread each, the largest first; then each large one by itself, on all threads. The levels of a
//! small model are too short for two threads, and a large model needs the memory.

use std::cmp::Reverse;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use synod_model::{Model, Outcome, Tier, Verdict};

/// A model with at least so many states is checked by itself.
const LARGE: u64 = 1_000_000;

/// A state of a model with a liveness property takes about so many times longer than others.
const LIVENESS: u64 = 20;

/// Checks all models on so many threads, and shows what came out in the order of the models. `each` checks the model at an index on a number
/// of threads. Where a model has no verdict for want of memory, what was explored beside it may be the cause: while `goes_on` it is checked
/// once more, by itself.
///
/// # Errors
/// The first that `show` returns; no further model is begun then.
pub fn check(
    models: &[Model],
    threads: usize,
    each: impl Fn(usize, usize) -> Outcome + Sync,
    goes_on: impl Fn() -> bool,
    show: impl FnMut(usize, Outcome) -> Result<(), String>,
) -> Result<(), String> {
    let (mut small, mut alone): (Vec<usize>, Vec<usize>) =
        (0..models.len()).partition(|index| threads > 1 && is_small(&models[*index]));
    small.sort_by_key(|index| Reverse(effort(&models[*index])));
    let mut shown = InOrder { waiting: models.iter().map(|_| None).collect(), next: 0, show };
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        let (tell, told) = channel();
        for _ in 0..threads.min(small.len()) {
            let (tell, small, next, each) = (tell.clone(), &small, &next, &each);
            scope.spawn(move || {
                while let Some(index) = small.get(next.fetch_add(1, Ordering::Relaxed)) {
                    // Nobody listens once a result could not be shown.
                    if tell.send((*index, each(*index, 1))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(tell);
        for (index, outcome) in told {
            if outcome.verdict == Verdict::Incomplete && !outcome.refused && goes_on() {
                alone.push(index);
            } else {
                shown.take(index, outcome)?;
            }
        }
        Ok::<(), String>(())
    })?;
    alone.sort_unstable();
    alone.into_iter().try_for_each(|index| shown.take(index, each(index, threads)))
}

/// True for a model that is explored beside others. The count in its file says how large it is. A fast model that falls has none,
/// and only states up to its fall; of others without a count nobody knows the size.
fn is_small(model: &Model) -> bool {
    match model.file.expect.unique_states {
        Some(states) => states < LARGE,
        None => model.file.tier == Tier::Fast && model.file.expect.property.is_some(),
    }
}

/// The time that a model takes, in states. One of unknown size begins early: it may be the longest.
fn effort(model: &Model) -> u64 {
    let states = model.file.expect.unique_states.unwrap_or(LARGE);
    if model.file.liveness.is_some() { states.saturating_mul(LIVENESS) } else { states }
}

/// What ended, until everything before it was shown.
struct InOrder<F> {
    waiting: Vec<Option<Outcome>>,
    next: usize,
    show: F,
}

impl<F: FnMut(usize, Outcome) -> Result<(), String>> InOrder<F> {
    fn take(&mut self, index: usize, outcome: Outcome) -> Result<(), String> {
        self.waiting[index] = Some(outcome);
        while let Some(outcome) = self.waiting.get_mut(self.next).and_then(Option::take) {
            self.next += 1;
            (self.show)(self.next - 1, outcome)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use synod_model::Settings;

    /// Some of each size: a few with a count, and one without.
    fn models() -> Vec<Model> {
        let fast = |model: &Model| model.file.tier == Tier::Fast && is_small(model);
        let mut models: Vec<Model> = synod_model::catalogue().into_iter().filter(fast).take(20).collect();
        models[3].file.expect.unique_states = None;
        models
    }

    /// What came out of some model, as if it were of another.
    fn outcome(name: &str) -> Outcome {
        let smallest = synod_model::find("mutants/any-value").expect("in the catalogue");
        Outcome { model: name.to_owned(), ..synod_model::check(&smallest, &Settings::default()) }
    }

    #[test]
    fn every_model_is_shown_once_and_in_order_and_one_of_unknown_size_has_all_threads() {
        let (models, template) = (models(), outcome(""));
        for threads in [1, 2, 3] {
            let asked = Mutex::new(Vec::new());
            let mut shown = Vec::new();
            let each = |index: usize, threads| {
                asked.lock().expect("no panic").push((index, threads));
                template.clone()
            };
            check(
                &models,
                threads,
                each,
                || true,
                |index, _| {
                    shown.push(index);
                    Ok(())
                },
            )
            .expect("it is shown");
            assert_eq!(shown, (0..models.len()).collect::<Vec<_>>());
            let asked = asked.into_inner().expect("no panic");
            assert_eq!(asked.len(), models.len());
            assert!(asked.contains(&(3, threads)) && asked.contains(&(0, 1)), "{asked:?}");
        }
    }

    #[test]
    fn what_ended_without_a_verdict_beside_others_is_checked_again_by_itself_as_long_as_it_goes_on() {
        let (models, template) = (models(), outcome(""));
        for goes_on in [true, false] {
            let mut verdicts = Vec::new();
            let each = |index: usize, threads| {
                let verdict = if index == 5 && threads == 1 { Verdict::Incomplete } else { Verdict::Holds };
                Outcome { verdict, ..template.clone() }
            };
            check(
                &models,
                2,
                each,
                || goes_on,
                |_, outcome| {
                    verdicts.push(outcome.verdict);
                    Ok(())
                },
            )
            .expect("it is shown");
            let expected = if goes_on { Verdict::Holds } else { Verdict::Incomplete };
            assert_eq!((verdicts.len(), verdicts[5]), (models.len(), expected));
        }
    }

    #[test]
    fn nothing_more_is_begun_once_a_result_could_not_be_shown() {
        let (models, template) = (models(), outcome(""));
        let begun = AtomicUsize::new(0);
        let each = |_, _| {
            begun.fetch_add(1, Ordering::Relaxed);
            template.clone()
        };
        let failed = check(&models, 1, each, || true, |_, _| Err("no".to_owned()));
        assert_eq!((failed, begun.into_inner()), (Err("no".to_owned()), 1));
    }
}

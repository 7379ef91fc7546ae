//! A store in this process as the cluster.

use std::sync::{Arc, Mutex};
use synod_machine::{Operation, Outcome, Settings, StateMachine, Store, StoreCommand, StoreOutput};
use synod_redis::{Submit, SubmitError};

/// A store, and what went to it.
#[derive(Clone, Default)]
pub(crate) struct Local(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    store: Store,
    commands: Vec<StoreCommand>,
    /// The errors of the next commands, if they have one: then nothing is done.
    errors: Vec<Option<SubmitError>>,
}

impl Local {
    pub(crate) fn apply(&self, command: &StoreCommand) -> Result<StoreOutput, SubmitError> {
        let mut inner = self.0.lock().expect("nobody panics with it");
        inner.commands.push(command.clone());
        if !inner.errors.is_empty()
            && let Some(error) = inner.errors.remove(0)
        {
            return Err(error);
        }
        Ok(inner.store.query(command).unwrap_or_else(|| inner.store.apply(command)))
    }

    /// Tells the store the time, of which all that was written before knows.
    pub(crate) fn tick(&self, now: u64) {
        let mut inner = self.0.lock().expect("nobody panics with it");
        let ask = StoreCommand::Transact { when: Vec::new(), then: vec![Operation::Clock] };
        let Some(StoreOutput::Done(outcomes)) = inner.store.query(&ask) else { panic!("a question") };
        let Outcome::Clock { given, .. } = outcomes[0] else { panic!("the clock") };
        inner.store.apply(&StoreCommand::Tick { now, given });
    }

    /// Tells the store how many bytes it may hold.
    pub(crate) fn may_hold(&self, bytes: u64) {
        let settings = Settings { bytes, ..Settings::default() };
        self.0.lock().expect("nobody panics with it").store.apply(&StoreCommand::Settings(settings));
    }

    /// The next commands fail like this.
    pub(crate) fn fails(&self, errors: &[Option<SubmitError>]) {
        self.0.lock().expect("nobody panics with it").errors = errors.to_vec();
    }

    /// The commands since the last call.
    pub(crate) fn commands(&self) -> Vec<StoreCommand> {
        std::mem::take(&mut self.0.lock().expect("nobody panics with it").commands)
    }
}

impl Submit for Local {
    async fn submit(&self, command: StoreCommand) -> Result<StoreOutput, SubmitError> {
        if command.only_asks() {
            // Whoever does not wait for an answer overtakes the question.
            for _ in 0..9 {
                tokio::task::yield_now().await;
            }
        }
        self.apply(&command)
    }
}

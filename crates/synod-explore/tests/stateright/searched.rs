//! stateright's search, for a model of any types: its checker is compiled once for all models of these tests, and not once for each.

use crate::erased::{Value, plain};
use stateright::{Checker, Model, Property};
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

/// The result of stateright's search.
pub(crate) struct Searched {
    pub(crate) unique_states: u64,
    pub(crate) generated_states: u64,
    pub(crate) depth: usize,
}

/// Searches a whole model breadth first, or as deep as this. Its properties are not asked.
pub(crate) fn search<M>(model: M, depth: Option<usize>) -> Searched
where
    M: Model + Send + Sync + 'static,
    M::State: Debug + PartialEq + Hash + Send + Sync + 'static,
{
    search_erased(Erased(Arc::new(model)), depth)
}

fn search_erased(model: Erased, depth: Option<usize>) -> Searched {
    let mut builder = model.checker();
    if let Some(depth) = depth {
        builder = builder.target_max_depth(depth);
    }
    let checker = builder.spawn_bfs().join();
    Searched {
        unique_states: checker.unique_state_count() as u64,
        generated_states: checker.state_count() as u64,
        depth: checker.max_depth(),
    }
}

/// The graph of a model.
trait Graph: Send + Sync {
    fn initial(&self) -> Vec<Value>;
    fn successors(&self, state: &Value) -> Vec<Value>;
    fn is_within(&self, state: &Value) -> bool;
}

impl<M> Graph for M
where
    M: Model + Send + Sync,
    M::State: Debug + PartialEq + Hash + Send + Sync + 'static,
{
    fn initial(&self) -> Vec<Value> {
        self.init_states().into_iter().map(plain).collect()
    }

    fn successors(&self, state: &Value) -> Vec<Value> {
        let (state, mut actions, mut successors) = (state.of::<M::State>(), Vec::new(), Vec::new());
        self.actions(state, &mut actions);
        for action in actions {
            successors.extend(self.next_state(state, action).map(plain));
        }
        successors
    }

    fn is_within(&self, state: &Value) -> bool {
        self.within_boundary(state.of())
    }
}

/// A model whose actions are the states they lead to.
struct Erased(Arc<dyn Graph>);

impl Model for Erased {
    type State = Value;
    type Action = Value;

    fn init_states(&self) -> Vec<Value> {
        self.0.initial()
    }

    fn actions(&self, state: &Value, actions: &mut Vec<Value>) {
        *actions = self.0.successors(state);
    }

    fn next_state(&self, _: &Value, action: Value) -> Option<Value> {
        Some(action)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always("everything is explored", |_, _| true)]
    }

    fn within_boundary(&self, state: &Value) -> bool {
        self.0.is_within(state)
    }
}

//! The roles of *Paxos Made Simple*. All of safety is here: no role imports from `log`, `progress` or `actors`.

pub(crate) mod acceptor;
pub(crate) mod learner;
pub(crate) mod proposer;
pub(crate) mod read;

//! The premise of a claim. A claim whose premise never occurred was not put to the test.

use crate::claims::{self, Claim, Occurs};
use crate::history::{Happened, Note};
use crate::observer::{Ghost, Inside};
use std::sync::Arc;
use synod::{Cluster, Msg};
use synod_explore::{Property, Subject};

/// The property of a model whose claims are meant to be hollow, so that one at least holds.
pub(crate) const MEANT: &str = "hollow as it is meant to be";

/// The property that what a claim speaks about occurred. Less shows it in a model that `forgets` what is chosen.
pub(crate) fn premise<A>(claim: &'static Claim, cluster: &Arc<Cluster>, forgets: bool) -> Property<A, Ghost>
where
    A: Subject<Msg = Msg>,
    A::State: Inside,
{
    let cluster = Arc::clone(cluster);
    let occurs = match claim.occurs {
        Occurs::History(_) if forgets && claim.name != "B0" => Occurs::Step(claims::bound),
        occurs => occurs,
    };
    match occurs {
        // Not asked of each step anew where it cannot be.
        _ if !concerns(&cluster, claim) => Property::sometimes_history(claim.premise, |_| false),
        Occurs::History(occurs) => {
            Property::sometimes_history(claim.premise, move |history| occurs(&cluster.quorums, history))
        }
        Occurs::Step(occurs) => Property::sometimes_note(claim.premise, move |note: &Note| {
            note.iter().any(|happened: &Happened| occurs(&cluster, happened))
        }),
    }
}

/// True if a claim speaks about anything that there is in a model: a log, or somebody who is answered.
pub(crate) fn concerns(cluster: &Cluster, claim: &Claim) -> bool {
    match claim.name {
        "W1" | "X1" | "L1" => cluster.log.is_some(),
        "M1" | "M2" | "M3" | "M4" => cluster.log.as_ref().is_some_and(|log| log.members.is_some()),
        "R1" => cluster.log.is_none() && (cluster.waiting_limit > 0 || !cluster.clients.is_empty()),
        _ => true,
    }
}

//! A client asks for one value and waits for an answer. It may ask any number of proposers, any number of times.

use crate::ballot::{Instance, Value};
use crate::effects::{Effects, Part};
use crate::message::{Msg, Timer};
use stateright::actor::Id;
use std::ops::Range;
use std::time::Duration;

/// What a client wants.
#[derive(Clone, Debug)]
pub struct Client {
    /// Where it wants its value chosen.
    pub instance: Instance,
    /// The value.
    pub value: Value,
    /// Whom it asks: proposers or servers.
    pub asks: Vec<Id>,
    /// When it asks again, as long as no answer came; `None`: never.
    pub resend: Option<Range<Duration>>,
}

/// A client's state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ClientState {
    /// What it was told to be chosen, which need not be what it asked for.
    pub answer: Option<Value>,
}

impl Client {
    /// Asks everyone on its list.
    pub(crate) fn ask(&self, fx: &mut Effects) {
        fx.broadcast(&self.asks, &Msg::Request { instance: self.instance, value: self.value.clone() });
        if let Some(after) = &self.resend {
            fx.set_timer(Timer::Resend, after.clone());
        }
    }

    /// Takes the first answer for its instance; later ones can only repeat it.
    pub(crate) fn on_response(
        &self,
        mut client: Part<'_, '_, ClientState>,
        (instance, value): (Instance, Value),
        fx: &mut Effects,
    ) {
        if instance != self.instance || client.answer.is_some() {
            return;
        }
        client.edit().answer = Some(value);
        if self.resend.is_some() {
            fx.cancel_timer(Timer::Resend);
        }
    }
}

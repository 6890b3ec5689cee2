use cf_core::{Error, Outcome};

/// The best that is true of several outcomes.
#[derive(Default)]
pub(super) struct Verdict(Option<Outcome>);

impl Verdict {
    pub(super) fn add(&mut self, outcome: Outcome) {
        let better = self.0.as_ref().is_none_or(|one| rank(one) < rank(&outcome));
        if better {
            self.0 = Some(outcome);
        }
    }

    pub(super) fn is_accepted(&self) -> bool {
        matches!(self.0, Some(Outcome::Accepted { .. }))
    }

    /// The outcome of the whole; `asked_all` says whether no service was left out.
    pub(super) fn outcome(self, asked_all: bool) -> Outcome {
        match self.0 {
            // A cursor of one service is no place in the whole.
            Some(Outcome::Accepted { .. }) => Outcome::Accepted { cursor: None },
            // One that was not asked may take it.
            Some(Outcome::Refused(_)) if !asked_all => {
                Outcome::Unavailable(Error::unavailable("a service could not be asked"))
            }
            Some(outcome) => outcome,
            None => Outcome::Unavailable(Error::unavailable("no service could be asked")),
        }
    }
}

/// One that has it for certain; one that perhaps has it; this process has it; none
/// has it yet; none ever will.
fn rank(outcome: &Outcome) -> u8 {
    match outcome {
        Outcome::Accepted { .. } => 4,
        Outcome::Queued => 2,
        Outcome::Unavailable(_) => 1,
        Outcome::Refused(_) => 0,
        _ => 3,
    }
}

//! What a run has found, as it is written down and drawn.

use serde::{Deserialize, Serialize};

use crate::machine::Machine;

/// The name of what everything is compared with.
pub(crate) const OURS: &str = "session-supervisor";

/// Everything that a run has found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Findings {
    pub(crate) machine: Machine,
    /// Whether the sizes were those for a quick look.
    pub(crate) quick: bool,
    pub(crate) figures: Vec<Figure>,
    pub(crate) judgements: Vec<Judgement>,
}

/// One number, with what it is of.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Figure {
    pub(crate) group: String,
    /// What is done, with its parameters.
    pub(crate) work: String,
    /// Who does it.
    pub(crate) who: String,
    /// What is counted: `cpu`, `wall`, `memory`, `p99`.
    pub(crate) metric: String,
    /// The median over the rounds.
    pub(crate) value: f64,
    pub(crate) unit: String,
    /// How many times the value of the baseline: the median over the rounds of their ratios.
    pub(crate) ratio: Option<f64>,
    /// Where on a curve it stands.
    pub(crate) at: Option<Place>,
    /// The value of each round.
    pub(crate) rounds: Vec<f64>,
}

/// A place on a curve.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Place {
    /// What grows: `sessions` or `entries`.
    pub(crate) of: String,
    pub(crate) count: f64,
}

/// A number that is held to a bound.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Judgement {
    /// Which row of what is to be reached.
    pub(crate) row: String,
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) unit: String,
    /// What is held to the bound, if it is not the value.
    pub(crate) ratio: Option<f64>,
    /// What the ratio is to.
    pub(crate) baseline: String,
    pub(crate) target: String,
    pub(crate) ok: bool,
}

impl Figure {
    /// Its name: what is done, by whom, and what is counted.
    pub(crate) fn name(&self) -> String {
        let at = self.at.as_ref().map_or_else(String::new, |at| format!("/{}={}", at.of, at.count));
        format!("{}{at}/{}/{}", self.work, self.who, self.metric)
    }
}

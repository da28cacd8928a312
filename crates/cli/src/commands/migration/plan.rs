//! `crossfade plan`: the next promotion as a dry run, and the steps after it.

use anyhow::Result;

use super::evidence::EvidenceOptions;
use super::{Common, Routes};
use crate::commands::Verdict;

/// Show what the next step of a migration would move, when, and whom not. It changes nothing
#[derive(clap::Args)]
pub(crate) struct PlanOptions {
    #[command(flatten)]
    evidence: EvidenceOptions,
    #[command(flatten)]
    routes: Routes,
    #[command(flatten)]
    common: Common,
}

impl PlanOptions {
    pub(crate) fn run(&self) -> Result<Verdict> {
        let _ = (&self.evidence, &self.routes, &self.common);
        anyhow::bail!("not there yet")
    }
}

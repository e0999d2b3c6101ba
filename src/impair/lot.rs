//! What is drawn for a packet when it enters, before anything is done to it.

use super::corrupt;
use super::draw::{Draws, Purpose};
use super::flow_memory::Models;
use super::settings::Settings;

/// What was drawn for a packet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lot {
    pub(super) is_duplicated: bool,
    pub(super) is_lost: bool,
    pub(super) corrupted_bit: Option<u64>,
    pub(super) truncated_to: Option<usize>,
}

impl Lot {
    /// All is drawn for every packet, whether the one matters after the other or
    /// not, so that no model's memory depends on another's settings.
    pub(super) fn draw(
        settings: &Settings,
        models: &mut Models,
        draws: Draws,
        length: usize,
    ) -> Self {
        let corrupts = models
            .corrupt
            .decide(settings.corrupt, draws, Purpose::Corrupt);
        let truncates = models
            .truncate
            .decide(settings.truncate, draws, Purpose::Truncate);
        Self {
            is_duplicated: models
                .duplicate
                .decide(settings.duplicate, draws, Purpose::Duplicate),
            is_lost: models.loss.decide(settings.loss, draws),
            corrupted_bit: corrupts.then(|| corrupt::bit(length, draws)),
            truncated_to: if truncates {
                corrupt::kept(length, draws)
            } else {
                None
            },
        }
    }
}

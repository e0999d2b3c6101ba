//! Reordering as RFC 4737 measures it: the ratio of reordered messages, and how
//! far they were late in the order of arrival.
//!
//! Pure: the numbers in the order of their arrival, first arrivals only.

use serde::Serialize;

/// How far messages were out of order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Reordering {
    /// Reordered messages, of all that arrived (RFC 4737 section 3.4).
    #[serde(rename = "reordered_ratio")]
    pub ratio: f64,
    /// The largest extent: how many places after the first message that
    /// overtook it one arrived (RFC 4737 section 4.2.1).
    #[serde(rename = "reordering_extent_max")]
    pub extent_max: u32,
    /// The mean extent of the reordered messages.
    #[serde(rename = "reordering_extent_mean")]
    pub extent_mean: f64,
}

/// Measures reordering as messages arrive.
#[derive(Debug, Clone, Default)]
pub struct ReorderingMeter {
    /// The numbers that were larger than all before, and their places in the
    /// order of arrival: both ascend.
    records: Vec<(u32, u32)>,
    arrived: u32,
    reordered: u32,
    extent_max: u32,
    extent_sum: u64,
}

impl ReorderingMeter {
    /// A message arrived for the first time. Its extent where it is reordered
    /// (RFC 4737 section 3.3: a later one was there before it).
    pub fn arrived(&mut self, number: u32) -> Option<u32> {
        let place = self.arrived;
        self.arrived += 1;
        let before = self.records.partition_point(|(record, _)| *record < number);
        let Some((_, first)) = self.records.get(before) else {
            self.records.push((number, place));
            return None;
        };
        let extent = place - first;
        self.reordered += 1;
        self.extent_max = self.extent_max.max(extent);
        self.extent_sum += u64::from(extent);
        Some(extent)
    }

    /// The figures so far.
    pub fn reordering(&self) -> Reordering {
        #[expect(clippy::cast_precision_loss, reason = "sums far below 2^52")]
        let sum = self.extent_sum as f64;
        let ratio = |part: f64, whole: u32| {
            if whole == 0 {
                0.0
            } else {
                part / f64::from(whole)
            }
        };
        Reordering {
            ratio: ratio(self.reordered.into(), self.arrived),
            extent_max: self.extent_max,
            extent_mean: ratio(sum, self.reordered),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The extents of the reordered messages, in the order of arrival.
    fn extents(numbers: &[u32]) -> Vec<(u32, u32)> {
        let mut meter = ReorderingMeter::default();
        numbers
            .iter()
            .filter_map(|number| Some((*number, meter.arrived(*number)?)))
            .collect()
    }

    /// RFC 4737 section 7: tables 1, 2 and 3.
    #[test]
    fn the_published_examples_have_their_published_extents() {
        let four_late = [1, 2, 3, 5, 6, 7, 8, 4, 9, 10];
        assert_eq!(extents(&four_late), [(4, 4)]);
        let two_late = [1, 2, 3, 4, 7, 5, 6, 8, 9, 10];
        assert_eq!(extents(&two_late), [(5, 1), (6, 2)]);
        let three_late = [1, 2, 3, 7, 8, 9, 10, 4, 5, 6, 11];
        assert_eq!(extents(&three_late), [(4, 4), (5, 5), (6, 6)]);
    }

    #[test]
    fn the_ratio_is_of_all_that_arrived() {
        let mut meter = ReorderingMeter::default();
        for number in [1, 2, 3, 5, 6, 7, 8, 4, 9, 10] {
            meter.arrived(number);
        }
        let Reordering {
            ratio,
            extent_max,
            extent_mean,
        } = meter.reordering();
        assert!((ratio - 0.1).abs() < 1e-12, "{ratio}");
        assert_eq!(extent_max, 4);
        assert!((extent_mean - 4.0).abs() < 1e-12, "{extent_mean}");
    }

    #[test]
    fn what_is_lost_is_not_reordered() {
        assert_eq!(extents(&[2, 3, 5, 9]), []);
        assert_eq!(extents(&[]), []);
    }
}

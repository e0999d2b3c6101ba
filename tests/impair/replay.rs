//! The same seed and packets have the same fates, whatever the timing and
//! whatever else is on the wire.

use std::collections::BTreeMap;
use std::time::Duration;

use socklab::event::Changes;
use socklab::flow::Direction;
use socklab::impair::{Chance, Delay, Loss, Medium, Reorder, Settings};

use crate::harness::{
    DOWN, MS, UP, both_ways, carried, chance, datagram, drained, is_lost, lateness, probability,
};

fn everything() -> Settings {
    let leaning = |value| Chance {
        correlation: probability(0.3),
        ..chance(value)
    };
    Settings {
        duplicate: leaning(0.4),
        loss: Loss::GilbertElliott {
            p: probability(0.1),
            r: probability(0.3),
            bad_loss: probability(0.8),
            good_loss: probability(0.02),
        },
        corrupt: leaning(0.4),
        truncate: leaning(0.3),
        delay: Delay {
            base: 20 * MS,
            jitter: 5 * MS,
            correlation: probability(0.5),
            ..Delay::default()
        },
        reorder: Some(Reorder {
            chance: leaning(0.4),
            gap: 3,
        }),
        ..Settings::default()
    }
}

/// What was decided for each packet to port 5073, by index and whether it is a
/// copy. Whether it is reordered is the timing's.
type Fates = BTreeMap<(u64, bool), (bool, Changes, Duration)>;

fn fates(seed: u64, direction: Direction, client_port: u16, others: u16, pause: Duration) -> Fates {
    let mut medium = Medium::new(both_ways(seed, everything()));
    let mut offers = Vec::new();
    for number in 0..500 {
        for other in 0..others {
            offers.push((
                number * pause,
                datagram((client_port - 1 - other, 53), 60, 0),
            ));
        }
        offers.push((number * pause, datagram((client_port, 5073), 60, 0)));
    }
    carried(&mut medium, direction, offers)
        .into_iter()
        .filter(|outcome| outcome.parcel.sent[22..24] == 5073_u16.to_be_bytes())
        .map(|outcome| {
            let changes = outcome.parcel.changes;
            let key = (outcome.parcel.place.index, changes.copy_of.is_some());
            let decided = Changes {
                copy_of: None,
                reordered: false,
                ..changes
            };
            let is_lost = is_lost(&outcome);
            let late = lateness(&outcome);
            (key, (is_lost, decided, late))
        })
        .collect()
}

#[test]
fn fates_depend_on_the_seed_and_the_packets_alone() {
    let quiet = fates(1, UP, 40000, 0, MS);
    assert!(quiet.len() > 600, "{} with copies", quiet.len());
    assert_eq!(quiet, fates(1, UP, 40000, 0, MS));
    assert_eq!(
        quiet,
        fates(1, UP, 51234, 0, MS / 7),
        "other timing and port"
    );
    assert_eq!(quiet, fates(1, UP, 51234, 3, 9 * MS), "among other flows");
    assert_ne!(quiet, fates(2, UP, 40000, 0, MS), "another seed");
    assert_ne!(quiet, fates(1, DOWN, 40000, 0, MS), "the other direction");
}

#[test]
fn one_settings_draws_do_not_shift_anothers() {
    let lost = |settings: Settings| -> Vec<u64> {
        let mut medium = Medium::new(both_ways(1, settings));
        for number in 0..500 {
            medium.offer(UP, number * MS, datagram((40000, 5073), 60, 0));
        }
        let mut lost: Vec<u64> = drained(&mut medium)
            .iter()
            .filter(|outcome| is_lost(outcome) && outcome.parcel.changes.copy_of.is_none())
            .map(|outcome| outcome.parcel.place.index)
            .collect();
        lost.sort_unstable();
        lost
    };
    let alone = lost(Settings {
        loss: everything().loss,
        ..Settings::default()
    });
    let among = lost(everything());
    // A packet that is lost and duplicated is delivered once; no other differs.
    assert!(among.iter().all(|index| alone.contains(index)));
    assert!(among.len() * 2 > alone.len());
    let undoubled = lost(Settings {
        duplicate: Chance::default(),
        ..everything()
    });
    assert_eq!(undoubled, alone);
}

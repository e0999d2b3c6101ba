//! One client after another, on one thread: the next is accepted when the last
//! has left.
//!
//! Nothing is simpler, and one client that stays keeps all others waiting in the
//! kernel's queue, connected and unanswered.

use std::os::fd::AsFd;

use crate::error::Error;
use crate::serve::conversation::converse;
use crate::serve::door::{Arrival, Door};

pub(super) fn serve(door: &Door<'_>) -> Result<(), Error> {
    let stop = door.terms.stop;
    while let Some(Arrival { client, tale, .. }) = door.next()? {
        // The only thread there is must also hear when it is time to end.
        let goes_on = || stop.or_readable(client.as_fd()).map(|asked| !asked);
        // How one conversation failed is no matter of the next one's.
        let _ = converse((&client, tale), door.terms, goes_on);
    }
    Ok(())
}

//! The wire's impairments against what they claim: exact binomial bounds for
//! loss, χ² for bursts, Kolmogorov-Smirnov for jitter, rate windows, queue
//! disciplines, conservation and replay. Fixed seeds, no clock, no kernel.

mod bottleneck;
mod changes;
mod conservation;
mod delay;
mod harness;
mod loss;
mod replay;
mod rules;
mod trace;

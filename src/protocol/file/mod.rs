//! File transfer in blocks: the lines between the two ends, and each end's steps.
//!
//! Owns what may be said when; touches no file.

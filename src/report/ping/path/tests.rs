//! Whole renderings of made-up paths.

//! What is typed: link descriptions, selectors, traces. What is read and written
//! again must read the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use socklab::impair::{Dialect, Selector, Sketch, Source, Spec, Trace};

fuzz_target!(|text: &str| {
    if let Ok(selector) = text.parse::<Selector>() {
        let written = selector.to_string();
        let again = written.parse::<Selector>().ok();
        assert_eq!(again, Some(selector), "{written}");
    }
    let _ = Trace::parse("a trace", text);
    for dialect in [Dialect::Netem, Dialect::Plain, Dialect::Options] {
        let source = Source {
            name: "--link".to_owned(),
            text: text.to_owned(),
        };
        let load = |_: &str| Ok("1\n2\n".to_owned());
        if let Ok(spec) = Spec::parse(source, dialect, &load) {
            let mut sketch = Sketch::default();
            sketch.apply(spec);
            if let Ok((plan, _)) = sketch.finish(1) {
                let _ = plan.to_string();
            }
        }
    }
});

//! `socklab compare --html`: the page of a real run in a real browser. It holds
//! what the JSON says, asks the network for nothing, fits narrow and wide
//! windows, and is operated by keyboard and without script.

mod support;

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use support::browser::Browser;
use support::capture_file;
use support::program::{As, Program};

/// A page and the run's lines of JSON.
struct Made {
    folder: tempfile::TempDir,
    lines: Vec<Value>,
}

impl Made {
    /// A run with losses over the private link.
    fn of(program: &Program, more: &[&str]) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("page.html");
        let path = path.to_str().expect("UTF-8");
        let run = [
            "compare", "--delay", "10ms", "--loss", "6%", "--seed", "7", "--html", path,
        ];
        let arguments = [&run[..], more].concat();
        let lines = program.json(As::Myself, &arguments)?;
        Some(Self { folder, lines })
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("page.html")
    }

    fn kinds(&self) -> &[Value] {
        let last = self.lines.last().expect("a line");
        last["result"]["kinds"].as_array().expect("kinds")
    }

    fn packets(&self) -> usize {
        let is_packet = |line: &&Value| line["type"] == "packet";
        self.lines.iter().filter(is_packet).count()
    }
}

/// The page of a usual run and a browser; `None`, said loudly, where either
/// cannot be had.
fn page(what: &str) -> Option<(Made, Browser)> {
    if !support::may_make_namespaces(what) {
        return None;
    }
    let browser = Browser::start(what)?;
    let made = Made::of(&Program::new(), &["-c", "200", "-s", "1200"])?;
    Some((made, browser))
}

#[test]
fn it_opens_without_errors_and_asks_for_nothing_but_itself() {
    let Some((made, mut browser)) = page("a page in a browser") else {
        return;
    };
    browser.open(&made.path());
    complaints(&browser);
    let requested: Vec<&str> = browser
        .told("Network.requestWillBeSent")
        .map(|request| request["request"]["url"].as_str().expect("a URL"))
        .collect();
    assert_eq!(requested, [format!("file://{}", made.path().display())]);
    // And it may not, whoever asks.
    let refused = browser.value(
        "new Promise(done => {
            document.addEventListener('securitypolicyviolation', event => done(event.effectiveDirective));
            const image = new Image();
            image.src = 'http://127.0.0.1:9/pixel.png';
        })",
    );
    assert_eq!(refused, "img-src");
}

#[test]
fn its_figures_are_those_of_the_json() {
    let Some((made, mut browser)) = page("a page's figures") else {
        return;
    };
    browser.open(&made.path());
    let cells = browser.value(
        "[...document.querySelectorAll('td[data-figure]')]
            .map(cell => [cell.dataset.kind, cell.dataset.figure, cell.dataset.value])",
    );
    let mut seen = 0;
    for cell in cells.as_array().expect("cells") {
        let text = |index: usize| cell[index].as_str().expect("text");
        let named = |kind: &&Value| kind["kind"] == text(0);
        let kind = made.kinds().iter().find(named).expect("its kind");
        let pointer = format!("/{}", text(1).replace('.', "/"));
        let figure = kind.pointer(&pointer).expect("its figure");
        let shown: Value = serde_json::from_str(text(2)).expect("JSON");
        assert_eq!(*figure, shown, "{cell}");
        seen += 1;
    }
    assert!(seen >= 3 * 20, "only {seen} figures");
    for figure in ["delivered", "lost", "latency.p50_ns", "wire.data_packets"] {
        let cells = format!("document.querySelectorAll('[data-figure=\"{figure}\"]').length");
        assert_eq!(browser.value(&cells), 3, "{figure}");
    }
}

#[test]
fn it_fits_every_window_and_can_be_read_in_both_colours() {
    let Some((made, mut browser)) = page("a page's layout") else {
        return;
    };
    browser.open(&made.path());
    for colours in ["light", "dark"] {
        for width in [1280, 400] {
            browser.show(width, colours);
            // Not `innerWidth`: a telephone's grows with what does not fit.
            let needed = browser.value("document.scrollingElement.scrollWidth");
            let needed = needed.as_u64().expect("pixels");
            assert!(needed <= width.into(), "{width} pixels: needs {needed}");
            let faint = browser.value(FAINT);
            assert_eq!(
                faint,
                json!([]),
                "below WCAG AA at {width} pixels, {colours}"
            );
            keep(&mut browser, &format!("{width}-{colours}"));
        }
    }
}

/// Texts whose contrast with what is behind them is below 4.5 (WCAG 2.2, 1.4.3).
const FAINT: &str = r"(() => {
    const canvas = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
    const over = (colours) => {
        canvas.clearRect(0, 0, 1, 1);
        for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
        return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
    const luminance = (rgb) => rgb
        .map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
        .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
    const faint = new Set();
    for (const element of document.querySelectorAll('body *')) {
        const own = [...element.childNodes].some(n => n.nodeType === 3 && n.data.trim());
        if (!own || !element.checkVisibility() || element.closest('title, desc, script, .unseen, .skip, defs')) continue;
        const behind = [];
        for (let at = element; at; at = at.parentElement) behind.unshift(getComputedStyle(at).backgroundColor);
        const style = getComputedStyle(element);
        const colour = element.closest('svg') ? style.fill : style.color;
        const [one, other] = [over(behind), over([...behind, colour])].map(luminance);
        const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
        if (contrast < 4.5) faint.add(`${element.tagName}.${element.getAttribute('class')} ${contrast.toFixed(2)}`);
    }
    return [...faint];
})()";

/// Keeps a picture of the page for a person to look at, where
/// `SOCKLAB_SCREENSHOTS` names a folder.
fn keep(browser: &mut Browser, name: &str) {
    let Some(folder) = std::env::var_os("SOCKLAB_SCREENSHOTS") else {
        return;
    };
    let whole = json!({"captureBeyondViewport": true, "format": "png"});
    let taken = browser.call("Page.captureScreenshot", &whole);
    let png = STANDARD
        .decode(taken["data"].as_str().expect("base64"))
        .expect("base64");
    std::fs::write(Path::new(&folder).join(format!("{name}.png")), png).expect("it is written");
}

#[test]
fn a_packets_bytes_open_by_keyboard_and_without_script() {
    let Some((made, mut browser)) = page("a page by keyboard") else {
        return;
    };
    browser.call(
        "Emulation.setScriptExecutionDisabled",
        &json!({"value": true}),
    );
    browser.open(&made.path());
    complaints(&browser);
    browser.value("document.querySelector('button.hex').focus()");
    browser.press("Enter", 13, "\r");
    let open = "document.querySelector(':popover-open')";
    let words = browser.value(&format!("{open}.innerText"));
    let words = words.as_str().expect("text");
    for word in ["SYN", "IPv4, 20 bytes", "source port", "45"] {
        assert!(words.contains(word), "no {word:?} in {words}");
    }
    assert_eq!(browser.value("document.activeElement.textContent"), "Close");
    let name =
        format!("document.getElementById({open}.getAttribute('aria-labelledby')).textContent");
    assert!(
        browser
            .value(&name)
            .as_str()
            .expect("text")
            .starts_with("Packet 1: ")
    );
    browser.press("Escape", 27, "");
    assert_eq!(browser.value(&format!("{open} === null")), true);
    assert_eq!(browser.value("document.activeElement.className"), "hex");
}

#[test]
fn its_colours_can_be_chosen() {
    let Some((made, mut browser)) = page("a page's colours") else {
        return;
    };
    browser.open(&made.path());
    browser.show(1280, "light");
    let ground = "getComputedStyle(document.body).backgroundColor";
    let light = browser.value(ground);
    browser.value("document.getElementById('theme').focus()");
    browser.press("Enter", 13, "\r");
    assert_eq!(browser.value(ground), light, "light");
    browser.press("Enter", 13, "\r");
    assert_ne!(browser.value(ground), light, "dark");
    assert_eq!(
        browser.value("document.getElementById('theme').textContent"),
        "Colours: dark"
    );
}

#[test]
fn every_picture_has_a_name_and_says_in_words_what_it_shows() {
    let Some((made, mut browser)) = page("a page's pictures") else {
        return;
    };
    browser.open(&made.path());
    let pictures = browser.value(
        "[...document.querySelectorAll('svg[role=img]')].map(svg => {
            const named = (name) => document.getElementById(svg.getAttribute(name)).textContent;
            return [svg.closest('figure').id, named('aria-labelledby'), named('aria-describedby')];
        })",
    );
    let pictures = pictures.as_array().expect("pictures");
    for id in [
        "delivery",
        "latency",
        "distribution",
        "sequence-tcp",
        "window-tcp",
    ] {
        let picture = pictures.iter().find(|picture| picture[0] == id);
        let picture = picture.unwrap_or_else(|| panic!("no {id} in {pictures:?}"));
        assert!(
            picture[1].as_str().is_some_and(|name| name.len() > 5),
            "{picture}"
        );
        assert!(
            picture[2].as_str().is_some_and(|words| words.len() > 40),
            "{picture}"
        );
    }
    for (what, count) in [
        ("document.querySelectorAll('h1').length", 1),
        ("document.querySelectorAll('main').length", 1),
        (
            "document.querySelectorAll('table:not(:has(> caption))').length",
            0,
        ),
        (
            "document.querySelectorAll('svg:not([role=img]):not([aria-hidden=true])').length",
            0,
        ),
        (
            "(ids => ids.length - new Set(ids).size)([...document.querySelectorAll('[id]')].map(e => e.id))",
            0,
        ),
    ] {
        assert_eq!(browser.value(what), count, "{what}");
    }
}

#[test]
fn the_packets_in_it_are_a_whole_file() {
    let Some((made, mut browser)) = page("a page's packets") else {
        return;
    };
    browser.open(&made.path());
    let link = browser.value("document.querySelector('a[download]').href");
    let data = link
        .as_str()
        .expect("a link")
        .split_once("base64,")
        .expect("base64")
        .1;
    let file = STANDARD.decode(data).expect("base64");
    let packets = capture_file::parse(&file);
    assert_eq!(packets.len(), made.packets());
    let lost = packets
        .iter()
        .filter(|packet| packet.comment.starts_with("lost: "));
    assert!(lost.count() > 0, "the link lost some, and says which");
}

/// A page stays small however long the run is, and says what it left out.
#[test]
fn a_long_run_is_a_bounded_page_that_says_so() {
    if !support::may_make_namespaces("the page of a long run") {
        return;
    }
    let long = ["-c", "4000", "-i", "0", "-s", "1000"];
    let Some(made) = Made::of(&Program::new(), &long) else {
        return;
    };
    let page = std::fs::read_to_string(made.path()).expect("UTF-8");
    assert!(page.len() < 16 << 20, "{} bytes", page.len());
    for words in [
        "packets the first 4,000 known are here",
        "Cut at 4,096 KiB",
        "The first 200 of",
    ] {
        assert!(page.contains(words), "it does not say {words:?}");
    }
}

/// No errors, no warnings, no exceptions.
fn complaints(browser: &Browser) {
    for kind in [
        "Log.entryAdded",
        "Runtime.exceptionThrown",
        "Runtime.consoleAPICalled",
    ] {
        let said: Vec<&Value> = browser.told(kind).collect();
        assert!(said.is_empty(), "{kind}: {said:?}");
    }
}

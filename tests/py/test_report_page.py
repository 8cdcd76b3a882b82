"""The report in a real browser: nothing fails, nothing is loaded, everything is there and can be read."""

import pytest
from browser import Browser, find_browser
from reported import make_experiment

SCREENS = {"laptop": (1366, 768), "phone": (390, 844)}

# What does not lie within the screen; parts of drawings may reach out of their frames, which hide them.
OUTSIDE = """(width => [...document.querySelectorAll('body *:not(svg svg, svg svg *)')].filter(e => {
  const r = e.getBoundingClientRect();
  return r.width > 0 && (r.left < -1 || r.right > width + 1);
}).map(e => e.outerHTML.slice(0, 80)))"""

# Cells whose text reaches into the next one.
TOO_LONG = """[...document.querySelectorAll('td, th, dd, figcaption, h1, h2, h3')]
  .filter(e => e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0).map(e => e.textContent)"""

# Texts of figures: what they say, their place on the page, and the size of their letters there in pixels.
TEXTS = """[...document.querySelectorAll('figure')].map(f => [...f.querySelectorAll('svg text')].map(t => {
  const r = t.getBoundingClientRect();
  const size = parseFloat(getComputedStyle(t).fontSize) * t.getScreenCTM().a;
  return {text: t.textContent, left: r.left, right: r.right, top: r.top, bottom: r.bottom,
          size: size || parseFloat(getComputedStyle(t).fontSize) * Math.abs(t.getScreenCTM().b)};
}))"""

FIGURES = """[...document.querySelectorAll('figure > svg')].map(f => {
  const r = f.getBoundingClientRect();
  const drawn = [...f.querySelectorAll('svg polyline, svg polygon')].filter(e => e.getBBox().width > 20);
  return {name: f.getAttribute('aria-label'), width: r.width, height: r.height, drawn: drawn.length};
})"""

# Pairs of colours, text and what it stands on, as [r, g, b].
COLOURS = """[...document.querySelectorAll('h1, p, small, td, th, dt, dd, a, figcaption span, figure text')].map(e => {
  const of = c => c.match(/[\\d.]+/g).map(Number);
  let below = e;
  while (below && (of(getComputedStyle(below).backgroundColor)[3] ?? 1) === 0) below = below.parentElement;
  const style = getComputedStyle(e);
  return [of(e instanceof SVGElement ? style.fill : style.color),
          of(getComputedStyle(below ?? document.body).backgroundColor), e.textContent.slice(0, 30)];
})"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory, missing):
    program = find_browser()
    if program is None:
        missing("no Chromium on the path; apt install chromium, or SV_CHROMIUM")
    browser = Browser(program, tmp_path_factory.mktemp("browser"))
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def page(tmp_path_factory, root):
    """The report of two experiments."""
    import subprocess

    folder = tmp_path_factory.mktemp("exp")
    exps = [make_experiment(folder / name, seed=seed) for seed, name in enumerate(("ecapa", "resnet"))]
    subprocess.run([root / "steps/make_report.sh", "--bootstrap", "20", *exps], check=True, capture_output=True)
    return folder / "report.html"


def troubles(browser: Browser) -> list[str]:
    """What the browser complained of, and what it loaded besides the file."""
    told = [str(e["params"]) for e in browser.events if e["method"] in ("Log.entryAdded", "Runtime.exceptionThrown")]
    loaded = [e["params"]["request"]["url"] for e in browser.events if e["method"] == "Network.requestWillBeSent"]
    return told + loaded[1:]


def luminance(colour: list[float]) -> float:
    """Relative luminance of WCAG 2."""
    parts = [c / 255 / 12.92 if c <= 0.03928 * 255 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def test_what_would_be_wrong_is_found(browser, tmp_path):
    (tmp_path / "bad.html").write_text(
        '<!DOCTYPE html><meta name="viewport" content="width=device-width"><script>undefined_name()</script>'
        '<img src="http://localhost:9/x.png"><p style="width: 900px">wide</p><dd style="width: 20px">toolong</dd>'
    )
    browser.show(tmp_path / "bad.html", *SCREENS["phone"])
    found = " ".join(troubles(browser))
    assert "undefined_name" in found and "http://localhost:9/x.png" in found
    assert any("900px" in html for html in browser.evaluate(f"{OUTSIDE}(390)"))
    assert browser.evaluate(TOO_LONG) == ["toolong"]


@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_page_is_whole_and_legible(browser, page, screen, dark):
    width, height = SCREENS[screen]
    browser.show(page, width, height, dark)
    assert troubles(browser) == []
    assert browser.evaluate("document.documentElement.scrollWidth") == browser.evaluate("innerWidth") == width
    assert browser.evaluate(f"{OUTSIDE}({width})") == []
    assert browser.evaluate(TOO_LONG) == []
    heads = browser.evaluate("[...document.querySelectorAll('thead')].filter(e => e.offsetHeight > 0).length")
    assert (heads == 0) == (screen == "phone")  # there a row is a card, and each cell says what it is
    for text, below, what in browser.evaluate(COLOURS):
        light, shade = sorted((luminance(text), luminance(below)), reverse=True)
        assert (light + 0.05) / (shade + 0.05) >= 4.5, (what, text, below)
    if dark:
        assert luminance(browser.evaluate(COLOURS)[0][1]) < 0.05


@pytest.mark.parametrize("screen", SCREENS)
def test_every_figure_is_there_and_its_texts_can_be_read(browser, page, screen):
    browser.show(page, *SCREENS[screen])
    figures = browser.evaluate(FIGURES)
    kinds = [next(k for k in ("DET", "scores", "calibration", "") if f["name"].startswith(k)) for f in figures]
    assert {kind: kinds.count(kind) for kind in kinds} == {"DET": 6, "scores": 12, "calibration": 4, "": 6}
    for figure in figures:
        assert figure["width"] > 300 and figure["height"] > 200 and figure["drawn"], figure
    for name, texts in zip((f["name"] for f in figures), browser.evaluate(TEXTS), strict=True):
        assert texts, name
        for k, one in enumerate(texts):
            assert one["size"] >= 10, (name, one)
            for other in texts[k + 1 :]:
                apart = one["right"] <= other["left"] + 1 or other["right"] <= one["left"] + 1
                apart = apart or one["bottom"] <= other["top"] + 3 or other["bottom"] <= one["top"] + 3
                assert apart, f"{name}: '{one['text']}' lies on '{other['text']}'"

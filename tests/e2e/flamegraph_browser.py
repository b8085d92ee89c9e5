# SPDX-License-Identifier: MIT
"""What a flame graph does in a browser: zoom, search, details, keys, links, and what it must not do.

usage: flamegraph_browser.py CHECK FLAMEGRAPH FIXTURES DIR

CHECK is the name of a function below; tests/helpers/flamegraph_browser.bats calls each of them. DIR is for the pictures.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from chromium import Chromium  # noqa: E402

FLAMEGRAPH, FIXTURES, DIR = sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4])

# What the checks ask the page: frames by the beginning of their name, with what is seen of them.
HELPERS = """
window.names = document.querySelector('.fg-n').textContent.split('\\n');
window.frames_ = prefix => [...document.querySelectorAll('.f rect')].filter(r => names[r.frame.name].startsWith(prefix));
window.box = r => { const b = r.getBoundingClientRect(); return {x: b.x, y: b.y, width: b.width, height: b.height}; };
window.seen = r => r.style.display !== 'none';
window.status_ = () => document.querySelector('.panel span').textContent;
0
"""


def draw(folded: str | Path, *options: str, name: str = "picture") -> Path:
    """A picture of a fixture, or of the text of stacks."""
    text = (FIXTURES / folded).read_bytes() if isinstance(folded, Path) else folded.encode()
    out = DIR / f"{name}.svg"
    out.write_bytes(subprocess.run([FLAMEGRAPH, *options], input=text, stdout=subprocess.PIPE, check=True).stdout)
    return out


def look(c: Chromium, url: str | Path) -> None:
    c.open(url)
    c.js(HELPERS)


def click(c: Chromium, selector: str) -> None:
    b = c.js(f"box({selector})")
    c.mouse("click", b["x"] + b["width"] / 2, b["y"] + b["height"] / 2)


def equal(got: object, expected: object) -> None:
    assert got == expected, f"expected {expected!r}, got {got!r}"


def near(got: float, expected: float, within: float = 1.0) -> None:
    assert abs(got - expected) <= within, f"expected {expected} within {within}, got {got}"


def fits_the_window() -> None:
    with Chromium(width=1000) as c:
        look(c, draw(Path("python.folded")))
        equal(c.errors(), [])
        width = c.js("innerWidth")
        near(c.js("box(frames_('all')[0]).width"), width - 20)
        near(c.js("box(frames_('run')[0]).width"), (width - 20) * 80 / 100)
        c.call("Emulation.setDeviceMetricsOverride", width=700, height=600, deviceScaleFactor=1, mobile=False)
        c.js("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        near(c.js("box(frames_('all')[0]).width"), 680)
        # Every label is within its frame.
        inside = """[...document.querySelectorAll('.f text')].every(t => { const b = t.getBoundingClientRect(), mid = b.y + b.height / 2;
            return frames_('').some(r => { const f = box(r); return mid > f.y && mid < f.y + f.height && b.x >= f.x && b.right <= f.x + f.width; }); })"""
        assert c.js(inside)
        assert c.js("document.querySelectorAll('.f text').length") > 5


def a_click_zooms() -> None:
    with Chromium() as c:
        look(c, draw(Path("python.folded")))
        full, walk = c.js("box(frames_('all')[0]).width"), "frames_('walk')[0]"
        click(c, walk)
        near(c.js(f"box({walk}).width"), full)
        equal(c.js("frames_('parse').map(seen)"), [False])
        equal(c.js("frames_('gc_collect').map(seen)"), [False])
        equal(c.js("frames_('run').map(r => seen(r) && r.parentNode.classList.contains('up'))"), [True])
        near(c.js("box(frames_('run')[0]).width"), full)
        equal(c.js("frames_('walk').map(seen)"), [True, True, True])
        assert "at=3," in c.js("location.hash")
        assert c.js("[...document.querySelectorAll('.f text')].map(t => t.textContent)").count("walk (app/tree.py:7)") == 1
        click(c, "document.querySelector('.panel button')")
        near(c.js("box(frames_('run')[0]).width"), full * 80 / 100)
        equal(c.js("frames_('parse').map(seen)"), [True])
        equal(c.js("location.hash"), "")
        click(c, walk)
        c.key("Escape")
        near(c.js("box(frames_('run')[0]).width"), full * 80 / 100)
        equal(c.errors(), [])


def narrow_frames_are_exact_when_zoomed() -> None:
    with Chromium() as c:
        # Frames of a tenth of a px: what the drawing rounds, the zoom does not.
        stacks = "main;big 1000000\n" + "".join(f"main;thin;part{i} {30 + 10 * i}\n" for i in range(5))
        look(c, draw(stacks, "--minwidth", "0"))
        c.js("frames_('thin')[0].dispatchEvent(new MouseEvent('click', {bubbles: true}))")
        full = c.js("box(frames_('all')[0]).width")
        for i in range(5):
            near(c.js(f"box(frames_('part{i}')[0]).width"), full * (30 + 10 * i) / 250)


def search_marks_and_sums() -> None:
    with Chromium() as c:
        look(c, draw(Path("python.folded")))
        c.key("f", modifiers=2)
        c.type("walk")
        # Three nested frames of 25 weigh 25.
        equal(c.js("status_()"), "25.00 % (25 samples) in 3 frames")
        equal(c.js("frames_('walk').every(r => r.classList.contains('m'))"), True)
        equal(c.js("frames_('parse').some(r => r.classList.contains('m'))"), False)
        assert "find=walk" in c.js("location.hash")
        c.key("Escape")
        equal(c.js("status_()"), "")
        equal(c.js("document.querySelectorAll('.m').length"), 0)
        c.key("/")
        c.type("^(parse|write)")
        equal(c.js("status_()"), "50.00 % (50 samples) in 2 frames")
        c.key("Escape")
        c.key("/")
        c.type("WALK")
        equal(c.js("status_()"), "0.00 % (0 samples) in 0 frames")
        c.key("Escape")
        c.key("/")
        c.type("walk (")  # no regular expression
        equal(c.js("status_()"), "25.00 % (25 samples) in 3 frames")
        equal(c.errors(), [])


def details_follow_the_mouse() -> None:
    with Chromium() as c:
        look(c, draw(Path("waits.folded")))
        b = c.js("box(frames_('embed (app/embed.py:69)')[0])")
        c.mouse("mouseMoved", b["x"] + 20, b["y"] + 5)
        equal(c.js("[...document.querySelectorAll('.tip text')].map(t => t.textContent)"),
              ["embed (app/embed.py:69)", "5.20 s, 56.52 %", "own 0.00 us, 0.00 %"])  # fmt: skip
        for name in ("embed (app/embed.py:69)", "state (app/state.py:8)"):
            b = c.js(f"box(frames_('{name}')[0])")
            for x in (1, b["width"] - 2):
                c.mouse("mouseMoved", b["x"] + x, b["y"] + 5)
                tip = c.js("box(document.querySelector('.tip rect'))")
                assert 0 <= tip["x"] and tip["x"] + tip["width"] <= c.js("innerWidth"), tip
        c.mouse("mouseMoved", 5, 5)
        equal(c.js("document.querySelector('.tip').style.display"), "none")


def details_of_a_difference() -> None:
    with Chromium() as c:
        look(c, draw("# weights: baseline candidate\nmain;a 10 30\nmain;b 20 5\n", "--diff"))
        b = c.js("box(frames_('a')[1])")
        c.mouse("mouseMoved", b["x"] + 20, b["y"] + 5)
        equal(c.js("[...document.querySelectorAll('.tip text')].map(t => t.textContent)[3]"), "baseline 10 samples; change +20 samples")
        look(c, draw("main;a 10 30\nmain;b 20 5\n", "--diff", "--widths", "baseline"))
        b = c.js("box(frames_('b')[0])")
        c.mouse("mouseMoved", b["x"] + 20, b["y"] + 5)
        equal(c.js("[...document.querySelectorAll('.tip text')].map(t => t.textContent)[3]"), "candidate 5 samples; change -15 samples")


def keys_walk_and_zoom() -> None:
    with Chromium() as c:
        for options, outward, inward in (((), "ArrowDown", "ArrowUp"), (("--icicle",), "ArrowUp", "ArrowDown")):
            look(c, draw(Path("python.folded"), *options))
            picked = "(r => r && names[r.frame.name])(document.querySelector('.k'))"
            for key, name in ((inward, "<module> (app/main.py:40)"), (inward, "_find_and_load (<frozen importlib._bootstrap>:1360)"),
                              ("ArrowRight", "run (app/core.py:12)"), (inward, "parse (json/decoder.py:340)"),
                              ("ArrowRight", "send (/usr/lib/python3/dist-packages/httpx/_client.py:9)"),
                              ("ArrowLeft", "parse (json/decoder.py:340)"), (outward, "run (app/core.py:12)")):  # fmt: skip
                c.key(key)
                equal(c.js(picked), name)
            assert c.js("status_()").startswith("run (app/core.py:12); 80 samples, 80.00 %")
            c.key("Enter")
            near(c.js("box(frames_('run')[0]).width"), c.js("box(frames_('all')[0]).width"))
            equal(c.errors(), [])


def the_callers_come_into_view() -> None:
    root, tall = "box(frames_('all')[0]).y < innerHeight", draw(tall_text(), name="tall")
    with Chromium() as c:
        c.call("Emulation.setFocusEmulationEnabled", enabled=True)
        look(c, tall)
        equal(c.js(f"[scrollY > 0, {root}]"), [True, True])
        # A picture that hangs from the top, and one that fits, stay where they are.
        for picture in (draw(tall_text(), "--icicle"), draw(Path("python.folded"))):
            look(c, picture)
            equal(c.js("scrollY"), 0)
        c.call("Page.addScriptToEvaluateOnNewDocument", source="document.hasFocus = () => false")
        look(c, tall)
        equal(c.js(f"[scrollY, {root}]"), [0, False])
        c.mouse("mouseMoved", 500, 300)
        equal(c.js(root), True)


def tall_text() -> str:
    return ";".join(f"f{i}" for i in range(100)) + " 1\n"


def the_legend_marks() -> None:
    with Chromium() as c:
        look(c, draw(Path("python.folded")))
        entry = "[...document.querySelectorAll('.l')].find(l => l.textContent.startsWith('json'))"
        click(c, entry)
        equal(c.js("status_()"), "30.00 % (30 samples) in 1 frame")


def a_link_opens_as_it_was() -> None:
    with Chromium() as c:
        picture = draw(Path("python.folded"))
        look(c, picture.resolve().as_uri() + "#at=2,12&find=" + quote("walk|parse"))
        near(c.js("box(frames_('run')[0]).width"), c.js("box(frames_('all')[0]).width"))
        equal(c.js("status_()"), "55.00 % (55 samples) in 4 frames")
        # A link to a frame that is not there is the whole picture.
        c.js("location.hash = '#at=99,5'; new Promise(done => addEventListener('hashchange', () => setTimeout(done)))")
        near(c.js("box(frames_('run')[0]).width"), c.js("box(frames_('all')[0]).width") * 80 / 100)
        equal(c.js("status_()"), "")
        equal(c.errors(), [])


def hostile_names_do_nothing() -> None:
    with Chromium() as c:
        c.call("Network.enable")
        look(c, draw(Path("hostile.folded"), "--title", "</title><script>alert(0)</script>", "--unit", "\"><script>"))
        c.key("f", modifiers=2)
        c.type("<img")
        for i in range(0, c.js("frames_('').length"), 3):
            b = c.js(f"box(frames_('')[{i}])")
            c.mouse("mouseMoved", b["x"] + b["width"] / 2, b["y"] + 5)
        click(c, "frames_('javascript')[0]")
        equal(c.errors(), [])
        equal([e for e in c.events if e["method"] == "Page.javascriptDialogOpening"], [])
        asked = [e["params"]["request"]["url"] for e in c.events if e["method"] == "Network.requestWillBeSent"]
        equal([url for url in asked if not url.startswith("file:")], [])
        equal(c.js("document.querySelectorAll('script').length"), 1)
        equal(c.js("document.querySelectorAll('img, i, b').length"), 0)
        equal(c.js("document.querySelector('title').textContent"), "</title><script>alert(0)</script>")


def works_within_a_page() -> None:
    with Chromium() as c:
        picture = draw(Path("python.folded")).read_text()
        page = DIR / "page.html"
        page.write_text(f"<!doctype html><meta charset=utf-8><h1>Report</h1><div style='width:800px'>{picture}</div><p class=s>text</p>")
        look(c, page)
        equal(c.errors(), [])
        near(c.js("box(frames_('all')[0]).width"), 780)
        click(c, "frames_('walk')[0]")
        near(c.js("box(frames_('walk')[0]).width"), 780)
        equal(c.js("location.hash"), "")
        # Its rules are for itself alone.
        equal(c.js("getComputedStyle(document.querySelector('p')).fontSize"), "16px")


def is_seen_without_script() -> None:
    with Chromium() as c:
        url = "data:image/svg+xml," + quote(draw(Path("python.folded")).read_text())
        c.open("about:blank")
        pixel = c.js(f"""new Promise((done, fail) => {{ const i = new Image(); i.onerror = fail; i.src = {json.dumps(url)}; i.onload = () => {{
            const canvas = document.createElement('canvas'); canvas.width = i.width; canvas.height = i.height;
            const g = canvas.getContext('2d'); g.drawImage(i, 0, 0);
            done([i.width, i.height, ...g.getImageData(600, i.height - 20, 1, 1).data.slice(0, 3)]); }} }})""")
        equal(pixel[0], 1200)
        equal(pixel[2:], [0xE4, 0xE0, 0xDA])  # the root's colour


def text_can_be_read() -> None:
    """Contrast of labels to their frames, and of texts to the background, by WCAG 2: at least 4.5, light and dark."""
    contrast = """(() => {
        const rgb = s => s.match(/[\\d.]+/g).slice(0, 3).map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        const light = s => rgb(s).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
        const ratio = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
        const fill = e => getComputedStyle(e).fill, label = fill(document.querySelector('.f text')), ground = fill(document.querySelector('.bg'));
        return Math.min(...frames_('').map(r => ratio(fill(r), label)), ...[...document.querySelectorAll('.h, .s')].map(t => ratio(fill(t), ground))); })()"""
    stages = "".join(f"stage{i}\ts{i}\n" for i in range(12))
    stacks = "".join(f"stage{i};[running] 10\nx{i};stage{i};[gil] 10\n" for i in range(12)) + "plain;[lock] 9\nplain2 9\n"
    (DIR / "map").write_text(stages)
    change = "".join(f"main;f{i} {100 + w} 100\n" for i, w in enumerate((-90, -40, -9, -3, 0, 3, 9, 40, 90)))
    pictures = [draw(stacks, "--stages", str(DIR / "map"), name="a"), draw(stacks, "--colors", "hash", name="b"),
                draw("".join(f"f (p{i}/a.py:1) 5\nf (p{i}/a.py:1);[gil] 6\n" for i in range(14)), name="c"), draw(change, "--diff", name="d")]  # fmt: skip
    with Chromium() as c:
        for scheme in ("light", "dark"):
            c.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
            for picture in pictures:
                look(c, picture)
                least = c.js(contrast)
                print(f"{picture.stem} {scheme}: {least:.2f}")
                assert least >= 4.5, (picture, scheme, least)


globals()[sys.argv[1]]()

"""The page in a real browser: one visitor goes through every tab.

Conventions
-----------
pictures
    With ``MUSE_SCREENSHOTS=docs/page`` the test keeps pictures of what it saw in that folder; without, it keeps none.
"""

from __future__ import annotations

import io
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import wave
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import symusic

pytest.importorskip("gradio", reason="the page needs the extra `demo`", exc_type=ImportError)
playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed", exc_type=ImportError)

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PICTURES = os.environ.get("MUSE_SCREENSHOTS")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (apt-get install chromium)"),
]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page, served by the command that people use."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("page") / "log.txt"
    with log.open("wb") as stream:
        command = [sys.executable, "-m", "muse", "demo", "--port", str(port), "--no-browser"]
        server = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            try:
                with urllib.request.urlopen(f"{url}/health", timeout=5):
                    break
            except (urllib.error.URLError, ConnectionError):
                assert server.poll() is None, log.read_text(errors="replace")
                time.sleep(0.5)
        else:
            pytest.fail(f"the page was not served: {log.read_text(errors='replace')}")
        yield url
    finally:
        server.terminate()
        server.wait(timeout=30)


class Visitor:
    """A browser window with what it asked for and what went wrong in it."""

    def __init__(self, page: Any, address: str) -> None:
        self.page, self.address = page, address
        self.hosts: set[str] = set()
        self.faults: list[str] = []
        page.on("request", lambda one: self.hosts.add("/".join(one.url.removeprefix("blob:").split("/")[:3])))
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", lambda message: self.faults.append(message.text) if message.type == "error" else None)

    def tab(self, name: str) -> None:
        self.page.get_by_role("tab", name=name).click()

    def set_work(self, bars: int, candidates: int) -> None:
        self.page.fill("#bars :is(input, textarea)", str(bars))
        self.page.fill("#candidates input[type=number]", str(candidates))
        self.page.keyboard.press("Tab")

    def fetch(self, ending: str) -> bytes:
        link = self.page.locator(f"#player .files a[href$='.{ending}']")
        with self.page.expect_download() as coming:
            link.click()
        return Path(coming.value.path()).read_bytes()

    def picture(self, name: str) -> None:
        """Desktop and phone, light and dark."""
        if not PICTURES:
            return
        from PIL import Image

        folder = Path(PICTURES)
        folder.mkdir(parents=True, exist_ok=True)
        for device, width, height in (("desktop", 1200, 900), ("phone", 390, 844)):
            self.page.set_viewport_size({"width": width, "height": height})
            for scheme in ("light", "dark"):
                self.page.emulate_media(color_scheme=scheme)
                self.page.evaluate("document.activeElement.blur(); window.scrollTo(0, 0)")
                self.page.wait_for_timeout(500)
                shot = self.page.screenshot(
                    full_page=True,
                    clip={"x": 0, "y": 0, "width": width, "height": 1500 if device == "phone" else height},
                )
                small = Image.open(io.BytesIO(shot)).convert("RGB").quantize(64)
                small.save(folder / f"{name}-{device}-{scheme}.png", optimize=True)
        self.page.set_viewport_size({"width": 1200, "height": 900})
        self.page.emulate_media(color_scheme="light")


@pytest.fixture
def visitor(address: str) -> Iterator[Visitor]:
    with playwright.sync_playwright() as driver:
        # Sound without a click is what the test listens to; the sandbox of Chromium does not start in containers.
        arguments = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=arguments)
        page = browser.new_page(viewport={"width": 1200, "height": 900}, color_scheme="light")
        page.set_default_timeout(60_000)
        playwright.expect.set_options(timeout=60_000)
        yield Visitor(page, address)
        browser.close()


def test_a_visitor_goes_through_every_tab(visitor: Visitor, tmp_path: Path) -> None:
    visitor.page.goto(visitor.address)
    midi = composes(visitor, tmp_path)
    is_refused(visitor)
    stops(visitor)
    composes_from_files(visitor, tmp_path)
    recognizes(visitor, midi, tmp_path)
    explores(visitor)
    assert visitor.hosts == {visitor.address}, "the page asked another host"
    assert not visitor.faults
    assert visitor.page.evaluate("window.pwned === undefined"), "what a visitor wrote was run"


def composes(visitor: Visitor, folder: Path) -> Path:
    page = visitor.page
    plane = page.locator("#plane svg")
    plane.click(position={"x": 90, "y": 230})
    page.wait_for_selector("#plane circle.asked")
    said = page.locator("#plane output").inner_text()
    plane.focus()
    page.keyboard.press("ArrowLeft")
    playwright.expect(page.locator("#plane output")).not_to_have_text(said)
    page.fill("#text textarea", "a wistful evening, for piano")
    page.click("#more button")
    visitor.set_work(4, 1)
    started = time.monotonic()
    page.click("#compose")
    page.wait_for_selector("#player audio", state="attached")
    assert time.monotonic() - started < 60
    playwright.expect(page.locator("#told")).to_contain_text("by the selector")
    playwright.expect(page.locator("#told")).to_contain_text("Asked against measured")
    page.wait_for_selector("#plane circle.heard")
    page.wait_for_function("document.querySelector('#player audio').duration > 1")
    page.evaluate("document.querySelector('#player audio').play()")
    page.wait_for_function("document.querySelector('#player audio').currentTime > 0.2")
    page.evaluate("document.querySelector('#player audio').pause()")
    painted = page.evaluate(
        "(() => { const c = document.querySelector('#player canvas');"
        "const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
        "let n = 0; for (let i = 3; i < d.length; i += 4) n += d[i] > 60; return n; })()"
    )
    assert painted > 500, "the piano roll is empty"
    return opens_every_download(visitor, folder, page.evaluate("document.querySelector('#player audio').duration"))


def opens_every_download(visitor: Visitor, folder: Path, seconds: float) -> Path:
    import json

    midi = folder / "piece.mid"
    midi.write_bytes(visitor.fetch("mid"))
    n_notes = sum(len(track.notes) for track in symusic.Score.from_midi(midi.read_bytes()).tracks)
    document = json.loads(visitor.fetch("json"))
    assert document["n_notes"] == n_notes > 0
    assert document["bars"] == 4
    sound = visitor.fetch("wav")
    (folder / "piece.wav").write_bytes(sound)
    with wave.open(io.BytesIO(sound)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
        assert file.getnframes() / file.getframerate() == pytest.approx(seconds, abs=0.1)
    assert seconds >= document["duration_s"] - 0.1
    assert np.sqrt(np.mean(np.square(samples / 32768))) > 0.005, "silence"
    visitor.page.locator("#player summary").click()
    visitor.page.wait_for_function("document.querySelector('#player .sheet img')?.naturalWidth > 100")
    visitor.page.locator("#player summary").click()
    assert visitor.fetch("pdf").startswith(b"%PDF-")
    sheet = ET.fromstring(visitor.fetch("musicxml"))
    assert sheet.tag == "score-partwise"
    assert len(sheet.findall(".//note/pitch")) > 0
    visitor.page.click("#more button")
    visitor.picture("compose")
    visitor.page.click("#more button")
    return midi


def is_refused(visitor: Visitor) -> None:
    """What is no emotion is told as it was written, and not run."""
    evil = "<img src=x onerror=window.pwned=1>"
    visitor.page.fill("#word input", evil)
    visitor.page.keyboard.press("Enter")
    visitor.page.click("#compose")
    playwright.expect(visitor.page.locator("#status .fault")).to_contain_text(evil)
    visitor.page.fill("#word input", "sad")
    visitor.page.keyboard.press("Enter")


def stops(visitor: Visitor) -> None:
    visitor.set_work(64, 4)
    visitor.page.click("#compose")
    visitor.page.wait_for_selector("#status progress")
    visitor.page.wait_for_selector("#player .chords")  # the first bars, while the others are written
    assert visitor.page.locator("#player audio").count() == 0
    visitor.page.wait_for_selector("#stop:not([disabled])")
    visitor.page.click("#stop")
    playwright.expect(visitor.page.locator("#status")).to_contain_text("Stopped")


def composes_from_files(visitor: Visitor, folder: Path) -> None:
    """A picture, then a hummed tune: what is told of them, and in the music, is theirs."""
    from PIL import Image

    page = visitor.page
    picture = folder / "sunset.png"
    Image.linear_gradient("L").convert("RGB").save(picture)
    hummed = folder / "tune.wav"
    pitches = (60, 62, 64, 67, 65, 64, 62, 60)
    write_hum(hummed, pitches)
    page.fill("#text textarea", "")
    page.click("#plane [data-clear]")
    page.fill("#word input", "")
    page.keyboard.press("Enter")
    visitor.set_work(4, 1)

    page.set_input_files("#file input[type=file]", picture)
    page.wait_for_selector(f"#file :text('{picture.stem}')")
    page.click("#compose")
    told = page.locator("#told")
    playwright.expect(told).to_contain_text("plain_colour")
    playwright.expect(page.locator("#player .again")).to_have_count(0)  # no link: the picture is not kept
    page.click("#file button[aria-label='Clear'], #file button[aria-label='Remove this file']")

    page.click("#hum button[aria-label='Upload file']")
    page.set_input_files("#hum input[type=file]", hummed)
    page.wait_for_selector("#hum [data-testid^='waveform']")
    page.click("#compose")
    playwright.expect(told).to_contain_text("melody: C4 D4 E4 G4 F4 E4 D4 C4")
    playwright.expect(told).not_to_contain_text("plain_colour")
    notes = [n for track in symusic.Score.from_midi(visitor.fetch("mid")).tracks for n in track.notes]
    assert opens_with(notes, pitches), "the piece does not open with the tune"


def opens_with(notes: list[Any], pitches: Sequence[int]) -> bool:
    """Whether the pitches come one after the other, in some octave, the first of them first of all."""
    for octave in (-12, 0, 12):
        before = -1
        for pitch in pitches:
            before = min((n.time for n in notes if n.pitch == pitch + octave and n.time > before), default=-1)
            if before < 0:
                break
        else:
            return any(n.time == 0 and n.pitch == pitches[0] + octave for n in notes)
    return False


def write_hum(path: Path, pitches: Sequence[int], rate: int = 16_000) -> None:
    """Half-second tones with three harmonics and soft edges."""
    seconds = np.arange(rate // 2) / rate
    edges = np.minimum(1, np.minimum(seconds, seconds[::-1]) / 0.03)
    tones = [
        edges * sum(np.sin(2 * np.pi * k * 440 * 2 ** ((pitch - 69) / 12) * seconds) / k for k in (1, 2, 3))
        for pitch in pitches
    ]
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes((np.concatenate(tones) * 12_000).astype(np.int16).tobytes())


def recognizes(visitor: Visitor, midi: Path, folder: Path) -> None:
    page = visitor.page
    broken = folder / "<img src=x onerror=window.pwned=2>.mid"
    broken.write_bytes(b"MThd" + bytes(40))
    visitor.tab("Recognize")
    page.set_input_files("#heard-file input[type=file]", broken)
    page.wait_for_selector("#heard-file .file-preview, #heard-file table")
    page.click("#recognize")
    fault = page.locator("#recognized .fault")
    playwright.expect(fault).to_be_visible()
    assert "/tmp" not in fault.inner_text()
    for file, shown in ((midi, "4 bars"), (folder / "piece.wav", "Tags")):
        page.click("#heard-file button[aria-label='Clear'], #heard-file button[aria-label='Remove this file']")
        page.set_input_files("#heard-file input[type=file]", file)
        page.wait_for_selector(f"#heard-file :text('{file.stem}')")
        page.click("#recognize")
        playwright.expect(page.locator("#recognized")).to_contain_text(shown)
        page.wait_for_selector("#drawn img")
    visitor.picture("recognize")


def explores(visitor: Visitor) -> None:
    page = visitor.page
    visitor.tab("Explore")
    before = page.locator("#asked-of").inner_text()
    page.locator("#explore-plane svg").click(position={"x": 60, "y": 300})
    playwright.expect(page.locator("#asked-of")).not_to_have_text(before)
    playwright.expect(page.locator("#asked-of")).to_contain_text("Mean Tempo")
    visitor.picture("explore")
    visitor.tab("About")
    page.get_by_role("button", name="planner").click()
    playwright.expect(page.locator("body")).to_contain_text("Muse planner")
    visitor.picture("about")

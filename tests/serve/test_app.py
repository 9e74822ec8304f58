"""The service, with a process that composes: the same music as anywhere, and every fault in one line."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import re
import signal
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

import muse
from muse.audio import write_audio
from muse.score import NOTE_DTYPE, bar_grid, note_array, read_score
from muse.serve import create_app
from muse.serve.jobs import OverdueError
from muse.serve.work import Compose
from muse.tasks.request import FILES, ComposeRequest, about
from muse.tasks.uploads import FIELD_KINDS

SHORT = {"emotion": "sad", "bars": 2, "candidates": 1, "seed": 5}
LONG = {"emotion": "happy", "bars": 64, "candidates": 4, "seed": 5}


@pytest.fixture(scope="module")
def app() -> FastAPI:
    return create_app(n_workers=1, n_batch=2, max_waiting=1)


@pytest.fixture(scope="module")
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app) as entered:
        yield entered


@pytest.fixture(scope="module")
def midi(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What composing here gives."""
    path = tmp_path_factory.mktemp("here") / "x.mid"
    muse.compose("sad", bars=2, n_candidates=1, seed=5).save(path)
    return path.read_bytes()


def test_the_music_is_the_same_in_every_form(client: TestClient, midi: bytes) -> None:
    plain = client.post("/compose?format=mid", json=SHORT)
    assert plain.headers["Content-Type"] == "audio/midi" and plain.headers["X-Muse-Seed"] == "5"
    assert plain.content == midi
    document = client.post("/compose", json=SHORT).json()
    assert base64.b64decode(document["midi"]) == midi and document["seed"] == 5 and document["evidence"] == []
    sheet = client.post("/compose?format=musicxml", json=SHORT)
    assert b"score-partwise" in sheet.content


def test_the_client_of_the_readme_gets_its_piece(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```py\n(.*?)^```$", readme, re.M | re.S)

    def urlopen(asked: urllib.request.Request, timeout: float) -> io.BytesIO:
        assert asked.full_url.startswith("http://127.0.0.1:8000/")
        answer = client.post(asked.full_url.removeprefix("http://127.0.0.1:8000"), content=asked.data,
                             headers=dict(asked.header_items()))  # fmt: skip
        return io.BytesIO(answer.raise_for_status().content)

    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    assert bar_grid(read_score(tmp_path / "sad.mid")).n_bars == 8


def test_a_stream_tells_how_far_it_is_and_ends_with_the_piece(client: TestClient, midi: bytes) -> None:
    blocks = client.post("/compose/stream", json=SHORT | {"text": "sad"}).text.strip().split("\n\n")
    events = [(lines[0].removeprefix("event: "), json.loads(lines[1].removeprefix("data: "))) for lines in
              (block.split("\n") for block in blocks)]  # fmt: skip
    names = [name for name, _ in events]
    assert names[0] == "understood" and names[-1] == "piece" and set(names[1:-1]) == {"progress", "bar"}
    assert events[0][1]["intent"]["bars"] == 2 and events[0][1]["evidence"]
    shares = [data["share"] for name, data in events if name == "progress"]
    assert shares == sorted(shares)
    assert base64.b64decode(events[-1][1]["midi"]) == midi and events[-1][1]["order"] == [0]
    bars = [data for name, data in events if name == "bar"]
    assert [(bar["candidate"], bar["bar"], bar["n_bars"]) for bar in bars] == [(0, 0, 2), (0, 1, 2)]
    assert " | ".join(bar["chords"] for bar in bars) == events[-1][1]["chords"]
    told = np.array([tuple(note) for bar in bars for note in bar["notes"]], NOTE_DTYPE)
    made = note_array(read_score(midi))
    assert told[["pitch", "program", "track"]].tolist() == made[["pitch", "program", "track"]].tolist()
    np.testing.assert_allclose(told["onset_beat"], made["onset_beat"], atol=1e-4)
    wrong = client.post("/compose/stream", json={"genre": "polka"}).text.strip().split("\n\n")[-1]
    assert wrong.startswith("event: fault") and '"status": 422' in wrong and "unknown genre" in wrong


def test_files_are_read_by_their_content(client: TestClient, midi: bytes, tmp_path: Path) -> None:
    found = client.post("/analyze", content=midi).json()
    assert found["bars"] == 2 and found["verdict"]["text"] and "file" not in found
    seconds = np.arange(32_000) / 16_000
    write_audio((0.2 * np.sin(2 * np.pi * 220 * seconds)).astype(np.float32), 16_000, tmp_path / "a.wav")
    sound = (tmp_path / "a.wav").read_bytes()
    heard = client.post("/recognize?dynamic=true", content=sound).json()
    assert len(heard["curve"]) == 4 and heard["emotion"]["quadrant"]
    assert "curve" not in client.post("/analyze", content=sound).json()
    for path, content in (("/analyze", b"no music"), ("/analyze", b""), ("/recognize", midi), ("/recognize", b"ID3")):
        refused = client.post(path, content=content)
        assert refused.status_code == 422
        assert "the file" in refused.json()["error"] and "muse-serve" not in refused.json()["error"]


def test_what_is_heard_is_written_down(client: TestClient, tmp_path: Path) -> None:
    seconds = np.arange(22_050) / 22_050
    tones = [sum(np.sin(2 * np.pi * 440 * 2 ** ((p - 69) / 12) * k * seconds) / k for k in (1, 2, 3)) for p in (60, 64)]
    write_audio((0.2 * np.concatenate(tones)).astype(np.float32), 22_050, tmp_path / "a.wav")
    sound = (tmp_path / "a.wav").read_bytes()
    document = client.post("/transcribe", content=sound).json()
    notes = note_array(read_score(base64.b64decode(document["midi"])))
    assert len(notes) == document["n_notes"] and {60, 64} <= set(notes["pitch"].tolist())
    assert "file" not in document and "output" not in document
    file = client.post("/transcribe?format=mid", content=sound)
    assert file.headers["Content-Type"] == "audio/midi" and read_score(file.content).tracks
    assert "unknown format 'pdf'" in client.post("/transcribe?format=pdf", content=sound).json()["error"]
    write_audio(np.zeros(22_050, np.float32), 22_050, tmp_path / "b.wav")
    for content, told in ((b"no music", "give a recording"), ((tmp_path / "b.wav").read_bytes(), "no notes are heard")):
        refused = client.post("/transcribe", content=content)
        assert refused.status_code == 422 and told in refused.json()["error"]
        assert "muse-serve" not in refused.json()["error"]


def test_prompts_are_text_and_files_that_came_along(client: TestClient, midi: bytes) -> None:
    from PIL import Image

    picture = io.BytesIO()
    Image.new("RGB", (40, 30), (200, 30, 30)).save(picture, "PNG")
    files = {"image": base64.b64encode(picture.getvalue()).decode(), "like": base64.b64encode(midi).decode()}
    found = client.post("/intent", json={"text": "a waltz", **files}).json()
    assert found["intent"]["time_signature"] == "3/4"
    assert {row["source"] for row in found["evidence"]} > {"stated"}
    assert client.post("/intent", json={}).status_code == 422


def test_tunes_and_lead_sheets_come_along_too(client: TestClient) -> None:
    def asked(name: str, text: str) -> httpx.Response:
        return client.post(
            "/compose", json={name: base64.b64encode(text.encode()).decode(), "candidates": 1, "seed": 1}
        )

    abc = "X:1\nT:x\nM:4/4\nL:1/4\nK:C\n"
    assert asked("melody", abc + '"C"CDEF|"G"GABc|"F"cBAG|"C"FEDC|\n').json()["intent"]["melody"]
    assert asked("plan", abc + '"C"CDEF|"G"GABc|\n').json()["bars"] == 2
    assert "bars is 65; legal here are 1..64" in asked("plan", abc + '"C"CDEF|' * 65 + "\n").json()["error"]
    assert "the file" in asked("plan", abc + "?").json()["error"]


def test_every_field_that_is_a_file_has_its_kinds() -> None:
    assert set(FIELD_KINDS) == set(FILES)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"emotoin": "sad"}, "unknown field 'emotoin': did you mean 'emotion'?"),
        ({"bars": 65}, "bars: "),
        ({"candidates": 9}, "candidates: "),
        ({"bars": "8"}, "bars: "),
        ({"emotion": "sad", "arc": "sad>calm"}, "contradict one another"),
        ({"text": "a sad song, 200 bars"}, "bars is 200; legal here are 1..64"),
        ({"text": "x" * 2001}, "text: "),
        ({"genre": "polka"}, "unknown genre 'polka'"),
        ({"like": "/etc/passwd"}, "like: "),
        ({"like": base64.b64encode(b"/etc/passwd").decode()}, "the file is none that is taken here"),
        ({"image": base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()}, "the file"),
        ([], "the body"),
    ],
)
def test_what_is_not_legal_is_told_in_one_line(client: TestClient, fields: Any, told: str) -> None:
    refused = client.post("/compose", json=fields)
    assert refused.status_code == 422
    assert told in refused.json()["error"] and "\n" not in refused.json()["error"]
    assert "/tmp" not in refused.json()["error"]


def test_no_body_and_unknown_formats_are_refused(client: TestClient) -> None:
    as_json = {"Content-Type": "application/json"}
    assert client.post("/compose", content=b"{", headers=as_json).json()["error"] == "the body is no JSON"
    assert "Content-Type: application/json" in client.post("/compose", content=b"{}").json()["error"]
    assert "unknown format 'exe'" in client.post("/compose?format=exe", json=SHORT).json()["error"]
    assert client.get("/compose").headers["Allow"] == "POST"


def test_the_description_of_a_request_is_that_of_the_typed_request(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    described = document["components"]["schemas"]["ComposeRequest"]["properties"]
    assert list(described) == list(about(ComposeRequest))
    for name, (_, description, default) in about(ComposeRequest).items():
        assert described[name]["description"].startswith(description.help)
        assert described[name].get("default") == default
    assert all("base64" in described[name]["description"] for name in FILES)
    assert {
        "/compose",
        "/compose/stream",
        "/intent",
        "/analyze",
        "/recognize",
        "/transcribe",
        "/health",
        "/metrics",
    } == set(document["paths"])


def test_requests_share_steps_or_wait_in_turn_and_too_many_are_sent_away(
    app: FastAPI, client: TestClient, tmp_path: Path
) -> None:
    fields = [{"emotion": emotion, "bars": 3, "candidates": n, "seed": n}
              for n, emotion in enumerate(("sad", "happy", "calm", "tense"), 1)]  # fmt: skip

    async def ask() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as several:
            return await asyncio.gather(*(several.post("/compose?format=mid", json=one, timeout=60) for one in fields))

    # Entered anew, for the queue belongs to the event loop of its requests.
    *served, refused = client.portal.call(ask)  # type: ignore[union-attr]
    for one, answer in zip(fields, served, strict=False):
        piece = muse.compose(one["emotion"], bars=3, n_candidates=one["candidates"], seed=one["seed"])  # type: ignore[arg-type]
        piece.save(tmp_path / "x.mid")
        assert answer.content == (tmp_path / "x.mid").read_bytes()
    assert refused.status_code == 503 and refused.headers["Retry-After"]
    assert 'muse_steps_total{pieces="2"}' in client.get("/metrics").text


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")
def test_a_killed_process_costs_its_request_alone(app: FastAPI, client: TestClient, midi: bytes) -> None:
    jobs = app.state.jobs
    (victim,) = jobs.pids

    async def kill() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as one:
            answer = asyncio.create_task(one.post("/compose", json=LONG, timeout=60))
            while not jobs.n_running:
                await asyncio.sleep(0.01)
            os.kill(victim, signal.SIGKILL)
            return await answer

    lost = client.portal.call(kill)  # type: ignore[union-attr]
    assert lost.status_code == 503 and lost.headers["Retry-After"] == "1"
    assert "has died: ask again" in lost.json()["error"]
    assert client.post("/compose?format=mid", json=SHORT).content == midi
    assert victim not in jobs.pids and jobs.n_died == 1


def test_work_ends_when_nobody_waits_or_it_takes_too_long(app: FastAPI, client: TestClient) -> None:
    jobs = app.state.jobs
    task = Compose(ComposeRequest(**LONG), {})  # type: ignore[arg-type]

    async def leave() -> None:
        begun = asyncio.Event()
        work = asyncio.create_task(jobs.run(task, lambda _: begun.set()))
        await begun.wait()
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work

    async def overdue() -> None:
        jobs._seconds, before = 0.3, jobs._seconds
        try:
            with pytest.raises(OverdueError, match=r"more than 0\.3 s"):
                await jobs.run(task)
        finally:
            jobs._seconds = before

    pids = jobs.pids
    client.portal.call(leave)  # type: ignore[union-attr]
    client.portal.call(overdue)  # type: ignore[union-attr]
    assert jobs.n_running == 0
    assert read_score(client.post("/compose?format=mid", json=SHORT).content).tracks
    assert jobs.pids == pids

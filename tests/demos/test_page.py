"""The page without a browser: what it takes, what it refuses, what it serves, and that nothing of a visitor is left."""

from __future__ import annotations

import gc
import json
import re
import threading
import time
import warnings
import wave
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import symusic

pytest.importorskip("gradio", reason="the page needs the extra `demo`", exc_type=ImportError)

from fastapi import FastAPI
from fastapi.testclient import TestClient

from demos import limits, widgets
from demos.app import create_app
from demos.pieces import Pieces
from demos.studio import Studio
from demos.tabs.compose import _composed, filled, request_of
from demos.work import Made, Run, StoppedError
from muse.errors import InputError
from muse.tasks.processes import Processes
from muse.tasks.request import ComposeRequest
from muse.tasks.telling import compose_telling
from muse.tasks.uploads import take


@pytest.fixture(scope="module")
def studio() -> Iterator[Studio]:
    shared = Studio()
    yield shared
    shared.close()


@pytest.fixture(scope="module")
def made(studio: Studio) -> Made:
    request = ComposeRequest(text="a sad tune <script>alert(1)</script>", bars=4, candidates=2, seed=3)
    return Run(request, studio.workers).result()


def quiet_app(studio: Studio, auth: tuple[str, str] | None = None) -> FastAPI:
    """The application; Gradio leaves event loops open while it builds a page, which is its own affair."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        app = create_app(studio, auth=auth)
        gc.collect()
    return app


@pytest.fixture(scope="module")
def client(studio: Studio) -> Iterator[TestClient]:
    with TestClient(quiet_app(studio)) as opened:
        yield opened


# ------------------------------------------------------------------------------------------------------------- requests


def test_the_plane_and_the_controls_become_a_request() -> None:
    one = request_of(
        {"points": [[0.5, -0.25]]}, {"text": "", "bars": 4.0, "tempo": "96", "seed": "", "instruments": []}
    )
    assert one.to_fields() == {"valence": 0.5, "arousal": -0.25, "bars": 4, "tempo": 96.0, "candidates": 8}
    arc = request_of({"points": [[0.5, -0.25], [-0.5, 0.75]]}, {})
    assert arc.arc == "0.5,-0.25 > -0.5,0.75"
    assert request_of({"points": [[0.5, -0.25]]}, {"emotion": "sad"}).to_fields()["emotion"] == "sad"


@pytest.mark.parametrize(
    ("plane", "fields", "told"),
    [
        ({"points": [[3, 0]]}, {}, "valence 3 is out of range"),
        ({"points": "<b>"}, {}, "emotion plane"),
        ({"points": [[0, 0]] * 17}, {}, "at most 16"),
        (None, {"seed": "many"}, "seed is 'many': give a number"),
        (None, {"bars": float("inf")}, "bars is"),
        (None, {"image_path": "/etc/passwd"}, "unknown field"),
    ],
)
def test_what_is_no_request_is_refused_in_one_line(plane: Any, fields: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=re.escape(told)) as refused:
        request_of(plane, fields)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("fields", [{"bars": 65}, {"bars": 0}, {"candidates": 9}, {"text": "sad " * 501}])
def test_too_much_work_is_refused_before_any_is_done(fields: dict[str, Any]) -> None:
    workers = Processes(1, compose_telling)
    with pytest.raises(InputError):
        Run(ComposeRequest(**{"candidates": 1, **fields}), workers)
    assert not workers.pids


def test_a_length_that_stands_in_words_is_bounded_too(studio: Studio) -> None:
    run = Run(ComposeRequest(text="a sad song, 200 bars", candidates=1), studio.workers)
    with pytest.raises(InputError, match=r"bars is 200; legal here are 1\.\.64"):
        run.result()
    assert run.share == 0


def test_a_link_fills_the_controls_and_never_names_a_file() -> None:
    points, *values = filled(json.dumps({"valence": 0.5, "arousal": -0.5, "seed": 7, "instruments": "piano, cello"}))
    assert points == {"points": [[0.5, -0.5]], "heard": None}
    assert "7" in values
    assert ["piano", "cello"] in values
    for query in ('{"like": "/etc/passwd"}', '{"image": "x.png"}', "[1]", "{", '{"nothing": 1}', "[" * 100_000):
        with pytest.raises(InputError):
            filled(query)


def test_the_link_of_a_piece_makes_the_same_bytes(made: Made, studio: Studio, tmp_path: Path) -> None:
    from urllib.parse import parse_qs

    link = widgets.shown_piece(made, "token")["link"]
    fields = json.loads(parse_qs(link[1:])["request"][0])
    again = Run(ComposeRequest.from_fields(fields), studio.workers).result()
    for name, one in (("a.mid", made), ("b.mid", again)):
        one.piece.save(tmp_path / name)
    assert (tmp_path / "a.mid").read_bytes() == (tmp_path / "b.mid").read_bytes()


def test_a_little_happier_moves_the_emotion_and_stays_in_the_plane(made: Made) -> None:
    moved = made.request.moved(made.intent, valence=0.25)
    was = made.intent.emotion
    assert was is not None
    assert moved.valence == pytest.approx(was.mean.valence + 0.25, abs=1e-4)
    assert moved.arousal == pytest.approx(was.mean.arousal, abs=1e-4)
    assert moved.text == made.request.text
    _, intent = moved.understood()
    assert intent.emotion is not None
    assert intent.emotion.mean.valence == pytest.approx(moved.valence)

    arc = ComposeRequest(arc="calm>excited", bars=8)
    _, asked = arc.understood()
    _, shifted = arc.moved(asked, arousal=1.5).understood()
    assert shifted.emotion is not None
    assert arousals(shifted) == [pytest.approx(min(1, a + 1.5)) for a in arousals(asked)]


def arousals(intent: Any) -> list[float]:
    return [e.arousal for e in intent.emotion.emotions]


# ----------------------------------------------------------------------------------------------------------------- work


def test_a_run_is_stopped_in_the_middle(studio: Studio) -> None:
    run = Run(ComposeRequest(emotion="sad", bars=64, candidates=4, seed=0), studio.workers)
    while run.share == 0 and not run.wait(0.01):
        pass
    run.stop()
    asked = time.monotonic()
    with pytest.raises(StoppedError, match="stopped"):
        run.result()
    assert time.monotonic() - asked < 5
    assert run.share < 1


def test_bars_are_shown_while_they_are_written(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("demos.tabs.compose._TICK_SEC", 0.01)
    request = ComposeRequest(emotion="happy", bars=8, candidates=2, seed=1)
    shown = [row[1] for row in _composed(studio, lambda _: request, "one who watches") if "base" in row[1]]
    *writing, piece = shown
    assert all(one["base"] is None for one in writing) and piece["base"]
    n_bars = [len(one["candidates"][0]["chords"]) for one in writing]
    assert n_bars == sorted(set(n_bars)) and 1 <= n_bars[0] <= 8

    run = Run(replace(request, candidates=1), studio.workers)
    made = run.result()
    (told,), (whole,) = (
        value["candidates"] for value in (widgets.shown_bars(run.written), widgets.shown_piece(made, "token"))
    )
    assert told["instruments"] == whole["instruments"] and len(told["bars"]) == 8
    assert told["bars"] == pytest.approx(whole["bars"], abs=0.2)  # told in one tempo, played in a living one
    assert [note[2] for note in told["notes"]] == [note[2] for note in whole["notes"]]


def test_a_run_ends_when_its_time_is_over(studio: Studio) -> None:
    with pytest.raises(StoppedError, match="took too long"):
        Run(ComposeRequest(emotion="sad", bars=64, candidates=4, seed=0), studio.workers, seconds=0.2).result()


def test_whoever_leaves_stops_the_work_and_takes_the_files_along(made: Made) -> None:
    studio = Studio()
    token = studio.pieces.add(made, "one")
    other = studio.pieces.add(made, "two")
    path = studio.pieces.file(token, "1.mid")
    assert path is not None
    assert path.is_file()
    studio.leave("one")
    assert not path.parent.exists()
    assert studio.pieces.file(token, "1.mid") is None
    assert studio.pieces.file(other, "1.mid") is not None
    studio.close()
    assert not studio.pieces.folder.exists()


# ------------------------------------------------------------------------------------------------------- pieces, served


def test_every_candidate_is_served_in_every_format(client: TestClient, studio: Studio, made: Made) -> None:
    token = studio.pieces.add(made, "a visitor")
    for place, candidate in enumerate(made.piece.candidates, 1):
        midi = client.get(f"/pieces/{token}/{place}.mid")
        assert midi.headers["content-type"] == "audio/midi"
        score = symusic.Score.from_midi(midi.content)
        assert sum(len(track.notes) for track in score.tracks) == candidate.n_notes
        assert json.loads(client.get(f"/pieces/{token}/{place}.json").content)["seed"] == made.piece.seed
    sound = client.get(f"/pieces/{token}/1.wav")
    with wave.open(str(studio.pieces.file(token, "1.wav"))) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    assert sound.status_code == 200
    assert np.abs(samples).max() > 3000
    part = client.get(f"/pieces/{token}/1.wav", headers={"range": "bytes=0-99"})
    assert (part.status_code, len(part.content)) == (206, 100)
    assert b"<score-partwise" in client.get(f"/pieces/{token}/1.musicxml").content


@pytest.mark.parametrize(
    "name",
    ["3.mid", "0.mid", "1.exe", "1.mid.json", "..%2f..%2fetc%2fpasswd", "%2e%2e/1.mid", "1.MID", "01.mid", "1.mid%00"],
)
def test_no_name_leads_anywhere_else(client: TestClient, studio: Studio, made: Made, name: str) -> None:
    token = studio.pieces.add(made, "a visitor")
    assert client.get(f"/pieces/{token}/{name}").status_code == 404
    assert client.get(f"/pieces/..%2f{token}/1.mid").status_code == 404


@pytest.mark.parametrize("path", ["/etc/passwd", "pyproject.toml", "../../etc/passwd", "demos/app.py"])
def test_gradio_serves_no_file_of_the_machine(client: TestClient, path: str) -> None:
    answer = client.get(f"/gradio_api/file={path}")
    assert answer.status_code in (403, 404)
    assert b"root:" not in answer.content


def asked_with_a_path(client: TestClient, path: str) -> str:
    """What the page answers to a request that names a file of the machine in the place of an upload."""
    config = client.get("/config").json()
    button = next(one["id"] for one in config["components"] if one["props"].get("elem_id") == "recognize")
    job = next(one["id"] for one in config["dependencies"] if [button, "click"] in one["targets"])
    file = {"path": path, "orig_name": "x.mid", "meta": {"_type": "gradio.FileData"}}
    session = {"fn_index": job, "session_hash": "stranger"}
    assert client.post("/gradio_api/queue/join", json={"data": [file], **session}).status_code == 200
    with client.stream("GET", "/gradio_api/queue/data", params={"session_hash": "stranger"}) as events:
        for line in events.iter_lines():
            if '"process_completed"' in line:
                return line
    raise AssertionError("the page did not answer")


@pytest.mark.parametrize(
    "path", ["/etc/passwd", str(Path(__file__).resolve()), "../../../etc/passwd", "http://127.0.0.1:1/x.mid"]
)
def test_an_upload_is_no_file_of_the_machine(client: TestClient, path: str) -> None:
    answer = json.loads(asked_with_a_path(client, path).removeprefix("data: "))
    assert answer["success"] is False, answer


def test_too_large_an_upload_is_cut_off(client: TestClient) -> None:
    answer = client.post("/gradio_api/upload", files={"files": ("x.mid", bytes(limits.MAX_UPLOAD_BYTES + 1))})
    assert answer.status_code == 413


def test_pieces_are_forgotten_in_time_and_the_oldest_first(made: Made) -> None:
    few = Pieces(max_kept=2)
    tokens = [few.add(made, "a") for _ in range(3)]
    assert [few.get(token) is not None for token in tokens] == [False, True, True]
    few.close()
    brief = Pieces(keep_sec=0.0)
    token = brief.add(made, "a")
    assert brief.get(token) is None
    assert brief.file(token, "1.mid") is None
    brief.close()


def test_a_piece_that_was_dropped_is_held_by_nobody(studio: Studio) -> None:
    def said() -> tuple[list[Any], weakref.ref[Made]]:
        *_, last = _composed(studio, lambda _: ComposeRequest(emotion="sad", bars=4, candidates=1), "a visitor")
        piece = studio.pieces.get(last[-1])
        assert piece is not None
        return last, weakref.ref(piece)

    shown, piece = said()  # Gradio keeps what is shown for long
    assert piece() is not None
    studio.leave("a visitor")
    gc.collect()
    assert piece() is None, f"held by one of {[type(one).__name__ for one in shown]}"


def test_visits_are_forgotten_when_others_come(client: TestClient) -> None:
    mounted = [getattr(route, "app", None) for route in cast(FastAPI, client.app).routes]
    holder = next(one.state_holder for one in mounted if hasattr(one, "state_holder"))
    for number in range(2 * limits.MAX_VISITORS):
        holder[f"visitor {number}"]
    assert len(holder.session_data) == limits.MAX_VISITORS
    assert f"visitor {2 * limits.MAX_VISITORS - 1}" in holder


def test_no_more_sounds_are_played_at_once_than_there_are_processors(
    client: TestClient, studio: Studio, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, now, most = threading.Lock(), 0, 0

    def write(made: Made, place: int, path: Path) -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.05)
        path.write_bytes(b"sound")
        with lock:
            now -= 1

    monkeypatch.setattr("demos.pieces._write", write)
    tokens = [studio.pieces.add(made, "a visitor") for _ in range(4 * limits.N_WORKERS)]
    with ThreadPoolExecutor(len(tokens)) as people:
        answers = list(people.map(lambda token: client.get(f"/pieces/{token}/1.wav").content, tokens))
    assert answers == [b"sound"] * len(tokens)
    assert most == limits.N_WORKERS


def test_health(client: TestClient) -> None:
    answer = client.get("/health").json()
    assert answer["status"] == "ok"
    assert answer["running"] == 0


def test_the_page_asks_no_other_host(client: TestClient) -> None:
    answer = client.get("/")
    policy = answer.headers["content-security-policy"]
    assert "http:" not in policy
    assert "https:" not in policy
    assert "*" not in policy
    # What a browser would fetch: sources, links to styles and fonts, and addresses in styles.
    fetched = re.findall(r"""(?:src|srcset)=["'](?:https?:)?//([^/"']+)""", answer.text)
    fetched += re.findall(r"""<link[^>]*href=["'](?:https?:)?//([^/"']+)""", answer.text)
    fetched += re.findall(r"""url\(["']?(?:https?:)?//([^/"')]+)""", answer.text)
    assert not fetched


def test_a_password_keeps_strangers_out() -> None:
    studio = Studio()
    with TestClient(quiet_app(studio, ("anna", "secret"))) as guarded:
        assert guarded.get("/config").status_code == 401
        assert guarded.post("/login", data={"username": "anna", "password": "wrong"}).status_code == 400
        assert guarded.post("/login", data={"username": "anna", "password": "secret"}).status_code == 200
        assert guarded.get("/config").status_code == 200
        assert guarded.get("/health").status_code == 200


# -------------------------------------------------------------------------------------------------------------- uploads


def midi_bytes() -> bytes:
    score = symusic.Score(480)
    track = symusic.Track(program=0)
    track.notes.append(symusic.Note(0, 480, 60, 90))
    score.tracks.append(track)
    return score.dumps_midi()


def png_bytes() -> bytes:
    import io

    from PIL import Image

    stream = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(stream, "PNG")
    return stream.getvalue()


@pytest.mark.parametrize(("make", "kind"), [(midi_bytes, "midi"), (png_bytes, "image")])
def test_what_a_file_is_stands_in_it_not_in_its_name(make: Callable[[], bytes], kind: str, tmp_path: Path) -> None:
    evil = tmp_path / "<img src=x onerror=alert(1)>.exe"
    evil.write_bytes(make())
    folder = tmp_path / "taken"
    folder.mkdir()
    found = take(evil, folder)
    assert found.kind == kind
    assert found.path.parent == folder
    assert re.fullmatch(r"upload-0\.(mid|png)", found.path.name)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "empty"),
        (b"#!/bin/sh\nrm -rf /\n", "none that is taken"),
        (b"<svg onload=alert(1)>", "none that is taken"),
        (b"%PDF-1.7", "none that is taken"),
        (b"#EXTM3U\nhttp://example.org/a.mp3", "none that is taken"),
        (b"RIFF\x00\x00\x00\x00WAVE", "the file"),
        (b"OggS" + bytes(200), "the file"),
    ],
)
def test_other_files_are_refused(content: bytes, told: str, tmp_path: Path) -> None:
    file = tmp_path / "song.mid"
    file.write_bytes(content)
    with pytest.raises(InputError, match=told) as refused:
        take(file, tmp_path)
    assert str(tmp_path) not in str(refused.value)


def test_large_and_long_files_are_refused(tmp_path: Path) -> None:
    large = tmp_path / "large.mid"
    with large.open("wb") as stream:
        stream.write(b"MThd")
        stream.truncate(limits.MAX_UPLOAD_BYTES + 1)
    with pytest.raises(InputError, match="MB"):
        take(large, tmp_path)
    long = tmp_path / "long.wav"
    with wave.open(str(long), "wb") as file:
        file.setparams((1, 1, 8000, 0, "NONE", ""))
        file.writeframes(bytes(8000 * 601))
    with pytest.raises(InputError, match="10 minutes"):
        take(long, tmp_path)


def test_a_picture_is_none_where_a_tune_is_wanted(tmp_path: Path) -> None:
    file = tmp_path / "tune.wav"
    file.write_bytes(png_bytes())
    with pytest.raises(InputError, match="give a recording"):
        take(file, tmp_path, ("sound",))


# --------------------------------------------------------------------------------------------------------------- safety


def test_what_visitors_write_is_text(made: Made) -> None:
    evil = '<img src=x onerror="alert(1)">'
    for shown in (
        widgets.told([(evil, evil)]),
        widgets.told([("a", f"<div class={evil}")]),
        widgets.told([("a", widgets.table((evil,), [(evil,)]))]),
        widgets.progress(evil, 0.5),
        widgets.fault(evil),
        widgets.figure(evil, evil),
    ):
        assert "<img src=x" not in shown
        assert "&lt;img" in shown

"""What every request passes: keys, request ids, limits, places and counters. No process is started for it."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from muse.errors import InputError
from muse.serve import create_app, door
from muse.serve.keys import Keys

KEY = "a-key-of-some-length"


@pytest.fixture
def client() -> TestClient:
    # Not entered, so that the service does not start its processes.
    return TestClient(create_app(n_workers=1, n_batch=1, max_waiting=1))


def test_a_request_keeps_its_id_or_gets_one(client: TestClient) -> None:
    kept = client.post("/compose", json={"bars": 0}, headers={"X-Request-ID": "mine-1"})
    assert kept.headers["X-Request-ID"] == "mine-1" == kept.json()["request_id"]
    for strange in ("two words", "x" * 65, ""):
        given = client.get("/health", headers={"X-Request-ID": strange}).headers["X-Request-ID"]
        assert re.fullmatch(r"[0-9a-f]{32}", given)


def test_without_a_key_only_health_answers() -> None:
    client = TestClient(create_app(n_workers=1, keys=Keys([KEY])))
    assert client.get("/health").status_code == 200
    for headers in ({}, {"Authorization": "Bearer another-key-of-length"}, {"Authorization": f"Basic {KEY}"}):
        for path in ("/metrics", "/openapi.json", "/nothing"):
            refused = client.get(path, headers=headers)
            assert refused.status_code == 401 and refused.headers["WWW-Authenticate"] == "Bearer"
        assert client.post("/compose", json={}, headers=headers).status_code == 401
    assert client.get("/metrics", headers={"Authorization": f"Bearer {KEY}"}).status_code == 200


def test_a_key_file_may_hold_digests_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text(f"# who may ask\n\nsha256:{hashlib.sha256(KEY.encode()).hexdigest()}\nanother-key-of-length\n")
    keys = Keys.read(path)
    assert keys.allow(f"Bearer {KEY}") and keys.allow("bearer another-key-of-length")
    assert not keys.allow(KEY) and not keys.allow("") and not keys.allow("Bearer a-key-of-other-length")
    for text, told in (("short", "line 1: a key has at least 16"), ("#", "no key"), ("sha256:00", "64 hexadecimal")):
        path.write_text(text)
        with pytest.raises(InputError, match=f"{re.escape(str(path))}: .*{told}"):
            Keys.read(path)
    with pytest.raises(InputError, match="No such file"):
        Keys.read(tmp_path / "nothing")


def test_bodies_are_bounded_whether_they_say_their_length_or_not(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "MAX_BODY_BYTES", 1000)

    def parts() -> Iterator[bytes]:
        for _ in range(20):
            yield b"x" * 100

    for path in ("/compose", "/analyze"):
        for content in (b"x" * 2000, parts()):
            refused = client.post(path, content=content, headers={"Content-Type": "application/json"})
            assert refused.status_code == 413 and "send less" in refused.json()["error"]


def test_a_body_that_does_not_come_gives_up_its_place(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "_BODY_SEC", 0.1)
    app, sent = client.app, []

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0.06)
        return {"type": "http.request", "body": b"x", "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/analyze", "query_string": b"", "headers": [], "app": app}
    asyncio.run(app(scope, receive, send))
    assert sent[0]["status"] == 408
    assert app.state.jobs.n_places_taken == 0  # type: ignore[attr-defined]


def test_who_finds_no_place_is_told_when_to_come_again(client: TestClient) -> None:
    jobs: Any = client.app.state.jobs  # type: ignore[attr-defined]
    jobs.n_places_taken = 2
    refused = client.post("/compose", json={"bars": 4})
    assert refused.status_code == 503 and int(refused.headers["Retry-After"]) >= 1
    assert "ask again in" in refused.json()["error"]
    assert client.get("/health").json()["waiting"] == 2
    assert client.post("/compose", json={"bars": 4}).status_code == 503
    jobs.n_places_taken = 1
    assert client.post("/compose", json={"bars": 0}).status_code == 422
    assert jobs.n_places_taken == 1


def test_a_fault_of_ours_is_told_in_one_line(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(*_: Any) -> Any:
        raise KeyError("two\nlines")

    monkeypatch.setattr("muse.serve.app.check_request", faulty)
    told = client.post("/compose", json={"bars": 4})
    assert told.status_code == 500 and told.json()["error"] == "this failed, and it is our fault"
    assert told.headers["X-Request-ID"] == told.json()["request_id"]


def test_answers_are_counted_by_path_and_status(client: TestClient) -> None:
    client.post("/compose", json={"bars": 0})
    client.get("/compose")
    client.get("/made/up/1")
    client.get("/made/up/2")
    text = client.get("/metrics").text
    assert 'muse_requests_total{path="/compose",status="422"} 1.0' in text
    assert 'muse_requests_total{path="/compose",status="405"} 1.0' in text
    assert 'muse_requests_total{path="other",status="404"} 2.0' in text and "made" not in text
    assert "muse_waiting 0.0" in text and "muse_processes 0.0" in text
    client.app.state.jobs.steps.update({4: 30, 1: 2})  # type: ignore[attr-defined]
    text = client.get("/metrics").text
    assert 'muse_steps_total{pieces="1"} 2.0' in text and 'muse_steps_total{pieces="4"} 30.0' in text

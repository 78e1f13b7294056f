"""The live page: what it answers, whom, and how it renews itself."""

import http.client
import json
import shutil
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from opened import Open
from playwright.sync_api import expect
from small_runs import squares

from unbraid import runs
from unbraid.errors import UnbraidError
from unbraid.report import serve
from unbraid.report.serve import Live, server
from unbraid.runs import Run


@pytest.fixture
def study(trained: Run, tmp_path: Path) -> Path:
    shutil.copytree(trained.path, tmp_path / "study" / "first")
    return tmp_path / "study"


@pytest.fixture
def running(study: Path) -> Iterator[ThreadingHTTPServer]:
    with server([study], port=0, data=squares()) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


def asked(running: ThreadingHTTPServer, path: str, **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", running.server_port)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def scored(folder: Path, value: float) -> None:
    scores = {"seed": 0, "metrics": {"mig": {"score": value, "parts": {}, "matrices": {}}}}
    (folder / runs.SCORES).write_text(json.dumps(scores))


def test_it_answers_this_machine_alone(running: ThreadingHTTPServer) -> None:
    assert running.server_address[0] == "127.0.0.1"
    port = running.server_port
    assert asked(running, "/version", Host="evil.example")[0] == 403
    assert asked(running, "/", Host="[evil")[0] == 403
    assert asked(running, "/version", Host="localhost")[0] == 200
    assert asked(running, "/", Host=f"evil.example:{port}")[0] == 403
    assert asked(running, "/version", Host=f"localhost:{port}")[0] == 200
    assert asked(running, "/../config.yaml") == (404, "there is nothing here")


def test_a_name_that_leads_to_this_machine_is_as_strict(study: Path) -> None:
    with server([study], "127.1", port=0, data=squares()) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        assert asked(running, "/version", Host="evil.example")[0] == 403
        assert asked(running, "/version", Host="127.1")[0] == asked(running, "/version")[0] == 200
        running.shutdown()


def test_a_folder_that_goes_is_answered_with_a_sentence(running: ThreadingHTTPServer, study: Path) -> None:
    shutil.rmtree(study)
    status, text = asked(running, "/version")
    assert status == 503 and "is not a run folder" in text


def test_the_version_changes_with_what_there_is_to_see(study: Path) -> None:
    live = Live([study], squares())
    seen = [live.version()]
    assert live.version() == seen[0]
    (study / "first" / runs.LOG).touch()
    assert live.version() == seen[0]
    scored(study / "first", 0.5)
    seen.append(live.version())
    shutil.copytree(study / "first", study / "second")
    seen.append(live.version())
    (study / "second" / runs.WEIGHTS).rename(study / "second" / runs.CHECKPOINT)
    seen.append(live.version())
    assert len(set(seen)) == 4


def test_only_what_changed_is_read_again(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(study / "first", study / "second")
    live, read = Live([study], squares()), []
    gather = serve.gather
    monkeypatch.setattr(
        "unbraid.report.serve.gather", lambda path, name, shown: (read.append(path.name), gather(path, name, shown))[1]
    )
    live.page()
    live.page()
    scored(study / "second", 0.1)
    page = live.page()
    assert read == ["first", "second", "second"]
    assert live.version() in page and "connect-src 'self'" in page


def test_the_page_renews_itself_and_stays_where_it_was(
    running: ThreadingHTTPServer, study: Path, open_page: Open
) -> None:
    shutil.copytree(study / "first", study / "second")
    opened = open_page(f"http://127.0.0.1:{running.server_port}/", quiet=False).ready()
    expect(opened.page.locator("#live")).to_have_text("live")
    expect(opened.page.locator("#scores-empty")).to_be_visible()
    opened.page.locator("#runs thead button", has_text="elbo").click()
    opened.page.locator("#gallery button").nth(2).click()
    opened.set_slider(1, 2.0)
    code = opened.code()
    scored(study / "first", 0.77)
    expect(opened.page.locator("#scores")).to_contain_text("0.770", timeout=15_000)
    opened.settled()
    assert opened.code() == pytest.approx(code)
    expect(opened.page.locator("#gallery button").nth(2)).to_have_attribute("aria-pressed", "true")
    expect(opened.page.locator("#runs th[aria-sort=descending]")).to_have_text("elbo")
    assert opened.complaints == []
    assert all(url.startswith(("http://127.0.0.1", "data:", "blob:")) for url in opened.requests)


def test_a_taken_port_and_an_empty_folder_are_refused(
    running: ThreadingHTTPServer, study: Path, tmp_path: Path
) -> None:
    with pytest.raises(UnbraidError, match=r"cannot serve at 127\.0\.0\.1:\d+: .*; choose another --port"):
        server([study], port=running.server_port)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UnbraidError, match="is not a run folder"):
        server([tmp_path / "empty"], port=0)

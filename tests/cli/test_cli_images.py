"""Images and documents at the command line: asked with, recorded, shown, and refused with a remedy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_cli import invoke
from tests.support.batches import Desk
from tests.support.model_server import ModelServer
from tests.support.pictures import pdf, png, uri

SIMULATED = ("--offline", "--yes")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.png").write_bytes(png(64, 48))
    (tmp_path / "b.png").write_bytes(png(8, 8))
    (tmp_path / "f.pdf").write_bytes(pdf("The cube rule of food."))
    (tmp_path / "scan.pdf").write_bytes(pdf(""))
    (tmp_path / "w.docx").write_bytes(b"PK\x03\x04")
    return tmp_path


def test_an_answer_says_how_many_images_simulated_models_received_and_a_run_shows_them(folder: Path) -> None:
    journal = str(folder / "j.sqlite")
    images = ("--image", str(folder / "a.png"), "--image", "https://example.com/b.png?token=abc")
    asked = invoke("ask", "vote", "What is in it?", *images, *SIMULATED, "--journal", journal, "--json")
    assert asked.exit_code == 0, asked.output
    result: dict[str, Any] = json.loads(asked.stdout)
    assert "This call received 2 images." in result["answer"]
    assert [image.get("width") for image in result["question"]["images"]] == [64, None]
    for options in ((), ("--full",)):
        shown = invoke("runs", "show", "last", "--journal", journal, *options).output
        assert "[image 1: PNG, 64 x 48, 1 kB, sha256 " in shown
        assert "[image 2: https://example.com/b.png]" in shown
        assert uri(png(64, 48))[30:60] not in shown


def test_images_count_in_an_estimate(folder: Path) -> None:
    def tokens(*options: str) -> int:
        estimated = invoke("ask", "vote", "Why?", "--offline", "--estimate", "--json", *options)
        return int(json.loads(estimated.stdout)["prompt_tokens"]["expected"])

    assert tokens("--image", str(folder / "a.png")) > tokens()


def test_the_text_of_a_pdf_is_the_context_of_a_question(folder: Path) -> None:
    asked = invoke("ask", "vote", "Why?", "--context", str(folder / "f.pdf"), *SIMULATED, "--json")
    assert json.loads(asked.stdout)["question"]["context"] == "--- page 1 ---\nThe cube rule of food."


@pytest.mark.parametrize(
    ("options", "message", "remedy"),
    [
        (("--image", "{}/f.pdf"), "f.pdf is not an image that models take", "Pass PNG, JPEG, WebP or GIF"),
        (("--image", "{}/none.png"), "none.png: No such file or directory", "Check the path."),
        (("--image", "{}"), "is a folder", "Pass PNG"),
        (("--image", "http://example.com/a.png"), "must start with https://", "Pass PNG"),
        (("--image", "{}/a.png") * 11, "there are 11 images", "Pass PNG"),
        (("--context", "{}/a.png"), "a.png is an image", "Pass it with --image."),
        (("--context", "{}/w.docx"), "w.docx is an Office document or an archive", "Save it as a PDF or as text."),
        (("--context", "{}/scan.pdf"), "scan.pdf has no text", "OCR"),
    ],
)
def test_what_can_not_be_used_is_refused_with_a_remedy(
    folder: Path, options: tuple[str, ...], message: str, remedy: str
) -> None:
    refused = invoke("ask", "vote", "Why?", *(each.format(folder) for each in options), *SIMULATED)
    assert refused.exit_code == 2
    assert message in refused.output
    assert remedy in refused.output


def test_without_the_extra_a_pdf_is_refused_with_what_to_install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moa_mcp.files.texts.find_spec", lambda _: None)
    refused = invoke("ask", "vote", "Why?", "--context", str(folder / "f.pdf"), *SIMULATED)
    assert refused.exit_code == 2
    assert "pip install 'moa-mcp[files]'" in refused.output


def test_items_of_a_batch_have_images_and_another_image_makes_another_run(folder: Path, serving: ModelServer) -> None:
    serving.clear()
    desk = Desk(folder, serving)
    desk.configure(price=", images = true")
    one, two = str(folder / "a.png"), str(folder / "b.png")
    file = desk.ask({"question": "Q", "images": [one, two]}, {"question": "Q", "images": one}, {"question": "Q"})
    lines = desk.done(file)
    urls = [uri(Path(path).read_bytes()) for path in (one, two)]
    sent = [
        [part["image_url"]["url"] for part in said[:-1]] if isinstance(said, list) else []
        for said in (each.body["messages"][-1]["content"] for each in serving.requests)
    ]
    assert sorted(sent) == sorted([urls, urls[:1], []])
    assert desk.done(file) == lines
    (folder / "a.png").write_bytes(png(5, 5))
    again = desk.done(file)
    assert [line["run_id"] == before["run_id"] for line, before in zip(again, lines, strict=True)] == [
        False,
        False,
        True,
    ]
    assert len(serving.requests) == 5


def test_a_file_of_questions_with_an_image_that_can_not_be_read_names_the_line(
    folder: Path, serving: ModelServer
) -> None:
    desk = Desk(folder, serving)
    desk.configure()
    refused = desk.start(desk.write(f'question,images\nQ,"[""{folder}/a.png""]"\nQ,{folder}/none.png\n', "q.csv"))
    assert refused.exit_code == 2
    assert "line 3: can't read image" in refused.output
    assert "none.png" in refused.output

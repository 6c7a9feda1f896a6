"""Templates: those that come with Switchyard, those of users, and errors that name what is wrong."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from services.email_worker import rendering
from services.email_worker.errors import TemplateRejected
from services.email_worker.rendering import Rendered, Templates

EXAMPLES: dict[str, dict[str, Any]] = {
    "welcome": {"name": "Ada"},
    "newsletter": {"name": "Ada", "headline": "Engines"},
    "password-reset": {"name": "Ada", "link": "https://example.org/reset"},
    "job-done": {
        "job_id": "j-1",
        "done": 3,
        "failed": 1,
        "failures": [{"name": "broken.png", "reason": "It is truncated."}],
        "manifest": "jobs/j-1/manifest.json",
        "contact_sheet": None,
    },
    "campaign-done": {"campaign_id": "c-1", "template": "newsletter", "counts": {"sent": 9, "invalid": 2}},
}


def test_every_shipped_template_renders_subject_text_and_html():
    templates = Templates()
    assert set(EXAMPLES) == set(templates.names)
    for name, variables in EXAMPLES.items():
        mail = templates.render(name, variables)
        assert mail.subject
        assert "\n" not in mail.subject
        assert mail.text.strip()
        assert mail.html is not None
        assert "<h1" in mail.html


def test_a_finished_job_lists_each_failure_with_its_reason():
    mail = Templates().render("job-done", EXAMPLES["job-done"])
    assert mail.subject == "Job j-1: 3 done, 1 failed"
    for body in (mail.text, mail.html):
        assert body is not None
        assert "broken.png" in body
        assert "It is truncated." in body
        assert "jobs/j-1/manifest.json" in body
        assert "Contact sheet" not in body


def test_html_escapes_variables_and_text_does_not():
    mail = Templates().render("welcome", {"name": "<b>Ada & Co</b>"})
    assert "<b>Ada & Co</b>" in mail.text
    assert mail.html is not None
    assert "&lt;b&gt;Ada &amp; Co&lt;/b&gt;" in mail.html
    assert "<b>" not in mail.html


def test_line_breaks_in_a_subject_become_spaces():
    mail = Templates().render("newsletter", {"name": "Ada", "headline": "One\r\nBcc: eve@example.org\u2028two"})
    assert mail.subject == "One Bcc: eve@example.org two"


def test_a_missing_variable_is_named_together_with_its_template():
    with pytest.raises(TemplateRejected, match=r"'password-reset'.*'link' is undefined"):
        Templates().render("password-reset", {"name": "Ada"})


@pytest.mark.parametrize("name", ["welcom", "../templates/welcome", "/etc", "", ".", "..", "layout.html", "wel\0come"])
def test_an_unknown_template_is_refused_with_a_list_of_the_known(name):
    with pytest.raises(TemplateRejected, match=r"there are: campaign-done, .*welcome"):
        Templates().render(name, {})


@pytest.mark.parametrize("variables", [{"name": "\ud800"}, ["name"], 7])
def test_variables_that_cannot_be_sent_are_refused(variables):
    with pytest.raises(TemplateRejected, match="'welcome'"):
        Templates().render("welcome", variables)


def write_template(folder: Path, name: str, **parts: str) -> None:
    (folder / name).mkdir()
    for part, text in parts.items():
        (folder / name / part.replace("_", ".")).write_text(text)


def test_a_template_of_ones_own_replaces_the_shipped_one_as_a_whole(tmp_path):
    write_template(tmp_path, "welcome", subject_txt="Ahoy", body_txt="Ahoy, {{ name }}!")
    templates = Templates(tmp_path)
    mail = templates.render("welcome", {"name": "Ada"})
    assert (mail.subject, mail.text, mail.html) == ("Ahoy", "Ahoy, Ada!", None)
    assert templates.render("newsletter", EXAMPLES["newsletter"]).subject == "Engines"


def test_a_template_of_ones_own_may_use_the_shipped_layout(tmp_path):
    page = '{% extends "layout.html" %}{% block title %}Ahoy{% endblock %}'
    write_template(tmp_path, "ahoy", subject_txt="Ahoy", body_txt="Ahoy", body_html=page)
    html = Templates(tmp_path).render("ahoy", {}).html
    assert html is not None
    assert "<title>Ahoy</title>" in html


def test_a_template_without_a_body_is_refused_by_the_name_of_the_part(tmp_path):
    write_template(tmp_path, "half", subject_txt="Half")
    with pytest.raises(TemplateRejected, match=r"'half'.*body\.txt"):
        Templates(tmp_path).render("half", {})


def test_a_template_that_changes_while_a_worker_runs_is_used_as_it_is_now(tmp_path, monkeypatch):
    monkeypatch.setattr(rendering, "CHANGED_WITHIN_SECONDS", 0.0)
    write_template(tmp_path, "hello", subject_txt="Hello", body_txt="Hello", body_html="Hello")
    templates = Templates(tmp_path)
    assert templates.render("hello", {}) == Rendered("Hello", "Hello", "Hello")
    changed = tmp_path / "hello" / "body.txt"
    changed.write_text("Goodbye")
    os.utime(changed, (1, 1))
    (tmp_path / "hello" / "body.html").unlink()
    assert templates.render("hello", {}) == Rendered("Hello", "Goodbye", None)


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ names.append(1) }}",
        "{{ cycler.__init__.__globals__ }}",
        "{% include '/etc/hostname' %}",
    ],
)
def test_the_sandbox_keeps_a_template_from_reaching_out(tmp_path, text):
    write_template(tmp_path, "escape", subject_txt="x", body_txt=text)
    with pytest.raises(TemplateRejected, match="'escape'"):
        Templates(tmp_path).render("escape", {"names": []})

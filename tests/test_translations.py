"""The admin's pages in other languages: catalogues that are whole, and fit the texts and Django."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from pathlib import Path

import django
import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import RequestFactory
from django.utils import translation

from djtasks.models import Queue
from tests.admin_pages import a_worker, ended, failed, queued, read, ruler, url
from tests.catalogues import (
    APP,
    LOCALE,
    Entry,
    Text,
    catalogue,
    read_mo,
    read_po,
    texts_of_the_source,
)

LANGUAGES = sorted(path.name for path in LOCALE.iterdir())

in_every_language = pytest.mark.parametrize("language", LANGUAGES)

DJANGO = Path(django.__file__).parent
WITH_EVERY_ADMIN = ("conf", "contrib/admin", "contrib/auth", "contrib/contenttypes")
"""Django's catalogues that are loaded wherever the admin is."""

PLACEHOLDER = re.compile(r"%(?:\(\w+\))?[a-z]|%%\d?")


def entries(language: str) -> list[Entry]:
    """What a catalogue says, without its header."""
    return read_po(catalogue(language) / "django.po")[1:]


def test_there_are_catalogues_of_four_languages() -> None:
    assert LANGUAGES == ["de", "el", "es", "fr"]


@in_every_language
def test_a_catalogue_has_the_texts_of_the_source_and_no_others(language: str) -> None:
    known = Counter(entry.text for entry in entries(language))
    assert set(known) == texts_of_the_source()
    assert set(known.values()) == {1}


@in_every_language
def test_every_text_is_translated_in_all_its_forms(language: str) -> None:
    header = read_po(catalogue(language) / "django.po")[0].forms[0]
    found = re.search(r"nplurals=(\d);", header)
    assert found is not None
    for entry in entries(language):
        assert "fuzzy" not in entry.flags, entry
        assert len(entry.forms) == (int(found[1]) if entry.text.plural else 1), entry
        assert all(form.strip() for form in entry.forms), entry


@in_every_language
def test_what_is_installed_is_what_was_translated(language: str) -> None:
    written = {entry.text: entry.forms for entry in read_po(catalogue(language) / "django.po")}
    compiled = read_mo(catalogue(language) / "django.mo")
    assert _header(compiled.pop(Text(""))) == _header(written.pop(Text("")))
    assert compiled == written


def _header(forms: list[str]) -> list[str]:
    """Its lines but for the time at which texts were looked for, which msgfmt leaves out."""
    (header,) = forms
    return [line for line in header.splitlines() if not line.startswith("POT-Creation-Date")]


@in_every_language
def test_placeholders_are_those_of_the_text(language: str) -> None:
    for entry in entries(language):
        text, plural = sorted(PLACEHOLDER.findall(entry.text.text)), entry.text.plural
        assert not plural or sorted(PLACEHOLDER.findall(plural)) == text, entry
        for form in entry.forms:
            assert sorted(PLACEHOLDER.findall(form)) == text, entry


@in_every_language
def test_texts_begin_and_end_as_the_original(language: str) -> None:
    """With blanks where it has some, and a full stop at the end of a sentence, not of a label."""
    for entry in entries(language):
        text = entry.text.text
        for form in entry.forms:
            assert form == form.strip(), entry
            assert form.endswith(".") == text.endswith("."), entry


@in_every_language
def test_words_of_djangos_own_admin_stay_as_they_are(language: str) -> None:
    """Catalogues are merged: another word of ours would be seen on other pages of the project."""
    ours = {entry.text: entry.forms for entry in entries(language)}
    for part in WITH_EVERY_ADMIN:
        theirs = read_mo(DJANGO / part / "locale" / language / "LC_MESSAGES" / "django.mo")
        for text in ours.keys() & theirs.keys() - {Text("")}:
            assert ours[text] == theirs[text]


@pytest.mark.parametrize("language", ["en", *LANGUAGES])
def test_the_overview_is_the_first_that_the_index_lists(language: str) -> None:
    request = RequestFactory().get("/admin/")
    request.user = User(username="ada", is_staff=True, is_superuser=True)
    with translation.override(language):
        (ours,) = admin.site.get_app_list(request, "djtasks")
    models = [model["object_name"] for model in ours["models"]]
    assert models[0] == "Overview"
    assert sorted(models) == ["Overview", "PeriodicTask", "Queue", "TaskRecord", "Worker"]


@pytest.mark.django_db
@in_every_language
def test_pages_speak_the_language_of_who_reads_them(language: str) -> None:
    client = ruler()
    done, broken = ended(), failed()
    queued()
    a_worker()
    Queue.objects.create(name="celery")
    words = {entry.text.text: entry.forms[0] for entry in entries(language)}
    for path, said in (
        (url("overview_changelist"), ["Overview", "Activity", "Failures", "Oldest ready"]),
        (url("taskrecord_changelist"), ["Search", "Arguments", "Last 24 hours", "Retry"]),
        (url("queue_changelist"), ["Latency", "Served by", "Pause"]),
        (url("worker_changelist"), ["Stop", "heartbeat"]),
        (url("taskrecord_change", done.pk), ["What happened", "Details", "Succeeded"]),
        (url("taskrecord_change", broken.pk), ["Traceback", "Run a copy", "Failed"]),
    ):
        # What the middleware activates stays so in this thread.
        with translation.override("en"):
            page = read(client.get(path, headers={"accept-language": language}))
        assert next(page.all("html"))["lang"] == language
        for text in said:
            assert words[text] in page.html, (path, text)


def test_scripts_say_nothing_of_their_own() -> None:
    """What they show comes from attributes of the page, which are translated with it."""
    for path in [*APP.rglob("*.js"), *APP.rglob("*.mjs")]:
        code = re.sub(r"/\*.*?\*/|//[^\n]*", "", path.read_text("utf-8"), flags=re.DOTALL)
        assert not re.findall(r"""["'`][A-Z][a-z]+(?: [a-z]+)*[.!?…]?["'`]""", code), path
        assert not re.findall(r"""\.(?:textContent|innerText|title|label)\s*=\s*["'`]\w""", code)
        assert not re.findall(r"\b(?:alert|confirm|prompt)\(", code)


@pytest.mark.skipif(
    not all(map(shutil.which, ("xgettext", "msguniq", "msgmerge", "msgattrib"))),
    reason="needs gettext",
)
def test_gettext_finds_nothing_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = shutil.copytree(APP, tmp_path / "djtasks", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.chdir(app)
    options = {"add_location": "file", "no_wrap": True, "no_obsolete": True, "verbosity": 0}
    call_command("makemessages", locale=LANGUAGES, **options)
    for language in LANGUAGES:
        made = read_po(app / "locale" / language / "LC_MESSAGES" / "django.po")[1:]
        assert [(entry.text, entry.forms) for entry in made] == [
            (entry.text, entry.forms) for entry in entries(language)
        ]

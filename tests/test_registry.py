"""The registry of tasks, and the discovery of modules with tasks."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import override_settings

from djtasks import Task, app, shared_task
from djtasks.exceptions import NotRegistered
from djtasks.registry import TaskRegistry, registry
from tests.own_registry import own_registry  # noqa: F401
from tests.testapp.tasks import add


def test_a_task_is_found_by_name_and_unregistered_by_name_or_itself() -> None:
    tasks = TaskRegistry()
    tasks.register(add)
    assert tasks["tests.testapp.tasks.add"] is add
    tasks.unregister("tests.testapp.tasks.add")
    tasks.register(add)
    tasks.unregister(add)
    assert not tasks
    with pytest.raises(NotRegistered):
        tasks.unregister(add)


def test_an_unknown_name_raises_the_error_that_is_a_key_error_too() -> None:
    with pytest.raises(KeyError) as caught:
        registry["no.such.task"]
    assert isinstance(caught.value, NotRegistered)
    assert isinstance(caught.value, registry.NotRegistered)


def test_a_task_without_a_name_is_refused() -> None:
    with pytest.raises(ValueError, match="has no name"):
        TaskRegistry().register(Task())


def test_the_tasks_of_installed_apps_are_there_when_django_is_loaded() -> None:
    assert "tests.testapp.tasks.add" in app.tasks


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "discovered"
    folder.mkdir()
    (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == "discovered"]:
        del sys.modules[name]


@pytest.mark.usefixtures("own_registry")
def test_discovery_imports_the_module_of_each_package(package: Path) -> None:
    source = "from djtasks import shared_task\n@shared_task\ndef {name}(): ...\n"
    (package / "tasks.py").write_text(source.format(name="first"))
    (package / "jobs.py").write_text(source.format(name="second"))
    app.autodiscover_tasks(["discovered", "email"])
    assert "discovered.tasks.first" in registry
    assert "discovered.jobs.second" not in registry
    app.autodiscover_tasks(lambda: ["discovered"], related_name="jobs")
    assert "discovered.jobs.second" in registry


@pytest.mark.usefixtures("own_registry")
def test_discovery_imports_the_modules_of_the_setting(package: Path) -> None:
    (package / "more.py").write_text(
        "from djtasks import shared_task\n@shared_task\ndef third(): ...\n"
    )
    with override_settings(DJTASKS={**settings.DJTASKS, "IMPORTS": ["discovered.more"]}):
        app.autodiscover_tasks()
    assert "discovered.more.third" in registry


def test_what_goes_wrong_in_a_module_with_tasks_is_not_hidden(package: Path) -> None:
    (package / "tasks.py").write_text("import no_such_module_anywhere\n")
    with pytest.raises(ModuleNotFoundError, match="no_such_module_anywhere"):
        app.autodiscover_tasks(["discovered"])


def test_tasks_declared_before_the_settings_are_annotated_afterwards(
    monkeypatch: pytest.MonkeyPatch,
    own_registry: None,  # noqa: F811
) -> None:
    monkeypatch.setattr("djtasks.registry.settings", types.SimpleNamespace(configured=False))
    annotations: dict[str, Any] = {"declared.while.loading": {"max_retries": 8}}
    with override_settings(DJTASKS={**settings.DJTASKS, "TASK_ANNOTATIONS": annotations}):

        @shared_task(name="declared.while.loading")
        def work() -> None: ...

        assert work.max_retries == 3
        app.autodiscover_tasks(packages=[])
        assert work.max_retries == 8

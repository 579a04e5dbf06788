"""Tasks whose arguments and results are pydantic models: ``@shared_task(pydantic=True)``.

Arguments that are annotated with a model (or an optional one) are validated where the task runs;
a returned model that matches the annotation is dumped. Models that a caller passes are dumped
before they are sent. The semantics are Celery's.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any

from djtasks.exceptions import ImproperlyConfigured


def validated(
    function: Callable[..., Any],
    *,
    task: str,
    bound: bool,
    strict: bool = False,
    context: Mapping[str, Any] | None = None,
    dump_kwargs: Mapping[str, Any] | None = None,
) -> Any:
    """Wrap the body of a task so that it gets and returns models as models.

    ``task`` is the name of the task and ``bound`` whether the body takes it first; the other
    options are those of the task, without their prefix. The wrapper has a function
    ``dump_arguments(args, kwargs)``, which does the caller's part.

    Raises :class:`ImproperlyConfigured` if pydantic is not installed.
    """
    models = Models(function, task, bound, strict, dict(context or {}), dict(dump_kwargs or {}))
    if inspect.iscoroutinefunction(function):

        @wraps(function)
        async def body(*args: Any, **kwargs: Any) -> Any:
            arguments = models.bind(args, kwargs)
            return models.dump_result(await function(*arguments.args, **arguments.kwargs))

    else:

        @wraps(function)
        def body(*args: Any, **kwargs: Any) -> Any:
            arguments = models.bind(args, kwargs)
            return models.dump_result(function(*arguments.args, **arguments.kwargs))

    body.dump_arguments = models.dump_arguments  # type: ignore[attr-defined]
    return body


class Models:
    """The models in the signature of one function."""

    def __init__(
        self,
        function: Callable[..., Any],
        task: str,
        bound: bool,
        strict: bool,
        context: dict[str, Any],
        dump_kwargs: dict[str, Any],
    ) -> None:
        try:
            from pydantic import BaseModel
        except ImportError as error:
            raise ImproperlyConfigured(
                f"Task {task}: pydantic=True needs the package pydantic. Install djtasks[pydantic]."
            ) from error
        self.base: type[Any] = BaseModel
        self.task = task
        self.bound = bound
        self.strict = strict
        self.context = context
        self.dump_kwargs = {"mode": "json", **dump_kwargs}
        self.signature = inspect.signature(function)
        self.hints = _hints(function)
        parameters = self.signature.parameters
        self.models = {
            name: model
            for name, parameter in parameters.items()
            if (model := self._model(self.hints.get(name, parameter.annotation))) is not None
        }
        self.result_model = self._model(self.hints.get("return", self.signature.return_annotation))
        self.positional = [
            name
            for name, parameter in parameters.items()
            if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        ][1 if bound else 0 :]
        self.by_keyword = {
            name
            for name, parameter in parameters.items()
            if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        }

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> inspect.BoundArguments:
        """The arguments of a run, with validated models where the signature names some."""
        arguments = self.signature.bind(*args, **kwargs)
        for name, value in arguments.arguments.items():
            model = self.models.get(name)
            if model is not None and not (value is None and self._is_optional(name)):
                arguments.arguments[name] = self._validate(model, value)
        return arguments

    def dump_result(self, value: Any) -> Any:
        """A returned model as JSON, if it is of the class that the signature names."""
        if self.result_model is not None and isinstance(value, self.result_model):
            return value.model_dump(**self.dump_kwargs)
        return value

    def dump_arguments(
        self, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> tuple[Sequence[Any], Mapping[str, Any]]:
        """The arguments of a call with models as JSON, where that gives an equal model back."""
        if not any(isinstance(value, self.base) for value in (*args, *kwargs.values())):
            return args, kwargs
        names = [*self.positional, *[None] * len(args)]
        return (
            [self._dump(name, value) for name, value in zip(names, args, strict=False)],
            {
                name: self._dump(name if name in self.by_keyword else None, value)
                for name, value in kwargs.items()
            },
        )

    def _dump(self, name: str | None, value: Any) -> Any:
        if name is None or name not in self.models or not isinstance(value, self.base):
            return value
        dumped = value.model_dump(**self.dump_kwargs)
        # A subclass passed for its base, or a serializer that loses something, would arrive as
        # something else than was sent: such a model stays, and encoding it says what is wrong.
        return dumped if self._validate(self.models[name], dumped) == value else value

    def _validate(self, model: Any, value: Any) -> Any:
        from djtasks.app import app

        return model.model_validate(
            value,
            strict=self.strict,
            context={**self.context, "celery_app": app, "celery_task_name": self.task},
        )

    def _model(self, annotation: Any) -> Any:
        inner = _optional(annotation)
        candidate = annotation if inner is None else inner
        if isinstance(candidate, type) and issubclass(candidate, self.base):
            return candidate
        return None

    def _is_optional(self, name: str) -> bool:
        annotation = self.hints.get(name, self.signature.parameters[name].annotation)
        return _optional(annotation) is not None


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function)
    except (NameError, AttributeError, TypeError):
        # A name that only type checkers see: the annotations are used as they stand.
        return {}


def _optional(annotation: Any) -> Any:
    """The ``X`` of ``X | None``, or None."""
    if typing.get_origin(annotation) not in (typing.Union, types.UnionType):
        return None
    members = typing.get_args(annotation)
    others = [member for member in members if member is not types.NoneType]
    return others[0] if len(members) == 2 and len(others) == 1 else None

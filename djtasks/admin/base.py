"""What the pages of the task browser share: who may see them, their frame, and the log."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import django
from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.db import DEFAULT_DB_ALIAS, transaction
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.text import capfirst

from djtasks.conf import conf
from djtasks.models import Overview, PeriodicTask, Queue, TaskRecord, Worker

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin as _ModelAdmin
else:

    class _ModelAdmin(admin.ModelAdmin):
        """Lets the class be written with its model, as type checkers want it."""

        def __class_getitem__(cls, item: Any) -> type:
            return cls


M = TypeVar("M", bound=Model)

LIVE = "X-Djtasks-Live"
"""The header of a request that wants the parts of a page that change, without its frame."""


class BrowserAdmin(_ModelAdmin[M]):
    """A page that shows what workers write, and offers what may be done about it."""

    actions: Any = None
    object_history_template = "admin/djtasks/history.html"
    title: Any

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds such a row by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody changes such a row by hand; actions have permissions of their own."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes such a row by hand; there is an action for results."""
        return False

    def check_view(self, request: HttpRequest) -> None:
        """Raise PermissionDenied for those who may not see the page."""
        if not self.has_view_permission(request):
            raise PermissionDenied

    def may(self, request: HttpRequest, permission: str) -> bool:
        """Whether the user has a permission of this app, by its code name."""
        return bool(request.user.has_perm(f"djtasks.{permission}"))

    def demand(self, request: HttpRequest, permission: str) -> None:
        """Raise PermissionDenied for those who may not."""
        if not self.may(request, permission):
            raise PermissionDenied

    def url(self, name: str, *args: Any) -> str:
        """The address of a page of this app, in this admin site; empty where it has none."""
        try:
            return reverse(f"admin:djtasks_{name}", args=args, current_app=self.admin_site.name)
        except NoReverseMatch:
            return ""

    def page(
        self, request: HttpRequest, template: str, context: Mapping[str, Any]
    ) -> TemplateResponse:
        """A page in the admin's frame, or only its content if the page itself asks for that."""
        is_live = LIVE in request.headers
        shown = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "app_label": self.opts.app_label,
            "base": "admin/djtasks/fragments.html" if is_live else "admin/base_site.html",
            "breadcrumbs_are_a_list": django.VERSION >= (6, 1),
            "tabs": list(self._tabs(request)),
            "back": request.get_full_path(),
            # Only for those who may see the list that links lead to.
            "tasks_url": self.list_url(request, TaskRecord),
            "queue_action_url": self.url("queue_action"),
            "worker_action_url": self.url("worker_action"),
            **context,
        }
        request.current_app = self.admin_site.name
        response = TemplateResponse(request, f"admin/djtasks/{template}", shown)
        response["Vary"] = LIVE
        return response

    def list_url(self, request: HttpRequest, model: type[Model], query: str = "") -> str:
        """The address of a list of this app; empty for those who may not see it."""
        if not self.admin_site.is_registered(model):
            return ""
        if not self.admin_site.get_model_admin(model).has_view_permission(request):
            return ""
        return self.url(f"{model._meta.model_name}_changelist") + query

    def _tabs(self, request: HttpRequest) -> Iterator[dict[str, Any]]:
        """The pages of the app that the user may see."""
        for model in (Overview, TaskRecord, PeriodicTask, Queue, Worker):
            url = self.list_url(request, model)
            if url:
                yield {
                    "url": url,
                    "name": capfirst(model._meta.verbose_name_plural),
                    "is_current": model is self.model,
                }

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The list: it shows all that there is to be seen of a row."""
        self.check_view(request)
        return HttpResponseRedirect(self.url(f"{self.opts.model_name}_changelist"))

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The admin's own, with the way to the other pages."""
        more = {"tabs": list(self._tabs(request)), **(extra_context or {})}
        return super().history_view(request, object_id, more)

    def committing(self, view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        """A view of this site that commits as it goes, whatever ``ATOMIC_REQUESTS`` says.

        Workers are told of what was done when it is committed, and rows are locked for as long.
        """
        wrapped = self.admin_site.admin_view(view)
        for alias in {DEFAULT_DB_ALIAS, conf.DATABASE}:
            wrapped = transaction.non_atomic_requests(using=alias)(wrapped)
        return wrapped

    def safe_back(self, request: HttpRequest) -> str:
        """Where the form said it came from, if that is a page of this site, or else the list."""
        target = request.POST.get("back", "")
        if url_has_allowed_host_and_scheme(
            target, allowed_hosts={request.get_host()}, require_https=request.is_secure()
        ):
            return target
        return self.url(f"{self.opts.model_name}_changelist")

    def go_back(self, request: HttpRequest) -> HttpResponse:
        """Send the user to where the form came from."""
        return HttpResponseRedirect(self.safe_back(request))

    def note(self, request: HttpRequest, object_id: str, representation: str, message: str) -> None:
        """Write to the admin's log what the user did; ``object_id`` is empty for a search."""
        self.note_all(request, [(object_id, representation)], message)

    def note_all(
        self, request: HttpRequest, objects: Sequence[tuple[str, str]], message: str
    ) -> None:
        """Write to the admin's log what the user did to each of these: ids, with what is shown."""
        user_id: Any = request.user.pk  # of whatever type the project has
        type_id = ContentType.objects.get_for_model(self.model, for_concrete_model=False).pk
        LogEntry.objects.bulk_create(
            LogEntry(
                user_id=user_id,
                content_type_id=type_id,
                object_id=object_id or None,
                object_repr=representation[:200],
                action_flag=CHANGE,
                change_message=message,
            )
            for object_id, representation in objects
        )

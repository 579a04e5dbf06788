"""SQL that only PostgreSQL understands, as a migration operation.

A project may have databases of other kinds beside the one of the queue; on those the operation
does nothing, so that ``migrate`` works on them too.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from django.db.migrations.operations.base import Operation


def statements(name: str) -> str:
    """The text of ``sql/<name>.sql``, beside the migrations."""
    return files(__package__ or "").joinpath(f"sql/{name}.sql").read_text(encoding="utf-8")


class RunPostgres(Operation):
    """Run statements on PostgreSQL only, and where the router lets djtasks migrate."""

    reversible = True

    def __init__(self, forward: str, backward: str = "") -> None:
        self.forward = forward
        self.backward = backward

    def state_forwards(self, app_label: str, state: Any) -> None:
        """Change nothing: the models know nothing of storage parameters."""

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        """Run the forward statements."""
        self._run(app_label, schema_editor, self.forward)

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        """Run the backward statements."""
        self._run(app_label, schema_editor, self.backward)

    def describe(self) -> str:
        """Name the operation in the output of ``migrate --plan``."""
        return "Set up storage of the task tables on PostgreSQL"

    def _run(self, app_label: str, schema_editor: Any, statements: str) -> None:
        connection = schema_editor.connection
        if (
            connection.vendor == "postgresql"
            and statements
            and self.allow_migrate_app(connection.alias, app_label)
        ):
            schema_editor.execute(statements, params=None)

    @staticmethod
    def allow_migrate_app(alias: str, app_label: str) -> bool:
        """Whether the routers let djtasks' tables live in this database."""
        from django.db import router

        return router.allow_migrate(alias, app_label, model_name="message")

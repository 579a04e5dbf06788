"""Settings of the test project: for the demo and for development.

Everything that differs between machines comes from the environment:

``DATABASE_URL``
    PostgreSQL to use. Unset: an embedded server, started here and shared with child processes.
``DJTASKS_TEST_PG_DATA``
    Where the embedded server keeps its data; empty: nowhere, they are thrown away.
``DJTASKS_TEST_PG_BIN``
    The ``bin`` directory of the PostgreSQL to embed, if not the wheel's.
``DJTASKS_TEST_PG_FSYNC``
    Whether the embedded server's commits wait for the disk.
``CONN_MAX_AGE``
    Seconds for which a process keeps a database connection; 0: for one request, for one task.
``DEMO_DIR``
    Where the demo puts its files and logs.
"""

from __future__ import annotations

from pathlib import Path

import environ

from djtasks.schedules import crontab
from testproject.databases import database
from testproject.embedded import ensure_database_url

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()

_data = env.str("DJTASKS_TEST_PG_DATA", default=str(BASE_DIR / ".demo"))
_url = ensure_database_url(
    keep=Path(_data) if _data else None,
    fsync=env.bool("DJTASKS_TEST_PG_FSYNC", default=True),
)

SECRET_KEY = env.str("SECRET_KEY", default="only-for-the-demo-and-the-tests")
DEBUG = env.bool("DEBUG", default=True)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "djtasks",
    "testproject.cheeseshop",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    # The admin in the language of each browser.
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]

ROOT_URLCONF = "testproject.urls"
WSGI_APPLICATION = "testproject.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {
    "default": {"CONN_MAX_AGE": env.int("CONN_MAX_AGE", default=0), **database(_url)},
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "static/"

DEMO_DIR = Path(env.str("DEMO_DIR", default=str(BASE_DIR / ".demo")))
MEDIA_URL = "files/"
MEDIA_ROOT = DEMO_DIR / "cheeseshop"

DJTASKS: dict[str, object] = {
    "BEAT_SCHEDULE": {
        "Ask the dairies": {
            "task": "testproject.cheeseshop.tasks.ask_dairies",
            "schedule": crontab(minute=30, hour=7, day_of_week="mon-sat", timezone="Europe/London"),
            "description": "Before the shop opens.",
        },
        "Look at the shelves": {
            "task": "testproject.cheeseshop.tasks.look_at_shelves",
            "schedule": 30,
            "options": {"expires": 30},
        },
    },
}

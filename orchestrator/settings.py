"""One settings module for every environment; values come from the environment only and fail loudly."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from urllib.parse import unquote, urlsplit

BASE_DIR = Path(__file__).resolve().parent.parent


class SettingError(SystemExit):
    """A setting is missing or malformed; the message names the variable."""


def _text(name: str, default: str = "") -> str:
    """Read NAME, or the file that NAME_FILE points to."""
    path = os.environ.get(f"{name}_FILE")
    if path:
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise SettingError(f"{name}_FILE: cannot read {path}: {error.strerror}") from None
    return os.environ.get(name, default)


def _flag(name: str, *, default: bool) -> bool:
    raw = _text(name, "1" if default else "0").lower()
    if raw in {"1", "true", "yes", "on"}:
        return True
    if raw in {"0", "false", "no", "off", ""}:
        return False
    raise SettingError(f"{name}: '{raw}' is neither 1 nor 0")


def _number(name: str, default: int) -> int:
    raw = _text(name, str(default))
    try:
        return int(raw)
    except ValueError:
        raise SettingError(f"{name}: '{raw}' is not a whole number") from None


BATON_HOME = Path(_text("BATON_HOME", str(BASE_DIR / "var"))).resolve()
BATON_HOME.mkdir(mode=0o700, parents=True, exist_ok=True)
BATON_URL = _text("BATON_URL", "http://127.0.0.1:8000")
DATABASE_URL = _text("DATABASE_URL")
REDIS_URL = _text("REDIS_URL")
EMBEDDED = not DATABASE_URL and not REDIS_URL
"""The embedded profile: SQLite, Celery worker, sweeper and sequencer as threads of the web process."""
DEMO = _flag("BATON_DEMO", default=EMBEDDED)
DEBUG = False


def _secret_key() -> str:
    given = _text("BATON_SECRET_KEY")
    if given:
        if len(given) < 32:
            raise SettingError("BATON_SECRET_KEY: at least 32 characters")
        return given
    path = BATON_HOME / "secret.key"
    if not path.exists():
        if not EMBEDDED and not _flag("BATON_ALLOW_LOCAL_KEYS", default=False):
            raise SettingError("BATON_SECRET_KEY: must be set in production")
        temporary = path.with_suffix(f".{os.getpid()}")
        temporary.touch(mode=0o600)
        temporary.write_text(secrets.token_urlsafe(48), encoding="ascii")
        try:
            os.link(temporary, path)
        except FileExistsError:
            pass
        temporary.unlink()
    return path.read_text(encoding="ascii")


SECRET_KEY = _secret_key()
_host = urlsplit(BATON_URL).hostname or "127.0.0.1"
ALLOWED_HOSTS = [_host, "127.0.0.1", "localhost", "[::1]"]
CSRF_TRUSTED_ORIGINS = [f"{urlsplit(BATON_URL).scheme}://{urlsplit(BATON_URL).netloc}"]
HTTPS = BATON_URL.startswith("https://")

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "guardian",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "channels",
    "django_htmx",
    "orchestrator.web",
    "audit",
    "orchestrator.files",
    "orchestrator.accounts",
    "approvals",
    "registry",
    "designer",
    "orchestrator.runs",
    "orchestrator.console",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "allauth.usersessions.middleware.UserSessionsMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "orchestrator.urls"
ASGI_APPLICATION = "orchestrator.asgi.application"
WSGI_APPLICATION = "orchestrator.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]


def _database() -> dict[str, object]:
    if not DATABASE_URL:
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": _text("BATON_SQLITE_PATH", str(BATON_HOME / "baton.sqlite3")),
            "TEST": {"NAME": str(BATON_HOME / "test.sqlite3")},
            "CONN_MAX_AGE": None,
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                "init_command": (
                    "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; "
                    "PRAGMA foreign_keys=ON; PRAGMA recursive_triggers=ON"
                ),
            },
        }
    url = urlsplit(DATABASE_URL)
    if url.scheme not in {"postgres", "postgresql"}:
        raise SettingError("DATABASE_URL: must start with postgresql://")
    query = dict(pair.partition("=")[::2] for pair in url.query.split("&") if pair)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(url.path.lstrip("/")),
        "USER": unquote(url.username or ""),
        "PASSWORD": unquote(url.password or ""),
        "HOST": unquote(query.get("host", "") or url.hostname or ""),
        "PORT": str(url.port or ""),
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            "options": "-c statement_timeout=15000 -c lock_timeout=3000 "
            "-c idle_in_transaction_session_timeout=30000",
        },
    }


DATABASES = {"default": _database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "allauth.account.auth_backends.AuthenticationBackend",
    "guardian.backends.ObjectPermissionBackend",
]
ANONYMOUS_USER_NAME = None
GUARDIAN_MONKEY_PATCH_USER = False

LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = BASE_DIR / "staticfiles"
MIGRATION_MODULES: dict[str, str] = {}

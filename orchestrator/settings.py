"""One settings module for every environment; values come from the environment, bad ones fail."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import secrets
from pathlib import Path
from urllib.parse import unquote, urlsplit

from orchestrator.core.labels import labels_of

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
"""The embedded profile: SQLite, and every part is a thread of the web process."""


def _labels(name: str) -> tuple[str, ...]:
    try:
        found = labels_of(_text(name))
    except ValueError as error:
        raise SettingError(f"{name}: {error}") from None
    if len(",".join(found)) > 400:
        raise SettingError(f"{name}: more than 400 characters")
    return found


WORKER_LABELS = _labels("BATON_WORKER_LABELS")
"""What workers of this environment are good for, beside everything else."""
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
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
        temporary.unlink()
    return path.read_text(encoding="ascii")


SECRET_KEY = _secret_key()
FIELD_KEYS = _text("BATON_FIELD_KEYS")
"""Keys for credentials, `id:key` each; empty: those of `BATON_HOME` (`orchestrator/crypto.py`)."""
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
    "budgets",
    "orchestrator.runs",
    "orchestrator.console",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "orchestrator.web.middleware.PolicyMiddleware",
    "orchestrator.web.middleware.StaticMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "orchestrator.accounts.middleware.SignInMiddleware",
    "orchestrator.accounts.middleware.ActorMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "allauth.usersessions.middleware.UserSessionsMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "orchestrator.web.problems.ProblemMiddleware",
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
                "orchestrator.web.frame.frame",
            ],
            "builtins": ["orchestrator.web.templatetags.baton"],
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
            # Only the engine's hot statements are prepared; to plan one again costs more than to
            # run it. They are cheap for the planner's estimate and for just-in-time compilation.
            "options": "-c statement_timeout=15000 -c lock_timeout=3000 "
            "-c idle_in_transaction_session_timeout=30000 "
            "-c plan_cache_mode=force_generic_plan -c jit=off",
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

# Sign-in
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_LOGOUT_REDIRECT_URL = "/accounts/login/"
ACCOUNT_ADAPTER = "orchestrator.accounts.adapter.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_SESSION_REMEMBER = False
ACCOUNT_FORMS = {"login": "orchestrator.accounts.forms.SignInForm"}
ACCOUNT_USER_DISPLAY = "orchestrator.accounts.adapter.display_name"
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

# Cookies and headers: __Host- names and Secure wherever the address is https
SESSION_COOKIE_NAME = "__Host-baton-session" if HTTPS else "baton_session"
CSRF_COOKIE_NAME = "__Host-baton-csrf" if HTTPS else "baton_csrf"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = _number("BATON_SESSION_SECONDS", 12 * 3600)
CSRF_FAILURE_VIEW = "orchestrator.web.problems.csrf_failure"
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SILENCED_SYSTEM_CHECKS: list[str] = []

API_REQUESTS_PER_MINUTE = _number("BATON_API_REQUESTS_PER_MINUTE", 6000)
"""For each person, service identity or, before sign-in, address."""

# API
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "orchestrator.accounts.authentication.TokenAuthentication",
        "orchestrator.accounts.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["orchestrator.web.api_policy.TablePermission"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["orchestrator.web.api_policy.StrictJSONParser"],
    "DEFAULT_PAGINATION_CLASS": "orchestrator.web.api_policy.CursorPages",
    "DEFAULT_SCHEMA_CLASS": "orchestrator.web.schema.Schema",
    "DEFAULT_THROTTLE_CLASSES": ["orchestrator.web.api_policy.ActorThrottle"],
    "EXCEPTION_HANDLER": "orchestrator.web.api_problems.api_exception_handler",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Baton",
    "DESCRIPTION": "Design, approve, run, watch and prove multi-agent AI workflows.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["orchestrator.web.api_policy.SignedIn"],
    "COMPONENT_SPLIT_REQUEST": True,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "/static/web/icon.svg",
    "ENUM_NAME_OVERRIDES": {
        "ReviewStatusEnum": "approvals.models.ReviewStatus",
        "WorkflowVersionStatusEnum": "designer.models.WorkflowVersionStatus",
        "AgentVersionStatusEnum": "registry.models.AgentVersionStatus",
        "RoleEnum": "orchestrator.accounts.contracts.ROLE_CHOICES",
        "ObservationKindEnum": "orchestrator.runs.traffic.OBSERVATIONS",
        "FitVerdictEnum": ["fits", "does_not_fit", "cannot_tell"],
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "orchestrator.web.schema.add_problems",
    ],
}

# Cache: rate limits; shared between processes in production
CACHES = {
    "default": {"BACKEND": "orchestrator.web.caches.SharedCache", "LOCATION": REDIS_URL}
    if REDIS_URL
    else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
}

# Live hints
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [REDIS_URL], "prefix": "baton"},
    }
    if REDIS_URL
    else {"BACKEND": "orchestrator.live.ThreadCrossingLayer"}
}

LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_COLLECTED = _flag("BATON_STATIC_COLLECTED", default=False)
"""With `collectstatic`: files have hashed names, are compressed and may be kept for ever."""
STATIC_ROOT = (
    _text("BATON_STATIC_ROOT", str(BASE_DIR / "staticfiles")) if STATIC_COLLECTED else None
)
WHITENOISE_USE_FINDERS = not STATIC_COLLECTED
WHITENOISE_AUTOREFRESH = False
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if STATIC_COLLECTED
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
MIGRATION_MODULES: dict[str, str] = {}


# Outgoing calls (orchestrator/egress.py)
def _private_networks() -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """Networks that agents may call although they are private: comma-separated CIDR blocks."""
    raw = _text("BATON_EGRESS_PRIVATE_NETWORKS")
    try:
        return [ipaddress.ip_network(part.strip()) for part in raw.split(",") if part.strip()]
    except ValueError as error:
        raise SettingError(f"BATON_EGRESS_PRIVATE_NETWORKS: {error}") from None


def _demo_hosts() -> dict[str, tuple[str, int]]:
    """`name=127.0.0.1:port` pairs of demo services; for a demo on loopback or a test only."""
    raw = _text("BATON_DEMO_HOSTS")
    if not raw:
        return {}
    loopback = _host in {"127.0.0.1", "localhost", "::1"}
    if not ((DEMO and loopback) or _flag("BATON_TESTING", default=False)):
        raise SettingError("BATON_DEMO_HOSTS: only for a demo on loopback")
    hosts: dict[str, tuple[str, int]] = {}
    for pair in raw.split(","):
        name, _, place = pair.strip().partition("=")
        address, _, port = place.rpartition(":")
        if not name.endswith(".demo") or address != "127.0.0.1" or not port.isdigit():
            raise SettingError(f"BATON_DEMO_HOSTS: '{pair}' is not NAME.demo=127.0.0.1:PORT")
        hosts[name] = (address, int(port))
    return hosts


EGRESS_PRIVATE_NETWORKS = _private_networks()
EGRESS_HOSTS = _demo_hosts()

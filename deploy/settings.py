"""All settings, in one flat file. Environment variables change them (listed in docs/operators.md)."""

import os
import secrets
from pathlib import Path

from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from deploy.database import database_settings
from deploy.private import private_folder
from deploy.secret_key import weakness


def flag(name: str, default: bool) -> bool:
    return os.environ.get(name, "1" if default else "0").lower() in ("1", "true", "yes", "on")


BASE_DIR = Path(__file__).resolve().parent.parent
VAR = Path(os.environ.get("KONOMI_VAR", BASE_DIR / "var")).resolve()
private_folder(VAR)

# ---- security ----
PRODUCTION = flag("KONOMI_PRODUCTION", False)
DEBUG = flag("KONOMI_DEBUG", False)


def local_secret_key() -> str:
    """This installation's own key, generated once and stored in var."""
    path = VAR / "secret_key"
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return path.read_text().strip() or secrets.token_urlsafe(50)
    key = secrets.token_urlsafe(50)
    with os.fdopen(handle, "w") as file:
        file.write(key)
    return key


SECRET_KEY = os.environ.get("KONOMI_SECRET_KEY", "")
if PRODUCTION and (reason := weakness(SECRET_KEY)):
    raise ImproperlyConfigured(
        f"KONOMI_PRODUCTION=1 needs KONOMI_SECRET_KEY with at least 32 random characters of its own ({reason}). Make "
        "one with: python -c 'import secrets; print(secrets.token_urlsafe(50))'"
    )
if PRODUCTION and DEBUG:
    raise ImproperlyConfigured("KONOMI_PRODUCTION=1 and KONOMI_DEBUG=1 exclude each other")
SECRET_KEY = SECRET_KEY or local_secret_key()

ALLOWED_HOSTS = os.environ.get("KONOMI_HOSTS", "localhost,127.0.0.1,[::1]").split(",")
CSRF_TRUSTED_ORIGINS = [origin for origin in os.environ.get("KONOMI_ORIGINS", "").split(",") if origin]
HTTPS = flag("KONOMI_HTTPS", PRODUCTION)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^healthz$"]  # called internally, not through the proxy that terminates TLS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
# HSTS for subdomains, and preloading, bind other sites of the domain: its owner's choice (docs/operators.md).
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if flag("KONOMI_BEHIND_PROXY", False) else None
SECURE_REFERRER_POLICY = "same-origin"
SESSION_ENGINE = "deploy.sessions"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_AGE = 14 * 24 * 3600
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}
# Uploads are streamed; this limits what a form may hold in memory.
DATA_UPLOAD_MAX_MEMORY_SIZE = 16 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 5_000  # a file may have 1,000 columns, and a column has up to four fields
UPLOAD_LIMIT_BYTES = int(os.environ.get("KONOMI_UPLOAD_LIMIT_MB", "2048")) * 1024 * 1024
# What an address takes that expects no file: from somebody signed in, the longest texts; from visitors, a sign-in form.
BODY_LIMIT_BYTES = DATA_UPLOAD_MAX_MEMORY_SIZE
VISITORS_BODY_LIMIT_BYTES = 64 * 1024

# ---- apps, middleware, templates ----
INSTALLED_APPS = [
    "annotation",
    "training",
    "deploy",
    "demo",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.contrib.postgres",
    "allauth",
    "allauth.account",
    "django_htmx",
    "template_partials",
    "csp",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "deploy.csp.OnePolicyMiddleware",
    "deploy.requests.RefuseMalformedMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "deploy.requests.LimitBodiesMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "deploy.cache_control.SignedInPagesMiddleware",
    "deploy.language.PersonsLanguageMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]
ROOT_URLCONF = "deploy.urls"
WSGI_APPLICATION = "deploy.wsgi.application"
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
            ],
        },
    }
]
# Render every hit of the fragment cache again and compare (annotation/templatetags/fragment_cache.py). For tests.
CHECK_FRAGMENT_CACHE = False

# ---- data ----
DATABASES = {"default": database_settings(url=os.environ.get("DATABASE_URL", ""), var=VAR)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CACHES = {
    # The counters of sign-in attempts, which all web processes share. A full cache drops entries, and with them locks:
    # the limit is far above what is counted within the minutes that an entry lives.
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "annotation_counter",
        "OPTIONS": {"MAX_ENTRIES": 1_000_000},
    },
    # Figures that each process may compute for itself.
    "memory": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
}
# Whitenoise serves the static files and views the others: no other user of the machine reads them.
FILE_UPLOAD_PERMISSIONS = 0o600
FILE_UPLOAD_DIRECTORY_PERMISSIONS = 0o700
DATASETS_DIR = VAR / "datasets"
UPLOADS_DIR = VAR / "uploads"
# Folders below which a model may be loaded, separated by os.pathsep. Our own runs are always included.
MODEL_ROOTS = [VAR / "runs", VAR / "models"] + [
    Path(root).resolve() for root in os.environ.get("KONOMI_MODEL_ROOTS", "").split(os.pathsep) if root
]
ALLOW_HUB = flag("KONOMI_ALLOW_HUB", False)
# How many engines may run concurrently on this machine.
ENGINES = int(os.environ.get("KONOMI_ENGINES", "1"))
# Module name of the programs that engine jobs run; another package with the same programs may replace it.
ENGINE_PROGRAM = os.environ.get("KONOMI_ENGINE_PROGRAM", "training.engine.{program}")
# How long a cancelled engine may take to save before its process group is killed.
CANCEL_GRACE_SECONDS = float(os.environ.get("KONOMI_CANCEL_GRACE_SECONDS", "120"))

# ---- accounts and mail ----
AUTH_USER_MODEL = "annotation.User"
AUTHENTICATION_BACKENDS = ["annotation.members.auth_backend.PeopleBackend"]
ACCOUNT_ADAPTER = "annotation.members.accounts.InvitationOnlyAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_SESSION_REMEMBER = True
# Failures are counted, by account and by address; a whole office may sign in at nine o'clock.
ACCOUNT_RATE_LIMITS = {"login": None, "login_failed": "30/m/ip,5/300s/key", "join": "20/m/ip,20/m/key"}
# allauth limits sign-in and reset attempts by address and account; behind a proxy the address is the forwarded one.
ALLAUTH_TRUSTED_PROXY_COUNT = 1 if flag("KONOMI_BEHIND_PROXY", False) else 0
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "home"
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_FORMS = {
    "login": "annotation.web.forms.accounts.LoginForm",
    "change_password": "annotation.web.forms.accounts.ChangePasswordForm",
    "set_password": "annotation.web.forms.accounts.SetPasswordForm",
    "reset_password": "annotation.web.forms.accounts.ResetPasswordForm",
    "reset_password_from_key": "annotation.web.forms.accounts.ResetPasswordKeyForm",
    "reauthenticate": "annotation.web.forms.accounts.ReauthenticateForm",
}
SHORTEST_PASSWORD = 10  # characters; annotation/web/forms/people.py describes these rules
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": SHORTEST_PASSWORD},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
# Without a mail server, mail is written to files in var/mail, where an operator can read it.
EMAIL_HOST = os.environ.get("KONOMI_EMAIL_HOST", "")
EMAIL_PORT = int(os.environ.get("KONOMI_EMAIL_PORT", "587"))
EMAIL_HOST_USER = os.environ.get("KONOMI_EMAIL_USER", "")
EMAIL_HOST_PASSWORD = os.environ.get("KONOMI_EMAIL_PASSWORD", "")
EMAIL_USE_TLS = flag("KONOMI_EMAIL_TLS", True)
EMAIL_BACKEND = f"django.core.mail.backends.{'smtp' if EMAIL_HOST else 'filebased'}.EmailBackend"
EMAIL_FILE_PATH = VAR / "mail"
DEFAULT_FROM_EMAIL = os.environ.get("KONOMI_EMAIL_FROM", "konomi@localhost")

# ---- language, time, files ----
LANGUAGE_CODE = "en"
# Adding one: CONTRIBUTING.md, "Languages".
LANGUAGES = [("en", "English"), ("ja", "Japanese")]
LOCALE_PATHS = [BASE_DIR / "locale"]
FORMAT_MODULE_PATH = "deploy.formats"
USE_I18N = True
USE_TZ = True
TIME_ZONE = os.environ.get("KONOMI_TIME_ZONE", "UTC")
STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "deploy.static.BokehFinder",
]
STATIC_ROOT = VAR / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": VAR / "media"}},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if flag("KONOMI_MANIFEST_STATIC", False)
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = not flag("KONOMI_MANIFEST_STATIC", False)

# ---- background work ----
CELERY_BROKER_URL = os.environ.get("CELERY_BROKER_URL") or "filesystem://localhost//"
CELERY_TASK_SERIALIZER = CELERY_RESULT_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BEAT_SCHEDULE_FILENAME = str(VAR / "celery" / "schedule")
CELERY_BEAT_SCHEDULER = "deploy.scheduler:Scheduler"
(VAR / "celery").mkdir(mode=0o700, exist_ok=True)
if CELERY_BROKER_URL.startswith("filesystem:"):
    CELERY_FOLDERS = {
        "data_folder_in": str(VAR / "celery" / "queue"),
        "data_folder_out": str(VAR / "celery" / "queue"),
        "control_folder": str(VAR / "celery" / "control"),
    }
    for folder in CELERY_FOLDERS.values():
        Path(folder).mkdir(mode=0o700, exist_ok=True)
    CELERY_BROKER_TRANSPORT_OPTIONS = CELERY_FOLDERS
# Any job may be lost (a killed worker, a broken broker): these find what is due and do it.
CELERY_BEAT_SCHEDULE = {
    "watch engine jobs": {"task": "training.jobs.watch_engine_jobs", "schedule": 5.0},
    "expire leases": {"task": "annotation.jobs.expire_leases", "schedule": 60.0},
    "resume imports": {"task": "annotation.jobs.resume_imports", "schedule": 60.0},
    "resume exports": {"task": "annotation.jobs.resume_exports", "schedule": 60.0},
    "delete old exports": {"task": "annotation.jobs.delete_old_exports", "schedule": 3600.0},
    "send summaries": {"task": "annotation.jobs.send_summaries", "schedule": 3600.0},
    "finish withdrawals": {"task": "annotation.jobs.finish_withdrawals", "schedule": 60.0},
    "fold counts": {"task": "annotation.jobs.fold_counts", "schedule": 60.0},
    "analyse answers": {"task": "annotation.jobs.analyse_due", "schedule": 300.0},
    "seal events": {"task": "annotation.jobs.seal_events", "schedule": 60.0},
    "clear sessions": {"task": "annotation.jobs.clear_sessions", "schedule": 6 * 3600.0},
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "filters": {"outage": {"()": "deploy.outage.OneLine"}, "refusals": {"()": "deploy.outage.Refusals"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["refusals", "outage"]}},
    "root": {"handlers": ["stderr"], "level": os.environ.get("KONOMI_LOG_LEVEL", "WARNING")},
}

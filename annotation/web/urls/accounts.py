"""Of allauth's pages, those that we use; the others (several addresses, sign-in by code …) do not exist here."""

from allauth.account import views
from django.conf import settings
from django.urls import path, re_path


def mail_is_sent() -> bool:
    """False while mails are files in var/mail, so that the page does not promise what cannot come."""
    return bool(settings.EMAIL_HOST)


MAIL = {"mail_is_sent": mail_is_sent}

urlpatterns = [
    path("login/", views.login, name="account_login"),
    path("logout/", views.logout, name="account_logout"),
    path("inactive/", views.account_inactive, name="account_inactive"),
    path("signup/", views.signup, name="account_signup"),
    path("reauthenticate/", views.reauthenticate, name="account_reauthenticate"),
    path("password/change/", views.password_change, name="account_change_password"),
    path("password/set/", views.password_set, name="account_set_password"),
    path("password/reset/", views.PasswordResetView.as_view(extra_context=MAIL), name="account_reset_password"),
    path(
        "password/reset/done/",
        views.PasswordResetDoneView.as_view(extra_context=MAIL),
        name="account_reset_password_done",
    ),
    re_path(
        r"^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
        views.password_reset_from_key,
        name="account_reset_password_from_key",
    ),
    path(
        "password/reset/key/done/",
        views.password_reset_from_key_done,
        name="account_reset_password_from_key_done",
    ),
]

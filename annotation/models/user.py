import secrets
from datetime import timedelta
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email__iexact=username)


class User(AbstractBaseUser, PermissionsMixin):
    """A person, known by e-mail. `is_superuser` makes a site administrator; all else is a membership's role."""

    email = models.EmailField(unique=True)
    name = models.CharField(max_length=150)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False, help_text="May open the administration pages.")
    is_simulated = models.BooleanField(default=False, help_text="A program that answers in a person's place.")
    language = models.CharField(max_length=10, blank=True, help_text="Of the pages; empty: as the browser asks.")
    keys = models.JSONField(default=dict, blank=True, help_text='Keys that this person moved: {"action": "key", …}.')
    single_keys = models.BooleanField(default=True, help_text="Single-letter keys work.")
    date_joined = models.DateTimeField(default=timezone.now)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS = ["name"]

    class Meta:
        constraints = [models.UniqueConstraint(Lower("email"), name="user_email_once")]

    def __str__(self) -> str:
        return self.name or self.email

    def get_full_name(self) -> str:
        return self.name

    def get_short_name(self) -> str:
        return self.name.split(" ")[0] if self.name else self.email


def new_token() -> str:
    return secrets.token_urlsafe(32)


def a_fortnight_from_now() -> Any:
    return timezone.now() + timedelta(days=14)


class Invitation(models.Model):
    """A link by which one person makes an account and joins a project. Used once, and only while it holds."""

    token = models.CharField(max_length=64, unique=True, default=new_token, editable=False)
    project = models.ForeignKey("annotation.Project", models.CASCADE, related_name="invitations", null=True, blank=True)
    role = models.CharField(max_length=16, blank=True)
    email = models.EmailField(blank=True, help_text="When given, only this address can accept.")
    created_by = models.ForeignKey(User, models.CASCADE, related_name="invitations_made")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(default=a_fortnight_from_now)
    accepted_by = models.ForeignKey(User, models.CASCADE, related_name="+", null=True, blank=True)
    accepted_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"invitation {self.pk}"

    @property
    def is_open(self) -> bool:
        return self.accepted_at is None and self.expires_at > timezone.now()

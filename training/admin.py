"""Administration pages of training: for looking. What changes goes through the actions, which leave events."""

from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest

from training.models import Checkpoint, Evaluation, Generation, Round, Run


class ReadOnlyAdmin(admin.ModelAdmin):
    list_filter: ClassVar[Any] = ("project",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Run)
class RunAdmin(ReadOnlyAdmin):
    list_display = ("id", "project", "trainer", "status", "dataset", "parent", "created_by", "created_at")
    list_filter = ("project", "trainer", "status")


@admin.register(Generation, Evaluation)
class EngineJobAdmin(ReadOnlyAdmin):
    list_display = ("id", "project", "checkpoint", "status", "created_by", "created_at")
    list_filter = ("project", "status")


@admin.register(Checkpoint)
class CheckpointAdmin(ReadOnlyAdmin):
    list_display = ("id", "project", "run", "parent", "form", "promoted_at", "created_at")


@admin.register(Round)
class RoundAdmin(ReadOnlyAdmin):
    list_display = ("id", "project", "number", "status", "checkpoint", "created_at")

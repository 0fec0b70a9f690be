"""Messages between a project's managers and one of its members."""

from django.db import models

from annotation.models.project import Project
from annotation.models.user import User


class Message(models.Model):
    """One message of the conversation between a member (`member`) and the project's managers.

    By the member, it is for all managers; by anybody else, it is for the member. `read_at` is when one of those whom it
    is for marked it as read, or answered.
    """

    project = models.ForeignKey(Project, models.CASCADE, related_name="messages")
    member = models.ForeignKey(User, models.CASCADE, related_name="+")
    author = models.ForeignKey(User, models.PROTECT, related_name="+")
    text = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)
    read_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["created_at", "id"]
        indexes = [
            models.Index(fields=["project", "member", "created_at"], name="message_of_member"),
            models.Index(fields=["member"], condition=models.Q(read_at=None), name="message_unread"),
        ]

    def __str__(self) -> str:
        return f"message {self.pk} of project {self.project_id}"

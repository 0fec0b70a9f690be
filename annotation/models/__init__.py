"""One concept a file; this module is the door, so that callers write `from annotation.models import Task`."""

from annotation.models.annotation import Annotation, Draft
from annotation.models.dataset import DatasetVersion
from annotation.models.event import Event
from annotation.models.guideline import Guideline
from annotation.models.project import Aspect, Membership, Project, ReasonTag, Role, WeightSet
from annotation.models.prompt import Candidate, Import, Prompt
from annotation.models.task import Assignment, Batch, Kind, Task
from annotation.models.user import Invitation, User

__all__ = [
    "Annotation", "Aspect", "Assignment", "Batch", "Candidate", "DatasetVersion", "Draft", "Event", "Guideline",
    "Import", "Invitation", "Kind", "Membership", "Project", "Prompt", "ReasonTag", "Role", "Task", "User",
    "WeightSet",
]  # fmt: skip

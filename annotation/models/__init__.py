"""One concept a file; this module re-exports them, so that callers write `from annotation.models import Task`."""

from annotation.models.adjudication import Adjudication, AdjudicationClaim, TaskDoubt
from annotation.models.analysis import Analysis, AnalysisRows
from annotation.models.annotation import Annotation, Draft
from annotation.models.answer_export import AnswerExport
from annotation.models.check import CheckProposal, Gold, TaskCheck
from annotation.models.consent import DatasetRemoval, DatasetSuccessor, EventRedaction, SealRedaction, Withdrawal
from annotation.models.counts import CandidateCount, PromptCount, SlotCount, WorkCount
from annotation.models.dataset import DatasetVersion
from annotation.models.event import Event, EventSeal
from annotation.models.exclusion import Exclusion
from annotation.models.guideline import Guideline
from annotation.models.message import Message
from annotation.models.pay import PayRate
from annotation.models.plan import Plan
from annotation.models.project import Aspect, Membership, Project, ReasonTag, Role, WeightSet
from annotation.models.prompt import Candidate, Import, Prompt
from annotation.models.qualification import Qualification, QualificationAttempt, QualificationItem
from annotation.models.reference import GlossaryTerm, MemoryEntry
from annotation.models.review import GuidelineReading, Remark, Review, ReviewClaim
from annotation.models.selection import PairMargin, TaskArm
from annotation.models.summary import WeeklySummary
from annotation.models.task import Assignment, Batch, Kind, QueueCursor, Task, TimeSpent, WorkClock
from annotation.models.trial import GuidelineClause, TrialArm, TrialPerson
from annotation.models.user import Invitation, User

__all__ = [
    "Adjudication",
    "AdjudicationClaim",
    "Analysis",
    "AnalysisRows",
    "Annotation",
    "AnswerExport",
    "Aspect",
    "Assignment",
    "Batch",
    "Candidate",
    "CandidateCount",
    "CheckProposal",
    "DatasetRemoval",
    "DatasetSuccessor",
    "DatasetVersion",
    "Draft",
    "Event",
    "EventRedaction",
    "EventSeal",
    "Exclusion",
    "GlossaryTerm",
    "Gold",
    "Guideline",
    "GuidelineClause",
    "GuidelineReading",
    "Import",
    "Invitation",
    "Kind",
    "Membership",
    "MemoryEntry",
    "Message",
    "PairMargin",
    "PayRate",
    "Plan",
    "Project",
    "Prompt",
    "PromptCount",
    "Qualification",
    "QualificationAttempt",
    "QualificationItem",
    "QueueCursor",
    "ReasonTag",
    "Remark",
    "Review",
    "ReviewClaim",
    "Role",
    "SealRedaction",
    "SlotCount",
    "Task",
    "TaskArm",
    "TaskCheck",
    "TaskDoubt",
    "TimeSpent",
    "TrialArm",
    "TrialPerson",
    "User",
    "WeeklySummary",
    "WeightSet",
    "Withdrawal",
    "WorkClock",
    "WorkCount",
]

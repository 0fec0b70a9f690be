"""Look up an object by user and id, or raise 404.

All row access goes through here; outsiders cannot tell whether an object exists.
"""

from typing import Any, TypeVar

from django.contrib.auth.models import AnonymousUser
from django.db.models import Exists, Model, OuterRef, Q, QuerySet, Subquery
from django.http import Http404

from annotation.core.prepared import TASK_TEXTS, execute, hydrate, select_list, texts_of
from annotation.models import (
    Annotation,
    AnswerExport,
    Assignment,
    Batch,
    DatasetVersion,
    Exclusion,
    GuidelineClause,
    Import,
    Membership,
    Message,
    Project,
    Prompt,
    Remark,
    Role,
    Task,
    User,
    Withdrawal,
)

Person = User | AnonymousUser
ModelT = TypeVar("ModelT", bound=Model)

MEMBERS = (Role.ANNOTATOR, Role.REVIEWER, Role.MANAGER)
STAFF = (Role.REVIEWER, Role.MANAGER)
MANAGERS = (Role.MANAGER,)
MAX_ID = 2**63 - 1


def projects_of(user: Person, roles: tuple[Role, ...] = MEMBERS) -> QuerySet[Project]:
    """Projects in which this person has one of the roles; all of them for a site administrator."""
    if not isinstance(user, User) or not user.is_active:
        return Project.objects.none()
    if user.is_superuser:
        return Project.objects.all()
    return Project.objects.filter(memberships__user=user, memberships__role__in=roles)


def project_for(user: Person, slug: str, roles: tuple[Role, ...] = MEMBERS) -> Project:
    return first_or_404(projects_of(user, roles).filter(slug=slug))


def batch_for(user: Person, batch_id: int, roles: tuple[Role, ...] = MEMBERS) -> Batch:
    return first_or_404(within(Batch.objects.select_related("project"), user, roles).filter(pk=batch_id))


def dataset_for(user: Person, dataset_id: int, roles: tuple[Role, ...] = STAFF) -> DatasetVersion:
    return first_or_404(within(DatasetVersion.objects.select_related("project"), user, roles).filter(pk=dataset_id))


def answer_export_for(user: Person, export_id: int) -> AnswerExport:
    """The person's own export, in a project that they manage; nobody else's, not even for an administrator."""
    rows = AnswerExport.objects.select_related("project", "created_by").filter(created_by=user.pk)
    return first_or_404(within(rows, user, MANAGERS).filter(pk=export_id))


def import_for(user: Person, import_id: int) -> Import:
    return first_or_404(within(Import.objects.select_related("project"), user, MANAGERS).filter(pk=import_id))


def assignment_for(user: Person, assignment_id: int) -> Assignment:
    """The person's own assignment, whatever its state; nobody else's, not even for an administrator."""
    if not isinstance(user, User):
        raise Http404
    rows = Assignment.objects.select_related("task__prompt", "batch__project")
    return first_or_404(within(rows, user, MEMBERS, "batch__project").filter(pk=assignment_id, annotator=user))


# Runs with every draft and answer, so it is prepared: the assignment with all that its page needs, for a member.
OWN_OR_FORMER = f"""
SELECT {select_list(Assignment, "a")}, {select_list(Task, "t")}, {select_list(Prompt, "p")}, {select_list(Batch, "b")},
    {select_list(Project, "r")}, {TASK_TEXTS}
FROM annotation_assignment a
    JOIN annotation_task t ON t.id = a.task_id JOIN annotation_prompt p ON p.id = t.prompt_id
    JOIN annotation_batch b ON b.id = a.batch_id JOIN annotation_project r ON r.id = b.project_id
WHERE a.id = %(assignment)s
    AND (%(everywhere)s OR EXISTS (
        SELECT FROM annotation_membership m WHERE m.project_id = b.project_id AND m.user_id = %(user)s))
    AND (a.annotator_id = %(user)s OR EXISTS (
        SELECT FROM annotation_event e WHERE e.object_type = 'assignment' AND e.object_id = a.id
            AND e.verb IN ('assignment.expired', 'assignment.released')
            AND e.before @> jsonb_build_object('annotator', %(user)s::bigint)))
"""  # noqa: S608 - our own select_list


def assignment_once_of(user: Person, assignment_id: int) -> Assignment:
    """The person's own assignment, or one that was theirs until its lease ran out or it was released: the event
    log says so. They may still submit what they typed meanwhile."""
    if not isinstance(user, User) or not user.is_active or assignment_id > MAX_ID:
        raise Http404
    rows = execute(OWN_OR_FORMER, {"assignment": assignment_id, "user": user.pk, "everywhere": user.is_superuser})
    if not rows:
        raise Http404
    assignment: Assignment
    assignment, task, prompt, batch, project = hydrate(rows[0], Assignment, Task, Prompt, Batch, Project)
    assignment.task, task.prompt, assignment.batch, batch.project = task, prompt, batch, project
    task.texts = texts_of(rows[0][-1])
    return assignment


def assignment_managed(user: Person, assignment_id: int) -> Assignment:
    """Anybody's assignment, in a project that this person manages."""
    rows = Assignment.objects.select_related("batch__project")
    return first_or_404(within(rows, user, MANAGERS, "batch__project").filter(pk=assignment_id))


def own_answer(user: Person, annotation_id: int) -> Annotation:
    """A version of the person's own answer; nobody else's, not even for an administrator."""
    rows = Annotation.objects.select_related("task__prompt", "assignment__batch__project")
    return first_or_404(
        within(rows, user, MEMBERS, "assignment__batch__project").filter(pk=annotation_id, annotator=user.pk)
    )


def answer_managed(user: Person, annotation_id: int) -> Annotation:
    """Anybody's answer, in a project that this person manages."""
    rows = Annotation.objects.select_related("annotator", "task__batch__project")
    return first_or_404(within(rows, user, MANAGERS, "task__batch__project").filter(pk=annotation_id))


def answer_reviewed(user: Person, annotation_id: int) -> Annotation:
    """Anybody's answer, in a project that this person reviews or manages, with all that its page needs."""
    rows = Annotation.objects.select_related("annotator", "assignment", "task__prompt")
    rows = rows.select_related("task__batch__project", "task__batch__weight_set")
    return first_or_404(within(rows, user, STAFF, "task__batch__project").filter(pk=annotation_id))


def task_reviewed(user: Person, task_id: int) -> Task:
    """A task of a project that this person reviews or manages, with what its pages need."""
    rows = Task.objects.select_related("batch__project", "batch__weight_set", "prompt")
    return first_or_404(within(rows, user, STAFF, "batch__project").filter(pk=task_id))


def exclusion_managed(user: Person, exclusion_id: int) -> Exclusion:
    """An exclusion in a project that this person manages."""
    rows = Exclusion.objects.select_related("project", "prompt", "task", "annotator")
    return first_or_404(within(rows, user, MANAGERS).filter(pk=exclusion_id))


def withdrawal_for(user: Person, withdrawal_id: int) -> Withdrawal:
    """A withdrawal of consent: the person's own, member or not, or in a project that this person manages."""
    rows = Withdrawal.objects.select_related("project", "person", "recorded_by").filter(pk=withdrawal_id)
    own = rows.filter(person=user.pk).first() if isinstance(user, User) and user.is_active else None
    return own or first_or_404(within(rows, user, MANAGERS))


def projects_with_own(user: Person) -> QuerySet[Project]:
    """Projects in which this person's consent matters: they are a member, have answered, or have withdrawn."""
    if not isinstance(user, User) or not user.is_active:
        return Project.objects.none()
    answered = Annotation.objects.filter(annotator=user, task__batch__project=OuterRef("pk"))
    member = Membership.objects.filter(user=user, project=OuterRef("pk"))
    withdrawn = Withdrawal.objects.filter(person=user, project=OuterRef("pk"))
    return Project.objects.filter(Exists(member) | Exists(answered) | Exists(withdrawn))


def prompt_managed(user: Person, prompt_id: int) -> Prompt:
    """A prompt of a project that this person manages."""
    return first_or_404(within(Prompt.objects.select_related("project"), user, MANAGERS).filter(pk=prompt_id))


def clause_managed(user: Person, clause_id: int) -> GuidelineClause:
    """A proposed clause of the guideline, in a project that this person manages."""
    rows = GuidelineClause.objects.select_related("project", "based_on", "adopted_as", "created_by", "decided_by")
    return first_or_404(within(rows, user, MANAGERS).filter(pk=clause_id))


def remark_for(user: Person, remark_id: int) -> Remark:
    """Anybody's remark, in a project that this person reviews or manages."""
    rows = Remark.objects.select_related("task__prompt", "task__batch__project")
    return first_or_404(within(rows, user, STAFF, "task__batch__project").filter(pk=remark_id))


def own_remarks(user: Person) -> QuerySet[Remark]:
    """This person's remarks, in the projects they belong to."""
    return within(Remark.objects.filter(author=user.pk), user, MEMBERS, "task__batch__project")


def within(rows: QuerySet[ModelT], user: Person, roles: tuple[Role, ...], path: str = "project") -> QuerySet[ModelT]:
    """Those rows whose project (reached by `path`) this person may see in one of the roles."""
    if isinstance(user, User) and user.is_active and user.is_superuser:
        return rows
    if not isinstance(user, User) or not user.is_active:
        return rows.none()
    projects = Membership.objects.filter(user=user, role__in=roles).values("project_id")
    return rows.filter(Q(**{f"{path}_id__in": projects}))


def role_in(user: Person, project: Project) -> Role | None:
    """This person's role in the project; a site administrator is a manager everywhere."""
    if not isinstance(user, User):
        return None
    if user.is_superuser:
        return Role.MANAGER
    membership = Membership.objects.filter(project=project, user=user).first()
    return Role(membership.role) if membership else None


def project_and_role(
    user: Person, slug: str, roles: tuple[Role, ...] = MEMBERS, **annotations: Any
) -> tuple[Project, Role]:
    """`project_for` and `role_in` in one query; `annotations` are further expressions to read of the project."""
    own = Membership.objects.filter(user=user.pk, project=OuterRef("pk")).values("role")
    rows = projects_of(user, roles).filter(slug=slug)
    project: Any = first_or_404(rows.annotate(own_role=Subquery(own[:1]), **annotations))
    is_administrator = isinstance(user, User) and user.is_superuser
    return project, Role.MANAGER if is_administrator else Role(project.own_role)


def conversation_for(user: User, slug: str, member_id: int) -> tuple[Project, User]:
    """The project and the member whose conversation with the managers this is: for the member and for managers.

    Who has left is found by managers while there are messages.
    """
    project, role = project_and_role(user, slug)
    if role != Role.MANAGER and user.pk != member_id:
        raise Http404
    people = Membership.objects.filter(project=project).values("user")
    written = Message.objects.filter(project=project).values("member")
    return project, first_or_404(User.objects.filter(Q(pk__in=people) | Q(pk__in=written), pk=member_id))


def first_or_404(rows: QuerySet[ModelT]) -> ModelT:
    row = rows.first()
    if row is None:
        raise Http404
    return row

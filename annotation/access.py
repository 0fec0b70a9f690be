"""(user, id) → object, or 404: the only door to rows. A stranger learns nothing, not even that a thing exists."""

from typing import TypeVar

from django.contrib.auth.models import AnonymousUser
from django.db.models import Model, Q, QuerySet
from django.http import Http404

from annotation.models import Assignment, Batch, DatasetVersion, Event, Import, Membership, Project, Role, User

Person = User | AnonymousUser
ModelT = TypeVar("ModelT", bound=Model)

MEMBERS = (Role.ANNOTATOR, Role.REVIEWER, Role.MANAGER)
STAFF = (Role.REVIEWER, Role.MANAGER)
MANAGERS = (Role.MANAGER,)


def projects_of(user: Person, roles: tuple[Role, ...] = MEMBERS) -> QuerySet[Project]:
    """Projects in which this person has one of the roles; all of them for a site administrator."""
    if not isinstance(user, User) or not user.is_active:
        return Project.objects.none()
    if user.is_superuser:
        return Project.objects.all()
    return Project.objects.filter(memberships__user=user, memberships__role__in=roles)


def project_for(user: Person, slug: str, roles: tuple[Role, ...] = MEMBERS) -> Project:
    return found(projects_of(user, roles).filter(slug=slug))


def batch_for(user: Person, batch_id: int, roles: tuple[Role, ...] = MEMBERS) -> Batch:
    return found(within(Batch.objects.select_related("project"), user, roles).filter(pk=batch_id))


def dataset_for(user: Person, dataset_id: int, roles: tuple[Role, ...] = STAFF) -> DatasetVersion:
    return found(within(DatasetVersion.objects.select_related("project"), user, roles).filter(pk=dataset_id))


def import_for(user: Person, import_id: int) -> Import:
    return found(within(Import.objects.select_related("project"), user, MANAGERS).filter(pk=import_id))


def assignment_for(user: Person, assignment_id: int) -> Assignment:
    """The person's own assignment, whatever its state; nobody else's, not even for an administrator."""
    if not isinstance(user, User):
        raise Http404
    rows = Assignment.objects.select_related("task__prompt", "batch__project")
    return found(within(rows, user, MEMBERS, "batch__project").filter(pk=assignment_id, annotator=user))


def assignment_once_of(user: Person, assignment_id: int) -> Assignment:
    """The person's own assignment, or one that was theirs until its lease ran out or it was released: the journal
    knows. What they typed meanwhile is still theirs to send."""
    if not isinstance(user, User):
        raise Http404
    rows = within(Assignment.objects.select_related("task__prompt", "batch__project"), user, MEMBERS, "batch__project")
    left = Event.objects.filter(
        object_type="assignment",
        object_id=assignment_id,
        verb__in=["assignment.expired", "assignment.released"],
        before__annotator=user.pk,
    )
    row = rows.filter(pk=assignment_id).first()
    if row is None or (row.annotator_id != user.pk and not left.exists()):
        raise Http404
    return row


def assignment_managed(user: Person, assignment_id: int) -> Assignment:
    """Anybody's assignment, in a project that this person manages."""
    rows = Assignment.objects.select_related("batch__project")
    return found(within(rows, user, MANAGERS, "batch__project").filter(pk=assignment_id))


def within(rows: QuerySet[ModelT], user: Person, roles: tuple[Role, ...], path: str = "project") -> QuerySet[ModelT]:
    """Those rows whose project (reached by `path`) this person may see in one of the roles."""
    if isinstance(user, User) and user.is_active and user.is_superuser:
        return rows
    if not isinstance(user, User) or not user.is_active:
        return rows.none()
    mine = Membership.objects.filter(user=user, role__in=roles).values("project_id")
    return rows.filter(Q(**{f"{path}_id__in": mine}))


def role_in(user: Person, project: Project) -> Role | None:
    """This person's role in the project; a site administrator is a manager everywhere."""
    if not isinstance(user, User):
        return None
    if user.is_superuser:
        return Role.MANAGER
    membership = Membership.objects.filter(project=project, user=user).first()
    return Role(membership.role) if membership else None


def found(rows: QuerySet[ModelT]) -> ModelT:
    row = rows.first()
    if row is None:
        raise Http404
    return row

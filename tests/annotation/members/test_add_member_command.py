"""manage.py add_member."""

import pytest
from django.core.management import CommandError, call_command

from annotation.models import Event, Membership, Role
from tests.factories import ProjectFactory, UserFactory, join

pytestmark = pytest.mark.django_db


def test_people_are_added_and_roles_changed(capsys):
    project = ProjectFactory(slug="hotel")
    manager, ann, bob = join(project, Role.MANAGER), UserFactory(email="ann@example.org"), join(project, Role.ANNOTATOR)
    call_command("add_member", "hotel", "Ann@example.org", bob.email, manager.email, "--role", "manager")
    assert set(Membership.objects.filter(project=project).values_list("user_id", "role")) == {
        (person.pk, "manager") for person in (manager, ann, bob)
    }
    said = capsys.readouterr().out
    assert "ann@example.org: manager of hotel\n" in said
    assert f"{bob.email}: manager of hotel (was annotator)" in said
    assert f"{manager.email}: manager of hotel (already)" in said
    assert Event.objects.filter(verb="member.added").count() == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["motel", "a@example.org"], r"there is no project 'motel'\. Projects: hotel"),
        (
            ["hotel", "nobody@example.org"],
            "no account has the address nobody@example.org; make one: manage.py create_user",
        ),
    ],
)
def test_what_is_missing_is_named(arguments, message):
    ProjectFactory(slug="hotel")
    with pytest.raises(CommandError, match=message):
        call_command("add_member", *arguments)
    assert not Membership.objects.exists()


def test_the_last_manager_stays():
    project = ProjectFactory(slug="hotel")
    manager = join(project, Role.MANAGER)
    with pytest.raises(CommandError, match="needs a manager"):
        call_command("add_member", "hotel", manager.email, "--role", "reviewer")


def test_the_remedy_works(monkeypatch):
    ProjectFactory(slug="hotel")
    monkeypatch.setenv("KONOMI_PASSWORD", "correct horse battery staple")
    call_command("create_user", "new@example.org", "--name", "New")
    call_command("add_member", "hotel", "new@example.org")
    assert Membership.objects.get().role == "annotator"

"""Hana manages a project and invites Kei. The door opens once, for the right person, for a fortnight."""

import threading
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.utils import timezone

from annotation.core.errors import Conflict
from annotation.members.memberships import (
    LastManager,
    accept_invitation,
    change_role,
    invite,
    remove_member,
    revoke_invitation,
)
from annotation.models import Assignment, Batch, Event, Invitation, Membership, Role, Task, User
from tests.factories import PASSWORD, ProjectFactory, PromptFactory, UserFactory, join

pytestmark = pytest.mark.django_db


@pytest.fixture
def project():
    return ProjectFactory(name="Hotel replies", slug="hotel")


@pytest.fixture
def hana(project):
    return join(project, Role.MANAGER, name="Hana")


@pytest.fixture
def invitation(project, hana):
    return invite(project=project, role=Role.ANNOTATOR, actor=hana)


def door(invitation):
    return f"/join/{invitation.token}/"


NEW = {"email": "kei@example.org", "name": "Kei", "password": PASSWORD, "password_again": PASSWORD}


def test_a_manager_makes_a_link_and_a_stranger_becomes_a_member(client, sign_in, project, hana):
    sign_in(hana)
    page = client.post("/projects/hotel/settings/people/", {"role": "reviewer", "email": ""}, follow=True)
    invitation = Invitation.objects.get()
    assert f'value="http://testserver{door(invitation)}"' in page.content.decode()

    kei = Client()
    page = kei.get(door(invitation)).content.decode()
    assert "<bdi>Hana</bdi> invites you to <bdi>Hotel replies</bdi>" in page
    assert "reviewer" in page
    response = kei.post(door(invitation), NEW, follow=True)
    assert "You are in: Hotel replies." in response.content.decode(), "and is signed in at once"
    member = Membership.objects.get(user__email="kei@example.org")
    assert (member.project, member.role) == (project, "reviewer")
    verbs = list(Event.objects.order_by("id").values_list("verb", flat=True))
    assert verbs == ["invitation.made", "user.created", "invitation.accepted", "member.added"]


def test_a_used_link_is_over_and_says_so(client, invitation):
    client.post(door(invitation), NEW)
    again = Client().get(door(invitation))
    assert again.status_code == 410
    assert "already been used" in again.content.decode()
    posted = Client().post(door(invitation), NEW | {"email": "other@example.org"})
    assert posted.status_code == 410
    assert not User.objects.filter(email="other@example.org").exists()
    mine = client.get(door(invitation), follow=True)
    assert "already" in mine.content.decode(), "whoever used it is led in"


def test_an_expired_or_withdrawn_link_is_over(client, sign_in, invitation, hana):
    Invitation.objects.filter(pk=invitation.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert client.get(door(invitation)).status_code == 410
    other = invite(project=invitation.project, role=Role.ANNOTATOR, actor=hana)
    assert other.expires_at - timezone.now() > timedelta(days=13, hours=23)
    sign_in(hana).post(f"/projects/hotel/settings/invitations/{other.pk}/revoke/")
    page = Client().post(door(other), NEW)
    assert page.status_code == 410
    assert "Ask Hana for a new one" in page.content.decode()
    with pytest.raises(Conflict):
        revoke_invitation(invitation=other, actor=hana)


def test_an_unknown_link_is_not_found(client):
    assert client.get("/join/nonsense/").status_code == 404


def test_mistakes_are_shown_beside_their_fields_and_cost_nothing(client, invitation):
    wrong = {"email": "kei", "name": "", "password": "short", "password_again": "shirt"}
    page = client.post(door(invitation), wrong)
    assert page.status_code == 422
    text = page.content.decode()
    assert "valid email" in text
    assert "two passwords differ" in text
    page = client.post(door(invitation), NEW | {"password": "short", "password_again": "short"})
    assert page.status_code == 422
    assert "too short" in page.content.decode()
    invitation.refresh_from_db()
    assert invitation.is_open


def test_a_taken_address_leads_to_sign_in(client, invitation):
    UserFactory(email="kei@example.org", name="Kei")
    page = client.post(door(invitation), NEW)
    assert page.status_code == 422
    text = page.content.decode()
    assert "already" in text
    assert f"/accounts/login/?next=/join/{invitation.token}/" in text
    signed_in = client.post(
        f"/accounts/login/?next={door(invitation)}",
        {"login": "kei@example.org", "password": PASSWORD, "next": door(invitation)},
    )
    assert signed_in.url == door(invitation)
    assert b"Join with this account" in client.get(door(invitation)).content
    client.post(door(invitation))
    assert Membership.objects.get(user__email="kei@example.org").role == "annotator"


def test_an_invitation_for_one_address_is_for_nobody_else(client, sign_in, project, hana):
    invitation = invite(project=project, role=Role.ANNOTATOR, actor=hana, email="Kei@Example.org")
    page = client.post(door(invitation), NEW | {"email": "mallory@example.org"})
    assert page.status_code == 302
    assert Membership.objects.filter(user__email="kei@example.org").exists(), "the field is not even read"

    second = invite(project=project, role=Role.ANNOTATOR, actor=hana, email="rin@example.org")
    mallory = UserFactory(email="mallory@example.org")
    page = sign_in(mallory).post(door(second))
    assert page.status_code == 409
    assert "for rin@example.org" in page.content.decode()
    assert not Membership.objects.filter(user=mallory).exists()


def test_a_member_who_opens_a_link_loses_nothing(client, sign_in, project, hana, invitation):
    page = sign_in(hana).post(door(invitation), follow=True)
    assert "You are in: Hotel replies." in page.content.decode()
    assert Membership.objects.get(user=hana).role == "manager"
    invitation.refresh_from_db()
    assert invitation.is_open, "it is still there for the person it was meant for"


def test_a_member_is_raised_by_a_higher_invitation(project, hana):
    kei = join(project, Role.ANNOTATOR)
    invitation = invite(project=project, role=Role.REVIEWER, actor=hana)
    accept_invitation(invitation=invitation, user=kei)
    assert Membership.objects.get(user=kei).role == "reviewer"
    assert not Invitation.objects.get().is_open


@pytest.mark.django_db(transaction=True)
def test_two_clicks_at_once_make_one_member():
    project = ProjectFactory()
    invitation = invite(project=project, role=Role.ANNOTATOR, actor=join(project, Role.MANAGER))
    people = [UserFactory() for _ in range(4)]
    start, outcomes = threading.Barrier(4), []

    def click(user):
        start.wait()
        try:
            accept_invitation(invitation=Invitation.objects.get(pk=invitation.pk), user=user)
            outcomes.append("in")
        except Conflict:
            outcomes.append("late")
        finally:
            connection.close()

    threads = [threading.Thread(target=click, args=(user,)) for user in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["in", "late", "late", "late"]
    assert project.memberships.filter(role=Role.ANNOTATOR).count() == 1


# ---- roles ----


def test_roles_change_and_people_leave_from_the_page(client, sign_in, project, hana):
    kei = Membership.objects.get(user=join(project, Role.ANNOTATOR, name="Kei"))
    sign_in(hana)
    base = f"/projects/hotel/settings/people/{kei.pk}"
    page = client.post(f"{base}/role/", {"role": "reviewer"}, follow=True).content.decode()
    assert "Kei is reviewer now." in page
    page = client.post(f"{base}/role/", {"role": "emperor"}, follow=True).content.decode()
    assert "one of the three roles" in page
    page = client.post(f"{base}/remove/", follow=True).content.decode()
    assert "Kei left the project" in page
    assert not Membership.objects.filter(pk=kei.pk).exists()
    changed = Event.objects.get(verb="member.role_changed")
    assert (changed.before["role"], changed.after["role"], changed.actor) == ("annotator", "reviewer", hana)
    assert Event.objects.get(verb="member.removed").before["role"] == "reviewer"


def test_the_last_manager_stays(client, sign_in, project, hana):
    own = Membership.objects.get(user=hana)
    with pytest.raises(LastManager):
        change_role(membership=own, role=Role.ANNOTATOR, actor=hana)
    with pytest.raises(LastManager):
        remove_member(membership=own, actor=hana)
    join(project, Role.MANAGER, is_active=False)
    page = sign_in(hana).post(f"/projects/hotel/settings/people/{own.pk}/remove/", follow=True)
    assert "needs a manager" in page.content.decode(), "a switched-off account does not count"
    second = join(project, Role.MANAGER)
    page = client.post(f"/projects/hotel/settings/people/{own.pk}/remove/")
    assert page.url == "/", "who has left is not sent back to a page they may not see"
    assert list(project.memberships.filter(role="manager", user__is_active=True).values_list("user", flat=True)) == [
        second.pk
    ]


@pytest.mark.django_db(transaction=True)
def test_two_managers_cannot_remove_each_other_at_once():
    project = ProjectFactory()
    rows = [Membership.objects.get(user=join(project, Role.MANAGER)) for _ in range(2)]
    start, outcomes = threading.Barrier(2), []

    def leave(row):
        start.wait()
        try:
            remove_member(membership=row, actor=None)
            outcomes.append("left")
        except LastManager:
            outcomes.append("stays")
        finally:
            connection.close()

    threads = [threading.Thread(target=leave, args=(row,)) for row in rows]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["left", "stays"]


def test_the_tasks_of_who_leaves_go_back_into_the_queue(project, hana):
    kei = join(project, Role.ANNOTATOR)
    batch = Batch.objects.create(project=project, name="First", kind="writing", overlap=1, seed=1)
    task = Task.objects.create(batch=batch, prompt=PromptFactory(project=project), position=0)
    slot = Assignment.objects.create(
        task=task,
        batch=batch,
        slot=0,
        position=0,
        state="held",
        annotator=kei,
        claimed_at=timezone.now(),
        leased_until=timezone.now() + timedelta(hours=1),
    )
    remove_member(membership=Membership.objects.get(user=kei), actor=hana)
    slot.refresh_from_db()
    assert (slot.state, slot.annotator) == ("free", None)


def test_a_stale_role_change_is_refused(project, hana):
    membership = Membership.objects.get(user=join(project, Role.ANNOTATOR))
    stale = Membership.objects.get(pk=membership.pk)
    change_role(membership=membership, role=Role.REVIEWER, actor=hana)
    with pytest.raises(Conflict):
        change_role(membership=stale, role=Role.MANAGER, actor=hana)


# ---- the command line ----


def test_invite_prints_the_link(capsys, project, hana):
    call_command("invite", "hotel", "--role", "reviewer", "--by", hana.email, "--site", "https://konomi.example.org/")
    invitation = Invitation.objects.get()
    out = capsys.readouterr().out
    assert out.startswith(f"invitation {invitation.pk}: https://konomi.example.org/join/{invitation.token}/ (reviewer")
    with pytest.raises(CommandError, match="no project 'motel'"):
        call_command("invite", "motel")
    with pytest.raises(CommandError, match="--by"):
        call_command("invite", "hotel")

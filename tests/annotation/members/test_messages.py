"""Messages between managers and a member, through the pages. Mio and Jun manage, Hana and Ken annotate."""

import pytest
from django.urls import reverse
from lxml import html

from annotation.members.memberships import remove_member
from annotation.members.messages import MAX_MESSAGE, send_message, waiting_for
from annotation.models import Event, Kind, Membership, Message, Role
from tests.annotation.helpers import batch_of, hotel
from tests.factories import ProjectFactory, join

pytestmark = pytest.mark.django_db
TEXT = "Please look at the guideline again.\nSection 2 has changed."


@pytest.fixture
def project():
    return hotel(prompts=2, slug="hotel", name="Hotel replies")


@pytest.fixture
def mio(project):
    return join(project, Role.MANAGER, name="Mio")


@pytest.fixture
def hana(project):
    return join(project, Role.ANNOTATOR, name="Hana")


def url_of(member):
    return reverse("conversation", args=["hotel", member.pk])


def shown(client, url):
    return html.fromstring(client.get(url).content)


def test_a_message_arrives_and_is_answered(project, mio, hana, sign_in):
    batch = batch_of(project, Kind.WRITING)
    client = sign_in(mio)
    page = client.post(url_of(hana), {"text": TEXT}, follow=True).content.decode()
    assert "Hana sees it on the home page and beside the next task" in html.fromstring(page).text_content()
    assert not waiting_for(mio)

    client = sign_in(hana)
    assert TEXT in shown(client, reverse("home")).text_content()
    assert "A manager has written to you" in client.get(reverse("work", args=[batch.pk])).content.decode()
    client.post(url_of(hana), {"text": "I will."})
    assert TEXT not in shown(client, reverse("home")).text_content()  # whoever answers has read it
    assert "A manager has written to you" not in client.get(reverse("work", args=[batch.pk])).content.decode()

    # Any manager sees it, and one who marks it as read does so for all.
    jun = join(project, Role.MANAGER, name="Jun")
    assert [row["member__name"] for row in waiting_for(jun)] == ["Hana"]
    client = sign_in(mio)
    home = shown(client, reverse("home"))
    assert home.xpath(f'//a[@href="{url_of(hana)}"]')
    assert "I will." in shown(client, url_of(hana)).text_content()
    client.post(reverse("conversation_read", args=["hotel", hana.pk]))
    assert not waiting_for(jun)
    assert not shown(client, reverse("home")).xpath(f'//a[@href="{url_of(hana)}"]')
    verbs = list(Event.objects.filter(object_type="message").order_by("pk").values_list("verb", flat=True))
    assert verbs == ["message.sent", "message.read", "message.sent", "message.read"]
    # The journal cannot forget, so it does not hold what people write to each other.
    assert not any(TEXT in str(event.after) for event in Event.objects.filter(object_type="message"))


def test_a_member_may_begin(project, mio, hana, sign_in):
    client = sign_in(hana)
    client.post(url_of(hana), {"text": "I am away on Friday."})
    assert [(row["member__name"], row["count"]) for row in waiting_for(mio)] == [("Hana", 1)]
    assert "I am away" not in shown(client, reverse("home")).text_content()


def test_nobody_else_reads_it(project, mio, hana, sign_in):
    send_message(project=project, member=hana, text=TEXT, author=mio)
    for person in (
        join(project, Role.ANNOTATOR, name="Ken"),
        join(project, Role.REVIEWER, name="Rin"),
        join(ProjectFactory(), Role.MANAGER, name="Stranger"),
    ):
        client = sign_in(person)
        assert client.get(url_of(hana)).status_code == 404
        assert client.post(url_of(hana), {"text": "?"}).status_code == 404
        assert client.post(reverse("conversation_read", args=["hotel", hana.pk])).status_code == 404
    outsider = join(ProjectFactory(), Role.ANNOTATOR, name="Outsider")
    client = sign_in(mio)
    assert client.get(url_of(outsider)).status_code == 404
    assert Message.objects.get().read_at is None


def test_sent_twice_is_one_and_bad_texts_come_back(project, mio, hana, sign_in):
    client = sign_in(mio)
    for _ in range(2):
        client.post(url_of(hana), {"text": TEXT})
    assert Message.objects.count() == 1
    empty = client.post(url_of(hana), {"text": " \r\n\0"})
    assert empty.status_code == 422
    assert "Write a message." in empty.content.decode()
    long = client.post(url_of(hana), {"text": "あ" * (MAX_MESSAGE + 1)})
    assert long.status_code == 422
    assert "あ" * (MAX_MESSAGE + 1) in long.content.decode()
    assert Message.objects.count() == 1


def test_who_left_keeps_the_conversation_and_gets_nothing_new(project, mio, hana, sign_in):
    send_message(project=project, member=hana, text=TEXT, author=mio)
    client = sign_in(mio)
    remove_member(membership=Membership.objects.get(user=hana), actor=mio)
    page = shown(client, url_of(hana))
    assert TEXT in page.text_content()
    assert not page.xpath("//textarea")
    assert "no longer a member" in client.post(url_of(hana), {"text": "Come back"}).content.decode()
    client = sign_in(hana)
    assert client.get(url_of(hana)).status_code == 404
    assert TEXT not in shown(client, reverse("home")).text_content()

"""Whatever has a name has one that can be seen: it is the text of links."""

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from annotation.models import Batch, Kind, Message, Project, Role, User
from tests.annotation.helpers import batch_of, hotel
from tests.factories import join

pytestmark = pytest.mark.django_db
UNSEEN = ("\u200b", "\u00ad\ufeff", "\u2800")


@pytest.mark.parametrize("name", UNSEEN)
def test_a_name_without_ink_is_refused(name, sign_in, settings):
    project = hotel(prompts=2, slug="hotel")
    batch = batch_of(project, Kind.WRITING)
    kei, client = join(project, Role.ANNOTATOR), sign_in(join(project, Role.MANAGER))
    edited = client.post(reverse("batch_change", args=[batch.pk]), {"name": name, "priority": "0"})
    assert edited.status_code == 422
    sent = client.post(reverse("conversation", args=["hotel", kei.pk]), {"text": name})
    assert sent.status_code == 422
    for command in (("open_batch", "hotel", "writing", "--name", name), ("create_project", "new", "--name", name)):
        with pytest.raises(CommandError):
            call_command(*command)
    with pytest.raises(CommandError):
        call_command("create_user", "new@example.org", "--name", name)
    assert Batch.objects.get().name == batch.name
    assert Project.objects.count() == 1
    assert not User.objects.filter(email="new@example.org").exists()
    assert not Message.objects.exists()

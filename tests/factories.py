"""Rows for tests, with the least that makes them valid."""

import hashlib

import factory
from factory.django import DjangoModelFactory

from annotation.models import (
    Aspect,
    Candidate,
    Guideline,
    Membership,
    Project,
    Prompt,
    ReasonTag,
    Role,
    User,
    WeightSet,
)
from annotation.text.digests import distinction, prompt_identity
from annotation.text.normalization import normal_form

PASSWORD = "correct horse battery staple"


class UserFactory(DjangoModelFactory):
    class Meta:
        model = User
        skip_postgeneration_save = True

    email = factory.Sequence(lambda n: f"person{n}@example.org")
    name = factory.Sequence(lambda n: f"Person {n}")
    password = factory.django.Password(PASSWORD)


class ProjectFactory(DjangoModelFactory):
    class Meta:
        model = Project

    slug = factory.Sequence(lambda n: f"project-{n}")
    name = factory.Sequence(lambda n: f"Project {n}")
    goal = Project.Goal.TRANSLATION
    source_language = "en"
    target_language = "ja"


class GuidelineFactory(DjangoModelFactory):
    class Meta:
        model = Guideline

    project = factory.SubFactory(ProjectFactory)
    version = 1
    text = "Judge *meaning* first, then register."


class AspectFactory(DjangoModelFactory):
    class Meta:
        model = Aspect

    project = factory.SubFactory(ProjectFactory)
    key = factory.Sequence(lambda n: f"aspect-{n}")
    name = factory.LazyAttribute(lambda aspect: aspect.key.title())
    anchors = ["Unusable", "Poor", "Fair", "Good", "Perfect"]


class WeightSetFactory(DjangoModelFactory):
    class Meta:
        model = WeightSet

    project = factory.SubFactory(ProjectFactory)
    version = 1
    weights = factory.LazyFunction(dict)


class ReasonTagFactory(DjangoModelFactory):
    class Meta:
        model = ReasonTag

    project = factory.SubFactory(ProjectFactory)
    name = factory.Sequence(lambda n: f"reason {n}")


class PromptFactory(DjangoModelFactory):
    class Meta:
        model = Prompt

    project = factory.SubFactory(ProjectFactory)
    text = factory.Sequence(lambda n: f"Could we have a quieter room, number {n}?")
    digest = factory.LazyAttribute(lambda prompt: hashlib.sha256(prompt.text.encode()).hexdigest())
    source_document = external_id = ""
    reads_as = factory.LazyAttribute(lambda prompt: prompt_identity([{"role": "user", "content": prompt.text}]))
    distinction = factory.LazyAttribute(
        lambda prompt: distinction(normal_form(prompt.source_document), "", prompt.external_id)
    )


class CandidateFactory(DjangoModelFactory):
    class Meta:
        model = Candidate

    prompt = factory.SubFactory(PromptFactory)
    text = factory.Sequence(lambda n: f"静かなお部屋をご用意いたします。{n}")
    origin = "import:test"
    digest = factory.LazyAttribute(lambda candidate: hashlib.sha256(candidate.text.encode()).hexdigest())


def join(project: Project, role: Role | str, **fields: object) -> User:
    """A new user with that role in the project."""
    user = UserFactory(**fields)
    Membership.objects.create(project=project, user=user, role=role)
    return user

"""What goes in and out of the API. Serializers check and describe shapes; they save nothing."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.reverse import reverse

from consent.models import Consent, Person
from consent.policy import PURPOSES
from consent.territories import COUNTRIES
from generation.answers import FACE_NAME, job_answer
from generation.engines import DEFAULT_ENGINE
from generation.job_request import JobRequest
from generation.models import Asset, Job
from generation.options import OPTION_RULES, Choice, Range
from generation.states import Status


class AssetIn(serializers.Serializer[Any]):
    """An upload."""

    file = serializers.FileField()
    kind = serializers.ChoiceField(choices=Asset.Kind.choices)


class AssetOut(serializers.ModelSerializer[Asset]):
    """An uploaded still or video."""

    bytes = serializers.IntegerField(source="upload_bytes")
    sha256 = serializers.CharField(source="upload_sha256")
    created = serializers.DateTimeField(source="created_at")

    class Meta:
        model = Asset
        fields = ("id", "kind", "file_name", "bytes", "sha256", "created")


def _option_field(rule: Range | Choice) -> serializers.Field[Any, Any, Any, Any]:
    if isinstance(rule, Choice):
        return serializers.ChoiceField(required=False, choices=list(rule.words))
    if rule.whole:
        return serializers.IntegerField(required=False, min_value=int(rule.low), max_value=int(rule.high))
    return serializers.FloatField(required=False, min_value=rule.low, max_value=rule.high)


class OptionsIn(serializers.Serializer[Any]):
    """Options of the engine; those left out keep their defaults."""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """One field per option, over its range or its words."""
        return {name: _option_field(rule) for name, rule in OPTION_RULES.items()}

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """Refuse names that no engine knows, instead of dropping them."""
        unknown = sorted(set(data) - set(OPTION_RULES)) if isinstance(data, dict) else []
        if unknown:
            raise serializers.ValidationError(
                {name: f"Unknown option; choose from: {', '.join(OPTION_RULES)}." for name in unknown}
            )
        return dict(super().to_internal_value(data))


class JobIn(serializers.Serializer[Any]):
    """A request to animate a portrait by a performance."""

    portrait = serializers.UUIDField(help_text="A still of this studio.")
    driving = serializers.UUIDField(help_text="A video of this studio.")
    purpose = serializers.ChoiceField(choices=sorted(PURPOSES))
    engine = serializers.CharField(default=DEFAULT_ENGINE)
    territories = serializers.ListField(
        child=serializers.RegexField(r"^[A-Z]{2}\Z"), default=list, help_text="ISO 3166-1 alpha-2; empty means the whole world."
    )
    declared_fictional = serializers.BooleanField(default=False)
    options = OptionsIn(default=dict)
    consents = serializers.DictField(
        child=serializers.UUIDField(), default=dict, help_text="Consent id by face, such as portrait:1 or driver:1."
    )

    def validate_territories(self, territories: list[str]) -> list[str]:
        """Refuse codes that no country has."""
        unknown = [code for code in territories if code not in COUNTRIES]
        if unknown:
            raise serializers.ValidationError(f"No country has the code {', '.join(unknown)}; use ISO 3166-1 alpha-2.")
        return territories

    def validate_consents(self, consents: dict[str, Any]) -> dict[str, Any]:
        """Refuse faces by any other name than the gate gives them."""
        if not all(FACE_NAME.fullmatch(face) for face in consents):
            raise serializers.ValidationError("Name each face as portrait:1, driver:1 and so on.")
        return consents

    def request(self) -> JobRequest:
        """The request in the terms of `generation`. Call after `is_valid`."""
        data = self.validated_data
        return JobRequest(
            purpose=data["purpose"],
            engine=data["engine"],
            territories=tuple(data["territories"]),
            declared_fictional=data["declared_fictional"],
            options=data["options"],
            named_consents={face: str(consent) for face, consent in data["consents"].items()},
        )


class ReasonOut(serializers.Serializer[Any]):
    """Why a job stands where it does."""

    code = serializers.CharField()
    message = serializers.CharField()
    face = serializers.CharField(allow_null=True)


class JobOut(serializers.Serializer[Any]):
    """A job, as `generate` prints it on the command line."""

    job = serializers.UUIDField()
    status = serializers.ChoiceField(choices=[status.value for status in Status])
    reasons = ReasonOut(many=True)
    consents = serializers.DictField(child=serializers.UUIDField())
    output = serializers.URLField(allow_null=True, help_text="Where a released clip is downloaded.")
    watermark_id = serializers.CharField(allow_null=True)
    manifest_id = serializers.CharField(allow_null=True)
    engine = serializers.CharField()
    frames = serializers.IntegerField(allow_null=True)
    fps = serializers.FloatField(allow_null=True)
    frame_rate = serializers.CharField(allow_null=True, help_text="The exact rate, such as 30000/1001.")
    seconds = serializers.FloatField(allow_null=True)
    bridged = serializers.ListField(help_text="Stretches of the driver without a usable face, [start, end] in seconds.")
    frames_done = serializers.IntegerField()
    frames_total = serializers.IntegerField()
    created = serializers.DateTimeField()


def job_out(job: Job, request: Request) -> dict[str, Any]:
    """A job's answer with the address of its clip."""
    answer = job_answer(job)
    if job.status == Status.RELEASED:
        answer["output"] = reverse("api_output_download", args=[job.pk], request=request)
    return answer


class ConsentOut(serializers.ModelSerializer[Consent]):
    """What a person agreed to."""

    class Meta:
        model = Consent
        fields = (
            "id",
            "person",
            "role",
            "state",
            "assurance",
            "purposes",
            "territories",
            "exclusions",
            "intended_use",
            "voice",
            "valid_from",
            "valid_until",
            "given_at",
            "ended_at",
        )


class PersonOut(serializers.ModelSerializer[Person]):
    """Somebody a studio knows, with the ids of their consents."""

    name = serializers.CharField(source="display_name")
    consents = serializers.PrimaryKeyRelatedField[Consent](many=True, read_only=True)

    class Meta:
        model = Person
        fields = ("id", "name", "consents", "created_at")


class UsageOut(serializers.Serializer[Any]):
    """How much a studio has used."""

    jobs = serializers.DictField(child=serializers.IntegerField(), help_text="Number of jobs by status.")
    released_seconds = serializers.FloatField()


class VerifyIn(serializers.Serializer[Any]):
    """A file to examine. It is deleted after the answer."""

    file = serializers.FileField()


class ConsentStandingOut(serializers.Serializer[Any]):
    """Whether the people in a clip still agree."""

    state = serializers.CharField()
    since = serializers.DateTimeField(allow_null=True)


class RecordFactsOut(serializers.Serializer[Any]):
    """What is said of a record of ours. It names nobody but a studio that agreed to it."""

    created = serializers.DateTimeField()
    system = serializers.CharField()
    studio = serializers.CharField(allow_null=True)
    watermark_id = serializers.CharField()
    consent = ConsentStandingOut()
    availability = serializers.ChoiceField(choices=["released", "withdrawn"])


class RecordOut(serializers.Serializer[Any]):
    """The record behind a watermark."""

    watermark_id = serializers.CharField()
    manifest_id = serializers.CharField()
    record = RecordFactsOut()


class SpanOut(serializers.Serializer[Any]):
    """Whole seconds, and what holds for them."""

    start = serializers.IntegerField()
    end = serializers.IntegerField()
    verdict = serializers.CharField()


class VerdictOut(serializers.Serializer[Any]):
    """The public answer about a file."""

    verdict = serializers.ChoiceField(choices=["confirmed", "recovered", "altered", "transplanted", "foreign", "unknown"])
    record = RecordFactsOut(allow_null=True)
    signals = serializers.DictField(help_text="Per layer: strength (strong, weak or none) and what was found.")
    timeline = SpanOut(many=True)
    manifest_id = serializers.CharField(allow_null=True)
    reasons = serializers.ListField(child=serializers.CharField())

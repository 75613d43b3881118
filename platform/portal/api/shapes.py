"""What goes in and out of the API. Serializers check and describe shapes; they save nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.reverse import reverse

from consent.models import Consent, Person
from consent.policy import PURPOSES
from consent.territories import COUNTRIES
from generation.answers import FACE_NAME, job_answer
from generation.casting import CAST_MAX, Casting
from generation.engines import DEFAULT_ENGINE
from generation.job_request import JobRequest
from generation.models import Asset, Job
from generation.options import OPTION_DEFAULTS, OPTION_RULES, Choice
from generation.states import Status
from portal.wording import OPTIONS


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


def _option_field(name: str) -> serializers.Field[Any, Any, Any, Any]:
    rule, words, default = OPTION_RULES[name], OPTIONS[name], OPTION_DEFAULTS[name]
    told = f"{words.explanation} Default: {words.empty.lower() if default is None else default}."
    if isinstance(rule, Choice):
        return serializers.ChoiceField(required=False, choices=[word.value for word in rule.words], help_text=told)
    if rule.whole:
        return serializers.IntegerField(required=False, min_value=int(rule.low), max_value=int(rule.high), help_text=told)
    return serializers.FloatField(required=False, min_value=rule.low, max_value=rule.high, help_text=told)


class OptionsIn(serializers.Serializer[Any]):
    """Options of the engine; those left out keep their defaults."""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """One field per option, over its range or its words."""
        return {name: _option_field(name) for name in OPTION_RULES}

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """Refuse names that no engine knows, instead of dropping them."""
        unknown = sorted(set(data) - set(OPTION_RULES)) if isinstance(data, dict) else []
        if unknown:
            raise serializers.ValidationError(
                {name: f"Unknown option; choose from: {', '.join(OPTION_RULES)}." for name in unknown}
            )
        return dict(super().to_internal_value(data))


class CastIn(serializers.Serializer[Any]):
    """One face of the portrait and the driving face that moves it.

    Faces count from 1: in a still the largest first, in a video the one that is seen longest.
    """

    driving = serializers.UUIDField(required=False, help_text="A video or motion template of this studio; else the lead.")
    driver_face = serializers.IntegerField(default=1, min_value=1, max_value=99)
    face = serializers.IntegerField(min_value=1, max_value=99)


class JobIn(serializers.Serializer[Any]):
    """A request to animate a portrait by one performance or several."""

    portrait = serializers.UUIDField(help_text="A still or a video of this studio.")
    driving = serializers.UUIDField(
        help_text="A video or motion template of this studio. It leads: it sets length, sound and, for a still, the rate."
    )
    cast: serializers.ListSerializer[Any] = serializers.ListSerializer(
        child=CastIn(),
        default=list,
        max_length=CAST_MAX,
        help_text="Who moves whom; empty pairs the faces of both files by size.",
    )
    purpose = serializers.ChoiceField(choices=sorted(PURPOSES))
    engine = serializers.CharField(default=DEFAULT_ENGINE)
    territories = serializers.ListField(
        child=serializers.RegexField(r"^[A-Z]{2}\Z"), default=list, help_text="ISO 3166-1 alpha-2; empty means the whole world."
    )
    declared_fictional = serializers.BooleanField(default=False)
    wait_for_start = serializers.BooleanField(
        default=False, help_text="Stay cleared until `jobs/{id}/start/` is called, so that previews come before rendering."
    )
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

    def files(self) -> set[UUID]:
        """Every file that the request names. Call after `is_valid`."""
        data = self.validated_data
        return {data["portrait"], data["driving"], *(member["driving"] for member in data["cast"] if "driving" in member)}

    def casting(self, files: Mapping[UUID, Asset]) -> list[Casting]:
        """Who moves whom. files: those of `files()`, by their ids."""
        data = self.validated_data
        return [Casting(files[m.get("driving", data["driving"])], m["face"], m["driver_face"]) for m in data["cast"]]

    def request(self) -> JobRequest:
        """The request in the terms of `generation`. Call after `is_valid`."""
        data = self.validated_data
        return JobRequest(
            purpose=data["purpose"],
            engine=data["engine"],
            territories=tuple(data["territories"]),
            declared_fictional=data["declared_fictional"],
            options=data["options"],
            wait_for_start=data["wait_for_start"],
            named_consents={face: str(consent) for face, consent in data["consents"].items()},
        )


class SettingsIn(serializers.Serializer[Any]):
    """Other settings for a job. Those left out keep their defaults, not those of the job."""

    options = OptionsIn(default=dict)


class StartIn(serializers.Serializer[Any]):
    """Settings to start with; the job's own without them."""

    options = OptionsIn(required=False)


class PreviewIn(SettingsIn):
    """Settings to look at, and when."""

    moment = serializers.IntegerField(default=0, min_value=0, help_text="Index into the job's moments.")


class PreviewsOut(serializers.Serializer[Any]):
    """What may be previewed of a job."""

    moments_s = serializers.ListField(
        child=serializers.FloatField(),
        help_text="Chosen by the server, in seconds; empty while nothing may be shown.",
    )
    left_today = serializers.IntegerField(help_text="Of the studio; a day begins at midnight UTC.")


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
    cast = serializers.ListField(help_text="Who moves whom, {face, driver}, once the faces were looked at.")
    warnings = serializers.ListField(
        help_text="What to know of a job that goes on: {code, face, message}, and {start_s, end_s} of what concerns a stretch."
    )
    bridged = serializers.ListField(help_text="The stretches that `warnings` tells of, [start, end] in seconds.")
    waits_for_start = serializers.BooleanField(help_text="It is rendered only once `jobs/{id}/start/` was called.")
    frames_done = serializers.IntegerField()
    frames_total = serializers.IntegerField()
    created = serializers.DateTimeField()


def job_out(job: Job, request: Request) -> dict[str, Any]:
    """A job's answer with the address of its clip."""
    answer = job_answer(job)
    if job.status == Status.RELEASED:
        answer["output"] = reverse("api_output_download", args=[job.pk], request=request)
    return answer


class PosterIn(serializers.Serializer[Any]):
    """Which moment of a clip a still shows."""

    at = serializers.FloatField(min_value=0, max_value=86_400, required=False)


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
    availability = serializers.ChoiceField(
        choices=["released", "withdrawn", "never_released"], help_text="Previews are never released."
    )


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
    watermark_id = serializers.CharField(allow_null=True, help_text="Of the record these seconds are of.")


class PieceOut(RecordFactsOut):
    """A record of ours, and the whole seconds of the file that are of it."""

    segments = serializers.ListField(child=serializers.ListField(child=serializers.IntegerField()))


class VerdictOut(serializers.Serializer[Any]):
    """The public answer about a file."""

    summary = serializers.CharField(help_text="The answer in a sentence or two; what no longer stands comes first.")
    verdict = serializers.ChoiceField(choices=["confirmed", "recovered", "altered", "transplanted", "foreign", "unknown"])
    record = RecordFactsOut(allow_null=True)
    signals = serializers.DictField(help_text="Per layer: strength (strong, weak or none) and what was found.")
    records = PieceOut(many=True, help_text="Every record of ours in the file.")
    timeline = SpanOut(many=True)
    manifest_id = serializers.CharField(allow_null=True)
    reasons = serializers.ListField(child=serializers.CharField())

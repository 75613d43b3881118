"""The forms of the pages. They check shapes; what may be done is decided by the services."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from django import forms

from consent.policy import COMMERCIAL_PURPOSES
from consent.territories import COUNTRIES
from generation import engines
from generation.errors import InvalidRequest
from generation.job_request import JobRequest, check_request
from generation.models import Asset, Job
from portal.option_form import OptionForm
from portal.wording import PURPOSE_LABELS

TEMPLATE_SUFFIX = ".motion"


def purpose_choices() -> list[tuple[str, list[tuple[str, str]]]]:
    """Purposes in two groups; engines whose licence forbids commercial use are refused for the first."""
    return [
        ("Commercial", [(name, label) for name, label in PURPOSE_LABELS.items() if name in COMMERCIAL_PURPOSES]),
        ("Not commercial", [(name, label) for name, label in PURPOSE_LABELS.items() if name not in COMMERCIAL_PURPOSES]),
    ]


def engine_choices() -> list[tuple[str, str]]:
    """Engines with what their licence allows."""
    entries = engines.ENGINES.values()
    return [(entry.name, f"{entry.name} {entry.version} ({_allowed(entry.licence.commercial_use)})") for entry in entries]


def _allowed(commercial_use: bool) -> str:
    return "any purpose" if commercial_use else "not for commercial purposes"


class NewPerformanceForm(OptionForm):
    """What a studio decides about a job."""

    portrait = forms.FileField(
        label="Portrait",
        help_text="A still or a video with a clear face, at least 64 px high.",
        widget=forms.FileInput(attrs={"accept": "image/*,video/*", "data-drop": "image"}),
    )
    driving = forms.FileField(
        label="Performance",
        help_text="A video of the performer, face to the camera and well lit; or a motion template.",
        widget=forms.FileInput(attrs={"accept": "video/*,.motion", "data-drop": "video"}),
    )
    purpose = forms.ChoiceField(
        label="Purpose", choices=purpose_choices, help_text="Each person's consent has to cover this purpose."
    )
    territories = forms.CharField(
        label="Territories",
        required=False,
        help_text="Where the clip will be shown, as country codes: DE, FR, US. Empty means the whole world.",
        widget=forms.TextInput(attrs={"placeholder": "Whole world", "autocapitalize": "characters", "spellcheck": "false"}),
    )
    engine = forms.ChoiceField(
        label="Engine", choices=engine_choices, help_text="Which model animates, and what its licence allows."
    )
    declared_fictional = forms.BooleanField(
        label="The portrait shows nobody real",
        required=False,
        help_text="Drawn or sculpted. Such a portrait is always looked at by a person first.",
    )
    wait_for_start = forms.BooleanField(
        label="Preview first",
        required=False,
        help_text="Stop once every face is cleared: try the settings on stills, then start.",
    )
    idempotency_key = forms.CharField(widget=forms.HiddenInput, max_length=128, required=False)

    @classmethod
    def fresh(cls) -> NewPerformanceForm:
        """An empty form whose sending twice makes one job."""
        return cls(initial={"idempotency_key": uuid.uuid4().hex, "purpose": "internal_test"})

    def clean_territories(self) -> tuple[str, ...]:
        """Country codes in upper case, without repeats."""
        words: str = self.cleaned_data["territories"].replace(",", " ")
        codes = tuple(dict.fromkeys(word.upper() for word in words.split()))
        unknown = [code for code in codes if code not in COUNTRIES]
        if unknown:
            raise forms.ValidationError(f"No country has the code {', '.join(unknown)}; use two letters, such as DE or US.")
        return codes

    def clean(self) -> dict[str, Any]:
        """Ask the rules of `generation` before any file is kept."""
        values = super().clean() or {}
        if not self.errors:
            try:
                check_request(self.request(), list(engines.ENGINES))
            except InvalidRequest as problem:
                raise forms.ValidationError(problem.message) from problem
        return values

    def kinds(self) -> dict[str, Asset.Kind]:
        """What the files are taken for, by what the browser says of them; what is in them is looked at by the job."""
        filmed = str(self.cleaned_data["portrait"].content_type).startswith("video/")
        template = str(self.cleaned_data["driving"].name).lower().endswith(TEMPLATE_SUFFIX)
        return {
            "portrait": Asset.Kind.VIDEO if filmed else Asset.Kind.STILL,
            "driving": Asset.Kind.MOTION if template else Asset.Kind.VIDEO,
        }

    def request(self) -> JobRequest:
        """The job this form asks for. Call after `is_valid`."""
        values: dict[str, Any] = self.cleaned_data
        return JobRequest(
            purpose=values["purpose"],
            engine=values["engine"],
            territories=values["territories"],
            declared_fictional=values["declared_fictional"],
            options=self.options(),
            wait_for_start=values["wait_for_start"],
        )


MOMENT_SLIDER = {"type": "range", "step": "1", "autocomplete": "off"}


class TrialForm(OptionForm):
    """Settings to try on a still of a job, and the moment to look at."""

    moment = forms.IntegerField(label="Moment", min_value=0, widget=forms.NumberInput(attrs=MOMENT_SLIDER))

    @classmethod
    def of(cls, job: Job, moments: Sequence[float]) -> TrialForm:
        """The form with the job's own settings, at the middle of its moments."""
        form = cls(initial={**job.options, "moment": len(moments) // 2})
        words = "|".join(f"{at_s:.1f} s" for at_s in moments)
        form.fields["moment"].widget.attrs.update({"max": str(len(moments) - 1), "data-shows-value": words})
        return form

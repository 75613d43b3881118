"""What users read when the gate does not say yes: one sentence for what is wrong, one for what to do."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

FIX: Mapping[str, str] = MappingProxyType(
    {
        "ambiguous": (
            "{face} is close to the person of the named consent but not surely the same. "
            "Wait for a moderator, or enrol this person again with more photos, from several angles."
        ),
        "declared_fictional": "The picture is declared to show no real person. Wait for a moderator to confirm it.",
        "unnamed": (
            "No consent was named for {face}, and none of this studio's was found for it. "
            "Ask this person for consent and enrol them (`enroll`, with photos that show them as they look here), "
            "name a consent of theirs (on the command line: --consent {face}=ID), or use a file without this face."
        ),
        "unknown": "The consent named for {face} is not one of this studio. Name a consent of this studio for {face}.",
        "hidden_face": "{face} lies hidden under the transparency of the picture. Flatten the picture and send it again.",
        "unmatchable": "{face} cannot be matched: {detail}. Remove this person from the picture, or send a clearer one.",
        "no_template": "The consent named for {face} has no face template of the engine in use. Enrol this person again.",
        "mismatch": "{face} is not the person of the named consent. Ask the person who is shown for consent.",
        "not_given": "The consent for {face} was not given. Wait for the person's answer, or ask again.",
        "suspended": "The consent for {face} is suspended. Wait for the moderators' answer.",
        "withdrawn": "The consent for {face} was withdrawn. Ask this person for a new consent.",
        "terminated": "The consent for {face} was terminated. Ask this person for a new consent.",
        "expired": "The consent for {face} has expired. Ask this person for a new consent.",
        "not_started": "The consent for {face} is not valid before {detail}. Wait until then, or ask for another period.",
        "out_of_scope": (
            "The consent for {face} does not cover this job: {detail}. Change the job, or ask this person for a wider consent."
        ),
        "unknown_purpose": "The purpose is not a known one. Choose one of {detail}.",
        "no_face": "No face was found in the {detail}. Send one that shows a face.",
        "name_without_face": "A consent is named for {face}, and there is no such face. Remove it, or run the preflight again.",
        "second_video_stream": (
            "The file of {face} holds more than one video stream. Keep the one with the performance, and export it again."
        ),
        "model_licence": (
            "The face model in use may not serve the commercial purpose {detail}. "
            "Select the dlib engine, or license another model."
        ),
        "unsupported_decision": "The stored decision cannot be read. Submit the job again.",
        "template_ended": "{face} performs by {detail}. Record the performer again under a consent that stands.",
        "not_a_cleared_performer": (
            "{face} is no filmed performer whom the decision of this job covers beyond doubt. Name one of its driving faces."
        ),
        "changed_input": "The files are not those the decision was made for. Submit the job again.",
        "rendered_mismatch": (
            "{face} of the rendered clip is not one of the people who were cleared. Report this to the operator."
        ),
        "rendered_unmatchable": "{face} of the rendered clip cannot be matched: {detail}. Use a clearer or larger portrait.",
        "rendered_no_face": "The rendered clip shows no face. Use a clearer or larger portrait.",
    }
)

RESEMBLES = (
    "{face} resembles {person} closely but not surely. If this is somebody else, ask them for consent and enrol them. If it is "
    "{person}, enrol them again with more photos, from several angles (`enroll` takes --photo as often as you like), or name the "
    "consent {consent} for {face} and let a moderator decide."
)

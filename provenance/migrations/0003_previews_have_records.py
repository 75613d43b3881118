"""The previews of a job carry an id of their own, reserved like that of its clip and never sealed."""

from __future__ import annotations

from django.db import migrations, models

GUARD = """
CREATE OR REPLACE FUNCTION provenance_record_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'provenance_record is append-only: DELETE refused' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF OLD.sealed_at IS NOT NULL THEN
        RAISE EXCEPTION 'provenance_record %: already sealed', OLD.id USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF (NEW.id, NEW.watermark_id, {kind}NEW.key_name, NEW.scheme, NEW.job_id, NEW.studio_id, NEW.created_at)
        IS DISTINCT FROM
       (OLD.id, OLD.watermark_id, {old_kind}OLD.key_name, OLD.scheme, OLD.job_id, OLD.studio_id, OLD.created_at) THEN
        RAISE EXCEPTION 'provenance_record %: what was reserved stays', OLD.id USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END
$$;
"""
WITH_KIND = GUARD.replace("{kind}", "NEW.kind, ").replace("{old_kind}", "OLD.kind, ")
WITHOUT_KIND = GUARD.replace("{kind}", "").replace("{old_kind}", "")


class Migration(migrations.Migration):
    """One record per job and kind; the guard keeps the kind too."""

    dependencies = [("provenance", "0002_append_only")]

    operations = [
        migrations.AddField(
            model_name="record",
            name="kind",
            field=models.CharField(choices=[("output", "Output"), ("preview", "Preview")], default="output", max_length=8),
        ),
        migrations.AlterField(model_name="record", name="job_id", field=models.UUIDField()),
        migrations.AddConstraint(
            model_name="record",
            constraint=models.UniqueConstraint(fields=("job_id", "kind"), name="record_once_per_job_and_kind"),
        ),
        migrations.AddConstraint(
            model_name="record",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind", "preview"), _negated=True) | models.Q(("sealed_at__isnull", True)),
                name="preview_record_never_sealed",
            ),
        ),
        migrations.RunSQL(WITH_KIND, WITHOUT_KIND),
    ]

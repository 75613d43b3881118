"""Keys of the mark become rows with a state; stills get numbers by which their record is found."""

from __future__ import annotations

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

# Scheme 1 marks nothing any more: its keys are retired, and go on being looked for.
FILL = """
INSERT INTO provenance_watermarkkey (name, scheme, studio_id, kind, month, state, created_at, changed_at)
SELECT key_name, min(scheme), (min(studio_id::text))::uuid, min(kind), COALESCE(substring(key_name from '/(\\d{4}-\\d{2})'), ''),
       'retired', min(created_at), now()
FROM provenance_record GROUP BY key_name
"""
FORBID = """
CREATE FUNCTION provenance_watermarkkey_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'provenance_watermarkkey: a key is never given up' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF (NEW.name, NEW.scheme, NEW.studio_id, NEW.kind, NEW.month, NEW.created_at) IS DISTINCT FROM
       (OLD.name, OLD.scheme, OLD.studio_id, OLD.kind, OLD.month, OLD.created_at) THEN
        RAISE EXCEPTION 'provenance_watermarkkey %: only its state may change', OLD.name USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF (OLD.state = 'compromised' AND NEW.state <> OLD.state) OR (OLD.state = 'retired' AND NEW.state = 'live') THEN
        RAISE EXCEPTION 'provenance_watermarkkey %: a state only goes on', OLD.name USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER provenance_watermarkkey_guard BEFORE UPDATE OR DELETE ON provenance_watermarkkey
    FOR EACH ROW EXECUTE FUNCTION provenance_watermarkkey_guard();
CREATE FUNCTION provenance_stillkey_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'provenance_stillkey is append-only: % refused', TG_OP USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER provenance_stillkey_guard BEFORE UPDATE OR DELETE ON provenance_stillkey
    FOR EACH ROW EXECUTE FUNCTION provenance_stillkey_guard();
"""
ALLOW = """
DROP TRIGGER provenance_stillkey_guard ON provenance_stillkey;
DROP FUNCTION provenance_stillkey_guard();
DROP TRIGGER provenance_watermarkkey_guard ON provenance_watermarkkey;
DROP FUNCTION provenance_watermarkkey_guard();
"""
KINDS = [("output", "Output"), ("preview", "Preview")]
STATES = [("live", "Live"), ("retired", "Retired"), ("compromised", "Compromised")]


class Migration(migrations.Migration):
    """Adds both tables, and a row for each key that marked a record."""

    dependencies = [("provenance", "0003_previews_have_records")]

    operations = [
        migrations.CreateModel(
            name="WatermarkKey",
            fields=[
                ("name", models.CharField(max_length=80, primary_key=True, serialize=False)),
                ("scheme", models.PositiveSmallIntegerField()),
                ("studio_id", models.UUIDField(db_index=True)),
                ("kind", models.CharField(choices=KINDS, default="output", max_length=8)),
                ("month", models.CharField(max_length=7)),
                ("state", models.CharField(choices=STATES, default="live", max_length=11)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("changed_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("state", "live")),
                        fields=("studio_id", "kind", "month", "scheme"),
                        name="watermark_key_live_once",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="StillKey",
            fields=[
                ("key", models.PositiveBigIntegerField(primary_key=True, serialize=False)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "record",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT, related_name="still_key", to="provenance.record"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("key__lt", 4294967296)), name="still_key_has_32_bits")
                ],
            },
        ),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
        migrations.RunSQL(FORBID, ALLOW),
    ]

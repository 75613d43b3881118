"""The database keeps what was reserved, lets a record be sealed once, and never gives one up."""

from __future__ import annotations

from django.db import migrations

FORBID = """
CREATE FUNCTION provenance_record_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'provenance_record is append-only: DELETE refused' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF OLD.sealed_at IS NOT NULL THEN
        RAISE EXCEPTION 'provenance_record %: already sealed', OLD.id USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF (NEW.id, NEW.watermark_id, NEW.key_name, NEW.scheme, NEW.job_id, NEW.studio_id, NEW.created_at)
        IS DISTINCT FROM
       (OLD.id, OLD.watermark_id, OLD.key_name, OLD.scheme, OLD.job_id, OLD.studio_id, OLD.created_at) THEN
        RAISE EXCEPTION 'provenance_record %: what was reserved stays', OLD.id USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER provenance_record_guard BEFORE UPDATE OR DELETE ON provenance_record
    FOR EACH ROW EXECUTE FUNCTION provenance_record_guard();
CREATE FUNCTION provenance_softbinding_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'provenance_softbinding is append-only: % refused', TG_OP USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER provenance_softbinding_guard BEFORE UPDATE OR DELETE ON provenance_softbinding
    FOR EACH ROW EXECUTE FUNCTION provenance_softbinding_guard();
"""
ALLOW = """
DROP TRIGGER provenance_softbinding_guard ON provenance_softbinding;
DROP FUNCTION provenance_softbinding_guard();
DROP TRIGGER provenance_record_guard ON provenance_record;
DROP FUNCTION provenance_record_guard();
"""


class Migration(migrations.Migration):
    """Adds the triggers."""

    dependencies = [("provenance", "0001_initial")]

    operations = [migrations.RunSQL(FORBID, ALLOW)]

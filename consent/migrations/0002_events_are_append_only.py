"""A stored event of a consent can be neither changed nor removed, whatever code asks for it."""

from django.db import migrations

CREATE = """
CREATE FUNCTION consent_event_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'events of a consent are append-only' USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER consent_event_append_only BEFORE UPDATE OR DELETE ON consent_consentevent
    FOR EACH ROW EXECUTE FUNCTION consent_event_refuse_change();
CREATE TRIGGER consent_event_no_truncate BEFORE TRUNCATE ON consent_consentevent
    FOR EACH STATEMENT EXECUTE FUNCTION consent_event_refuse_change();
"""
DROP = """
DROP TRIGGER consent_event_no_truncate ON consent_consentevent;
DROP TRIGGER consent_event_append_only ON consent_consentevent;
DROP FUNCTION consent_event_refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("consent", "0001_people_consents_and_templates")]
    operations = [migrations.RunSQL(CREATE, DROP)]

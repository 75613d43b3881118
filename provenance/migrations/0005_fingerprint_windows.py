"""The search by content: windows of every sealed fingerprint, in an index of nearest neighbours (extension `vector`, pgvector)."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models

import provenance.vector_field

INDEX = """
CREATE INDEX fingerprint_window_nearest ON provenance_fingerprintwindow
    USING hnsw (vector halfvec_ip_ops) WITH (m = 16, ef_construction = 64)
"""


class Migration(migrations.Migration):
    """Vectors are of unit length: the inner product is their cosine."""

    dependencies = [("provenance", "0004_watermark_keys")]

    operations = [
        migrations.RunSQL("CREATE EXTENSION IF NOT EXISTS vector", migrations.RunSQL.noop),
        migrations.CreateModel(
            name="FingerprintWindow",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("at_s", models.FloatField()),
                ("vector", provenance.vector_field.HalfVectorField(dimensions=96)),
                (
                    "record",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="fingerprint_windows",
                        to="provenance.record",
                    ),
                ),
            ],
        ),
        migrations.RunSQL(INDEX, "DROP INDEX fingerprint_window_nearest"),
    ]

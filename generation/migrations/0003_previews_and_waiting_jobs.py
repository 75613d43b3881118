"""Previews, and jobs that wait for them before they are rendered."""

import uuid

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("generation", "0002_parts_and_motion_templates"),
        ("users", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="job",
            name="waits_for_start",
            field=models.BooleanField(default=False, help_text="Stays cleared, for previews, until it is started."),
        ),
        migrations.CreateModel(
            name="Preview",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("actor", models.CharField(max_length=128)),
                ("options", models.JSONField(default=dict, help_text="Those that differ from their defaults.")),
                ("at_s", models.FloatField(help_text="The moment shown, in seconds of the clip; chosen by the server.")),
                ("watermark_id", models.CharField(max_length=16)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "job",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="previews", to="generation.job"),
                ),
                (
                    "studio",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="+", to="users.studio"),
                ),
            ],
            options={
                "ordering": ["-created_at"],
                "indexes": [models.Index(fields=["studio", "created_at"], name="preview_by_studio_and_day")],
            },
        ),
    ]

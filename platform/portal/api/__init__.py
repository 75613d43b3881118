"""The REST API: shapes and doors only; rules are in the rooms below."""

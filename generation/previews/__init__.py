"""Single-frame previews: gated, small, counted, marked visibly and invisibly (misuse register A4)."""
